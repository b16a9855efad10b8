//! What becomes of checkpoints that exist: forgotten, copied, noted without a map.

use super::charge::{release, shares_of};
use super::connection::Connection;
use super::entry::{bound_to, find, shift};
use super::error::LedgerError;
use super::job::{Done, Operation};
use super::record::{Millis, Record, State, new_id};
use super::settle::insert_kept;

/// Karbor deletes the checkpoint: its quota is free at once, its entry readable for a while.
pub(super) struct Forget {
    pub(super) tenant: Box<str>,
    pub(super) provider: Box<str>,
    pub(super) checkpoint: Box<str>,
    pub(super) now: Millis,
    pub(super) readable_until: Millis,
}

impl Operation for Forget {
    /// Whether there was such a checkpoint.
    type Answer = bool;
    const PURSUED: bool = true;

    async fn run(&mut self, connection: &mut Connection) -> Result<Done<bool>, LedgerError> {
        let Some(id) = bound_to(connection, &self.tenant, &self.provider, &self.checkpoint).await? else {
            return Ok(Done::Keep(false));
        };
        let due = Some(self.readable_until);
        let was_kept = shift(connection, &id, State::Kept, State::Deleted, self.now, due).await?;
        if was_kept {
            let shares = shares_of(connection, &id).await?;
            release(connection, &self.tenant, &shares).await?;
        }
        Ok(Done::Keep(was_kept))
    }
}

/// A creation without a map that Karbor carried out. Known, so that no reservation is taken for it.
pub(super) struct Note {
    pub(super) record: Record,
    pub(super) checkpoint: Box<str>,
}

impl Operation for Note {
    type Answer = ();
    const PURSUED: bool = true;

    async fn run(&mut self, connection: &mut Connection) -> Result<Done<()>, LedgerError> {
        let Self { record, checkpoint } = self;
        let provider = record.provider.as_deref().unwrap_or_default();
        if bound_to(connection, &record.tenant, provider, checkpoint).await?.is_none() {
            let now = record.reserved_at;
            insert_kept(connection, record, checkpoint, now, now).await?;
        }
        Ok(Done::Keep(()))
    }
}

/// Karbor copies checkpoints: each copy gets the original's map. Charged, since it is one more with a map, but
/// not held against quotas, since Karbor has made it already; no creation by the tenant.
pub(super) struct Copied {
    pub(super) tenant: Box<str>,
    pub(super) provider: Box<str>,
    pub(super) plan: Box<str>,
    /// Original and copy.
    pub(super) pairs: Vec<(Box<str>, Box<str>)>,
    pub(super) request_id: Box<str>,
    pub(super) revision: Box<str>,
    pub(super) now: Millis,
}

impl Operation for Copied {
    /// How many copies are new to the ledger.
    type Answer = u64;
    const PURSUED: bool = true;

    async fn run(&mut self, connection: &mut Connection) -> Result<Done<u64>, LedgerError> {
        let mut new = 0;
        for (original, copy) in &self.pairs {
            let Some(id) = bound_to(connection, &self.tenant, &self.provider, original).await? else {
                continue;
            };
            let Some(entry) = find(connection, &id).await? else { continue };
            if bound_to(connection, &self.tenant, &self.provider, copy).await?.is_some() {
                continue;
            }
            let record = Record {
                id: new_id(self.now),
                tenant: self.tenant.clone(),
                provider: Some(self.provider.clone()),
                plan: self.plan.clone(),
                map: entry.map,
                request_id: self.request_id.clone(),
                revision: self.revision.clone(),
                reserved_at: self.now,
            };
            insert_kept(connection, &record, copy, self.now, NEVER).await?;
            new += 1;
        }
        Ok(Done::Keep(new))
    }
}

/// In no window of any rate.
pub(super) const NEVER: Millis = 0;
