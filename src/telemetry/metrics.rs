//! Every metric, by name. Nothing from a request is ever a label.

use crate::karbor::TenantId;

/// What the metrics are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsOptions {
    /// Tenants with a label value of their own.
    pub named_tenants: Vec<TenantId>,
    /// How many tenants beyond those get one, first come first served; the rest is `other`.
    pub further_tenants: usize,
}
