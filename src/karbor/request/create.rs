//! The body of a creation: which members it has, and what is in its map.
//!
//! Leaves the strictness of JSON to `json`.

use std::borrow::Cow;

use super::json::{self, Context, Member, Members, Nested, Object, Value};
use super::{ExtraInfo, Finding, Form, Kind, SetAside, Shape};
use crate::karbor::is_plain_id;
use crate::karbor::json::Read;

/// A creation, as far as it could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateRequest<'b> {
    /// The form it came in.
    pub form: Form,
    /// The plan, where it is a string. Of several the last, as in Karbor.
    pub plan_id: Option<Cow<'b, str>>,
    /// The map; empty where there is none.
    pub extra_info: ExtraInfo<'b>,
    /// Entries that are not in the map but must be judged too. Empty unless there are findings.
    pub set_aside: Vec<SetAside<'b>>,
    /// Whether the fields above say all that the body says.
    pub(super) whole: bool,
}

/// What reading a creation yielded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateRead<'b> {
    /// What should not be there, in the order it was met.
    pub findings: Vec<Finding<'b>>,
    /// The request. None if the body is not JSON, or has no object to be the checkpoint.
    pub request: Option<CreateRequest<'b>>,
}

/// Reads the body of a creation.
#[must_use]
pub fn read_create(body: &[u8], shape: Shape, max_depth: usize) -> CreateRead<'_> {
    let mut document = Document::default();
    let top = Top { document: &mut document, shape };
    let (value, mut findings) = json::read(body, Context::new(body, max_depth), top);
    let request = value.and_then(|value| document.conclude(&mut findings, shape, value.kind()));
    CreateRead { findings, request }
}

/// What the outermost object has.
#[derive(Default)]
struct Document<'b> {
    has_checkpoint: bool,
    wrapped: Option<Draft<'b>>,
    flat: Draft<'b>,
}

/// What the object has that describes the checkpoint.
#[derive(Default)]
struct Draft<'b> {
    plan_id: Option<Value<'b>>,
    has_map: bool,
    extra_info: ExtraInfo<'b>,
    set_aside: Vec<SetAside<'b>>,
}

impl<'b> Document<'b> {
    /// Which form it is can be told only at the end: `checkpoint` may be the last member.
    fn conclude(
        self,
        findings: &mut Vec<Finding<'b>>,
        shape: Shape,
        kind: Kind,
    ) -> Option<CreateRequest<'b>> {
        if kind != Kind::Object {
            malformed(findings, format!("the document is {kind}, not an object"));
            return None;
        }
        let (form, draft) = if self.has_checkpoint {
            if self.flat.plan_id.is_some() {
                unknown(findings, "plan_id".into());
            }
            if self.flat.has_map {
                unknown(findings, "extra-info".into());
            }
            (Form::Wrapped, self.wrapped?)
        } else if shape == Shape::Either {
            (Form::Flat, self.flat)
        } else {
            malformed(findings, "'checkpoint' is missing");
            return None;
        };
        if shape == Shape::Either {
            require_plan_id(findings, draft.plan_id.as_ref());
        }
        let nothing_lost = findings.is_empty();
        let (plan_id, whole) = match draft.plan_id {
            Some(Value::Text(text)) => (Some(text), nothing_lost),
            Some(Value::Other(_)) => (None, false),
            None => (None, nothing_lost),
        };
        let Draft { extra_info, set_aside, .. } = draft;
        Some(CreateRequest { form, plan_id, extra_info, set_aside, whole })
    }
}

fn malformed(findings: &mut Vec<Finding<'_>>, reason: impl Into<Cow<'static, str>>) {
    findings.push(Finding::Malformed { position: None, reason: reason.into() });
}

fn unknown<'b>(findings: &mut Vec<Finding<'b>>, key: Cow<'b, str>) {
    let hint = match &*key {
        "extra_info" => Some("requests spell it 'extra-info'"),
        "plan_id" | "extra-info" => Some("it belongs inside 'checkpoint'"),
        _ => None,
    };
    findings.push(Finding::UnknownMember { key, hint });
}

/// The short form asks Karbor for the plan, so its id becomes a path segment.
fn require_plan_id(findings: &mut Vec<Finding<'_>>, plan_id: Option<&Value<'_>>) {
    match plan_id {
        None => malformed(findings, "'plan_id' is missing"),
        Some(Value::Other(kind)) => malformed(findings, format!("'plan_id' is {kind}, not a string")),
        Some(Value::Text(text)) if !is_plain_id(text) => {
            malformed(findings, "'plan_id' must be 1 to 64 letters, digits or hyphens");
        }
        Some(Value::Text(_)) => {}
    }
}

/// The members of the outermost object.
struct Top<'x, 'b> {
    document: &'x mut Document<'b>,
    shape: Shape,
}

impl<'b> Members<'b> for Top<'_, 'b> {
    fn read(self, context: &mut Context<'b>) -> Read<()> {
        let Self { document, shape } = self;
        let mut object = Object::default();
        while let Some(member) = context.next_member(&mut object)? {
            if member.key == "checkpoint" {
                document.has_checkpoint = true;
                let mut draft = document.wrapped.take().unwrap_or_default();
                let value = context.value(Checkpoint(&mut draft))?;
                match value.kind() {
                    Kind::Object => document.wrapped = Some(draft),
                    kind => {
                        malformed(&mut context.findings, format!("'checkpoint' is {kind}, not an object"))
                    }
                }
            } else if shape == Shape::Either {
                document.flat.read_member(context, member)?;
            } else {
                context.value(Nested)?;
                unknown(&mut context.findings, member.key);
            }
        }
        Ok(())
    }
}

/// The members of `checkpoint`.
struct Checkpoint<'x, 'b>(&'x mut Draft<'b>);

impl<'b> Members<'b> for Checkpoint<'_, 'b> {
    fn read(self, context: &mut Context<'b>) -> Read<()> {
        let mut object = Object::default();
        while let Some(member) = context.next_member(&mut object)? {
            self.0.read_member(context, member)?;
        }
        Ok(())
    }
}

impl<'b> Draft<'b> {
    fn read_member(&mut self, context: &mut Context<'b>, member: Member<'b>) -> Read<()> {
        match &*member.key {
            "plan_id" => self.plan_id = Some(context.value(Nested)?),
            "extra-info" => {
                let aside = std::mem::replace(&mut self.has_map, true);
                self.read_map(context, member.key, aside)?;
            }
            "extra_info" => {
                unknown(&mut context.findings, member.key.clone());
                self.read_map(context, member.key, true)?;
            }
            _ => {
                context.value(Nested)?;
                unknown(&mut context.findings, member.key);
            }
        }
        Ok(())
    }

    fn read_map(&mut self, context: &mut Context<'b>, key: Cow<'b, str>, aside: bool) -> Read<()> {
        let entries = Entries { draft: self, aside };
        let value = context.value(entries)?;
        match value.kind() {
            Kind::Object | Kind::Null => {}
            kind => context.findings.push(Finding::NotAMap { key, kind }),
        }
        Ok(())
    }
}

/// The entries of a map.
struct Entries<'x, 'b> {
    draft: &'x mut Draft<'b>,
    /// Whether another map came first.
    aside: bool,
}

impl<'b> Members<'b> for Entries<'_, 'b> {
    fn read(self, context: &mut Context<'b>) -> Read<()> {
        let Self { draft, aside } = self;
        let mut object = Object::default();
        while let Some(Member { key, repeated }) = context.next_member(&mut object)? {
            match context.value(Nested)? {
                Value::Text(value) if !aside && !repeated => draft.extra_info.push(key, value),
                Value::Text(value) => draft.set_aside.push(SetAside { key, value: Some(value) }),
                Value::Other(kind) => {
                    context.findings.push(Finding::ValueNotAString { key: key.clone(), kind });
                    draft.set_aside.push(SetAside { key, value: None });
                }
            }
        }
        Ok(())
    }
}
