//! Names, keys, patterns, words and dates, as written. Leaves the grammar of keys to the policy.

use std::path::Path;

use http::HeaderName;
use tracing::Level;

use super::hint;
use super::problem::Wrong;
use crate::policy::key::{Key, is_name};
use crate::policy::{Applications, Enforcement, Rule};
use crate::proxy::{ExtraInfoField, WhenDown};
use crate::telemetry::audit::{AuditSink, KeyNames};
use crate::telemetry::log::LogFormat;

/// The longest key that Karbor takes, in bytes.
const KEY_BYTES: usize = 255;
/// The longest name of a tenant or group, in bytes; Keystone's project ids have 64 at most.
const NAME_BYTES: usize = 255;
/// The longest recognised value, in bytes.
const VALUE_BYTES: usize = 65_536;

/// What has one word for each of its values.
pub(super) trait Word: Copy + 'static {
    /// Every value, in the order of the documentation.
    const ALL: &[Self];

    /// What helps where no word is near.
    const HINT: Option<&str> = None;

    /// Its word.
    fn word(self) -> &'static str;
}

/// Every word for a `W`.
pub(super) fn words<W: Word>() -> Vec<&'static str> {
    W::ALL.iter().map(|value| value.word()).collect()
}

/// The value of that word.
pub(super) fn word<W: Word>(text: &str) -> Result<W, Wrong> {
    W::ALL.iter().copied().find(|value| value.word() == text).ok_or_else(|| {
        let words = W::ALL.iter().map(|value| value.word());
        // Such as `warning`, which is too long to be near.
        let start = words.clone().find(|word| text.starts_with(word));
        let hint = match hint::nearest(text, words).or(start) {
            Some(near) => Some(format!("did you mean \"{near}\"?")),
            None => W::HINT.map(str::to_owned),
        };
        Wrong { hint, ..Wrong::KIND }
    })
}

impl Word for Enforcement {
    const ALL: &[Self] = &Self::ALL;
    const HINT: Option<&str> =
        Some("\"enforce\" denies; \"warn\" and \"observe\" forward; \"off\" does not look");

    fn word(self) -> &'static str {
        self.word()
    }
}

impl Word for Level {
    const ALL: &[Self] = &[Self::ERROR, Self::WARN, Self::INFO, Self::DEBUG, Self::TRACE];
    const HINT: Option<&str> = Some("\"error\" writes least, \"trace\" most");

    fn word(self) -> &'static str {
        match self {
            Self::ERROR => "error",
            Self::WARN => "warn",
            Self::INFO => "info",
            Self::DEBUG => "debug",
            Self::TRACE => "trace",
        }
    }
}

impl Word for LogFormat {
    const ALL: &[Self] = &[Self::Auto, Self::Text, Self::Json];

    fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl Word for KeyNames {
    const ALL: &[Self] = &[Self::Plain, Self::Hashed];

    fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Hashed => "hashed",
        }
    }
}

impl Word for ExtraInfoField {
    const ALL: &[Self] = &[Self::Hyphen, Self::Underscore];

    fn word(self) -> &'static str {
        match self {
            Self::Hyphen => "extra-info",
            Self::Underscore => "extra_info",
        }
    }
}

impl Word for WhenDown {
    const ALL: &[Self] = &[Self::Closed, Self::Open];
    const HINT: Option<&str> =
        Some("\"closed\" turns creations with a map away; \"open\" forwards them, and forgets the map");

    fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
        }
    }
}

/// The id of one tenant, or the name of one group.
pub(super) fn name(text: &str) -> Result<&str, Wrong> {
    const EXPECTED: &str = "a name of printable ASCII without spaces and / \\ ? # % *";
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"/\\?#%*".contains(&byte);
    if text.contains('*') {
        return Err(Wrong::expected("one name, not a pattern")
            .with_hint("for every tenant: `[policy]` and `[limits]`; for some: `[groups.NAME]`"));
    }
    if text.is_empty() {
        return Err(Wrong::expected("a name that is not empty"));
    }
    if text.len() <= NAME_BYTES && text.bytes().all(plain) {
        Ok(text)
    } else if text.len() > NAME_BYTES {
        Err(Wrong::expected(format!("a name of at most {NAME_BYTES} bytes")))
    } else {
        Err(Wrong::expected(EXPECTED))
    }
}

/// The name of a header.
pub(super) fn header(text: &str) -> Result<HeaderName, Wrong> {
    HeaderName::try_from(text)
        .map_err(|_malformed| Wrong::expected("the name of a header").with_hint("\"x-user-id\""))
}

/// The code of a rule.
pub(super) fn rule(code: &str) -> Result<Rule, Wrong> {
    Rule::from_code(code).ok_or_else(|| {
        let wrong = Wrong::expected("the code of a rule");
        match hint::nearest(code, Rule::ALL.iter().map(|rule| rule.code())) {
            Some(near) => wrong.with_hint(format!("did you mean `{near}`?")),
            None => wrong.with_hint("docs/configuration.md lists them"),
        }
    })
}

/// An application, or the start of one followed by `*`.
pub(super) fn application(text: &str) -> Result<&str, Wrong> {
    if Applications::is_pattern(text) {
        return Ok(text);
    }
    if text.strip_suffix('*').unwrap_or(text).contains('*') {
        return Err(Wrong::expected("a `*` only at the end"));
    }
    let hint = "lower-case letters and digits in groups joined by single - . _, such as \"acme-*\"";
    Err(Wrong::expected("the name of an application, or its start followed by `*`").with_hint(hint))
}

/// The exact name of an application, or `*` for each that is not named.
pub(super) fn one_application(text: &str) -> Result<&str, Wrong> {
    if text == "*" || (Applications::is_pattern(text) && !text.ends_with('*')) {
        return Ok(text);
    }
    let wrong = Wrong::expected("the name of an application, or `*` for each that is not named");
    Err(if text.contains('*') {
        wrong.with_hint("one name; `*` stands alone")
    } else {
        wrong.with_hint("lower-case letters and digits in groups joined by single - . _")
    })
}

/// An unprefixed key of Karbor's operation engine.
pub(super) fn bridged_key(text: &str) -> Result<&str, Wrong> {
    let without = Wrong::expected("a key without a namespace");
    match Key::of(text) {
        _ if text.is_empty() || text.len() > KEY_BYTES => {
            Err(Wrong::expected(format!("a key of 1 to {KEY_BYTES} bytes")))
        }
        Key::Karbor(_) => Err(without.with_hint("`[policy.karbor_keys]` is for it")),
        Key::Application { .. } => Err(without.with_hint("`applications` admits it")),
        Key::Malformed(_) if is_name(text) => Ok(text),
        Key::Malformed(_) if is_name(text.trim_matches(' ')) => {
            Err(Wrong::expected("a key without a space at its ends"))
        }
        Key::Malformed(_) => Err(Wrong::expected(KEY_CHARACTERS)),
    }
}

/// A recognised key: `karbor-NAME`.
pub(super) fn karbor_key(text: &str) -> Result<&str, Wrong> {
    match (Key::of(text), text.strip_prefix("karbor-")) {
        (Key::Karbor(_), _) if text.len() > KEY_BYTES => {
            Err(Wrong::expected(format!("a key of at most {KEY_BYTES} bytes")))
        }
        (Key::Karbor(_), _) => Ok(text),
        (_, None) => {
            let hint = format!("`karbor-{text}`");
            Err(Wrong::expected("a key that begins with `karbor-`").with_hint(hint))
        }
        (_, Some(name)) if name.is_empty() || is_name(name.trim_matches(' ')) => {
            Err(Wrong::expected("a name after `karbor-`, without a space at its ends"))
        }
        _ => Err(Wrong::expected(KEY_CHARACTERS)),
    }
}

const KEY_CHARACTERS: &str = "letters, digits, spaces and - _ : . #";

/// A value that a recognised key may have.
pub(super) fn value(text: &str) -> Result<&str, Wrong> {
    if text.len() <= VALUE_BYTES {
        Ok(text)
    } else {
        Err(Wrong::expected(format!("at most {VALUE_BYTES} bytes")))
    }
}

/// A calendar date, or nothing.
pub(super) fn date(text: &str) -> Result<Option<&str>, Wrong> {
    if text.is_empty() {
        return Ok(None);
    }
    let parts: Vec<&str> = text.split('-').collect();
    let number = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok()).flatten()
    };
    let [year, month, day] = parts.as_slice() else { return Err(Wrong::KIND) };
    if [year.len(), month.len(), day.len()] != [4, 2, 2] {
        return Err(Wrong::KIND);
    }
    match (number(year), number(month), number(day)) {
        (Some(year), Some(month), Some(day)) if (1..=days_in(year, month)).contains(&day) => Ok(Some(text)),
        (Some(year), Some(month), Some(_)) => {
            let hint = match days_in(year, month) {
                0 => "months are 01 to 12".to_owned(),
                days => format!("{year:04}-{month:02} has the days 01 to {days}"),
            };
            Err(Wrong::expected("a day that the calendar has").with_hint(hint))
        }
        _ => Err(Wrong::KIND),
    }
}

fn days_in(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    }
}

/// Where audit lines go.
pub(super) fn audit_sink(text: &str) -> Result<AuditSink, Wrong> {
    match text {
        "" => Ok(AuditSink::None),
        "-" => Ok(AuditSink::Stdout),
        path => file(path).map(|path| AuditSink::File(path.to_owned())),
    }
}

/// A file, there or not.
pub(super) fn file(text: &str) -> Result<&Path, Wrong> {
    match text {
        "" => Err(Wrong::expected("a path that is not empty")),
        path if path.contains(char::is_control) => Err(Wrong::expected("a path without control characters")),
        path if path.ends_with('/') => Err(Wrong::expected("a file, not a folder")),
        path => Ok(Path::new(path)),
    }
}
