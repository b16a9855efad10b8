//! Puts kept maps into the `extra_info` of an answer, in Karbor's form: a string that holds JSON.
//!
//! Of Karbor's own entries those that are not kept come first, as they stand; then the kept map. Leaves to
//! the callers whose map it is.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::raw;
use super::{Seen, Sketch};
use crate::karbor::ascii;

/// What became of a checkpoint's `extra_info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filling {
    /// There was nothing to put in.
    Unchanged,
    /// Karbor's answer had every kept entry already.
    Same,
    /// Karbor's answer lacked kept entries, and now has them.
    Restored,
    /// Karbor's answer had another value for a kept key, or could not be read as a map; the kept map won.
    Altered,
}

/// An answer with the kept maps in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// The new body; none if the old one can go as it is.
    pub body: Option<Vec<u8>>,
    /// One for each of the sketch's checkpoints.
    pub results: Vec<Filling>,
}

/// Puts in what `kept` has for each checkpoint; keys in it are unique. `sketch` is of this very `body`.
///
/// Non-ASCII is escaped, as Python does, so that every client reads it.
pub fn fill<'k, K, V>(body: &[u8], sketch: &Sketch, kept: impl Fn(&Seen) -> Option<&'k [(K, V)]>) -> Filled
where
    K: AsRef<str> + 'k,
    V: AsRef<str> + 'k,
{
    let mut out = Vec::new();
    let mut copied = 0;
    let mut fill_one = |seen: &Seen| {
        let kept = kept(seen).filter(|kept| !kept.is_empty())?;
        let place = Place::of(body, seen)?;
        let (filling, map) = merge(place.own, kept)?;
        if let Some(map) = map {
            let (before, text) = (body.get(copied..place.range.start)?, place.text(&map)?);
            if copied == 0 {
                // The others are like the first; or it alone is long.
                out.reserve(body.len() + (text.len() * sketch.checkpoints.len()).min(body.len()));
            }
            out.extend_from_slice(before);
            out.extend_from_slice(&text);
            copied = place.range.end;
        }
        Some(filling)
    };
    let results =
        sketch.checkpoints.iter().map(|seen| fill_one(seen).unwrap_or(Filling::Unchanged)).collect();
    if copied == 0 {
        return Filled { body: None, results };
    }
    out.extend_from_slice(body.get(copied..).unwrap_or_default());
    Filled { body: Some(out), results }
}

/// Where the member goes.
struct Place<'b> {
    range: Range<usize>,
    /// Karbor's value; none if the member is missing.
    own: Option<&'b str>,
}

impl<'b> Place<'b> {
    fn of(body: &'b [u8], seen: &Seen) -> Option<Self> {
        let Some(range) = seen.extra_info.clone() else {
            // Behind the brace: the object has members, or it would not have been read.
            let start = seen.whole.start.checked_add(1)?;
            return Some(Self { range: start..start, own: None });
        };
        let own = std::str::from_utf8(body.get(range.clone())?).ok()?;
        Some(Self { range, own: Some(own) })
    }

    /// What goes there.
    fn text(&self, map: &str) -> Option<Vec<u8>> {
        let mut text = Vec::with_capacity(map.len() + map.len() / 2 + 24);
        if self.own.is_some() {
            ascii::write(&mut text, &map).ok()?;
        } else {
            text.extend_from_slice(br#""extra_info": "#);
            ascii::write(&mut text, &map).ok()?;
            text.extend_from_slice(b", ");
        }
        Some(text)
    }
}

/// What Karbor 1.0 to 1.6 say of every checkpoint, whatever its creation said (facts, section 1). So it is no
/// sign that a kept entry was altered, only that it was lost.
const CREATED_BY: [&str; 2] = ["created_by", "manual"];

fn is_created_by(key: &Option<Cow<'_, str>>, value: &Option<Cow<'_, str>>) -> bool {
    [key.as_deref(), value.as_deref()] == CREATED_BY.map(Some)
}

/// The merged map, if it differs from Karbor's.
fn merge<K: AsRef<str>, V: AsRef<str>>(
    own: Option<&str>,
    kept: &[(K, V)],
) -> Option<(Filling, Option<String>)> {
    let own = own.map_or(Some(Cow::Borrowed("")), inside);
    let (own_entries, mut altered) = match own.as_deref() {
        Some("" | "null") => (Entries::default(), false),
        Some(text) => raw::object(text).map_or((Entries::default(), true), |entries| (entries, false)),
        None => (Entries::default(), true),
    };
    // Whether Karbor's answer has it already. The standard hasher is keyed at random.
    let mut wanted: HashMap<&str, (&str, bool)> =
        kept.iter().map(|(key, value)| (key.as_ref(), (value.as_ref(), false))).collect();
    let mut merged = Merged::of(own.as_deref().map_or(0, str::len), kept);
    let mut lacking = wanted.len();
    for (key, value) in own_entries.0 {
        let (key_text, value_text) = (raw::text(key), raw::text(value));
        match key_text.as_deref().and_then(|key| wanted.get_mut(key)) {
            None => merged.own(key, value),
            Some((kept, found @ false))
                if *kept != CREATED_BY[1] && is_created_by(&key_text, &value_text) =>
            {
                *found = true;
            }
            Some((kept, found)) => {
                altered |= *found || value_text.is_none_or(|value| value != *kept);
                lacking -= usize::from(!*found);
                *found = true;
            }
        }
    }
    let filling = match (altered, lacking) {
        (true, _) => Filling::Altered,
        (false, 0) => return Some((Filling::Same, None)),
        (false, _) => Filling::Restored,
    };
    for (key, value) in kept {
        merged.kept(key.as_ref(), value.as_ref())?;
    }
    Some((filling, Some(merged.finish()?)))
}

/// The text of Karbor's map: a string's content, an object itself. None if it is neither, nor null.
fn inside(value: &str) -> Option<Cow<'_, str>> {
    match value.as_bytes().first()? {
        b'"' => {
            let value: &RawValue = serde_json::from_str(value).ok()?;
            raw::text(value)
        }
        b'{' | b'n' => Some(Cow::Borrowed(value)),
        _ => None,
    }
}

/// A map in the form Python writes it.
struct Merged(Vec<u8>);

impl Merged {
    /// With room for Karbor's own entries and those that are kept, if few bytes need an escape.
    fn of<K: AsRef<str>, V: AsRef<str>>(own_bytes: usize, kept: &[(K, V)]) -> Self {
        let kept = kept.iter().map(|(key, value)| key.as_ref().len() + value.as_ref().len() + 8);
        Self(Vec::with_capacity(own_bytes + kept.sum::<usize>() + 2))
    }

    fn own(&mut self, key: &RawValue, value: &RawValue) {
        self.begin();
        self.0.extend_from_slice(key.get().as_bytes());
        self.0.extend_from_slice(b": ");
        self.0.extend_from_slice(value.get().as_bytes());
    }

    fn kept(&mut self, key: &str, value: &str) -> Option<()> {
        self.begin();
        ascii::write(&mut self.0, &key).ok()?;
        self.0.extend_from_slice(b": ");
        ascii::write(&mut self.0, &value).ok()
    }

    fn begin(&mut self) {
        self.0.extend_from_slice(if self.0.is_empty() { b"{" } else { b", " });
    }

    fn finish(mut self) -> Option<String> {
        self.0.push(b'}');
        String::from_utf8(self.0).ok()
    }
}

/// The entries of an object, in their order and unread.
#[derive(Default)]
struct Entries<'b>(Vec<(&'b RawValue, &'b RawValue)>);

impl<'b> Deserialize<'b> for Entries<'b> {
    fn deserialize<D: Deserializer<'b>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'b> Visitor<'b> for EntriesVisitor {
    type Value = Entries<'b>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<Entries<'b>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}
