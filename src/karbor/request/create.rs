//! The body of a creation: which members it has, and what is in its map.
//!
//! Leaves the strictness of JSON to `json`.

use std::borrow::Cow;

use serde::de::MapAccess;

use super::json::{self, Context, Member, Members, Reader, Value};
use super::keys::Keys;
use super::{ExtraInfo, Finding, Form, Kind, SetAside, Shape};
use crate::karbor::is_plain_id;

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
    let mut context = Context::new(max_depth);
    let mut document = Document::default();
    let value = json::read(body, &mut context, Top { document: &mut document, shape });
    let request = value.and_then(|value| document.conclude(&mut context, shape, value.kind()));
    CreateRead { findings: context.findings, request }
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
    fn conclude(self, context: &mut Context<'b>, shape: Shape, kind: Kind) -> Option<CreateRequest<'b>> {
        if kind != Kind::Object {
            context.malformed(format!("the document is {kind}, not an object"));
            return None;
        }
        let (form, draft) = if self.has_checkpoint {
            if self.flat.plan_id.is_some() {
                context.unknown("plan_id".into());
            }
            if self.flat.has_map {
                context.unknown("extra-info".into());
            }
            (Form::Wrapped, self.wrapped?)
        } else if shape == Shape::Either {
            (Form::Flat, self.flat)
        } else {
            context.malformed("'checkpoint' is missing");
            return None;
        };
        if shape == Shape::Either {
            context.require_plan_id(draft.plan_id.as_ref());
        }
        let nothing_lost = context.findings.is_empty();
        let (plan_id, whole) = match draft.plan_id {
            Some(Value::Text(text)) => (Some(text), nothing_lost),
            Some(Value::Other(_)) => (None, false),
            None => (None, nothing_lost),
        };
        let Draft { extra_info, set_aside, .. } = draft;
        Some(CreateRequest { form, plan_id, extra_info, set_aside, whole })
    }
}

impl<'b> Context<'b> {
    fn malformed(&mut self, reason: impl Into<Cow<'static, str>>) {
        self.findings.push(Finding::Malformed { position: None, reason: reason.into() });
    }

    fn unknown(&mut self, key: Cow<'b, str>) {
        let hint = match &*key {
            "extra_info" => Some("requests spell it 'extra-info'"),
            "plan_id" | "extra-info" => Some("it belongs inside 'checkpoint'"),
            _ => None,
        };
        self.findings.push(Finding::UnknownMember { key, hint });
    }

    /// The short form asks Karbor for the plan, so its id becomes a path segment.
    fn require_plan_id(&mut self, plan_id: Option<&Value<'b>>) {
        match plan_id {
            None => self.malformed("'plan_id' is missing"),
            Some(Value::Other(kind)) => self.malformed(format!("'plan_id' is {kind}, not a string")),
            Some(Value::Text(text)) if !is_plain_id(text) => {
                self.malformed("'plan_id' must be 1 to 64 letters, digits or hyphens");
            }
            Some(Value::Text(_)) => {}
        }
    }
}

/// The members of the outermost object.
struct Top<'x, 'b> {
    document: &'x mut Document<'b>,
    shape: Shape,
}

impl<'b> Members<'b> for Top<'_, 'b> {
    fn read<A: MapAccess<'b>>(self, context: &mut Context<'b>, mut map: A) -> Result<(), A::Error> {
        let Self { document, shape } = self;
        let mut keys = Keys::default();
        while let Some(member) = context.next_member(&mut keys, &mut map)? {
            if member.key == "checkpoint" {
                document.has_checkpoint = true;
                let mut draft = document.wrapped.take().unwrap_or_default();
                let value =
                    map.next_value_seed(Reader { context: &mut *context, members: Checkpoint(&mut draft) })?;
                match value.kind() {
                    Kind::Object => document.wrapped = Some(draft),
                    kind => context.malformed(format!("'checkpoint' is {kind}, not an object")),
                }
            } else if shape == Shape::Either {
                document.flat.read_member(context, &mut map, member)?;
            } else {
                context.next_value(&mut map)?;
                context.unknown(member.key);
            }
        }
        Ok(())
    }
}

/// The members of `checkpoint`.
struct Checkpoint<'x, 'b>(&'x mut Draft<'b>);

impl<'b> Members<'b> for Checkpoint<'_, 'b> {
    fn read<A: MapAccess<'b>>(self, context: &mut Context<'b>, mut map: A) -> Result<(), A::Error> {
        let mut keys = Keys::default();
        while let Some(member) = context.next_member(&mut keys, &mut map)? {
            self.0.read_member(context, &mut map, member)?;
        }
        Ok(())
    }
}

impl<'b> Draft<'b> {
    fn read_member<A: MapAccess<'b>>(
        &mut self,
        context: &mut Context<'b>,
        map: &mut A,
        member: Member<'b>,
    ) -> Result<(), A::Error> {
        match &*member.key {
            "plan_id" => self.plan_id = Some(context.next_value(map)?),
            "extra-info" => {
                let aside = std::mem::replace(&mut self.has_map, true);
                self.read_map(context, map, member.key, aside)?;
            }
            "extra_info" => {
                context.unknown(member.key.clone());
                self.read_map(context, map, member.key, true)?;
            }
            _ => {
                context.next_value(map)?;
                context.unknown(member.key);
            }
        }
        Ok(())
    }

    fn read_map<A: MapAccess<'b>>(
        &mut self,
        context: &mut Context<'b>,
        map: &mut A,
        key: Cow<'b, str>,
        aside: bool,
    ) -> Result<(), A::Error> {
        let entries = Entries { draft: self, aside };
        let value = map.next_value_seed(Reader { context: &mut *context, members: entries })?;
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
    fn read<A: MapAccess<'b>>(self, context: &mut Context<'b>, mut map: A) -> Result<(), A::Error> {
        let Self { draft, aside } = self;
        let mut keys = Keys::default();
        while let Some(Member { key, repeated }) = context.next_member(&mut keys, &mut map)? {
            match context.next_value(&mut map)? {
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
