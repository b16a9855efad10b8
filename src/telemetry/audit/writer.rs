//! The thread that writes audit lines, and how it is told to open its file anew and to end.
//!
//! Idle, it blocks. Busy, it writes what there is and then sleeps for a moment: a thread that sleeps need not
//! be woken, so that the workers pay for one wake-up in a batch and not in each line.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::AuditError;
use super::latest::Latest;
use super::sink::{Sink, count_lines};
use crate::telemetry::metrics::{AuditCounters, AuditDrop};

const PAUSE: Duration = Duration::from_millis(10);
/// A batch is written once it has this many bytes, also when more lines wait.
const BATCH_BYTES: usize = 256 * 1024;
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

pub(super) enum Message {
    /// A whole line, with its end, and whether it is among the latest to hold.
    Line { written: Vec<u8>, is_held: bool },
    /// There is an order.
    Wake,
}

/// Orders reach the writer past the queue, which may be full.
#[derive(Default)]
pub(super) struct Orders {
    closing: AtomicBool,
    reopen: AtomicBool,
}

impl Orders {
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    pub(super) fn reopen(&self) {
        self.reopen.store(true, Ordering::Release);
    }
}

/// Call after an order is given. Where the queue is full the writer is awake, and looks for orders before it
/// blocks.
pub(super) fn wake(queue: &SyncSender<Message>) {
    let _full_or_gone = queue.try_send(Message::Wake);
}

/// The writer as its owner sees it.
#[must_use = "lines still queued are lost unless the writer is closed"]
pub struct AuditWriter {
    ended: Option<Receiver<()>>,
    queue: Option<SyncSender<Message>>,
    orders: Arc<Orders>,
}

/// The writer did not end in time: lines may be missing from the audit log, uncounted.
#[derive(Debug, thiserror::Error)]
#[error("the audit writer did not write its last lines within {} s", .0.as_secs_f64())]
pub struct Unwritten(pub Duration);

impl AuditWriter {
    pub(super) fn new(
        ended: Option<Receiver<()>>,
        queue: Option<SyncSender<Message>>,
        orders: Arc<Orders>,
    ) -> Self {
        Self { ended, queue, orders }
    }

    /// Writes everything queued and ends the writer; waits, blocking, for at most `deadline`. Call it when
    /// the last exchange has ended: lines recorded from now on are dropped.
    pub fn close(self, deadline: Duration) -> Result<(), Unwritten> {
        let (Some(ended), Some(queue)) = (self.ended, self.queue) else { return Ok(()) };
        self.orders.closing.store(true, Ordering::Release);
        wake(&queue);
        drop(queue);
        match ended.recv_timeout(deadline) {
            // Its end is the thread dropping the other half.
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Ok(()),
            Err(RecvTimeoutError::Timeout) => Err(Unwritten(deadline)),
        }
    }
}

/// What the writer shares with the log.
pub(super) struct Parts {
    pub(super) orders: Arc<Orders>,
    pub(super) latest: Latest,
}

/// Starts the writer; what is returned disconnects when it has ended.
pub(super) fn start(
    lines: Receiver<Message>,
    sink: Sink,
    Parts { orders, latest }: Parts,
    counters: AuditCounters,
) -> Result<Receiver<()>, AuditError> {
    let (alive, ended) = channel();
    let mut writing =
        Writing { lines, sink, orders, latest, counters, batch: Vec::new(), complained: None, silent: 0 };
    thread::Builder::new()
        .name("audit".to_owned())
        .spawn(move || {
            writing.run();
            drop(alive);
        })
        .map_err(AuditError::Thread)?;
    Ok(ended)
}

struct Writing {
    lines: Receiver<Message>,
    sink: Sink,
    orders: Arc<Orders>,
    latest: Latest,
    counters: AuditCounters,
    batch: Vec<u8>,
    complained: Option<Instant>,
    /// Failures since the last complaint.
    silent: u64,
}

impl Writing {
    fn run(&mut self) {
        // Ends also when every sender is gone: the log was dropped without being closed.
        while let Ok(message) = self.lines.recv() {
            self.take(message);
            self.write_waiting();
            if self.orders.is_closing() {
                // Lines may have come between the last look and the order.
                self.write_waiting();
                return;
            }
            thread::sleep(PAUSE);
        }
    }

    fn write_waiting(&mut self) {
        if self.orders.reopen.swap(false, Ordering::AcqRel)
            && let Err(error) = self.sink.reopen()
        {
            tracing::error!(%error, "the audit file could not be opened anew; the old one stays in use");
        }
        while let Ok(message) = self.lines.try_recv() {
            self.take(message);
            if self.batch.len() >= BATCH_BYTES {
                self.write_batch();
            }
        }
        self.write_batch();
    }

    fn take(&mut self, message: Message) {
        if let Message::Line { written, is_held } = message {
            self.batch.extend_from_slice(&written);
            if is_held {
                self.latest.hold(written);
            }
        }
    }

    fn write_batch(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let lines = count_lines(&self.batch);
        match self.sink.write(&self.batch) {
            Ok(()) => self.counters.written(lines),
            Err(failed) => {
                self.counters.written(failed.lines);
                self.counters.dropped(AuditDrop::WriteFailed, lines - failed.lines);
                self.complain(&failed.source);
            }
        }
        self.batch.clear();
    }

    fn complain(&mut self, error: &std::io::Error) {
        self.silent += 1;
        if self.complained.is_none_or(|last| last.elapsed() >= COMPLAINT_INTERVAL) {
            tracing::error!(%error, failures = self.silent, "audit lines could not be written");
            self.complained = Some(Instant::now());
            self.silent = 0;
        }
    }
}
