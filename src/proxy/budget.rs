//! The memory that bodies under review may take together, in all workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that bodies under review may take together. Clones are one budget.
#[derive(Clone, Debug)]
pub struct Budget {
    left: Arc<AtomicU64>,
}

impl Budget {
    /// So many bytes.
    #[must_use]
    pub fn of(bytes: u64) -> Self {
        Self { left: Arc::new(AtomicU64::new(bytes)) }
    }

    /// A share of nothing yet.
    pub(super) fn share(&self) -> Share {
        Share { left: self.left.clone(), bytes: 0 }
    }
}

/// A part of the budget; given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    left: Arc<AtomicU64>,
    bytes: u64,
}

impl Share {
    /// Takes so many more, if they are left. What was promised does not count, only what has come.
    pub(super) fn grow(&mut self, bytes: u64) -> bool {
        let taken =
            self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        if taken.is_ok() {
            self.bytes += bytes;
        }
        taken.is_ok()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.left.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_never_overdrawn_and_comes_back() {
        let budget = Budget::of(10);
        let (mut one, mut other) = (budget.share(), budget.share());
        assert!(one.grow(6));
        assert!(!other.grow(5));
        assert!(other.grow(4));
        assert!(!one.grow(1));
        drop(one);
        assert!(other.grow(6));
        drop(other);
        assert!(budget.share().grow(10));
    }
}
