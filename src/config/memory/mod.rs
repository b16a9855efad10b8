//! What the process needs of memory at worst, and what `auto` is of settings that this depends on.
//!
//! The sum is that of SECURITY.md. Leaves finding out how much there is to `limit`.

mod limit;

use std::fmt;

pub use limit::MemoryLimit;
pub(super) use limit::find;

use super::Config;
use super::kind;
use super::problem::Problem;
use super::settings::Settings;
use crate::policy::Bound;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

const BODY_BUDGET: &str = "server.body_budget";
const MAX_CONNECTIONS: &str = "server.max_connections";
const MAX_REQUESTS: &str = "server.max_requests";

/// What `auto` is at most: with more, other bounds of a machine are met before.
const MOST_BODY_BUDGET: u64 = 256 * MIB;
const MOST_CONNECTIONS: u64 = 10_000;
/// More in line are not served sooner, by Karbor or by us; only later than their clients wait.
const MOST_REQUESTS: u64 = 256;
/// And at least, or there would be no service; a warning says that it does not fit.
const LEAST_BODY_BUDGET: u64 = 16 * MIB;
const LEAST_CONNECTIONS: u64 = 64;
const LEAST_REQUESTS: u64 = 16;

/// The program, its threads, and the ledger's connections.
const BASE: u64 = 64 * MIB;
/// The longest audit line.
const AUDIT_LINE: u64 = 32 * KIB;
/// The largest span, and how many are on their way beside those that wait.
const SPAN: u64 = 4 * KIB;
const SPANS_UNDER_WAY: u64 = 512;
/// A connection at its worst, beside copies of its head.
const CONNECTION: u64 = 128 * KIB;
const COPIES_OF_HEAD: u64 = 5;
/// What TLS adds to it.
const TLS: u64 = 96 * KIB;
/// A map without a bound of its own: the largest body has room for no more.
const LARGEST_MAP: u64 = MIB;

/// How much memory there is, and how much of it may be needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// What this process may have; none where nobody said.
    pub limit: Option<MemoryLimit>,
    /// The most that clients can make it take, in bytes.
    pub worst_bytes: u64,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB at worst", self.worst_bytes.div_ceil(MIB))?;
        match &self.limit {
            Some(limit) => write!(f, ", of {limit}"),
            None => f.write_str(", of an unknown amount"),
        }
    }
}

/// Replaces what `auto` stands for, now that everything else is known.
pub(super) fn fit(settings: &Settings, limit: Option<MemoryLimit>, config: &mut Config) {
    let bytes = limit.as_ref().map(|limit| limit.bytes);
    if is_auto(settings, BODY_BUDGET) {
        config.proxy.body_budget_bytes = body_budget(bytes);
    }
    if is_auto(settings, MAX_CONNECTIONS) {
        let most = connections(bytes, beside_connections(config), of_connection(config));
        config.server.max_connections = usize::try_from(most).unwrap_or(usize::MAX);
    }
    if is_auto(settings, MAX_REQUESTS) {
        let most = requests(config.proxy.body_budget_bytes, config.policy.default.limits.body_bytes);
        config.proxy.max_requests = most;
    }
    config.memory = Memory { limit, worst_bytes: worst(config) };
}

/// What `auto` was found to be, for the setting of that key.
pub(super) fn fitted(settings: &Settings, config: &Config, key: &str) -> Option<String> {
    let value = match key {
        BODY_BUDGET => kind::size_as_text(config.proxy.body_budget_bytes),
        MAX_CONNECTIONS => config.server.max_connections.to_string(),
        MAX_REQUESTS => config.proxy.max_requests.to_string(),
        "server.workers" => config.server.workers.to_string(),
        _ => return None,
    };
    is_auto(settings, key).then_some(value)
}

/// Where the worst does not fit.
pub(super) fn warning(settings: &Settings, config: &Config) -> Option<Problem> {
    let Memory { limit, worst_bytes } = &config.memory;
    let limit = limit.as_ref()?;
    let room = room(limit.bytes);
    if *worst_bytes <= room {
        return None;
    }
    let text = format!(
        "clients can make the proxy take {} MiB, and there is room for {}: three quarters of {limit}",
        worst_bytes.div_ceil(MIB),
        room / MIB,
    );
    let hint = "raise the limit, or lower server.max_connections, server.body_budget, server.max_head or \
                audit.queue_lines";
    Some(settings.problem(MAX_CONNECTIONS, text).hint(Some(hint.to_owned())))
}

fn is_auto(settings: &Settings, key: &str) -> bool {
    settings.read(key, |value| kind::auto(value, |_| Ok(()))).is_ok_and(|named| named.is_none())
}

/// The rest is for the system's buffers, the ledger's pages, and what an allocator keeps.
const fn room(limit: u64) -> u64 {
    limit - limit / 4
}

fn body_budget(limit: Option<u64>) -> u64 {
    let share = limit.map_or(u64::MAX, |limit| limit / 16 / MIB * MIB);
    share.clamp(LEAST_BODY_BUDGET, MOST_BODY_BUDGET)
}

fn connections(limit: Option<u64>, beside: u64, each: u64) -> u64 {
    let left = limit.map_or(u64::MAX, |limit| room(limit).saturating_sub(beside));
    (left / each.max(1)).clamp(LEAST_CONNECTIONS, MOST_CONNECTIONS)
}

fn requests(body_budget: u64, largest_body: u64) -> u64 {
    (body_budget / largest_body.max(1)).clamp(LEAST_REQUESTS, MOST_REQUESTS)
}

/// One connection, or one request of HTTP/2, at its worst.
fn of_connection(config: &Config) -> u64 {
    let tls = if config.server.tls.is_some() { TLS } else { 0 };
    COPIES_OF_HEAD * config.server.max_head_bytes as u64 + CONNECTION + tls
}

fn beside_connections(config: &Config) -> u64 {
    // Groups hold for tenants that are named, and for no others.
    let rules = config.policy.tenants.values().map(|rules| &**rules).chain([&*config.policy.default]);
    let map = rules.map(|rules| match rules.limits.total_bytes {
        Bound::AtMost(bytes) => bytes.min(LARGEST_MAP),
        Bound::Unlimited => LARGEST_MAP,
    });
    let map = map.max().unwrap_or_default();
    let queue = config.ledger.as_ref().map_or(0, |ledger| ledger.queue as u64);
    let audit = config.audit.queue_lines as u64 * AUDIT_LINE;
    let spans = config.otlp.as_ref().map_or(0, |otlp| (otlp.queue_spans as u64 + SPANS_UNDER_WAY) * SPAN);
    BASE + audit + spans + queue * map + 2 * config.proxy.body_budget_bytes
}

fn worst(config: &Config) -> u64 {
    let connections = config.server.max_connections as u64;
    beside_connections(config).saturating_add(connections.saturating_mul(of_connection(config)))
}

#[cfg(test)]
mod tests;
