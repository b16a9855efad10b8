//! One request on its way to an answer: over which connections and addresses it may go.
//!
//! It moves on only while no byte of it was sent, or if it can be repeated: a safe method without a body, to which
//! no byte of an answer came. A kept connection may have died meanwhile, which says nothing of its address; a new
//! one that fails speaks against it.

use std::rc::Rc;

use bytes::Bytes;
use http::{Method, Request, Uri, Version};
use http_body::Body;
use tokio::time::Instant;

use super::address::{Address, Load};
use super::attempt::{Attempt, Rest, connect};
use super::health::Fault;
use super::pool::{Lease, Link, Pool};
use super::queue::Place;
use super::roster::{Choice, Roster};
use super::{Answer, Failure, Progress};
use crate::telemetry::metrics::{Move, WorkerMetrics};

/// The most addresses that one request is tried at.
const MOST_ADDRESSES: usize = 5;

pub(super) struct Journey<'a, B, P> {
    roster: &'a Roster,
    pool: &'a Rc<Pool<B>>,
    metrics: &'a Rc<WorkerMetrics>,
    progress: &'a P,
    /// What is sent again is made of this and the fields; none where that must not be.
    again: Option<(Method, Uri, Version)>,
    tried: Vec<Rc<Address>>,
    /// Whether kept connections are left alone, because one was dead.
    only_new: bool,
}

/// What became of a request at one address.
enum Outcome<B> {
    Answered(Answer<B>),
    /// It is back, and can go elsewhere.
    Returned(Failure, Place, Move),
    Failed(Failure),
}

impl<'a, B, P> Journey<'a, B, P>
where
    B: Body<Data = Bytes> + Default + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    P: Progress,
{
    pub(super) fn of(
        request: &Request<B>,
        roster: &'a Roster,
        pool: &'a Rc<Pool<B>>,
        metrics: &'a Rc<WorkerMetrics>,
        progress: &'a P,
    ) -> Self {
        let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        let again = (is_safe && request.body().is_end_stream())
            .then(|| (request.method().clone(), request.uri().clone(), request.version()));
        Self { roster, pool, metrics, progress, again, tried: Vec::new(), only_new: false }
    }

    /// Carries `request` out: what is left in its place is nothing.
    ///
    /// # Errors
    /// See [`super::Upstream::send`].
    pub(super) async fn make(
        mut self,
        request: &mut Request<B>,
        mut place: Place,
    ) -> Result<Answer<B>, Failure> {
        let mut last = None;
        while self.tried.len() < MOST_ADDRESSES {
            let (address, on_trial) = match self.roster.choose(&self.tried, self.again.is_some()) {
                Choice::Use { address, on_trial } => (address, on_trial),
                Choice::Nothing if self.tried.is_empty() => {
                    Box::pin(self.roster.until_known(self.roster.options.connect_timeout)).await?;
                    continue;
                }
                Choice::Nothing => break,
                Choice::Ejected(until) => {
                    let retry_after = until.saturating_duration_since(Instant::now());
                    return Err(last.map_or(Failure::AllEjected { retry_after }, |(failure, _)| failure));
                }
            };
            if let Some((_, why)) = last.take() {
                self.metrics.moved(why);
            }
            let load = Load::on(&address);
            match self.at(load, on_trial, request, place).await {
                Outcome::Answered(answer) => return Ok(answer),
                Outcome::Failed(failure) => return Err(failure),
                Outcome::Returned(failure, kept, why) => (last, place) = (Some((failure, why)), kept),
            }
            self.tried.push(address);
        }
        Err(last
            .map_or(Failure::AllEjected { retry_after: std::time::Duration::ZERO }, |(failure, _)| failure))
    }

    /// At one address: on its kept connections, and then on a new one.
    async fn at(&mut self, load: Load, on_trial: bool, request: &mut Request<B>, place: Place) -> Outcome<B> {
        let address = load.address().clone();
        while !self.only_new {
            let now = Instant::now();
            let Some(link) = self.pool.take(&address, now) else { break };
            let attempt = self.attempt(&load, on_trial, true);
            match attempt.make(link, request, now).await {
                Ok((response, link)) => return self.answered(response, link, load, place),
                Err((_, Rest::Whole)) => {}
                Err((failure, rest)) => {
                    if !self.repeat(rest, request) {
                        return Outcome::Failed(failure);
                    }
                    self.metrics.moved(Move::Unanswered);
                    self.only_new = true;
                }
            }
        }
        let rules = &self.roster.options.ejection;
        // Rare, and large: in a box.
        let link = match Box::pin(connect(self.roster, &address, self.metrics)).await {
            Ok(link) => link,
            Err(failure) => {
                address.failed(Fault::Connect, on_trial, rules);
                self.roster.wanted.notify_one();
                return Outcome::Returned(failure, place, Move::Unconnected);
            }
        };
        address.connected(on_trial);
        let attempt = self.attempt(&load, on_trial, !self.roster.is_single());
        match attempt.make(link, request, Instant::now()).await {
            Ok((response, link)) => self.answered(response, link, load, place),
            Err((failure, rest)) => {
                // A server may close on a body that it does not want to read: no client may eject Karbor by that.
                let streams = self.progress.is_underway() || self.progress.last().is_some();
                if failure.is_of_address() && !streams {
                    address.failed(Fault::Exchange, on_trial, rules);
                }
                if matches!(rest, Rest::Whole) {
                    Outcome::Returned(failure, place, Move::Unsent)
                } else if self.repeat(rest, request) {
                    Outcome::Returned(failure, place, Move::Unanswered)
                } else {
                    Outcome::Failed(failure)
                }
            }
        }
    }

    fn attempt<'b>(&'b self, load: &'b Load, on_trial: bool, may_move: bool) -> Attempt<'b, P> {
        Attempt {
            roster: self.roster,
            metrics: self.metrics,
            progress: self.progress,
            load,
            on_trial,
            keeps: may_move && self.again.is_some(),
        }
    }

    fn answered(
        &self,
        response: http::Response<hyper::body::Incoming>,
        link: Link<B>,
        load: Load,
        place: Place,
    ) -> Outcome<B> {
        Outcome::Answered(Answer { response, lease: Lease::new(link, self.pool.clone(), load, place) })
    }

    /// Makes the request once more, of the fields that were kept; false without them.
    fn repeat(&self, rest: Rest, request: &mut Request<B>) -> bool {
        let (Rest::Fields(fields), Some((method, uri, version))) = (rest, self.again.clone()) else {
            return false;
        };
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.version_mut() = version;
        *request.headers_mut() = fields;
        *request.body_mut() = B::default();
        true
    }
}
