//! Strict reading of one JSON document on `serde_json`: unique keys, bounded depth, no document in memory.
//!
//! Leaves to `create` which members mean what.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::keys::Keys;
use super::{Finding, Kind, mistake};

/// What is carried through one reading.
pub(super) struct Context<'b> {
    pub(super) findings: Vec<Finding<'b>>,
    max_depth: usize,
    depth: usize,
    /// Whether members named like the map are findings.
    watching: bool,
}

impl<'b> Context<'b> {
    pub(super) fn new(max_depth: usize) -> Self {
        Self { findings: Vec::new(), max_depth, depth: 0, watching: false }
    }

    /// Members named `extra-info` or `extra_info` are findings, wherever they are.
    pub(super) fn watching(max_depth: usize) -> Self {
        Self { watching: true, ..Self::new(max_depth) }
    }

    fn enter<E: Error>(&mut self) -> Result<(), E> {
        self.depth += 1;
        if self.depth > self.max_depth { Err(E::custom(mistake::TOO_DEEP)) } else { Ok(()) }
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    /// The next member's key; a repeated one is a finding.
    pub(super) fn next_member<A: MapAccess<'b>>(
        &mut self,
        keys: &mut Keys<'b>,
        map: &mut A,
    ) -> Result<Option<Member<'b>>, A::Error> {
        let Some(key) = map.next_key_seed(Text)? else { return Ok(None) };
        // Free, unless the key was written with escapes.
        let repeated = !keys.insert(key.clone());
        if repeated {
            self.findings.push(Finding::DuplicateMember { key: key.clone() });
        }
        Ok(Some(Member { key, repeated }))
    }

    /// Reads a member's value whose members mean nothing to us.
    pub(super) fn next_value<A: MapAccess<'b>>(&mut self, map: &mut A) -> Result<Value<'b>, A::Error> {
        map.next_value_seed(Reader { context: self, members: Nested })
    }
}

/// A member of an object, before its value is read.
pub(super) struct Member<'b> {
    pub(super) key: Cow<'b, str>,
    pub(super) repeated: bool,
}

/// A value, as far as anyone asks.
pub(super) enum Value<'b> {
    Text(Cow<'b, str>),
    Other(Kind),
}

impl Value<'_> {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::String,
            Self::Other(kind) => *kind,
        }
    }
}

/// Reads the members of an object.
pub(super) trait Members<'b> {
    /// Reads all of them; each value must be read by [`Reader`], or it is not judged.
    fn read<A: MapAccess<'b>>(self, context: &mut Context<'b>, map: A) -> Result<(), A::Error>;
}

/// An object whose members mean nothing to us.
pub(super) struct Nested;

impl<'b> Members<'b> for Nested {
    fn read<A: MapAccess<'b>>(self, context: &mut Context<'b>, mut map: A) -> Result<(), A::Error> {
        let mut keys = Keys::default();
        while let Some(Member { key, .. }) = context.next_member(&mut keys, &mut map)? {
            if context.watching && matches!(&*key, "extra-info" | "extra_info") {
                context.findings.push(Finding::ExtraInfoMember { key });
            }
            context.next_value(&mut map)?;
        }
        Ok(())
    }
}

/// Reads one value of any kind, an object by `members`.
///
/// Never by `deserialize_ignored_any`: what it skips it does not hold to UTF-8, and it does not tell keys.
pub(super) struct Reader<'x, 'b, M> {
    pub(super) context: &'x mut Context<'b>,
    pub(super) members: M,
}

impl<'b, M: Members<'b>> DeserializeSeed<'b> for Reader<'_, 'b, M> {
    type Value = Value<'b>;

    fn deserialize<D: Deserializer<'b>>(self, deserializer: D) -> Result<Value<'b>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'b, M: Members<'b>> Visitor<'b> for Reader<'_, 'b, M> {
    type Value = Value<'b>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value<'b>, E> {
        Ok(Value::Other(Kind::Null))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value<'b>, E> {
        Ok(Value::Other(Kind::Boolean))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value<'b>, E> {
        Ok(Value::Other(Kind::Number))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value<'b>, E> {
        Ok(Value::Other(Kind::Number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value<'b>, E> {
        Ok(Value::Other(Kind::Number))
    }

    fn visit_borrowed_str<E>(self, text: &'b str) -> Result<Value<'b>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'b>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'b>>(self, mut list: A) -> Result<Value<'b>, A::Error> {
        self.context.enter()?;
        while list.next_element_seed(Reader { context: &mut *self.context, members: Nested })?.is_some() {}
        self.context.leave();
        Ok(Value::Other(Kind::List))
    }

    fn visit_map<A: MapAccess<'b>>(self, map: A) -> Result<Value<'b>, A::Error> {
        self.context.enter()?;
        self.members.read(self.context, map)?;
        self.context.leave();
        Ok(Value::Other(Kind::Object))
    }
}

/// A key, borrowed unless it was written with escapes.
struct Text;

impl<'b> DeserializeSeed<'b> for Text {
    type Value = Cow<'b, str>;

    fn deserialize<D: Deserializer<'b>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'b> Visitor<'b> for Text {
    type Value = Cow<'b, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, text: &'b str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// Reads the whole document. None where it is not strict JSON, which is then a finding.
pub(super) fn read<'b, M: Members<'b>>(
    body: &'b [u8],
    context: &mut Context<'b>,
    members: M,
) -> Option<Value<'b>> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = Reader { context: &mut *context, members }.deserialize(&mut deserializer);
    match value.and_then(|value| deserializer.end().map(|()| value)) {
        Ok(value) => Some(value),
        Err(error) => {
            context.findings.push(mistake::finding(body, &error));
            None
        }
    }
}
