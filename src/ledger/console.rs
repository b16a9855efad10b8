//! What an operator does with a ledger from the command line. Leaves printing, and where lines come from and
//! go to, to the caller.

use std::io::{self, BufRead};
use std::path::PathBuf;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::error::LedgerError;
use super::options::LedgerOptions;
use super::search::Search;
use super::transfer::{Heading, Import, Line};
use super::{Clock, Kept, KeptMap, Ledger, LedgerThread, Sight, TenantUsage, dialect, schema};
use crate::karbor::{CheckpointId, ProviderId, TenantId};

/// Entries of one query, and of one transaction.
pub(super) const PAGE: usize = 200;
/// A command waits longer than a request.
const PATIENCE: Duration = Duration::from_secs(30);

/// A command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// The ledger could not.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Lines could not be read or written.
    #[error("cannot read or write lines")]
    Lines(#[from] io::Error),
    /// The lines are not those of an export.
    #[error("line {number} is not of an export: {what}")]
    Foreign {
        /// Which, from 1.
        number: u64,
        /// Why not.
        what: String,
    },
    /// A file cannot be written, or is in the way.
    #[error("cannot write {}", .path.display())]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// An export was begun there and not finished.
    #[error("{} is there: an export that was cut short, or one under way", .0.display())]
    Begun(PathBuf),
    /// Another export writes it at the moment.
    #[error("{} is being written by another export", .0.display())]
    UnderWay(PathBuf),
    /// What is to be gone on with is not what an export leaves.
    #[error("{} is not of an export that was cut short", .0.display())]
    NoExport(PathBuf, #[source] Box<Self>),
    /// The last entry of what is to be gone on with is not in this ledger.
    #[error("the last entry of {} is not in this ledger", .0.display())]
    OtherLedger(PathBuf),
    /// An export ended before it was whole.
    #[error("the export was cut short")]
    CutShort(#[source] Box<Self>),
}

impl ConsoleError {
    /// What an operator may do about it.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Ledger(error) => error.hint(),
            Self::Lines(_) => None,
            Self::Foreign { .. } => {
                Some("what stands before it is imported; the same import, mended, goes on from there")
            }
            Self::Unwritable { .. } => {
                Some("the file must not be there yet, and its folder be yours to write to")
            }
            Self::Begun(_) => Some("--resume goes on with it; or remove it"),
            Self::UnderWay(_) => Some("wait for its end"),
            Self::NoExport(..) => Some("nothing was written; remove it, or name another file"),
            Self::OtherLedger(_) => {
                Some("it is another ledger's, or that entry is gone since: remove the file, and export anew")
            }
            Self::CutShort(_) => {
                Some("what is written stays: the same command with --resume goes on from there")
            }
        }
    }
}

/// An open ledger, on the calling thread. Sweeps nothing, migrates nothing.
pub struct Console {
    pub(super) ledger: Ledger,
    thread: Option<LedgerThread>,
    runtime: Runtime,
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Entries that are new.
    pub new: u64,
    /// Entries that were there already.
    pub known: u64,
}

impl Console {
    /// Opens the ledger as it is.
    ///
    /// # Errors
    /// When it cannot be opened, does not answer, or its schema is not this program's.
    pub fn open(options: &LedgerOptions) -> Result<Self, ConsoleError> {
        let options =
            LedgerOptions { timeout: options.timeout.max(PATIENCE), migrate: false, ..options.clone() };
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (ledger, thread) = Ledger::open_at(&options, Clock::Unswept)?;
        let console = Self { ledger, thread: Some(thread), runtime };
        // A server out of reach is no error to the ledger; here it is, before a word is printed.
        console.runtime.block_on(console.ledger.usage_of_all(1, None, None))?;
        Ok(console)
    }

    pub(super) fn ask<T>(
        &self,
        asked: impl Future<Output = Result<T, LedgerError>>,
    ) -> Result<T, ConsoleError> {
        Ok(self.runtime.block_on(asked)?)
    }

    /// Hands on every map that the search finds, at most `most`, page by page; how many.
    ///
    /// # Errors
    /// When the ledger cannot say, or the receiver fails.
    pub fn find(
        &self,
        mut search: Search,
        most: u64,
        mut each: impl FnMut(&Kept) -> io::Result<()>,
    ) -> Result<u64, ConsoleError> {
        let mut found = 0;
        while found < most {
            search.most = PAGE.min(usize::try_from(most - found).unwrap_or(PAGE));
            let page = self.runtime.block_on(self.ledger.matching(search.clone()))?;
            page.kept.iter().try_for_each(&mut each)?;
            found += page.kept.len() as u64;
            match page.after {
                Some(after) => search.after = Some(after),
                None => break,
            }
        }
        Ok(found)
    }

    /// As [`Ledger::read`].
    ///
    /// # Errors
    /// When the ledger cannot say.
    pub fn read(
        &self,
        provider: &ProviderId,
        checkpoints: &[CheckpointId],
    ) -> Result<Vec<KeptMap>, ConsoleError> {
        Ok(self.runtime.block_on(self.ledger.read(provider, checkpoints))?)
    }

    /// As [`Ledger::sighted`].
    ///
    /// # Errors
    /// When it is not known to be done.
    pub fn sighted(&self, sights: Vec<Sight>) -> Result<Vec<KeptMap>, ConsoleError> {
        Ok(self.runtime.block_on(self.ledger.sighted(sights))?)
    }

    /// As [`Ledger::forget`].
    ///
    /// # Errors
    /// When it is not known to be done.
    pub fn forget(
        &self,
        tenant: &TenantId,
        provider: &ProviderId,
        checkpoint: &CheckpointId,
    ) -> Result<bool, ConsoleError> {
        Ok(self.runtime.block_on(self.ledger.forget(tenant, provider, checkpoint))?)
    }

    /// Hands on what each tenant holds, or one of them, in order of tenant and application.
    ///
    /// # Errors
    /// When the ledger cannot say, or the receiver fails.
    pub fn usage(
        &self,
        tenant: Option<&TenantId>,
        mut each: impl FnMut(&TenantUsage) -> io::Result<()>,
    ) -> Result<(), ConsoleError> {
        // No name stands before the empty one of the whole tenant, so that behind it is the tenant's first.
        let mut last: Option<TenantUsage> = None;
        loop {
            let page = self.runtime.block_on(self.ledger.usage_of_all(PAGE, tenant, last.as_ref()))?;
            page.iter().try_for_each(&mut each)?;
            if page.len() < PAGE {
                return Ok(());
            }
            last = page.into_iter().next_back();
        }
    }

    /// Reads lines of an export and writes what is new. What is there stays as it is, so that an import that
    /// was cut short is finished by starting it again. `progress` is told after each transaction.
    ///
    /// # Errors
    /// When a line is not of an export, or the ledger cannot go on; what stands before is imported.
    pub fn import(
        &self,
        lines: impl BufRead,
        mut progress: impl FnMut(Imported),
    ) -> Result<Imported, ConsoleError> {
        let mut done = Imported::default();
        let mut batch = Vec::new();
        // Nothing at all is no export either.
        let mut outcome = Err(foreign(1, "there is none"));
        for (number, text) in (1..).zip(lines.lines()) {
            let parsed = text.map_err(ConsoleError::from).and_then(|text| parse(number, &text));
            match parsed {
                Ok(line) => {
                    batch.extend(line);
                    outcome = Ok(());
                }
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
            if batch.len() >= PAGE {
                self.import_batch(&mut batch, &mut done)?;
                progress(done);
            }
        }
        self.import_batch(&mut batch, &mut done)?;
        progress(done);
        outcome.map(|()| done)
    }

    fn import_batch(&self, batch: &mut Vec<Line>, done: &mut Imported) -> Result<(), ConsoleError> {
        let lines = std::mem::take(batch);
        let number = lines.len() as u64;
        if number > 0 {
            let new = self.runtime.block_on(self.ledger.write(Import { lines }))?;
            done.new += new;
            done.known += number - new;
        }
        Ok(())
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // Every call had its answer: there is nothing left to do.
            let _unfinished = thread.close(PATIENCE);
        }
    }
}

/// Brings the schema to this program's version; the version it had and the one it has.
///
/// # Errors
/// When the ledger cannot be opened, or was written by a newer program.
pub fn migrate(options: &LedgerOptions) -> Result<(i64, i64), LedgerError> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| LedgerError::Thread(std::sync::Arc::new(error)))?;
    runtime.block_on(async {
        let mut connection =
            dialect::connect_to_migrate(&options.engine, options.timeout.max(PATIENCE)).await?;
        let found = schema::prepare(&mut connection, true, Clock::System.now()).await?;
        Ok((found, schema::VERSION))
    })
}

pub(super) fn foreign(number: u64, what: impl Into<String>) -> ConsoleError {
    ConsoleError::Foreign { number, what: what.into() }
}

/// The entry of a line; none for the heading, and for an empty line.
pub(super) fn parse(number: u64, text: &str) -> Result<Option<Line>, ConsoleError> {
    let foreign = |what: String| foreign(number, what);
    if number == 1 {
        return match serde_json::from_str::<Heading>(text) {
            Ok(Heading::THIS) => Ok(None),
            Ok(other) => Err(foreign(format!("format {} is not known", other.karbor_admission_ledger))),
            Err(error) => Err(foreign(error.to_string())),
        };
    }
    if text.is_empty() {
        return Ok(None);
    }
    let line: Line = serde_json::from_str(text).map_err(|error| foreign(error.to_string()))?;
    match line.flaw() {
        Some(flaw) => Err(foreign(flaw.to_owned())),
        None => Ok(Some(line)),
    }
}
