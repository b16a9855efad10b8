//! One JSON object, field by field, in printable ASCII.
//!
//! By hand: names are constants and most texts need no escape, while a library looks at each byte of both. Leaves
//! which fields there are to the callers.

use std::fmt::Display;
use std::io::Write as _;

use super::ascii;
use super::request_id::RequestId;

/// An object under way.
#[derive(Debug)]
pub struct Form(Vec<u8>);

impl Form {
    /// An object without a field yet, and room for so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let mut out = Vec::with_capacity(bytes);
        out.push(b'{');
        Self(out)
    }

    /// The whole object.
    #[must_use]
    pub fn close(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }

    /// Whatever `write` makes of it: JSON in printable ASCII.
    pub fn field(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        if self.0.last() != Some(&b'{') {
            self.0.push(b',');
        }
        self.0.push(b'"');
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
        write(&mut self.0);
    }

    /// A text; nothing for none.
    pub fn text<'t>(&mut self, name: &str, text: impl Into<Option<&'t str>>) {
        if let Some(text) = text.into() {
            self.field(name, |out| write_text(out, text));
        }
    }

    /// A text; null for none.
    pub fn text_or_null(&mut self, name: &str, text: Option<&str>) {
        self.field(name, |out| match text {
            Some(text) => write_text(out, text),
            None => out.extend_from_slice(b"null"),
        });
    }

    /// What is shown in letters, digits and the like alone, as a text; nothing for none.
    pub fn id(&mut self, name: &str, id: Option<impl Display>) {
        if let Some(id) = id {
            // In memory: writing cannot fail.
            self.field(name, |out| drop(write!(out, "\"{id}\"")));
        }
    }

    /// An id of a request; nothing for none.
    pub fn request_id(&mut self, name: &str, id: Option<RequestId>) {
        if let Some(id) = id {
            self.field(name, |out| write_plain(out, &id.text()));
        }
    }

    /// A number; nothing for none.
    pub fn number(&mut self, name: &str, number: Option<u64>) {
        if let Some(number) = number {
            self.field(name, |out| write_digits(out, number));
        }
    }

    /// A number; null for none.
    pub fn number_or_null(&mut self, name: &str, number: Option<u64>) {
        self.field(name, |out| match number {
            Some(number) => write_digits(out, number),
            None => out.extend_from_slice(b"null"),
        });
    }

    /// A truth; nothing for none.
    pub fn flag(&mut self, name: &str, flag: Option<bool>) {
        if let Some(flag) = flag {
            self.field(name, |out| out.extend_from_slice(if flag { b"true" } else { b"false" }));
        }
    }

    /// An object.
    pub fn object(&mut self, name: &str, write: impl FnOnce(&mut Self)) {
        self.field(name, |out| out.push(b'{'));
        write(self);
        self.0.push(b'}');
    }

    /// A list of objects.
    pub fn list<I>(&mut self, name: &str, items: &[I], write: impl Fn(&mut Self, &I)) {
        self.field(name, |out| out.push(b'['));
        for (at, item) in items.iter().enumerate() {
            self.0.extend_from_slice(if at == 0 { b"{" } else { b",{" });
            write(self, item);
            self.0.push(b'}');
        }
        self.0.push(b']');
    }
}

/// A text in double quotes.
fn write_text(out: &mut Vec<u8>, text: &str) {
    // Without an early end, so that many bytes are looked at at once.
    let plain = |byte: u8| (b' '..0x7f).contains(&byte) & (byte != b'"') & (byte != b'\\');
    if text.bytes().fold(true, |all, byte| all & plain(byte)) {
        write_plain(out, text.as_bytes());
    } else {
        // A text in memory: writing it cannot fail.
        let _written = ascii::write(out, &text);
    }
}

/// What needs no escape, in double quotes.
fn write_plain(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}

/// A number in digits.
pub fn write_digits(out: &mut Vec<u8>, number: u64) {
    let _written = ascii::write(out, &number);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(fill: impl FnOnce(&mut Form), expected: Value) {
        let mut form = Form::new(64);
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
        };
        check(nothing, json!({}));
    }

    #[test]
    fn nulls_numbers_and_objects() {
        for number in [0, 7, u64::MAX] {
            check(|form| form.number("n", Some(number)), json!({ "n": number }));
            check(|form| form.number_or_null("n", Some(number)), json!({ "n": number }));
        }
        check(|form| form.number_or_null("n", None), json!({ "n": null }));
        check(|form| form.text_or_null("t", None), json!({ "t": null }));
        check(|form| form.text_or_null("t", Some("\"")), json!({ "t": "\"" }));
        check(|form| form.flag("f", Some(false)), json!({ "f": false }));
        let inner = |form: &mut Form| {
            form.object("o", |form| form.number("a", Some(1)));
            form.object("p", |_| {});
        };
        check(inner, json!({ "o": { "a": 1 }, "p": {} }));
    }

    #[test]
    fn lists_of_objects() {
        let each = |form: &mut Form, item: &u64| form.number("i", Some(*item).filter(|item| *item > 0));
        check(|form| form.list("l", &[], each), json!({ "l": [] }));
        check(|form| form.list("l", &[1, 0, 2], each), json!({ "l": [{ "i": 1 }, {}, { "i": 2 }] }));
    }
}
