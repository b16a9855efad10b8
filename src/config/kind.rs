//! The kinds of value a setting can have: how each is read, what is expected, and whether a value is that.
//!
//! Leaves what a text says to `names` and `network`. What judges a value here also reads it for `compile`.

use std::time::Duration;

use figment::value::{Num, Value};

use super::names::{self, Word};
use super::problem::Wrong;
use crate::policy::{Bound, Rate};

/// The shortest window of a rate.
const SHORTEST_WINDOW: Duration = Duration::from_secs(1);

/// Judges a text; what it means is read again where it is used.
type Judge = fn(&str) -> Result<(), Wrong>;

/// What a setting may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// `true` or `false`.
    Flag,
    /// A whole number between these.
    Number(u64, u64),
    /// `auto`, which is this in words; or of that kind.
    Auto(&'static str, &'static Kind),
    /// A duration between these.
    Duration(Duration, Duration),
    /// A size between these, in bytes.
    Size(u64, u64),
    /// A bound on a number; at most this where it is bounded.
    Bound(u64),
    /// A bound on a size in bytes; at most this where it is bounded.
    SizeBound(u64),
    /// A part of the whole, from 0 to 1.
    Ratio,
    /// A rate, or none: at most so many, in a window of at most this.
    Rate(u64, Duration),
    /// A text that nobody is shown.
    Secret,
    /// One of these words.
    Word(fn() -> Vec<&'static str>, Judge),
    /// A text that means something, described by these words.
    Text(&'static str, Judge),
    /// One such text, or a list of at least one and at most that many.
    OneOrMore(&'static str, Judge, usize),
    /// A list of such texts, of at least and at most that many.
    List(&'static str, Judge, usize, usize),
}

impl Kind {
    /// One of the words for a `W`.
    pub(super) const fn word<W: Word>() -> Self {
        Self::Word(names::words::<W>, |text| names::word::<W>(text).map(drop))
    }

    /// What is expected, for messages and the documentation.
    pub(super) fn expected(self) -> String {
        match self {
            Self::Flag => "true or false".to_owned(),
            Self::Number(least, most) => format!("a whole number from {least} to {most}"),
            Self::Auto(_, kind) => format!("\"{AUTO}\" or {}", kind.expected()),
            Self::Duration(least, most) => {
                format!("a duration from \"{}\" to \"{}\"", duration_as_text(least), duration_as_text(most))
            }
            Self::Size(least, most) => {
                format!("a size from \"{}\" to \"{}\"", size_as_text(least), size_as_text(most))
            }
            Self::Bound(_) => format!("a whole number or \"{UNLIMITED}\""),
            Self::SizeBound(_) => format!("a size or \"{UNLIMITED}\""),
            Self::Ratio => "a number from 0 to 1".to_owned(),
            Self::Rate(..) => format!("a rate such as \"100 / 1h\", or \"{UNLIMITED}\""),
            Self::Secret => "a text, not empty".to_owned(),
            Self::Word(words, _) => one_of(&words()),
            Self::Text(what, _) => what.to_owned(),
            Self::OneOrMore(what, ..) => format!("{what}, or a list of them"),
            Self::List(what, _, 0, _) => format!("a list: {what}"),
            Self::List(what, ..) => format!("a list, not empty: {what}"),
        }
    }

    /// Whether it names files, by the words that such a setting is described with.
    pub(super) fn names_files(self) -> bool {
        matches!(self, Self::Text("a path", _) | Self::List("paths", ..))
    }

    /// Whether a bare text of the environment is meant literally, even if it looks like a number.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Word(..) | Self::Text(..) | Self::OneOrMore(..) | Self::Secret)
    }

    /// Judges a value, but not the items of a list.
    pub(super) fn judge(self, value: &Value) -> Result<(), Wrong> {
        self.measure(value).map_err(|wrong| self.explain(wrong))
    }

    fn measure(self, value: &Value) -> Result<(), Wrong> {
        match self {
            Self::Flag => flag(value).map(drop),
            Self::Number(least, most) => within(number(value)?, least, most),
            Self::Auto(_, kind) => auto(value, |value| kind.measure(value)).map(drop),
            Self::Duration(least, most) => within(duration(value)?, least, most),
            Self::Size(least, most) => within(size(value)?, least, most),
            Self::Bound(most) => bounded(bound(value, number)?, most, &most.to_string()),
            Self::SizeBound(most) => {
                let text = format!("\"{}\"", size_as_text(most));
                bounded(bound(value, size)?, most, &text)
            }
            Self::Ratio => ratio(value).map(drop),
            Self::Rate(most, longest) => rate(value)?.map_or(Ok(()), |rate| rate_within(rate, most, longest)),
            Self::Secret => within(text(value)?.len(), 1, usize::MAX),
            Self::Word(_, judge) | Self::Text(_, judge) => judge(text(value)?),
            Self::OneOrMore(_, _, most) if matches!(value, Value::Array(..)) => within_list(value, 1, most),
            Self::OneOrMore(_, judge, _) => judge(text(value)?),
            Self::List(_, _, least, most) => within_list(value, least, most),
        }
    }

    /// Whether a value of several items may be meant.
    pub(super) fn is_list(self) -> bool {
        matches!(self, Self::List(..) | Self::OneOrMore(..))
    }

    /// Judges one item of a list.
    pub(super) fn judge_item(self, item: &Value) -> Result<(), Wrong> {
        match self {
            Self::List(what, judge, ..) | Self::OneOrMore(what, judge, _) => {
                text(item).and_then(judge).map_err(|wrong| {
                    if wrong.expected.is_empty() {
                        Wrong { expected: what.to_owned(), ..wrong }
                    } else {
                        wrong
                    }
                })
            }
            _ => Ok(()),
        }
    }

    fn explain(self, wrong: Wrong) -> Wrong {
        match self {
            _ if !wrong.expected.is_empty() => wrong,
            Self::Bound(_) | Self::SizeBound(_) if wrong.hint.is_none() => {
                Wrong::expected(self.expected()).with_hint("0 means none")
            }
            Self::Auto(meaning, _) if wrong.hint.is_none() => {
                Wrong::expected(self.expected()).with_hint(format!("\"{AUTO}\" is {meaning}"))
            }
            _ => Wrong { expected: self.expected(), ..wrong },
        }
    }
}

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

fn within<T: PartialOrd>(measured: T, least: T, most: T) -> Result<(), Wrong> {
    if measured >= least && measured <= most { Ok(()) } else { Err(Wrong::KIND) }
}

fn bounded(bound: Bound, most: u64, most_as_text: &str) -> Result<(), Wrong> {
    match bound.number() {
        Some(number) if number > most => {
            Err(Wrong::expected(format!("at most {most_as_text}, or \"{UNLIMITED}\"")))
        }
        _ => Ok(()),
    }
}

fn rate_within(rate: Rate, most: u64, longest: Duration) -> Result<(), Wrong> {
    if rate.count > most {
        return Err(Wrong::expected(format!("at most {most} in a window, or \"{UNLIMITED}\"")));
    }
    within(rate.window, SHORTEST_WINDOW, longest).map_err(|_outside| {
        let (least, most) = (duration_as_text(SHORTEST_WINDOW), duration_as_text(longest));
        Wrong::expected(format!("a window from \"{least}\" to \"{most}\""))
    })
}

fn within_list(value: &Value, least: usize, most: usize) -> Result<(), Wrong> {
    match value {
        Value::Array(_, items) if items.len() > most => Err(Wrong::expected(format!("at most {most} items"))),
        Value::Array(_, items) if items.len() >= least => Ok(()),
        // Not repeated in the hint: an endpoint may hold a password.
        Value::String(_, text) if !text.is_empty() => Err(Wrong::hint("write it in brackets: [\"…\"]")),
        _ => Err(Wrong::KIND),
    }
}

/// The word for what we find out.
const AUTO: &str = "auto";
/// The word for no bound.
const UNLIMITED: &str = "unlimited";

const DURATION_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZE_UNITS: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// A string.
pub(super) fn text(value: &Value) -> Result<&str, Wrong> {
    match value {
        Value::String(_, text) => Ok(text),
        Value::Num(..) | Value::Bool(..) => Err(Wrong::hint("write it in quotes")),
        _ => Err(Wrong::KIND),
    }
}

/// `true` or `false`.
pub(super) fn flag(value: &Value) -> Result<bool, Wrong> {
    match value {
        Value::Bool(_, flag) => Ok(*flag),
        Value::String(_, text) if matches!(text.as_str(), "true" | "false") => {
            Err(Wrong::hint("write it without quotes"))
        }
        _ => Err(Wrong::KIND),
    }
}

/// A whole number, not negative.
pub(super) fn number(value: &Value) -> Result<u64, Wrong> {
    match value {
        Value::Num(_, Num::F64(number)) if number.fract() == 0.0 && *number >= 0.0 => {
            Err(Wrong::hint(format!("write it without point and exponent: {number:.0}")))
        }
        Value::Num(_, Num::F64(number)) if number.is_finite() => Err(Wrong::hint("without a fraction")),
        Value::Num(..) => whole(value).and_then(|number| u64::try_from(number).ok()).ok_or(Wrong::KIND),
        Value::String(_, text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err(Wrong::hint("write it without quotes"))
        }
        _ => Err(Wrong::KIND),
    }
}

/// A part of the whole.
pub(super) fn ratio(value: &Value) -> Result<f64, Wrong> {
    let ratio = match value {
        Value::Num(_, Num::F64(ratio)) => *ratio,
        _ => number(value)? as f64,
    };
    within(ratio, 0.0, 1.0).map(|()| ratio).map_err(|_outside| Wrong::hint("all is 1, a tenth 0.1"))
}

/// A whole number of things that are held in memory.
pub(super) fn count(value: &Value) -> Result<usize, Wrong> {
    in_memory(number(value)?)
}

/// As much as can be held in memory.
pub(super) fn in_memory(number: u64) -> Result<usize, Wrong> {
    usize::try_from(number).map_err(|_too_large| Wrong::KIND)
}

/// What `read` makes of it; none for `auto`.
pub(super) fn auto<'v, T>(
    value: &'v Value,
    read: impl FnOnce(&'v Value) -> Result<T, Wrong>,
) -> Result<Option<T>, Wrong> {
    match value {
        Value::String(_, text) if text == AUTO => Ok(None),
        _ => read(value).map(Some),
    }
}

/// The items of a list, each as `read` has it.
pub(super) fn list<'v, T>(
    value: &'v Value,
    read: impl Fn(&'v str) -> Result<T, Wrong>,
) -> Result<Vec<T>, Wrong> {
    match value {
        Value::Array(_, items) => items.iter().map(|item| read(text(item)?)).collect(),
        _ => Err(Wrong::KIND),
    }
}

/// As `list`, where one item may stand by itself.
pub(super) fn one_or_more<'v, T>(
    value: &'v Value,
    read: impl Fn(&'v str) -> Result<T, Wrong>,
) -> Result<Vec<T>, Wrong> {
    match value {
        Value::String(_, text) => Ok(vec![read(text)?]),
        _ => list(value, read),
    }
}

/// A duration: a whole number and a unit.
pub(super) fn duration(value: &Value) -> Result<Duration, Wrong> {
    match value {
        Value::Num(..) => Err(match whole(value).filter(|number| *number >= 0) {
            Some(number) => without_unit(&number.to_string()),
            None => Wrong::hint("a whole number with a unit: \"1500ms\""),
        }),
        Value::String(_, text) => duration_of(text),
        _ => Err(Wrong::KIND),
    }
}

fn duration_of(text: &str) -> Result<Duration, Wrong> {
    match split_unit(text) {
        Some((_, "")) => Err(without_unit(text.trim())),
        Some((number, unit)) => in_units(number, unit, &DURATION_UNITS)
            .map(Duration::from_millis)
            .ok_or(Wrong::hint("units are ms, s, m, h, d")),
        None => Err(Wrong::hint("a whole number with a unit: \"30s\", \"250ms\", \"5m\", \"1h\"")),
    }
}

fn without_unit(number: &str) -> Wrong {
    Wrong::hint(format!("with a unit: \"{number}s\", \"{number}ms\""))
}

/// So many in a window, `COUNT / WINDOW`; none for `unlimited`.
pub(super) fn rate(value: &Value) -> Result<Option<Rate>, Wrong> {
    const FORM: &str = "a whole number, a slash and a window: \"100 / 1h\"";
    match value {
        Value::String(_, text) if text == UNLIMITED => Ok(None),
        Value::String(_, text) => {
            let (count, window) = text.split_once('/').ok_or(Wrong::hint(FORM))?;
            let count = count.trim();
            let digits = count.bytes().all(|byte| byte.is_ascii_digit());
            let count = digits.then(|| count.parse().ok()).flatten().ok_or(Wrong::hint(FORM))?;
            Ok(Some(Rate { count, window: duration_of(window)? }))
        }
        Value::Num(..) => Err(Wrong::hint(FORM)),
        _ => Err(Wrong::KIND),
    }
}

/// A size in bytes: a whole number and a unit, or a bare number of bytes.
pub(super) fn size(value: &Value) -> Result<u64, Wrong> {
    match value {
        Value::Num(..) => number(value).map_err(|wrong| match wrong.hint {
            None => Wrong::hint("a whole number of bytes"),
            Some(_) => wrong,
        }),
        Value::String(_, text) if text == UNLIMITED => Err(Wrong::hint("this one is always bounded")),
        Value::String(_, text) => match split_unit(text) {
            Some((_, "")) => Err(Wrong::hint("bytes without quotes, or with a unit: \"1024 B\"")),
            Some((number, unit)) => in_units(number, unit, &SIZE_UNITS)
                .ok_or(Wrong::hint("units are B, KiB (1024 B), MiB (1024 KiB), GiB")),
            None => Err(Wrong::hint("a whole number with a unit: \"128 KiB\", \"16 MiB\", \"1024 B\"")),
        },
        _ => Err(Wrong::KIND),
    }
}

/// A bound: `unlimited`, or what `measure` reads.
pub(super) fn bound(value: &Value, measure: fn(&Value) -> Result<u64, Wrong>) -> Result<Bound, Wrong> {
    match value {
        Value::String(_, text) if text == UNLIMITED => Ok(Bound::Unlimited),
        Value::Num(..) if whole(value).is_some_and(|number| number < 0) => {
            Err(Wrong::hint(format!("\"{UNLIMITED}\" is the word for no bound, 0 for none")))
        }
        _ => measure(value).map(Bound::AtMost),
    }
}

/// A size for people: the largest unit that divides it.
pub(super) fn size_as_text(bytes: u64) -> String {
    in_largest_unit(bytes, &SIZE_UNITS, " ")
}

/// A duration for people: the largest unit that divides it.
fn duration_as_text(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    in_largest_unit(millis, &DURATION_UNITS, "")
}

/// The number, where it is whole; figment keeps the signed apart from the unsigned.
fn whole(value: &Value) -> Option<i128> {
    value.to_i128().or_else(|| i128::try_from(value.to_u128()?).ok())
}

fn in_largest_unit(amount: u64, units: &[(&str, u64)], between: &str) -> String {
    let unit = units.iter().rev().find(|(_, factor)| amount.is_multiple_of(*factor) && amount > 0);
    match unit.or(units.first()) {
        Some((unit, factor)) => format!("{}{between}{unit}", amount / factor),
        None => amount.to_string(),
    }
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

fn in_units(number: u64, unit: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor)
}
