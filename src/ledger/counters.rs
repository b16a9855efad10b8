//! What the ledger counts. Leaves showing it to whoever asks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::sweep::Swept;

/// What the ledger has counted since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Whether the database was there when it was last needed.
    pub is_up: bool,
    /// Notes of creations without a map that found no room in the queue.
    pub notes_dropped: u64,
    /// Settlements, deletions and copies that could not be written in time, and are tried no more.
    pub given_up: u64,
    /// Transactions that were tried again after a conflict with others.
    pub retries: u64,
    /// Transactions of SQLite.
    pub batches: u64,
    /// What was written in them.
    pub batched: u64,
    /// Reservations whose lease ended.
    pub lapsed: u64,
    /// Entries that were deleted long enough ago, and are gone.
    pub purged: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    is_down: AtomicBool,
    notes_dropped: AtomicU64,
    given_up: AtomicU64,
    retries: AtomicU64,
    batches: AtomicU64,
    batched: AtomicU64,
    lapsed: AtomicU64,
    purged: AtomicU64,
}

impl Counters {
    /// Says so when it changes.
    pub(super) fn up(&self, is_up: bool) {
        let is_down = !is_up;
        if self.is_down.swap(is_down, Ordering::Relaxed) == is_down {
            return;
        }
        if is_up {
            tracing::info!("the ledger is within reach again");
        } else {
            tracing::error!("the ledger is out of reach");
        }
    }

    pub(super) fn note_dropped(&self) {
        add(&self.notes_dropped, 1);
    }

    pub(super) fn given_up(&self) {
        add(&self.given_up, 1);
    }

    pub(super) fn retry(&self) {
        add(&self.retries, 1);
    }

    pub(super) fn batch(&self, jobs: usize) {
        add(&self.batches, 1);
        add(&self.batched, jobs as u64);
    }

    pub(super) fn swept(&self, swept: Swept) {
        add(&self.lapsed, swept.lapsed);
        add(&self.purged, swept.purged);
    }

    pub(super) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            is_up: !self.is_down.load(Ordering::Relaxed),
            notes_dropped: read(&self.notes_dropped),
            given_up: read(&self.given_up),
            retries: read(&self.retries),
            batches: read(&self.batches),
            batched: read(&self.batched),
            lapsed: read(&self.lapsed),
            purged: read(&self.purged),
        }
    }
}

fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::Relaxed);
}
