//! A few of the numbers for a person who looks: what is open now, where Karbor is, what was turned away.
//!
//! Adds the workers up when asked, and costs them nothing. Leaves the text for Prometheus to `scrape`.

use std::collections::HashMap;

use prometheus::proto::{Metric, MetricFamily};
use serde::Serialize;

use super::{MetricsHub, family, lock, scrape};
use crate::policy::{Enforcement, Rule};
use crate::wire::Refusal;

/// The state of the process in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Glance {
    /// Client connections open.
    pub connections: u64,
    /// Requests begun and not yet finished.
    pub requests_in_flight: u64,
    /// Requests that wait for a place at Karbor.
    pub waiting_for_upstream: u64,
    /// Each endpoint of Karbor, in order of its text.
    pub endpoints: Vec<Endpoint>,
}

/// An endpoint of Karbor. Each worker judges each address for itself: these are all their judgements.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// As it is configured.
    pub endpoint: String,
    /// Addresses that are asked.
    pub up: u64,
    /// Addresses that are left alone for a while.
    pub ejected: u64,
    /// How often one began to be left alone, since the start.
    pub ejections: u64,
}

/// How many requests one reason turned away, or would have, since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The code of a rule or of a refusal.
    pub reason: &'static str,
    /// What became of them: `enforced`, `warned`, `observed`; `refused` for a refusal.
    pub outcome: &'static str,
    /// How many.
    pub count: u64,
}

/// What becomes of what was refused.
const REFUSED: &str = "refused";
/// What may become of a request that breaks a rule, from the severest.
const STANCES: [Enforcement; 3] = [Enforcement::Enforce, Enforcement::Warn, Enforcement::Observe];

impl MetricsHub {
    /// The state of the process.
    #[must_use]
    pub fn glance(&self) -> Glance {
        let families = self.families();
        let endpoints = of(&families, family::UPSTREAM_ADDRESSES.name).iter();
        let mut glance = Glance {
            connections: sum(&families, family::CONNECTIONS.name, &[("side", "downstream")]),
            requests_in_flight: sum(&families, family::IN_FLIGHT.name, &[]),
            waiting_for_upstream: sum(&families, family::UPSTREAM_WAITING.name, &[]),
            endpoints: Vec::new(),
        };
        let mut names: Vec<&str> = endpoints.filter_map(|metric| label(metric, "endpoint")).collect();
        names.dedup();
        for name in names {
            let addresses = |state| {
                sum(&families, family::UPSTREAM_ADDRESSES.name, &[("endpoint", name), ("state", state)])
            };
            glance.endpoints.push(Endpoint {
                endpoint: name.to_owned(),
                up: addresses("up"),
                ejected: addresses("ejected"),
                ejections: sum(&families, family::UPSTREAM_EJECTIONS.name, &[("endpoint", name)]),
            });
        }
        glance
    }

    /// Every reason there is with what became of it, in an order that stays: rules, then refusals.
    #[must_use]
    pub fn tallies(&self) -> Vec<Tally> {
        let families = self.families();
        // Once through: there may be a series for each of many tenants.
        let mut rejections: HashMap<(&str, &str), f64> = HashMap::new();
        for metric in of(&families, family::REJECTIONS.name) {
            if let Some(labels) = label(metric, "rule").zip(label(metric, "enforcement")) {
                *rejections.entry(labels).or_default() += metric.get_counter().get_value();
            }
        }
        let mut tallies = Vec::new();
        for reason in Rule::ALL.map(Rule::code) {
            for outcome in STANCES.map(Enforcement::outcome) {
                let count = rejections.get(&(reason, outcome)).copied().unwrap_or_default();
                tallies.push(Tally { reason, outcome, count: scrape::whole(count) });
            }
        }
        for refusal in Refusal::ALL {
            let count = sum(&families, family::REFUSALS.name, &[("reason", refusal.code())]);
            tallies.push(Tally { reason: refusal.code(), outcome: REFUSED, count });
        }
        tallies
    }

    fn families(&self) -> Vec<MetricFamily> {
        let registries = lock(&self.0.registries).clone();
        scrape::gather(&registries)
    }
}

fn of<'f>(families: &'f [MetricFamily], name: &str) -> &'f [Metric] {
    families.iter().find(|family| family.name() == name).map_or(&[], MetricFamily::get_metric)
}

fn label<'m>(metric: &'m Metric, name: &str) -> Option<&'m str> {
    metric.get_label().iter().find(|label| label.name() == name).map(|label| label.value())
}

/// What the counters or gauges of that name with those labels add up to; never below zero.
fn sum(families: &[MetricFamily], name: &str, labels: &[(&str, &str)]) -> u64 {
    let fits = |metric: &&Metric| labels.iter().all(|(name, value)| label(metric, name) == Some(value));
    // A metric is one of the two, and the other is 0.
    let value = |metric: &Metric| metric.get_counter().get_value() + metric.get_gauge().get_value();
    scrape::whole(of(families, name).iter().filter(fits).map(value).sum())
}

#[cfg(test)]
mod tests {
    use super::super::{BuildInfo, MetricsOptions, Side};
    use super::*;
    use crate::karbor::TenantId;

    #[test]
    fn adds_the_workers_up() {
        let options = MetricsOptions { named_tenants: vec![TenantId::new("t")], further_tenants: 0 };
        let hub = MetricsHub::new(&options, &BuildInfo::CURRENT).unwrap();
        let workers = [hub.worker().unwrap(), hub.worker().unwrap()];
        for worker in &workers {
            worker.connection_opened(Side::Downstream);
            worker.connection_opened(Side::Upstream);
            worker.in_flight_started();
            for tenant in ["t", "other one"] {
                worker.rejection(&TenantId::new(tenant), Rule::MalformedKey, Enforcement::Enforce);
            }
            worker.rejection(&TenantId::new("t"), Rule::MalformedKey, Enforcement::Warn);
            worker.refused(Refusal::ALL[0]);
            let endpoint = worker.endpoint("http://b");
            endpoint.address_appears(true);
            endpoint.address_appears(true);
            endpoint.ejected();
            worker.endpoint("http://a");
        }
        let glance = hub.glance();
        assert_eq!((glance.connections, glance.requests_in_flight, glance.waiting_for_upstream), (2, 2, 0));
        let b = Endpoint { endpoint: "http://b".to_owned(), up: 2, ejected: 2, ejections: 2 };
        let a = Endpoint { endpoint: "http://a".to_owned(), ..Endpoint::default() };
        assert_eq!(glance.endpoints, [a, b]);
        let counted: Vec<_> = hub.tallies().into_iter().filter(|tally| tally.count > 0).collect();
        let tally = |reason, outcome, count| Tally { reason, outcome, count };
        let refused = tally(Refusal::ALL[0].code(), "refused", 2);
        assert_eq!(
            counted,
            [tally("malformed-key", "enforced", 4), tally("malformed-key", "warned", 2), refused]
        );
        assert_eq!(hub.tallies().len(), Rule::ALL.len() * 3 + Refusal::ALL.len());
    }
}
