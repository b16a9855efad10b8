//! What an audit line holds, and its form: one JSON object, ASCII only, fields absent where they do not
//! apply.
//!
//! The contract is `docs/audit.md`; a test holds the two together. Values of entries, hints made from them,
//! queries and tokens have no field here, so that they cannot get in.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::karbor::request_id::GlobalRequestId;
use crate::karbor::route::RouteKind;
use crate::karbor::{CheckpointId, ProviderId, TenantId, ascii};
use crate::policy::{Charge, Enforcement, Measure, Violation, Violations};
use crate::wire::{Origin, Refusal, SpanId, TraceId};

/// The version of the format, in every line as `v`. Fields may be added within a version.
pub const FORMAT_VERSION: u8 = 1;

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
    pub request_id: &'a str,
    /// The id that the caller handed on.
    pub global_request_id: Option<GlobalRequestId>,
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
    pub(super) fn to_json(&self, digest: Option<&RandomState>) -> serde_json::Result<Vec<u8>> {
        let mut line = Vec::with_capacity(512);
        ascii::write(&mut line, &self.form(digest))?;
        line.push(b'\n');
        Ok(line)
    }

    fn form(&self, digest: Option<&RandomState>) -> Form<'_> {
        let noted = self.violations.filter(|violations| !violations.list.is_empty());
        let severest = noted.and_then(Violations::severest);
        Form {
            v: FORMAT_VERSION,
            time: timestamp(self.time),
            request_id: cut(self.request_id),
            global_request_id: self.global_request_id,
            trace_id: self.trace_id,
            span_id: self.span_id,
            parent_span_id: self.parent_span_id,
            peer: self.peer,
            client_certificate: self.certificate.map(cut),
            tenant: self.tenant.map(|tenant| cut(tenant.as_str())),
            provider: self.provider.map(|provider| cut(provider.as_str())),
            checkpoint: self.checkpoint.map(|checkpoint| cut(checkpoint.as_str())),
            route: self.route.map(RouteKind::name),
            method: self.method.map(cut),
            verdict: self.verdict.word(),
            refusal: self.refusal.map(Refusal::code),
            enforcement: severest.map(Enforcement::outcome),
            violations: noted.map(|noted| noted.list.iter().map(|one| broken(one, digest)).collect()),
            violations_left_out: self.violations.map(|noted| noted.left_out).filter(|left| *left > 0),
            entries: self.charge.map(|charge| charge.entries),
            bytes: self.charge.map(|charge| charge.bytes),
            bridged: self.charge.map(|charge| charge.bridged.len()),
            kept: self.kept,
            extra_info_restored: Some(self.restored).filter(|restored| *restored > 0),
            extra_info_altered: Some(self.altered).filter(|altered| *altered > 0),
            policy: self.policy,
            status: self.status,
            upstream_status: self.upstream_status,
            outcome_unknown: self.outcome_unknown,
            client_left: self.client_left,
            duration_seconds: seconds(self.duration),
            upstream_seconds: self.upstream.map(seconds),
        }
    }
}

/// The fields as written, in order.
#[derive(Serialize)]
struct Form<'a> {
    v: u8,
    time: String,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    global_request_id: Option<GlobalRequestId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<TraceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_id: Option<SpanId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<SpanId>,
    peer: Origin,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_certificate: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    verdict: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enforcement: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    violations: Option<Vec<Broken<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    violations_left_out: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bridged: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_info_restored: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_info_altered: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_status: Option<u16>,
    outcome_unknown: bool,
    client_left: bool,
    duration_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_seconds: Option<f64>,
}

#[derive(Serialize)]
struct Broken<'a> {
    rule: &'a str,
    enforcement: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    measured: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed: Option<u64>,
}

fn broken<'a>(violation: &'a Violation, digest: Option<&RandomState>) -> Broken<'a> {
    let key = violation.key.as_deref();
    let (key, key_digest) = match digest {
        None => (key.map(cut), None),
        Some(digest) => (None, key.map(|key| format!("{:016x}", digest.hash_one(key)))),
    };
    Broken {
        rule: violation.rule.code(),
        enforcement: violation.enforcement.outcome(),
        key,
        key_digest,
        quota: violation.quota.map(Measure::name),
        measured: violation.measured,
        allowed: violation.allowed,
    }
}

/// RFC 3339 in UTC, with milliseconds. A clock outside of the years 1970 to 9999 counts as their nearest end.
fn timestamp(time: SystemTime) -> String {
    let last = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_millis(time.clamp(SystemTime::UNIX_EPOCH, last)).to_string()
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES)]
}

/// Whole microseconds: more digits would be noise.
fn seconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e6
}
