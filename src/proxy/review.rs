//! Reading a body for review, and what stops a request that is under review.

use std::time::{Duration, Instant};

use http::Response;
use hyper::body::Incoming;

use super::body::BodyFault;
use super::budget::{Seat, Share};
use super::cause::refusal_in;
use super::collect::{Collected, collect, discard};
use super::{AnswerBody, Proxy, respond};
use crate::karbor::request_id::RequestId;
use crate::policy::{Breach, Rule, Verdict, Violations};
use crate::telemetry::exchange::{Exchange, Subject};
use crate::wire::Refusal;

/// Why a request under review goes no further.
#[derive(Debug)]
pub(super) enum Stop {
    /// It breaks an enforced rule.
    Deny(Violations),
    /// Its body cannot be read as HTTP, or not in time.
    Refuse(Refusal),
    /// There is no room for it now. Its body was read to its end.
    PutOff(Refusal),
    /// Its body broke off: nobody is left to answer.
    Gone,
}

impl Stop {
    pub(super) fn answer(self, exchange: Box<Exchange>, request_id: RequestId) -> Response<AnswerBody> {
        match self {
            Self::Deny(violations) => respond::denial(exchange, violations, request_id),
            Self::Refuse(refusal) => respond::refusal(exchange, refusal, request_id),
            Self::PutOff(refusal) => respond::put_off(exchange, refusal, request_id),
            Self::Gone => respond::to_nobody(exchange),
        }
    }
}

impl From<BodyFault<hyper::Error>> for Stop {
    fn from(fault: BodyFault<hyper::Error>) -> Self {
        refusal_in(&fault).map_or(Self::Gone, Self::Refuse)
    }
}

/// Goes on with what a breach leaves noted, if it is not enforced.
pub(super) fn judge(subject: &Subject, breach: Breach<'_>, noted: &mut Violations) -> Result<(), Stop> {
    match subject.policy.judge(subject.tenant.as_str(), breach) {
        Verdict::Admit { noted: more, .. } => {
            noted.absorb(more);
            Ok(())
        }
        Verdict::Deny(mut violations) => {
            violations.absorb(std::mem::take(noted));
            Err(Stop::Deny(violations))
        }
    }
}

/// A body for review.
pub(super) struct Read {
    pub(super) collected: Collected<Incoming>,
    /// Of the memory for bodies, until it is sent.
    pub(super) share: Share,
    /// Until the request is answered.
    pub(super) seat: Seat,
}

/// Reads a body up to the tenant's limit. Beyond it, `body-too-large` decides.
pub(super) async fn read(
    proxy: &Proxy,
    exchange: &mut Exchange,
    subject: &Subject,
    body: Incoming,
    noted: &mut Violations,
) -> Result<Read, Stop> {
    let limit = subject.policy.rules_of(subject.tenant.as_str()).limits.body_bytes;
    let declared = http_body::Body::size_hint(&body).exact();
    // What puts off is rarer, and large: in boxes.
    if proxy.budget.is_crowded() {
        // Before it takes memory. It is read away, so that trying again needs no other connection.
        return Err(Box::pin(put_off(Refusal::NoRoom, exchange, body, limit)).await);
    }
    let mut share = proxy.budget.share();
    let begun = Instant::now();
    let collected = collect(body, limit, proxy.options.body_timeout, &mut share).await;
    exchange.waited(begun.elapsed());
    let collected = collected?;
    exchange.received(collected.bytes());
    if let Collected::NoRoom(read, rest) = collected {
        let left = limit.saturating_sub(read.len() as u64);
        drop((read, share));
        return Err(Box::pin(put_off(Refusal::BodyBudget, exchange, rest, left)).await);
    }
    if matches!(collected, Collected::TooLarge(..)) {
        let breach = Breach::of(Rule::BodyTooLarge).measured(declared).allowed(Some(limit));
        judge(subject, breach, noted)?;
    }
    let seat = proxy.budget.seat().ok_or(Stop::PutOff(Refusal::NoRoom))?;
    Ok(Read { collected, share, seat })
}

async fn put_off(refusal: Refusal, exchange: &mut Exchange, rest: Incoming, limit: u64) -> Stop {
    let begun = Instant::now();
    let ended = discard(rest, limit, MOST_DISCARD).await;
    exchange.waited(begun.elapsed());
    if ended { Stop::PutOff(refusal) } else { Stop::Refuse(refusal) }
}

/// How long the rest of a body is waited for that nobody will look at.
const MOST_DISCARD: Duration = Duration::from_secs(2);
