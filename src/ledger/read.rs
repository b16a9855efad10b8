//! Finding kept maps: by checkpoint, and by what is in them.

use super::connection::{Connection, Row, Value};
use super::entry::marks;
use super::error::LedgerError;
use super::job::{Done, Operation};
use super::map::digest;
use super::record::{KEPT, KEPT_MAP, Kept, KeptMap};
use super::search::{After, Matches, Term, is_in};

/// Checkpoints of one query; a page of Karbor's has at most 1000.
const CHECKPOINTS: usize = 1024;
/// A term is counted up to here: beyond, another is the better one to begin with.
const RANKED: i64 = 1000;
/// Terms of one search that are looked up by the index; the others are held against the map alone.
const LOOKED_UP: usize = 8;

/// What is kept for these checkpoints of a provider, of whatever tenant.
pub(super) struct Read {
    pub(super) provider: Box<str>,
    pub(super) checkpoints: Vec<Box<str>>,
}

impl Operation for Read {
    type Answer = Vec<KeptMap>;
    const READS: bool = true;

    async fn run(&mut self, connection: &mut Connection) -> Result<Done<Vec<KeptMap>>, LedgerError> {
        let mut found = Vec::new();
        for some in self.checkpoints.chunks(CHECKPOINTS) {
            // Few sizes make few statements, which stay prepared; a name may stand there twice.
            let size = some.len().next_power_of_two();
            let sql = format!(
                "SELECT {KEPT_MAP} FROM entry e {} WHERE e.checkpoint IN ({}) AND e.provider = ?",
                connection.dialect().by_checkpoint,
                marks(size)
            );
            let names = some.iter().chain(std::iter::repeat(&some[0])).take(size);
            let mut values: Vec<Value<'_>> = names.map(|name| Value::Text(name)).collect();
            values.push(Value::Text(&self.provider));
            for row in &connection.rows(&sql, &values).await? {
                found.push(KeptMap::of(row)?);
            }
        }
        Ok(Done::Keep(found))
    }
}

/// A bounded page of what a search finds, in the order of tenant and time.
pub(super) struct Matching {
    pub(super) tenant: Option<Box<str>>,
    pub(super) provider: Option<Box<str>>,
    pub(super) terms: Vec<Term>,
    pub(super) most: usize,
    pub(super) after: Option<After>,
}

impl Operation for Matching {
    type Answer = Matches;
    const READS: bool = true;

    async fn run(&mut self, connection: &mut Connection) -> Result<Done<Matches>, LedgerError> {
        let mut digests = self.ranked(connection).await?;
        digests.truncate(LOOKED_UP);
        let mut found = Matches { kept: Vec::new(), after: self.after.clone() };
        loop {
            let rows = self.page(connection, &digests, found.after.as_ref()).await?;
            for row in &rows {
                if found.kept.len() >= self.most {
                    return Ok(Done::Keep(found));
                }
                let (id, one) = Kept::of(row)?;
                found.after = Some(After { tenant: one.tenant.as_str().into(), id: id.into() });
                // What a digest finds and the map has not is passed over.
                if self.terms.iter().all(|term| is_in(term, &one.map)) {
                    found.kept.push(one);
                }
            }
            if rows.len() <= self.most {
                return Ok(Done::Keep(Matches { after: None, ..found }));
            }
        }
    }
}

impl Matching {
    /// The digests to look up, the rarest first: the index is walked along the first, and asked for the others.
    async fn ranked(&self, connection: &mut Connection) -> Result<Vec<i64>, LedgerError> {
        let digests: Vec<i64> =
            self.terms.iter().map(|term| digest(&term.key, term.value.as_deref())).collect();
        if digests.len() < 2 {
            return Ok(digests);
        }
        let mut ranked = Vec::new();
        for digest in digests {
            let (and_tenant, tenant) = self.and_tenant("");
            let sql = format!(
                "SELECT COUNT(*) FROM (SELECT entry FROM term WHERE digest = ?{and_tenant} LIMIT ?) AS few"
            );
            let mut values = vec![digest.into()];
            values.extend(tenant);
            values.push(RANKED.into());
            let row = connection.row(&sql, &values).await?;
            ranked.push((row.map(|row| row.number(0)).transpose()?.unwrap_or(0), digest));
        }
        ranked.sort_unstable();
        Ok(ranked.into_iter().map(|(_, digest)| digest).collect())
    }

    fn and_tenant(&self, of: &str) -> (String, Option<Value<'_>>) {
        match self.tenant.as_deref() {
            Some(tenant) => (format!(" AND {of}tenant = ?"), Some(Value::Text(tenant))),
            None => (String::new(), None),
        }
    }

    /// At most one row more than wanted.
    async fn page(
        &self,
        connection: &mut Connection,
        digests: &[i64],
        after: Option<&After>,
    ) -> Result<Vec<Row>, LedgerError> {
        let mut from = String::new();
        let mut values: Vec<Value<'_>> = Vec::new();
        let (tenant, id) = if digests.is_empty() { ("e.tenant", "e.id") } else { ("t0.tenant", "t0.entry") };
        let mut conditions = vec!["e.state IN ('kept', 'deleted')".to_owned()];
        if digests.is_empty() {
            from.push_str("entry e");
        } else {
            // CROSS JOIN is how SQLite is told to keep this order; the others find it by themselves.
            from.push_str("term t0");
            for (at, digest) in digests.iter().enumerate().skip(1) {
                from.push_str(&format!(
                    " CROSS JOIN term t{at} ON t{at}.digest = ? AND t{at}.tenant = t0.tenant AND t{at}.entry = t0.entry"
                ));
                values.push((*digest).into());
            }
            from.push_str(" CROSS JOIN entry e ON e.id = t0.entry");
            conditions.push("t0.digest = ?".to_owned());
            values.push(digests[0].into());
        }
        if let Some(name) = self.tenant.as_deref() {
            conditions.push(format!("{tenant} = ?"));
            values.push(Value::Text(name));
        }
        if let Some(name) = self.provider.as_deref() {
            conditions.push("e.provider = ?".to_owned());
            values.push(Value::Text(name));
        }
        match after {
            Some(after) if self.tenant.is_some() => {
                conditions.push(format!("{id} > ?"));
                values.push(Value::Text(&after.id));
            }
            Some(after) => {
                conditions.push(format!("({tenant} > ? OR ({tenant} = ? AND {id} > ?))"));
                values.extend([&after.tenant, &after.tenant, &after.id].map(|name| Value::Text(name)));
            }
            None => {}
        }
        // Of one tenant the index has this order already; MariaDB sorts if the tenant is named all the same.
        let order = if self.tenant.is_some() { id.to_owned() } else { format!("{tenant}, {id}") };
        let conditions = conditions.join(" AND ");
        let sql = format!("SELECT {KEPT} FROM {from} WHERE {conditions} ORDER BY {order} LIMIT ?");
        values.push(i64::try_from(self.most).unwrap_or(i64::MAX).saturating_add(1).into());
        connection.rows(&sql, &values).await
    }
}
