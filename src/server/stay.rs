//! What the server and its handler share of one connection.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::room::Place;

/// A connection, as long as anything is done for its client.
#[derive(Debug, Default)]
pub struct Stay {
    /// Taken until the last holder is gone: what goes on without the client counts as its connection.
    place: Option<Arc<Place>>,
    owed: Cell<bool>,
    closed: Cell<bool>,
    /// Who is to be told of the client's end once nothing is owed.
    waits: RefCell<Option<Waker>>,
}

impl Stay {
    pub(super) fn at(place: Place) -> Self {
        Self { place: Some(Arc::new(place)), ..Self::default() }
    }

    /// One more of the same client, if there is room for it.
    pub(super) fn another(&self) -> Option<Self> {
        self.place.as_ref().and_then(|place| place.another()).map(Self::at)
    }

    /// Its place, for what may outlast it.
    pub(super) fn place(&self) -> Option<Arc<Place>> {
        self.place.clone()
    }

    /// Another request has come: whatever was owed is written.
    pub fn begin(&self) {
        self.owed.set(false);
    }

    /// The answer under way is given even to a client that closes its side: it may have nothing more to say,
    /// and still listen. Otherwise such a client has left.
    pub fn owe(&self) {
        self.owed.set(true);
    }

    /// The answer is written.
    pub(super) fn settle(&self) {
        self.owed.set(false);
        if let Some(waits) = self.waits.take() {
            waits.wake();
        }
    }

    /// The client has closed its side. Ready once nothing is owed to it.
    pub(super) fn poll_end(&self, cx: &Context<'_>) -> Poll<()> {
        self.closed.set(true);
        if !self.owed.get() {
            return Poll::Ready(());
        }
        self.waits.replace(Some(cx.waker().clone()));
        Poll::Pending
    }

    /// Whether the client has closed its side.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }
}
