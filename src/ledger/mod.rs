//! What was admitted, one entry for each checkpoint. Sees no HTTP.
//!
//! An entry is *reserved* before Karbor is asked, and its quota charged; *kept* once Karbor said that the
//! checkpoint exists; *deleted* with it; *lapsed* when nobody said anything before its lease ended.
//!
//! 1. A claim is held against the quotas in the transaction that charges it ([`Ledger::reserve`]).
//! 2. A commit keeps the map, however late, and charges it once, however often ([`Reservation::commit`]).
//! 3. What was refused is taken out; what nobody settles is charged until its lease ends.
//! 4. A checkpoint seen in an answer settles the one reservation that can be its ([`Ledger::sighted`]).
//! 5. What is deleted is charged no more at once, and readable for a while ([`Ledger::forget`]).
//!
//! The handle is for any thread and waits for a bounded time; the connections live on the ledger's own
//! (`thread`). One set of statements serves both engines; where they differ is in `dialect`.

mod charge;
mod checkpoints;
mod connection;
mod console;
mod counters;
mod dialect;
mod entry;
mod error;
mod export;
mod job;
mod largest;
mod map;
mod mysql;
mod options;
mod read;
mod record;
mod reserve;
mod schema;
mod search;
mod settle;
mod show;
mod sight;
mod sqlite;
mod sweep;
mod thread;
mod tls;
mod transfer;
mod usage;
mod whole;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use console::{Console, ConsoleError, Imported, migrate};
pub use counters::Counts;
pub use error::{Cause, LedgerError};
pub use export::Exported;
pub use map::Map;
pub use options::{Engine, LedgerOptions, MysqlOptions, MysqlTls, Password, PasswordSource};
pub use record::{Kept, KeptMap, Millis, State};
pub use reserve::{Claim, Outcome, Reservation};
pub use search::{After, Matches, Search, Term};
pub use show::Form;
pub use sight::Sight;
pub use sweep::Swept;
pub use thread::{LedgerThread, Unfinished};
pub use tls::TlsFlaw;
pub use usage::{Holding, TenantUsage};

use self::counters::Counters;
use self::job::{Operation, Outbox, job};
use self::record::{Record, count, fitting, new_id};
use crate::karbor::{CheckpointId, ProviderId, TenantId};
use crate::policy::Quotas;

/// Entries that one round of sweeping looks at.
const ROUND: i64 = 100;

/// What time it is for the ledger.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The system's. The ledger is swept from time to time.
    System,
    /// The system's. The ledger is swept by whoever else has it open.
    Unswept,
    /// Milliseconds since 1970 as somebody sets them. Nothing is swept but by [`Ledger::sweep`].
    Manual(Arc<AtomicI64>),
}

impl Clock {
    fn now(&self) -> Millis {
        match self {
            Self::System | Self::Unswept => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                millis(since)
            }
            Self::Manual(now) => now.load(Ordering::Acquire),
        }
    }
}

fn millis(duration: Duration) -> Millis {
    count(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// The ledger, from any thread. Cheap to clone. Each call waits for at most the timeout of the options.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").finish_non_exhaustive()
    }
}

struct Inner {
    reads: Outbox,
    writes: Outbox,
    clock: Clock,
    counters: Arc<Counters>,
    timeout: Duration,
    lease: Millis,
    keep_deleted: Millis,
}

impl Ledger {
    /// Opens the ledger and starts its thread: a file is made with its folder, a schema brought up to date or
    /// refused. A server that cannot be reached is no error: it may be reached later, and until then calls
    /// fail with [`LedgerError::Unreachable`].
    ///
    /// # Errors
    /// When what the options say cannot be, or the schema is not ours to use.
    pub fn open(options: &LedgerOptions) -> Result<(Self, LedgerThread), LedgerError> {
        Self::open_at(options, Clock::System)
    }

    /// As [`Ledger::open`], by another clock.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn open_at(options: &LedgerOptions, clock: Clock) -> Result<(Self, LedgerThread), LedgerError> {
        thread::start(options, clock)
    }

    fn new(
        options: &LedgerOptions,
        clock: Clock,
        counters: Arc<Counters>,
        reads: Outbox,
        writes: Outbox,
    ) -> Self {
        let (timeout, lease) = (options.timeout, millis(options.lease));
        let keep_deleted = millis(options.keep_deleted);
        Self(Arc::new(Inner { reads, writes, clock, counters, timeout, lease, keep_deleted }))
    }

    /// Holds a place for a creation, if its quotas have room: an entry, charged, that is to be settled.
    ///
    /// # Errors
    /// When it is not known to be held. What was written all the same is taken back, or lapses.
    pub async fn reserve(&self, claim: Claim) -> Result<Outcome, LedgerError> {
        let Claim { tenant, provider, plan, map, request_id, policy } = claim;
        let now = self.now();
        let record = Record {
            id: new_id(now),
            tenant: fitting(tenant.as_str()).into(),
            provider: provider.map(|provider| fitting(provider.as_str()).into()),
            plan: fitting(&plan).into(),
            map,
            request_id: fitting(&request_id).into(),
            revision: fitting(policy.revision()).into(),
            reserved_at: now,
        };
        let shares = record.shares();
        let lease_ends = now.saturating_add(self.0.lease);
        let (ledger, record) = (self.clone(), Arc::new(record));
        self.write(reserve::Reserve { ledger, record, shares, policy, lease_ends, tried: None }).await
    }

    /// Notes a creation without a map that Karbor carried out: an entry that is never charged. Does not wait;
    /// what finds no room is dropped and counted.
    pub fn note(
        &self,
        tenant: &TenantId,
        provider: &ProviderId,
        plan: &str,
        checkpoint: &CheckpointId,
        request_id: &str,
    ) {
        let now = self.now();
        let record = Record {
            id: new_id(now),
            tenant: fitting(tenant.as_str()).into(),
            provider: Some(fitting(provider.as_str()).into()),
            plan: fitting(plan).into(),
            map: Map::new(),
            request_id: fitting(request_id).into(),
            revision: "".into(),
            reserved_at: now,
        };
        let checkpoint = fitting(checkpoint.as_str()).into();
        let (job, _unheard) = job(checkpoints::Note { record, checkpoint });
        if self.0.writes.calls.try_send(job).is_err() {
            self.0.counters.note_dropped();
        }
    }

    /// What is kept for these checkpoints of a provider, of whatever tenant: the caller holds the tenant
    /// against Karbor's answer. With an empty map where the creation had none; nothing for what is unknown.
    ///
    /// # Errors
    /// When the ledger cannot say.
    pub async fn read(
        &self,
        provider: &ProviderId,
        checkpoints: &[CheckpointId],
    ) -> Result<Vec<KeptMap>, LedgerError> {
        let provider = fitting(provider.as_str()).into();
        let checkpoints = checkpoints.iter().map(|checkpoint| fitting(checkpoint.as_str()).into()).collect();
        self.ask_to_read(read::Read { provider, checkpoints }).await
    }

    /// Karbor deletes a checkpoint: charged no more from now on. Whether there was one to forget.
    ///
    /// # Errors
    /// When it is not known to be forgotten. It is tried again until it is, for as long as a lease.
    pub async fn forget(
        &self,
        tenant: &TenantId,
        provider: &ProviderId,
        checkpoint: &CheckpointId,
    ) -> Result<bool, LedgerError> {
        let now = self.now();
        let [tenant, provider, checkpoint] =
            [tenant.as_str(), provider.as_str(), checkpoint.as_str()].map(|name| fitting(name).into());
        let readable_until = now.saturating_add(self.0.keep_deleted);
        self.write(checkpoints::Forget { tenant, provider, checkpoint, now, readable_until }).await
    }

    /// Karbor copies checkpoints, pairs of original and copy: the copies get the originals' maps. How many are
    /// new to the ledger; an original that is unknown gives nothing.
    ///
    /// # Errors
    /// When it is not known to be done.
    pub async fn copied(
        &self,
        tenant: &TenantId,
        provider: &ProviderId,
        plan: &str,
        pairs: &[(CheckpointId, CheckpointId)],
        request_id: &str,
    ) -> Result<u64, LedgerError> {
        let name = |checkpoint: &CheckpointId| fitting(checkpoint.as_str()).into();
        self.write(checkpoints::Copied {
            tenant: fitting(tenant.as_str()).into(),
            provider: fitting(provider.as_str()).into(),
            plan: fitting(plan).into(),
            pairs: pairs.iter().map(|(original, copy)| (name(original), name(copy))).collect(),
            request_id: fitting(request_id).into(),
            revision: "".into(),
            now: self.now(),
        })
        .await
    }

    /// Checkpoints in an answer of Karbor's that [`Ledger::read`] did not know. One that can be of exactly one
    /// reservation, and is the only one that can, settles it: same tenant, provider and plan, its day not
    /// before the reservation's and after the ledger's first (an hour is left for clocks), the lease not ended. What
    /// was bound that way.
    ///
    /// # Errors
    /// When it is not known to be done.
    pub async fn sighted(&self, sights: Vec<Sight>) -> Result<Vec<KeptMap>, LedgerError> {
        let mut tenants: Vec<Box<str>> =
            sights.iter().map(|sight| fitting(sight.tenant.as_str()).into()).collect();
        tenants.sort_unstable();
        tenants.dedup();
        // Every list has checkpoints of before the ledger's time; next to never is anything open.
        if !self.ask_to_read(sight::AnyOpen { tenants }).await? {
            return Ok(Vec::new());
        }
        self.write(sight::Tie { sights, now: self.now() }).await
    }

    /// Kept maps by what is in them: a bounded page of them.
    ///
    /// # Errors
    /// When the ledger cannot say.
    pub async fn matching(&self, search: Search) -> Result<Matches, LedgerError> {
        let Search { tenant, provider, terms, most, after } = search;
        let tenant = tenant.map(|tenant| fitting(tenant.as_str()).into());
        let provider = provider.map(|provider| fitting(provider.as_str()).into());
        let most = most.max(1);
        self.ask_to_read(read::Matching { tenant, provider, terms, most, after }).await
    }

    /// Where a tenant stands against its quotas: first the whole, then each application that holds something
    /// or has a quota of its own.
    ///
    /// # Errors
    /// When the ledger cannot say.
    pub async fn usage(&self, tenant: &TenantId, quotas: &Quotas) -> Result<Vec<Holding>, LedgerError> {
        let (tenant, quotas) = (fitting(tenant.as_str()).into(), quotas.clone());
        self.ask_to_read(usage::HoldingsOf { tenant, quotas, now: self.now() }).await
    }

    /// What tenants hold, or one of them, in order of tenant and application: at most `most` rows behind
    /// `after`.
    ///
    /// # Errors
    /// When the ledger cannot say.
    pub async fn usage_of_all(
        &self,
        most: usize,
        tenant: Option<&TenantId>,
        after: Option<&TenantUsage>,
    ) -> Result<Vec<TenantUsage>, LedgerError> {
        let after =
            after.map(|row| (row.tenant.as_str().into(), row.application.clone().unwrap_or_default()));
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let tenant = tenant.map(|tenant| fitting(tenant.as_str()).into());
        self.ask_to_read(usage::AllUsage { most, tenant, after }).await
    }

    /// One bounded round of what time does: leases end, deleted entries go. By the system's clock the ledger
    /// does it by itself.
    ///
    /// # Errors
    /// When it could not go on.
    pub async fn sweep(&self) -> Result<Swept, LedgerError> {
        let now = self.now();
        let due = self.ask_to_read(sweep::Due { now, most: ROUND }).await?;
        let mut swept = Swept { more: count(due.len() as u64) == ROUND, ..Swept::default() };
        let (reserved, gone): (Vec<_>, Vec<_>) = due.into_iter().partition(|(_, is_reserved)| *is_reserved);
        let remembered_until = now.saturating_add(self.0.keep_deleted);
        for (id, _) in reserved {
            let lapse = sweep::Lapse { id: id.into(), now, remembered_until };
            swept.lapsed += u64::from(self.write(lapse).await?);
        }
        if !gone.is_empty() {
            let ids = gone.into_iter().map(|(id, _)| id).collect();
            swept.purged = self.write(sweep::Purge { ids, now }).await?;
        }
        self.0.counters.swept(swept);
        Ok(swept)
    }

    /// What the ledger has counted since it was opened.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.counters.counts()
    }

    fn now(&self) -> Millis {
        self.0.clock.now()
    }

    async fn ask_to_read<O: Operation>(&self, operation: O) -> Result<O::Answer, LedgerError> {
        self.ask(&self.0.reads, operation).await
    }

    async fn write<O: Operation>(&self, operation: O) -> Result<O::Answer, LedgerError> {
        self.ask(&self.0.writes, operation).await
    }

    /// Puts the operation into the queue, if there is room, and waits for its answer.
    async fn ask<O: Operation>(&self, queue: &Outbox, operation: O) -> Result<O::Answer, LedgerError> {
        let (job, reply) = job(operation);
        queue.calls.try_send(job).map_err(|refused| match refused {
            tokio::sync::mpsc::error::TrySendError::Full(_) => LedgerError::Full,
            tokio::sync::mpsc::error::TrySendError::Closed(_) => LedgerError::Closed,
        })?;
        self.wait(reply).await
    }

    /// As [`Ledger::ask`], for what always has room.
    async fn settle<O: Operation>(&self, operation: O) -> Result<O::Answer, LedgerError> {
        let (job, reply) = job(operation);
        self.0.writes.settlements.send(job).map_err(|_closed| LedgerError::Closed)?;
        self.wait(reply).await
    }

    fn settle_unheard<O: Operation>(&self, operation: O) {
        let (job, _unheard) = job(operation);
        if self.0.writes.settlements.send(job).is_err() {
            self.0.counters.given_up();
        }
    }

    async fn wait<A>(&self, reply: job::Reply<A>) -> Result<A, LedgerError> {
        match tokio::time::timeout(self.0.timeout, reply).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_dropped)) => Err(LedgerError::Closed),
            Err(_elapsed) => Err(LedgerError::Timeout(self.0.timeout)),
        }
    }
}
