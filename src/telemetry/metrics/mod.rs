//! Every metric, by name. No label value is taken from a request, apart from a bounded number of tenants.
//!
//! Each worker counts in cells of its own ([`WorkerMetrics`]); the [`MetricsHub`] adds them up when it is
//! scraped. Names stand in `family`, closed label values in `label`. Leaves serving the text to `admin`.

mod connection;
mod family;
mod glance;
mod in_force;
mod label;
mod life;
mod scrape;
mod tenants;
#[cfg(test)]
mod tests;
mod upstream;
mod worker;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, Registry};

pub use connection::OpenConnection;
pub use family::{FAMILIES, Family, Kind};
pub use glance::{Endpoint, Glance, Tally};
use in_force::{InForce, quotas};
pub use label::{
    AuditDrop, ConnectionRefusal, Direction, Handshake, LedgerOperation, LedgerOutcome, MethodClass, Move,
    Outcome, Probe, Reload, Side, SpanDrop, Unfilled, Unkept, UpstreamFailure,
};
use life::Life;
use tenants::TenantLabels;
pub use upstream::{EndpointMetrics, Waiting};
pub use worker::WorkerMetrics;

use crate::karbor::TenantId;
use crate::policy::{Enforcement, PolicySpec, Quota, Rule, Standing};

/// The media type of [`MetricsHub::encode`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the metrics are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsOptions {
    /// Tenants with a label value of their own.
    pub named_tenants: Vec<TenantId>,
    /// How many tenants beyond those get one, first come first served; the rest is `other`.
    pub further_tenants: usize,
}

/// What was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildInfo {
    /// The version of the crate.
    pub version: &'static str,
    /// The commit it was built from, or `unknown`.
    pub commit: &'static str,
    /// The compiler, as it calls itself.
    pub rustc: &'static str,
}

impl BuildInfo {
    /// This build.
    pub const CURRENT: Self = Self {
        version: env!("CARGO_PKG_VERSION"),
        commit: env!("KARBOR_ADMISSION_COMMIT"),
        rustc: env!("KARBOR_ADMISSION_RUSTC"),
    };
}

/// A metric could not be set up: a name or a label is malformed or taken. A mistake in the program.
#[derive(Debug, thiserror::Error)]
#[error("a metric could not be set up")]
pub struct MetricsError(#[from] prometheus::Error);

/// What the audit log counts.
#[derive(Clone)]
pub struct AuditCounters {
    lines: IntCounter,
    dropped: Box<[IntCounter]>,
}

impl AuditCounters {
    /// This many lines were written.
    pub fn written(&self, lines: u64) {
        self.lines.inc_by(lines);
    }

    /// This many lines are missing.
    pub fn dropped(&self, reason: AuditDrop, lines: u64) {
        self.dropped[reason as usize].inc_by(lines);
    }
}

/// What is counted of the spans of traces.
#[derive(Clone)]
pub struct SpanCounters {
    exported: IntCounter,
    dropped: Box<[IntCounter]>,
}

impl SpanCounters {
    /// The collector took this many.
    pub fn exported(&self, spans: u64) {
        self.exported.inc_by(spans);
    }

    /// This many are missing there.
    pub fn dropped(&self, reason: SpanDrop, spans: u64) {
        self.dropped[reason as usize].inc_by(spans);
    }
}

/// Every worker's metrics and those of the whole process. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct MetricsHub(Arc<Hub>);

struct Hub {
    tenants: Arc<TenantLabels>,
    /// The process's own first, then one for each worker.
    registries: Mutex<Vec<Registry>>,
    bridged: IntCounterVec,
    audit: AuditCounters,
    spans: SpanCounters,
    life: Life,
    policy: Mutex<Option<InForce>>,
    used: Mutex<Vec<MetricFamily>>,
    certificates: Mutex<Vec<MetricFamily>>,
}

impl MetricsHub {
    /// The metrics of the process, without workers and policy yet. An alert may count on a zero for each
    /// rule and enforcement, under the tenant `other`.
    pub fn new(options: &MetricsOptions, build: &BuildInfo) -> Result<Self, MetricsError> {
        let registry = Registry::new();
        register_process(&registry)?;
        family::BUILD
            .gauge(&registry)?
            .get_metric_with_label_values(&[build.version, build.commit, build.rustc])?
            .set(1);
        let rejections = family::REJECTIONS.counter(&registry)?;
        for rule in Rule::ALL {
            for stance in [Enforcement::Observe, Enforcement::Warn, Enforcement::Enforce] {
                rejections.get_metric_with_label_values(&[tenants::OTHER, rule.code(), stance.outcome()])?;
            }
        }
        family::ADMITTED.counter(&registry)?.get_metric_with_label_values(&[tenants::OTHER])?;
        let dropped = family::AUDIT_DROPPED.counter(&registry)?;
        let dropped_cells =
            AuditDrop::ALL.iter().map(|reason| dropped.get_metric_with_label_values(&[reason.name()]));
        let spans_dropped = family::SPANS_DROPPED.counter(&registry)?;
        let span_cells =
            SpanDrop::ALL.iter().map(|reason| spans_dropped.get_metric_with_label_values(&[reason.name()]));
        Ok(Self(Arc::new(Hub {
            tenants: Arc::new(TenantLabels::new(&options.named_tenants, options.further_tenants)),
            bridged: family::BRIDGED.counter(&registry)?,
            audit: AuditCounters {
                lines: family::AUDIT_LINES.counter(&registry)?.get_metric_with_label_values::<&str>(&[])?,
                dropped: dropped_cells.collect::<Result<_, _>>()?,
            },
            spans: SpanCounters {
                exported: family::SPANS.counter(&registry)?.get_metric_with_label_values::<&str>(&[])?,
                dropped: span_cells.collect::<Result<_, _>>()?,
            },
            life: Life::new(&registry)?,
            registries: Mutex::new(vec![registry]),
            policy: Mutex::default(),
            used: Mutex::new(Vec::new()),
            certificates: Mutex::new(Vec::new()),
        })))
    }

    /// Those of a test: no tenant has a label value of its own.
    #[cfg(test)]
    pub(crate) fn bare() -> Self {
        let options = MetricsOptions { named_tenants: Vec::new(), further_tenants: 0 };
        Self::new(&options, &BuildInfo::CURRENT).unwrap()
    }

    /// The metrics of one more worker.
    pub fn worker(&self) -> Result<WorkerMetrics, MetricsError> {
        let registry = Registry::new();
        let worker = WorkerMetrics::new(&registry, Arc::clone(&self.0.tenants))?;
        lock(&self.0.registries).push(registry);
        Ok(worker)
    }

    /// Where the audit log counts.
    #[must_use]
    pub fn audit_counters(&self) -> AuditCounters {
        self.0.audit.clone()
    }

    /// Where spans are counted.
    #[must_use]
    pub fn span_counters(&self) -> SpanCounters {
        self.0.spans.clone()
    }

    /// Another policy is in force: shows its revision and limits, and gives its tenants label values of
    /// their own.
    pub fn set_policy(&self, policy: &PolicySpec) -> Result<(), MetricsError> {
        let hub = &self.0;
        hub.tenants.name(policy.tenants.keys());
        for key in &policy.bridged_keys {
            hub.bridged.get_metric_with_label_values(&[&**key])?;
        }
        *lock(&hub.policy) = Some(InForce::of(policy));
        Ok(())
    }

    /// So much of each quota is used, by tenant.
    pub fn set_usage(&self, tenants: &[(TenantId, Quota, Standing)]) -> Result<(), MetricsError> {
        let used = family::QUOTA_USED.loose_gauge()?;
        for (tenant, quota, Standing { usage, recent }) in tenants {
            let present = [usage.checkpoints, usage.bytes, usage.entries, recent.count];
            for ((name, most), present) in quotas(quota).into_iter().zip(present) {
                if let Some(most) = most.filter(|most| *most > 0) {
                    let ratio = present as f64 / most as f64;
                    used.get_metric_with_label_values(&[&*tenants::spell(tenant), name])?.set(ratio);
                }
            }
        }
        let sorted = Registry::new();
        sorted.register(Box::new(used))?;
        *lock(&self.0.used) = sorted.gather();
        Ok(())
    }

    /// So many tenants beyond those named get a label value of their own from now on. Those that have one keep it.
    pub fn set_further_tenants(&self, further: usize) {
        self.0.tenants.resize(further);
    }

    /// A reload of the configuration has ended so.
    pub fn reloaded(&self, outcome: Reload) {
        self.0.life.reloaded(outcome);
    }

    /// Requests begun and not yet finished, in all workers.
    #[must_use]
    pub fn requests_in_flight(&self) -> u64 {
        let registries = lock(&self.0.registries).clone();
        scrape::sum_of_gauge(&registries, family::IN_FLIGHT.name)
    }

    /// Until when each certificate holds, by its file, in seconds since 1970.
    pub fn set_certificates(&self, expiries: &[(PathBuf, i64)]) -> Result<(), MetricsError> {
        let expiry = family::TLS_EXPIRY.loose_gauge()?;
        for (file, seconds) in expiries {
            expiry.get_metric_with_label_values(&[&*file.to_string_lossy()])?.set(*seconds as f64);
        }
        let sorted = Registry::new();
        sorted.register(Box::new(expiry))?;
        *lock(&self.0.certificates) = sorted.gather();
        Ok(())
    }

    /// Everything, in the text format.
    #[must_use]
    pub fn encode(&self) -> String {
        let registries = lock(&self.0.registries).clone();
        let counted = scrape::gather(&registries);
        let (policy, used) = (lock(&self.0.policy), lock(&self.0.used));
        let certificates = lock(&self.0.certificates);
        let counted = counted.iter().chain(used.iter()).chain(certificates.iter());
        let mut families: Vec<(&str, Shown<'_>)> =
            counted.map(|family| (family.name(), Shown::Counted(family))).collect();
        if let Some(policy) = &*policy {
            families.extend(in_force::SHOWN.map(|family| (family.name, Shown::InForce(policy))));
        }
        families.sort_unstable_by_key(|(name, _)| *name);
        let mut text = String::new();
        for (name, family) in families {
            match family {
                Shown::Counted(family) => scrape::write(&mut text, family),
                Shown::InForce(policy) => policy.write(name, &mut text),
            }
        }
        text
    }
}

/// Where a family in a scrape comes from.
enum Shown<'m> {
    Counted(&'m MetricFamily),
    InForce(&'m InForce),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(target_os = "linux")]
fn register_process(registry: &Registry) -> prometheus::Result<()> {
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
}

#[cfg(not(target_os = "linux"))]
fn register_process(_registry: &Registry) -> prometheus::Result<()> {
    Ok(())
}
