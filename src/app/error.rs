//! Why the process could not start, or could not go on.

use std::io;
use std::net::SocketAddr;

use crate::ledger::LedgerError;
use crate::telemetry::audit::AuditError;
use crate::telemetry::metrics::MetricsError;

/// The process could not start, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// An address is taken, or not ours.
    #[error("cannot listen on {address} ({setting})")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// The setting that names it.
        setting: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The audit log cannot be written.
    #[error("cannot open the audit log")]
    Audit(#[from] AuditError),
    /// The ledger is not there, or not ours to use.
    #[error("cannot open the ledger")]
    Ledger(#[from] LedgerError),
    /// The metrics contradict each other.
    #[error("cannot set up the metrics")]
    Metrics(#[from] MetricsError),
    /// A thread or a runtime could not be had.
    #[error("cannot start a thread")]
    Thread(#[from] io::Error),
    /// A worker ended although nobody told it to.
    #[error("a worker ended unexpectedly")]
    WorkerEnded,
}

impl AppError {
    /// What an operator may do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                Some("is another instance, or Karbor itself, on this port?")
            }
            Self::Bind { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("ports below 1024 need CAP_NET_BIND_SERVICE")
            }
            Self::Bind { .. } => {
                Some("the address must be one of this machine's, or 0.0.0.0 or [::] for all")
            }
            Self::Audit(_) => Some("the folder of audit.file must exist and be the service's to write to"),
            Self::Ledger(error) => error.hint(),
            Self::WorkerEnded => Some("the log says why; this is a fault of the program"),
            Self::Metrics(_) | Self::Thread(_) => None,
        }
    }
}
