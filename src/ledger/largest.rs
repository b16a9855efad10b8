//! The largest map that a tenant had admitted of late.

use std::time::Duration;

use super::Ledger;
use super::connection::{Connection, Value};
use super::error::LedgerError;
use super::job::{Done, Operation};
use super::record::{Millis, fitting};
use crate::karbor::TenantId;
use crate::policy::Usage;

/// The most entries and the most bytes of one map, deleted ones apart.
pub(super) struct LargestOf {
    pub(super) tenant: Box<str>,
    pub(super) since: Millis,
}

impl Operation for LargestOf {
    type Answer = Usage;
    const READS: bool = true;

    async fn run(&mut self, connection: &mut Connection) -> Result<Done<Usage>, LedgerError> {
        // A range of `share_by_time`.
        let sql = "SELECT COUNT(*), MAX(entries), MAX(bytes) FROM share \
                   WHERE tenant = ? AND application = '' AND reserved_at >= ?";
        let values = [Value::Text(&self.tenant), Value::Number(self.since)];
        let Some(row) = connection.row(sql, &values).await? else { return Ok(Done::Keep(Usage::default())) };
        let most = |at| Ok::<_, LedgerError>(row.maybe_number(at)?.map_or(0, i64::unsigned_abs));
        Ok(Done::Keep(Usage { checkpoints: row.amount(0)?, entries: most(1)?, bytes: most(2)? }))
    }
}

impl Ledger {
    /// The most entries and the most bytes that one map of a tenant had that was reserved in this time, and how many
    /// maps there were. Those that were deleted or refused since do not count.
    ///
    /// # Errors
    /// When the ledger cannot say.
    pub async fn largest(&self, tenant: &TenantId, lately: Duration) -> Result<Usage, LedgerError> {
        let since = self.now().saturating_sub(super::millis(lately));
        self.ask_to_read(LargestOf { tenant: fitting(tenant.as_str()).into(), since }).await
    }
}
