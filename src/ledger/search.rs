//! What is searched for, and what is found.

use super::record::Kept;
pub use crate::karbor::filter::Term;
use crate::karbor::{ProviderId, TenantId};

/// What is searched for. Every condition must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// Of this tenant; none for all, which is the operator's view.
    pub tenant: Option<TenantId>,
    /// At this provider.
    pub provider: Option<ProviderId>,
    /// What must be in the map.
    pub terms: Vec<Term>,
    /// The most that are found at once; at least 1.
    pub most: usize,
    /// Go on behind this.
    pub after: Option<After>,
}

pub(super) fn is_in(term: &Term, map: &[(Box<str>, Box<str>)]) -> bool {
    map.iter()
        .any(|(key, value)| *key == term.key && term.value.as_ref().is_none_or(|wanted| wanted == value))
}

/// Where a page of what was found ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After {
    pub(super) tenant: Box<str>,
    pub(super) id: Box<str>,
}

/// A page of what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    /// In the order of tenant, then of time; of checkpoints that exist, and of deleted ones still readable.
    pub kept: Vec<Kept>,
    /// Where to go on; none if this is all.
    pub after: Option<After>,
}
