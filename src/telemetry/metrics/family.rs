//! The name, type, labels, buckets and help text of every metric. The only place that holds names.
//!
//! `docs/metrics.md` says the same to operators, and a test holds the two together. Leaves values to
//! `worker` and `mod`, the `process_*` family to the `prometheus` crate.

use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size, with these upper bounds.
    Histogram(&'static [f64]),
}

/// One metric, with every series of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Family {
    /// The full name.
    pub name: &'static str,
    /// The type.
    pub kind: Kind,
    /// The labels, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// The help text.
    pub help: &'static str,
}

macro_rules! families {
    ($($constant:ident = $name:literal, $kind:expr, [$($label:literal),*], $help:literal;)*) => {
        $(pub(super) const $constant: Family = Family {
            name: concat!("karbor_admission_", $name),
            kind: $kind,
            labels: &[$($label),*],
            help: $help,
        };)*

        /// Every metric of ours.
        pub const FAMILIES: &[Family] = &[$($constant,)*];
    };
}

// As shipped a map has at most 64 entries and 16384 bytes; the bounds lie close below those two.
const ENTRIES: &[f64] = &[0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 48.0, 64.0, 96.0, 128.0, 256.0];
const BYTES: &[f64] =
    &[0.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 12288.0, 16384.0, 24576.0, 32768.0, 65536.0];
const RATIOS: &[f64] = &[0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1.0];
const ADDED: &[f64] = &[
    0.000_001,
    0.000_002_5,
    0.000_005,
    0.000_01,
    0.000_025,
    0.000_05,
    0.000_1,
    0.000_25,
    0.000_5,
    0.001,
    0.002_5,
    0.005,
    0.01,
    0.1,
    1.0,
];
const LEDGER: &[f64] =
    &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
const FIRST_BYTE: &[f64] =
    &[0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

families! {
    REQUESTS = "requests_total", Kind::Counter, ["route", "method", "outcome"],
        "Requests finished, by what Karbor would make of them and how they ended.";
    REJECTIONS = "rejections_total", Kind::Counter, ["tenant", "rule", "enforcement"],
        "Requests that broke a rule; denied only where enforcement is enforced.";
    ADMITTED = "admitted_checkpoints_total", Kind::Counter, ["tenant"],
        "Checkpoint creations admitted, and carried out by Karbor.";
    ADMITTED_ENTRIES = "admitted_entries", Kind::Histogram(ENTRIES), [],
        "Entries in the extra-info of creations admitted and carried out.";
    ADMITTED_BYTES = "admitted_bytes", Kind::Histogram(BYTES), [],
        "Bytes of keys and values in the extra-info of creations admitted and carried out.";
    LIMIT_USED = "limit_used_ratio", Kind::Histogram(RATIOS), ["limit"],
        "How much of the tenant's limit admitted creations used, where it has one above zero.";
    BRIDGED = "bridged_keys_total", Kind::Counter, ["key"],
        "Entries admitted under the unprefixed keys of the operation engine.";
    REFUSALS = "refusals_total", Kind::Counter, ["reason"],
        "Requests refused because they could not be reviewed with certainty.";
    RESTORED = "extra_info_restored_total", Kind::Counter, [],
        "Maps put into answers of Karbor's that lacked them.";
    ALTERED = "extra_info_altered_total", Kind::Counter, [],
        "Maps in answers of Karbor's that differed from what was kept; the kept one went to the client.";
    UNFILLED = "unfilled_answers_total", Kind::Counter, ["reason"],
        "Answers that went to the client without the maps that are kept.";
    UNKEPT = "unkept_maps_total", Kind::Counter, ["reason"],
        "Maps that were admitted, and are not known to be kept.";
    LEDGER_OPERATIONS = "ledger_operations_total", Kind::Counter, ["operation", "outcome"],
        "What the ledger was asked, and what came of it.";
    LEDGER_SECONDS = "ledger_seconds", Kind::Histogram(LEDGER), ["operation"],
        "Time that a request waited for the ledger.";
    UPSTREAM_REQUESTS = "upstream_requests_total", Kind::Counter, ["status"],
        "Requests of which Karbor got at least a part, by the class of its answer's status, or none.";
    UPSTREAM_FAILURES = "upstream_failures_total", Kind::Counter, ["kind"],
        "Requests to which Karbor gave no whole answer.";
    UPSTREAM_MOVES = "upstream_moves_total", Kind::Counter, ["reason"],
        "Times that a request went on to another connection or address of Karbor.";
    UPSTREAM_ADDRESSES = "upstream_addresses", Kind::Gauge, ["endpoint", "state"],
        "Addresses of each endpoint, as each worker judges them, added up.";
    UPSTREAM_EJECTIONS = "upstream_ejections_total", Kind::Counter, ["endpoint"],
        "Times that a worker began to leave an address of the endpoint alone.";
    UPSTREAM_PROBES = "upstream_probes_total", Kind::Counter, ["outcome"],
        "Questions of the proxy's own that addresses of Karbor are asked as a sign of life.";
    UPSTREAM_WAITING = "upstream_waiting_requests", Kind::Gauge, [],
        "Requests that wait because as many as may be are under way to Karbor.";
    UPSTREAM_FIRST_BYTE = "upstream_first_byte_seconds", Kind::Histogram(FIRST_BYTE), [],
        "From the last byte of the request sent to Karbor to the head of its answer.";
    ADDED_SECONDS = "added_seconds", Kind::Histogram(ADDED), ["route"],
        "Time the proxy itself added to a request, waiting for neither side.";
    BODY_BYTES = "body_bytes_total", Kind::Counter, ["side", "direction"],
        "Bytes of request and answer bodies, without framing.";
    CONNECTIONS = "connections", Kind::Gauge, ["side"],
        "Connections open now.";
    CONNECTIONS_TOTAL = "connections_total", Kind::Counter, ["side"],
        "Connections opened.";
    CONNECTIONS_REFUSED = "connections_refused_total", Kind::Counter, ["reason"],
        "Connections of clients that were not served.";
    TLS_HANDSHAKES = "tls_handshakes_total", Kind::Counter, ["outcome"],
        "TLS handshakes with clients.";
    TLS_EXPIRY = "tls_certificate_expiry_timestamp_seconds", Kind::Gauge, ["file"],
        "Until when each certificate for clients holds, in seconds since 1970.";
    IN_FLIGHT = "requests_in_flight", Kind::Gauge, [],
        "Requests begun and not yet finished.";
    BUILD = "build_info", Kind::Gauge, ["version", "commit", "rustc"],
        "Always 1; the labels say what was built.";
    RELOADED = "config_last_reload_successful", Kind::Gauge, [],
        "1 if the last reload of the configuration succeeded, or there was none; 0 if it changed nothing.";
    RELOADED_AT = "config_last_reload_success_timestamp_seconds", Kind::Gauge, [],
        "When the configuration was last read without a problem, at start or by a reload.";
    RELOADS = "config_reloads_total", Kind::Counter, ["outcome"],
        "Reloads of the configuration, by what came of them.";
    POLICY = "policy_info", Kind::Gauge, ["revision"],
        "Always 1; the label names the policy in force.";
    LIMIT = "limit", Kind::Gauge, ["tenant", "limit"],
        "Limits in force for each configured tenant and for all others (default); +Inf is unlimited.";
    QUOTA = "quota", Kind::Gauge, ["tenant", "quota"],
        "Quotas in force for each configured tenant and for all others (default); +Inf is unlimited.";
    QUOTA_USED = "quota_used_ratio", Kind::Gauge, ["tenant", "quota"],
        "Usage of each configured tenant as a part of its quota, where it has one above zero.";
    AUDIT_LINES = "audit_lines_total", Kind::Counter, [],
        "Audit lines written.";
    AUDIT_DROPPED = "audit_dropped_lines_total", Kind::Counter, ["reason"],
        "Audit lines that are missing from the audit log.";
    SPANS = "spans_total", Kind::Counter, [],
        "Spans of traces that the collector took.";
    SPANS_DROPPED = "dropped_spans_total", Kind::Counter, ["reason"],
        "Spans of traces that are missing at the collector.";
}

impl Family {
    fn opts(&self) -> Opts {
        Opts::new(self.name, self.help)
    }

    pub(super) fn counter(&self, registry: &Registry) -> prometheus::Result<IntCounterVec> {
        let vec = IntCounterVec::new(self.opts(), self.labels)?;
        registry.register(Box::new(vec.clone()))?;
        Ok(vec)
    }

    pub(super) fn gauge(&self, registry: &Registry) -> prometheus::Result<IntGaugeVec> {
        let vec = IntGaugeVec::new(self.opts(), self.labels)?;
        registry.register(Box::new(vec.clone()))?;
        Ok(vec)
    }

    /// Not registered: its series are replaced whole.
    pub(super) fn loose_gauge(&self) -> prometheus::Result<GaugeVec> {
        GaugeVec::new(self.opts(), self.labels)
    }

    pub(super) fn histogram(&self, registry: &Registry) -> prometheus::Result<HistogramVec> {
        let buckets = match self.kind {
            Kind::Histogram(bounds) => bounds.to_vec(),
            Kind::Counter | Kind::Gauge => Vec::new(),
        };
        let vec = HistogramVec::new(HistogramOpts::from(self.opts()).buckets(buckets), self.labels)?;
        registry.register(Box::new(vec.clone()))?;
        Ok(vec)
    }
}
