//! What the process as a whole goes through: reloads.
//!
//! Not its end: what is counted then is never scraped. The log and the audit lines tell of it.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{IntCounter, IntGauge, Registry};

use super::family;
use super::label::Reload;

pub(super) struct Life {
    successful: IntGauge,
    succeeded_at: IntGauge,
    reloads: Box<[IntCounter]>,
}

impl Life {
    /// As after a start: the configuration was read without a problem.
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let reloads = family::RELOADS.counter(registry)?;
        let cells = Reload::ALL.iter().map(|outcome| reloads.get_metric_with_label_values(&[outcome.name()]));
        let life = Self {
            successful: family::RELOADED.gauge(registry)?.get_metric_with_label_values::<&str>(&[])?,
            succeeded_at: family::RELOADED_AT.gauge(registry)?.get_metric_with_label_values::<&str>(&[])?,
            reloads: cells.collect::<Result<_, _>>()?,
        };
        life.succeed();
        Ok(life)
    }

    pub(super) fn reloaded(&self, outcome: Reload) {
        self.reloads[outcome as usize].inc();
        match outcome {
            Reload::Applied | Reload::Unchanged => self.succeed(),
            Reload::Invalid | Reload::NeedsRestart => self.successful.set(0),
        }
    }

    fn succeed(&self) {
        self.successful.set(1);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.succeeded_at.set(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    }
}
