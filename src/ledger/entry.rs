//! The statements on one entry that several operations have in common.

use super::charge::{Charged, charge, release, shares_of};
use super::connection::{Connection, Row, Value};
use super::error::LedgerError;
use super::map;
use super::record::{Millis, Record, State, state};

/// Rows of one insertion.
const ROWS: usize = 16;

/// Where an entry stands when it is written.
pub(super) struct Footing<'f> {
    pub(super) state: State,
    pub(super) checkpoint: Option<&'f str>,
    pub(super) changed_at: Millis,
    pub(super) due_at: Option<Millis>,
}

/// Writes an entry and its shares. Charges nothing. `created_at` is when it counts as a creation.
pub(super) async fn insert(
    connection: &mut Connection,
    record: &Record,
    footing: &Footing<'_>,
    shares: &[Charged],
    created_at: Millis,
) -> Result<(), LedgerError> {
    let map = map::write(&record.map)?;
    let (entries, bytes) = record.sums();
    let values = [
        Value::Text(&record.id),
        Value::Text(&record.tenant),
        record.provider.as_deref().into(),
        Value::Text(&record.plan),
        footing.checkpoint.into(),
        footing.state.as_str().into(),
        Value::Text(&map),
        entries.into(),
        bytes.into(),
        record.reserved_at.into(),
        footing.changed_at.into(),
        footing.due_at.into(),
        Value::Text(&record.request_id),
        Value::Text(&record.revision),
    ];
    let sql = "INSERT INTO entry (id, tenant, provider, plan, checkpoint, state, map, entries, bytes, \
               reserved_at, changed_at, due_at, request_id, revision) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    connection.execute(sql, &values).await?;
    let into = "share (entry, application, tenant, entries, bytes, reserved_at)";
    let rows = shares.iter().map(|share| {
        [
            Value::Text(&record.id),
            share.application.as_str().into(),
            Value::Text(&record.tenant),
            share.entries.into(),
            share.bytes.into(),
            created_at.into(),
        ]
    });
    insert_rows(connection, into, &rows.collect::<Vec<_>>()).await
}

/// Makes the map of an entry one that searches find.
pub(super) async fn insert_terms(
    connection: &mut Connection,
    id: &str,
    tenant: &str,
    map: &[(Box<str>, Box<str>)],
) -> Result<(), LedgerError> {
    let rows = map::digests(map).into_iter().map(|digest| [digest.into(), tenant.into(), id.into()]);
    insert_rows(connection, "term (digest, tenant, entry)", &rows.collect::<Vec<_>>()).await
}

async fn insert_rows<const N: usize>(
    connection: &mut Connection,
    into: &str,
    rows: &[[Value<'_>; N]],
) -> Result<(), LedgerError> {
    for some in rows.chunks(ROWS) {
        let row = format!("({})", marks(N));
        let sql = format!("INSERT INTO {into} VALUES {}", vec![row; some.len()].join(", "));
        connection.execute(&sql, some.as_flattened()).await?;
    }
    Ok(())
}

/// So many question marks.
pub(super) fn marks(number: usize) -> String {
    vec!["?"; number].join(", ")
}

/// An entry as far as its changes need it.
pub(super) struct Found {
    pub(super) id: String,
    pub(super) tenant: String,
    pub(super) state: State,
    pub(super) map: map::Map,
}

pub(super) async fn find(connection: &mut Connection, id: &str) -> Result<Option<Found>, LedgerError> {
    let row = connection.row("SELECT id, tenant, state, map FROM entry WHERE id = ?", &[id.into()]).await?;
    row.as_ref().map(found).transpose()
}

fn found(row: &Row) -> Result<Found, LedgerError> {
    Ok(Found {
        id: row.text(0)?,
        tenant: row.text(1)?,
        state: state(&row.text(2)?)?,
        map: map::read(&row.text(3)?)?,
    })
}

/// The entry that a checkpoint, by tenant, provider and name, is bound to, and the entry with this id: by one
/// question. They may be the same.
pub(super) async fn find_both(
    connection: &mut Connection,
    id: &str,
    [tenant, provider, checkpoint]: [&str; 3],
) -> Result<(Option<Found>, Option<Found>), LedgerError> {
    let sql = "SELECT id, tenant, state, map FROM entry WHERE id = ? UNION ALL \
               SELECT id, tenant, state, map FROM entry WHERE checkpoint = ? AND tenant = ? AND provider = ?";
    let values = [id, checkpoint, tenant, provider].map(Value::Text);
    let (mut bound, mut own) = (None, None);
    for row in &connection.rows(sql, &values).await? {
        let found = found(row)?;
        // Where it is found by both, it comes twice.
        if found.id == id && own.is_none() { own = Some(found) } else { bound = Some(found) }
    }
    Ok((bound, own))
}

/// The entry that a checkpoint is bound to.
pub(super) async fn bound_to(
    connection: &mut Connection,
    tenant: &str,
    provider: &str,
    checkpoint: &str,
) -> Result<Option<String>, LedgerError> {
    let sql = "SELECT id FROM entry WHERE checkpoint = ? AND tenant = ? AND provider = ?";
    let row = connection.row(sql, &[checkpoint.into(), tenant.into(), provider.into()]).await?;
    row.map(|row| row.text(0)).transpose()
}

/// Moves an entry from one state to another; false if it was not in that state, and nothing was done.
pub(super) async fn shift(
    connection: &mut Connection,
    id: &str,
    from: State,
    to: State,
    now: Millis,
    due_at: Option<Millis>,
) -> Result<bool, LedgerError> {
    let sql = "UPDATE entry SET state = ?, changed_at = ?, due_at = ? WHERE id = ? AND state = ?";
    let values = [to.as_str().into(), now.into(), due_at.into(), id.into(), from.as_str().into()];
    let shifted = connection.execute(sql, &values).await? > 0;
    Ok(shifted)
}

/// Takes an entry out whole, whatever its state, and its charge with it.
pub(super) async fn remove(connection: &mut Connection, entry: &Found) -> Result<(), LedgerError> {
    let id: &str = &entry.id;
    let sql = "DELETE FROM entry WHERE id = ? AND state = ?";
    if connection.execute(sql, &[id.into(), entry.state.as_str().into()]).await? == 0 {
        // Another changed it since it was found: the same again sees how.
        return Err(LedgerError::Contended(None));
    }
    if entry.state.is_charged() {
        let shares = shares_of(connection, id).await?;
        release(connection, &entry.tenant, &shares).await?;
    }
    remove_rest(connection, entry).await
}

/// Takes out what else is written of an entry that is gone.
pub(super) async fn remove_rest(connection: &mut Connection, entry: &Found) -> Result<(), LedgerError> {
    connection.execute("DELETE FROM share WHERE entry = ?", &[entry.id.as_str().into()]).await?;
    if matches!(entry.state, State::Kept | State::Deleted) {
        for some in map::digests(&entry.map).chunks(ROWS) {
            let sql = format!(
                "DELETE FROM term WHERE digest IN ({}) AND tenant = ? AND entry = ?",
                marks(some.len())
            );
            let mut values: Vec<Value<'_>> = some.iter().map(|digest| (*digest).into()).collect();
            values.extend([Value::Text(&entry.tenant), Value::Text(&entry.id)]);
            connection.execute(&sql, &values).await?;
        }
    }
    Ok(())
}

/// Binds an entry to its checkpoint: charged, found by searches, whatever its state was.
pub(super) async fn keep(
    connection: &mut Connection,
    entry: &Found,
    provider: &str,
    checkpoint: &str,
    now: Millis,
) -> Result<(), LedgerError> {
    let sql = "UPDATE entry SET state = 'kept', provider = ?, checkpoint = ?, changed_at = ?, due_at = NULL \
               WHERE id = ? AND state = ?";
    let id: &str = &entry.id;
    let values = [provider.into(), checkpoint.into(), now.into(), id.into(), entry.state.as_str().into()];
    if connection.execute(sql, &values).await? == 0 {
        return Err(LedgerError::Contended(None));
    }
    if !entry.state.is_charged() {
        let shares = shares_of(connection, id).await?;
        charge(connection, &entry.tenant, &shares).await?;
    }
    if matches!(entry.state, State::Reserved | State::Lapsed) {
        insert_terms(connection, id, &entry.tenant, &entry.map).await?;
    }
    Ok(())
}
