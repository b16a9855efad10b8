//! A kept map as it stands in its column: a JSON object, in the order in which it was sent.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserializer as _, Serializer as _};

use super::error::LedgerError;

/// The entries of a map, in the order in which they were sent.
pub type Map = Vec<(Box<str>, Box<str>)>;

/// The map as JSON.
pub(super) fn write(map: &[(Box<str>, Box<str>)]) -> Result<String, LedgerError> {
    let mut out = Vec::new();
    let written =
        serde_json::Serializer::new(&mut out).collect_map(map.iter().map(|(key, value)| (key, value)));
    let text = written.ok().and_then(|()| String::from_utf8(out).ok());
    text.ok_or(LedgerError::Unreadable("a map cannot be written"))
}

/// The map of that JSON.
pub(super) fn read(text: &str) -> Result<Map, LedgerError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    reader
        .deserialize_map(Entries)
        .map_err(|_unread| LedgerError::Unreadable("a map is not an object of strings"))
}

/// Reads an object of strings, its order kept.
pub(super) struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Map;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Map, A::Error> {
        let mut map = Map::new();
        while let Some(entry) = access.next_entry()? {
            map.push(entry);
        }
        Ok(map)
    }
}

/// A digest that never changes: it stands in the database, and is the same on both engines. Not secret, and
/// no proof: what is found by it is held against the map.
pub(super) fn digest(key: &str, value: Option<&str>) -> i64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    // FNV-1a. No key has a NUL, so the key alone and a key with a value are never the same bytes.
    let value = value.into_iter().flat_map(|value| std::iter::once(0).chain(value.bytes()));
    let digest =
        key.bytes().chain(value).fold(OFFSET, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(PRIME));
    digest.cast_signed()
}

/// Every digest that a kept map is found by.
pub(super) fn digests(map: &[(Box<str>, Box<str>)]) -> Vec<i64> {
    let mut digests: Vec<i64> =
        map.iter().flat_map(|(key, value)| [digest(key, None), digest(key, Some(value))]).collect();
    digests.sort_unstable();
    digests.dedup();
    digests
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "that is how a test fails")]

    use super::*;

    #[track_caller]
    fn check(entries: &[(&str, &str)], text: &str) {
        let map: Map = entries.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        assert_eq!(write(&map).unwrap(), text);
        assert_eq!(read(text).unwrap(), map);
    }

    #[test]
    fn keeps_order_and_every_character() {
        check(&[], "{}");
        check(&[("b", "2"), ("a", "1")], r#"{"b":"2","a":"1"}"#);
        check(&[("é \"", "\n\0\u{10ffff}")], "{\"é \\\"\":\"\\n\\u0000\u{10ffff}\"}");
    }

    #[test]
    fn refuses_what_it_does_not_write() {
        for text in ["", "[]", "null", r#"{"a":1}"#, r#"{"a":null}"#] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_digest_never_changes() {
        assert_eq!(digest("", None), 0xcbf2_9ce4_8422_2325_u64.cast_signed());
        assert_eq!(digest("a", None), 0xaf63_dc4c_8601_ec8c_u64.cast_signed());
        assert_eq!(digest("foobar", None), 0x8594_4171_f739_67e8_u64.cast_signed());
        assert_eq!(digest("a", Some("b")), digest("a\0b", None));
        assert_ne!(digest("a", Some("")), digest("a", None));
    }
}
