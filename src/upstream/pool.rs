//! Idle connections of one worker, the latest used first.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use http::HeaderMap;
use hyper::client::conn::http1::SendRequest;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::address::{Address, Load};
use super::fields::Fields;
use super::prelude::Prelude;
use super::queue::Place;
use super::socket::Written;

/// A connection to an address. In a box, because it is moved often, and large.
#[derive(Debug)]
pub(super) struct Link<B>(Box<Parts<B>>);

#[derive(Debug)]
struct Parts<B> {
    sender: SendRequest<B>,
    written: Written,
    address: Rc<Address>,
    prelude: Prelude,
    /// Since when it is idle, or its answer has begun.
    since: Instant,
    /// The fields of the request under way, where it may be sent again.
    fields: Fields,
    /// Dropped with the link: tells the connection's task that nobody will use it again.
    _held: oneshot::Sender<()>,
}

impl<B> Link<B> {
    /// A link, and what resolves when it is let go.
    pub(super) fn new(
        sender: SendRequest<B>,
        written: Written,
        address: Rc<Address>,
        prelude: Prelude,
    ) -> (Self, oneshot::Receiver<()>) {
        let (held, let_go) = oneshot::channel();
        let (since, fields) = (Instant::now(), Fields::default());
        let parts = Parts { sender, written, address, prelude, since, fields, _held: held };
        (Self(Box::new(parts)), let_go)
    }

    pub(super) fn sender(&mut self) -> &mut SendRequest<B> {
        &mut self.0.sender
    }

    pub(super) fn prelude(&self) -> &Prelude {
        &self.0.prelude
    }

    pub(super) fn written(&self) -> &Written {
        &self.0.written
    }

    /// Remembers the fields of a request.
    pub(super) fn keep(&mut self, fields: &HeaderMap) {
        self.0.fields.write(fields);
    }

    /// What was remembered.
    pub(super) fn kept(&self) -> HeaderMap {
        self.0.fields.read()
    }

    /// The request is answered since `now`.
    pub(super) fn answered(&mut self, now: Instant) {
        self.0.fields.clear();
        self.0.since = now;
    }
}

#[derive(Debug)]
pub(super) struct Pool<B> {
    idle: RefCell<Vec<Link<B>>>,
    idle_timeout: Cell<Duration>,
    most: Cell<usize>,
}

impl<B> Pool<B> {
    pub(super) fn new(idle_timeout: Duration, most: usize) -> Self {
        Self { idle: RefCell::default(), idle_timeout: Cell::new(idle_timeout), most: Cell::new(most) }
    }

    /// Other bounds from now on.
    pub(super) fn resize(&self, idle_timeout: Duration, most: usize) {
        self.idle_timeout.set(idle_timeout);
        self.most.set(most);
        let mut idle = self.idle.borrow_mut();
        let over = idle.len().saturating_sub(most);
        idle.drain(..over);
    }

    /// The latest used connection to `address` that can carry a request. Closed and old ones are let go.
    pub(super) fn take(&self, address: &Rc<Address>, now: Instant) -> Option<Link<B>> {
        let mut idle = self.idle.borrow_mut();
        let mut at = idle.len();
        while at > 0 {
            at -= 1;
            let link = &idle[at].0;
            if !Rc::ptr_eq(&link.address, address) {
                continue;
            }
            if link.sender.is_closed() {
                idle.remove(at);
            } else if link.sender.is_ready() {
                let link = idle.remove(at);
                if now.saturating_duration_since(link.0.since) < self.idle_timeout.get() {
                    return Some(link);
                }
                // Those before it are older still.
                idle.drain(..at);
                return None;
            }
        }
        None
    }

    /// Between two sweeps.
    pub(super) fn sweep_period(&self) -> Duration {
        (self.idle_timeout.get() / 4).clamp(Duration::from_millis(50), Duration::from_secs(5))
    }

    /// Lets go what is closed, was idle for too long, leads nowhere any more, or does not become ready: Karbor
    /// answered before it had read the request, and does not read on.
    pub(super) fn sweep(&self) {
        const TO_BECOME_READY: Duration = Duration::from_secs(1);
        self.idle.borrow_mut().retain(|Link(link)| {
            let idle = link.since.elapsed();
            let ready = link.sender.is_ready() || idle < TO_BECOME_READY;
            let fresh = idle < self.idle_timeout.get();
            !link.sender.is_closed() && ready && fresh && !link.address.is_retired()
        });
    }

    fn put(&self, mut link: Link<B>) {
        if link.0.sender.is_closed() || self.most.get() == 0 || link.0.address.is_retired() {
            return;
        }
        link.0.since = Instant::now();
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= self.most.get() {
            idle.remove(0);
        }
        idle.push(link);
    }
}

/// A connection in use. Dropped, it is closed; given back, it waits for the next request.
#[derive(Debug)]
pub struct Lease<B> {
    link: Link<B>,
    pool: Rc<Pool<B>>,
    _load: Load,
    _place: Place,
}

impl<B> Lease<B> {
    pub(super) const fn new(link: Link<B>, pool: Rc<Pool<B>>, load: Load, place: Place) -> Self {
        Self { link, pool, _load: load, _place: place }
    }

    /// Where the answer comes from: an address and a port, or a path.
    pub fn address(&self) -> impl fmt::Display + '_ {
        &self.link.0.address.dial
    }

    /// When its head was there.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.link.0.since
    }

    /// The answer was read to its end.
    pub fn give_back(self) {
        self.pool.put(self.link);
    }
}
