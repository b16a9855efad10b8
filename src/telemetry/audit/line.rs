//! What an audit line holds: fields are absent where they do not apply.
//!
//! The contract is `docs/audit.md`; a test holds the two together. Values of entries, hints made from them,
//! queries and tokens have no field here, so that they cannot get in.

use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};
use std::io::Write as _;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use crate::karbor::form::{Form, write_digits};
use crate::karbor::request_id::RequestId;
use crate::karbor::route::RouteKind;
use crate::karbor::{CheckpointId, ProviderId, TenantId};
use crate::policy::{Charge, Enforcement, Measure, Violation, Violations};
use crate::wire::{Origin, Refusal, SpanId, TraceId};

/// The version of the format, in every line as `v`. Fields may be added within a version.
pub const FORMAT_VERSION: u8 = 1;

/// As much as most lines take.
const LINE_BYTES: usize = 768;

/// The most bytes of a text that the client chose.
const TEXT_BYTES: usize = 256;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditVerdict {
    /// Reviewed, and no rule was broken.
    Admitted,
    /// An enforced rule was broken; Karbor never saw it.
    Denied,
    /// Forwarded although an observed rule was broken.
    WouldHaveBeenDenied,
    /// Forwarded, with a warning to the client, although a rule was broken.
    Warned,
    /// Not reviewed: that was not possible with certainty.
    Refused,
    /// The client left before there was an answer.
    Abandoned,
    /// Forwarded, and Karbor gave no whole answer.
    UpstreamFailed,
    /// Nothing in it is judged; the line is about what stood in Karbor's answer.
    Passed,
}

impl AuditVerdict {
    /// Every verdict.
    pub const ALL: [AuditVerdict; 8] = [
        Self::Admitted,
        Self::Denied,
        Self::WouldHaveBeenDenied,
        Self::Warned,
        Self::Refused,
        Self::Abandoned,
        Self::UpstreamFailed,
        Self::Passed,
    ];

    /// The word in the line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Denied => "denied",
            Self::WouldHaveBeenDenied => "would-have-been-denied",
            Self::Warned => "warned",
            Self::Refused => "refused",
            Self::Abandoned => "abandoned",
            Self::UpstreamFailed => "upstream-failed",
            Self::Passed => "passed",
        }
    }

    /// The verdict on a request that was forwarded with these violations noted. A warning outweighs an
    /// observation, as the client was told.
    #[must_use]
    pub fn of_forwarded(noted: &Violations) -> Self {
        match noted.severest() {
            None | Some(Enforcement::Off) => Self::Admitted,
            Some(Enforcement::Observe) => Self::WouldHaveBeenDenied,
            // An enforced rule is not noted but denied; should one stand here, it was forwarded all the same.
            Some(Enforcement::Warn | Enforcement::Enforce) => Self::Warned,
        }
    }
}

/// One audit line. `None` where the exchange did not come that far.
#[derive(Clone, Debug)]
pub struct AuditLine<'a> {
    /// When the request began.
    pub time: SystemTime,
    /// The id in the answer's `X-Openstack-Request-Id`.
    pub request_id: RequestId,
    /// The id that the caller handed on.
    pub global_request_id: Option<RequestId>,
    /// The trace that it is part of.
    pub trace_id: Option<TraceId>,
    /// The proxy's own part of that trace, where it is recorded.
    pub span_id: Option<SpanId>,
    /// The caller's part of that trace.
    pub parent_span_id: Option<SpanId>,
    /// The client's end of the connection.
    pub peer: Origin,
    /// The subject of its certificate.
    pub certificate: Option<&'a str>,
    /// Who is charged.
    pub tenant: Option<&'a TenantId>,
    /// The provider, from the path or the plan.
    pub provider: Option<&'a ProviderId>,
    /// The checkpoint, from the path or Karbor's answer.
    pub checkpoint: Option<&'a CheckpointId>,
    /// What Karbor would make of the request.
    pub route: Option<RouteKind>,
    /// The method, as sent.
    pub method: Option<&'a str>,
    /// What became of it.
    pub verdict: AuditVerdict,
    /// Why it was refused.
    pub refusal: Option<Refusal>,
    /// The rules it broke.
    pub violations: Option<&'a Violations>,
    /// What the map uses, where it was reviewed and not denied.
    pub charge: Option<&'a Charge>,
    /// Whether the ledger keeps the map.
    pub kept: Option<bool>,
    /// How many maps Karbor's answer lacked.
    pub restored: u64,
    /// How many maps in Karbor's answer differed from what is kept.
    pub altered: u64,
    /// The revision of the policy that judged it.
    pub policy: Option<&'a str>,
    /// The status sent to the client.
    pub status: Option<u16>,
    /// The status Karbor gave.
    pub upstream_status: Option<u16>,
    /// Karbor may have carried the request out although it gave no whole answer.
    pub outcome_unknown: bool,
    /// The client left before it had the whole answer.
    pub client_left: bool,
    /// From the head of the request to the end of the answer.
    pub duration: Duration,
    /// Of that, from dispatch to the head of Karbor's answer.
    pub upstream: Option<Duration>,
}

impl AuditLine<'_> {
    /// The line with its line end. With `digest`, keys stand as digests.
    pub(super) fn to_json(&self, digest: Option<&RandomState>) -> Vec<u8> {
        let mut form = Form::new(LINE_BYTES);
        self.write_request(&mut form);
        self.write_verdict(&mut form, digest);
        self.write_answer(&mut form);
        let mut line = form.close();
        line.push(b'\n');
        line
    }

    /// Who asked for what.
    fn write_request(&self, form: &mut Form) {
        form.number("v", Some(FORMAT_VERSION.into()));
        form.id("time", Some(timestamp(self.time)));
        form.request_id("request_id", Some(self.request_id));
        form.request_id("global_request_id", self.global_request_id);
        form.id("trace_id", self.trace_id);
        form.id("span_id", self.span_id);
        form.id("parent_span_id", self.parent_span_id);
        form.field("peer", |out| write_origin(out, self.peer));
        form.text("client_certificate", self.certificate.map(cut));
        form.text("tenant", self.tenant.map(|tenant| cut(tenant.as_str())));
        form.text("provider", self.provider.map(|provider| cut(provider.as_str())));
        form.text("checkpoint", self.checkpoint.map(|checkpoint| cut(checkpoint.as_str())));
        form.text("route", self.route.map(RouteKind::name));
        form.text("method", self.method.map(cut));
    }

    /// What became of it, and what it would store.
    fn write_verdict(&self, form: &mut Form, digest: Option<&RandomState>) {
        form.text("verdict", self.verdict.word());
        form.text("refusal", self.refusal.map(Refusal::code));
        if let Some(noted) = self.violations {
            if !noted.list.is_empty() {
                form.text("enforcement", noted.severest().map(Enforcement::outcome));
                form.list("violations", &noted.list, |form, violation| write_broken(form, violation, digest));
            }
            form.number("violations_left_out", Some(noted.left_out).filter(|left| *left > 0));
        }
        if let Some(charge) = self.charge {
            form.number("entries", Some(charge.entries));
            form.number("bytes", Some(charge.bytes));
            form.number("bridged", Some(charge.bridged.len() as u64));
        }
        form.flag("kept", self.kept);
        form.number("extra_info_restored", Some(self.restored).filter(|restored| *restored > 0));
        form.number("extra_info_altered", Some(self.altered).filter(|altered| *altered > 0));
        form.text("policy", self.policy);
    }

    fn write_answer(&self, form: &mut Form) {
        form.number("status", self.status.map(u64::from));
        form.number("upstream_status", self.upstream_status.map(u64::from));
        form.flag("outcome_unknown", Some(self.outcome_unknown));
        form.flag("client_left", Some(self.client_left));
        form.field("duration_seconds", |out| write_seconds(out, self.duration));
        if let Some(upstream) = self.upstream {
            form.field("upstream_seconds", |out| write_seconds(out, upstream));
        }
    }
}

fn write_broken(form: &mut Form, violation: &Violation, digest: Option<&RandomState>) {
    form.text("rule", violation.rule.code());
    form.text("enforcement", violation.enforcement.outcome());
    let key = violation.key.as_deref();
    match digest {
        None => form.text("key", key.map(cut)),
        Some(digest) => form.id("key_digest", key.map(|key| format!("{:016x}", digest.hash_one(key)))),
    }
    form.text("quota", violation.quota.map(Measure::name));
    form.number("measured", violation.measured);
    form.number("allowed", violation.allowed);
}

fn write_origin(out: &mut Vec<u8>, origin: Origin) {
    out.push(b'"');
    match origin.address() {
        Some(IpAddr::V4(address)) => {
            for (at, octet) in address.octets().into_iter().enumerate() {
                if at > 0 {
                    out.push(b'.');
                }
                write_digits(out, octet.into());
            }
        }
        // In memory: writing cannot fail.
        _ => drop(write!(out, "{origin}")),
    }
    out.push(b'"');
}

/// Seconds, to whole microseconds: more digits would be noise.
fn write_seconds(out: &mut Vec<u8>, duration: Duration) {
    write_digits(out, duration.as_secs());
    let mut micros = duration.subsec_micros();
    let mut text = *b".000000";
    for place in text[1..].iter_mut().rev() {
        *place = b"0123456789"[(micros % 10) as usize];
        micros /= 10;
    }
    out.extend_from_slice(&text);
}

/// RFC 3339 in UTC, with milliseconds. A clock outside of the years 1970 to 9999 counts as their nearest end.
fn timestamp(time: SystemTime) -> impl Display {
    let last = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_millis(time.clamp(SystemTime::UNIX_EPOCH, last))
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES)]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(write: impl FnOnce(&mut Vec<u8>), expected: Value) {
        let mut out = Vec::new();
        write(&mut out);
        assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), expected);
    }

    #[test]
    fn origins_and_times() {
        for origin in [
            Origin::from(IpAddr::from([0, 10, 255, 1])),
            Origin::from(IpAddr::from([1, 0, 0, 0, 0, 0, 0, 2_u16])),
            Origin::Unix,
        ] {
            check(|out| write_origin(out, origin), json!(origin.to_string()));
        }
        for (micros, seconds) in [(0, 0.0), (1, 0.000_001), (1_020_300, 1.0203), (60_999_999, 60.999_999)] {
            check(|out| write_seconds(out, Duration::from_micros(micros)), json!(seconds));
        }
    }
}
