//! One request on its way to an answer: over which connections and addresses it may go.
//!
//! It moves on only while no byte of it was sent, or if it can be repeated: a safe method without a body, to which
//! no byte of an answer came. A kept connection may have died meanwhile, which says nothing of its address; a new
//! one that fails speaks against it.

use std::rc::Rc;

use bytes::Bytes;
use http_body::Body;
use tokio::time::Instant;

use super::address::{Address, Load};
use super::attempt::{Answered, Attempt, Rest, connect};
use super::health::Fault;
use super::outgoing::Outgoing;
use super::pool::{Lease, Pool};
use super::queue::Place;
use super::roster::{Choice, Roster};
use super::{Answer, Failure, Progress};
use crate::drain;
use crate::telemetry::metrics::{Move, WorkerMetrics};

/// The most addresses that one request is tried at.
const MOST_ADDRESSES: usize = 5;

pub(super) struct Journey<'a, B, P> {
    outgoing: Box<Outgoing<B>>,
    roster: &'a Roster,
    pool: &'a Rc<Pool>,
    metrics: &'a Rc<WorkerMetrics>,
    progress: &'a P,
    tried: Vec<Rc<Address>>,
    /// Whether kept connections are left alone, because one was dead.
    only_new: bool,
}

/// What became of a request at one address.
enum Outcome {
    Answered(Answered, Load, Place),
    /// It can go elsewhere.
    Returned(Failure, Place, Move),
    Failed(Failure),
}

impl<'a, B, P> Journey<'a, B, P>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    P: Progress,
{
    pub(super) const fn of(
        outgoing: Box<Outgoing<B>>,
        roster: &'a Roster,
        pool: &'a Rc<Pool>,
        metrics: &'a Rc<WorkerMetrics>,
        progress: &'a P,
    ) -> Self {
        Self { outgoing, roster, pool, metrics, progress, tried: Vec::new(), only_new: false }
    }

    /// Carries the request out.
    ///
    /// # Errors
    /// See [`super::Upstream::send`].
    pub(super) async fn make(mut self, mut place: Place) -> Result<Answer, Failure> {
        let mut last = None;
        while self.tried.len() < MOST_ADDRESSES {
            let (address, on_trial) = match self.roster.choose(&self.tried, self.outgoing.is_repeatable()) {
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
            match self.at(load, on_trial, place).await {
                Outcome::Answered(answered, load, place) => return Ok(self.answer(answered, load, place)),
                Outcome::Failed(failure) => return Err(failure),
                Outcome::Returned(failure, kept, why) => (last, place) = (Some((failure, why)), kept),
            }
            self.tried.push(address);
        }
        Err(last
            .map_or(Failure::AllEjected { retry_after: std::time::Duration::ZERO }, |(failure, _)| failure))
    }

    /// At one address: on its kept connections, and then on a new one.
    async fn at(&mut self, load: Load, on_trial: bool, place: Place) -> Outcome {
        let address = load.address().clone();
        let Self { roster, metrics, progress, .. } = *self;
        let attempt = Attempt { roster, metrics, progress, load: &load, on_trial };
        while !self.only_new {
            let now = Instant::now();
            let Some(link) = self.pool.take(&address, now) else { break };
            match attempt.make(link, &mut self.outgoing, now).await {
                Ok(answered) => return Outcome::Answered(answered, load, place),
                Err((_, Rest::Whole)) => {}
                Err((_, Rest::Repeatable)) => {
                    self.metrics.moved(Move::Unanswered);
                    self.only_new = true;
                }
                Err((failure, Rest::Nothing)) => return Outcome::Failed(failure),
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
        match attempt.make(link, &mut self.outgoing, Instant::now()).await {
            Ok(answered) => Outcome::Answered(answered, load, place),
            Err((failure, rest)) => {
                // A server may close on a body that it does not want to read: no client may eject Karbor by that.
                let streams = self.progress.is_underway() || self.progress.last().is_some();
                if failure.is_of_address() && !streams {
                    address.failed(Fault::Exchange, on_trial, rules);
                }
                match rest {
                    Rest::Whole => Outcome::Returned(failure, place, Move::Unsent),
                    Rest::Repeatable if !self.roster.is_single() => {
                        Outcome::Returned(failure, place, Move::Unanswered)
                    }
                    Rest::Repeatable | Rest::Nothing => Outcome::Failed(failure),
                }
            }
        }
    }

    /// The answer; a request that was answered before all of it was sent is sent on beside it.
    fn answer(self, answered: Answered, load: Load, place: Place) -> Answer {
        let Answered { head, reader, mut link, began } = answered;
        let address = load.address().clone();
        if !self.outgoing.is_done()
            && let Some(out) = link.line().part()
        {
            let (heard, counted) = link.until_heard();
            drain::spawn_cut(async move {
                self.outgoing.finish(out, heard).await;
                drop(counted);
            });
        }
        let lease = Lease::new(link, self.pool.clone(), load, place);
        Answer::new(head, reader, lease, (address, began))
    }
}
