//! The tables, and how an older ledger becomes a newer one.
//!
//! | table | one row for |
//! |---|---|
//! | `entry` | a checkpoint, or a creation that may become one |
//! | `share` | a count that an entry is charged to: the tenant's (application '') and each application's |
//! | `holding` | a tenant, or an application of it: what its shares add up to |
//! | `term` | a key of a kept map, and another for the key with its value, as a digest |

use super::connection::{Connection, Value};
use super::dialect::is_duplicate_index;
use super::error::LedgerError;
use super::record::Millis;

/// The version this program has.
pub(super) const VERSION: i64 = 1;

/// Each may be carried out again, whole or in part: on MariaDB a table is no part of a transaction, and two
/// proxies may start at once.
struct Migration {
    tables: &'static [&'static str],
    /// Name, table and columns.
    indexes: &'static [(&'static str, &'static str, &'static str)],
}

const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS schema_version (
    version {NUMBER} NOT NULL PRIMARY KEY,
    applied_at {NUMBER} NOT NULL
) {ROWS}";

/// The first leads to version 1.
static MIGRATIONS: [Migration; 1] = [Migration {
    tables: &[
        // Ids grow with time, so that neighbours in time are neighbours on the disk. `due_at` is when the
        // sweep has to look: the end of a lease, or of being readable; null while the checkpoint lives.
        // `provider` is null until it is known. The checkpoint leads its index: answers are filled by it.
        "CREATE TABLE IF NOT EXISTS entry (
            id {ID} NOT NULL PRIMARY KEY,
            tenant {NAME} NOT NULL,
            provider {NAME},
            plan {NAME} NOT NULL,
            checkpoint {NAME},
            state {WORD} NOT NULL,
            map {LONG} NOT NULL,
            entries {NUMBER} NOT NULL,
            bytes {NUMBER} NOT NULL,
            reserved_at {NUMBER} NOT NULL,
            changed_at {NUMBER} NOT NULL,
            due_at {NUMBER},
            request_id {NAME} NOT NULL,
            revision {NAME} NOT NULL,
            UNIQUE (checkpoint, tenant, provider)
        ) {ROWS}",
        "CREATE TABLE IF NOT EXISTS share (
            entry {ID} NOT NULL,
            application {NAME} NOT NULL,
            tenant {NAME} NOT NULL,
            entries {NUMBER} NOT NULL,
            bytes {NUMBER} NOT NULL,
            reserved_at {NUMBER} NOT NULL,
            PRIMARY KEY (entry, application)
        ) {CLUSTERED}",
        "CREATE TABLE IF NOT EXISTS holding (
            tenant {NAME} NOT NULL,
            application {NAME} NOT NULL,
            checkpoints {NUMBER} NOT NULL,
            entries {NUMBER} NOT NULL,
            bytes {NUMBER} NOT NULL,
            PRIMARY KEY (tenant, application)
        ) {CLUSTERED}",
        // The digest leads: a search without a tenant is one range as well.
        "CREATE TABLE IF NOT EXISTS term (
            digest {NUMBER} NOT NULL,
            tenant {NAME} NOT NULL,
            entry {ID} NOT NULL,
            PRIMARY KEY (digest, tenant, entry)
        ) {CLUSTERED}",
    ],
    indexes: &[
        ("entry_by_tenant", "entry", "tenant, state, plan"),
        ("entry_by_due", "entry", "due_at"),
        ("share_by_time", "share", "tenant, application, reserved_at"),
    ],
}];

/// The version of the ledger behind `connection`; 0 for an empty database.
pub(super) async fn version(connection: &mut Connection) -> Result<i64, LedgerError> {
    let has_table = connection.dialect().has_table;
    let tables = connection.row(has_table, &[Value::Text("schema_version")]).await?;
    if tables.map(|row| row.number(0)).transpose()?.unwrap_or(0) == 0 {
        return Ok(0);
    }
    let row = connection.row("SELECT MAX(version) FROM schema_version", &[]).await?;
    Ok(row.map(|row| row.maybe_number(0)).transpose()?.flatten().unwrap_or(0))
}

/// Brings the schema to [`VERSION`], or refuses; the version it had.
pub(super) async fn prepare(
    connection: &mut Connection,
    may_migrate: bool,
    now: Millis,
) -> Result<i64, LedgerError> {
    let found = version(connection).await?;
    if found > VERSION {
        return Err(LedgerError::FromTheFuture { found, known: VERSION });
    }
    if found == VERSION {
        return Ok(found);
    }
    if !may_migrate {
        return Err(LedgerError::Outdated { found, needed: VERSION });
    }
    connection.command(connection.dialect().begin).await?;
    match migrate(connection, now).await {
        Ok(()) => connection.command("COMMIT").await?,
        Err(error) => {
            connection.command("ROLLBACK").await?;
            return Err(error);
        }
    }
    Ok(found)
}

async fn migrate(connection: &mut Connection, now: Millis) -> Result<(), LedgerError> {
    // Again, now that no other can be at it where tables are part of a transaction.
    let found = version(connection).await?;
    connection.command(&spelled(connection, VERSIONS)).await?;
    for (migration, version) in MIGRATIONS.iter().zip(1_i64..).filter(|(_, version)| *version > found) {
        for table in migration.tables {
            connection.command(&spelled(connection, table)).await?;
        }
        for (name, table, columns) in migration.indexes {
            let if_missing = connection.dialect().if_missing;
            let index = format!("CREATE INDEX {if_missing} {name} ON {table} ({columns})");
            match connection.command(&index).await {
                Err(error) if is_duplicate_index(&error) => {}
                done => done?,
            }
        }
        let values = [Value::Number(version), Value::Number(now)];
        let sql = "INSERT INTO schema_version (version, applied_at) VALUES (?, ?)";
        match connection.execute(sql, &values).await {
            // Another proxy was quicker.
            Err(error) if error.is_conflict() => {}
            done => _ = done?,
        }
    }
    Ok(())
}

fn spelled(connection: &Connection, table: &str) -> String {
    let types = connection.dialect().types.iter();
    types.fold(table.to_owned(), |text, (name, spelling)| text.replace(name, spelling))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_migration_leads_to_the_version() {
        assert_eq!(i64::try_from(MIGRATIONS.len()), Ok(VERSION));
    }
}
