//! Checkpoints seen in Karbor's answers that may be those of reservations whose outcome is unknown.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use super::connection::{Connection, Value};
use super::entry::{Found, bound_to, find, keep};
use super::error::LedgerError;
use super::job::{Done, Operation};
use super::record::{KEPT_MAP, KeptMap, Millis, fitting};
use crate::karbor::{CheckpointId, ProviderId, TenantId};

/// For clocks that differ. Karbor's days are those of UTC, as ours.
const SKEW: Millis = 3_600_000;

/// A checkpoint in an answer of Karbor's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Whose it is, as Karbor says.
    pub tenant: TenantId,
    /// Where it is kept.
    pub provider: ProviderId,
    /// The plan it is of.
    pub plan: Box<str>,
    /// Which.
    pub checkpoint: CheckpointId,
    /// The day it was created on, `YYYY-MM-DD`. Without it nothing is tied.
    pub created_on: Option<Box<str>>,
}

/// Whether any of these tenants has a reservation that a sight could settle.
pub(super) struct AnyOpen {
    pub(super) tenants: Vec<Box<str>>,
}

impl Operation for AnyOpen {
    type Answer = bool;
    const READS: bool = true;

    async fn run(&mut self, connection: &mut Connection) -> Result<Done<bool>, LedgerError> {
        for tenant in &self.tenants {
            let sql = "SELECT id FROM entry WHERE tenant = ? AND state = 'reserved' LIMIT 1";
            if connection.row(sql, &[Value::Text(tenant)]).await?.is_some() {
                return Ok(Done::Keep(true));
            }
        }
        Ok(Done::Keep(false))
    }
}

/// Ties each sight to the one reservation that can be its, if exactly one can, and it is the only such sight.
pub(super) struct Tie {
    pub(super) sights: Vec<Sight>,
    pub(super) now: Millis,
}

impl Operation for Tie {
    /// The entries that were tied.
    type Answer = Vec<KeptMap>;

    async fn run(&mut self, connection: &mut Connection) -> Result<Done<Vec<KeptMap>>, LedgerError> {
        let mut alike: BTreeMap<[&str; 3], Vec<&Sight>> = BTreeMap::new();
        for sight in &self.sights {
            let [tenant, provider, checkpoint] = names(sight);
            if bound_to(connection, &tenant, &provider, &checkpoint).await?.is_none() {
                let key = [sight.tenant.as_str(), sight.provider.as_str(), &*sight.plan];
                let others = alike.entry(key).or_default();
                if !others.iter().any(|other| other.checkpoint == sight.checkpoint) {
                    others.push(sight);
                }
            }
        }
        let mut tied = Vec::new();
        let Some(first_day) = first_day(connection).await? else { return Ok(Done::Keep(tied)) };
        for sights in alike.values() {
            let [sight] = sights[..] else { continue };
            // It may be older than the ledger, which then knows nothing of it for another reason.
            if sight.created_on.as_deref().is_some_and(|day| day <= &*first_day) {
                continue;
            }
            let Some(entry) = only_candidate(connection, sight, self.now).await? else { continue };
            let [_, provider, checkpoint] = names(sight);
            keep(connection, &entry, &provider, &checkpoint, self.now).await?;
            let sql = format!("SELECT {KEPT_MAP} FROM entry e WHERE e.id = ?");
            if let Some(row) = connection.row(&sql, &[entry.id.as_str().into()]).await? {
                tied.push(KeptMap::of(&row)?);
            }
        }
        Ok(Done::Keep(tied))
    }
}

fn names(sight: &Sight) -> [String; 3] {
    [sight.tenant.as_str(), sight.provider.as_str(), sight.checkpoint.as_str()]
        .map(|name| fitting(name).into_owned())
}

/// The day on which the ledger was made.
async fn first_day(connection: &mut Connection) -> Result<Option<String>, LedgerError> {
    let row = connection.row("SELECT MIN(applied_at) FROM schema_version", &[]).await?;
    let made_at = row.map(|row| row.maybe_number(0)).transpose()?.flatten();
    Ok(made_at.map(|at| date(at.saturating_add(SKEW))))
}

/// The one reservation of the same tenant, provider and plan whose lease has not ended, if the checkpoint is
/// not older than it.
async fn only_candidate(
    connection: &mut Connection,
    sight: &Sight,
    now: Millis,
) -> Result<Option<Found>, LedgerError> {
    let Some(created_on) = sight.created_on.as_deref().filter(|date| is_date(date)) else { return Ok(None) };
    let [tenant, provider, _] = names(sight);
    let plan = fitting(&sight.plan);
    let sql = "SELECT id, reserved_at FROM entry WHERE tenant = ? AND state = 'reserved' AND plan = ? \
               AND (provider IS NULL OR provider = ?) AND due_at > ? LIMIT 2";
    let values = [tenant.as_str().into(), Value::Text(&plan), provider.as_str().into(), now.into()];
    let rows = connection.rows(sql, &values).await?;
    let [row] = &rows[..] else { return Ok(None) };
    if created_on < &*date(row.number(1)?.saturating_sub(SKEW)) {
        return Ok(None);
    }
    find(connection, &row.text(0)?).await
}

fn is_date(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

/// The day of that moment in UTC, to the year 9999; dates of this form are in order as text.
fn date(at: Millis) -> String {
    const LAST: u64 = 253_402_300_799_999;
    let since = Duration::from_millis(u64::try_from(at).unwrap_or(0).min(LAST));
    let mut text = humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string();
    text.truncate(10);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_days_in_utc() {
        for (at, expected) in [
            (-1, "1970-01-01"),
            (0, "1970-01-01"),
            (951_782_400_000 - 1, "2000-02-28"),
            (951_782_400_000, "2000-02-29"),
            (1_700_000_000_000, "2023-11-14"),
            // An import may have brought it.
            (i64::MAX, "9999-12-31"),
        ] {
            assert_eq!(date(at), expected, "{at}");
        }
    }

    #[test]
    fn other_texts_are_no_dates() {
        assert!(is_date("2023-11-14"));
        for text in ["", "2023-11-1", "2023-11-145", "2023/11/14", "2023-1114-", "２023-11-14"] {
            assert!(!is_date(text), "{text}");
        }
    }
}
