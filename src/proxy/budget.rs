//! The memory that bodies under review may take together, and answers that are read whole, in all workers; and
//! how many requests may be busy with either.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

/// So much of an answer is not counted: every connection may have it.
const FREE_ANSWER_BYTES: u64 = 64 * 1024;

/// Bytes that bodies under review may take together, and answers as many again: clients that fill the one must
/// not cost others the answer to what was carried out. Seats for the requests that take of either. Clones are
/// one budget.
#[derive(Clone, Debug)]
pub struct Budget {
    bodies: Arc<Pot>,
    answers: Arc<Pot>,
    seats: Arc<Pot>,
}

#[derive(Debug)]
struct Pot {
    most: AtomicU64,
    taken: AtomicU64,
}

impl Pot {
    fn of(most: u64) -> Arc<Self> {
        Arc::new(Self { most: AtomicU64::new(most), taken: AtomicU64::new(0) })
    }

    fn take(&self, more: u64) -> bool {
        let most = self.most.load(Ordering::Relaxed);
        let fits = |taken: u64| taken.checked_add(more).filter(|sum| *sum <= most);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }
}

impl Budget {
    /// So many bytes, and seats for so many requests.
    #[must_use]
    pub fn of(bytes: u64, requests: u64) -> Self {
        Self { bodies: Pot::of(bytes), answers: Pot::of(bytes), seats: Pot::of(requests) }
    }

    /// So many from now on. What is held beyond them stays until it is given back.
    pub fn resize(&self, bytes: u64, requests: u64) {
        for (pot, most) in [(&self.bodies, bytes), (&self.answers, bytes), (&self.seats, requests)] {
            pot.most.store(most, Ordering::Relaxed);
        }
    }

    /// A seat for one request, if one is free. No slow client holds one: it is for what follows a body that
    /// has come whole, and ends before the answer goes out.
    pub(super) fn seat(&self) -> Option<Seat> {
        self.seats.take(1).then(|| Seat(self.seats.clone()))
    }

    /// Whether there is no seat just now.
    pub(super) fn is_crowded(&self) -> bool {
        self.seats.taken.load(Ordering::Relaxed) >= self.seats.most.load(Ordering::Relaxed)
    }

    /// For a body; a share of nothing yet.
    pub(super) fn share(&self) -> Share {
        Share { pot: self.bodies.clone(), bytes: 0, free: 0 }
    }

    /// For an answer.
    pub(super) fn answer_share(&self) -> Share {
        Share { pot: self.answers.clone(), bytes: 0, free: FREE_ANSWER_BYTES }
    }
}

/// A seat; given back when dropped.
#[derive(Debug)]
pub(super) struct Seat(Arc<Pot>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A part of the budget; given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    pot: Arc<Pot>,
    bytes: u64,
    free: u64,
}

impl Share {
    /// Makes it so many in all, if they are left. What was promised does not count, only what is held.
    pub(super) fn hold(&mut self, total: u64) -> bool {
        let Some(more) = total.saturating_sub(self.free).checked_sub(self.bytes) else { return true };
        let taken = self.pot.take(more);
        if taken {
            self.bytes += more;
        }
        taken
    }

    /// Lasts as long as the bytes.
    pub(super) fn attach(self, bytes: Bytes) -> Bytes {
        if self.bytes == 0 { bytes } else { Bytes::from_owner(Held { bytes, _share: self }) }
    }
}

struct Held {
    bytes: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.pot.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_never_overdrawn_and_comes_back() {
        let budget = Budget::of(10, 2);
        let (mut one, mut other) = (budget.share(), budget.share());
        assert!(one.hold(6));
        assert!(one.hold(2));
        assert!(!other.hold(5));
        assert!(other.hold(4));
        assert!(!one.hold(7));
        drop(one);
        assert!(other.hold(10));
        drop(other);
        assert!(budget.share().hold(10));
    }

    #[test]
    fn is_resized_under_what_is_held() {
        let budget = Budget::of(10, 2);
        let mut held = budget.share();
        assert!(held.hold(8));
        budget.resize(4, 2);
        assert!(!budget.share().hold(1));
        drop(held);
        assert!(!budget.share().hold(5));
        assert!(budget.share().hold(4));
        budget.resize(6, 2);
        assert!(budget.share().hold(6));
    }

    #[test]
    fn small_answers_are_free_and_large_ones_last_as_long_as_their_bytes() {
        let budget = Budget::of(10, 2);
        assert!(budget.share().hold(10));
        let mut one = budget.answer_share();
        assert!(one.hold(FREE_ANSWER_BYTES + 10));
        assert!(budget.answer_share().hold(FREE_ANSWER_BYTES));
        let bytes = one.attach(Bytes::from_static(b"answer"));
        assert!(!budget.answer_share().hold(FREE_ANSWER_BYTES + 1));
        assert_eq!(&bytes[..], b"answer");
        drop(bytes.slice(1..));
        assert!(!budget.answer_share().hold(FREE_ANSWER_BYTES + 1));
        drop(bytes);
        assert!(budget.answer_share().hold(FREE_ANSWER_BYTES + 10));
    }

    #[test]
    fn seats_are_for_so_many() {
        let budget = Budget::of(0, 2);
        let one = budget.seat().unwrap();
        assert!(!budget.is_crowded());
        let _other = budget.clone().seat().unwrap();
        assert!(budget.is_crowded() && budget.seat().is_none());
        drop(one);
        let _one = budget.seat().unwrap();
        budget.resize(0, 3);
        let _third = budget.seat().unwrap();
        budget.resize(0, 1);
        assert!(budget.is_crowded() && budget.seat().is_none());
    }
}
