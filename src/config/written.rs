//! Keys and values as TOML text, for messages and for the effective configuration.

use std::fmt::{self, Write};
use std::rc::Rc;

use figment::value::{Dict, Num, Value};

use super::problem::Found;

/// The most characters of a value that a message shows.
const SHOWN_CHARS: usize = 80;

/// The names that lead to a setting or a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyPath(Vec<Rc<str>>);

impl KeyPath {
    /// The path of those names, separated by dots; for names of ours, which have none within.
    pub(super) fn of(dotted: &str) -> Self {
        Self(dotted.split('.').map(Rc::from).collect())
    }

    /// The path one name further.
    pub(super) fn child(&self, name: &str) -> Self {
        let mut names = Vec::with_capacity(self.0.len() + 1);
        names.extend_from_slice(&self.0);
        names.push(name.into());
        Self(names)
    }

    /// The path one name shorter; none for the root.
    pub(super) fn parent(&self) -> Option<Self> {
        self.0.split_last().map(|(_, rest)| Self(rest.to_vec()))
    }

    /// The names, outermost first.
    pub(super) fn names(&self) -> &[Rc<str>] {
        &self.0
    }

    /// What stands there.
    pub(super) fn find<'v>(&self, values: &'v Dict) -> Option<&'v Value> {
        let (first, rest) = self.0.split_first()?;
        rest.iter().try_fold(values.get(&**first)?, |value, name| match value {
            Value::Dict(_, table) => table.get(&**name),
            _ => None,
        })
    }

    /// The table that stands there, if anything does.
    pub(super) fn find_table<'v>(&self, values: &'v Dict) -> Result<Option<&'v Dict>, NotATable> {
        let mut table = values;
        for name in &self.0 {
            table = match table.get(&**name) {
                None => return Ok(None),
                Some(Value::Dict(_, table)) => table,
                Some(_) => return Err(NotATable),
            };
        }
        Ok(Some(table))
    }
}

/// A value stands there, or on the way there, that has nothing in it.
pub(super) struct NotATable;

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            f.write_str(&name_as_toml(name))?;
        }
        Ok(())
    }
}

/// A name, quoted where TOML needs it.
pub(super) fn name_as_toml(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !name.is_empty() && name.bytes().all(bare) { name.to_owned() } else { text_as_toml(name) }
}

/// A basic string.
pub(super) fn text_as_toml(text: &str) -> String {
    let mut written = String::with_capacity(text.len() + 2);
    written.push('"');
    for char in text.chars() {
        match char {
            '"' => written.push_str("\\\""),
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\t' => written.push_str("\\t"),
            char if char.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(written, "\\u{:04X}", u32::from(char));
            }
            char => written.push(char),
        }
    }
    written.push('"');
    written
}

/// A value on one line.
pub(super) fn as_toml(value: &Value) -> String {
    match value {
        Value::String(_, text) => text_as_toml(text),
        Value::Char(_, char) => text_as_toml(char.encode_utf8(&mut [0; 4])),
        Value::Bool(_, flag) => flag.to_string(),
        Value::Num(_, Num::F32(number)) => format!("{number:?}"),
        Value::Num(_, Num::F64(number)) => format!("{number:?}"),
        Value::Num(_, number) => match number.to_i128() {
            Some(number) => number.to_string(),
            None => number.to_u128().unwrap_or(u128::MAX).to_string(),
        },
        Value::Empty(..) => "{}".to_owned(),
        Value::Dict(_, table) => {
            let pairs: Vec<String> = table
                .iter()
                .map(|(name, value)| format!("{} = {}", name_as_toml(name), as_toml(value)))
                .collect();
            if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) }
        }
        Value::Array(_, items) => {
            format!("[{}]", items.iter().map(as_toml).collect::<Vec<_>>().join(", "))
        }
    }
}

/// A value for a message: short, and without a password that an address may hold.
pub(super) fn shown(value: &Value) -> String {
    let text = match value {
        Value::Dict(..) => return "a table".to_owned(),
        value => without_password(&as_toml(value)),
    };
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// What a problem with a value shows.
pub(super) fn found(value: &Value) -> Found {
    Found::Value(shown(value).into())
}

fn without_password(text: &str) -> String {
    let Some((before, host)) = text.rsplit_once('@') else { return text.to_owned() };
    match before.split_once("://") {
        Some((scheme, _)) => format!("{scheme}://…@{host}"),
        None => format!("\"…@{host}"),
    }
}
