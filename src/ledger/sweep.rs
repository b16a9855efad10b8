//! What time does: leases end, deleted entries go. Bounded in each round; every proxy may do it.

use super::charge::{release, shares_of};
use super::connection::Connection;
use super::entry::{find, remove_rest, shift};
use super::error::LedgerError;
use super::job::{Done, Operation};
use super::record::{Millis, State, state};

/// What a round of sweeping did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Reservations whose lease had ended, and which are charged no more.
    pub lapsed: u64,
    /// Entries that were readable long enough, and are gone.
    pub purged: u64,
    /// Whether there is more to do.
    pub more: bool,
}

/// Entries that are due, the earliest first: ids and whether they are reserved.
pub(super) struct Due {
    pub(super) now: Millis,
    pub(super) most: i64,
}

impl Operation for Due {
    type Answer = Vec<(String, bool)>;
    const READS: bool = true;

    async fn run(&mut self, connection: &mut Connection) -> Result<Done<Self::Answer>, LedgerError> {
        let sql = "SELECT id, state FROM entry WHERE due_at <= ? ORDER BY due_at LIMIT ?";
        let rows = connection.rows(sql, &[self.now.into(), self.most.into()]).await?;
        let due = rows.iter().map(|row| Ok((row.text(0)?, state(&row.text(1)?)? == State::Reserved)));
        Ok(Done::Keep(due.collect::<Result<_, LedgerError>>()?))
    }
}

/// Gives back what a reservation held whose lease has ended.
pub(super) struct Lapse {
    pub(super) id: Box<str>,
    pub(super) now: Millis,
    pub(super) remembered_until: Millis,
}

impl Operation for Lapse {
    type Answer = bool;

    async fn run(&mut self, connection: &mut Connection) -> Result<Done<bool>, LedgerError> {
        let due = Some(self.remembered_until);
        let lapsed = shift(connection, &self.id, State::Reserved, State::Lapsed, self.now, due).await?;
        if lapsed && let Some(entry) = find(connection, &self.id).await? {
            let shares = shares_of(connection, &self.id).await?;
            release(connection, &entry.tenant, &shares).await?;
        }
        Ok(Done::Keep(lapsed))
    }
}

/// Takes out entries that are charged to nobody and were readable long enough.
pub(super) struct Purge {
    pub(super) ids: Vec<String>,
    pub(super) now: Millis,
}

impl Operation for Purge {
    type Answer = u64;

    async fn run(&mut self, connection: &mut Connection) -> Result<Done<u64>, LedgerError> {
        let mut purged = 0;
        for id in &self.ids {
            let Some(entry) = find(connection, id).await? else { continue };
            // A commit may have come in between.
            let sql = "DELETE FROM entry WHERE id = ? AND state IN ('deleted', 'lapsed') AND due_at <= ?";
            if connection.execute(sql, &[id.as_str().into(), self.now.into()]).await? > 0 {
                remove_rest(connection, &entry).await?;
                purged += 1;
            }
        }
        Ok(Done::Keep(purged))
    }
}
