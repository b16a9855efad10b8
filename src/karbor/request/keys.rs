//! The keys of one object, to tell a repeated one. No quadratic work without a bound, no hash an attacker can foresee.

use std::borrow::Cow;
use std::collections::HashSet;

/// Up to here comparing is cheaper than anything else, and nothing is allocated.
const FEW: usize = 8;
/// Up to here comparing marks is cheaper than hashing: as many as a map may have as shipped, and some members.
const SOME: usize = 72;

/// Keys seen so far.
pub(super) struct Keys<'b> {
    few: [Cow<'b, str>; FEW],
    count: usize,
    /// All of them, once they are more than a few.
    more: Option<More<'b>>,
}

enum More<'b> {
    /// With a mark of each. Keys of one mark are compared, and there are not enough of them to take long.
    Some { marks: Vec<u32>, keys: Vec<Cow<'b, str>> },
    /// The standard hasher is keyed at random.
    Many(HashSet<Cow<'b, str>>),
}

impl Default for Keys<'_> {
    fn default() -> Self {
        Self { few: [const { Cow::Borrowed("") }; FEW], count: 0, more: None }
    }
}

impl<'b> Keys<'b> {
    /// Whether `key` is new.
    pub(super) fn insert(&mut self, key: Cow<'b, str>) -> bool {
        if let Some(more) = &mut self.more {
            return more.insert(key);
        }
        let (seen, free) = self.few.split_at_mut(self.count);
        if seen.contains(&key) {
            return false;
        }
        if let Some(slot) = free.first_mut() {
            *slot = key;
            self.count += 1;
            return true;
        }
        let (mut marks, mut keys) = (Vec::with_capacity(SOME), Vec::with_capacity(SOME));
        for key in seen.iter_mut().map(std::mem::take).chain([key]) {
            marks.push(mark(&key));
            keys.push(key);
        }
        self.more = Some(More::Some { marks, keys });
        true
    }
}

impl<'b> More<'b> {
    fn insert(&mut self, key: Cow<'b, str>) -> bool {
        let (marks, keys) = match self {
            Self::Many(keys) => return keys.insert(key),
            Self::Some { marks, keys } => (marks, keys),
        };
        let own = mark(&key);
        // Without an early end, so that many marks are looked at at once.
        let is_marked = marks.iter().fold(false, |found, mark| found | (*mark == own));
        if is_marked && keys.contains(&key) {
            return false;
        }
        if keys.len() == SOME {
            let mut many: HashSet<_> = std::mem::take(keys).into_iter().collect();
            many.insert(key);
            *self = Self::Many(many);
        } else {
            marks.push(own);
            keys.push(key);
        }
        true
    }
}

/// The same for equal keys, and mostly another for others: those of one application begin alike.
fn mark(key: &str) -> u32 {
    let bytes = key.as_bytes();
    let (first, last) = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (0, bytes.iter().fold(0, |mark, byte| mark << 8 | u64::from(*byte))),
    };
    let mixed = (first.rotate_left(29) ^ last ^ bytes.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // The upper half is the better mixed one.
    (mixed >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_repeated_keys_among_few_and_among_many() {
        // Some differ in the middle alone, where no mark looks.
        for (before, after) in [("k", ""), ("x-acme--cost-", "-of-the-year")] {
            let names: Vec<String> = (0..200).map(|number| format!("{before}{number:03}{after}")).collect();
            let mut keys = Keys::default();
            for (at, name) in names.iter().enumerate() {
                assert!(keys.insert(Cow::Borrowed(name)), "{name} is new");
                for name in &names[..=at] {
                    assert!(!keys.insert(Cow::Owned(name.clone())), "{name} is repeated");
                }
            }
        }
    }

    #[test]
    fn an_empty_slot_is_not_the_empty_key() {
        let mut keys = Keys::default();
        assert!(keys.insert(Cow::Borrowed("")));
        assert!(!keys.insert(Cow::Borrowed("")));
    }
}
