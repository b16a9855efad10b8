//! `traceparent` of W3C Trace Context, strictly: which trace a request is part of, and who asks.
//!
//! Rules, in order: the version is two digits, not `ff`; version 00 has exactly 55 bytes, a later one may go on
//! after a dash; digits are hexadecimal and lower-case; neither id is all zeros. Of a later version only what 00
//! knows is read. Leaves finding the one field to `proxy`; `tracestate` is nobody's to read here.

use std::fmt;

use serde::{Serialize, Serializer};

/// The length of version 00, and of what is read of later ones.
const BYTES: usize = 55;
/// The caller records this trace.
const SAMPLED: u8 = 0x01;
/// The trace id was drawn at random: known to the second edition, and to be handed on with the id.
const RANDOM: u8 = 0x02;

/// The id of a trace; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(u128);

/// The id of one part of a trace; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanId(u64);

impl TraceId {
    /// Of these bits; none for 0.
    #[must_use]
    pub const fn of(bits: u128) -> Option<Self> {
        if bits == 0 { None } else { Some(Self(bits)) }
    }
}

impl SpanId {
    /// Of these bits; none for 0.
    #[must_use]
    pub const fn of(bits: u64) -> Option<Self> {
        if bits == 0 { None } else { Some(Self(bits)) }
    }
}

/// 32 lower-case digits.
impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// 16 lower-case digits.
impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for SpanId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A sound `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace_id: TraceId,
    /// The part of it that asks.
    pub span_id: SpanId,
    flags: u8,
}

impl TraceParent {
    /// The beginning of a trace, its id drawn at random, which is recorded.
    #[must_use]
    pub const fn root(trace_id: TraceId, span_id: SpanId) -> Self {
        Self { trace_id, span_id, flags: SAMPLED | RANDOM }
    }

    /// Reads the value of the field; none where it is unsound, and so says nothing.
    #[must_use]
    pub fn read(value: &[u8]) -> Option<Self> {
        let (known, more) = value.split_at_checked(BYTES)?;
        let version = hex(&known[..2])?;
        let ends = match version {
            0 => more.is_empty(),
            0xff => false,
            _ => more.first().is_none_or(|&byte| byte == b'-'),
        };
        if !ends || [2, 35, 52].iter().any(|&at| known[at] != b'-') {
            return None;
        }
        let flags = u8::try_from(hex(&known[53..])?).ok()?;
        Some(Self {
            trace_id: TraceId::of(hex(&known[3..35])?)?,
            span_id: SpanId::of(u64::try_from(hex(&known[36..52])?).ok()?)?,
            // What the other flags of a later version mean is not known.
            flags: flags & if version == 0 { SAMPLED | RANDOM } else { SAMPLED },
        })
    }

    /// Whether the caller records the trace.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The last part of the field.
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.flags
    }

    /// The same trace, asked on by another part of it that is recorded.
    #[must_use]
    pub const fn of_child(self, span_id: SpanId) -> Self {
        Self { span_id, flags: self.flags | SAMPLED, ..self }
    }
}

/// The field's value, as version 00.
impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

/// At most 32 lower-case digits.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    /// `expected` is what is handed on, where it is not the same.
    #[track_caller]
    fn check(value: &str, expected: Option<&str>) {
        let read = TraceParent::read(value.as_bytes()).map(|parent| parent.to_string());
        assert_eq!(read.as_deref(), expected, "{value:?}");
    }

    #[test]
    fn reads_what_is_sound() {
        check(SOUND, Some(SOUND));
        for flags in ["00", "01", "02", "03"] {
            let value = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
            check(&value, Some(&value));
            assert_eq!(
                TraceParent::read(value.as_bytes()).unwrap().is_sampled(),
                flags.ends_with(['1', '3'])
            );
        }
        let least = "00-00000000000000000000000000000001-0000000000000001-00";
        check(least, Some(least));
        // Flags that nobody has defined are not handed on.
        check("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff", Some(&SOUND.replace("-01", "-03")));
    }

    #[test]
    fn reads_of_later_versions_what_is_known() {
        for value in [
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-the-future-will-be-like",
            "fe-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03",
        ] {
            check(value, Some(SOUND));
        }
    }

    #[test]
    fn reads_nothing_of_what_is_unsound() {
        for value in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "0x-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-B7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0A",
            "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-010",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.more",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-010",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
            "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
            " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01,00",
            "00-0af7651916cd43dd8448eb211c8031é-b7ad6b7169203331-01",
        ] {
            check(value, None);
        }
        let several = format!("{SOUND}, {SOUND}");
        check(&several, None);
        check(&"0".repeat(1 << 16), None);
    }

    #[test]
    fn a_child_is_of_the_same_trace() {
        let own = SpanId::of(0xab).unwrap();
        let parent = TraceParent::read(SOUND.replace("-01", "-02").as_bytes()).unwrap();
        let child = parent.of_child(own);
        assert_eq!(child.to_string(), "00-0af7651916cd43dd8448eb211c80319c-00000000000000ab-03");
        let root = TraceParent::root(TraceId::of(1).unwrap(), own);
        assert_eq!(TraceParent::read(root.to_string().as_bytes()), Some(root));
        assert!(root.is_sampled() && TraceId::of(0).is_none() && SpanId::of(0).is_none());
    }
}
