//! Why the ledger could not do what it was asked, and what an operator may do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::tls::TlsFlaw;

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
    Unreachable(#[source] Cause),
    /// The database will not let us in: user, password, name of the database.
    #[error("the ledger's database does not let us in")]
    NotLetIn(#[source] Cause),
    /// It denies access to a connection without TLS; that may be why.
    #[error("the ledger's database does not let us in")]
    NotLetInOpenly(#[source] Cause),
    /// The connection to the database cannot be secured as it must be. Nothing was sent.
    #[error("the connection to the ledger's database cannot be secured")]
    Insecure(TlsFlaw, #[source] Cause),
    /// Others held what was needed, again and again. Nothing was done.
    #[error("the ledger is held by others")]
    Contended(#[source] Option<Cause>),
    /// The database refused a statement. Nothing was done.
    #[error("the ledger's database refused a statement")]
    Refused(#[source] Cause),
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
    /// The ledger's file, or its folder, cannot be had.
    #[error("cannot use {}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The file of the authorities that are believed cannot be read, or holds something else.
    #[error("cannot use {} (ledger.ca_file)", .path.display())]
    CaFile {
        /// Which.
        path: PathBuf,
        /// What the system said, or what is wrong with it.
        #[source]
        source: Arc<io::Error>,
    },
    /// The file of the password cannot be read.
    #[error("cannot use {} (ledger.password_file)", .path.display())]
    PasswordFile {
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
            Self::NotLetIn(_) => {
                Some("check user, password and database; the database itself must exist and be the user's")
            }
            Self::NotLetInOpenly(_) => Some(
                "check user and password; a server that wants TLS may say the same to ledger.tls = \"off\", which \
                 \"auto\" is on loopback",
            ),
            Self::Insecure(flaw, _) => Some(flaw.hint()),
            Self::File { .. } => Some("it must be the service's to read and write"),
            Self::CaFile { .. } => Some("it must be the service's to read, and hold certificates in PEM"),
            Self::PasswordFile { .. } => Some("it must be the service's to read, one line of UTF-8"),
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
        matches!(
            self,
            Self::Unreachable(_) | Self::NotLetIn(_) | Self::NotLetInOpenly(_) | Self::Insecure(..)
        )
    }
}

/// What the library said, in one line: it would repeat what it heard itself.
#[derive(Clone, Debug)]
pub struct Cause(Arc<sqlx::Error>);

impl Cause {
    pub(super) fn new(error: sqlx::Error) -> Self {
        Self(Arc::new(error))
    }

    pub(super) fn error(&self) -> &sqlx::Error {
        &self.0
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            sqlx::Error::Io(error) => error.fmt(f),
            sqlx::Error::Tls(error) | sqlx::Error::Configuration(error) => error.fmt(f),
            sqlx::Error::Database(error) => error.fmt(f),
            error => error.fmt(f),
        }
    }
}

impl std::error::Error for Cause {}
