//! Watching the process for the service manager: whether it is ready, and whether its workers still work.

use std::sync::Arc;
use std::time::Duration;

use super::live::Pulse;
use super::notify::Notifier;
use super::reload::{Running, status};
use crate::admin::Readiness;

/// Tells the service manager once everything is there.
pub(super) async fn until_ready(readiness: Readiness, notifier: Notifier, running: Running) {
    const PAUSE: Duration = Duration::from_millis(5);
    while !readiness.reasons().is_empty() {
        tokio::time::sleep(PAUSE).await;
    }
    notifier.ready(&status(&running.current(), ""));
}

/// Gives a sign of life each `period` for as long as every worker gave one since.
pub(super) async fn keep(notifier: Notifier, pulses: Vec<Arc<Pulse>>, period: Duration) {
    let mut seen: Vec<u64> = vec![0; pulses.len()];
    loop {
        tokio::time::sleep(period).await;
        let now: Vec<u64> = pulses.iter().map(|pulse| pulse.beats()).collect();
        let still = now.iter().zip(&seen).position(|(now, seen)| now == seen);
        match still {
            None => notifier.alive(),
            Some(worker) => tracing::error!(worker, "a worker gives no sign of life"),
        }
        seen = now;
    }
}
