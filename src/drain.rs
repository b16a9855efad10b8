//! The order to shut down, who still works, and the only place that spawns tasks.
//!
//! A [`Trigger`] gives the order once; a [`Watcher`] sees it, and holds the shutdown up while it lives.
//! Whoever spawns says by the function's name whether the shutdown waits for the task.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::watch;

/// Gives the order, makes watchers, and waits for them. Cheap to clone; holds nothing up.
#[derive(Clone, Debug)]
pub struct Trigger {
    order: watch::Sender<()>,
    given: Arc<AtomicBool>,
}

/// Sees the order. The drain is complete when every watcher is dropped.
#[derive(Clone, Debug)]
pub struct Watcher {
    order: watch::Receiver<()>,
    given: Arc<AtomicBool>,
}

/// See [`Watcher::order_in_one_task`].
pub struct OrderInOneTask {
    given: Arc<AtomicBool>,
    wait: Pin<Box<dyn Future<Output = ()> + Send>>,
    asked: bool,
}

impl Future for OrderInOneTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.asked {
            self.asked = true;
            return self.wait.as_mut().poll(cx);
        }
        if self.given.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Default for Trigger {
    fn default() -> Self {
        Self { order: watch::Sender::new(()), given: Arc::default() }
    }
}

impl Trigger {
    /// A new watcher.
    #[must_use]
    pub fn watcher(&self) -> Watcher {
        Watcher { order: self.order.subscribe(), given: self.given.clone() }
    }

    /// Gives the order.
    pub fn order(&self) {
        self.given.store(true, Ordering::Release);
        self.order.send_replace(());
    }

    /// Waits until every watcher is gone.
    ///
    /// # Errors
    /// How many are left when `deadline` has passed.
    pub async fn drained(&self, deadline: Duration) -> Result<(), usize> {
        let wait = tokio::time::timeout(deadline, self.order.closed()).await;
        wait.map_err(|_elapsed| self.order.receiver_count())
    }
}

impl Watcher {
    /// Whether the order was given.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.given.load(Ordering::Acquire)
    }

    /// The order as a future that may only be polled by one task: it remembers that task once, and from
    /// then on a poll is one load. Ready for ever after.
    #[must_use]
    pub fn order_in_one_task(mut self) -> OrderInOneTask {
        let given = self.given.clone();
        let wait = Box::pin(async move { self.draining().await });
        OrderInOneTask { given, wait, asked: false }
    }

    /// Returns when the order is given, or nobody is left to give it.
    pub async fn draining(&mut self) {
        if !self.is_draining() {
            let _ = self.order.changed().await;
        }
    }
}

/// Runs a task on this thread; the shutdown waits until it drops the watcher it is given.
pub fn spawn_awaited<F>(watcher: Watcher, task: impl FnOnce(Watcher) -> F)
where
    F: Future<Output = ()> + 'static,
{
    spawn_cut(task(watcher));
}

/// Runs `task` on this thread; the shutdown does not wait for it.
#[allow(clippy::disallowed_methods, reason = "this is the place that the ban points to")]
pub fn spawn_cut(task: impl Future<Output = ()> + 'static) {
    tokio::task::spawn_local(task);
}
