//! A query string as WebOb reads it and Python writes it again.
//!
//! `;` separates like `&`, `+` is a space. Leaves what a parameter means to `routes` and `controller`.

use std::fmt::Write as _;

/// The parameters, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a raw query; nothing if what it decodes to is not UTF-8, which Karbor does not survive.
    pub(super) fn parse(raw: &str) -> Option<Self> {
        let pairs = raw.split(['&', ';']).filter(|part| !part.is_empty()).map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Some((decode_parameter(name)?, decode_parameter(value)?))
        });
        pairs.collect::<Option<_>>().map(Self)
    }

    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn last(&self, name: &str) -> Option<&str> {
        self.0.iter().rfind(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The same query, leading to the page after `marker`.
    pub(super) fn after(&self, marker: &str) -> String {
        let kept = self.0.iter().filter(|(name, _)| name != "marker");
        let pairs = kept.map(|(name, value)| (name.as_str(), value.as_str())).chain([("marker", marker)]);
        pairs.map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
    }
}

/// `%XX` decoded once; what is no escape stays as it is.
pub(super) fn percent_decode(raw: &str) -> Vec<u8> {
    let bytes = raw.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digit = |offset: usize| bytes.get(at + offset).and_then(|byte| char::from(*byte).to_digit(16));
        match (byte, digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                out.extend(u8::try_from(high * 16 + low));
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

fn decode_parameter(raw: &str) -> Option<String> {
    String::from_utf8(percent_decode(&raw.replace('+', " "))).ok()
}

fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            // Writing to a `String` cannot fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::Query;

    #[track_caller]
    fn check(raw: &str, next: Option<&str>) {
        assert_eq!(Query::parse(raw).map(|query| query.after("ID")).as_deref(), next, "{raw}");
    }

    #[test]
    fn writes_again_what_it_read() {
        for (raw, next) in [
            ("", "marker=ID"),
            ("limit=1", "limit=1&marker=ID"),
            ("limit=1&a=b%20c&d=%C3%A9&limit=1;q=+x&e", "limit=1&a=b+c&d=%C3%A9&limit=1&q=+x&e=&marker=ID"),
            ("marker=x&limit=1&marker=", "limit=1&marker=ID"),
            ("u=%C3%A9/:~&x=%zz&y=%", "u=%C3%A9%2F%3A~&x=%25zz&y=%25&marker=ID"),
            ("limit=1&=3&&;&&m", "limit=1&=3&m=&marker=ID"),
        ] {
            check(raw, Some(next));
        }
        check("x=%ff", None);
    }

    #[test]
    fn knows_the_first_and_the_last_of_equal_names() {
        let query = Query::parse("a=1;a=2&b").unwrap_or_default();
        assert_eq!((query.first("a"), query.last("a"), query.first("b")), (Some("1"), Some("2"), Some("")));
        assert_eq!(query.first("c"), None);
    }
}
