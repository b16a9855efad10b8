//! Which tenants have a label value of their own. Bounded, and decided once for all workers.
//!
//! A tenant of a request is the client's word until Karbor has carried one out, so only then a first comer may
//! take a place.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::karbor::TenantId;

/// The label value of every tenant without one of its own.
pub(super) const OTHER: &str = "other";
/// The label value, among the limits, of every tenant that is not configured.
pub(super) const DEFAULT: &str = "default";
/// Stands before the id of a tenant whose id would read as one of ours.
pub(super) const ESCAPE: &str = "tenant:";

/// The longest id of a first comer that becomes a label value. Keystone's ids have at most 64 characters.
const MAX_BYTES: usize = 64;

pub(super) struct TenantLabels {
    other: Arc<str>,
    own: RwLock<Own>,
}

struct Own {
    labels: HashMap<TenantId, Arc<str>>,
    /// For first comers.
    places: usize,
    places_taken: usize,
}

impl TenantLabels {
    pub(super) fn new<'a>(named: impl IntoIterator<Item = &'a TenantId>, further: usize) -> Self {
        let labels = named.into_iter().map(|tenant| (tenant.clone(), spell(tenant))).collect();
        Self { other: OTHER.into(), own: RwLock::new(Own { labels, places: further, places_taken: 0 }) }
    }

    /// Gives each of `tenants` a value of its own, whatever places are left.
    pub(super) fn name<'a>(&self, tenants: impl IntoIterator<Item = &'a TenantId>) {
        let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        for tenant in tenants {
            if !own.labels.contains_key(tenant) {
                own.labels.insert(tenant.clone(), spell(tenant));
            }
        }
    }

    /// So many places for first comers from now on. Who has one keeps it.
    pub(super) fn resize(&self, further: usize) {
        self.own.write().unwrap_or_else(PoisonError::into_inner).places = further;
    }

    pub(super) fn of(&self, tenant: &TenantId) -> Arc<str> {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(own.labels.get(tenant).unwrap_or(&self.other))
    }

    /// Gives a tenant that Karbor knows a value of its own, if a place is left.
    pub(super) fn confirm(&self, tenant: &TenantId) {
        let may = |own: &Own| own.places_taken < own.places && !own.labels.contains_key(tenant);
        if !may(&self.own.read().unwrap_or_else(PoisonError::into_inner)) || !is_plain(tenant.as_str()) {
            return;
        }
        let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        // Another worker may have been faster.
        if may(&own) {
            own.places_taken += 1;
            own.labels.insert(tenant.clone(), spell(tenant));
        }
    }
}

/// The label value of a tenant that has one: its id, told apart from our own words. No two tenants share one.
pub(super) fn spell(tenant: &TenantId) -> Arc<str> {
    let id = tenant.as_str();
    if id == OTHER || id == DEFAULT || id.starts_with(ESCAPE) {
        format!("{ESCAPE}{id}").into()
    } else {
        id.into()
    }
}

fn is_plain(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !id.is_empty() && id.len() <= MAX_BYTES && id.bytes().all(plain)
}
