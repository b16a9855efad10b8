//! Why the process could not start, or could not go on.

use std::io;

use crate::admin::GuardError;
use crate::ledger::LedgerError;
use crate::server::{Listen, TlsError};
use crate::telemetry::audit::AuditError;
use crate::telemetry::metrics::MetricsError;

/// The process could not start, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// An address is taken, or not ours.
    #[error("cannot listen on {listen} ({setting})")]
    Bind {
        /// Which.
        listen: Listen,
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
    /// A certificate or a key cannot be used.
    #[error("cannot use the certificates (server.tls)")]
    Tls(#[from] TlsError),
    /// Spans cannot be exported.
    #[cfg(feature = "otlp")]
    #[error("cannot export traces")]
    Otlp(#[from] crate::otlp::OtlpError),
    /// The token or the certificate of the admin side cannot be used.
    #[error("cannot guard the admin side (admin.token_file, admin.tls)")]
    Guard(#[from] GuardError),
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
            Self::Bind { listen: Listen::Unix(_), source, .. } => Some(match source.kind() {
                io::ErrorKind::AddrInUse => "another process listens there",
                io::ErrorKind::AlreadyExists => "name another path, or move the file away",
                _ => "its folder must exist and be the service's to write to; a path has at most 107 bytes",
            }),
            Self::Bind { setting: "admin.listen", source, .. }
                if source.kind() == io::ErrorKind::InvalidInput =>
            {
                Some("hand a socket over that is on loopback, or set both")
            }
            Self::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                Some("is another instance, or Karbor itself, on this port?")
            }
            Self::Bind { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("ports below 1024 need CAP_NET_BIND_SERVICE")
            }
            Self::Bind { .. } => {
                Some("the address must be one of this machine's; 0.0.0.0 is all of IPv4, [::] all of IPv6")
            }
            Self::Audit(_) => Some("the folder of audit.file must exist and be the service's to write to"),
            Self::Ledger(error) => error.hint(),
            Self::Tls(error) => error.hint(),
            #[cfg(feature = "otlp")]
            Self::Otlp(_) => Some("is traces.ca_file a PEM file that the service may read?"),
            Self::Guard(error) => error.hint(),
            Self::WorkerEnded => Some("the log says why; this is a fault of the program"),
            Self::Metrics(_) | Self::Thread(_) => None,
        }
    }
}
