//! Where the checkpoints of an answer stand, and whose they are.
//!
//! Leaves the rewriting to `fill` and `keep`.

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::raw::{self, present};
use super::{checkpoint_id, plain, provider_id};
use crate::karbor::{CheckpointId, ProviderId, TenantId};

/// The most checkpoints of a list. Karbor gives at most 1000, but some of its banks do not keep to that.
const MAX_CHECKPOINTS: usize = 16_384;
/// The most bytes of a project's id.
const MAX_PROJECT_BYTES: usize = 255;

/// Where things stand in the bytes of an answer. Good for those very bytes only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    /// The checkpoints that could be read, in Karbor's order.
    pub checkpoints: Vec<Seen>,
    /// How many could not: without an id and a project, or with a member that stands twice.
    pub unread: usize,
    /// Where Karbor says the next page is. It leads nowhere (facts, section 8).
    pub next: Option<Box<str>>,
    /// The list itself, in the answer to a list.
    pub(super) list: Option<Range<usize>>,
    /// The value of `checkpoints_links`.
    pub(super) links: Option<Range<usize>>,
}

/// A checkpoint in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its id; plain.
    pub id: CheckpointId,
    /// Whose it is, as Karbor says. In the answer to an administrator's creation that is the token's
    /// project, and elsewhere the plan's (facts, section 7, K12).
    pub project: TenantId,
    /// The id of its plan, if plain.
    pub plan: Option<Box<str>>,
    /// Its provider, if plain. The answer to a creation names none.
    pub provider: Option<ProviderId>,
    /// How far it is.
    pub status: Status,
    /// The day it was made, `YYYY-MM-DD`. The answer to a creation names none.
    pub created_on: Option<Box<str>>,
    /// Where the whole object stands.
    pub whole: Range<usize>,
    /// Where the value of its `extra_info` stands, if it has one.
    pub extra_info: Option<Range<usize>>,
}

impl Seen {
    /// The bytes of the whole object, in the answer it was seen in.
    #[must_use]
    pub fn bytes<'b>(&self, body: &'b [u8]) -> &'b [u8] {
        body.get(self.whole.clone()).unwrap_or_default()
    }
}

/// The life of a checkpoint (facts, section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// `protecting`
    Protecting,
    /// `available`
    Available,
    /// `error`
    Error,
    /// `deleting`
    Deleting,
    /// `deleted`; shown, but no longer listed.
    Deleted,
    /// `error-deleting`
    ErrorDeleting,
    /// `wait_copying`
    WaitCopying,
    /// `copying`
    Copying,
    /// Any other, or none.
    Other,
}

impl Status {
    fn of(text: &str) -> Self {
        match text {
            "protecting" => Self::Protecting,
            "available" => Self::Available,
            "error" => Self::Error,
            "deleting" => Self::Deleting,
            "deleted" => Self::Deleted,
            "error-deleting" => Self::ErrorDeleting,
            "wait_copying" => Self::WaitCopying,
            "copying" => Self::Copying,
            _ => Self::Other,
        }
    }
}

/// The members of a checkpoint that matter. One that stands twice is an error.
#[derive(Deserialize)]
struct Checkpoint<'b> {
    #[serde(borrow)]
    id: &'b RawValue,
    #[serde(borrow)]
    project_id: &'b RawValue,
    #[serde(borrow, default, deserialize_with = "present")]
    status: Option<&'b RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    protection_plan: Option<&'b RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    created_at: Option<&'b RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    extra_info: Option<&'b RawValue>,
}

#[derive(Default, Deserialize)]
struct Plan<'b> {
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'b RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    provider_id: Option<&'b RawValue>,
}

#[derive(Deserialize)]
struct Link<'b> {
    #[serde(borrow)]
    rel: &'b RawValue,
    #[serde(borrow)]
    href: &'b RawValue,
}

/// Reads `{"checkpoint": {…}}`, the answer to a creation or a show. None if it is something else; a
/// checkpoint that could not be read is `unread`.
#[must_use]
pub fn read_one(body: &[u8]) -> Option<Sketch> {
    #[derive(Deserialize)]
    struct Answer<'b> {
        #[serde(borrow)]
        checkpoint: &'b RawValue,
    }
    let answer: Answer<'_> = raw::document(body)?;
    let mut sketch = Sketch::default();
    sketch.see(body, answer.checkpoint);
    Some(sketch)
}

/// Reads `{"checkpoints": […], "checkpoints_links": […]}`, the answer to a list. None if it is something else,
/// or longer than any: what is noted of a checkpoint may take more memory than the checkpoint.
#[must_use]
pub fn read_list(body: &[u8]) -> Option<Sketch> {
    #[derive(Deserialize)]
    struct Answer<'b> {
        #[serde(borrow)]
        checkpoints: Vec<&'b RawValue>,
        #[serde(borrow, default, deserialize_with = "present")]
        checkpoints_links: Option<&'b RawValue>,
    }
    let answer: Answer<'_> = raw::document(body)?;
    let items = answer.checkpoints;
    if items.len() > MAX_CHECKPOINTS {
        return None;
    }
    let mut sketch = Sketch {
        checkpoints: Vec::with_capacity(items.len().min(1000)),
        next: answer.checkpoints_links.and_then(next_link),
        list: Some(around(body, &items)?),
        links: match answer.checkpoints_links {
            Some(links) => Some(raw::range(body, links)?),
            None => None,
        },
        ..Sketch::default()
    };
    for item in items {
        sketch.see(body, item);
    }
    Some(sketch)
}

/// Where the list of these items stands, brackets included: to have read it as a value as well would be to read
/// all of it once more.
fn around(body: &[u8], items: &[&RawValue]) -> Option<Range<usize>> {
    let (Some(first), Some(last)) = (items.first(), items.last()) else { return empty(body) };
    let before = body.get(..raw::range(body, first)?.start)?.trim_ascii_end().strip_suffix(b"[")?;
    let behind = body.get(raw::range(body, last)?.end..)?.trim_ascii_start().strip_prefix(b"]")?;
    Some(before.len()..body.len() - behind.len())
}

fn empty(body: &[u8]) -> Option<Range<usize>> {
    #[derive(Deserialize)]
    struct Answer<'b> {
        #[serde(borrow)]
        checkpoints: &'b RawValue,
    }
    let answer: Answer<'_> = raw::document(body)?;
    raw::range(body, answer.checkpoints)
}

impl Sketch {
    fn see(&mut self, body: &[u8], item: &RawValue) {
        match seen(body, item) {
            Some(seen) => self.checkpoints.push(seen),
            None => self.unread += 1,
        }
    }
}

fn seen(body: &[u8], item: &RawValue) -> Option<Seen> {
    let members: Checkpoint<'_> = raw::object(item.get())?;
    let plan: Plan<'_> = match members.protection_plan.map(RawValue::get) {
        Some(plan) if plan.starts_with('{') => raw::object(plan)?,
        _ => Plan::default(),
    };
    let project = raw::text(members.project_id)?;
    if project.is_empty() || project.len() > MAX_PROJECT_BYTES {
        return None;
    }
    Some(Seen {
        id: checkpoint_id(members.id)?,
        project: TenantId::new(project),
        plan: plan.id.and_then(plain),
        provider: plan.provider_id.and_then(provider_id),
        status: members.status.and_then(raw::text).map_or(Status::Other, |status| Status::of(&status)),
        created_on: members.created_at.and_then(day),
        whole: raw::range(body, item)?,
        extra_info: match members.extra_info {
            Some(value) => Some(raw::range(body, value)?),
            None => None,
        },
    })
}

/// A date as Karbor writes it.
fn day(raw: &RawValue) -> Option<Box<str>> {
    let text = raw::text(raw)?;
    let fits = text.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    (fits && text.len() == 10).then(|| text.into())
}

fn next_link(links: &RawValue) -> Option<Box<str>> {
    let links: Vec<&RawValue> = serde_json::from_str(links.get()).ok()?;
    links.into_iter().find_map(|link| {
        let link: Link<'_> = raw::object(link.get())?;
        (raw::text(link.rel)? == "next").then(|| raw::text(link.href))?.map(Into::into)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lists_of_a_bounded_length() {
        for (number, expected) in [(MAX_CHECKPOINTS, Some(MAX_CHECKPOINTS)), (MAX_CHECKPOINTS + 1, None)] {
            let items = vec![r#"{"id": "a", "project_id": "p"}"#; number].join(", ");
            let sketch = read_list(format!(r#"{{"checkpoints": [{items}]}}"#).as_bytes());
            assert_eq!(sketch.map(|sketch| sketch.checkpoints.len()), expected);
        }
    }
}
