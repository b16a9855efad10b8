//! The latest audit lines of requests that broke a rule or were refused, for a person who looks.
//!
//! Lines come from the writer's thread, so that nobody who answers requests waits for it; without a sink, from
//! whoever denied.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::AuditVerdict;

/// The latest lines, the newest first when asked. All clones are one.
#[derive(Clone, Debug, Default)]
pub struct Latest(Arc<Mutex<VecDeque<Box<[u8]>>>>);

impl Latest {
    /// How many are held.
    pub const MOST: usize = 50;

    /// Whether a line with that verdict is one to hold.
    #[must_use]
    pub const fn wants(verdict: AuditVerdict) -> bool {
        use AuditVerdict::{
            Abandoned, Admitted, Denied, Passed, Refused, UpstreamFailed, Warned, WouldHaveBeenDenied,
        };
        match verdict {
            Denied | WouldHaveBeenDenied | Warned | Refused => true,
            Admitted | Abandoned | UpstreamFailed | Passed => false,
        }
    }

    /// Holds a line in place of the oldest.
    pub(super) fn hold(&self, line: Vec<u8>) {
        let mut lines = self.lines();
        if lines.len() == Self::MOST {
            lines.pop_back();
        }
        lines.push_front(line.into());
    }

    /// Every line held, as `docs/audit.md` has it, the newest first.
    #[must_use]
    pub fn all(&self) -> Vec<serde_json::Value> {
        let lines: Vec<_> = self.lines().iter().cloned().collect();
        // We wrote them, so they can be read.
        lines.iter().filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    fn lines(&self) -> MutexGuard<'_, VecDeque<Box<[u8]>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_the_latest_and_no_more() {
        let latest = Latest::default();
        assert!(latest.all().is_empty());
        for number in 0..Latest::MOST + 7 {
            latest.clone().hold(format!("{number}\n").into_bytes());
        }
        let held = latest.all();
        let expected: Vec<_> = (7..Latest::MOST + 7).rev().map(serde_json::Value::from).collect();
        assert_eq!(held, expected);
    }
}
