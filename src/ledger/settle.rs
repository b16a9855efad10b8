//! What becomes of a reservation: bound to its checkpoint, or rolled back.

use std::sync::Arc;

use super::charge::{Charged, charge};
use super::connection::Connection;
use super::entry::{Footing, find, find_both, insert, insert_terms, keep, remove};
use super::error::LedgerError;
use super::job::{Done, Operation};
use super::record::{Millis, Record, State, fitting};
use crate::karbor::{CheckpointId, ProviderId};

/// Binds an entry to the checkpoint that Karbor said it created. Karbor's word stands above whatever was made
/// of the entry, or of the checkpoint, in between.
pub(super) struct Commit {
    record: Arc<Record>,
    provider: Box<str>,
    checkpoint: Box<str>,
    now: Millis,
}

impl Commit {
    pub(super) fn new(
        record: Arc<Record>,
        provider: &ProviderId,
        checkpoint: &CheckpointId,
        now: Millis,
    ) -> Self {
        let [provider, checkpoint] =
            [provider.as_str(), checkpoint.as_str()].map(|name| fitting(name).into());
        Self { record, provider, checkpoint, now }
    }
}

impl Operation for Commit {
    type Answer = ();
    const PURSUED: bool = true;

    async fn run(&mut self, connection: &mut Connection) -> Result<Done<()>, LedgerError> {
        let Self { record, provider, checkpoint, now } = self;
        let (bound, own) =
            find_both(connection, &record.id, [&record.tenant, &**provider, &**checkpoint]).await?;
        match bound {
            // A sight of the checkpoint was quicker, or this is the second time; it may even be deleted.
            Some(bound) if *bound.id == *record.id => return Ok(Done::Keep(())),
            // Noted without its map, or taken for another's.
            Some(other) => remove(connection, &other).await?,
            None => {}
        }
        match own {
            Some(entry) => keep(connection, &entry, provider, checkpoint, *now).await?,
            // The lease ended long ago.
            None => {
                let mut record = Record::clone(record);
                record.provider = Some(provider.clone());
                insert_kept(connection, &record, checkpoint, *now, record.reserved_at).await?;
            }
        }
        Ok(Done::Keep(()))
    }
}

/// Writes an entry that is bound to its checkpoint from the start, and charges it.
pub(super) async fn insert_kept(
    connection: &mut Connection,
    record: &Record,
    checkpoint: &str,
    now: Millis,
    created_at: Millis,
) -> Result<(), LedgerError> {
    let shares: Vec<Charged> = record.shares().iter().map(Charged::from).collect();
    charge(connection, &record.tenant, &shares).await?;
    let footing = Footing { state: State::Kept, checkpoint: Some(checkpoint), changed_at: now, due_at: None };
    insert(connection, record, &footing, &shares, created_at).await?;
    insert_terms(connection, &record.id, &record.tenant, &record.map).await
}

/// Takes a reservation out: Karbor created nothing.
pub(super) struct RollBack {
    pub(super) record: Arc<Record>,
}

impl Operation for RollBack {
    type Answer = ();
    const PURSUED: bool = true;

    async fn run(&mut self, connection: &mut Connection) -> Result<Done<()>, LedgerError> {
        if let Some(entry) = find(connection, &self.record.id).await? {
            remove(connection, &entry).await?;
        }
        Ok(Done::Keep(()))
    }
}
