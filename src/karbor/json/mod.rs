//! JSON where it stands: RFC 8259 and nothing beyond, in one pass over text that was held to UTF-8 once.
//!
//! Owns the structure and plain strings, which is nearly all there is in a body. A string with escapes, or a number
//! that is more than a few digits, is handed to `serde_json` by itself. What is wrong, and where, is not said: who
//! wants to know asks `serde_json` about the whole (`request::mistake`). Leaves to the callers what members mean.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

/// The text is not strict JSON from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// What a reading comes to.
pub(super) type Read<T> = Result<T, Broken>;

/// Numbers of so many digits are within every bound.
const FEW_DIGITS: usize = 15;

/// A text, and how far it was read.
#[derive(Debug)]
pub(super) struct Scanner<'b> {
    text: &'b str,
    at: usize,
    /// Whether the text is all that there was. What is not UTF-8 ends it.
    whole: bool,
    /// Whether it has no control character anywhere, so that no string needs to be looked at for one.
    calm: bool,
}

impl<'b> Scanner<'b> {
    /// At the beginning.
    pub(super) fn of(body: &'b [u8]) -> Self {
        let (text, whole) = match std::str::from_utf8(body) {
            Ok(text) => (text, true),
            Err(error) => (std::str::from_utf8(&body[..error.valid_up_to()]).unwrap_or_default(), false),
        };
        Self { text, at: 0, whole, calm: is_calm(text) }
    }

    fn rest(&self) -> &'b [u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// The next byte that is no blank, which is not read yet.
    pub(super) fn peek(&mut self) -> Read<u8> {
        let rest = self.rest();
        match rest.first() {
            Some(&byte) if byte > b' ' => return Ok(byte),
            _ => {}
        }
        let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.at += blanks;
        rest.get(blanks).copied().ok_or(Broken)
    }

    /// Reads the byte that was peeked at. Only for one of ASCII.
    pub(super) fn step(&mut self) {
        self.at += 1;
    }

    /// Reads what must come next.
    pub(super) fn take(&mut self, byte: u8) -> Read<()> {
        if self.peek()? != byte {
            return Err(Broken);
        }
        self.step();
        Ok(())
    }

    /// Nothing but blanks may be left.
    pub(super) fn end(mut self) -> Read<()> {
        match self.peek() {
            Err(Broken) if self.whole => Ok(()),
            _ => Err(Broken),
        }
    }

    /// A string, borrowed unless it is written with escapes.
    pub(super) fn string(&mut self) -> Read<Cow<'b, str>> {
        self.string_up_to(|rest| memchr::memchr2(b'"', b'\\', rest))
    }

    /// A string, where `find` says where the first quote or backslash stands.
    fn string_up_to(&mut self, find: impl FnOnce(&[u8]) -> Option<usize>) -> Read<Cow<'b, str>> {
        self.take(b'"')?;
        let start = self.at;
        let end = start + find(self.rest()).ok_or(Broken)?;
        if self.text.as_bytes()[end] == b'\\' {
            return self.escaped(start - 1, end).map(Cow::Owned);
        }
        let inside = &self.text[start..end];
        if !self.calm && !is_calm(inside) {
            return Err(Broken);
        }
        self.at = end + 1;
        Ok(Cow::Borrowed(inside))
    }

    /// The string that begins with the quote at `start` and has its first escape at `escape`.
    fn escaped(&mut self, start: usize, escape: usize) -> Read<String> {
        let bytes = self.text.as_bytes();
        let mut at = escape;
        while bytes[at] == b'\\' {
            // Whatever is escaped ends nothing.
            let after = bytes.get(at + 2..).ok_or(Broken)?;
            at += 2 + memchr::memchr2(b'"', b'\\', after).ok_or(Broken)?;
        }
        let written = self.text.get(start..=at).ok_or(Broken)?;
        self.at = at + 1;
        serde_json::from_str(written).map_err(|_unsound| Broken)
    }

    /// `null`, `true`, `false` or a number, as its first byte says.
    pub(super) fn word_or_number(&mut self, first: u8) -> Read<()> {
        let word: &[u8] = match first {
            b'n' => b"null",
            b't' => b"true",
            b'f' => b"false",
            b'-' | b'0'..=b'9' => return self.number(),
            _ => return Err(Broken),
        };
        if !self.rest().starts_with(word) {
            return Err(Broken);
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Read<()> {
        let of_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let end = self.at + self.rest().iter().take_while(|byte| of_number(byte)).count();
        let text = &self.text[self.at..end];
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_plain = (1..=FEW_DIGITS).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && (digits.len() == 1 || !digits.starts_with('0'));
        if !is_plain {
            serde_json::from_str::<f64>(text).map_err(|_unsound| Broken)?;
        }
        self.at = end;
        Ok(())
    }

    /// A value of any kind, however deep, that nobody asks for.
    pub(super) fn skip(&mut self) -> Read<()> {
        let mut open = Vec::new();
        loop {
            match self.peek()? {
                b'{' => {
                    self.step();
                    if self.peek()? != b'}' {
                        self.key()?;
                        open.push(b'}');
                        continue;
                    }
                    self.step();
                }
                b'[' => {
                    self.step();
                    if self.peek()? != b']' {
                        open.push(b']');
                        continue;
                    }
                    self.step();
                }
                b'"' => drop(self.string()?),
                first => self.word_or_number(first)?,
            }
            if self.skip_ends(&mut open)? {
                return Ok(());
            }
        }
    }

    /// After a value: reads what ends, and what comes before the next value. Whether nothing is open any more.
    fn skip_ends(&mut self, open: &mut Vec<u8>) -> Read<bool> {
        while let Some(&close) = open.last() {
            match self.peek()? {
                b',' => {
                    self.step();
                    if close == b'}' {
                        self.key()?;
                    }
                    return Ok(false);
                }
                byte if byte == close => {
                    self.step();
                    open.pop();
                }
                _ => return Err(Broken),
            }
        }
        Ok(true)
    }

    /// A key and its colon.
    pub(super) fn key(&mut self) -> Read<Cow<'b, str>> {
        let key = self.string_up_to(soon)?;
        self.take(b':')?;
        Ok(key)
    }

    /// The next key of an object that was entered, with its colon; none at the object's end, which is read too.
    /// `begun` is false before the first.
    pub(super) fn next_key(&mut self, begun: &mut bool) -> Read<Option<Cow<'b, str>>> {
        match self.peek()? {
            b'}' => {
                self.step();
                return Ok(None);
            }
            b',' if *begun => self.step(),
            _ if *begun => return Err(Broken),
            _ => *begun = true,
        }
        self.key().map(Some)
    }
}

/// Where the first quote or backslash stands, which is soon: a library's search prepares itself for long ways.
fn soon(text: &[u8]) -> Option<usize> {
    /// The most bytes that are looked at so.
    const SOON: usize = 32;
    let (words, _) = text[..text.len().min(SOON)].as_chunks();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ every(b'"')) | zeros(word ^ every(b'\\'));
        if found != 0 {
            return Some(8 * at + found.trailing_zeros() as usize / 8);
        }
    }
    let looked_at = 8 * words.len();
    memchr::memchr2(b'"', b'\\', &text[looked_at..]).map(|at| looked_at + at)
}

/// A bit in the lowest byte that is zero; those above may have one, too.
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(every(1)) & !word & every(0x80)
}

const fn every(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Whether there is no control character. Ends at none early, so that many bytes are looked at at once.
fn is_calm(text: &str) -> bool {
    text.bytes().fold(true, |calm, byte| calm & (byte >= b' '))
}
