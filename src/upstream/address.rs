//! One address of an endpoint: its health, the requests under way to it, and what is counted of both.
//!
//! Of one worker, so without locks: workers judge for themselves. Leaves the judgement to `health`.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use http::HeaderValue;
use tokio::time::Instant;

use super::Endpoint;
use super::connect::{Dial, Secure};
use super::health::{Change, Ejection, Fault, Health};
use super::options::{EjectionRules, UpstreamOptions};
use crate::telemetry::metrics::{EndpointMetrics, WorkerMetrics};

/// An endpoint, and what all its addresses have in common.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) endpoint: Endpoint,
    pub(super) host: HeaderValue,
    /// None for plain HTTP; or why there can be no connection.
    pub(super) secure: io::Result<Option<Secure>>,
    pub(super) metrics: EndpointMetrics,
    /// Why its name has no address, since it was last looked up.
    pub(super) unresolved: RefCell<Option<io::Error>>,
}

impl Site {
    pub(super) fn new(endpoint: &Endpoint, options: &UpstreamOptions, metrics: &WorkerMetrics) -> Rc<Self> {
        Rc::new(Self {
            endpoint: endpoint.clone(),
            host: endpoint.host_header(),
            secure: Secure::of(endpoint, options.tls.as_ref()),
            metrics: metrics.endpoint(&endpoint.to_string()),
            unresolved: RefCell::default(),
        })
    }
}

/// Where one connection to an endpoint goes.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) site: Rc<Site>,
    pub(super) dial: Dial,
    health: Cell<Health>,
    requests: Cell<usize>,
    retired: Cell<bool>,
}

impl Address {
    /// An address, with the health that is known of it.
    pub(super) fn new(site: Rc<Site>, dial: Dial, health: Health) -> Rc<Self> {
        site.metrics.address_appears(health.ejection().is_none());
        Rc::new(Self {
            site,
            dial,
            health: Cell::new(health),
            requests: Cell::new(0),
            retired: Cell::new(false),
        })
    }

    pub(super) fn health(&self) -> Health {
        self.health.get()
    }

    pub(super) fn ejection(&self) -> Option<Ejection> {
        self.health.get().ejection()
    }

    /// Requests under way.
    pub(super) fn requests(&self) -> usize {
        self.requests.get()
    }

    /// Whether it is gone from the configuration, or from its name: no further request goes there.
    pub(super) fn is_retired(&self) -> bool {
        self.retired.get()
    }

    pub(super) fn retire(&self) {
        if !self.retired.replace(true) {
            self.site.metrics.address_goes(self.ejection().is_none());
        }
    }

    pub(super) fn begins_trial(&self, now: Instant) {
        let mut health = self.health.get();
        health.begins_trial(now);
        self.health.set(health);
    }

    pub(super) fn failed(&self, fault: Fault, on_trial: bool, rules: &EjectionRules) {
        self.note(|health| health.failed(fault, on_trial, Instant::now(), rules));
    }

    pub(super) fn connected(&self, on_trial: bool) {
        if on_trial {
            self.note(|health| health.connected(on_trial));
        }
    }

    pub(super) fn answered(&self, status: u16, on_trial: bool, rules: &EjectionRules) {
        // The usual case, without a look at the clock.
        if !(self.health.get().is_spotless() && status < 500) {
            self.note(|health| health.answered(status, on_trial, Instant::now(), rules));
        }
    }

    pub(super) fn answered_probe(&self) {
        self.note(|health| health.answered_probe(Instant::now()));
    }

    fn note(&self, happens: impl FnOnce(&mut Health) -> Change) {
        let mut health = self.health.get();
        let change = happens(&mut health);
        self.health.set(health);
        if self.is_retired() {
            return;
        }
        match (change, health.ejection()) {
            (Change::Ejected, Some(ejection)) => {
                self.site.metrics.ejected();
                tracing::warn!(
                    endpoint = %self.site.endpoint,
                    address = %self.dial,
                    reason = ejection.fault.words(),
                    back_off = ?ejection.back_off,
                    "an address of karbor is left alone"
                );
            }
            (Change::Back, _) => {
                self.site.metrics.came_back();
                tracing::info!(endpoint = %self.site.endpoint, address = %self.dial, "an address of karbor is back");
            }
            _ => {}
        }
    }
}

/// A request under way to an address, for as long as this lives.
#[derive(Debug)]
pub(super) struct Load(Rc<Address>);

impl Load {
    pub(super) fn on(address: &Rc<Address>) -> Self {
        address.requests.set(address.requests.get() + 1);
        Self(address.clone())
    }

    pub(super) fn address(&self) -> &Rc<Address> {
        &self.0
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.requests.set(self.0.requests.get() - 1);
    }
}
