//! The connections being served, as one future: a handful, so that polling all of them is cheap.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

#[derive(Default)]
pub(super) struct Connections(Vec<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Connections {
    pub(super) fn push(&mut self, connection: impl Future<Output = ()> + Send + 'static) {
        self.0.push(Box::pin(connection));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
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
        self.0.retain_mut(|connection| connection.as_mut().poll(context).is_pending());
        self.0.len() < before
    }
}
