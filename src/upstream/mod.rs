//! Karbor, as a place: endpoints, the connections to them, and one request on one of them.
//!
//! One for each worker. Leaves what a request means, and what a failure is to the client, to `proxy`.

mod connect;
mod failure;
mod pool;
mod prelude;
mod socket;

use std::future::Future;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;

pub use failure::Failure;
pub use pool::Lease;

use crate::drain;
use crate::telemetry::metrics::{Side, WorkerMetrics};
use pool::{Link, Pool};
use prelude::Prelude;
use socket::Written;

/// Where one Karbor API listens. Plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address, without brackets.
    pub host: Box<str>,
    /// The port.
    pub port: u16,
}

/// What the upstream side is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamOptions {
    /// At least one.
    pub endpoints: Vec<Endpoint>,
    /// To connect, name resolution included.
    pub connect_timeout: Duration,
    /// From the last byte of the request to the head of the answer.
    pub first_byte_timeout: Duration,
    /// Without any progress of a body, either way.
    pub idle_timeout: Duration,
    /// How long an idle connection is kept. Karbor's own server closes after 900 s.
    pub pool_idle_timeout: Duration,
    /// The most idle connections a worker keeps.
    pub pool_idle_per_worker: usize,
}

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

/// The way to Karbor, for one worker.
#[derive(Debug)]
pub struct Upstream<B> {
    options: Rc<UpstreamOptions>,
    hosts: Vec<HeaderValue>,
    pool: Rc<Pool<B>>,
    metrics: Rc<WorkerMetrics>,
}

impl<B> Upstream<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Ready to connect; nothing is connected yet. Must be made on the worker's own runtime.
    #[must_use]
    pub fn new(options: Rc<UpstreamOptions>, metrics: Rc<WorkerMetrics>) -> Self {
        let hosts = options.endpoints.iter().map(Endpoint::host_header).collect();
        let pool = Rc::new(Pool::new(options.pool_idle_timeout, options.pool_idle_per_worker));
        let period = (options.pool_idle_timeout / 4).clamp(Duration::from_millis(50), Duration::from_secs(5));
        drain::spawn_cut(sweep(Rc::downgrade(&pool), period));
        Self { options, hosts, pool, metrics }
    }

    /// Sends `request`, in origin form, and waits for the head of the answer.
    ///
    /// A request without `Host` gets the endpoint's. Moves to another connection, or another endpoint, only
    /// while no byte of the request was sent.
    ///
    /// # Errors
    /// [`Failure::was_sent`] says whether Karbor may have seen the request.
    pub async fn send(
        &self,
        mut request: Request<B>,
        progress: &impl Progress,
    ) -> Result<Answer<B>, Failure> {
        while let Some(link) = self.pool.take() {
            match self.try_on(link, request, progress).await {
                Ok(answer) => return Ok(answer),
                Err((_, Some(unsent))) => request = unsent,
                Err((failure, None)) => return Err(failure),
            }
        }
        let mut last = None;
        let (mut unreachable, mut unsent) = (0, 0);
        while unreachable < self.options.endpoints.len() && unsent < 2 {
            let at = self.pool.next_endpoint(self.options.endpoints.len());
            let Some(endpoint) = self.options.endpoints.get(at) else { break };
            let link = match self.connect(endpoint, at).await {
                Ok(link) => link,
                Err(failure) => {
                    last = Some(failure);
                    unreachable += 1;
                    continue;
                }
            };
            match self.try_on(link, request, progress).await {
                Ok(answer) => return Ok(answer),
                Err((failure, Some(returned))) => (last, request) = (Some(failure), returned),
                Err((failure, None)) => return Err(failure),
            }
            unsent += 1;
        }
        Err(last.unwrap_or(Failure::NoEndpoint))
    }

    async fn connect(&self, endpoint: &Endpoint, at: usize) -> Result<Link<B>, Failure> {
        let prelude = Prelude::default();
        let most = self.options.connect_timeout;
        let (sender, connection, written) = connect::connect(endpoint, most, prelude.clone()).await?;
        self.metrics.connection_opened(Side::Upstream);
        let metrics = self.metrics.clone();
        let (link, let_go) = Link::new(sender, written, at, prelude);
        drain::spawn_cut(async move {
            let mut connection = pin!(connection);
            // An error is told to whoever waits for an answer on it.
            tokio::select! {
                _ = &mut connection => {}
                // hyper ends it then, unless Karbor does not take what is being written.
                _ = let_go => drop(tokio::time::timeout(LAST_WORDS, connection).await),
            }
            metrics.connection_closed(Side::Upstream);
        });
        Ok(link)
    }

    async fn try_on(
        &self,
        mut link: Link<B>,
        mut request: Request<B>,
        progress: &impl Progress,
    ) -> Result<Answer<B>, (Failure, Option<Request<B>>)> {
        let host_added = !request.headers().contains_key(header::HOST);
        if host_added && let Some(host) = self.hosts.get(link.endpoint()) {
            request.headers_mut().insert(header::HOST, host.clone());
        }
        let mut count = Count::new(&self.metrics, link.written());
        let handed_over = Instant::now();
        link.prelude().begin();
        let sending = link.sender().try_send_request(request);
        match self.in_time(sending, progress).await {
            Ok(Ok(response)) => {
                link.prelude().end();
                count.answered(response.status(), progress.last().unwrap_or(handed_over).elapsed());
                let lease = Lease::new(link, self.pool.clone());
                Ok(Answer { response, lease })
            }
            Ok(Err(mut error)) => {
                let unsent = error.take_message().map(|mut request| {
                    if host_added {
                        request.headers_mut().remove(header::HOST);
                    }
                    request
                });
                Err((Failure::of_exchange(error.into_error(), unsent.is_none()), unsent))
            }
            Err(failure) => Err((failure, None)),
        }
    }

    /// Waits for the head of the answer: from the end of the body, or as long as the body goes on.
    async fn in_time<T>(
        &self,
        sending: impl Future<Output = T>,
        progress: &impl Progress,
    ) -> Result<T, Failure> {
        let mut sending = pin!(sending);
        let started = Instant::now();
        let mut wait = self.options.first_byte_timeout;
        loop {
            if let Ok(sent) = tokio::time::timeout(wait, sending.as_mut()).await {
                return Ok(sent);
            }
            let most = match progress.is_underway() {
                // A client that stalls is found out first; what is left is a Karbor that does not read.
                true => self.options.first_byte_timeout.max(self.options.idle_timeout) + STALL_SLACK,
                false => self.options.first_byte_timeout,
            };
            let end = progress.last().unwrap_or(started) + most;
            match end.checked_duration_since(Instant::now()) {
                Some(left) if !left.is_zero() => wait = left,
                _ => return Err(Failure::FirstByteTimeout),
            }
        }
    }
}

/// How much later than a stalled client a Karbor that does not read is given up.
const STALL_SLACK: Duration = Duration::from_secs(1);
/// How long a connection that was let go may take to end by itself.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Counts one request on one connection, once: when its answer begins, or when it is given up and Karbor got
/// a part of it. Whoever waits may be dropped at any time, so what was not answered is counted on drop.
struct Count<'a> {
    metrics: &'a WorkerMetrics,
    written: Written,
    before: u64,
    answered: bool,
}

impl<'a> Count<'a> {
    fn new(metrics: &'a WorkerMetrics, written: &Written) -> Self {
        Self { metrics, before: written.bytes(), written: written.clone(), answered: false }
    }

    fn answered(&mut self, status: StatusCode, first_byte: Duration) {
        self.metrics.upstream_answered(status.as_u16(), first_byte);
        self.answered = true;
    }
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        if !self.answered && self.written.bytes() > self.before {
            self.metrics.upstream_unanswered();
        }
    }
}

/// Lets idle connections go in time, for as long as the pool is there.
async fn sweep<B>(pool: Weak<Pool<B>>, period: Duration) {
    loop {
        tokio::time::sleep(period).await;
        match pool.upgrade() {
            Some(pool) => pool.sweep(),
            None => return,
        }
    }
}

impl Endpoint {
    fn host_header(&self) -> HeaderValue {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.to_string() };
        let text = if self.port == 80 { host } else { format!("{host}:{}", self.port) };
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("karbor"))
    }
}
