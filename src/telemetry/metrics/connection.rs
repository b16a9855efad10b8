//! A connection as it counts: open for as long as somebody holds it.

use std::rc::Rc;

use super::{Side, WorkerMetrics};

/// A connection that is open, in the metrics.
#[derive(Debug)]
pub struct OpenConnection {
    metrics: Rc<WorkerMetrics>,
    side: Side,
}

impl OpenConnection {
    /// One that was just opened; it is closed when this is dropped.
    #[must_use]
    pub fn begin(metrics: Rc<WorkerMetrics>, side: Side) -> Self {
        metrics.connection_opened(side);
        Self { metrics, side }
    }

    /// Where its worker counts.
    #[must_use]
    pub fn metrics(&self) -> &WorkerMetrics {
        &self.metrics
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.metrics.connection_closed(self.side);
    }
}
