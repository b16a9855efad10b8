//! How many requests a worker has under way to Karbor at once, and those that wait to be.
//!
//! A request holds its place until its answer's body ended. First come, first served.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::Failure;
use super::options::Places;
use crate::telemetry::metrics::WorkerMetrics;

/// The places of one worker.
#[derive(Debug)]
pub(super) struct Queue {
    most: Cell<usize>,
    taken: Cell<usize>,
    waiting: RefCell<VecDeque<oneshot::Sender<Place>>>,
}

/// A place, for as long as this lives.
#[derive(Debug)]
pub(super) struct Place(Rc<Queue>);

impl Queue {
    pub(super) fn of(most: usize) -> Rc<Self> {
        Rc::new(Self { most: Cell::new(most), taken: Cell::new(0), waiting: RefCell::default() })
    }

    /// From now on so many at once. Who has a place keeps it.
    pub(super) fn resize(self: &Rc<Self>, most: usize) {
        self.most.set(most);
        self.fill();
    }

    /// A place, if one is free.
    pub(super) fn enter_now(self: &Rc<Self>) -> Option<Place> {
        (self.taken.get() < self.most.get()).then(|| self.take())
    }

    /// A place, in time.
    ///
    /// # Errors
    /// When too many wait already, or none comes free in time.
    pub(super) async fn enter(
        self: &Rc<Self>,
        places: &Places,
        metrics: &WorkerMetrics,
    ) -> Result<Place, Failure> {
        let granted = {
            let mut waiting = self.waiting.borrow_mut();
            if waiting.len() >= places.queue {
                // Some may have left since.
                waiting.retain(|waiter| !waiter.is_closed());
            }
            if waiting.len() >= places.queue {
                return Err(Failure::QueueFull);
            }
            let (grant, granted) = oneshot::channel();
            waiting.push_back(grant);
            granted
        };
        let _waits = metrics.waits_for_upstream();
        match timeout(places.patience, granted).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(Failure::QueueTimeout),
        }
    }

    fn take(self: &Rc<Self>) -> Place {
        self.taken.set(self.taken.get() + 1);
        Place(self.clone())
    }

    /// Gives what is free to those that wait.
    fn fill(self: &Rc<Self>) {
        while self.taken.get() < self.most.get() {
            let Some(waiter) = self.waiting.borrow_mut().pop_front() else { return };
            // A place that comes back from somebody who has left would fill again, within this.
            if !waiter.is_closed() {
                drop(waiter.send(self.take()));
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.set(self.0.taken.get() - 1);
        self.0.fill();
    }
}
