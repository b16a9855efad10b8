//! What tenants hold.

use std::collections::BTreeSet;

use super::charge::standing;
use super::connection::{Connection, Value};
use super::error::LedgerError;
use super::job::{Done, Operation};
use super::record::{Millis, fitting};
use crate::karbor::TenantId;
use crate::policy::{Quotas, Standing, Usage};

/// Where a tenant, or one of its applications, stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The application; none for the whole tenant.
    pub application: Option<Box<str>>,
    /// What it has, and what it created of late.
    pub standing: Standing,
}

/// Where a tenant stands: the whole, then each application that holds something or has a quota of its own.
pub(super) struct HoldingsOf {
    pub(super) tenant: Box<str>,
    pub(super) quotas: Quotas,
    pub(super) now: Millis,
}

impl Operation for HoldingsOf {
    type Answer = Vec<Holding>;
    const READS: bool = true;

    async fn run(&mut self, connection: &mut Connection) -> Result<Done<Vec<Holding>>, LedgerError> {
        let sql = "SELECT application FROM holding WHERE tenant = ? ORDER BY application";
        let mut names: BTreeSet<String> = BTreeSet::from([String::new()]);
        for row in connection.rows(sql, &[Value::Text(&self.tenant)]).await? {
            names.insert(row.text(0)?);
        }
        names.extend(self.quotas.applications.keys().map(|name| fitting(name).into_owned()));
        let mut holdings = Vec::new();
        for name in names {
            let application = Some(name.as_str()).filter(|name| !name.is_empty());
            let quota = self.quotas.of(application);
            let standing = standing(connection, &self.tenant, &name, quota, self.now).await?;
            holdings.push(Holding { application: application.map(Into::into), standing });
        }
        Ok(Done::Keep(holdings))
    }
}

/// What one tenant, or one application of it, holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantUsage {
    /// Whose.
    pub tenant: TenantId,
    /// The application; none for the whole tenant.
    pub application: Option<Box<str>>,
    /// What it has.
    pub usage: Usage,
}

/// A bounded page of what all tenants hold, in order of their names.
pub(super) struct AllUsage {
    pub(super) most: i64,
    /// Of this tenant alone.
    pub(super) tenant: Option<Box<str>>,
    /// Tenant and application of the last row seen.
    pub(super) after: Option<(Box<str>, Box<str>)>,
}

impl Operation for AllUsage {
    type Answer = Vec<TenantUsage>;
    const READS: bool = true;

    async fn run(&mut self, connection: &mut Connection) -> Result<Done<Vec<TenantUsage>>, LedgerError> {
        let (tenant, application) = self.after.as_ref().map_or(("", ""), |(tenant, name)| (tenant, name));
        let mut sql = "SELECT tenant, application, checkpoints, entries, bytes FROM holding \
                       WHERE (tenant > ? OR (tenant = ? AND application > ?))"
            .to_owned();
        // No tenant has the empty name.
        let mut values: Vec<Value<'_>> = vec![tenant.into(), tenant.into(), application.into()];
        if let Some(only) = &self.tenant {
            sql.push_str(" AND tenant = ?");
            values.push(Value::Text(only));
        }
        sql.push_str(" ORDER BY tenant, application LIMIT ?");
        values.push(self.most.into());
        let rows = connection.rows(&sql, &values).await?;
        let usage = |row: &super::connection::Row| {
            let application = row.text(1)?;
            Ok(TenantUsage {
                tenant: TenantId::new(row.text(0)?),
                application: (!application.is_empty()).then(|| application.into()),
                usage: Usage { checkpoints: row.amount(2)?, entries: row.amount(3)?, bytes: row.amount(4)? },
            })
        };
        Ok(Done::Keep(rows.iter().map(usage).collect::<Result<_, _>>()?))
    }
}
