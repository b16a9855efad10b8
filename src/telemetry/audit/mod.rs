//! The audit log: one JSON line per judged or refused request, written off the hot path.
//!
//! [`AuditLog`] takes lines and never waits: a line that finds no room is dropped and counted. One thread
//! writes them (`writer`) to a file or standard output (`sink`). What a line holds is in `line`, and for
//! auditors in `docs/audit.md`. Leaves filling a line in to the exchange.

mod latest;
mod line;
mod sink;
#[cfg(test)]
mod tests;
mod writer;

use std::hash::RandomState;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

pub use latest::Latest;
pub use line::{AuditLine, AuditVerdict, FORMAT_VERSION};
pub use writer::{AuditWriter, Unwritten};

use self::sink::Sink;
use self::writer::{Message, Orders};
use super::metrics::{AuditCounters, AuditDrop};

/// Where audit lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditSink {
    /// Nowhere.
    None,
    /// Standard output.
    Stdout,
    /// Appended to this file.
    File(PathBuf),
}

/// How key names stand in audit lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyNames {
    /// As they are.
    Plain,
    /// As a digest.
    Hashed,
}

/// What the audit log is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditOptions {
    /// Where lines go.
    pub sink: AuditSink,
    /// How key names stand in them.
    pub key_names: KeyNames,
    /// Lines that may wait for the writer; further ones are dropped and counted.
    pub queue_lines: usize,
}

/// Why the audit log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The folder of the file is not there; we make none, since its owner and mode matter.
    #[error("the folder of the audit file {} does not exist", .0.display())]
    NoFolder(PathBuf),
    /// The file could not be opened or created.
    #[error("the audit file {} could not be opened", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Standard output could not be taken.
    #[error("standard output cannot take audit lines")]
    Stdout(#[source] io::Error),
    /// The thread that writes could not be started.
    #[error("the audit writer could not be started")]
    Thread(#[source] io::Error),
}

/// Takes audit lines. Cheap to clone; each worker has its own.
#[derive(Clone)]
pub struct AuditLog {
    queue: Option<SyncSender<Message>>,
    orders: Arc<Orders>,
    counters: AuditCounters,
    digest: Option<RandomState>,
    latest: Latest,
}

impl AuditLog {
    /// Opens the sink and starts the writer. A file is created with mode 0640 where there is none.
    pub fn open(options: &AuditOptions, counters: AuditCounters) -> Result<(Self, AuditWriter), AuditError> {
        let sink = match &options.sink {
            AuditSink::None => None,
            AuditSink::Stdout => Some(Sink::stdout()?),
            AuditSink::File(path) => Some(Sink::file(path.clone())?),
        };
        Self::with_sink(options, counters, sink)
    }

    fn with_sink(
        options: &AuditOptions,
        counters: AuditCounters,
        sink: Option<Sink>,
    ) -> Result<(Self, AuditWriter), AuditError> {
        let (orders, latest) = (Arc::new(Orders::default()), Latest::default());
        let (queue, thread) = match sink {
            Some(sink) => {
                let (sender, receiver) = sync_channel(options.queue_lines.max(1));
                let writer = writer::Parts { orders: Arc::clone(&orders), latest: latest.clone() };
                let thread = writer::start(receiver, sink, writer, counters.clone())?;
                (Some(sender), Some(thread))
            }
            None => (None, None),
        };
        let digest = match options.key_names {
            KeyNames::Plain => None,
            // The key of the digest lives and ends with the process.
            KeyNames::Hashed => Some(RandomState::new()),
        };
        let writer = AuditWriter::new(thread, queue.clone(), Arc::clone(&orders));
        Ok((Self { queue, orders, counters, digest, latest }, writer))
    }

    /// Whether a line with that verdict goes anywhere.
    #[must_use]
    pub fn wants(&self, verdict: AuditVerdict) -> bool {
        self.queue.is_some() || Latest::wants(verdict)
    }

    /// The latest lines of requests that broke a rule or were refused.
    #[must_use]
    pub fn latest(&self) -> Latest {
        self.latest.clone()
    }

    /// Hands a line to the writer, or drops and counts it. Never waits.
    pub fn record(&self, line: &AuditLine<'_>) {
        let is_held = Latest::wants(line.verdict);
        if self.queue.is_none() && !is_held {
            return;
        }
        if self.orders.is_closing() {
            return self.counters.dropped(AuditDrop::Closed, 1);
        }
        let written = line.to_json(self.digest.as_ref());
        let Some(queue) = &self.queue else { return self.latest.hold(written) };
        match queue.try_send(Message::Line { written, is_held }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => self.counters.dropped(AuditDrop::QueueFull, 1),
            Err(TrySendError::Disconnected(_)) => self.counters.dropped(AuditDrop::Closed, 1),
        }
    }

    /// Has the file opened anew by its path before the next lines are written, for log rotation. Should that
    /// fail, the file open now stays in use.
    pub fn reopen(&self) {
        if let Some(queue) = &self.queue {
            self.orders.reopen();
            writer::wake(queue);
        }
    }
}
