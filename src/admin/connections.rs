//! The connections being served, as one future: a handful, so that polling all of them is cheap.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// In the order in which they came.
#[derive(Default)]
pub(super) struct Connections(Vec<Connection>);

struct Connection {
    served: Pin<Box<dyn Future<Output = ()> + Send>>,
    asked: Asked,
}

/// Whether a request has come.
#[derive(Clone, Default)]
pub(super) struct Asked(Arc<AtomicBool>);

impl Asked {
    pub(super) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Connections {
    /// Serves one more, in place of an old one where there are `most`: the oldest of those that have asked
    /// nothing, so that nobody keeps others out by saying nothing.
    pub(super) fn push(
        &mut self,
        most: usize,
        asked: Asked,
        served: impl Future<Output = ()> + Send + 'static,
    ) {
        if self.0.len() >= most {
            let silent = self.0.iter().position(|connection| !connection.asked.0.load(Ordering::Relaxed));
            self.0.remove(silent.unwrap_or(0));
        }
        self.0.push(Connection { served: Box::pin(served), asked });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Serves them all until one or more have ended. Never returns while there are none.
    pub(super) async fn until_one_ends(&mut self) {
        poll_fn(|context| if self.advance(context) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// Serves them all until the last has ended.
    pub(super) async fn until_all_end(&mut self) {
        while !self.is_empty() {
            self.until_one_ends().await;
        }
    }

    /// Polls each, and says whether one has ended.
    fn advance(&mut self, context: &mut Context<'_>) -> bool {
        let before = self.0.len();
        self.0.retain_mut(|connection| connection.served.as_mut().poll(context).is_pending());
        self.0.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pending until it is dropped, which is told.
    async fn watched(alive: Arc<()>) {
        std::future::pending::<()>().await;
        drop(alive);
    }

    #[test]
    fn who_has_asked_is_the_last_to_go() {
        let mut connections = Connections::default();
        let alive: Vec<_> = (0..4).map(|_| Arc::new(())).collect();
        let left = || alive.iter().map(|alive| Arc::strong_count(alive) > 1).collect::<Vec<_>>();
        for (number, expected) in [
            [true, false, false, false],
            [true, true, false, false],
            [true, false, true, false],
            [false, false, true, true],
        ]
        .into_iter()
        .enumerate()
        {
            let asked = Asked::default();
            if number != 1 {
                asked.note();
            }
            connections.push(2, asked, watched(Arc::clone(&alive[number])));
            assert_eq!(left(), expected, "after {number}");
        }
    }
}
