//! What tenants and their applications hold: charged and released with each entry, in its transaction.
//!
//! The row of the whole tenant is always written first. So the transactions of one tenant stand in line, also
//! those of other proxies; Galera sees a conflict in it.

use std::time::Duration;

use super::connection::{Connection, Value};
use super::error::LedgerError;
use super::record::{Millis, application, count};
use crate::policy::{Quota, Recent, Share, Standing, Usage};

/// A share as its row holds it.
pub(super) struct Charged {
    pub(super) application: String,
    pub(super) entries: i64,
    pub(super) bytes: i64,
}

impl From<&Share> for Charged {
    fn from(share: &Share) -> Self {
        let application = application(share).into_owned();
        Self { application, entries: count(share.entries), bytes: count(share.bytes) }
    }
}

/// The shares that an entry is charged to, the whole first.
pub(super) async fn shares_of(connection: &mut Connection, id: &str) -> Result<Vec<Charged>, LedgerError> {
    let sql = "SELECT application, entries, bytes FROM share WHERE entry = ? ORDER BY application";
    let rows = connection.rows(sql, &[id.into()]).await?;
    let share = |row: &super::connection::Row| {
        Ok(Charged { application: row.text(0)?, entries: row.number(1)?, bytes: row.number(2)? })
    };
    rows.iter().map(share).collect()
}

pub(super) async fn charge(
    connection: &mut Connection,
    tenant: &str,
    shares: &[Charged],
) -> Result<(), LedgerError> {
    for share in shares {
        let values =
            [share.entries.into(), share.bytes.into(), tenant.into(), share.application.as_str().into()];
        let sql = "UPDATE holding SET checkpoints = checkpoints + 1, entries = entries + ?, bytes = bytes + ? \
                   WHERE tenant = ? AND application = ?";
        if connection.execute(sql, &values).await? == 0 {
            let sql = "INSERT INTO holding (checkpoints, entries, bytes, tenant, application) \
                       VALUES (1, ?, ?, ?, ?)";
            connection.execute(sql, &values).await?;
        }
    }
    Ok(())
}

/// Takes a charge back. Rows that hold nothing go: a stranger may name any tenant.
pub(super) async fn release(
    connection: &mut Connection,
    tenant: &str,
    shares: &[Charged],
) -> Result<(), LedgerError> {
    for share in shares {
        let key: [Value<'_>; 2] = [tenant.into(), share.application.as_str().into()];
        let values = [share.entries.into(), share.bytes.into(), key[0], key[1]];
        let sql = "UPDATE holding SET checkpoints = checkpoints - 1, entries = entries - ?, bytes = bytes - ? \
                   WHERE tenant = ? AND application = ?";
        connection.execute(sql, &values).await?;
        let sql = "DELETE FROM holding WHERE tenant = ? AND application = ? AND checkpoints = 0";
        connection.execute(sql, &key).await?;
    }
    Ok(())
}

/// Where a count stands.
pub(super) async fn standing(
    connection: &mut Connection,
    tenant: &str,
    application: &str,
    quota: &Quota,
    now: Millis,
) -> Result<Standing, LedgerError> {
    let key: [Value<'_>; 2] = [tenant.into(), application.into()];
    let sql = "SELECT checkpoints, entries, bytes FROM holding WHERE tenant = ? AND application = ?";
    let row = connection.row(sql, &key).await?;
    let usage = match row {
        Some(row) => Usage { checkpoints: row.amount(0)?, entries: row.amount(1)?, bytes: row.amount(2)? },
        None => Usage::default(),
    };
    let Some(rate) = quota.creations else {
        return Ok(Standing { usage, recent: Recent::default() });
    };
    let window = count(u64::try_from(rate.window.as_millis()).unwrap_or(u64::MAX));
    let since = now.saturating_sub(window);
    let sql = "SELECT COUNT(*) FROM share WHERE tenant = ? AND application = ? AND reserved_at > ?";
    let values = [key[0], key[1], since.into()];
    let row = connection.row(sql, &values).await?;
    let created = row.map(|row| row.amount(0)).transpose()?.unwrap_or(0);
    let mut recent = Recent { count: created, frees_in: Duration::ZERO };
    if rate.count > 0 && created >= rate.count {
        // So many of the oldest must leave the window before there is room for one.
        let last_to_leave = count(created - rate.count);
        let sql = "SELECT reserved_at FROM share WHERE tenant = ? AND application = ? AND reserved_at > ? \
                   ORDER BY reserved_at LIMIT 1 OFFSET ?";
        let values = [key[0], key[1], since.into(), last_to_leave.into()];
        let row = connection.row(sql, &values).await?;
        let leaves_at = row.map(|row| row.number(0)).transpose()?.unwrap_or(now).saturating_add(window);
        let wait = u64::try_from(leaves_at.saturating_sub(now)).unwrap_or(0);
        recent.frees_in = Duration::from_millis(wait);
    }
    Ok(Standing { usage, recent })
}
