//! Bounds on one request. Leaves bounds over time to `quota`.

use std::fmt;

/// A bound on a number or a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bound {
    /// At most this many; 0 means none.
    AtMost(u64),
    /// No bound.
    Unlimited,
}

impl Bound {
    /// Whether `measured` keeps to the bound.
    #[must_use]
    pub const fn admits(self, measured: u64) -> bool {
        match self {
            Self::AtMost(most) => measured <= most,
            Self::Unlimited => true,
        }
    }

    /// The number, where there is one.
    #[must_use]
    pub const fn number(self) -> Option<u64> {
        match self {
            Self::AtMost(most) => Some(most),
            Self::Unlimited => None,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "{most}"),
            Self::Unlimited => f.write_str("unlimited"),
        }
    }
}

/// The limits of one tenant. Sizes are bytes of UTF-8 after unescaping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Entries in one map.
    pub entries: Bound,
    /// Bytes of one key.
    pub key_bytes: Bound,
    /// Bytes of one value.
    pub value_bytes: Bound,
    /// Bytes of all keys and values together.
    pub total_bytes: Bound,
    /// Bytes of the request body. Always bounded: a body is held in memory while it is reviewed.
    pub body_bytes: u64,
}

impl Limits {
    /// The limits as shipped.
    pub const SHIPPED: Self = Self {
        entries: Bound::AtMost(64),
        key_bytes: Bound::AtMost(255),
        value_bytes: Bound::AtMost(1024),
        total_bytes: Bound::AtMost(16384),
        body_bytes: 131_072,
    };
}
