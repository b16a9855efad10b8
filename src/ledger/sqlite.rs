//! SQLite: one connection writes, another reads.
//!
//! Whatever waits is written in one transaction, each job within a savepoint: a burst pays for one `fsync`.
//! Nobody has an answer before that is done.

use std::path::Path;
use std::rc::Rc;

use tokio::sync::mpsc;

use super::connection::Connection;
use super::dialect::{Use, create_file, open_file};
use super::error::LedgerError;
use super::job::{Inbox, Job};
use super::options::Engine;
use super::schema;
use super::thread::Common;
use crate::drain;

/// The most jobs of one transaction: those that come later wait for its end.
const BATCH: usize = 64;

/// A job, and what concerns it alone.
type Batched = (Box<dyn Job>, Result<(), LedgerError>);

/// Opens the file, makes it and its tables where they are missing, and starts the workers.
pub(super) async fn start(
    common: &Rc<Common>,
    writes: Inbox,
    reads: Inbox,
    working: mpsc::Sender<()>,
) -> Result<(), LedgerError> {
    let Engine::Sqlite(path) = &common.options.engine else { return Err(LedgerError::Closed) };
    if common.options.migrate {
        create_file(path)?;
    } else if !path.exists() {
        return Err(LedgerError::Outdated { found: 0, needed: schema::VERSION });
    }
    let mut writer = open(common, path, Use::Write).await?;
    let found = schema::prepare(&mut writer, common.options.migrate, common.clock.now()).await?;
    if found < schema::VERSION {
        tracing::info!(from = found, to = schema::VERSION, "the ledger's schema is migrated");
    }
    let reader = open(common, path, Use::Read).await?;
    drain::spawn_cut(write(common.clone(), path.clone(), writer, writes, working.clone()));
    drain::spawn_cut(read(common.clone(), path.clone(), reader, reads, working));
    Ok(())
}

async fn open(common: &Common, path: &Path, r#use: Use) -> Result<Connection, LedgerError> {
    open_file(path, common.options.timeout, r#use).await
}

async fn read(
    common: Rc<Common>,
    path: std::path::PathBuf,
    mut connection: Connection,
    mut inbox: Inbox,
    working: mpsc::Sender<()>,
) {
    while let Some(mut job) = inbox.next().await {
        let outcome = job.run(&mut connection).await.map(drop);
        if outcome.as_ref().is_err_and(LedgerError::is_lost) {
            reopen(&common, &path, Use::Read, &mut connection).await;
        }
        common.conclude(job, outcome);
    }
    drop(working);
}

async fn write(
    common: Rc<Common>,
    path: std::path::PathBuf,
    mut connection: Connection,
    mut inbox: Inbox,
    working: mpsc::Sender<()>,
) {
    while let Some(first) = inbox.next().await {
        let mut batch = vec![(first, Ok(()))];
        while batch.len() < BATCH
            && let Some(job) = inbox.next_waiting()
        {
            batch.push((job, Ok(())));
        }
        let written = transact(&mut connection, &mut batch).await;
        common.counters.batch(batch.len());
        common.counters.up(!written.as_ref().is_err_and(LedgerError::is_lost));
        if written.is_err() {
            // Whatever state it is in, nothing of it stands.
            let is_clean = connection.command("ROLLBACK").await.is_ok();
            if !is_clean || written.as_ref().is_err_and(LedgerError::is_lost) {
                reopen(&common, &path, Use::Write, &mut connection).await;
            }
        }
        for (job, outcome) in batch {
            common.conclude(job, written.clone().and(outcome));
        }
    }
    drop(working);
}

/// Carries all of them out in one transaction. An error is everybody's; what concerns one job alone stands
/// beside it.
async fn transact(connection: &mut Connection, batch: &mut [Batched]) -> Result<(), LedgerError> {
    // What stands between two jobs is one command: each makes this thread and the library's take turns, and
    // that is most of what a job costs.
    let mut between = connection.dialect().begin.to_owned();
    for (job, outcome) in batch {
        between.push_str("; SAVEPOINT job");
        connection.command(&between).await?;
        between.clear();
        match job.run(connection).await {
            Ok(true) => {}
            Ok(false) => between.push_str("ROLLBACK TO job; "),
            Err(error) if error.is_lost() => return Err(error),
            Err(error) => {
                between.push_str("ROLLBACK TO job; ");
                *outcome = Err(error);
            }
        }
        between.push_str("RELEASE job");
    }
    between.push_str("; COMMIT");
    connection.command(&between).await
}

/// After a failure that concerns the file. The old connection stays if there is no new one; the next job
/// tries again.
async fn reopen(common: &Common, path: &Path, r#use: Use, connection: &mut Connection) {
    match open(common, path, r#use).await {
        Ok(fresh) => *connection = fresh,
        Err(error) => tracing::error!(%error, "the ledger's file cannot be opened again"),
    }
}
