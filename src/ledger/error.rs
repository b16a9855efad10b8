//! Why the ledger could not do what it was asked, and what an operator may do about it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The ledger could not do what it was asked. Cheap to clone: one failed write may concern many calls.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LedgerError {
    /// As many calls wait as may. Nothing was done.
    #[error("the ledger has too many calls waiting")]
    Full,
    /// The call took too long. Whether it was carried out is unknown.
    #[error("the ledger did not answer within {0:?}")]
    Timeout(Duration),
    /// The ledger was closed.
    #[error("the ledger is closed")]
    Closed,
    /// The database cannot be reached, or ended the connection.
    #[error("the ledger's database cannot be reached")]
    Unreachable(#[source] Arc<sqlx::Error>),
    /// The database will not let us in: user, password, name of the database, TLS.
    #[error("the ledger's database does not let us in")]
    NotLetIn(#[source] Arc<sqlx::Error>),
    /// Others held what was needed, again and again. Nothing was done.
    #[error("the ledger is held by others")]
    Contended(#[source] Option<Arc<sqlx::Error>>),
    /// The database refused a statement. Nothing was done.
    #[error("the ledger's database refused a statement")]
    Refused(#[source] Arc<sqlx::Error>),
    /// What stands in the database is not what we write.
    #[error("the ledger holds something unreadable: {0}")]
    Unreadable(&'static str),
    /// The schema is older than this program's, and may not be migrated.
    #[error("the ledger's schema is version {found}, this program needs {needed}")]
    Outdated {
        /// The version found; 0 for none.
        found: i64,
        /// The version this program has.
        needed: i64,
    },
    /// The schema is newer than this program.
    #[error("the ledger's schema is version {found}, this program knows only {known}")]
    FromTheFuture {
        /// The version found.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// A file or folder that the options name cannot be had.
    #[error("cannot use {}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// A thread could not be started.
    #[error("the ledger's thread cannot be started")]
    Thread(#[source] Arc<io::Error>),
}

impl LedgerError {
    /// What an operator may do about it.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Outdated { .. } => Some(
                "run 'karbor-admission migrate' with the same configuration, or set ledger.migrate = true",
            ),
            Self::FromTheFuture { .. } => {
                Some("a newer karbor-admission wrote it: run that one, or restore a copy of before")
            }
            Self::Unreachable(_) => Some("is the server running, and ledger.url right?"),
            Self::NotLetIn(_) => Some(
                "check user, password, database and TLS; the database itself must exist and be the user's",
            ),
            Self::File { .. } => Some("it must be the service's to read and write"),
            Self::Full | Self::Timeout(_) | Self::Contended(_) => {
                Some("the database is slow or held by another program")
            }
            Self::Refused(_) => Some(
                "it must be a database of the ledger's own, and the service's to write to; of a file, its folder too",
            ),
            Self::Closed | Self::Unreadable(_) | Self::Thread(_) => None,
        }
    }

    /// Nothing was done, and the same again may well succeed at once.
    pub(super) const fn is_conflict(&self) -> bool {
        matches!(self, Self::Contended(_))
    }

    /// The connection is of no more use.
    pub(super) const fn is_lost(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::NotLetIn(_))
    }
}
