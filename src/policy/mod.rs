//! The rules. Pure: bytes in, verdict out. Leaves statuses to `proxy`, the file's shape to `config`.

pub mod enforcement;
pub mod limits;
pub mod namespace;
pub mod verdict;

use std::collections::HashMap;
use std::sync::Arc;

pub use enforcement::{Enforcement, Stances};
pub use limits::{Bound, Limits};
pub use namespace::Applications;
pub use verdict::{Charge, Rule, Verdict, Violation, Violations};

use crate::karbor::TenantId;

/// What holds for one tenant, everything inherited filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRules {
    /// Bounds on one request.
    pub limits: Limits,
    /// The applications it may write.
    pub applications: Applications,
    /// What each broken rule leads to.
    pub stances: Stances,
}

/// What a policy is made of.
#[derive(Clone, Debug)]
pub struct PolicySpec {
    /// Names this policy in metrics, audit lines and logs.
    pub revision: Box<str>,
    /// For every tenant not named.
    pub default: Arc<TenantRules>,
    /// For the tenants named.
    pub tenants: HashMap<TenantId, Arc<TenantRules>>,
    /// Unprefixed keys of Karbor's own operation engine that are admitted as they are.
    pub bridged_keys: Vec<Box<str>>,
    /// The recognised `karbor-` keys, and the values each may have; none listed means any.
    pub karbor_keys: Vec<(Box<str>, Vec<Box<str>>)>,
    /// The most violations reported for one request.
    pub violations_reported: usize,
    /// The deepest nesting of a body.
    pub max_depth: usize,
}
