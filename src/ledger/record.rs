//! An entry as it is written and read: identities, states, what a creation brings along.

use std::borrow::Cow;

use super::connection::Row;
use super::error::LedgerError;
use super::map::{self, Map};
use crate::karbor::{CheckpointId, ProviderId, TenantId};
use crate::policy::{Share, shares};

/// Milliseconds since 1970, UTC, by the clock of the proxy that wrote it.
pub type Millis = i64;

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Karbor was, or will be, asked; charged until that is settled or the lease ends.
    Reserved,
    /// The checkpoint exists; charged.
    Kept,
    /// The checkpoint was deleted; not charged, readable for a while.
    Deleted,
    /// The lease ended before the outcome was known; not charged.
    Lapsed,
}

impl State {
    const ALL: [Self; 4] = [Self::Reserved, Self::Kept, Self::Deleted, Self::Lapsed];

    /// Its word in the database and in exports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Kept => "kept",
            Self::Deleted => "deleted",
            Self::Lapsed => "lapsed",
        }
    }

    /// The state of that word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether its shares count.
    pub(super) const fn is_charged(self) -> bool {
        matches!(self, Self::Reserved | Self::Kept)
    }
}

/// What was admitted with a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Whose checkpoint it is.
    pub tenant: TenantId,
    /// Where it is kept.
    pub provider: ProviderId,
    /// The plan it is of.
    pub plan: Box<str>,
    /// Which.
    pub checkpoint: CheckpointId,
    /// Kept or deleted.
    pub state: State,
    /// The map, in the order in which it was sent; empty where the creation had none.
    pub map: Map,
    /// When the creation was admitted.
    pub reserved_at: Millis,
    /// The request that created it.
    pub request_id: Box<str>,
}

/// Columns of [`Kept::of`], in order.
pub(super) const KEPT: &str =
    "e.id, e.tenant, e.provider, e.plan, e.checkpoint, e.state, e.map, e.reserved_at, e.request_id";

impl Kept {
    /// The row of [`KEPT`], and the id of the entry.
    pub(super) fn of(row: &Row) -> Result<(String, Self), LedgerError> {
        let kept = Self {
            tenant: TenantId::new(row.text(1)?),
            provider: ProviderId::new(row.text(2)?),
            plan: row.text(3)?.into(),
            checkpoint: CheckpointId::new(row.text(4)?),
            state: state(&row.text(5)?)?,
            map: map::read(&row.text(6)?)?,
            reserved_at: row.number(7)?,
            request_id: row.text(8)?.into(),
        };
        Ok((row.text(0)?, kept))
    }
}

/// A kept map, as far as answers need it: a list asks for a thousand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptMap {
    /// Whose checkpoint it is.
    pub tenant: TenantId,
    /// Which, at the provider that was asked for.
    pub checkpoint: CheckpointId,
    /// Kept or deleted.
    pub state: State,
    /// The map, in the order in which it was sent; empty where the creation had none.
    pub map: Map,
}

/// Columns of [`KeptMap::of`], in order.
pub(super) const KEPT_MAP: &str = "e.tenant, e.checkpoint, e.state, e.map";

impl KeptMap {
    /// The row of [`KEPT_MAP`].
    pub(super) fn of(row: &Row) -> Result<Self, LedgerError> {
        Ok(Self {
            tenant: TenantId::new(row.text(0)?),
            checkpoint: CheckpointId::new(row.text(1)?),
            state: state(&row.text(2)?)?,
            map: map::read(&row.text(3)?)?,
        })
    }
}

impl From<Kept> for KeptMap {
    fn from(kept: Kept) -> Self {
        let Kept { tenant, checkpoint, state, map, .. } = kept;
        Self { tenant, checkpoint, state, map }
    }
}

pub(super) fn state(word: &str) -> Result<State, LedgerError> {
    State::of(word).ok_or(LedgerError::Unreadable("a state is none of ours"))
}

/// A creation as its entry holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) id: Box<str>,
    pub(super) tenant: Box<str>,
    pub(super) provider: Option<Box<str>>,
    pub(super) plan: Box<str>,
    pub(super) map: Map,
    pub(super) request_id: Box<str>,
    pub(super) revision: Box<str>,
    pub(super) reserved_at: Millis,
}

impl Record {
    pub(super) fn shares(&self) -> Vec<Share> {
        shares(self.map.iter().map(|(key, value)| (&**key, &**value)))
    }

    /// Entries and bytes.
    pub(super) fn sums(&self) -> (i64, i64) {
        let bytes: usize = self.map.iter().map(|(key, value)| key.len() + value.len()).sum();
        (count(self.map.len() as u64), count(bytes as u64))
    }
}

/// A new id: 128 bits, those of a later millisecond are greater.
pub(super) fn new_id(now: Millis) -> Box<str> {
    let random = fastrand::u128(..) >> 48;
    format!("{:012x}{random:020x}", now & 0xffff_ffff_ffff).into()
}

/// A number of things as the database counts them.
pub(super) fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The application of a share as a column holds it.
pub(super) fn application(share: &Share) -> Cow<'_, str> {
    fitting(share.application.as_deref().unwrap_or_default())
}

/// An identity as a column holds it. No real one is as long as this allows; a longer one is cut, and a digest
/// keeps it apart from others.
pub(super) fn fitting(name: &str) -> Cow<'_, str> {
    const MOST: usize = 255;
    const KEPT: usize = 200;
    if name.len() <= MOST {
        return name.into();
    }
    let start = &name[..name.floor_char_boundary(KEPT)];
    format!("{start}...{:016x}", map::digest(name, None)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_hex_and_follow_time() {
        let (early, late) = (new_id(1_700_000_000_000), new_id(1_700_000_000_001));
        assert!(early < late, "{early} {late}");
        assert_ne!(new_id(0), new_id(0));
        for id in [early, late, new_id(0), new_id(i64::MAX)] {
            assert_eq!(id.len(), 32);
            assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        }
    }

    #[test]
    fn long_names_fit_and_stay_apart() {
        assert_eq!(fitting(&"a".repeat(255)), "a".repeat(255));
        let [one, other] = [fitting(&"é".repeat(200)).into_owned(), fitting(&"é".repeat(201)).into_owned()];
        assert!(one.len() <= 255 && other.len() <= 255);
        assert_ne!(one, other);
    }

    #[test]
    fn every_state_has_its_word() {
        for state in State::ALL {
            assert_eq!(State::of(state.as_str()), Some(state));
        }
        assert_eq!(State::of("gone"), None);
    }
}
