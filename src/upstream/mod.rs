//! Karbor, as a place: endpoints and their health, the connections to them, and one request on its way there.
//!
//! One for each worker. In reading order: `options` what it is told; `roster` where a request goes, by `address` and
//! `health`; `journey` how it moves on; `attempt` one request on one connection; `ask` one apart from all that. Leaves what a request means, and
//! what a failure is to the client, to `proxy`.

mod address;
mod ask;
mod attempt;
mod connect;
mod failure;
mod fields;
mod health;
mod journey;
mod options;
mod pool;
mod prelude;
mod probe;
mod queue;
mod resolve;
mod roster;
mod socket;
mod stream;
#[cfg(test)]
mod tests;
mod tls;

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;

pub use ask::{Patience, ask};
pub use failure::Failure;
pub use options::{EjectionRules, Endpoint, Places, ProbeOptions, UpstreamOptions};
pub use pool::Lease;
pub use stream::Stream;
pub use tls::{Identity, Tls, TlsError, TlsFiles};

use crate::drain;
use crate::telemetry::metrics::WorkerMetrics;
use journey::Journey;
use pool::Pool;
use queue::Queue;
use roster::Roster;

/// Karbor's answer, its body still under way.
#[derive(Debug)]
pub struct Answer<B> {
    /// The answer.
    pub response: Response<Incoming>,
    /// The connection it comes on, to be given back when the body ended.
    pub lease: Lease<B>,
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
pub struct Upstream<B> {
    roster: RefCell<Rc<Roster>>,
    pool: Rc<Pool<B>>,
    queue: Rc<Queue>,
    metrics: Rc<WorkerMetrics>,
}

impl<B> Upstream<B>
where
    B: Body<Data = Bytes> + Default + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
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

    /// Sends `request`, in origin form, and waits for the head of the answer. Before that it waits for its place,
    /// where as many as may be are under way.
    ///
    /// A request without `Host` gets the endpoint's. Moves to another connection, or another endpoint, only
    /// while no byte of the request was sent, or if it is safe, has no body, and no byte of an answer came.
    ///
    /// # Errors
    /// [`Failure::was_sent`] says whether Karbor may have seen the request.
    pub async fn send(
        &self,
        mut request: Request<B>,
        progress: &impl Progress,
    ) -> Result<Answer<B>, Failure> {
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
        let journey = Journey::of(&request, &roster, &self.pool, &self.metrics, progress);
        journey.make(&mut request, place).await
    }

    fn tend(&self) {
        let roster = self.roster.borrow();
        resolve::begin(&roster);
        probe::begin(&roster, &self.metrics);
    }
}

/// Lets idle connections go in time, for as long as the pool is there.
async fn sweep<B>(pool: Weak<Pool<B>>) {
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
