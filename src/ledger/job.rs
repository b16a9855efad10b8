//! A question to the ledger on its way from a worker to the ledger's thread, and its answer back.
//!
//! An [`Operation`] is what is asked, as statements within one transaction. A [`Job`] is an operation with
//! somebody who may wait for the answer; the answer is given when the transaction is on the disk.

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot, watch};

use super::connection::Connection;
use super::error::LedgerError;

/// What comes of an operation.
pub(super) enum Done<A> {
    /// The answer, and what was written stands.
    Keep(A),
    /// The answer, and what was written is taken back.
    Undo(A),
}

/// What is asked. May be carried out more than once: what an earlier try wrote stands only where its
/// transaction was committed without our learning of it.
pub(super) trait Operation: Send + 'static {
    type Answer: Send + 'static;

    /// Writes nothing, and needs no transaction.
    const READS: bool = false;
    /// Is pursued after a failure that may pass, though its caller has its error already.
    const PURSUED: bool = false;

    fn run(
        &mut self,
        connection: &mut Connection,
    ) -> impl Future<Output = Result<Done<Self::Answer>, LedgerError>>;

    /// The transaction stands, and the answer is about to be given.
    fn confirm(&self, _answer: &mut Self::Answer) {}
}

/// An operation of any kind, on its way.
pub(super) trait Job: Send {
    /// Whether what was written shall stand.
    fn run<'j>(&'j mut self, connection: &'j mut Connection) -> Running<'j>;
    fn answer(&mut self, outcome: Result<(), LedgerError>);
    /// Somebody waits for the answer, or it must be done in any case.
    fn is_wanted(&self) -> bool;
    fn is_pursued(&self) -> bool;
    fn reads(&self) -> bool;
    /// When it was asked.
    fn asked(&self) -> Instant;
}

pub(super) type Running<'j> = Pin<Box<dyn Future<Output = Result<bool, LedgerError>> + 'j>>;

struct Pending<O: Operation> {
    operation: O,
    answer: Option<O::Answer>,
    reply: Option<oneshot::Sender<Result<O::Answer, LedgerError>>>,
    asked: Instant,
}

impl<O: Operation> Job for Pending<O> {
    fn run<'j>(&'j mut self, connection: &'j mut Connection) -> Running<'j> {
        Box::pin(async move {
            self.answer = None;
            let (answer, keep) = match self.operation.run(connection).await? {
                Done::Keep(answer) => (answer, true),
                Done::Undo(answer) => (answer, false),
            };
            self.answer = Some(answer);
            Ok(keep)
        })
    }

    fn answer(&mut self, outcome: Result<(), LedgerError>) {
        let outcome = outcome.and_then(|()| {
            let mut answer = self.answer.take().ok_or(LedgerError::Closed)?;
            self.operation.confirm(&mut answer);
            Ok(answer)
        });
        if let Some(reply) = self.reply.take() {
            let _nobody_waits = reply.send(outcome);
        }
    }

    fn is_wanted(&self) -> bool {
        O::PURSUED || self.reply.as_ref().is_some_and(|reply| !reply.is_closed())
    }

    fn is_pursued(&self) -> bool {
        O::PURSUED
    }

    fn reads(&self) -> bool {
        O::READS
    }

    fn asked(&self) -> Instant {
        self.asked
    }
}

/// The answer to come.
pub(super) type Reply<A> = oneshot::Receiver<Result<A, LedgerError>>;

pub(super) fn job<O: Operation>(operation: O) -> (Box<dyn Job>, Reply<O::Answer>) {
    let (reply, answer) = oneshot::channel();
    (Box::new(Pending { operation, answer: None, reply: Some(reply), asked: Instant::now() }), answer)
}

/// Where jobs are put.
#[derive(Clone)]
pub(super) struct Outbox {
    pub(super) calls: mpsc::Sender<Box<dyn Job>>,
    /// Not bounded by number but by what it is for: each belongs to a reservation that was given out. One
    /// that found no room would leave a charge until its lease ends.
    pub(super) settlements: mpsc::UnboundedSender<Box<dyn Job>>,
}

/// Where they are taken from.
pub(super) struct Inbox {
    calls: mpsc::Receiver<Box<dyn Job>>,
    settlements: mpsc::UnboundedReceiver<Box<dyn Job>>,
    closing: watch::Receiver<bool>,
}

impl Inbox {
    pub(super) fn new(room: usize, closing: watch::Receiver<bool>) -> (Outbox, Self) {
        let (calls, waiting_calls) = mpsc::channel(room.max(1));
        let (settlements, waiting_settlements) = mpsc::unbounded_channel();
        let inbox = Self { calls: waiting_calls, settlements: waiting_settlements, closing };
        (Outbox { calls, settlements }, inbox)
    }

    /// The next job, waited for. None when the ledger closes and none is left.
    pub(super) async fn next(&mut self) -> Option<Box<dyn Job>> {
        loop {
            if let Some(job) = self.next_waiting() {
                return Some(job);
            }
            if *self.closing.borrow() {
                return None;
            }
            let job = tokio::select! {
                biased;
                job = self.settlements.recv() => job,
                job = self.calls.recv() => job,
                _ = self.closing.changed() => None,
            };
            match job {
                Some(job) if job.is_wanted() => return Some(job),
                // Every handle is gone, and nobody can close any more.
                None if self.calls.is_closed() || self.closing.has_changed().is_err() => return None,
                _ => {}
            }
        }
    }

    /// The next job that waits already.
    pub(super) fn next_waiting(&mut self) -> Option<Box<dyn Job>> {
        loop {
            let job = self.settlements.try_recv().ok().or_else(|| self.calls.try_recv().ok())?;
            if job.is_wanted() {
                return Some(job);
            }
        }
    }
}
