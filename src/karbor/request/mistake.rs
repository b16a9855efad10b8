//! Where a document stops being strict JSON, and why, in words for people.
//!
//! `serde_json` reads the document once more and says so: that is rare, and its reader knows line and column. Its
//! words are for those who write parsers; one that is not in the table passes as it is.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::Finding;

/// What nesting beyond the bound is called.
pub(super) const TOO_DEEP: &str = "it is nested too deeply";

/// What `serde_json` says, and what is said here.
const WORDS: &[(&str, &str)] = &[
    ("expected value", "no JSON value begins here"),
    ("expected ident", "no JSON value begins here"),
    ("expected `:`", "a colon must follow a key"),
    ("expected `,` or `]`", "a comma or ']' must follow an item of a list"),
    ("expected `,` or `}`", "a comma or '}' must follow a member of an object"),
    ("trailing comma", "no comma may stand before a closing bracket"),
    ("key must be a string", "a key must be a string in double quotes"),
    ("invalid number", "a number is malformed"),
    ("number out of range", "a number is too large"),
    ("invalid escape", "a string has an escape that JSON does not have"),
    ("lone leading surrogate in hex escape", "a string has half of a surrogate pair"),
    ("unexpected end of hex escape", "a string has half of a surrogate pair"),
    ("invalid unicode code point", "a string is not UTF-8"),
    (
        "control character (\\u0000-\\u001F) found while parsing a string",
        "a string has a control character that is not escaped",
    ),
    ("trailing characters", "something follows the document"),
    ("recursion limit exceeded", TOO_DEEP),
];

/// The finding for a body that is no strict JSON, or nested more deeply than `max_depth`.
pub(super) fn finding<'b>(body: &[u8], max_depth: usize) -> Finding<'b> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let read = Nested { left: max_depth }.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    match read {
        Err(error) => {
            let position = Some(position(body, error.line(), error.column()));
            Finding::Malformed { position, reason: reason(body, &error) }
        }
        Ok(()) => Finding::Malformed { position: None, reason: "it is not strict JSON".into() },
    }
}

/// Reads any value, to so many levels.
#[derive(Clone, Copy)]
struct Nested {
    left: usize,
}

impl Nested {
    fn enter<E: serde::de::Error>(self) -> Result<Self, E> {
        self.left.checked_sub(1).map(|left| Self { left }).ok_or_else(|| E::custom(TOO_DEEP))
    }
}

// Never by `deserialize_ignored_any`: what it skips it does not hold to UTF-8.
impl<'d> DeserializeSeed<'d> for Nested {
    type Value = ();

    fn deserialize<D: Deserializer<'d>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'d> Visitor<'d> for Nested {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'d>>(self, mut list: A) -> Result<(), A::Error> {
        let below = self.enter()?;
        while list.next_element_seed(below)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'d>>(self, mut map: A) -> Result<(), A::Error> {
        let below = self.enter()?;
        while map.next_key_seed(Key)?.is_some() {
            map.next_value_seed(below)?;
        }
        Ok(())
    }
}

/// Reads a key.
struct Key;

impl<'d> DeserializeSeed<'d> for Key {
    type Value = ();

    fn deserialize<D: Deserializer<'d>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(Nested { left: 0 })
    }
}

/// The 1-based byte position of a line and column of `serde_json`, whose columns are bytes.
fn position(body: &[u8], line: usize, column: usize) -> u64 {
    let line_start = match line.checked_sub(2) {
        Some(earlier) => memchr::memchr_iter(b'\n', body).nth(earlier).map_or(0, |end| end + 1),
        None => 0,
    };
    u64::try_from(line_start + column).unwrap_or(u64::MAX).max(1)
}

/// What is wrong; the commonest mistakes of encoding by their name.
fn reason(body: &[u8], error: &serde_json::Error) -> Cow<'static, str> {
    match body {
        [] => "the body is empty".into(),
        [0xEF, 0xBB, 0xBF, ..] => "a byte order mark stands before the document".into(),
        [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] | [0, ..] | [_, 0, ..] => "the document is not UTF-8".into(),
        _ if error.classify() == Category::Eof => "the document ends too early".into(),
        _ => {
            let text = error.to_string();
            // The words end in the line and column, which the position replaces.
            let words = text.rfind(" at line ").map_or(&*text, |end| &text[..end]);
            let ours = WORDS.iter().find(|(theirs, _)| *theirs == words);
            ours.map_or_else(|| words.to_owned().into(), |(_, ours)| Cow::Borrowed(*ours))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::karbor::request::read_update;

    #[track_caller]
    fn check(body: &[u8], expected: &str) {
        match read_update(body, 4).last() {
            Some(Finding::Malformed { reason, .. }) => assert_eq!(reason, expected, "{body:?}"),
            other => panic!("{body:?}: {other:?}"),
        }
    }

    #[test]
    fn says_what_is_wrong_in_plain_words() {
        for early in [
            &b" "[..],
            b"{",
            b"[",
            b"{\"a\"",
            b"{\"a\":",
            b"{\"a\":1",
            b"[1",
            b"\"a",
            b"tru",
            b"1e",
            b"\"\\u00",
        ] {
            check(early, "the document ends too early");
        }
        check(b"\xef\xbb\xbf{}", "a byte order mark stands before the document");
        check(b"[\0]", "the document is not UTF-8");
        check(b"[\"\xff\"]", "a string is not UTF-8");
        check(b"{'a':1}", "a key must be a string in double quotes");
        check(b"{1:1}", "a key must be a string in double quotes");
        check(b"[NaN]", "no JSON value begins here");
        check(b"[truth]", "no JSON value begins here");
        check(b"{\"a\" 1}", "a colon must follow a key");
        check(b"[1 2]", "a comma or ']' must follow an item of a list");
        check(b"{\"a\":1 \"b\":2}", "a comma or '}' must follow a member of an object");
        check(b"[1,]", "no comma may stand before a closing bracket");
        check(b"{\"a\":1,}", "no comma may stand before a closing bracket");
        check(b"[01]", "a number is malformed");
        check(b"[1e999]", "a number is too large");
        check(b"[\"\\x\"]", "a string has an escape that JSON does not have");
        check(b"[\"\\u00g0\"]", "a string has an escape that JSON does not have");
        check(b"[\"\\ud800\\u0041\"]", "a string has half of a surrogate pair");
        check(b"[\"\\ud800\"]", "a string has half of a surrogate pair");
        check(b"[\"\\udc00\"]", "a string has half of a surrogate pair");
        check(b"[\"\n\"]", "a string has a control character that is not escaped");
        check(b"{} {}", "something follows the document");
        check(b"[[[[[]]]]]", TOO_DEEP);
    }
}
