//! Idle connections of one worker, the latest used first.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use hyper::client::conn::http1::SendRequest;
use tokio::sync::oneshot;

use super::prelude::Prelude;
use super::socket::Written;

/// A connection to an endpoint.
#[derive(Debug)]
pub(super) struct Link<B> {
    sender: SendRequest<B>,
    written: Written,
    endpoint: usize,
    prelude: Prelude,
    idle_since: Instant,
    /// Dropped with the link: tells the connection's task that nobody will use it again.
    _held: oneshot::Sender<()>,
}

impl<B> Link<B> {
    /// A link, and what resolves when it is let go.
    pub(super) fn new(
        sender: SendRequest<B>,
        written: Written,
        endpoint: usize,
        prelude: Prelude,
    ) -> (Self, oneshot::Receiver<()>) {
        let (held, let_go) = oneshot::channel();
        (Self { sender, written, endpoint, prelude, idle_since: Instant::now(), _held: held }, let_go)
    }

    pub(super) const fn sender(&mut self) -> &mut SendRequest<B> {
        &mut self.sender
    }

    pub(super) const fn prelude(&self) -> &Prelude {
        &self.prelude
    }

    pub(super) const fn written(&self) -> &Written {
        &self.written
    }

    pub(super) const fn endpoint(&self) -> usize {
        self.endpoint
    }
}

#[derive(Debug)]
pub(super) struct Pool<B> {
    idle: RefCell<Vec<Link<B>>>,
    idle_timeout: Duration,
    most: usize,
    next: Cell<usize>,
}

impl<B> Pool<B> {
    pub(super) fn new(idle_timeout: Duration, most: usize) -> Self {
        Self { idle: RefCell::default(), idle_timeout, most, next: Cell::new(0) }
    }

    /// The latest used connection that can carry a request. Closed and old ones are let go.
    pub(super) fn take(&self) -> Option<Link<B>> {
        let mut idle = self.idle.borrow_mut();
        let mut at = idle.len();
        while at > 0 {
            at -= 1;
            let link = &idle[at];
            if link.sender.is_closed() {
                idle.swap_remove(at);
            } else if link.sender.is_ready() {
                let link = idle.remove(at);
                if link.idle_since.elapsed() < self.idle_timeout {
                    return Some(link);
                }
                // Those before it are older still.
                idle.drain(..at);
                return None;
            }
        }
        None
    }

    /// Lets go what is closed, was idle for too long, or does not become ready: Karbor answered before it
    /// had read the request, and does not read on.
    pub(super) fn sweep(&self) {
        const TO_BECOME_READY: Duration = Duration::from_secs(1);
        self.idle.borrow_mut().retain(|link| {
            let idle = link.idle_since.elapsed();
            let ready = link.sender.is_ready() || idle < TO_BECOME_READY;
            !link.sender.is_closed() && ready && idle < self.idle_timeout
        });
    }

    fn put(&self, mut link: Link<B>) {
        if link.sender.is_closed() || self.most == 0 {
            return;
        }
        link.idle_since = Instant::now();
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= self.most {
            idle.remove(0);
        }
        idle.push(link);
    }

    /// The endpoint whose turn it is.
    pub(super) fn next_endpoint(&self, endpoints: usize) -> usize {
        let next = self.next.get();
        self.next.set(next.wrapping_add(1));
        next.checked_rem(endpoints).unwrap_or(0)
    }
}

/// A connection in use. Dropped, it is closed; given back, it waits for the next request.
#[derive(Debug)]
pub struct Lease<B> {
    link: Link<B>,
    pool: Rc<Pool<B>>,
}

impl<B> Lease<B> {
    pub(super) const fn new(link: Link<B>, pool: Rc<Pool<B>>) -> Self {
        Self { link, pool }
    }

    /// The answer was read to its end.
    pub fn give_back(self) {
        self.pool.put(self.link);
    }
}
