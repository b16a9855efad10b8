//! Whether the process wants traffic: ready when nobody holds a guard, and nobody has said otherwise.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the process still waits for. Cheap to clone; all clones are one.
///
/// Without any guard it is ready: take those needed before it is served.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// By the order in which they were taken.
    waiting: BTreeMap<u64, &'static str>,
    taken: u64,
    not_ready: Option<&'static str>,
}

/// Not ready while this is held.
#[must_use = "what is waited for counts as there as soon as the guard is dropped"]
pub struct ReadinessGuard {
    readiness: Readiness,
    number: u64,
}

impl Readiness {
    /// Waiting for nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Not ready until the guard is dropped. `what` is shown meanwhile.
    pub fn wait_for(&self, what: &'static str) -> ReadinessGuard {
        let mut state = self.state();
        let number = state.taken;
        state.taken += 1;
        state.waiting.insert(number, what);
        drop(state);
        ReadinessGuard { readiness: self.clone(), number }
    }

    /// Not ready from now on and for good, as in a shutdown.
    pub fn not_ready(&self, why: &'static str) {
        self.state().not_ready = Some(why);
    }

    /// Why it is not ready; empty when it is.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let state = self.state();
        let waiting = state.waiting.values().map(|what| format!("waiting for {what}"));
        state.not_ready.map(str::to_owned).into_iter().chain(waiting).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ReadinessGuard {
    fn drop(&mut self) {
        self.readiness.state().waiting.remove(&self.number);
    }
}
