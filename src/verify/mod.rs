//! A ledger held against a live Karbor: what is missing, what is another project's, what is gone.
//!
//! Sees what one token of one project sees. The ledger is read first: what comes into being meanwhile is in
//! Karbor's list and not missed. Nothing is called gone before Karbor, asked for it alone, says so: its lists
//! may be bounded. Leaves words and exit codes to the caller.

mod ask;

use std::collections::{BTreeMap, HashSet};

use http::StatusCode;

pub use self::ask::{AskError, Karbor};
use crate::karbor::answer::{Seen, Status, read_list, read_one};
use crate::karbor::{CheckpointId, ProviderId, TenantId};
use crate::ledger::{Console, ConsoleError, Kept, Search, Sight, State};

/// Karbor's pages of one list.
const MOST_PAGES: usize = 10_000;
/// Entries of one provider, deleted ones included.
const MOST_ENTRIES: u64 = 10_000_000;

/// The ledger could not be held against Karbor.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The ledger could not say.
    #[error(transparent)]
    Ledger(#[from] ConsoleError),
    /// Karbor could not be asked.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// Karbor answered with something else than what was asked for.
    #[error("Karbor answers {status} to GET {path}")]
    Answer {
        /// With what status.
        status: u16,
        /// To what.
        path: String,
    },
    /// Whoever is told could not listen.
    #[error("cannot write")]
    Telling(#[from] std::io::Error),
}

/// In what the ledger and Karbor differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// Karbor has the checkpoint, the ledger does not know it: made past the proxy, or before it.
    Missing,
    /// The ledger has it for another project than Karbor.
    Foreign,
    /// The ledger has it, Karbor has it no more.
    Gone,
}

impl Difference {
    /// One word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Foreign => "foreign",
            Self::Gone => "gone",
        }
    }
}

/// One checkpoint about which they differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// In what.
    pub difference: Difference,
    /// Which.
    pub checkpoint: CheckpointId,
    /// Whether they agree now.
    pub is_mended: bool,
}

/// How many checkpoints were held against each other, and how many differ still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// In Karbor's list.
    pub listed: u64,
    /// Differences that were not mended.
    pub left: u64,
    /// Differences that were.
    pub mended: u64,
}

/// A ledger, a Karbor, and one project's checkpoints at one provider.
pub struct Verification<'v> {
    /// The ledger.
    pub console: &'v Console,
    /// Karbor, with a token of the project.
    pub karbor: &'v Karbor,
    /// The project.
    pub tenant: &'v TenantId,
    /// The provider.
    pub provider: &'v ProviderId,
    /// Whether to forget what is gone, and to bind what a reservation explains.
    pub mends: bool,
}

impl Verification<'_> {
    /// Compares, and tells `each` what differs.
    ///
    /// # Errors
    /// When the ledger or Karbor cannot say, or whoever is told cannot listen.
    pub fn run(
        &self,
        mut each: impl FnMut(&Finding) -> std::io::Result<()>,
    ) -> Result<Verified, VerifyError> {
        let mut done = Verified::default();
        let mut unmet = self.entries()?;
        let mut missing: BTreeMap<CheckpointId, Option<Sight>> = BTreeMap::new();
        let mut findings = Vec::new();
        self.listed(|page| {
            done.listed += page.len() as u64;
            let ids: Vec<CheckpointId> = page.iter().map(|seen| seen.id.clone()).collect();
            let known = self.console.read(self.provider, &ids)?;
            for seen in page {
                unmet.remove(&seen.id);
                match known.iter().find(|kept| kept.checkpoint == seen.id) {
                    None => drop(missing.insert(seen.id.clone(), self.sight(seen))),
                    Some(kept) if kept.tenant != seen.project => {
                        findings.push((Difference::Foreign, seen.id.clone(), false));
                    }
                    Some(_) => {}
                }
            }
            Ok(())
        })?;
        let tied = if self.mends { self.tie(&missing)? } else { HashSet::new() };
        findings.extend(missing.into_keys().map(|id| {
            let is_tied = tied.contains(&id);
            (Difference::Missing, id, is_tied)
        }));
        for id in unmet {
            if let Some(difference) = self.looked_for(&id)? {
                let forgets = self.mends && difference == Difference::Gone;
                let is_mended = forgets && self.console.forget(self.tenant, self.provider, &id)?;
                findings.push((difference, id, is_mended));
            }
        }
        findings.sort_unstable_by(|one, other| (one.0, one.1.as_str()).cmp(&(other.0, other.1.as_str())));
        for (difference, checkpoint, is_mended) in findings {
            *(if is_mended { &mut done.mended } else { &mut done.left }) += 1;
            each(&Finding { difference, checkpoint, is_mended })?;
        }
        Ok(done)
    }

    /// What the ledger has as there.
    fn entries(&self) -> Result<HashSet<CheckpointId>, VerifyError> {
        let search = Search {
            tenant: Some(self.tenant.clone()),
            provider: Some(self.provider.clone()),
            ..Search::default()
        };
        let mut entries = HashSet::new();
        self.console.find(search, MOST_ENTRIES, |kept: &Kept| {
            if kept.state == State::Kept {
                entries.insert(kept.checkpoint.clone());
            }
            Ok(())
        })?;
        Ok(entries)
    }

    /// Hands on each page of Karbor's list, less what was on an earlier one: some banks ignore markers.
    fn listed(&self, mut each: impl FnMut(&[&Seen]) -> Result<(), VerifyError>) -> Result<(), VerifyError> {
        let mut met = HashSet::new();
        let mut marker = String::new();
        for _ in 0..MOST_PAGES {
            // As the proxy's searches ask: in the other direction some banks go back from a marker.
            let path = format!("{}?limit=1000&sort_dir=asc{marker}", self.collection());
            let (status, body) = self.karbor.get(&path)?;
            let sketch = read_list(&body).filter(|sketch| status == StatusCode::OK && sketch.unread == 0);
            let Some(sketch) = sketch else {
                return Err(VerifyError::Answer { status: status.as_u16(), path });
            };
            let fresh: Vec<&Seen> =
                sketch.checkpoints.iter().filter(|seen| met.insert(seen.id.clone())).collect();
            each(&fresh)?;
            match fresh.last().filter(|_| sketch.next.is_some()) {
                Some(last) => marker = format!("&marker={}", last.id),
                None => break,
            }
        }
        Ok(())
    }

    /// What Karbor says of a checkpoint that it did not list; none if all is well.
    fn looked_for(&self, id: &CheckpointId) -> Result<Option<Difference>, VerifyError> {
        let path = format!("{}/{id}", self.collection());
        let (status, body) = self.karbor.get(&path)?;
        if status == StatusCode::NOT_FOUND {
            return Ok(Some(Difference::Gone));
        }
        // Another project's (facts, section 7).
        if status == StatusCode::FORBIDDEN {
            return Ok(Some(Difference::Foreign));
        }
        let sketch = read_one(&body).filter(|_| status == StatusCode::OK);
        match sketch.as_ref().and_then(|sketch| sketch.checkpoints.first()) {
            Some(seen) if seen.status == Status::Deleted => Ok(Some(Difference::Gone)),
            Some(seen) => Ok((seen.project != *self.tenant).then_some(Difference::Foreign)),
            None => Err(VerifyError::Answer { status: status.as_u16(), path }),
        }
    }

    fn tie(
        &self,
        missing: &BTreeMap<CheckpointId, Option<Sight>>,
    ) -> Result<HashSet<CheckpointId>, VerifyError> {
        let sights: Vec<Sight> = missing.values().flatten().cloned().collect();
        if sights.is_empty() {
            return Ok(HashSet::new());
        }
        Ok(self.console.sighted(sights)?.into_iter().map(|kept| kept.checkpoint).collect())
    }

    fn sight(&self, seen: &Seen) -> Option<Sight> {
        Some(Sight {
            tenant: seen.project.clone(),
            provider: self.provider.clone(),
            plan: seen.plan.clone()?,
            checkpoint: seen.id.clone(),
            created_on: seen.created_on.clone(),
        })
    }

    fn collection(&self) -> String {
        format!("/v1/{}/providers/{}/checkpoints", self.tenant, self.provider)
    }
}
