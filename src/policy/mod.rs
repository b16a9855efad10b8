//! The rules. Pure: bytes in, verdict out; never fails, whatever the bytes.
//!
//! A review reports every violation, in this order. Rules 1 and 2 are seen before a body can be read, so
//! `proxy` measures and [`Policy::judge`] says what follows.
//!
//! 1. `unsupported-media-type`: Karbor parses just `application/json`; what it does not parse it cannot create.
//! 2. `body-too-large`: a body is held in memory while it is reviewed.
//! 3. `malformed-body`: only what all readers read alike (see [`crate::karbor::request`]).
//! 4. `duplicate-member`: Karbor takes the last, others the first.
//! 5. `unknown-member`: a creation has `plan_id` and `extra-info`, nothing else.
//! 6. `not-a-map`: `extra-info` is an object; null and absent mean none, because the client sends null.
//! 7. `value-not-a-string`: every value is a string.
//! 8. `malformed-key`: a bridged key, `karbor-NAME` or `x-APPLICATION--NAME`. Rules 9 to 11 need one of these.
//! 9. `unknown-karbor-key`: a `karbor-` key is among the recognised ones.
//! 10. `karbor-key-value`: its value is among those configured for it, where some are.
//! 11. `application-not-allowed`: the tenant may write that application.
//! 12. `key-too-long`, 13. `value-too-long`: for each entry, bridged ones too.
//! 14. `too-many-entries`, 15. `extra-info-too-large`: over all entries, whatever is wrong with them.
//! 16. `read-only`: an update that names the map.
//! 17. `quota-exceeded`, 18. `rate-exceeded`: what the tenant and each of its applications have in the ledger,
//!     and this creation; only once nothing else denies it (see [`Policy::review_quotas`]).
//!
//! What a violation leads to is the tenant's stance on its rule. Leaves statuses to `proxy`, the file's
//! shape to `config`, keeping count to the ledger.

pub mod enforcement;
pub mod key;
pub mod limits;
mod message;
pub mod namespace;
pub mod quota;
mod review;
mod tally;
pub mod verdict;

use std::collections::HashMap;
use std::sync::Arc;

pub use enforcement::{Enforcement, Stances};
pub use limits::{Bound, Limits};
pub use namespace::Applications;
pub use quota::{Measure, Quota, Quotas, Rate, Recent, Share, Standing, Usage, shares};
pub use tally::Breach;
pub use verdict::{Charge, Rule, Verdict, Violation, Violations};

use crate::karbor::TenantId;
use crate::karbor::request::{CreateRequest, Shape};
use tally::Tally;

/// What holds for one tenant, everything inherited filled in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TenantRules {
    /// Bounds on one request.
    pub limits: Limits,
    /// Bounds over time.
    pub quotas: Quotas,
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
    pub tenants: Arc<HashMap<TenantId, Arc<TenantRules>>>,
    /// Unprefixed keys of Karbor's own operation engine that are admitted as they are.
    pub bridged_keys: Vec<Box<str>>,
    /// The recognised `karbor-` keys, and the values each may have; none listed means any.
    pub karbor_keys: Vec<(Box<str>, Vec<Box<str>>)>,
    /// The most violations reported for one request; 0 is taken as 1.
    pub violations_reported: usize,
    /// The deepest nesting of a body, the outermost object included. More than
    /// [`MAX_DEPTH`](crate::karbor::request::MAX_DEPTH) has no effect.
    pub max_depth: usize,
}

/// Compiled rules and their revision. Immutable; read once per request.
#[derive(Clone, Debug)]
pub struct Policy {
    spec: PolicySpec,
}

/// The outcome of reviewing a creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateReview<'b> {
    /// Whether it may go on.
    pub verdict: Verdict,
    /// What it asks for, also where it is denied. None if it could not be read.
    pub request: Option<CreateRequest<'b>>,
}

impl Policy {
    /// The policy that the spec describes.
    #[must_use]
    pub const fn new(spec: PolicySpec) -> Self {
        Self { spec }
    }

    /// Names this policy in metrics, audit lines and logs.
    #[must_use]
    pub fn revision(&self) -> &str {
        &self.spec.revision
    }

    /// What holds for `tenant`, named or not.
    #[must_use]
    pub fn rules_of(&self, tenant: &str) -> &TenantRules {
        self.spec.tenants.get(tenant).unwrap_or(&self.spec.default)
    }

    /// The tenants named.
    pub fn tenants(&self) -> impl Iterator<Item = &TenantId> {
        self.spec.tenants.keys()
    }

    /// The keys admitted as they are; [`Charge::bridged`] has indexes into this list.
    #[must_use]
    pub fn bridged_keys(&self) -> &[Box<str>] {
        &self.spec.bridged_keys
    }

    /// The recognised `karbor-` keys, and the values each may have; none listed means any.
    #[must_use]
    pub fn karbor_keys(&self) -> &[(Box<str>, Vec<Box<str>>)] {
        &self.spec.karbor_keys
    }

    /// Reviews the body of a creation under rules 3 to 15.
    ///
    /// A body that cannot be read is admitted only where `malformed-body` is not enforced; its charge is
    /// then zero, because nothing in it was judged.
    // `benches/instructions` finds it by its name.
    #[inline(never)]
    #[must_use]
    pub fn review_create<'b>(&self, tenant: &str, shape: Shape, body: &'b [u8]) -> CreateReview<'b> {
        review::create(&self.spec, self.rules_of(tenant), shape, body)
    }

    /// Reviews the body of a PUT, PATCH or POST on an existing checkpoint under rules 3, 4 and 16. An
    /// empty body breaks none.
    #[must_use]
    pub fn review_update(&self, tenant: &str, body: &[u8]) -> Verdict {
        review::update(&self.spec, self.rules_of(tenant), body)
    }

    /// Reviews the shares of an admitted map against where each stands, under rules 17 and 18. `standings` are
    /// in the order of `shares`; a share without one is taken for the first of its kind. The charge is that of
    /// the review of the body, not of this one.
    #[must_use]
    pub fn review_quotas(&self, tenant: &str, shares: &[Share], standings: &[Standing]) -> Verdict {
        quota::review(self.rules_of(tenant), self.spec.violations_reported, shares, standings)
    }

    /// Judges a breach that was seen outside a body. What is noted without a denial belongs into the later
    /// review, by [`Verdict::with_noted`].
    #[must_use]
    pub fn judge(&self, tenant: &str, breach: Breach<'_>) -> Verdict {
        let mut tally = Tally::new(&self.rules_of(tenant).stances, self.spec.violations_reported);
        tally.add(breach);
        tally.conclude(Charge::default())
    }
}
