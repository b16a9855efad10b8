//! One request on one connection: send, wait for the head of the answer, count.
//!
//! Leaves what follows from a failure to `journey`.

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::address::{Address, Load};
use super::connect::{dial, speak};
use super::pool::Link;
use super::prelude::Prelude;
use super::roster::Roster;
use super::socket::Written;
use super::{Failure, Progress};
use crate::drain;
use crate::telemetry::metrics::{Side, WorkerMetrics};

/// How much later than a stalled client a Karbor that does not read is given up.
const STALL_SLACK: Duration = Duration::from_secs(1);
/// How long a connection that was let go may take to end by itself.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What is left of a request that was not answered.
#[derive(Debug)]
pub(super) enum Rest {
    /// All of it, back in its place: no byte was sent.
    Whole,
    /// Its fields, and no byte of an answer came.
    Fields(HeaderMap),
    /// Nothing that could be sent again.
    Nothing,
}

/// A new connection to `address`.
pub(super) async fn connect<B>(
    roster: &Roster,
    address: &Rc<Address>,
    metrics: &Rc<WorkerMetrics>,
) -> Result<Link<B>, Failure>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let secure = address.site.secure.as_ref().map_err(|source| Failure::Tls {
        address: address.dial.to_string(),
        source: std::io::Error::new(source.kind(), source.to_string()),
    })?;
    let stream = dial(&address.dial, secure.as_ref(), roster.options.connect_timeout).await?;
    let prelude = Prelude::default();
    let (sender, connection, written) = speak(stream, prelude.clone()).await?;
    metrics.connection_opened(Side::Upstream);
    let metrics = metrics.clone();
    let (link, let_go) = Link::new(sender, written, address.clone(), prelude);
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

/// One attempt of a request.
pub(super) struct Attempt<'a, P> {
    pub(super) roster: &'a Roster,
    pub(super) metrics: &'a WorkerMetrics,
    pub(super) progress: &'a P,
    pub(super) load: &'a Load,
    pub(super) on_trial: bool,
    /// Whether the fields are to be kept, to be sent again.
    pub(super) keeps: bool,
}

impl<P: Progress> Attempt<'_, P> {
    /// Sends `request` on `link` now, and gives both the answer and the connection it comes on. What was not sent is
    /// put back.
    ///
    /// # Errors
    /// Why there is no answer, and what can be sent again.
    pub(super) async fn make<B>(
        &self,
        mut link: Link<B>,
        request: &mut Request<B>,
        now: Instant,
    ) -> Result<(Response<Incoming>, Link<B>), (Failure, Rest)>
    where
        B: Body<Data = Bytes> + Default + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let address = self.load.address();
        if self.keeps {
            link.keep(request.headers());
        }
        let host_added = !request.headers().contains_key(header::HOST);
        if host_added {
            request.headers_mut().insert(header::HOST, address.site.host.clone());
        }
        let mut count = Count::new(self.metrics, link.written());
        link.prelude().begin();
        let sending = link.sender().try_send_request(std::mem::take(request));
        match self.in_time(sending, now).await {
            Ok(Ok(response)) => {
                link.prelude().end();
                let (status, began) = (response.status(), Instant::now());
                link.answered(began);
                count.answered(status, began - self.progress.last().unwrap_or(now));
                address.answered(status.as_u16(), self.on_trial, &self.roster.options.ejection);
                Ok((response, link))
            }
            Ok(Err(mut error)) => {
                let rest = match error.take_message() {
                    Some(returned) => {
                        *request = returned;
                        if host_added {
                            request.headers_mut().remove(header::HOST);
                        }
                        Rest::Whole
                    }
                    None if self.keeps && link.prelude().is_untouched() => Rest::Fields(link.kept()),
                    None => Rest::Nothing,
                };
                let sent = !matches!(rest, Rest::Whole);
                Err((Failure::of_exchange(error.into_error(), sent), rest))
            }
            Err(failure) => Err((failure, Rest::Nothing)),
        }
    }

    /// Waits for the head of the answer: from the end of the body, or as long as the body goes on.
    async fn in_time<T>(&self, sending: impl Future<Output = T>, started: Instant) -> Result<T, Failure> {
        let options = &self.roster.options;
        let mut sending = pin!(sending);
        let mut end = started + options.first_byte_timeout;
        loop {
            if let Ok(sent) = timeout_at(end, sending.as_mut()).await {
                return Ok(sent);
            }
            let most = match self.progress.is_underway() {
                // A client that stalls is found out first; what is left is a Karbor that does not read.
                true => options.first_byte_timeout.max(options.idle_timeout) + STALL_SLACK,
                false => options.first_byte_timeout,
            };
            end = self.progress.last().unwrap_or(started) + most;
            if end <= Instant::now() {
                return Err(Failure::FirstByteTimeout);
            }
        }
    }
}

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
