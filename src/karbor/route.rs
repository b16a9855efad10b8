//! (method, canonical target) → what Karbor would do with it.
//!
//! Leaves the spelling of targets to `target`, what follows from a route to `proxy`.

/// The kinds of route, for labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RouteKind {
    /// A checkpoint creation as Karbor knows it.
    Create,
    /// A checkpoint creation in the specification's short form.
    CreateShort,
    /// A PUT, PATCH or POST on an existing checkpoint or below it.
    Update,
    /// A write to an `extra-info` sub-resource of a checkpoint.
    ExtraInfoWrite,
    /// A list of checkpoints.
    List,
    /// One checkpoint.
    Show,
    /// Deletion of a checkpoint.
    Delete,
    /// Copies of a plan's checkpoints.
    Copy,
    /// Anything else.
    Pass,
}

impl RouteKind {
    /// Every kind.
    pub const ALL: [RouteKind; 9] = [
        Self::Create,
        Self::CreateShort,
        Self::Update,
        Self::ExtraInfoWrite,
        Self::List,
        Self::Show,
        Self::Delete,
        Self::Copy,
        Self::Pass,
    ];

    /// The label value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::CreateShort => "create-short",
            Self::Update => "update",
            Self::ExtraInfoWrite => "extra-info-write",
            Self::List => "list",
            Self::Show => "show",
            Self::Delete => "delete",
            Self::Copy => "copy",
            Self::Pass => "pass",
        }
    }
}
