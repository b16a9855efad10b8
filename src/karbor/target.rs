//! Request target → canonical target, or why it is refused.
//!
//! What is forwarded is what was judged: Karbor decodes a path once and merges slashes (facts, section 2),
//! so the canonical form has nothing left to decode or merge that could change its meaning. In order:
//!
//! 1. The target is a path, or an absolute `http`/`https` URI, whose authority then replaces `Host`.
//! 2. Every byte is printable ASCII; `%` is followed by two hexadecimal digits.
//! 3. Decoded once, the path has no control character, no encoded slash, no backslash.
//! 4. Encoded unreserved characters are decoded; other encodings are written in upper case.
//! 5. Runs of slashes become one.
//! 6. No segment is `.` or `..`.
//! 7. The query, raw or decoded once, does not contain `_method`. It travels as it came.
//!
//! Leaves what a path means to `route`.

use std::borrow::Cow;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

use crate::wire::Refusal;

/// A request target in canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    path_and_query: PathAndQuery,
    authority: Option<Authority>,
}

impl Target {
    /// The canonical form of a request's target.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn of(uri: Uri) -> Result<Self, Refusal> {
        let parts = uri.into_parts();
        let absolute = parts.scheme.is_some();
        if parts.scheme.is_some_and(|scheme| scheme != Scheme::HTTP && scheme != Scheme::HTTPS) {
            return Err(Refusal::TargetForm);
        }
        let Some(given) = parts.path_and_query else {
            return Err(Refusal::TargetForm);
        };
        if !given.path().starts_with('/') || (parts.authority.is_some() && !absolute) {
            return Err(Refusal::TargetForm);
        }
        if !given.as_str().bytes().fold(true, |graphic, byte| graphic & byte.is_ascii_graphic()) {
            return Err(Refusal::TargetByte);
        }
        if let Some(query) = given.query() {
            check_query(query)?;
        }
        let path_and_query = match canonical_path(given.path())? {
            // An absolute target may leave its path out, or its text may hold more than path and query.
            None if absolute => join(given.path().to_owned(), given.query())?,
            None => given,
            Some(path) => join(path, given.query())?,
        };
        Ok(Self { path_and_query, authority: parts.authority })
    }

    /// The canonical path.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path_and_query.path()
    }

    /// What is forwarded.
    #[must_use]
    pub const fn path_and_query(&self) -> &PathAndQuery {
        &self.path_and_query
    }

    /// What is forwarded, by value.
    #[must_use]
    pub fn into_path_and_query(self) -> PathAndQuery {
        self.path_and_query
    }

    /// The authority of a target in absolute form: it takes the place of `Host` (RFC 9112, 3.2.2).
    #[must_use]
    pub const fn authority(&self) -> Option<&Authority> {
        self.authority.as_ref()
    }
}

/// A canonical segment as Karbor reads it: decoded once. Bytes that are not UTF-8 stay encoded.
#[must_use]
pub fn decode_segment(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    let decoded = octets(segment)
        .map(|octet| match octet {
            Octet::Plain(byte) | Octet::Encoded(byte, _) => byte,
            Octet::Broken => b'%',
        })
        .collect();
    String::from_utf8(decoded).map_or(Cow::Borrowed(segment), Cow::Owned)
}

/// One byte of a percent-encoded text.
pub(super) enum Octet {
    /// As it stands.
    Plain(u8),
    /// What two hexadecimal digits stand for, and the digits as written.
    Encoded(u8, [u8; 2]),
    /// A percent sign without two hexadecimal digits; what follows it comes next.
    Broken,
}

pub(super) fn octets(text: &str) -> impl Iterator<Item = Octet> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let (&byte, tail) = rest.split_first()?;
        rest = tail;
        if byte != b'%' {
            return Some(Octet::Plain(byte));
        }
        let Some((&digits, after)) = tail.split_first_chunk::<2>() else {
            return Some(Octet::Broken);
        };
        let Some(value) = value_of(digits) else { return Some(Octet::Broken) };
        rest = after;
        Some(Octet::Encoded(value, digits))
    })
}

/// The byte that two hexadecimal digits stand for.
fn value_of(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}

fn join(mut path: String, query: Option<&str>) -> Result<PathAndQuery, Refusal> {
    if let Some(query) = query {
        path.push('?');
        path.push_str(query);
    }
    PathAndQuery::try_from(path).map_err(|_unusable| Refusal::TargetByte)
}

/// `None` if the path is canonical as it stands.
fn canonical_path(path: &str) -> Result<Option<String>, Refusal> {
    if is_plain(path.as_bytes()) {
        return Ok(None);
    }
    if path.contains('\\') {
        return Err(Refusal::TargetSlash);
    }
    let decoded = decode_unreserved(path)?;
    let mut canonical = String::with_capacity(decoded.len());
    for segment in decoded.split('/').filter(|segment| !segment.is_empty()) {
        if segment == "." || segment == ".." {
            return Err(Refusal::TargetDots);
        }
        canonical.push('/');
        canonical.push_str(segment);
    }
    if decoded.ends_with('/') {
        canonical.push('/');
    }
    Ok(if canonical == path { None } else { Some(canonical) })
}

/// Whether nothing in it could be written in another way, or refused. Ends at no byte early: so the compiler looks
/// at many at once.
fn is_plain(path: &[u8]) -> bool {
    let alone = path.iter().fold(true, |plain, &byte| plain & (byte != b'%') & (byte != b'\\'));
    let pairs = path.iter().zip(path.get(1..).unwrap_or_default());
    pairs.fold(alone, |plain, (&one, &next)| plain & ((one != b'/') | ((next != b'/') & (next != b'.'))))
}

fn decode_unreserved(path: &str) -> Result<String, Refusal> {
    let mut decoded = String::with_capacity(path.len());
    for octet in octets(path) {
        match octet {
            Octet::Plain(byte) => decoded.push(char::from(byte)),
            Octet::Broken => return Err(Refusal::TargetPercent),
            Octet::Encoded(0..0x20 | 0x7f, _) => return Err(Refusal::TargetControl),
            Octet::Encoded(b'/' | b'\\', _) => return Err(Refusal::TargetSlash),
            Octet::Encoded(value, _) if value.is_ascii_alphanumeric() || b"-._~".contains(&value) => {
                decoded.push(char::from(value));
            }
            Octet::Encoded(_, digits) => {
                decoded.push('%');
                decoded.extend(digits.map(|digit| char::from(digit.to_ascii_uppercase())));
            }
        }
    }
    Ok(decoded)
}

/// Karbor's router looks for `_method` in the raw text, but takes the parameter from the decoded one
/// (facts, section 2): either is refused, wherever it stands.
fn check_query(query: &str) -> Result<(), Refusal> {
    let bytes = query.as_bytes();
    if has_override(bytes) {
        return Err(Refusal::MethodOverride);
    }
    if memchr::memchr(b'%', bytes).is_none() {
        return Ok(());
    }
    let decoded: Vec<u8> = octets(query)
        .map(|octet| match octet {
            Octet::Plain(byte) | Octet::Encoded(byte, _) => Ok(byte),
            Octet::Broken => Err(Refusal::TargetPercent),
        })
        .collect::<Result<_, _>>()?;
    if has_override(&decoded) { Err(Refusal::MethodOverride) } else { Ok(()) }
}

/// A searcher for the whole word takes longer to set up than to look for its first byte.
fn has_override(query: &[u8]) -> bool {
    memchr::memchr_iter(b'_', query).any(|at| query[at..].starts_with(b"_method"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(target: &str, expected: Result<&str, Refusal>) {
        let found = Target::of(target.parse().unwrap());
        assert_eq!(found.as_ref().map(|target| target.path_and_query.as_str()), expected.as_ref().copied());
    }

    #[test]
    fn writes_a_path_in_one_form() {
        check("/a/b?c=%64", Ok("/a/b?c=%64"));
        check("/%61%2d%7E%5f%2E1", Ok("/a-~_.1"));
        check("/%c3%A9%20", Ok("/%C3%A9%20"));
        check("//a//b//", Ok("/a/b/"));
        check("/%2561", Ok("/%2561"));
    }

    #[test]
    fn refuses_what_has_no_certain_form() {
        for (target, refusal) in [
            ("/a%", Refusal::TargetPercent),
            ("/a%4", Refusal::TargetPercent),
            ("/a%4g", Refusal::TargetPercent),
            ("/%+1", Refusal::TargetPercent),
            ("/%%61", Refusal::TargetPercent),
            ("/a%00", Refusal::TargetControl),
            ("/a%1F", Refusal::TargetControl),
            ("/a%7f", Refusal::TargetControl),
            ("/a%2fb", Refusal::TargetSlash),
            ("/a%5Cb", Refusal::TargetSlash),
            ("/%2e%2E/a", Refusal::TargetDots),
            ("/a?b=%4", Refusal::TargetPercent),
            ("/a?_method=PUT", Refusal::MethodOverride),
            ("/a?%5fmetho%64=PUT", Refusal::MethodOverride),
        ] {
            check(target, Err(refusal));
        }
        check("/a?%255fmethod=PUT", Ok("/a?%255fmethod=PUT"));
    }

    #[test]
    fn decodes_a_segment_once() {
        for (segment, decoded) in [
            ("a-b", "a-b"),
            ("%C3%A9%20", "\u{e9} "),
            ("%2541", "%41"),
            ("%41%FF", "%41%FF"),
            ("%41%", "A%"),
            ("%4g%41", "%4gA"),
        ] {
            assert_eq!(decode_segment(segment), decoded);
        }
    }
}
