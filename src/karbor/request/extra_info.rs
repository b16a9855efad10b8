//! The map that a creation carries. Leaves to `policy` which keys and values may be in it.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

/// A map of string to string, in the order of the body. Cannot hold a key twice: only the reader of this
/// module makes one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtraInfo<'b>(Vec<(Cow<'b, str>, Cow<'b, str>)>);

impl<'b> ExtraInfo<'b> {
    /// Adds an entry. The caller has made sure that the key is new.
    pub(super) fn push(&mut self, key: Cow<'b, str>, value: Cow<'b, str>) {
        self.0.push((key, value));
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries in the order of the body, unescaped.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }
}

impl Serialize for ExtraInfo<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// An entry that was read but is not in the map: its value is not a string, its key or its whole map came
/// a second time, or the map is spelled `extra_info`. Judged like the others, because Karbor may take it
/// where the rule against it is not enforced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside<'b> {
    /// The key, unescaped.
    pub key: Cow<'b, str>,
    /// The value, where it is a string.
    pub value: Option<Cow<'b, str>>,
}
