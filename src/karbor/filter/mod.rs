//! The query of a list: which maps are wanted, and which page.
//!
//! `extra-info.KEY=VALUE` asks for checkpoints whose map has exactly this entry, `extra-info.KEY` for those
//! that have the key; several are all to hold. Karbor's own reader of queries (WebOb 1.8) decides what a
//! parameter is: `&` and `;` separate, `+` is a space, `%XX` is decoded once, names count when decoded.
//!
//! Leaves to the callers whose checkpoints these are, and the asking.

use std::fmt;

use super::target::{Octet, octets};
use super::{CheckpointId, is_plain_id};

#[cfg(test)]
mod tests;

/// What a filter's name begins with; the key follows.
pub const PREFIX: &str = "extra-info.";
/// The most terms of one query.
pub const MAX_TERMS: usize = 16;
/// The longest key that Karbor takes, in bytes (facts, section 3).
pub const MAX_KEY_BYTES: usize = 255;
/// The longest value that can be asked for, in bytes.
pub const MAX_VALUE_BYTES: usize = 4096;

/// One thing that a map must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The key; unique among the terms of a query.
    pub key: Box<str>,
    /// Exactly this value, or any.
    pub value: Option<Box<str>>,
}

/// Why a filter cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterError {
    /// A parameter that looks like a filter and is none. Karbor would list everything.
    Spelling,
    /// `extra-info.` and no key.
    NoKey,
    /// No map can have such a key.
    Key,
    /// Over [`MAX_VALUE_BYTES`].
    Value,
    /// Over [`MAX_TERMS`].
    TooMany,
    /// One key is to have two values.
    Contradiction,
    /// A parameter beside the filter, or the filter itself, is not UTF-8.
    NotUtf8,
    /// `limit` is not a positive number.
    Limit,
    /// `marker` is no id.
    Marker,
}

impl FilterError {
    /// What is wrong, one line.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Spelling => "a query parameter looks like a filter by extra-info, and is none",
            Self::NoKey => "a filter by extra-info names no key",
            Self::Key => "a filter by extra-info names a key that no checkpoint can have",
            Self::Value => "a filter by extra-info asks for a value that is too long",
            Self::TooMany => "there are too many filters by extra-info",
            Self::Contradiction => "a filter by extra-info asks for two values of one key",
            Self::NotUtf8 => "the query is not UTF-8",
            Self::Limit => "limit is not a positive number",
            Self::Marker => "marker is not the id of a checkpoint",
        }
    }

    /// What would be right, one line.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Spelling | Self::NoKey => "write extra-info.KEY=VALUE, or extra-info.KEY for any value",
            Self::Key => "keys are 1 to 255 letters, digits, '-', '_', ':', '.', '#' and spaces",
            Self::Value => "at most 4096 bytes",
            Self::TooMany => "at most 16",
            Self::Contradiction => "filters are all to hold, so no checkpoint could match: ask once for each",
            Self::NotUtf8 => "percent-encode UTF-8",
            Self::Limit => "digits only, 1 or more",
            Self::Marker => "the id of the last checkpoint of the page before",
        }
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.text(), self.hint())
    }
}

impl std::error::Error for FilterError {}

/// The query of a list that is filtered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// What must hold; at least one.
    pub terms: Vec<Term>,
    /// The most checkpoints of one page, 1 or more. Karbor cuts it to 1000, or what its deployer set.
    pub limit: Option<u32>,
    /// The last checkpoint of the page before.
    pub marker: Option<CheckpointId>,
    /// As it came, less the marker.
    given: String,
    /// What is Karbor's: less the filters, `limit` and `marker`.
    rest: String,
}

impl ListQuery {
    /// The query for a page of Karbor's: the parameters that are Karbor's own as they came, and these.
    #[must_use]
    pub fn for_karbor(&self, limit: u32, marker: Option<&CheckpointId>) -> String {
        let mut query = self.rest.clone();
        append(&mut query, &format!("limit={limit}"));
        if let Some(marker) = marker {
            append(&mut query, &format!("marker={marker}"));
        }
        query
    }

    /// The query for the page behind `marker`, filters and all, as Karbor's own links have it.
    #[must_use]
    pub fn after(&self, marker: &CheckpointId) -> String {
        let mut query = self.given.clone();
        append(&mut query, &format!("marker={marker}"));
        query
    }
}

/// Reads the query of a list. None where there is no filter, and then the query is not ours to judge.
///
/// # Errors
/// The first reason why a filter cannot be followed; also where a parameter only looks like a filter,
/// because Karbor would leave it unread and list everything.
pub fn read_query(query: Option<&str>) -> Result<Option<ListQuery>, FilterError> {
    let Some(query) = query else { return Ok(None) };
    // No parameter of Karbor's has an x in its name, and no id has one.
    if memchr::memchr3(b'x', b'X', b'%', query.as_bytes()).is_none() {
        return Ok(None);
    }
    let mut reading = Reading::default();
    for part in query.split(['&', ';']).filter(|part| !part.is_empty()) {
        reading.take(part)?;
    }
    reading.finish()
}

/// What was read so far.
#[derive(Default)]
struct Reading<'q> {
    terms: Vec<Term>,
    /// Karbor takes the first of several.
    limit: Option<&'q str>,
    marker: Option<&'q str>,
    given: String,
    rest: String,
    broken: bool,
}

impl<'q> Reading<'q> {
    fn take(&mut self, part: &'q str) -> Result<(), FilterError> {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (part, None),
        };
        let name = decode(name);
        if let Some(key) = name.strip_prefix(PREFIX.as_bytes()) {
            append(&mut self.given, part);
            return self.term(key, value);
        }
        if looks_like_a_filter(&name) {
            return Err(FilterError::Spelling);
        }
        if name != b"marker" {
            append(&mut self.given, part);
        }
        match &*name {
            b"limit" => _ = self.limit.get_or_insert(value.unwrap_or_default()),
            b"marker" => _ = self.marker.get_or_insert(value.unwrap_or_default()),
            _ => {
                append(&mut self.rest, part);
                self.broken |= !is_utf8(&name) || value.is_some_and(|value| !is_utf8(&decode(value)));
            }
        }
        Ok(())
    }

    fn term(&mut self, key: &[u8], value: Option<&str>) -> Result<(), FilterError> {
        if key.is_empty() {
            return Err(FilterError::NoKey);
        }
        let key = std::str::from_utf8(key).map_err(|_not_utf8| FilterError::NotUtf8)?;
        if key.len() > MAX_KEY_BYTES || !key.bytes().all(is_key_byte) {
            return Err(FilterError::Key);
        }
        let value = match value {
            Some(value) => Some(wanted_value(value)?),
            None => None,
        };
        if let Some(same) = self.terms.iter_mut().find(|term| *term.key == *key) {
            if same.value.is_some() && value.is_some() && same.value != value {
                return Err(FilterError::Contradiction);
            }
            same.value = same.value.take().or(value);
            return Ok(());
        }
        if self.terms.len() >= MAX_TERMS {
            return Err(FilterError::TooMany);
        }
        self.terms.push(Term { key: key.into(), value });
        Ok(())
    }

    fn finish(self) -> Result<Option<ListQuery>, FilterError> {
        if self.terms.is_empty() {
            return Ok(None);
        }
        if self.broken {
            return Err(FilterError::NotUtf8);
        }
        Ok(Some(ListQuery {
            terms: self.terms,
            limit: self.limit.map(page_size).transpose()?,
            marker: self.marker.map(page_marker).transpose()?,
            given: self.given,
            rest: self.rest,
        }))
    }
}

/// One parameter's name or value, decoded. A percent sign that encodes nothing stands for itself.
fn decode(text: &str) -> Vec<u8> {
    let byte = |octet| match octet {
        Octet::Plain(b'+') => b' ',
        Octet::Plain(byte) | Octet::Encoded(byte, _) => byte,
        Octet::Broken => b'%',
    };
    octets(text).map(byte).collect()
}

fn is_utf8(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok()
}

/// What stands in a key that Karbor takes (facts, section 3).
fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_:.# ".contains(&byte)
}

/// Whether somebody meant a filter: `extra_info.KEY`, `Extra-Info[KEY]`, `extrainfo`.
fn looks_like_a_filter(name: &[u8]) -> bool {
    let letters = name.iter().filter(|byte| !b"-_ ".contains(byte)).map(u8::to_ascii_lowercase);
    letters.take(b"extrainfo".len()).eq(*b"extrainfo")
}

fn wanted_value(value: &str) -> Result<Box<str>, FilterError> {
    let value = String::from_utf8(decode(value)).map_err(|_not_utf8| FilterError::NotUtf8)?;
    if value.len() > MAX_VALUE_BYTES { Err(FilterError::Value) } else { Ok(value.into()) }
}

/// Stricter than Karbor, which takes what Python takes for a number.
fn page_size(value: &str) -> Result<u32, FilterError> {
    let digits = decode(value);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(FilterError::Limit);
    }
    let size = digits
        .iter()
        .fold(0u32, |size, digit| size.saturating_mul(10).saturating_add(u32::from(digit - b'0')));
    if size == 0 { Err(FilterError::Limit) } else { Ok(size) }
}

/// An empty marker is refused: Karbor looks for a checkpoint of that name.
fn page_marker(value: &str) -> Result<CheckpointId, FilterError> {
    let marker = String::from_utf8(decode(value)).map_err(|_not_utf8| FilterError::Marker)?;
    if is_plain_id(&marker) { Ok(CheckpointId::new(marker)) } else { Err(FilterError::Marker) }
}

fn append(query: &mut String, part: &str) {
    if !query.is_empty() {
        query.push('&');
    }
    query.push_str(part);
}
