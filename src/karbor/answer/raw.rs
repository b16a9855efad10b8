//! Values as they stand in the text of an answer, unread.
//!
//! Leaves to the callers which members mean what.

use std::borrow::Cow;
use std::ops::Range;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Reads an object, and nothing else: `serde` would take a list's items for a struct's members.
pub(super) fn object<'b, T: Deserialize<'b>>(text: &'b str) -> Option<T> {
    if !text.trim_ascii_start().starts_with('{') {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// A whole answer that is an object.
pub(super) fn document<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Option<T> {
    object(std::str::from_utf8(body).ok()?)
}

/// A string, borrowed unless it was written with escapes.
pub(super) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inside = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inside.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inside));
    }
    serde_json::from_str(raw.get()).ok().map(Cow::Owned)
}

/// A member that is there, be it `null`.
pub(super) fn present<'b, D: Deserializer<'b>>(deserializer: D) -> Result<Option<&'b RawValue>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

/// Where a value borrowed from `body` stands in it.
pub(super) fn range(body: &[u8], raw: &RawValue) -> Option<Range<usize>> {
    let start = raw.get().as_ptr().addr().checked_sub(body.as_ptr().addr())?;
    let range = start..start.checked_add(raw.get().len())?;
    body.get(range.clone()).map(|_within| range)
}
