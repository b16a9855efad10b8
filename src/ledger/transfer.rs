//! Entries as lines, from one ledger into another: whole, charged as they stand, each once.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::charge::{Charged, charge};
use super::connection::Connection;
use super::entry::{Footing, bound_to, find, insert, insert_terms};
use super::error::LedgerError;
use super::job::{Done, Operation};
use super::map::{self, Map};
use super::record::{Millis, Record, State, fitting, state};

/// The first line says which form the others have.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Heading {
    /// 1.
    pub(super) karbor_admission_ledger: u32,
}

impl Heading {
    pub(super) const THIS: Self = Self { karbor_admission_ledger: 1 };
}

/// An entry as a line of JSON.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    pub(super) id: Box<str>,
    tenant: Box<str>,
    provider: Option<Box<str>>,
    plan: Box<str>,
    checkpoint: Option<Box<str>>,
    #[serde(serialize_with = "write_state", deserialize_with = "read_state")]
    state: State,
    extra_info: Object,
    /// Milliseconds since 1970.
    reserved_at: Millis,
    changed_at: Millis,
    due_at: Option<Millis>,
    /// When it counts as a creation; none for what is none, or has no map.
    created_at: Option<Millis>,
    request_id: Box<str>,
    revision: Box<str>,
}

#[derive(Debug, PartialEq, Eq)]
struct Object(Map);

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(map::Entries).map(Self)
    }
}

fn write_state<S: Serializer>(state: &State, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.as_str())
}

fn read_state<'de, D: Deserializer<'de>>(deserializer: D) -> Result<State, D::Error> {
    struct Word;
    impl serde::de::Visitor<'_> for Word {
        type Value = State;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("reserved, kept, deleted or lapsed")
        }

        fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<State, E> {
            State::of(word).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(word), &self))
        }
    }
    deserializer.deserialize_str(Word)
}

/// A bounded page of all entries, in order of their ids.
pub(super) struct Export {
    pub(super) most: i64,
    pub(super) after: Box<str>,
}

impl Operation for Export {
    type Answer = Vec<Line>;
    const READS: bool = true;

    async fn run(&mut self, connection: &mut Connection) -> Result<Done<Vec<Line>>, LedgerError> {
        let sql = "SELECT e.id, e.tenant, e.provider, e.plan, e.checkpoint, e.state, e.map, e.reserved_at, \
                   e.changed_at, e.due_at, s.reserved_at, e.request_id, e.revision \
                   FROM entry e LEFT JOIN share s ON s.entry = e.id AND s.application = '' \
                   WHERE e.id > ? ORDER BY e.id LIMIT ?";
        let rows = connection.rows(sql, &[(&*self.after).into(), self.most.into()]).await?;
        let lines = rows.iter().map(|row| {
            Ok(Line {
                id: row.text(0)?.into(),
                tenant: row.text(1)?.into(),
                provider: row.maybe_text(2)?.map(Into::into),
                plan: row.text(3)?.into(),
                checkpoint: row.maybe_text(4)?.map(Into::into),
                state: state(&row.text(5)?)?,
                extra_info: Object(map::read(&row.text(6)?)?),
                reserved_at: row.number(7)?,
                changed_at: row.number(8)?,
                due_at: row.maybe_number(9)?,
                created_at: row.maybe_number(10)?.filter(|at| *at != super::checkpoints::NEVER),
                request_id: row.text(11)?.into(),
                revision: row.text(12)?.into(),
            })
        });
        Ok(Done::Keep(lines.collect::<Result<_, LedgerError>>()?))
    }
}

/// Whether there is an entry of that id.
pub(super) struct IsThere {
    pub(super) id: Box<str>,
}

impl Operation for IsThere {
    type Answer = bool;
    const READS: bool = true;

    async fn run(&mut self, connection: &mut Connection) -> Result<Done<bool>, LedgerError> {
        Ok(Done::Keep(find(connection, &self.id).await?.is_some()))
    }
}

/// Writes entries that are not there yet. One whose id or checkpoint is there stays as it is there.
pub(super) struct Import {
    pub(super) lines: Vec<Line>,
}

impl Operation for Import {
    /// How many are new.
    type Answer = u64;

    async fn run(&mut self, connection: &mut Connection) -> Result<Done<u64>, LedgerError> {
        let mut new = 0;
        for line in &self.lines {
            let record = line.record();
            if find(connection, &record.id).await?.is_some() {
                continue;
            }
            let checkpoint = line.checkpoint.as_deref().map(fitting);
            if let (Some(provider), Some(checkpoint)) = (&record.provider, &checkpoint)
                && bound_to(connection, &record.tenant, provider, checkpoint).await?.is_some()
            {
                continue;
            }
            let shares: Vec<Charged> = record.shares().iter().map(Charged::from).collect();
            if line.state.is_charged() {
                charge(connection, &record.tenant, &shares).await?;
            }
            let footing = Footing {
                state: line.state,
                checkpoint: checkpoint.as_deref(),
                changed_at: line.changed_at,
                due_at: line.due_at,
            };
            let created_at = line.created_at.unwrap_or(super::checkpoints::NEVER);
            insert(connection, &record, &footing, &shares, created_at).await?;
            if matches!(line.state, State::Kept | State::Deleted) {
                insert_terms(connection, &record.id, &record.tenant, &record.map).await?;
            }
            new += 1;
        }
        Ok(Done::Keep(new))
    }
}

impl Line {
    /// Why no ledger of ours can have written it, if so.
    pub(super) fn flaw(&self) -> Option<&'static str> {
        let is_id = self.id.len() == 32 && self.id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_bound = matches!(self.state, State::Kept | State::Deleted);
        if !is_id {
            Some("its id is not 32 hexadecimal digits")
        } else if is_bound && (self.provider.is_none() || self.checkpoint.is_none()) {
            Some("it is bound to a checkpoint, and names none or no provider")
        } else if !is_bound && self.checkpoint.is_some() {
            Some("it is not bound to a checkpoint, and names one")
        } else if (self.state == State::Kept) != self.due_at.is_none() {
            Some("due_at stands for what is not kept, and only for that")
        } else {
            None
        }
    }

    fn record(&self) -> Record {
        Record {
            id: self.id.clone(),
            tenant: fitting(&self.tenant).into(),
            provider: self.provider.as_deref().map(|provider| fitting(provider).into()),
            plan: fitting(&self.plan).into(),
            map: self.extra_info.0.clone(),
            request_id: fitting(&self.request_id).into(),
            revision: fitting(&self.revision).into(),
            reserved_at: self.reserved_at,
        }
    }
}
