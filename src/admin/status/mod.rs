//! `/status`: how everything stands, as a page for a person or as JSON.
//!
//! [`Report`] is what the wiring says of the parts that this one does not know; numbers come from the metrics, what
//! happened of late from `trend`. The names of the JSON stand in `docs/admin.md`. Leaves HTML to `page`.

mod markup;
mod page;
mod parts;
mod plot;
#[cfg(test)]
mod tests;
mod traffic;
mod trend;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};
use serde_json::Value;

pub(super) use self::page::CONTENT_SECURITY_POLICY;
pub(super) use self::trend::{MINUTE, Trend};
use crate::telemetry::metrics::{BuildInfo, Endpoint, Glance, Tally};

/// The version of the JSON, in it as `v`. Members may be added within a version.
pub const STATUS_VERSION: u8 = 1;

/// What the wiring says of the parts that the admin side does not know.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// When the process began.
    #[serde(serialize_with = "timestamp")]
    pub started_at: SystemTime,
    /// Threads that serve clients.
    pub workers: usize,
    /// Where clients and operators connect.
    pub listeners: Vec<Listening>,
    /// The revision of the policy in force.
    pub policy: String,
    /// How the configuration came into force.
    pub reload: Reloading,
    /// The ledger; none where it is off.
    pub ledger: Option<LedgerState>,
    /// What tenants use of their quotas.
    pub usage: UsageReport,
    /// The latest audit lines of requests that broke a rule or were refused, the newest first.
    pub latest_rejections: Vec<Value>,
}

/// A place to connect.
#[derive(Clone, Debug, Serialize)]
pub struct Listening {
    /// For whom: `clients`, `admin`.
    pub side: &'static str,
    /// Where, as it is configured.
    pub address: String,
    /// Whether TLS is spoken there.
    pub tls: bool,
}

/// How the configuration came into force.
#[derive(Clone, Debug, Serialize)]
pub struct Reloading {
    /// Whether what stands in the files was in force when it was last looked at.
    pub successful: bool,
    /// When the configuration was last read without a problem, at start or by a reload.
    #[serde(serialize_with = "timestamp")]
    pub succeeded_at: SystemTime,
    /// The last reload, if there was one.
    pub last: Option<Attempt>,
}

/// One reload.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    /// When.
    #[serde(serialize_with = "timestamp")]
    pub at: SystemTime,
    /// What came of it: `applied`, `unchanged`, `invalid`, `needs-restart`.
    pub outcome: &'static str,
    /// What came into force, or what stood against it.
    pub words: Vec<String>,
    /// How many more there were.
    pub left_out: usize,
}

/// The ledger.
#[derive(Clone, Debug, Serialize)]
pub struct LedgerState {
    /// Where it is; without a password.
    pub place: String,
    /// Whether it was there when it was last needed.
    pub up: bool,
    /// Bytes on the disk; none where that is not known.
    pub size_bytes: Option<u64>,
}

/// What tenants use of their quotas.
#[derive(Clone, Debug, Default, Serialize)]
pub struct UsageReport {
    /// When that was so; none where it was never looked at.
    #[serde(serialize_with = "maybe_timestamp")]
    pub at: Option<SystemTime>,
    /// Some tenants, the fullest first.
    pub tenants: Vec<TenantUsage>,
    /// How many more have something in the ledger.
    pub not_shown: u64,
    /// Whether each of them was looked at, so that those shown are the fullest of all.
    pub is_of_all: bool,
}

/// What one tenant uses.
#[derive(Clone, Debug, Serialize)]
pub struct TenantUsage {
    /// Which.
    pub tenant: String,
    /// Of what.
    pub quotas: Vec<QuotaUsage>,
}

/// How much of one quota is used.
#[derive(Clone, Debug, Serialize)]
pub struct QuotaUsage {
    /// Which: `checkpoints`, `stored_bytes`, `stored_entries`, `creations`.
    pub quota: &'static str,
    /// How much there is.
    pub used: u64,
    /// How much there may be; none for any number.
    pub allowed: Option<u64>,
    /// Within how many seconds, for a rate.
    pub window_seconds: Option<u64>,
}

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    v: u8,
    version: &'static str,
    commit: &'static str,
    #[serde(serialize_with = "timestamp")]
    time: SystemTime,
    uptime_seconds: u64,
    ready: bool,
    /// Why not.
    waiting_for: Vec<String>,
    connections: u64,
    requests_in_flight: u64,
    upstream: Upstream,
    #[serde(flatten)]
    report: Report,
    rejections: Rejections,
}

/// The ways to Karbor.
#[derive(Debug, Serialize)]
struct Upstream {
    waiting_requests: u64,
    endpoints: Vec<Endpoint>,
}

/// What was turned away, or would have been.
#[derive(Debug, Serialize)]
struct Rejections {
    /// How many minutes each series has.
    minutes: usize,
    /// Those with a count within that time, the highest first.
    series: Vec<trend::Series>,
}

/// What a status is made of, beside the report.
pub(super) struct Numbers<'n> {
    pub(super) reasons: Vec<String>,
    pub(super) glance: Glance,
    pub(super) tallies: Vec<Tally>,
    pub(super) trend: &'n Trend,
}

impl Status {
    pub(super) fn of(report: Report, numbers: Numbers<'_>, time: SystemTime) -> Self {
        let Numbers { reasons, glance, tallies, trend } = numbers;
        Self {
            v: STATUS_VERSION,
            version: BuildInfo::CURRENT.version,
            commit: BuildInfo::CURRENT.commit,
            time,
            uptime_seconds: since(report.started_at, time).as_secs(),
            ready: reasons.is_empty(),
            waiting_for: reasons,
            connections: glance.connections,
            requests_in_flight: glance.requests_in_flight,
            upstream: Upstream { waiting_requests: glance.waiting_for_upstream, endpoints: glance.endpoints },
            report,
            rejections: Rejections { minutes: trend::MINUTES, series: trend.series(&tallies) },
        }
    }

    pub(super) fn to_json(&self) -> String {
        // Strings, numbers and what was JSON before: it cannot fail.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }

    /// The page. With `refresh`, browsers ask for it again after so many seconds.
    pub(super) fn to_html(&self, refresh: Option<u32>) -> String {
        page::write(self, refresh)
    }
}

/// Whether a reader would rather have JSON than a page (RFC 9110, section 12.5.1). Who says nothing gets the page.
pub(super) fn prefers_json<'f>(accept: impl Iterator<Item = &'f str>) -> bool {
    let (mut json, mut page) = (None, None);
    for range in accept.flat_map(|field| field.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let weight = weight.map_or(Some(1.0), |weight| weight.parse::<f32>().ok()).unwrap_or(0.0);
        match name.as_str() {
            "application/json" => json = Some(weight),
            "text/html" => page = Some(weight),
            _ => {}
        }
    }
    json.is_some_and(|json| json > 0.0 && page.is_none_or(|page| json > page))
}

fn since(then: SystemTime, now: SystemTime) -> Duration {
    // A clock that was set back shows as nothing.
    now.duration_since(then).unwrap_or_default()
}

/// RFC 3339 in UTC, to the second. A clock outside of the years 1970 to 9999 counts as their nearest end.
fn in_words(time: SystemTime) -> String {
    let last = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_seconds(time.clamp(UNIX_EPOCH, last)).to_string()
}

fn timestamp<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&in_words(*time))
}

fn maybe_timestamp<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => timestamp(time, serializer),
        None => serializer.serialize_none(),
    }
}
