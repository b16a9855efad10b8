//! A ledger held against a live Karbor: what is missing, what is another project's, what is gone.
//!
//! Sees what one token of one project sees, and mends nothing before all of it was seen. The ledger is read first: what
//! comes into being meanwhile is in Karbor's list and not missed; what differs is looked at a second time. Nothing is
//! called gone before Karbor, asked for it alone, says so: its lists may be bounded. Leaves words and exit codes to
//! the caller.

mod ask;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use http::StatusCode;

pub use self::ask::{AskError, Karbor};
use crate::karbor::answer::{Seen, Status, read_list, read_one};
use crate::karbor::{CheckpointId, ProviderId, TenantId};
use crate::ledger::{Console, ConsoleError, Kept, KeptMap, Search, Sight, State};

/// Karbor's pages of one list.
const MOST_PAGES: usize = 10_000;
/// Entries of one provider, deleted ones included.
const MOST_ENTRIES: u64 = 10_000_000;
/// Checkpoints of one question to the ledger.
const MOST_ASKED: usize = 1000;

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
    #[error("Karbor answers {status} to GET {path}, and not what was asked")]
    Answer {
        /// With what status.
        status: u16,
        /// To what.
        path: String,
    },
    /// There is more than can be held against each other.
    #[error("there are more than {0}")]
    TooMany(&'static str),
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
    /// The ledger has it, Karbor says that it is deleted.
    Gone,
    /// The ledger has it, Karbor does not find it. It says so too where its bank cannot be read, or the token's role may
    /// not see it.
    Unfound,
}

impl Difference {
    /// One word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Foreign => "foreign",
            Self::Gone => "gone",
            Self::Unfound => "unfound",
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

/// What was seen.
#[derive(Default)]
struct Comparison {
    listed: u64,
    missing: BTreeMap<CheckpointId, Option<Sight>>,
    others: BTreeSet<(Difference, CheckpointId)>,
    /// Of the unfound, those that are not there although Karbor could say so.
    proven: HashSet<CheckpointId>,
}

impl Verification<'_> {
    /// Compares, and tells `each` what differs. What fails half way has told and mended nothing.
    ///
    /// # Errors
    /// When the ledger or Karbor cannot say, or whoever is told cannot listen.
    pub fn run(
        &self,
        mut each: impl FnMut(&Finding) -> std::io::Result<()>,
    ) -> Result<Verified, VerifyError> {
        let seen = self.compare()?;
        let mut done = Verified { listed: seen.listed, ..Verified::default() };
        let mut tell = |difference, checkpoint, is_mended| {
            *(if is_mended { &mut done.mended } else { &mut done.left }) += 1;
            each(&Finding { difference, checkpoint, is_mended })
        };
        let alone = alone(&seen.missing);
        for id in seen.missing.into_keys() {
            let is_tied = match alone.get(&id) {
                Some(sight) if self.mends => !self.console.sighted(vec![sight.clone()])?.is_empty(),
                _ => false,
            };
            tell(Difference::Missing, id, is_tied)?;
        }
        for (difference, id) in seen.others {
            let is_sure = difference == Difference::Gone || seen.proven.contains(&id);
            let is_mended = self.mends && is_sure && self.console.forget(self.tenant, self.provider, &id)?;
            tell(difference, id, is_mended)?;
        }
        Ok(done)
    }

    /// Only looks.
    fn compare(&self) -> Result<Comparison, VerifyError> {
        let mut seen = Comparison::default();
        let mut unmet = self.entries()?;
        let mut control = None;
        self.listed(|page| {
            seen.listed += page.len() as u64;
            control = page.last().map(|last| last.id.clone()).or_else(|| control.take());
            let ids: Vec<CheckpointId> = page.iter().map(|seen| seen.id.clone()).collect();
            let known = self.console.read(self.provider, &ids)?;
            for listed in page {
                unmet.remove(&listed.id);
                let mut entries = known.iter().filter(|kept| kept.checkpoint == listed.id).peekable();
                if entries.peek().is_none() {
                    seen.missing.insert(listed.id.clone(), self.sight(listed));
                } else if !entries.any(|kept| kept.tenant == listed.project) {
                    seen.others.insert((Difference::Foreign, listed.id.clone()));
                }
            }
            Ok(())
        })?;
        // Creations that were under way are kept by now.
        let missing: Vec<CheckpointId> = seen.missing.keys().cloned().collect();
        self.known(&missing, |kept| drop(seen.missing.remove(&kept.checkpoint)))?;
        let unmet: Vec<CheckpointId> = unmet.into_iter().collect();
        let mut unlisted = BTreeMap::new();
        for id in &unmet {
            if let Some(difference) = self.looked_for(id)? {
                unlisted.insert(id.clone(), difference);
            }
        }
        if self.mends {
            self.look_again(&mut unlisted, control, &mut seen.proven)?;
        }
        // What was deleted through the proxy meanwhile, the ledger has as gone itself.
        let unlisted_ids: Vec<CheckpointId> = unlisted.keys().cloned().collect();
        self.known(&unlisted_ids, |kept| {
            if kept.tenant == *self.tenant
                && kept.state == State::Kept
                && let Some(difference) = unlisted.remove(&kept.checkpoint)
            {
                seen.others.insert((difference, kept.checkpoint.clone()));
            }
        })?;
        Ok(seen)
    }

    /// Looks a second time for what was not found, while Karbor shows one that it lists: before and after that.
    fn look_again(
        &self,
        unlisted: &mut BTreeMap<CheckpointId, Difference>,
        control: Option<CheckpointId>,
        proven: &mut HashSet<CheckpointId>,
    ) -> Result<(), VerifyError> {
        let unfound = unlisted.iter().filter(|(_, difference)| **difference == Difference::Unfound);
        let unfound: Vec<CheckpointId> = unfound.map(|(id, _)| id.clone()).collect();
        let is_shown = |control: &CheckpointId| {
            self.looked_for(control).map(|difference| difference != Some(Difference::Unfound))
        };
        let Some(control) = control.filter(|_| !unfound.is_empty()) else { return Ok(()) };
        if !is_shown(&control)? {
            return Ok(());
        }
        let mut again = HashSet::new();
        for id in unfound {
            match self.looked_for(&id)? {
                Some(Difference::Unfound) => drop(again.insert(id)),
                Some(difference) => drop(unlisted.insert(id, difference)),
                None => drop(unlisted.remove(&id)),
            }
        }
        if is_shown(&control)? {
            *proven = again;
        }
        Ok(())
    }

    /// Hands on what the ledger knows of these now.
    fn known(&self, ids: &[CheckpointId], mut each: impl FnMut(&KeptMap)) -> Result<(), VerifyError> {
        for some in ids.chunks(MOST_ASKED) {
            self.console.read(self.provider, some)?.iter().for_each(&mut each);
        }
        Ok(())
    }

    /// What the ledger has as there.
    fn entries(&self) -> Result<HashSet<CheckpointId>, VerifyError> {
        let search = Search {
            tenant: Some(self.tenant.clone()),
            provider: Some(self.provider.clone()),
            ..Search::default()
        };
        let mut entries = HashSet::new();
        let found = self.console.find(search, MOST_ENTRIES, |kept: &Kept| {
            if kept.state == State::Kept {
                entries.insert(kept.checkpoint.clone());
            }
            Ok(())
        })?;
        if found < MOST_ENTRIES { Ok(entries) } else { Err(VerifyError::TooMany("10 million entries")) }
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
                None => return Ok(()),
            }
        }
        Err(VerifyError::TooMany("10 000 pages of Karbor's list"))
    }

    /// What Karbor says of a checkpoint that it did not list; none if all is well.
    fn looked_for(&self, id: &CheckpointId) -> Result<Option<Difference>, VerifyError> {
        let path = format!("{}/{}", self.collection(), segment(id.as_str()));
        let (status, body) = self.karbor.get(&path)?;
        // In Karbor's words: others on the way may know nothing of the path.
        if status == StatusCode::NOT_FOUND && memchr::memmem::find(&body, b"\"itemNotFound\"").is_some() {
            return Ok(Some(Difference::Unfound));
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

/// Those that are the only missing ones of their plan: no other can be of the same reservation.
fn alone(missing: &BTreeMap<CheckpointId, Option<Sight>>) -> BTreeMap<CheckpointId, Sight> {
    let mut alike: BTreeMap<(&TenantId, &str), Vec<&Sight>> = BTreeMap::new();
    for sight in missing.values().flatten() {
        alike.entry((&sight.tenant, &sight.plan)).or_default().push(sight);
    }
    let alone = alike.into_values().filter(|sights| sights.len() == 1).flatten();
    alone.map(|sight| (sight.checkpoint.clone(), sight.clone())).collect()
}

/// An id as one segment of a path: an import may have brought any.
fn segment(id: &str) -> String {
    let mut text = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}
