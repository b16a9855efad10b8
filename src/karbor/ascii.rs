//! JSON that any reader shows as it is: compact, one line, printable ASCII.
//!
//! Leaves to the callers what is written.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Compact JSON in which every character beyond ASCII is escaped, DEL too.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let is_plain = |byte: u8| byte < 0x7f;
        // Without an early end, so that many bytes are looked at at once.
        if fragment.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
            return writer.write_all(fragment.as_bytes());
        }
        for character in fragment.chars() {
            let mut buffer = [0; 4];
            let encoded = character.encode_utf8(&mut buffer);
            if encoded.bytes().all(is_plain) {
                writer.write_all(encoded.as_bytes())?;
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

/// Whether `text` is printable ASCII throughout. Ends at no byte early, so that many are looked at at once.
pub(super) fn is_printable(text: &str) -> bool {
    text.bytes().fold(true, |printable, byte| printable & (b' '..0x7f).contains(&byte))
}

/// Appends `value` to `out`.
///
/// # Errors
/// If `value` cannot be JSON.
pub fn write<T: Serialize>(out: &mut Vec<u8>, value: &T) -> serde_json::Result<()> {
    value.serialize(&mut Serializer::with_formatter(out, Ascii))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let mut out = Vec::new();
        write(&mut out, &text).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn escapes_what_is_not_printable_ascii() {
        check("", r#""""#);
        check(" ~", r#"" ~""#);
        check("\"\\/", r#""\"\\/""#);
        check("a\r\n\u{1b}\u{7f}b", r#""a\r\n\u001b\u007fb""#);
        check("\u{80}\u{e9}\u{2028}\u{fffd}\u{10ffff}", r#""\u0080\u00e9\u2028\ufffd\udbff\udfff""#);
    }
}
