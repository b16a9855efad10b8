//! What tenants hold as a whole, page by page, and how much room all of it takes.

use super::Ledger;
use super::connection::{Connection, Value};
use super::error::LedgerError;
use super::job::{Done, Operation};
use super::record::fitting;
use crate::karbor::TenantId;
use crate::policy::Usage;

/// A bounded page of what tenants hold, their applications together, in order of name.
struct Wholes {
    most: i64,
    after: Box<str>,
}

impl Operation for Wholes {
    type Answer = Vec<(TenantId, Usage)>;
    const READS: bool = true;

    async fn run(
        &mut self,
        connection: &mut Connection,
    ) -> Result<Done<Vec<(TenantId, Usage)>>, LedgerError> {
        let sql = "SELECT tenant, checkpoints, entries, bytes FROM holding \
                   WHERE application = '' AND tenant > ? ORDER BY tenant LIMIT ?";
        let rows = connection.rows(sql, &[Value::Text(&self.after), self.most.into()]).await?;
        let usage = |row: &super::connection::Row| {
            let usage = Usage { checkpoints: row.amount(1)?, entries: row.amount(2)?, bytes: row.amount(3)? };
            Ok((TenantId::new(row.text(0)?), usage))
        };
        Ok(Done::Keep(rows.iter().map(usage).collect::<Result<_, _>>()?))
    }
}

/// How much room the tables take.
struct Size;

impl Operation for Size {
    type Answer = u64;
    const READS: bool = true;

    async fn run(&mut self, connection: &mut Connection) -> Result<Done<u64>, LedgerError> {
        let row = connection.row(connection.dialect().size, &[]).await?;
        Ok(Done::Keep(row.map(|row| row.amount(0)).transpose()?.unwrap_or_default()))
    }
}

impl Ledger {
    /// What tenants hold, their applications together, in order of name: at most `most` of them behind `after`.
    ///
    /// # Errors
    /// When the ledger cannot say.
    pub async fn wholes(
        &self,
        most: usize,
        after: Option<&TenantId>,
    ) -> Result<Vec<(TenantId, Usage)>, LedgerError> {
        let after = after.map(|tenant| fitting(tenant.as_str()).into()).unwrap_or_default();
        self.ask_to_read(Wholes { most: i64::try_from(most).unwrap_or(i64::MAX), after }).await
    }

    /// How many bytes the ledger takes: of its file, or by the server's own reckoning, which is rough.
    ///
    /// # Errors
    /// When the ledger cannot say.
    pub async fn size(&self) -> Result<u64, LedgerError> {
        self.ask_to_read(Size).await
    }
}
