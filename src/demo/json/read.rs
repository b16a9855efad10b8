//! Reads JSON with the leniency of Python's reader.

use std::collections::HashMap;

use super::Json;

/// Python stops at its recursion limit; 900 levels pass, 2000 do not (facts, rows J47 to J53).
const MAX_DEPTH: usize = 950;

/// Why a body is not a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::demo) enum Unreadable {
    Malformed,
    TooDeep,
}

/// Reads one document.
pub(in crate::demo) fn parse(bytes: &[u8]) -> Result<Json, Unreadable> {
    let Ok(text) = std::str::from_utf8(bytes) else { return Err(Unreadable::Malformed) };
    let mut reader = Reader { text, at: 0 };
    reader.skip_blanks();
    let value = reader.value(0)?;
    reader.skip_blanks();
    if reader.at == text.len() { Ok(value) } else { Err(Unreadable::Malformed) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.text.as_bytes()[self.at..].starts_with(token.as_bytes());
        if found {
            self.at += token.len();
        }
        found
    }

    fn take(&mut self, token: &str) -> Result<(), Unreadable> {
        if self.eat(token) { Ok(()) } else { Err(Unreadable::Malformed) }
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json, Unreadable> {
        if depth > MAX_DEPTH {
            return Err(Unreadable::TooDeep);
        }
        for (word, value) in [
            ("null", Json::Null),
            ("true", Json::Bool(true)),
            ("false", Json::Bool(false)),
            ("NaN", Json::Float(f64::NAN)),
            ("Infinity", Json::Float(f64::INFINITY)),
            ("-Infinity", Json::Float(f64::NEG_INFINITY)),
        ] {
            if self.eat(word) {
                return Ok(value);
            }
        }
        match self.peek() {
            Some(b'"') => self.string().map(Json::Text),
            Some(b'{') => self.members(depth),
            Some(b'[') => self.items(depth),
            _ => self.number(),
        }
    }

    fn members(&mut self, depth: usize) -> Result<Json, Unreadable> {
        let mut members: Vec<(Box<str>, Json)> = Vec::new();
        let mut places: HashMap<Box<str>, usize> = HashMap::new();
        self.at += 1;
        self.skip_blanks();
        if self.eat("}") {
            return Ok(Json::Map(members));
        }
        loop {
            let key = self.string()?;
            self.skip_blanks();
            self.take(":")?;
            self.skip_blanks();
            let value = self.value(depth + 1)?;
            match places.get(&key) {
                Some(&place) => members[place].1 = value,
                None => {
                    places.insert(key.clone(), members.len());
                    members.push((key, value));
                }
            }
            self.skip_blanks();
            if self.eat("}") {
                return Ok(Json::Map(members));
            }
            self.take(",")?;
            self.skip_blanks();
        }
    }

    fn items(&mut self, depth: usize) -> Result<Json, Unreadable> {
        let mut items = Vec::new();
        self.at += 1;
        self.skip_blanks();
        if self.eat("]") {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_blanks();
            if self.eat("]") {
                return Ok(Json::List(items));
            }
            self.take(",")?;
            self.skip_blanks();
        }
    }

    fn string(&mut self) -> Result<Box<str>, Unreadable> {
        self.take("\"")?;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain =
                rest.find(|c: char| matches!(c, '"' | '\\') || c < ' ').ok_or(Unreadable::Malformed)?;
            out.push_str(&rest[..plain]);
            self.at += plain;
            if self.eat("\"") {
                return Ok(out.into());
            }
            self.take("\\")?;
            out.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Result<char, Unreadable> {
        let letter = self.peek().ok_or(Unreadable::Malformed)?;
        self.at += 1;
        Ok(match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.code_unit()?;
                let after = self.at;
                if (0xd800..0xdc00).contains(&first) && self.eat("\\u") {
                    let second = self.code_unit()?;
                    if (0xdc00..0xe000).contains(&second) {
                        let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                        return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                    self.at = after;
                }
                char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return Err(Unreadable::Malformed),
        })
    }

    fn code_unit(&mut self) -> Result<u32, Unreadable> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).ok_or(Unreadable::Malformed)?;
        self.at += 4;
        digits.iter().try_fold(0, |sum, digit| {
            char::from(*digit).to_digit(16).map(|digit| sum * 16 + digit).ok_or(Unreadable::Malformed)
        })
    }

    fn digits(&mut self) -> Result<(), Unreadable> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(Unreadable::Malformed) }
    }

    fn number(&mut self) -> Result<Json, Unreadable> {
        let start = self.at;
        self.eat("-");
        // A digit after a leading zero is left behind, and is then no delimiter.
        if !self.eat("0") {
            self.digits()?;
        }
        let mut float = self.eat(".");
        if float {
            self.digits()?;
        }
        if self.eat("e") || self.eat("E") {
            float = true;
            if !self.eat("+") {
                self.eat("-");
            }
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        if float {
            return text.parse().ok().map(Json::Float).ok_or(Unreadable::Malformed);
        }
        Ok(Json::Integer(if text == "-0" { "0" } else { text }.into()))
    }
}
