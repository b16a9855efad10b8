//! Strict reading of one document: unique keys, bounded depth, no document in memory.
//!
//! Leaves to `create` which members mean what, and to `mistake` the words for what is no JSON.

use std::borrow::Cow;

use super::keys::Keys;
use super::{Finding, Kind, MAX_DEPTH, mistake};
use crate::karbor::json::{Broken, Read, Scanner};

/// What is carried through one reading.
pub(super) struct Context<'b> {
    pub(super) findings: Vec<Finding<'b>>,
    scanner: Scanner<'b>,
    max_depth: usize,
    depth: usize,
    /// Whether members named like the map are findings.
    watching: bool,
}

impl<'b> Context<'b> {
    pub(super) fn new(body: &'b [u8], max_depth: usize) -> Self {
        let (scanner, max_depth) = (Scanner::of(body), max_depth.min(MAX_DEPTH));
        Self { findings: Vec::new(), scanner, max_depth, depth: 0, watching: false }
    }

    /// Members named `extra-info` or `extra_info` are findings, wherever they are.
    pub(super) fn watching(body: &'b [u8], max_depth: usize) -> Self {
        Self { watching: true, ..Self::new(body, max_depth) }
    }

    fn enter(&mut self) -> Read<()> {
        self.scanner.step();
        self.depth += 1;
        if self.depth > self.max_depth { Err(Broken) } else { Ok(()) }
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    /// The next member's key; a repeated one is a finding.
    pub(super) fn next_member(&mut self, object: &mut Object<'b>) -> Read<Option<Member<'b>>> {
        let Some(key) = self.scanner.next_key(&mut object.begun)? else { return Ok(None) };
        // Free, unless the key was written with escapes.
        let repeated = !object.keys.insert(key.clone());
        if repeated {
            self.findings.push(Finding::DuplicateMember { key: key.clone() });
        }
        Ok(Some(Member { key, repeated }))
    }

    /// Reads a value of any kind, an object by `members`.
    pub(super) fn value(&mut self, members: impl Members<'b>) -> Read<Value<'b>> {
        let kind = match self.scanner.peek()? {
            b'"' => return self.scanner.string().map(Value::Text),
            b'{' => {
                self.enter()?;
                members.read(self)?;
                self.leave();
                Kind::Object
            }
            b'[' => {
                self.enter()?;
                self.items()?;
                self.leave();
                Kind::List
            }
            first => {
                self.scanner.word_or_number(first)?;
                match first {
                    b'n' => Kind::Null,
                    b't' | b'f' => Kind::Boolean,
                    _ => Kind::Number,
                }
            }
        };
        Ok(Value::Other(kind))
    }

    /// The items of a list that was entered, and its end.
    fn items(&mut self) -> Read<()> {
        if self.scanner.peek()? == b']' {
            self.scanner.step();
            return Ok(());
        }
        loop {
            self.value(Nested)?;
            let next = self.scanner.peek()?;
            self.scanner.step();
            match next {
                b',' => {}
                b']' => return Ok(()),
                _ => return Err(Broken),
            }
        }
    }
}

/// An object that is being read.
#[derive(Default)]
pub(super) struct Object<'b> {
    keys: Keys<'b>,
    begun: bool,
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
    /// Reads all of them, and the object's end; each value must be read by [`Context::value`], or it is not judged.
    fn read(self, context: &mut Context<'b>) -> Read<()>;
}

/// An object whose members mean nothing to us.
pub(super) struct Nested;

impl<'b> Members<'b> for Nested {
    fn read(self, context: &mut Context<'b>) -> Read<()> {
        let mut object = Object::default();
        while let Some(Member { key, .. }) = context.next_member(&mut object)? {
            if context.watching && matches!(&*key, "extra-info" | "extra_info") {
                context.findings.push(Finding::ExtraInfoMember { key });
            }
            context.value(Nested)?;
        }
        Ok(())
    }
}

/// Reads the whole document, which is `body`. None where it is not strict JSON, which is then a finding. What was
/// found before that stays.
pub(super) fn read<'b>(
    body: &'b [u8],
    mut context: Context<'b>,
    members: impl Members<'b>,
) -> (Option<Value<'b>>, Vec<Finding<'b>>) {
    let value = context.value(members);
    let Context { mut findings, scanner, max_depth, .. } = context;
    let value = value.and_then(|value| scanner.end().map(|()| value)).ok();
    if value.is_none() {
        findings.push(mistake::finding(body, max_depth));
    }
    (value, findings)
}
