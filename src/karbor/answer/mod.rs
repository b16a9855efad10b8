//! What the proxy reads in Karbor's answers, and puts into them. Pure; whatever cannot be read is `None`.
//!
//! An answer is looked at where it stands ([`Sketch`]) and never parsed into a document: the rewriting
//! copies every byte but those of the members it sets. What it must not be deceived by:
//!
//! 1. UTF-8 and one JSON object, with a list where a list belongs; neither depth nor numbers matter.
//! 2. A member that is looked at and stands twice makes its checkpoint unreadable.
//! 3. Ids are plain, because they become parts of paths and keys of the ledger.
//!
//! Leaves to the callers which checkpoints get which map.

mod copied;
mod fill;
mod keep;
mod member;
mod raw;
mod sketch;
#[cfg(test)]
mod tests;

use serde_json::value::RawValue;

pub use copied::{Copied, copied_pairs};
pub use fill::{Filled, Filling, fill};
pub use keep::keep;
pub use sketch::{Seen, Sketch, Status, read_list, read_one};

use super::{CheckpointId, ProviderId, is_plain_id};

/// The id of the checkpoint in the answer to a creation.
#[must_use]
pub fn created_checkpoint(body: &[u8]) -> Option<CheckpointId> {
    plain_member(body, ["checkpoint", "id"]).map(CheckpointId::new)
}

/// The provider in the answer to a question for a plan. It becomes part of a path, so it must be an id.
#[must_use]
pub fn provider_of_plan(body: &[u8]) -> Option<ProviderId> {
    plain_member(body, ["plan", "provider_id"]).map(ProviderId::new)
}

fn plain_member(body: &[u8], path: [&str; 2]) -> Option<Box<str>> {
    let text = member::text_at(body, path)?;
    is_plain_id(&text).then(|| text.into())
}

fn checkpoint_id(raw: &RawValue) -> Option<CheckpointId> {
    plain(raw).map(CheckpointId::new)
}

fn provider_id(raw: &RawValue) -> Option<ProviderId> {
    plain(raw).map(ProviderId::new)
}

fn plain(raw: &RawValue) -> Option<Box<str>> {
    let text = raw::text(raw)?;
    is_plain_id(&text).then(|| text.into())
}
