//! What we need to know of a certificate that others have verified, or that is ours: until when it holds,
//! its subject, its names. A reader of just so much DER (X.690; RFC 5280, section 4.1). Pure.

use std::fmt::Write as _;

/// What stands in a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// From when it holds, in seconds since 1970.
    pub(super) not_before: i64,
    /// Until when.
    pub(super) not_after: i64,
    /// Its subject as RFC 4514 writes it, without control characters, cut to [`SUBJECT_BYTES`].
    pub(super) subject: String,
    /// Its DNS names, in lower case.
    pub(super) names: Vec<String>,
}

/// The most bytes of a subject.
pub(super) const SUBJECT_BYTES: usize = 256;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
const OCTETS: u8 = 0x04;
const UTC_TIME: u8 = 0x17;
const GENERAL_TIME: u8 = 0x18;
/// The explicit tags of the version and of the extensions.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// `dNSName` among the alternative names.
const DNS_NAME: u8 = 0x82;
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

/// Reads a certificate; nothing if it is none.
pub(super) fn read(der: &[u8]) -> Option<Facts> {
    let mut whole = Der(der).enter(SEQUENCE)?;
    let mut body = whole.enter(SEQUENCE)?;
    if body.0.first() == Some(&VERSION) {
        body.next()?;
    }
    // The serial number, the algorithm, the issuer.
    for _ in 0..3 {
        body.next()?;
    }
    let mut validity = body.enter(SEQUENCE)?;
    let (not_before, not_after) = (time(validity.next()?)?, time(validity.next()?)?);
    let subject = subject(body.enter(SEQUENCE)?)?;
    let mut names = Vec::new();
    while let Some((tag, content)) = body.next() {
        if tag == EXTENSIONS {
            names = alternative_names(Der(content).enter(SEQUENCE)?)?;
        }
    }
    Some(Facts { not_before, not_after, subject, names })
}

/// Values that follow each other.
#[derive(Clone, Copy)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The tag and the content of the next value.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
                (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// Into the next value, which must have that tag.
    fn enter(&mut self, expected: u8) -> Option<Self> {
        self.next().filter(|(tag, _)| *tag == expected).map(|(_, content)| Self(content))
    }
}

fn alternative_names(mut extensions: Der<'_>) -> Option<Vec<String>> {
    let mut names = Vec::new();
    while let Some((_, content)) = extensions.next() {
        let mut extension = Der(content);
        if extension.enter(OID)?.0 != ALTERNATIVE_NAMES {
            continue;
        }
        // A flag may stand between: whether it is critical.
        let value = std::iter::from_fn(|| extension.next()).find(|(tag, _)| *tag == OCTETS)?.1;
        let mut among = Der(value).enter(SEQUENCE)?;
        while let Some((tag, name)) = among.next() {
            if tag == DNS_NAME && name.is_ascii() {
                names.push(String::from_utf8_lossy(name).to_ascii_lowercase());
            }
        }
    }
    Some(names)
}

/// The last part first, as RFC 4514 has it.
fn subject(mut parts: Der<'_>) -> Option<String> {
    let mut written = Vec::new();
    while !parts.0.is_empty() {
        let mut part = parts.enter(SET)?;
        let mut text = String::new();
        while !part.0.is_empty() {
            let mut pair = part.enter(SEQUENCE)?;
            let kind = pair.enter(OID)?.0;
            let (_, value) = pair.next()?;
            let plus = if text.is_empty() { "" } else { "+" };
            let _ = write!(text, "{plus}{}={}", kind_as_text(kind), escaped(&String::from_utf8_lossy(value)));
        }
        written.push(text);
    }
    written.reverse();
    let mut text = written.join(",");
    text.truncate(text.floor_char_boundary(SUBJECT_BYTES));
    Some(text)
}

/// The short names of RFC 4514, section 3; of others the bytes.
fn kind_as_text(oid: &[u8]) -> String {
    let known = match oid {
        [0x55, 0x04, 0x03] => "CN",
        [0x55, 0x04, 0x06] => "C",
        [0x55, 0x04, 0x07] => "L",
        [0x55, 0x04, 0x08] => "ST",
        [0x55, 0x04, 0x09] => "STREET",
        [0x55, 0x04, 0x0a] => "O",
        [0x55, 0x04, 0x0b] => "OU",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19] => "DC",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01] => "UID",
        other => return format!("OID.{}", hex(other)),
    };
    known.to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for (at, char) in value.char_indices() {
        match char {
            ' ' | '#' if at == 0 => text.extend(['\\', char]),
            ' ' if at + 1 == value.len() => text.push_str("\\ "),
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' => text.extend(['\\', char]),
            char if char.is_control() => {
                let _ = write!(text, "\\{:02X}", u32::from(char));
            }
            char => text.push(char),
        }
    }
    text
}

/// Seconds since 1970 of a time in UTC, to the second, as RFC 5280 wants it.
fn time((tag, text): (u8, &[u8])) -> Option<i64> {
    let digits = text.strip_suffix(b"Z").filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let number = |from: usize, to: usize| -> Option<i64> {
        Some(digits.get(from..to)?.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
    };
    let (year, rest) = match (tag, digits.len()) {
        (UTC_TIME, 12) => (number(0, 2).map(|year| if year < 50 { 2000 + year } else { 1900 + year })?, 2),
        (GENERAL_TIME, 14) => (number(0, 4)?, 4),
        _ => return None,
    };
    let part = |at: usize| number(rest + 2 * at, rest + 2 * at + 2);
    let (month, day) = (part(0)?, part(1)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    Some(((days(year, month, day) * 24 + part(2)?) * 60 + part(3)?) * 60 + part(4)?)
}

/// Days since 1970 of a day of the Gregorian calendar, with years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::*;

    fn facts(change: impl FnOnce(&mut CertificateParams)) -> Facts {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        change(&mut params);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        read(certificate.der()).unwrap()
    }

    #[test]
    fn reads_times() {
        for ((year, month, day), seconds) in [
            ((1975, 1, 1), 157_766_400),
            ((2000, 2, 29), 951_782_400),
            ((2026, 11, 23), 1_795_392_000),
            ((2049, 12, 31), 2_524_521_600),
            ((2050, 1, 1), 2_524_608_000),
            ((2100, 3, 1), 4_107_542_400),
            ((4096, 1, 1), 67_090_118_400),
        ] {
            let date = date_time_ymd(year, month, day);
            assert_eq!(seconds, date.unix_timestamp(), "the table is wrong");
            let read = facts(|params| (params.not_before, params.not_after) = (date, date));
            assert_eq!((read.not_before, read.not_after), (seconds, seconds), "{year}-{month}-{day}");
        }
    }

    #[test]
    fn reads_names() {
        let names = ["One.Example", "*.two.example"].map(str::to_owned);
        let read = facts(|params| {
            params.subject_alt_names = CertificateParams::new(names).unwrap().subject_alt_names;
        });
        assert_eq!(read.names, ["one.example", "*.two.example"]);
        assert!(facts(|_| ()).names.is_empty());
    }

    #[test]
    fn writes_subjects() {
        #[track_caller]
        fn check(parts: &[(DnType, &str)], expected: &str) {
            let read = facts(|params| {
                for (kind, value) in parts {
                    params.distinguished_name.push(kind.clone(), *value);
                }
            });
            assert_eq!(read.subject, expected);
        }
        let name = DnType::CommonName;
        check(&[], "");
        check(&[(name.clone(), "backup")], "CN=backup");
        check(
            &[(DnType::CountryName, "DE"), (DnType::OrganizationName, "Acme"), (name.clone(), "b")],
            "CN=b,O=Acme,C=DE",
        );
        check(&[(DnType::CustomDnType(vec![1, 2, 3]), "x")], "OID.2a03=x");
        check(&[(name.clone(), " a,b+c\"d\\e<f>g;h=i ")], "CN=\\ a\\,b\\+c\\\"d\\\\e\\<f\\>g\\;h\\=i\\ ");
        check(&[(name.clone(), "#a\n\u{7f}ä")], "CN=\\#a\\0A\\7Fä");
        let long = "ä".repeat(300);
        check(&[(name, &long)], &format!("CN={}", "ä".repeat(126)));
    }

    #[test]
    fn takes_nothing_that_is_cut_off() {
        let params = CertificateParams::new(vec!["one.example".to_owned()]).unwrap();
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        for end in 0..certificate.der().len() {
            assert_eq!(read(&certificate.der()[..end]), None, "{end}");
        }
    }
}
