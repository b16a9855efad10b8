//! MariaDB and MySQL: several connections, each job a short transaction of its own.
//!
//! Conflicts with others are tried again until the call's time is up; Galera makes them where one server
//! would make a transaction wait. A connection that was lost is replaced once within a call. While there is no
//! server, calls fail at once.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, sleep, timeout_at};

use super::connection::Connection;
use super::dialect::log_in;
use super::error::LedgerError;
use super::job::{Inbox, Job};
use super::options::{Engine, MysqlOptions};
use super::schema;
use super::thread::Common;
use crate::drain;

/// Galera ends a transaction that is in the way of another node's, and says so in answer to the next statement. To the
/// preparing of one nobody says so, and the rest would stand by itself, each statement alone. So none stands alone, and
/// only what still has its savepoint is committed.
const BEGIN: &str = "SET autocommit = 0; START TRANSACTION; SAVEPOINT whole";
const COMMIT: &str = "RELEASE SAVEPOINT whole; COMMIT; SET autocommit = 1";
const ROLLBACK: &str = "ROLLBACK; SET autocommit = 1";

/// Between two tries of the same transaction; doubled each time, and varied, so that those who met part.
const PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// After a login that failed, nobody tries before this has passed.
const REST: Duration = Duration::from_millis(500);

/// Logs in once, to see that it can be done and what the schema is, and starts the workers. A server that
/// cannot be reached now may be reached later.
pub(super) async fn start(
    common: &Rc<Common>,
    inbox: Inbox,
    working: mpsc::Sender<()>,
) -> Result<(), LedgerError> {
    let Engine::Mysql(server) = &common.options.engine else { return Err(LedgerError::Closed) };
    let door = Rc::new(Door { server: server.clone(), is_ready: Cell::new(false), shut: RefCell::new(None) });
    let patience = common.options.timeout.max(Duration::from_secs(10));
    let mut first = match timeout_at(Instant::now() + patience, door.enter(common)).await {
        Ok(Ok(connection)) => Some(connection),
        Ok(Err(LedgerError::Unreachable(cause))) => {
            common.counters.up(false);
            tracing::error!(%cause, "calls of the ledger fail until it is");
            None
        }
        Ok(Err(error)) => return Err(error),
        Err(_elapsed) => {
            common.counters.up(false);
            tracing::error!(cause = "it does not answer", "calls of the ledger fail until it is");
            None
        }
    };
    let inbox = Rc::new(Mutex::new(inbox));
    for _ in 0..common.options.connections.max(1) {
        let worker = Worker { common: common.clone(), door: door.clone(), connection: first.take() };
        drain::spawn_cut(worker.work(inbox.clone(), working.clone()));
    }
    Ok(())
}

/// The way in, for all workers.
struct Door {
    server: MysqlOptions,
    /// The schema was looked at.
    is_ready: Cell<bool>,
    /// Until when nobody tries, and why.
    shut: RefCell<Option<(Instant, LedgerError)>>,
}

impl Door {
    async fn enter(&self, common: &Common) -> Result<Connection, LedgerError> {
        let mut connection = log_in(&self.server, common.options.timeout).await?;
        if !self.is_ready.get() {
            let (may_migrate, now) = (common.options.migrate, common.clock.now());
            let found = schema::prepare(&mut connection, may_migrate, now).await?;
            if found < schema::VERSION {
                tracing::info!(from = found, to = schema::VERSION, "the ledger's schema is migrated");
            }
            self.is_ready.set(true);
        }
        Ok(connection)
    }

    /// A fresh connection, unless the last login failed just now.
    async fn try_enter(&self, common: &Common) -> Result<Connection, LedgerError> {
        if let Some((until, error)) = &*self.shut.borrow()
            && Instant::now() < *until
        {
            return Err(error.clone());
        }
        let entered = self.enter(common).await;
        let rest = entered.as_ref().err().map(|error| (Instant::now() + REST, error.clone()));
        self.shut.replace(rest);
        common.counters.up(entered.is_ok());
        entered
    }
}

struct Worker {
    common: Rc<Common>,
    door: Rc<Door>,
    connection: Option<Connection>,
}

impl Worker {
    async fn work(mut self, inbox: Rc<Mutex<Inbox>>, working: mpsc::Sender<()>) {
        loop {
            let job = inbox.lock().await.next().await;
            let Some(mut job) = job else { break };
            let outcome = self.carry_out(&mut *job).await;
            self.common.conclude(job, outcome);
        }
        drop(working);
    }

    async fn carry_out(&mut self, job: &mut dyn Job) -> Result<(), LedgerError> {
        let timeout = self.common.options.timeout;
        // What is pursued may have been asked long ago.
        let asked = if job.is_pursued() { Instant::now() } else { Instant::from_std(job.asked()) };
        let deadline = asked + timeout;
        let mut pause = PAUSE;
        let mut is_second_connection = false;
        loop {
            let was_connected = self.connection.is_some();
            let Ok(tried) = timeout_at(deadline, self.attempt(job)).await else {
                // It stopped half way, nobody knows where.
                self.connection = None;
                if !was_connected {
                    self.common.counters.up(false);
                }
                return Err(LedgerError::Timeout(timeout));
            };
            let Err(error) = tried else { return Ok(()) };
            if error.is_lost() {
                self.connection = None;
                if !was_connected || is_second_connection {
                    return Err(error);
                }
                is_second_connection = true;
                continue;
            }
            if !error.is_conflict() || Instant::now() + pause >= deadline {
                return Err(error);
            }
            self.common.counters.retry();
            sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One try: the whole transaction stands, or nothing does as far as we know.
    async fn attempt(&mut self, job: &mut dyn Job) -> Result<(), LedgerError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.door.try_enter(&self.common).await?),
        };
        if job.reads() {
            return job.run(connection).await.map(drop);
        }
        connection.command(BEGIN).await?;
        let end = match job.run(connection).await {
            Ok(true) => match connection.command(COMMIT).await {
                Ok(()) => return Ok(()),
                Err(error) => Err(error),
            },
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        if !end.as_ref().is_err_and(LedgerError::is_lost) {
            connection.command(ROLLBACK).await?;
        }
        end
    }
}
