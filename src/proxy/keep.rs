//! The ledger's part in a creation: reserve before Karbor is asked, settle by what it answers.
//!
//! A map is only forwarded once the ledger holds it, unless `ledger.when_down` says otherwise. What Karbor then
//! answers decides: made, refused, or unknown. Of the last the reservation stays until its lease ends, because
//! the checkpoint may be there.

use std::time::{Duration, Instant};

use http::StatusCode;

use super::{Proxy, WhenDown};
use crate::karbor::CheckpointId;
use crate::karbor::request::CreateRequest;
use crate::karbor::request_id::RequestId;
use crate::ledger::{Claim, LedgerError, Map, Outcome, Reservation};
use crate::policy::Violations;
use crate::telemetry::exchange::{Exchange, Subject};
use crate::telemetry::metrics::{LedgerOperation, LedgerOutcome, Unkept};

/// What a creation gives the ledger to keep.
pub(super) struct Draft {
    plan: Box<str>,
    /// None of a creation without one that can be kept: then only that the checkpoint is there will be noted.
    map: Option<Map>,
}

impl Draft {
    /// Of what was read for review. None without a plan. A map that is no map of strings, which only a softened
    /// rule lets through, is not kept: the checkpoint alone is noted.
    pub(super) fn of(request: &CreateRequest<'_>) -> Option<Self> {
        let plan = request.plan_id.as_deref()?.into();
        let is_kept = request.set_aside.is_empty() && !request.extra_info.is_empty();
        let entries = request.extra_info.iter().map(|(key, value)| (key.into(), value.into()));
        let map = is_kept.then(|| entries.collect());
        Some(Self { plan, map })
    }

    /// Whether there is anything to keep.
    pub(super) const fn has_map(&self) -> bool {
        self.map.is_some()
    }
}

/// What the ledger holds for a creation under way.
pub(super) enum Hold {
    /// Nothing, and nothing is missing.
    Nothing,
    /// Nothing; the checkpoint will be noted.
    Bare { plan: Box<str>, request_id: RequestId },
    /// This map.
    Held { reservation: Reservation, map: Map },
    /// Nothing, although there is a map: the ledger did not answer.
    Unkept,
}

/// Why a creation goes no further.
pub(super) enum NotHeld {
    /// A quota is used up.
    Over(Violations),
    /// The ledger did not answer.
    Down,
}

/// How a creation ended, as far as the ledger is concerned.
pub(super) enum Fate<'c> {
    /// Karbor made this checkpoint.
    Made(&'c CheckpointId),
    /// Karbor made none.
    Refused,
    /// It may have made one.
    Unknown,
}

/// Reserves what `draft` needs, for a caller who may (see `proof`).
pub(super) async fn reserve(
    proxy: &Proxy,
    subject: &Subject,
    request_id: RequestId,
    draft: Option<Draft>,
) -> Result<(Hold, Violations), NotHeld> {
    let none = Violations::default();
    let (Some(ledger), Some(Draft { plan, map })) = (&proxy.ledger, draft) else {
        return Ok((Hold::Nothing, none));
    };
    let Some(map) = map else {
        return Ok((Hold::Bare { plan, request_id }, none));
    };
    let claim = Claim {
        tenant: subject.tenant.clone(),
        provider: subject.provider.clone(),
        plan,
        map: map.clone(),
        request_id: request_id.to_string().into(),
        policy: subject.policy.clone(),
    };
    match proxy.ask(LedgerOperation::Reserve, Box::pin(ledger.reserve(claim))).await {
        Ok(Outcome::Held { reservation, noted }) => Ok((Hold::Held { reservation, map }, noted)),
        Ok(Outcome::Over(violations)) => Err(NotHeld::Over(violations)),
        Err(_told) if proxy.options.ledger.when_down == WhenDown::Open => {
            proxy.desk.metrics.unkept(Unkept::Forwarded);
            Ok((Hold::Unkept, none))
        }
        Err(_told) => Err(NotHeld::Down),
    }
}

impl Hold {
    /// Whether the answer decides about a reservation.
    pub(super) const fn is_held(&self) -> bool {
        matches!(self, Self::Held { .. })
    }

    /// From here on only Karbor's answer tells.
    pub(super) fn dispatched(&mut self) {
        if let Self::Held { reservation, .. } = self {
            reservation.dispatched();
        }
    }

    /// Karbor was asked. The map, where the ledger has it now or Karbor's answer should show it.
    pub(super) async fn settle(
        self,
        proxy: &Proxy,
        exchange: &mut Exchange,
        subject: &Subject,
        fate: Fate<'_>,
    ) -> Option<Map> {
        let Subject { tenant, provider, .. } = subject;
        let provider = provider.as_ref();
        match (self, fate) {
            (Self::Held { reservation, map }, Fate::Made(checkpoint)) => {
                let provider = provider?;
                let kept = proxy
                    .ask(LedgerOperation::Commit, Box::pin(reservation.commit(provider, checkpoint)))
                    .await;
                exchange.keeps(kept.is_ok());
                if kept.is_err() {
                    proxy.desk.metrics.unkept(Unkept::Unsettled);
                }
                Some(map)
            }
            (Self::Held { reservation, .. }, Fate::Refused) => {
                // If it fails, the lease ends it.
                let _told = proxy.ask(LedgerOperation::RollBack, Box::pin(reservation.roll_back())).await;
                None
            }
            (Self::Held { reservation, .. }, Fate::Unknown) => {
                drop(reservation);
                exchange.keeps(false);
                proxy.desk.metrics.unkept(Unkept::Unknown);
                None
            }
            (Self::Bare { plan, request_id }, Fate::Made(checkpoint)) => {
                if let (Some(ledger), Some(provider)) = (&proxy.ledger, provider) {
                    ledger.note(tenant, provider, &plan, checkpoint, &request_id.to_string());
                }
                None
            }
            (Self::Unkept, Fate::Made(_) | Fate::Unknown) => {
                exchange.keeps(false);
                None
            }
            (Self::Nothing | Self::Bare { .. } | Self::Unkept, _) => None,
        }
    }
}

/// What an answer to a creation means. `body` is what was read of it; of a refusal only where that matters.
pub(super) fn fate<'c>(status: StatusCode, body: &[u8], made: Option<&'c CheckpointId>) -> Fate<'c> {
    match made {
        Some(checkpoint) if status.is_success() => Fate::Made(checkpoint),
        // Without a token, noauth answers 204 and makes nothing (facts, section 7).
        _ if status == StatusCode::NO_CONTENT => Fate::Refused,
        _ if status.is_success() || status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
            Fate::Unknown
        }
        // Also what Karbor says when its protection service did not answer in time (facts, section 8).
        _ if memchr::memmem::find(body, b"Create checkpoint failed").is_some() => Fate::Unknown,
        _ => Fate::Refused,
    }
}

impl Proxy {
    /// What the ledger says, counted and timed. A failure is told in the log, now and then.
    pub(super) async fn ask<T>(
        &self,
        operation: LedgerOperation,
        asked: impl Future<Output = Result<T, LedgerError>>,
    ) -> Result<T, LedgerError> {
        let begun = Instant::now();
        let answer = asked.await;
        let took: Duration = begun.elapsed();
        let outcome = if answer.is_ok() { LedgerOutcome::Done } else { LedgerOutcome::Failed };
        self.desk.metrics.ledger(operation, outcome, took);
        if let Err(error) = &answer
            && let Some(held_back) = self.ledger_failures.admit()
        {
            let error = super::forward::chain(error);
            tracing::warn!(error, operation = operation.name(), held_back, "the ledger did not answer");
        }
        answer
    }
}
