//! What the ledger has for the checkpoints of an answer, and what becomes of it there.
//!
//! Leaves the rewriting to `karbor::answer`.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use bytes::Bytes;
use http::HeaderMap;

use super::Proxy;
use super::caller::Caller;
use super::read::Place;
use crate::karbor::answer::{Filling, Seen, Sketch, Status, fill, read_one};
use crate::karbor::{CheckpointId, TenantId};
use crate::ledger::{KeptMap, LedgerError, Map, Sight, State};
use crate::telemetry::exchange::{Exchange, Subject};
use crate::telemetry::metrics::LedgerOperation;

/// The maps kept for the checkpoints of an answer.
#[derive(Default)]
pub(super) struct KeptMaps {
    maps: HashMap<CheckpointId, (TenantId, Map)>,
    bytes: u64,
}

/// Bytes of memory that an entry of a map takes beside its key and value.
const ENTRY: usize = 64;

/// An answer with the kept maps in it.
pub(super) struct Filled {
    /// None if it stays as it came.
    pub(super) body: Option<Bytes>,
    restored: u64,
    altered: u64,
}

impl Filled {
    /// Notes what was put back and what was set right. The latter has an audit line, for `subject`; `headers` are
    /// the answer's.
    pub(super) fn note(
        &self,
        exchange: &mut Exchange,
        caller: &Caller,
        headers: &HeaderMap,
        subject: impl FnOnce() -> Rc<Subject>,
    ) {
        if self.altered > 0 {
            exchange.looks_at(caller.answered_id(headers), caller.method(), subject());
        }
        exchange.filled(self.restored, self.altered);
    }
}

impl KeptMaps {
    pub(super) fn of(kept: impl IntoIterator<Item = KeptMap>) -> Self {
        let mut maps = Self::default();
        for KeptMap { checkpoint, tenant, map, .. } in kept {
            maps.put(checkpoint, (tenant, map));
        }
        maps
    }

    fn put(&mut self, checkpoint: CheckpointId, kept: (TenantId, Map)) {
        let bytes: usize = kept.1.iter().map(|(key, value)| key.len() + value.len() + ENTRY).sum();
        self.bytes += bytes as u64;
        self.maps.insert(checkpoint, kept);
    }

    /// Bytes of memory, about.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds what `others` has for a checkpoint.
    pub(super) fn add(&mut self, seen: &Seen, others: &Self) {
        if let Some(kept) = others.maps.get(&seen.id) {
            self.put(seen.id.clone(), kept.clone());
        }
    }

    /// Their checkpoints.
    pub(super) fn checkpoints(&self) -> impl Iterator<Item = &CheckpointId> {
        self.maps.keys()
    }

    /// The map of a checkpoint, if it was kept for the project that Karbor says it has.
    pub(super) fn map_of(&self, seen: &Seen) -> Option<&[(Box<str>, Box<str>)]> {
        self.maps.get(&seen.id).filter(|(tenant, _)| *tenant == seen.project).map(|(_, map)| &**map)
    }

    pub(super) fn fill(&self, body: &[u8], sketch: &Sketch) -> Filled {
        let filled = fill(body, sketch, |seen| self.map_of(seen));
        let number = |what| filled.results.iter().filter(|result| **result == what).count() as u64;
        let (restored, altered) = (number(Filling::Restored), number(Filling::Altered));
        Filled { body: filled.body.map(Into::into), restored, altered }
    }
}

/// What the ledger has for the checkpoints of an answer: one question for all of them. Those that it does not
/// know may settle reservations whose outcome is unknown; those that Karbor says are deleted free their quota.
pub(super) async fn kept_for(
    proxy: &Proxy,
    place: &Place,
    checkpoints: &[&Seen],
) -> Result<KeptMaps, LedgerError> {
    let Some(ledger) = proxy.ledger.as_ref().filter(|_| !checkpoints.is_empty()) else {
        return Ok(KeptMaps::default());
    };
    let ids: Vec<CheckpointId> = checkpoints.iter().map(|seen| seen.id.clone()).collect();
    let mut kept = proxy.ask(LedgerOperation::Read, ledger.read(&place.provider, &ids)).await?;
    let unknown = sights_of(place, checkpoints, &kept);
    if !unknown.is_empty() {
        kept.extend(proxy.ask(LedgerOperation::Read, ledger.sighted(unknown)).await?);
    }
    for seen in checkpoints.iter().filter(|seen| seen.status == Status::Deleted) {
        if kept.iter().any(|kept| {
            kept.checkpoint == seen.id && kept.tenant == seen.project && kept.state == State::Kept
        }) {
            let forgotten = ledger.forget(&seen.project, &place.provider, &seen.id);
            // It will be seen again, if it fails; others would have to wait as long.
            if proxy.ask(LedgerOperation::Forget, forgotten).await.is_err() {
                break;
            }
        }
    }
    Ok(KeptMaps::of(kept))
}

fn sights_of(place: &Place, checkpoints: &[&Seen], kept: &[KeptMap]) -> Vec<Sight> {
    let known: HashSet<&CheckpointId> = kept.iter().map(|kept| &kept.checkpoint).collect();
    let unknown = checkpoints.iter().filter(|seen| !known.contains(&seen.id));
    unknown
        .filter_map(|seen| {
            Some(Sight {
                tenant: seen.project.clone(),
                provider: place.provider.clone(),
                plan: seen.plan.clone()?,
                checkpoint: seen.id.clone(),
                created_on: seen.created_on.clone(),
            })
        })
        .collect()
}

/// Puts the map that was just admitted into the answer to its creation.
pub(super) fn created(exchange: &mut Exchange, body: Bytes, map: &Map) -> Bytes {
    let Some(sketch) = read_one(&body) else { return body };
    let filled = fill(&body, &sketch, |_only| Some(&**map));
    let restored = filled.results.contains(&Filling::Restored);
    let altered = filled.results.contains(&Filling::Altered);
    exchange.filled(restored.into(), altered.into());
    filled.body.map_or(body, Into::into)
}
