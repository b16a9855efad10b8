//! What one worker counts of its ways to Karbor; the cells of endpoints come and go with the configuration.
//!
//! Leaves requests, failures and connections to `worker`.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use super::WorkerMetrics;
use super::family;
use super::label::{Move, Probe};

/// The states of an address, as label values.
const STATES: [&str; 2] = ["up", "ejected"];

/// The cells of one worker.
pub(super) struct UpstreamCells {
    moves: Box<[IntCounter]>,
    probes: Box<[IntCounter]>,
    waiting: IntGauge,
    addresses: IntGaugeVec,
    ejections: IntCounterVec,
}

impl UpstreamCells {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let (moves, probes) =
            (family::UPSTREAM_MOVES.counter(registry)?, family::UPSTREAM_PROBES.counter(registry)?);
        let moves = Move::ALL.iter().map(|reason| moves.get_metric_with_label_values(&[reason.name()]));
        let probes = Probe::ALL.iter().map(|outcome| probes.get_metric_with_label_values(&[outcome.name()]));
        Ok(Self {
            moves: moves.collect::<Result<_, _>>()?,
            probes: probes.collect::<Result<_, _>>()?,
            waiting: family::UPSTREAM_WAITING.gauge(registry)?.get_metric_with_label_values::<&str>(&[])?,
            addresses: family::UPSTREAM_ADDRESSES.gauge(registry)?,
            ejections: family::UPSTREAM_EJECTIONS.counter(registry)?,
        })
    }
}

impl WorkerMetrics {
    /// A request went on to another connection or address.
    pub fn moved(&self, reason: Move) {
        self.upstream.moves[reason as usize].inc();
    }

    /// An address was probed.
    pub fn probed(&self, outcome: Probe) {
        self.upstream.probes[outcome as usize].inc();
    }

    /// A request waits for its turn, until what this gives is dropped.
    pub fn waits_for_upstream(&self) -> Waiting {
        self.upstream.waiting.inc();
        Waiting(self.upstream.waiting.clone())
    }

    /// Where an endpoint's addresses count. Its text becomes a label value, so it comes from the configuration.
    pub fn endpoint(&self, endpoint: &str) -> EndpointMetrics {
        let cells = &self.upstream;
        let [up, ejected] =
            STATES.map(|state| cells.addresses.get_metric_with_label_values(&[endpoint, state]).ok());
        // Cannot fail: the number of values is that of the labels.
        EndpointMetrics {
            up,
            ejected,
            ejections: cells.ejections.get_metric_with_label_values(&[endpoint]).ok(),
        }
    }

    /// An endpoint is not configured any more: its series go.
    pub fn endpoint_goes(&self, endpoint: &str) {
        let _ = self.upstream.ejections.remove_label_values(&[endpoint]);
        for state in STATES {
            let _ = self.upstream.addresses.remove_label_values(&[endpoint, state]);
        }
    }
}

/// A request that waits, for as long as this lives.
#[derive(Debug)]
pub struct Waiting(IntGauge);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Where one worker counts what happens to the addresses of one endpoint.
#[derive(Clone, Debug)]
pub struct EndpointMetrics {
    up: Option<IntGauge>,
    ejected: Option<IntGauge>,
    ejections: Option<IntCounter>,
}

impl EndpointMetrics {
    /// An address is known, fit or not.
    pub fn address_appears(&self, is_up: bool) {
        self.add(is_up, 1);
    }

    /// An address is known no more.
    pub fn address_goes(&self, is_up: bool) {
        self.add(is_up, -1);
    }

    /// An address is left alone from now on.
    pub fn ejected(&self) {
        if let Some(ejections) = &self.ejections {
            ejections.inc();
        }
        self.add(true, -1);
        self.add(false, 1);
    }

    /// It is fit again.
    pub fn came_back(&self) {
        self.add(false, -1);
        self.add(true, 1);
    }

    fn add(&self, is_up: bool, number: i64) {
        if let Some(gauge) = if is_up { &self.up } else { &self.ejected } {
            gauge.add(number);
        }
    }
}
