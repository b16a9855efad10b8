//! Reading a body for review, and what stops a request that is under review.

use std::time::Instant;

use http::Response;
use hyper::body::Incoming;

use super::body::BodyFault;
use super::budget::Share;
use super::cause::refusal_in;
use super::collect::{Collected, collect};
use super::{AnswerBody, Proxy, respond};
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
    /// Its body broke off: nobody is left to answer.
    Gone,
}

impl Stop {
    pub(super) fn answer(self, exchange: Exchange, request_id: &str) -> Response<AnswerBody> {
        match self {
            Self::Deny(violations) => respond::denial(exchange, violations, request_id),
            Self::Refuse(refusal) => respond::refusal(exchange, refusal, request_id),
            Self::Gone => respond::to_nobody(exchange),
        }
    }
}

impl From<BodyFault> for Stop {
    fn from(fault: BodyFault) -> Self {
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

/// Reads a body up to the tenant's limit. Beyond it, `body-too-large` decides. Its share of the memory for
/// bodies lasts until it is sent.
pub(super) async fn read(
    proxy: &Proxy,
    exchange: &mut Exchange,
    subject: &Subject,
    body: Incoming,
    noted: &mut Violations,
) -> Result<(Collected, Share), Stop> {
    let limit = subject.policy.rules_of(subject.tenant.as_str()).limits.body_bytes;
    let declared = http_body::Body::size_hint(&body).exact();
    let mut share = proxy.budget.share();
    let begun = Instant::now();
    let collected = collect(body, limit, proxy.options.body_timeout, &mut share).await;
    exchange.waited(begun.elapsed());
    let collected = collected?;
    exchange.received(collected.bytes());
    if matches!(collected, Collected::NoRoom(..)) {
        return Err(Stop::Refuse(Refusal::BodyBudget));
    }
    if matches!(collected, Collected::TooLarge(..)) {
        let breach = Breach::of(Rule::BodyTooLarge).measured(declared).allowed(Some(limit));
        judge(subject, breach, noted)?;
    }
    Ok((collected, share))
}
