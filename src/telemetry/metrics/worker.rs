//! The metrics of one worker: cells that no other thread writes, looked up once, at the start.
//!
//! Only what is labelled by tenant or by a configured key is looked up as it is counted, on requests that
//! were judged. Leaves adding the workers up to `scrape`.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use super::family;
use super::label::{
    ConnectionRefusal, Direction, Handshake, LedgerOperation, LedgerOutcome, MethodClass, Outcome, Side,
    Unfilled, Unkept, UpstreamFailure,
};
use super::tenants::TenantLabels;
use super::upstream::UpstreamCells;
use crate::karbor::TenantId;
use crate::karbor::route::RouteKind;
use crate::policy::{Bound, Charge, Enforcement, Limits, Rule, Violations};
use crate::wire::Refusal;

/// What came of a request that was sent to Karbor; the last is that no answer began.
pub(super) const STATUS_CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", UNANSWERED];
const UNANSWERED: &str = "none";
/// The limits whose use is measured.
pub(super) const USED_LIMITS: [&str; 2] = ["entries", "total_bytes"];

/// Where one worker counts. Make it on the worker's own thread, so that no two workers' cells share a cache
/// line.
pub struct WorkerMetrics {
    tenants: Arc<TenantLabels>,
    requests: Box<[IntCounter]>,
    rejections: IntCounterVec,
    admitted: IntCounterVec,
    admitted_entries: Histogram,
    admitted_bytes: Histogram,
    entries_used: Histogram,
    total_bytes_used: Histogram,
    bridged: IntCounterVec,
    refusals: Box<[IntCounter]>,
    restored: IntCounter,
    altered: IntCounter,
    unfilled: Box<[IntCounter]>,
    unkept: Box<[IntCounter]>,
    ledger_operations: Box<[IntCounter]>,
    ledger_seconds: Box<[Histogram]>,
    upstream_requests: Box<[IntCounter]>,
    upstream_failures: Box<[IntCounter]>,
    upstream_first_byte: Histogram,
    pub(super) upstream: UpstreamCells,
    added: Box<[Histogram]>,
    body_bytes: Box<[IntCounter]>,
    connections: Box<[IntGauge]>,
    connections_total: Box<[IntCounter]>,
    connections_refused: Box<[IntCounter]>,
    handshakes: Box<[IntCounter]>,
    in_flight: IntGauge,
}

impl WorkerMetrics {
    pub(super) fn new(registry: &Registry, tenants: Arc<TenantLabels>) -> prometheus::Result<Self> {
        let routes = RouteKind::ALL.map(RouteKind::name);
        let sides = words(Side::ALL, Side::name);
        let limit_used = family::LIMIT_USED.histogram(registry)?;
        let [entries, total_bytes] = USED_LIMITS;
        Ok(Self {
            tenants,
            requests: request_cells(registry)?,
            rejections: family::REJECTIONS.counter(registry)?,
            admitted: family::ADMITTED.counter(registry)?,
            admitted_entries: only_histogram(&family::ADMITTED_ENTRIES.histogram(registry)?)?,
            admitted_bytes: only_histogram(&family::ADMITTED_BYTES.histogram(registry)?)?,
            entries_used: limit_used.get_metric_with_label_values(&[entries])?,
            total_bytes_used: limit_used.get_metric_with_label_values(&[total_bytes])?,
            bridged: family::BRIDGED.counter(registry)?,
            refusals: counters(&family::REFUSALS, registry, &words(Refusal::ALL, Refusal::code))?,
            restored: family::RESTORED.counter(registry)?.get_metric_with_label_values::<&str>(&[])?,
            altered: family::ALTERED.counter(registry)?.get_metric_with_label_values::<&str>(&[])?,
            unfilled: counters(&family::UNFILLED, registry, &words(Unfilled::ALL, Unfilled::name))?,
            unkept: counters(&family::UNKEPT, registry, &words(Unkept::ALL, Unkept::name))?,
            ledger_operations: ledger_cells(registry)?,
            ledger_seconds: histograms(
                &family::LEDGER_SECONDS.histogram(registry)?,
                &words(LedgerOperation::ALL, LedgerOperation::name),
            )?,
            upstream_requests: counters(&family::UPSTREAM_REQUESTS, registry, &STATUS_CLASSES)?,
            upstream_failures: counters(
                &family::UPSTREAM_FAILURES,
                registry,
                &words(UpstreamFailure::ALL, UpstreamFailure::name),
            )?,
            upstream_first_byte: only_histogram(&family::UPSTREAM_FIRST_BYTE.histogram(registry)?)?,
            upstream: UpstreamCells::new(registry)?,
            added: histograms(&family::ADDED_SECONDS.histogram(registry)?, &routes)?,
            body_bytes: body_cells(registry)?,
            connections: gauges(&family::CONNECTIONS.gauge(registry)?, &sides)?,
            connections_total: counters(&family::CONNECTIONS_TOTAL, registry, &sides)?,
            connections_refused: counters(
                &family::CONNECTIONS_REFUSED,
                registry,
                &words(ConnectionRefusal::ALL, ConnectionRefusal::name),
            )?,
            handshakes: counters(&family::TLS_HANDSHAKES, registry, &words(Handshake::ALL, Handshake::name))?,
            in_flight: family::IN_FLIGHT.gauge(registry)?.get_metric_with_label_values::<&str>(&[])?,
        })
    }

    /// A request has ended.
    pub fn request(&self, route: RouteKind, method: MethodClass, outcome: Outcome) {
        self.requests[request_index(route, method, outcome)].inc();
    }

    /// Karbor carried out a request of `tenant`, so there is one.
    pub fn tenant_confirmed(&self, tenant: &TenantId) {
        self.tenants.confirm(tenant);
    }

    /// A request of `tenant` broke `rule`. Once for each rule and request; `Off` is not counted.
    pub fn rejection(&self, tenant: &TenantId, rule: Rule, enforcement: Enforcement) {
        self.rejection_of(&self.tenants.of(tenant), rule, enforcement);
    }

    /// A request of `tenant` broke these rules; each counts once, however many keys broke it.
    pub fn rejections(&self, tenant: &TenantId, violations: &Violations) {
        if violations.is_empty() {
            return;
        }
        let tenant = self.tenants.of(tenant);
        for (rule, enforcement) in violations.broken() {
            self.rejection_of(&tenant, rule, enforcement);
        }
    }

    fn rejection_of(&self, tenant: &str, rule: Rule, enforcement: Enforcement) {
        if enforcement == Enforcement::Off {
            return;
        }
        // Cannot fail: the number of values is that of the labels.
        if let Ok(cell) =
            self.rejections.get_metric_with_label_values(&[tenant, rule.code(), enforcement.outcome()])
        {
            cell.inc();
        }
    }

    /// A creation of `tenant` was admitted: how much it used of `limits`.
    pub fn admitted(&self, tenant: &TenantId, charge: &Charge, limits: &Limits) {
        if let Ok(cell) = self.admitted.get_metric_with_label_values(&[&*self.tenants.of(tenant)]) {
            cell.inc();
        }
        self.admitted_entries.observe(number(charge.entries));
        self.admitted_bytes.observe(number(charge.bytes));
        observe_used(&self.entries_used, charge.entries, limits.entries);
        observe_used(&self.total_bytes_used, charge.bytes, limits.total_bytes);
    }

    /// An entry was admitted under `key` of the policy's list of bridged keys. Never a key of a request: it
    /// becomes a label value.
    pub fn bridged(&self, key: &str) {
        if let Ok(cell) = self.bridged.get_metric_with_label_values(&[key]) {
            cell.inc();
        }
    }

    /// A request was refused.
    pub fn refused(&self, refusal: Refusal) {
        self.refusals[refusal as usize].inc();
    }

    /// So many maps of an answer were put back, and so many set right.
    pub fn filled(&self, restored: u64, altered: u64) {
        self.restored.inc_by(restored);
        self.altered.inc_by(altered);
    }

    /// An answer went to the client without the maps that are kept.
    pub fn unfilled(&self, reason: Unfilled) {
        self.unfilled[reason as usize].inc();
    }

    /// A map was admitted and is not known to be kept.
    pub fn unkept(&self, reason: Unkept) {
        self.unkept[reason as usize].inc();
    }

    /// The ledger was asked, and answered or not within `time`.
    pub fn ledger(&self, operation: LedgerOperation, outcome: LedgerOutcome, time: Duration) {
        self.ledger_operations[ledger_index(operation, outcome)].inc();
        self.ledger_seconds[operation as usize].observe(time.as_secs_f64());
    }

    /// Karbor's final answer has begun, `first_byte` after the last byte of the request. A status outside
    /// 100 to 599 counts with 5xx.
    pub fn upstream_answered(&self, status: u16, first_byte: Duration) {
        let class = if (100..600).contains(&status) { usize::from(status / 100) - 1 } else { 4 };
        self.upstream_requests[class].inc();
        self.upstream_first_byte.observe(first_byte.as_secs_f64());
    }

    /// Karbor got at least a part of a request, and no answer had begun when it was given up.
    pub fn upstream_unanswered(&self) {
        self.upstream_requests[STATUS_CLASSES.len() - 1].inc();
    }

    /// Karbor gave no whole answer.
    pub fn upstream_failed(&self, failure: UpstreamFailure) {
        self.upstream_failures[failure as usize].inc();
    }

    /// What the proxy itself added to a request on `route`.
    pub fn added(&self, route: RouteKind, time: Duration) {
        self.added[route as usize].observe(time.as_secs_f64());
    }

    /// Body bytes have gone by.
    pub fn body_bytes(&self, side: Side, direction: Direction, bytes: u64) {
        self.body_bytes[side as usize * Direction::ALL.len() + direction as usize].inc_by(bytes);
    }

    /// A connection is open.
    pub fn connection_opened(&self, side: Side) {
        self.connections[side as usize].inc();
        self.connections_total[side as usize].inc();
    }

    /// A connection is closed.
    pub fn connection_closed(&self, side: Side) {
        self.connections[side as usize].dec();
    }

    /// A TLS handshake with a client ended.
    pub fn handshake(&self, outcome: Handshake) {
        self.handshakes[outcome as usize].inc();
    }

    /// A connection of a client was not served.
    pub fn connection_refused(&self, refusal: ConnectionRefusal) {
        self.connections_refused[refusal as usize].inc();
    }

    /// A request has begun.
    pub fn in_flight_started(&self) {
        self.in_flight.inc();
    }

    /// A request has finished, however it ended.
    pub fn in_flight_finished(&self) {
        self.in_flight.dec();
    }
}

const fn request_index(route: RouteKind, method: MethodClass, outcome: Outcome) -> usize {
    (route as usize * MethodClass::ALL.len() + method as usize) * Outcome::ALL.len() + outcome as usize
}

const fn ledger_index(operation: LedgerOperation, outcome: LedgerOutcome) -> usize {
    operation as usize * LedgerOutcome::ALL.len() + outcome as usize
}

fn ledger_cells(registry: &Registry) -> prometheus::Result<Box<[IntCounter]>> {
    let family = family::LEDGER_OPERATIONS.counter(registry)?;
    let mut cells = Vec::new();
    for operation in LedgerOperation::ALL {
        for outcome in LedgerOutcome::ALL {
            cells.push(family.get_metric_with_label_values(&[operation.name(), outcome.name()])?);
        }
    }
    Ok(cells.into())
}

fn request_cells(registry: &Registry) -> prometheus::Result<Box<[IntCounter]>> {
    let family = family::REQUESTS.counter(registry)?;
    let mut cells = Vec::new();
    for route in RouteKind::ALL {
        for method in MethodClass::ALL {
            for outcome in Outcome::ALL {
                let values = [route.name(), method.name(), outcome.name()];
                cells.push(family.get_metric_with_label_values(&values)?);
            }
        }
    }
    Ok(cells.into())
}

fn body_cells(registry: &Registry) -> prometheus::Result<Box<[IntCounter]>> {
    let family = family::BODY_BYTES.counter(registry)?;
    let mut cells = Vec::new();
    for side in Side::ALL {
        for direction in Direction::ALL {
            cells.push(family.get_metric_with_label_values(&[side.name(), direction.name()])?);
        }
    }
    Ok(cells.into())
}

fn words<T: Copy>(all: &[T], name: fn(T) -> &'static str) -> Box<[&'static str]> {
    all.iter().map(|value| name(*value)).collect()
}

fn counters(
    family: &family::Family,
    registry: &Registry,
    values: &[&str],
) -> prometheus::Result<Box<[IntCounter]>> {
    let vec = family.counter(registry)?;
    values.iter().map(|value| vec.get_metric_with_label_values(&[*value])).collect()
}

fn gauges(vec: &IntGaugeVec, values: &[&str]) -> prometheus::Result<Box<[IntGauge]>> {
    values.iter().map(|value| vec.get_metric_with_label_values(&[*value])).collect()
}

fn histograms(vec: &HistogramVec, values: &[&str]) -> prometheus::Result<Box<[Histogram]>> {
    values.iter().map(|value| vec.get_metric_with_label_values(&[*value])).collect()
}

fn only_histogram(vec: &HistogramVec) -> prometheus::Result<Histogram> {
    vec.get_metric_with_label_values::<&str>(&[])
}

fn observe_used(histogram: &Histogram, used: u64, limit: Bound) {
    if let Some(most) = limit.number().filter(|most| *most > 0) {
        histogram.observe(number(used) / number(most));
    }
}

fn number(value: u64) -> f64 {
    value as f64
}

impl std::fmt::Debug for WorkerMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerMetrics").finish_non_exhaustive()
    }
}
