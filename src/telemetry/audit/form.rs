//! One JSON object, field by field, in printable ASCII.
//!
//! By hand: names are constants and most texts need no escape, while a library looks at each byte of both. Leaves
//! which fields there are to `line`.

use std::fmt::Display;
use std::io::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use crate::karbor::ascii;
use crate::wire::Origin;

/// An object under way.
pub(super) struct Form(Vec<u8>);

impl Form {
    pub(super) fn new() -> Self {
        let mut out = Vec::with_capacity(768);
        out.push(b'{');
        Self(out)
    }

    /// The whole object.
    pub(super) fn close(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }

    fn name(&mut self, name: &str) {
        if self.0.last() != Some(&b'{') {
            self.0.push(b',');
        }
        self.0.push(b'"');
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    /// A text; nothing for none.
    pub(super) fn text<'t>(&mut self, name: &str, text: impl Into<Option<&'t str>>) {
        let Some(text) = text.into() else { return };
        self.name(name);
        // Without an early end, so that many bytes are looked at at once.
        let plain = |byte: u8| (b' '..0x7f).contains(&byte) & (byte != b'"') & (byte != b'\\');
        if text.bytes().fold(true, |all, byte| all & plain(byte)) {
            self.0.push(b'"');
            self.0.extend_from_slice(text.as_bytes());
            self.0.push(b'"');
        } else {
            // A text in memory: writing it cannot fail.
            let _written = ascii::write(&mut self.0, &text);
        }
    }

    /// What is shown in letters, digits and the like alone, as a text; nothing for none.
    pub(super) fn id(&mut self, name: &str, id: Option<impl Display>) {
        let Some(id) = id else { return };
        self.name(name);
        let _written = write!(self.0, "\"{id}\"");
    }

    pub(super) fn origin(&mut self, name: &str, origin: Origin) {
        let Some(IpAddr::V4(address)) = origin.address() else { return self.id(name, Some(origin)) };
        self.name(name);
        for (at, octet) in address.octets().into_iter().enumerate() {
            self.0.push(if at == 0 { b'"' } else { b'.' });
            self.digits(octet.into());
        }
        self.0.push(b'"');
    }

    /// A number; nothing for none.
    pub(super) fn number(&mut self, name: &str, number: Option<u64>) {
        let Some(number) = number else { return };
        self.name(name);
        self.digits(number);
    }

    /// A truth; nothing for none.
    pub(super) fn flag(&mut self, name: &str, flag: Option<bool>) {
        let Some(flag) = flag else { return };
        self.name(name);
        self.0.extend_from_slice(if flag { b"true" } else { b"false" });
    }

    /// Seconds, to whole microseconds: more digits would be noise. Nothing for none.
    pub(super) fn seconds(&mut self, name: &str, duration: Option<Duration>) {
        let Some(duration) = duration else { return };
        self.name(name);
        self.digits(duration.as_secs());
        let mut micros = duration.subsec_micros();
        let mut text = *b".000000";
        for place in text[1..].iter_mut().rev() {
            *place = b"0123456789"[(micros % 10) as usize];
            micros /= 10;
        }
        self.0.extend_from_slice(&text);
    }

    /// A list of objects.
    pub(super) fn list<I>(&mut self, name: &str, items: &[I], write: impl Fn(&mut Self, &I)) {
        self.name(name);
        for (at, item) in items.iter().enumerate() {
            self.0.extend_from_slice(if at == 0 { b"[{" } else { b",{" });
            write(self, item);
            self.0.push(b'}');
        }
        self.0.extend_from_slice(if items.is_empty() { b"[]" } else { b"]" });
    }

    fn digits(&mut self, number: u64) {
        let _written = ascii::write(&mut self.0, &number);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(fill: impl FnOnce(&mut Form), expected: Value) {
        let mut form = Form::new();
        fill(&mut form);
        let text = String::from_utf8(form.close()).unwrap();
        assert!(text.bytes().all(|byte| (b' '..0x7f).contains(&byte)), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected, "{text}");
    }

    #[test]
    fn texts_of_any_kind_are_read_back() {
        for text in ["", " ~", "a\"b", "\\", "a\r\n\t\u{0}\u{1b}\u{7f}", "\u{e9}\u{2028}\u{1d11e}"] {
            check(|form| form.text("t", text), json!({ "t": text }));
        }
    }

    #[test]
    fn what_is_not_there_has_no_name() {
        let nothing = |form: &mut Form| {
            form.text("a", None);
            form.id("b", None::<u8>);
            form.number("c", None);
            form.flag("d", None);
            form.seconds("e", None);
        };
        check(nothing, json!({}));
    }

    #[test]
    fn origins_numbers_and_times() {
        for origin in [
            Origin::from(IpAddr::from([0, 10, 255, 1])),
            Origin::from(IpAddr::from([1, 0, 0, 0, 0, 0, 0, 2_u16])),
            Origin::Unix,
        ] {
            check(|form| form.origin("o", origin), json!({ "o": origin.to_string() }));
        }
        for number in [0, 7, u64::MAX] {
            check(|form| form.number("n", Some(number)), json!({ "n": number }));
        }
        for (micros, seconds) in [(0, 0.0), (1, 0.000_001), (1_020_300, 1.0203), (60_999_999, 60.999_999)] {
            check(|form| form.seconds("s", Some(Duration::from_micros(micros))), json!({ "s": seconds }));
        }
    }

    #[test]
    fn lists_of_objects() {
        let each = |form: &mut Form, item: &u64| form.number("i", Some(*item).filter(|item| *item > 0));
        check(|form| form.list("l", &[], each), json!({ "l": [] }));
        check(|form| form.list("l", &[1, 0, 2], each), json!({ "l": [{ "i": 1 }, {}, { "i": 2 }] }));
    }
}
