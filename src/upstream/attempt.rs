//! One request on one connection: send, wait for the head of the answer, count.
//!
//! Leaves what follows from a failure to `journey`.

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use tokio::time::{Instant, timeout_at};

use super::address::{Address, Load};
use super::connect::dial;
use super::converse::converse;
use super::line::Line;
use super::outgoing::Outgoing;
use super::pool::Link;
use super::roster::Roster;
use super::{Broken, Failure, Progress};
use crate::telemetry::metrics::WorkerMetrics;
use crate::wire::{AnswerHead, AnswerReader};

/// How much later than a stalled client a Karbor that does not read is given up.
const STALL_SLACK: Duration = Duration::from_secs(1);

/// What is left of a request that was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// All of it: no byte was sent.
    Whole,
    /// It was sent, may be sent again, and no byte of an answer came.
    Repeatable,
    /// Nothing that could be sent again.
    Nothing,
}

/// The head of an answer, and what it takes to read on.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) head: AnswerHead,
    pub(super) reader: AnswerReader,
    pub(super) link: Link,
    /// When the head was there.
    pub(super) began: Instant,
}

/// A new connection to `address`.
pub(super) async fn connect(
    roster: &Roster,
    address: &Rc<Address>,
    metrics: &Rc<WorkerMetrics>,
) -> Result<Link, Failure> {
    let secure = address.site.secure.as_ref().map_err(|source| Failure::Tls {
        address: address.dial.to_string(),
        source: std::io::Error::new(source.kind(), source.to_string()),
    })?;
    let stream = dial(&address.dial, secure.as_ref(), roster.options.connect_timeout).await?;
    Ok(Link::new(Line::new(stream), address.clone(), metrics.clone()))
}

/// One attempt of a request.
pub(super) struct Attempt<'a, P> {
    pub(super) roster: &'a Roster,
    pub(super) metrics: &'a WorkerMetrics,
    pub(super) progress: &'a P,
    pub(super) load: &'a Load,
    pub(super) on_trial: bool,
}

impl<P: Progress> Attempt<'_, P> {
    /// Sends a request on `link` now, and waits for the head of its answer.
    ///
    /// # Errors
    /// Why there is none, and what can be sent again.
    pub(super) async fn make<B>(
        &self,
        mut link: Link,
        outgoing: &mut Outgoing<B>,
        now: Instant,
    ) -> Result<Answered, (Failure, Rest)>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let address = self.load.address();
        outgoing.begin(&address.site.host);
        link.ask();
        match self.in_time(converse(link.line(), outgoing), now).await {
            Ok(Ok((head, reader))) => {
                link.answered();
                let (status, began) = (head.status.as_u16(), Instant::now());
                self.metrics.upstream_answered(status, began - self.progress.last().unwrap_or(now));
                address.answered(status, self.on_trial, &self.roster.options.ejection);
                Ok(Answered { head, reader, link, began })
            }
            Ok(Err(broken)) => {
                let line = link.line();
                let was_sent = line.sent() > 0;
                let rest = match broken {
                    Broken::Request(_) => Rest::Nothing,
                    _ if !was_sent => Rest::Whole,
                    _ if outgoing.is_repeatable() && !line.has_heard() => Rest::Repeatable,
                    _ => Rest::Nothing,
                };
                Err((Failure::of_exchange(broken, was_sent), rest))
            }
            Err(failure) => Err((failure, Rest::Nothing)),
        }
    }

    /// Waits for the head of the answer: from the end of the body, or as long as the body goes on.
    async fn in_time<T>(&self, answered: impl Future<Output = T>, started: Instant) -> Result<T, Failure> {
        let options = &self.roster.options;
        let mut answered = pin!(answered);
        let mut end = started + options.first_byte_timeout;
        loop {
            if let Ok(sent) = timeout_at(end, answered.as_mut()).await {
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
