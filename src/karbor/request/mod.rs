//! Strict JSON of create and update bodies. Pure; reads any bytes without failing.
//!
//! Karbor reads JSON laxly: the last of several equal keys wins, NaN and lone surrogates pass (facts,
//! section 3). Whoever reads otherwise than Karbor can be deceived, so this reads only what all readers
//! read alike, and reports the rest as findings:
//!
//! 1. UTF-8 without a byte order mark; one document, nothing but blanks around it.
//! 2. RFC 8259: no NaN, no comments, no lone surrogates, no numbers beyond an `f64`.
//! 3. Nesting up to a bound.
//! 4. Unique keys in every object, compared after unescaping.
//! 5. A creation is `{"checkpoint": {"plan_id": …, "extra-info": …}}`, or flat where that is offered;
//!    `extra-info` is an object of strings, null or absent.
//!
//! Leaves to `policy` what each finding leads to, and everything about keys and limits.

mod create;
mod extra_info;
mod json;
mod keys;
mod mistake;
#[cfg(test)]
mod tests;
mod write;

use std::borrow::Cow;
use std::fmt;

pub use create::{CreateRead, CreateRequest, read_create};
pub use extra_info::{ExtraInfo, SetAside};
pub use write::wrap_flat;

/// The deepest nesting that can be asked for: the stack goes no deeper, and neither does `serde_json`.
pub const MAX_DEPTH: usize = 127;

/// Which forms of a creation are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `{"checkpoint": {…}}`, as Karbor takes it.
    Wrapped,
    /// The same, or flat as the specification's short form shows it. Needs a readable `plan_id`.
    Either,
}

/// The form a creation came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Inside `checkpoint`.
    Wrapped,
    /// Without it; see [`wrap_flat`].
    Flat,
}

/// A kind of JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// A number.
    Number,
    /// A string.
    String,
    /// `[…]`
    List,
    /// `{…}`
    Object,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::List => "a list",
            Self::Object => "an object",
        })
    }
}

/// What stands in a body and should not. Keys are unescaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding<'b> {
    /// Not strict JSON, or not the shape of a creation.
    Malformed {
        /// 1-based byte position, where the trouble is at one place.
        position: Option<u64>,
        /// One line of ASCII.
        reason: Cow<'static, str>,
    },
    /// A key for the second time in its object.
    DuplicateMember {
        /// The key.
        key: Cow<'b, str>,
    },
    /// A member that a creation does not have.
    UnknownMember {
        /// The key.
        key: Cow<'b, str>,
        /// What would be right.
        hint: Option<&'static str>,
    },
    /// An `extra-info` that is neither an object nor null.
    NotAMap {
        /// The spelling used.
        key: Cow<'b, str>,
        /// What it is.
        kind: Kind,
    },
    /// An entry whose value is not a string.
    ValueNotAString {
        /// The key.
        key: Cow<'b, str>,
        /// What the value is.
        kind: Kind,
    },
    /// A member of an update that is named like the map, in either spelling.
    ExtraInfoMember {
        /// The spelling used.
        key: Cow<'b, str>,
    },
}

/// Reads the body of an update: any JSON document, or none. Finds members named `extra-info` or
/// `extra_info` at any depth, equal keys, and what is not strict JSON.
#[must_use]
pub fn read_update(body: &[u8], max_depth: usize) -> Vec<Finding<'_>> {
    if body.is_empty() {
        return Vec::new();
    }
    json::read(body, json::Context::watching(body, max_depth), json::Nested).1
}
