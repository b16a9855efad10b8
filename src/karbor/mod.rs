//! The API we front, as words. Pure.
//!
//! What Karbor makes of a target, a method and a body, and how it words its faults. Leaves every decision
//! to `policy`.

pub mod answer;
pub mod ascii;
pub mod fault;
pub mod filter;
pub mod form;
mod json;
pub mod request;
pub mod request_id;
pub mod route;
pub mod target;

use std::borrow::Borrow;
use std::fmt;

macro_rules! identity {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The identity as it stands in a path, decoded.
            pub fn new(text: impl Into<Box<str>>) -> Self {
                Self(text.into())
            }

            /// The identity as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

identity! {
    /// Who is charged: the `{project_id}` of the path. Karbor holds it against the token's project
    /// (facts, section 7), so it is sound for whatever Karbor then carries out.
    TenantId
}
identity! {
    /// A provider: where checkpoints of a plan are kept.
    ProviderId
}
identity! {
    /// A checkpoint, as Karbor names it in its answer.
    CheckpointId
}

/// Letters, digits and hyphens, at most 64: a UUID in any of its forms, and safe as a segment of a path.
#[must_use]
pub fn is_plain_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
