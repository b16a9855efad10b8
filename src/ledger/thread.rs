//! The ledger's thread: a runtime of its own, where alone there are connections. Its end, and what is
//! pursued there after a failure.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc as blocking;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};

use super::error::LedgerError;
use super::job::{Inbox, Job, Outbox};
use super::options::{Engine, LedgerOptions};
use super::{Clock, Counters, Ledger, mysql, sqlite};
use crate::drain;

/// Before what failed is tried again.
const PURSUIT: Duration = Duration::from_secs(1);
/// Between two rounds of sweeping.
const SWEEPING: Duration = Duration::from_secs(5);

/// The ledger's thread as its owner sees it.
#[must_use = "what still waits is lost unless the ledger is closed"]
pub struct LedgerThread {
    closing: watch::Sender<bool>,
    ended: blocking::Receiver<()>,
}

/// The ledger did not end in time: notes may be lost, and reservations stay until their leases end.
#[derive(Debug, thiserror::Error)]
#[error("the ledger did not carry out what it was asked within {} s", .0.as_secs_f64())]
pub struct Unfinished(pub Duration);

impl LedgerThread {
    /// Carries out what waits and ends the thread; blocks for at most `within`. Call it when the last exchange
    /// has ended: what is asked from now on may find the ledger closed.
    ///
    /// # Errors
    /// When it takes longer.
    pub fn close(self, within: Duration) -> Result<(), Unfinished> {
        self.closing.send_replace(true);
        match self.ended.recv_timeout(within) {
            // Its end is the thread dropping the other half.
            Ok(()) | Err(blocking::RecvTimeoutError::Disconnected) => Ok(()),
            Err(blocking::RecvTimeoutError::Timeout) => Err(Unfinished(within)),
        }
    }
}

/// What the workers of the ledger's thread have in common.
pub(super) struct Common {
    pub(super) options: LedgerOptions,
    pub(super) clock: Clock,
    pub(super) counters: Arc<Counters>,
    outbox: Outbox,
    pursued: Cell<usize>,
}

impl Common {
    /// Gives the answer; what must be done and failed is tried again later.
    pub(super) fn conclude(self: &Rc<Self>, mut job: Box<dyn Job>, outcome: Result<(), LedgerError>) {
        let failed = outcome.as_ref().err().cloned();
        job.answer(outcome);
        let Some(error) = failed else { return };
        if !job.is_pursued() {
            return;
        }
        let is_over = job.asked().elapsed() >= self.options.lease;
        let passes = !matches!(error, LedgerError::Unreadable(_) | LedgerError::Closed);
        if is_over || !passes || self.pursued.get() >= self.options.queue {
            self.counters.given_up();
            tracing::error!(%error, "the ledger gives up what it was asked to write");
            return;
        }
        self.pursued.set(self.pursued.get() + 1);
        let common = self.clone();
        drain::spawn_cut(async move {
            tokio::time::sleep(PURSUIT).await;
            common.pursued.set(common.pursued.get() - 1);
            // Its receiver lives as long as the thread.
            let _closed = common.outbox.settlements.send(job);
        });
    }
}

/// Starts the thread and waits until the ledger is open.
pub(super) fn start(options: &LedgerOptions, clock: Clock) -> Result<(Ledger, LedgerThread), LedgerError> {
    let (closing, seen_closing) = watch::channel(false);
    let (calls, inbox) = Inbox::new(options.queue, seen_closing.clone());
    // SQLite reads while it writes; a server's connections do whatever comes.
    let reads = match options.engine {
        Engine::Sqlite(_) => Some(Inbox::new(options.queue, seen_closing.clone())),
        Engine::Mysql(_) => None,
    };
    let (reads, read_inbox) = reads.map_or_else(|| (calls.clone(), None), |(out, inbox)| (out, Some(inbox)));
    let counters = Arc::new(Counters::default());
    let ledger = Ledger::new(options, clock.clone(), counters.clone(), reads, calls.clone());
    let (opened, is_open) = blocking::sync_channel(1);
    let (alive, ended) = blocking::channel();
    let (options, sweeping) = (options.clone(), ledger.clone());
    let work = move || {
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => {
                let _ = opened.send(Err(LedgerError::Thread(Arc::new(error))));
                return;
            }
        };
        let common = Rc::new(Common { options, clock, counters, outbox: calls, pursued: Cell::new(0) });
        runtime.block_on(async move {
            // Nobody sends on it: it closes when the last worker drops its end.
            let (working, mut idle) = mpsc::channel::<()>(1);
            let started = match read_inbox {
                Some(reads) => sqlite::start(&common, inbox, reads, working).await,
                None => mysql::start(&common, inbox, working).await,
            };
            let is_started = started.is_ok();
            let _ = opened.send(started);
            if is_started {
                if matches!(common.clock, Clock::System) {
                    drain::spawn_cut(sweep(sweeping, seen_closing));
                }
                let _ = idle.recv().await;
            }
        });
        drop(alive);
    };
    thread::Builder::new()
        .name("ledger".to_owned())
        .spawn(work)
        .map_err(|error| LedgerError::Thread(Arc::new(error)))?;
    is_open.recv().map_err(|_ended| LedgerError::Closed)??;
    Ok((ledger, LedgerThread { closing, ended }))
}

/// Sweeps at once, for what a killed process left, and then from time to time.
async fn sweep(ledger: Ledger, mut closing: watch::Receiver<bool>) {
    loop {
        match ledger.sweep().await {
            Ok(swept) if swept.more => continue,
            Err(LedgerError::Closed) => return,
            // What is out of reach is said where that is found.
            Ok(_) | Err(LedgerError::Full | LedgerError::Timeout(_) | LedgerError::Unreachable(_)) => {}
            Err(error) => tracing::warn!(%error, "the ledger could not be swept"),
        }
        tokio::select! {
            _ = closing.wait_for(|&closing| closing) => return,
            () = tokio::time::sleep(SWEEPING) => {}
        }
    }
}
