//! JSON as Karbor's Python reads and writes it: the last of equal keys wins, `NaN` and lone surrogates pass,
//! members keep their order, answers are ASCII.
//!
//! This leniency is the point: a request that slips past a strict reader must have its effect here too
//! (facts, section 3). Leaves the shape of bodies to `schema`.

mod read;
mod write;

#[cfg(test)]
mod tests;

pub(in crate::demo) use read::{Unreadable, parse};

/// A value. Numbers keep what Python keeps of them.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::demo) enum Json {
    Null,
    Bool(bool),
    Integer(Box<str>),
    Float(f64),
    /// A lone surrogate is held as U+FFFD.
    Text(Box<str>),
    List(Vec<Json>),
    /// No key twice.
    Map(Vec<(Box<str>, Json)>),
}

impl Json {
    pub(in crate::demo) fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    pub(in crate::demo) fn map<const N: usize>(members: [(&str, Json); N]) -> Self {
        Self::Map(members.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// The member of a map; nothing if there is none, or no map.
    pub(in crate::demo) fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Self::Map(members) => members.iter().find(|(name, _)| &**name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    pub(in crate::demo) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The document as Python's `json.dumps` writes it.
    pub(in crate::demo) fn dump(&self) -> String {
        write::dump(self)
    }

    /// The value as Python's `repr` shows it; Karbor's faults quote values so.
    pub(in crate::demo) fn repr(&self) -> String {
        write::repr(self)
    }
}
