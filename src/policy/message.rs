//! Violations in words, for people: one line of ASCII that the official client can print.
//!
//! What the client sent is quoted, escaped and cut. Leaves the shape of faults to `karbor::fault`.

use std::fmt;
use std::time::Duration;

use super::enforcement::Enforcement;
use super::quota::{Measure, in_words};
use super::verdict::{Rule, Violation, Violations};
use crate::karbor::fault::Detail;

/// The most bytes of a line that names several violations.
const SUMMARY_BYTES: usize = 600;
/// The most bytes of a list of names in a hint.
const LIST_BYTES: usize = 160;

/// `text` as one line of printable ASCII of at most `bytes`: others as `\u{…}`, what is beyond as `...`.
pub(super) fn one_line(text: &str, bytes: usize) -> String {
    escaped(text, bytes, |character| matches!(character, ' '..='~'))
}

/// The same to stand between single quotes, which it cannot end.
fn quotable(text: &str) -> String {
    escaped(text, Violation::KEY_BYTES, |character| {
        matches!(character, ' '..='~') && !matches!(character, '\\' | '\'')
    })
}

fn escaped(text: &str, bytes: usize, is_plain: impl Fn(char) -> bool) -> String {
    let mut line = String::with_capacity(text.len().min(bytes));
    // How much is left when dots must follow.
    let mut cut = 0;
    for character in text.chars() {
        match character {
            plain if is_plain(plain) => line.push(plain),
            ' '..='~' => line.extend(['\\', character]),
            _ => line.extend(character.escape_unicode()),
        }
        if line.len() > bytes {
            line.truncate(cut);
            line.push_str("...");
            break;
        }
        if line.len() + 3 <= bytes {
            cut = line.len();
        }
    }
    line
}

/// `'a', 'b' and 3 more`. Empty if there are none.
pub(super) fn quoted_list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let mut text = String::new();
    let mut more = 0;
    for name in names {
        let name = quotable(name);
        if more > 0 || text.len() + name.len() > LIST_BYTES {
            more += 1;
        } else {
            let joint = if text.is_empty() { "" } else { ", " };
            text.extend([joint, "'", &name, "'"]);
        }
    }
    if more > 0 { format!("{text} and {more} more") } else { text }
}

/// A number of things, where it is known.
struct Amount(Option<u64>, &'static str, &'static str);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self(Some(1), one, _) => write!(f, "1 {one}"),
            Self(Some(number), _, many) => write!(f, "{number} {many}"),
            Self(None, _, many) => write!(f, "too many {many}"),
        }
    }
}

/// A violation less its hint, for where that stands beside it.
struct WithoutHint<'v>(&'v Violation);

impl fmt::Display for WithoutHint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, None)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, self.hint.as_deref())
    }
}

impl Violation {
    fn write(&self, f: &mut fmt::Formatter<'_>, hint: Option<&str>) -> fmt::Result {
        let key = quotable(self.key.as_deref().unwrap_or("extra-info"));
        let bytes = Amount(self.measured, "byte", "bytes");
        let entries = Amount(self.measured, "entry", "entries");
        match self.rule {
            Rule::UnsupportedMediaType => {
                f.write_str("the body must be application/json without a content coding")?;
            }
            Rule::BodyTooLarge => write!(f, "the body has {bytes}")?,
            Rule::MalformedBody => match self.measured {
                Some(position) => write!(f, "the body is malformed at byte {position}")?,
                None => f.write_str("the body is malformed")?,
            },
            Rule::DuplicateMember => write!(f, "'{key}' stands more than once in its object")?,
            Rule::UnknownMember => write!(f, "'{key}' is not a member of a checkpoint creation")?,
            Rule::NotAMap => write!(f, "'{key}' is not a map of strings")?,
            Rule::ValueNotAString => write!(f, "key '{key}' has a value that is not a string")?,
            Rule::MalformedKey => write!(f, "key '{key}' is neither karbor-NAME nor x-APPLICATION--NAME")?,
            Rule::UnknownKarborKey => write!(f, "key '{key}' is not a recognised karbor- key")?,
            Rule::KarborKeyValue => write!(f, "key '{key}' has a value that is not among those allowed")?,
            Rule::ApplicationNotAllowed => {
                write!(f, "key '{key}' is of an application that this project may not write")?;
            }
            Rule::KeyTooLong => write!(f, "key '{key}' has {bytes}")?,
            Rule::ValueTooLong => write!(f, "key '{key}' has a value of {bytes}")?,
            Rule::TooManyEntries => write!(f, "extra-info has {entries}")?,
            Rule::ExtraInfoTooLarge => write!(f, "extra-info has {bytes} in all keys and values")?,
            Rule::ReadOnly => write!(f, "'{key}' cannot be changed once the checkpoint exists")?,
            Rule::QuotaExceeded | Rule::RateExceeded => self.write_quota(f)?,
        }
        match self.allowed {
            Some(1) => f.write_str(", 1 is allowed")?,
            Some(allowed) => write!(f, ", {allowed} are allowed")?,
            None => {}
        }
        if let Some(hint) = hint {
            write!(f, ": {hint}")?;
        }
        if let Some(Measure::Creations { retry_after, .. }) = self.quota {
            write!(f, ", try again in {}", in_words(retry_after.max(Duration::from_secs(1))))?;
        }
        write!(f, " ({})", self.rule)
    }

    /// Whose quota is exceeded, and by what.
    fn write_quota(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_deref() {
            Some(application) => write!(f, "application '{}' of this project", quotable(application))?,
            None => f.write_str("this project")?,
        }
        let amount = |one, many| Amount(self.measured, one, many);
        match self.quota {
            Some(Measure::Checkpoints) => {
                let checkpoints = amount("checkpoint", "checkpoints");
                write!(f, " would have {checkpoints} with extra-info")
            }
            Some(Measure::StoredBytes) => {
                write!(f, " would have {} of extra-info stored", amount("byte", "bytes"))
            }
            Some(Measure::StoredEntries) => {
                write!(f, " would have {} of extra-info stored", amount("entry", "entries"))
            }
            Some(Measure::Creations { window, .. }) => {
                let checkpoints = amount("checkpoint", "checkpoints");
                let window = in_words(window);
                write!(f, " would have created {checkpoints} with extra-info within {window}")
            }
            None => f.write_str(" has exceeded a quota"),
        }
    }
}

/// The violations in one bounded line: the first of each rule, then the others. Where some are enforced only
/// those are named, because the others are not why the request is denied. A rule that there is no room for is
/// named by its code.
impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_denial = self.severest() == Some(Enforcement::Enforce);
        let is_told = |enforcement| enforcement == Enforcement::Enforce || !is_denial;
        let is_first = |at: usize| at == 0 || self.list[at - 1].rule != self.list[at].rule;
        let told = || self.list.iter().enumerate().filter(|(_, violation)| is_told(violation.enforcement));
        let firsts = told().filter(|&(at, _)| is_first(at));
        let others = told().filter(|&(at, _)| !is_first(at));
        let mut line = String::new();
        let mut named = Vec::new();
        let mut more = self.left_out;
        let mut rest = firsts.chain(others);
        for (_, violation) in rest.by_ref() {
            let text = violation.to_string();
            if !line.is_empty() && line.len() + text.len() > SUMMARY_BYTES {
                more += 1;
                break;
            }
            line.extend([if line.is_empty() { "" } else { "; " }, &text]);
            named.push(violation.rule);
        }
        more += rest.count() as u64;
        f.write_str(&line)?;
        if more == 0 {
            return Ok(());
        }
        write!(f, "; and {more} more")?;
        let unnamed = self.broken().filter(|(rule, stance)| is_told(*stance) && !named.contains(rule));
        let unnamed: Vec<_> = unnamed.map(|(rule, _)| rule.code()).collect();
        if unnamed.is_empty() { Ok(()) } else { write!(f, " ({})", unnamed.join(", ")) }
    }
}

impl<'v> From<&'v Violation> for Detail<'v> {
    fn from(violation: &'v Violation) -> Self {
        Self {
            rule: violation.rule.code(),
            enforcement: violation.enforcement.outcome(),
            key: violation.key.as_deref(),
            measured: violation.measured,
            allowed: violation.allowed,
            quota: violation.quota.map(Measure::name),
            hint: violation.hint.as_deref(),
            message: WithoutHint(violation).to_string(),
        }
    }
}
