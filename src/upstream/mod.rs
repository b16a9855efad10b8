//! Karbor, as a place: endpoints and their health, the connections to them, and one request on its way there.
//!
//! One for each worker. In reading order: `options` what it is told; `roster` where a request goes, by `address` and
//! `health`; `journey` how it moves on; `attempt` one request on one connection; `outgoing`,
//! `converse` and `body` what is written and read there; `ask` one apart from all that. HTTP/1.1 is spoken here, by
//! `wire`'s reader. Leaves what a request means, and what a failure is to the client, to `proxy`.

mod address;
mod ask;
mod attempt;
mod body;
mod connect;
mod converse;
mod failure;
mod health;
mod journey;
mod line;
mod options;
mod outgoing;
mod pool;
mod probe;
mod queue;
mod resolve;
mod roster;
mod stream;
#[cfg(test)]
mod tests;
mod tls;

use std::cell::RefCell;
use std::fmt;
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, response};
use http_body::Body;
use tokio::time::Instant;

pub use ask::{Patience, ask};
pub use body::KarborBody;
pub use converse::give_way;
pub use failure::{Broken, Failure};
pub use options::{EjectionRules, Endpoint, Places, ProbeOptions, UpstreamOptions};
pub use outgoing::{Head, Outgoing};
pub use stream::Stream;
pub use tls::{Identity, Tls, TlsError, TlsFiles};

use crate::drain;
use crate::telemetry::metrics::WorkerMetrics;
use crate::wire::{AnswerHead, AnswerReader};
use address::Address;
use journey::Journey;
use pool::{Lease, Pool};
use queue::Queue;
use roster::Roster;

/// Karbor's answer, its body often still under way.
#[derive(Debug)]
pub struct Answer {
    response: Response<KarborBody>,
    address: Rc<Address>,
    began: Instant,
}

impl Answer {
    fn new(
        head: AnswerHead,
        reader: AnswerReader,
        lease: Lease,
        (address, began): (Rc<Address>, Instant),
    ) -> Self {
        let mut response = Response::new(KarborBody::new(reader, lease));
        (*response.status_mut(), *response.headers_mut()) = (head.status, head.headers);
        Self { response, address, began }
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Its fields, as Karbor sent them.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Where it comes from: an address and a port, or a path.
    pub fn address(&self) -> impl fmt::Display + '_ {
        &self.address.dial
    }

    /// When its head was there.
    #[must_use]
    pub const fn began(&self) -> Instant {
        self.began
    }

    /// Head and body.
    #[must_use]
    pub fn into_parts(self) -> (response::Parts, KarborBody) {
        self.response.into_parts()
    }
}

/// A body's last sign of life, for bodies that are streamed to Karbor.
pub trait Progress {
    /// Whether more of the body is to come; its own limits hold meanwhile.
    fn is_underway(&self) -> bool;

    /// When a part of the body was last handed on. `None` before the first, and if the body was there from
    /// the start.
    fn last(&self) -> Option<Instant>;
}

/// What one worker knows of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointState {
    /// As it is configured, with its port.
    pub endpoint: String,
    /// Each address of it.
    pub addresses: Vec<AddressState>,
    /// Why the last lookup of its name failed.
    pub unresolved: Option<String>,
}

/// What one worker knows of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressState {
    /// An address and a port, or a path.
    pub address: String,
    /// This worker's requests under way.
    pub requests: usize,
    /// When the next request is let through to it. None while it is fit.
    pub back_in: Option<Duration>,
}

/// The way to Karbor, for one worker.
#[derive(Debug)]
pub struct Upstream {
    roster: RefCell<Rc<Roster>>,
    pool: Rc<Pool>,
    queue: Rc<Queue>,
    metrics: Rc<WorkerMetrics>,
}

impl Upstream {
    /// Ready to connect; nothing is connected yet, and names are being looked up. Must be made on the worker's own
    /// runtime. The options are those that [`UpstreamOptions::opened`] gave.
    #[must_use]
    pub fn new(options: Rc<UpstreamOptions>, metrics: Rc<WorkerMetrics>) -> Self {
        let pool = Rc::new(Pool::new(options.pool_idle_timeout, options.pool_idle_per_worker));
        drain::spawn_cut(sweep(Rc::downgrade(&pool)));
        let queue = Queue::of(options.places.most);
        let roster = Roster::new(options, &metrics, None);
        let upstream = Self { roster: RefCell::new(roster), pool, queue, metrics };
        upstream.tend();
        upstream
    }

    /// From now on as `options` say, which [`UpstreamOptions::opened`] gave. Requests under way end on what they
    /// have; the health of endpoints that stay is kept, and so are connections to them, unless they are encrypted.
    pub fn update(&self, options: Rc<UpstreamOptions>) {
        self.pool.resize(options.pool_idle_timeout, options.pool_idle_per_worker);
        let most = options.places.most;
        let before = self.roster.borrow().clone();
        let next = Roster::new(options, &self.metrics, Some(&before));
        before.retire(&next, &self.metrics);
        self.roster.replace(next);
        self.pool.sweep();
        self.queue.resize(most);
        self.tend();
    }

    /// What is known of each endpoint, in the order of the configuration. Other workers may judge otherwise.
    #[must_use]
    pub fn states(&self) -> Vec<EndpointState> {
        self.roster.borrow().states()
    }

    /// Sends a request, and waits for the head of the answer. Before that it waits for its place,
    /// where as many as may be are under way.
    ///
    /// A request without `Host` gets the endpoint's. Moves to another connection, or another endpoint, only
    /// while no byte of the request was sent, or if it is safe, has no body, and no byte of an answer came.
    ///
    /// # Errors
    /// [`Failure::was_sent`] says whether Karbor may have seen the request.
    pub async fn send<B>(
        &self,
        outgoing: Box<Outgoing<B>>,
        progress: &impl Progress,
    ) -> Result<Answer, Failure>
    where
        B: Body<Data = Bytes> + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let place = match self.queue.enter_now() {
            Some(place) => place,
            None => {
                let roster = self.roster.borrow().clone();
                // Nobody waits for a place where none would be any use.
                if let Some(until) = roster.closed_until() {
                    let retry_after = until.saturating_duration_since(Instant::now());
                    return Err(Failure::AllEjected { retry_after });
                }
                let places = roster.options.places;
                Box::pin(self.queue.enter(&places, &self.metrics)).await?
            }
        };
        let roster = self.roster.borrow().clone();
        Journey::of(outgoing, &roster, &self.pool, &self.metrics, progress).make(place).await
    }

    fn tend(&self) {
        let roster = self.roster.borrow();
        resolve::begin(&roster);
        probe::begin(&roster, &self.metrics);
    }
}

/// Lets idle connections go in time, for as long as the pool is there.
async fn sweep(pool: Weak<Pool>) {
    let mut period = Duration::ZERO;
    loop {
        tokio::time::sleep(period).await;
        match pool.upgrade() {
            Some(pool) => {
                pool.sweep();
                period = pool.sweep_period();
            }
            None => return,
        }
    }
}
