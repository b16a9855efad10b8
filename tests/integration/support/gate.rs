//! A gate that a script waits at until the test opens it.

use std::sync::{Arc, Condvar, Mutex};

use super::PATIENCE;

/// Closed until opened; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Lets everybody through from now on.
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// Waits until it is open, but not for ever: a test that fails before it opens must not hang. Says
    /// whether it opened.
    pub(crate) fn pass(&self) -> bool {
        let open = self.0.0.lock().unwrap();
        *self.0.1.wait_timeout_while(open, PATIENCE, |open| !*open).unwrap().0
    }
}
