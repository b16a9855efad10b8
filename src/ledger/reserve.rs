//! A reservation: the claim of a creation that Karbor is about to be asked for, and how it is settled.

use std::sync::Arc;

use super::Ledger;
use super::charge::{Charged, charge, standing};
use super::connection::Connection;
use super::entry::{Footing, find, insert};
use super::error::LedgerError;
use super::job::{Done, Operation};
use super::record::{Millis, Record, State};
use super::settle::{Commit, RollBack};
use crate::karbor::{CheckpointId, ProviderId, TenantId};
use crate::policy::{Policy, Share, Verdict, Violations};

/// A creation that was admitted, before Karbor is asked.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Who is charged.
    pub tenant: TenantId,
    /// Where the checkpoint will be kept, if that is known.
    pub provider: Option<ProviderId>,
    /// The plan it is of.
    pub plan: Box<str>,
    /// The map.
    pub map: super::Map,
    /// The request.
    pub request_id: Box<str>,
    /// Whose quotas it is held against; its revision is kept.
    pub policy: Arc<Policy>,
}

/// What comes of a claim.
#[derive(Debug)]
pub enum Outcome {
    /// There is room, and it is held.
    Held {
        /// To be settled.
        reservation: Reservation,
        /// Quotas that are exceeded, but not enforced.
        noted: Violations,
    },
    /// A quota that is enforced has no room; nothing is held.
    Over(Violations),
}

/// An entry that no checkpoint is bound to yet, charged.
///
/// Dropped before [`Reservation::dispatched`] it rolls back, without waiting. Dropped after, it stays until
/// its lease ends: the checkpoint may exist.
#[must_use = "a reservation is settled by committing it or rolling it back"]
pub struct Reservation {
    ledger: Ledger,
    record: Arc<Record>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its transaction may still fail.
    Unconfirmed,
    Held,
    Dispatched,
    Settled,
}

impl Reservation {
    /// Karbor is being asked: from here on the outcome is unknown until it is said.
    pub fn dispatched(&mut self) {
        self.stage = Stage::Dispatched;
    }

    /// The id of the entry.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.record.id
    }

    /// Karbor created the checkpoint: the map is kept for it. Also right after the lease has ended.
    ///
    /// # Errors
    /// When it is not known to be kept. It is tried again until the lease ends, unless that error does not
    /// pass; without it a later sight of the checkpoint may bind the entry.
    pub async fn commit(
        mut self,
        provider: &ProviderId,
        checkpoint: &CheckpointId,
    ) -> Result<(), LedgerError> {
        self.stage = Stage::Settled;
        let commit = Commit::new(self.record.clone(), provider, checkpoint, self.ledger.now());
        self.ledger.settle(commit).await
    }

    /// Karbor refused: nothing was created, and nothing is charged.
    ///
    /// # Errors
    /// When it is not known to be done. It is tried again until the lease ends, which does the same.
    pub async fn roll_back(mut self) -> Result<(), LedgerError> {
        self.stage = Stage::Settled;
        self.ledger.settle(RollBack { record: self.record.clone() }).await
    }
}

impl std::fmt::Debug for Reservation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reservation").field("id", &self.record.id).field("stage", &self.stage).finish()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.stage == Stage::Held {
            self.ledger.settle_unheard(RollBack { record: self.record.clone() });
        }
    }
}

/// Charges a claim and writes its entry, or finds that there is no room.
pub(super) struct Reserve {
    pub(super) ledger: Ledger,
    pub(super) record: Arc<Record>,
    pub(super) shares: Vec<Share>,
    pub(super) policy: Arc<Policy>,
    pub(super) lease_ends: Millis,
    /// What an earlier try noted; its transaction may have been committed without our learning of it.
    pub(super) tried: Option<Violations>,
}

impl Operation for Reserve {
    type Answer = Outcome;

    async fn run(&mut self, connection: &mut Connection) -> Result<Done<Outcome>, LedgerError> {
        let record = &*self.record;
        if let Some(noted) = self.tried.take()
            && find(connection, &record.id).await?.is_some()
        {
            return Ok(Done::Keep(self.held(noted)));
        }
        let charged: Vec<Charged> = self.shares.iter().map(Charged::from).collect();
        charge(connection, &record.tenant, &charged).await?;
        let noted = match self.review(connection, &charged).await? {
            Verdict::Deny(violations) => return Ok(Done::Undo(Outcome::Over(violations))),
            Verdict::Admit { noted, .. } => noted,
        };
        let footing = Footing {
            state: State::Reserved,
            checkpoint: None,
            changed_at: record.reserved_at,
            due_at: Some(self.lease_ends),
        };
        insert(connection, record, &footing, &charged, record.reserved_at).await?;
        self.tried = Some(noted.clone());
        Ok(Done::Keep(self.held(noted)))
    }

    fn confirm(&self, answer: &mut Outcome) {
        if let Outcome::Held { reservation, .. } = answer {
            reservation.stage = Stage::Held;
        }
    }
}

impl Reserve {
    async fn review(&self, connection: &mut Connection, charged: &[Charged]) -> Result<Verdict, LedgerError> {
        let tenant = &self.record.tenant;
        let quotas = &self.policy.rules_of(tenant).quotas;
        let mut standings = Vec::new();
        if !quotas.is_unlimited() {
            for (share, charged) in self.shares.iter().zip(charged) {
                let quota = quotas.of(share.application.as_deref());
                let now = self.record.reserved_at;
                let mut standing = standing(connection, tenant, &charged.application, quota, now).await?;
                // Charged before it was looked at, so that others wait.
                let usage = &mut standing.usage;
                usage.checkpoints = usage.checkpoints.saturating_sub(1);
                usage.entries = usage.entries.saturating_sub(share.entries);
                usage.bytes = usage.bytes.saturating_sub(share.bytes);
                standings.push(standing);
            }
        }
        Ok(self.policy.review_quotas(tenant, &self.shares, &standings))
    }

    fn held(&self, noted: Violations) -> Outcome {
        let (ledger, record) = (self.ledger.clone(), self.record.clone());
        Outcome::Held { reservation: Reservation { ledger, record, stage: Stage::Unconfirmed }, noted }
    }
}
