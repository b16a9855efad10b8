//! What an exchange is part of, as its caller says. Leaves reading headers to `proxy`.

use crate::karbor::request_id::RequestId;
use crate::wire::TraceParent;

/// What an exchange is part of, as its caller says; nothing of what was unsound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lineage {
    /// The request that went through OpenStack's services before this one.
    pub global_request_id: Option<RequestId>,
    /// The part of a trace that asks.
    pub parent: Option<TraceParent>,
}
