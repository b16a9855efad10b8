//! What a copy made of what (facts, section 6). Leaves to the callers what a copy inherits.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{checkpoint_id, plain, provider_id, raw};
use crate::karbor::{CheckpointId, ProviderId};

/// What the answer to a copy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The provider of both, if plain.
    pub provider: Option<ProviderId>,
    /// The plan of both, if plain.
    pub plan: Option<Box<str>>,
    /// Originals, and what was made of each.
    pub pairs: Vec<(CheckpointId, CheckpointId)>,
}

#[derive(Deserialize)]
struct Answer<'b> {
    #[serde(borrow)]
    copy: &'b RawValue,
}

#[derive(Deserialize)]
struct Copy<'b> {
    #[serde(borrow)]
    provider_id: &'b RawValue,
    #[serde(borrow)]
    plan_id: &'b RawValue,
    #[serde(borrow)]
    checkpoint_id: &'b RawValue,
}

#[derive(Deserialize)]
struct Pair<'b> {
    #[serde(borrow)]
    checkpoint_protect_id: &'b RawValue,
    #[serde(borrow)]
    checkpoint_copy_id: &'b RawValue,
}

/// Reads `{"copy": {"checkpoint_id": [{"checkpoint_protect_id", "checkpoint_copy_id"}, …], …}}`. None if it
/// is something else; a pair that cannot be read is left out.
#[must_use]
pub fn copied_pairs(body: &[u8]) -> Option<Copied> {
    let answer: Answer<'_> = raw::document(body)?;
    let copy: Copy<'_> = raw::object(answer.copy.get())?;
    let pairs: Vec<&RawValue> = serde_json::from_str(copy.checkpoint_id.get()).ok()?;
    let pair = |raw: &RawValue| {
        let pair: Pair<'_> = raw::object(raw.get())?;
        Some((checkpoint_id(pair.checkpoint_protect_id)?, checkpoint_id(pair.checkpoint_copy_id)?))
    };
    Some(Copied {
        provider: provider_id(copy.provider_id),
        plan: plain(copy.plan_id),
        pairs: pairs.into_iter().filter_map(pair).collect(),
    })
}
