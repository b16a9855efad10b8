//! Which tenants have a label value of their own. Bounded, and decided once for all workers.
//!
//! A tenant of a request is the client's word until Karbor has answered, so anybody may take up the places
//! of the first comers. What is lost then is detail, never memory.

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
    places_left: usize,
}

impl TenantLabels {
    pub(super) fn new<'a>(named: impl IntoIterator<Item = &'a TenantId>, further: usize) -> Self {
        let labels = named.into_iter().map(|tenant| (tenant.clone(), spell(tenant))).collect();
        Self { other: OTHER.into(), own: RwLock::new(Own { labels, places_left: further }) }
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

    pub(super) fn of(&self, tenant: &TenantId) -> Arc<str> {
        {
            let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(label) = own.labels.get(tenant) {
                return Arc::clone(label);
            }
            if own.places_left == 0 {
                return Arc::clone(&self.other);
            }
        }
        if !is_plain(tenant.as_str()) {
            return Arc::clone(&self.other);
        }
        self.take_place(tenant)
    }

    /// Another worker may have been faster: looks again under the lock.
    fn take_place(&self, tenant: &TenantId) -> Arc<str> {
        let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(label) = own.labels.get(tenant) {
            return Arc::clone(label);
        }
        if own.places_left == 0 {
            return Arc::clone(&self.other);
        }
        own.places_left -= 1;
        let label = spell(tenant);
        own.labels.insert(tenant.clone(), Arc::clone(&label));
        label
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
