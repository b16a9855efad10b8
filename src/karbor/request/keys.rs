//! The keys of one object, to tell a repeated one. No quadratic work, no hash an attacker can foresee.

use std::borrow::Cow;
use std::collections::HashSet;

/// Up to here comparing is cheaper than hashing, and nothing is allocated.
const FEW: usize = 8;
/// Room for as many as a map may have as shipped: it does not grow step by step.
const MANY: usize = 64;

/// Keys seen so far.
pub(super) struct Keys<'b> {
    few: [Cow<'b, str>; FEW],
    count: usize,
    /// All of them, once they are more than a few. The standard hasher is keyed at random.
    many: Option<HashSet<Cow<'b, str>>>,
}

impl Default for Keys<'_> {
    fn default() -> Self {
        Self { few: [const { Cow::Borrowed("") }; FEW], count: 0, many: None }
    }
}

impl<'b> Keys<'b> {
    /// Whether `key` is new.
    pub(super) fn insert(&mut self, key: Cow<'b, str>) -> bool {
        if let Some(many) = &mut self.many {
            return many.insert(key);
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
        let mut many = HashSet::with_capacity(MANY);
        many.extend(seen.iter_mut().map(std::mem::take));
        many.insert(key);
        self.many = Some(many);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_repeated_keys_among_few_and_among_many() {
        let names: Vec<String> = (0..100).map(|number| format!("k{number}")).collect();
        let mut keys = Keys::default();
        for name in &names {
            assert!(keys.insert(Cow::Borrowed(name)), "{name} is new");
        }
        for name in &names {
            assert!(!keys.insert(Cow::Owned(name.clone())), "{name} is repeated");
        }
    }

    #[test]
    fn an_empty_slot_is_not_the_empty_key() {
        let mut keys = Keys::default();
        assert!(keys.insert(Cow::Borrowed("")));
        assert!(!keys.insert(Cow::Borrowed("")));
    }
}
