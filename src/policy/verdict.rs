//! The outcome of a review: the rules, what was broken, and the words for it.
//!
//! Leaves statuses to `proxy::respond`.

use std::fmt;
use std::time::Duration;

use super::enforcement::Enforcement;
use super::quota::Measure;

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        /// A rule, in the order of the documentation. Its code is the same in the fault, the audit line,
        /// the metric label, the configuration and the docs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule { $($(#[$doc])* $name,)* }

        impl Rule {
            /// Every rule, in order.
            pub const ALL: [Rule; 18] = [$(Rule::$name,)*];

            /// The stable code.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Rule::$name => $code,)* }
            }
        }
    };
}

rules! {
    /// Neither `application/json`, nor without a content coding.
    UnsupportedMediaType = "unsupported-media-type";
    /// The body is over the tenant's bytes.
    BodyTooLarge = "body-too-large";
    /// Not strict JSON, or not an object with an object `checkpoint`.
    MalformedBody = "malformed-body";
    /// The same key twice, at any level, escapes included.
    DuplicateMember = "duplicate-member";
    /// Anything beside `checkpoint`, or beside `plan_id` and `extra-info` in it.
    UnknownMember = "unknown-member";
    /// `extra-info` is neither an object nor null.
    NotAMap = "not-a-map";
    /// A value of `extra-info` is not a string.
    ValueNotAString = "value-not-a-string";
    /// Neither `karbor-NAME` nor `x-APPLICATION--NAME`.
    MalformedKey = "malformed-key";
    /// A `karbor-` key that is not among the recognised ones.
    UnknownKarborKey = "unknown-karbor-key";
    /// A recognised key whose value is not among those configured for it.
    KarborKeyValue = "karbor-key-value";
    /// An application that the tenant may not write.
    ApplicationNotAllowed = "application-not-allowed";
    /// A key over the tenant's bytes.
    KeyTooLong = "key-too-long";
    /// A value over the tenant's bytes.
    ValueTooLong = "value-too-long";
    /// More entries than the tenant may send.
    TooManyEntries = "too-many-entries";
    /// More bytes in all keys and values than the tenant may send.
    ExtraInfoTooLarge = "extra-info-too-large";
    /// A later change of what was set at creation.
    ReadOnly = "read-only";
    /// The tenant, or one of its applications, would have more in the ledger than it may.
    QuotaExceeded = "quota-exceeded";
    /// The tenant, or one of its applications, would have created more within the window than it may.
    RateExceeded = "rate-exceeded";
}

impl Rule {
    /// The rule of that code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.code() == code)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which rule.
    pub rule: Rule,
    /// What it leads to for this tenant; never `Off`.
    pub enforcement: Enforcement,
    /// The key or member it is about, as the client sent it, unescaped; cut to [`Violation::KEY_BYTES`]. The
    /// application for a quota on one.
    pub key: Option<Box<str>>,
    /// What was measured: entries or bytes, or the 1-based byte position for `malformed-body`. For a quota
    /// what is used and what is asked together.
    pub measured: Option<u64>,
    /// What is allowed, in the same unit.
    pub allowed: Option<u64>,
    /// What was found instead, or what would be right; one line of ASCII.
    pub hint: Option<Box<str>>,
    /// Which quota, for a rule on quotas.
    pub quota: Option<Measure>,
}

impl Violation {
    /// The most bytes of a key that are kept, and that it takes in a message.
    pub const KEY_BYTES: usize = 96;
    /// The most bytes of a hint.
    pub const HINT_BYTES: usize = 240;

    /// Whether it denies.
    #[must_use]
    pub fn is_enforced(&self) -> bool {
        self.enforcement == Enforcement::Enforce
    }

    /// When there will be room again, where waiting is what helps.
    const fn wait(&self) -> Option<Duration> {
        match self.quota {
            Some(Measure::Creations { retry_after, .. }) => Some(retry_after),
            _ => None,
        }
    }

    /// A key as it is kept: one that is too long ends in `...`.
    pub(super) fn cut_key(key: &str) -> Box<str> {
        if key.len() <= Self::KEY_BYTES {
            return key.into();
        }
        let end = key.floor_char_boundary(Self::KEY_BYTES - 3);
        format!("{}...", &key[..end]).into()
    }
}

/// What one review found broken: every rule, and the violations themselves up to a cap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations {
    /// The violations kept, in the order of the rules.
    pub list: Vec<Violation>,
    /// How many more there were.
    pub left_out: u64,
    broken: Broken,
    retry_after: Option<Duration>,
}

impl Violations {
    /// These violations, and so many more of the same rules.
    #[must_use]
    pub fn new(list: Vec<Violation>, left_out: u64) -> Self {
        let mut broken = Broken::default();
        for violation in &list {
            broken.add(violation.rule, violation.enforcement);
        }
        let retry_after = list.iter().filter(|one| one.is_enforced()).filter_map(Violation::wait).max();
        Self { retry_after, ..Self::capped(list, left_out, broken) }
    }

    /// What a review keeps: rules that none of the violations kept is about are in `broken` all the same.
    pub(super) fn capped(mut list: Vec<Violation>, left_out: u64, broken: Broken) -> Self {
        list.sort_by_key(|violation| violation.rule);
        Self { list, left_out, broken, retry_after: None }
    }

    /// When a denied creation has a chance again: the longest wait among the enforced violations of
    /// `rate-exceeded`. None if there are none. No cap takes one away.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether there are none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty() && self.left_out == 0
    }

    /// Every broken rule and what it leads to, in order, each once; never `Off`. No cap takes one away.
    pub fn broken(&self) -> impl Iterator<Item = (Rule, Enforcement)> {
        self.broken.iter()
    }

    /// What the severest violation leads to. None if there are none.
    #[must_use]
    pub fn severest(&self) -> Option<Enforcement> {
        self.broken.iter().map(|(_, enforcement)| enforcement).max()
    }

    /// Adds what an earlier judgement on the same request noted.
    pub fn absorb(&mut self, other: Violations) {
        if other.is_empty() {
            return;
        }
        self.list.extend(other.list);
        self.list.sort_by_key(|violation| violation.rule);
        self.left_out += other.left_out;
        self.retry_after = self.retry_after.max(other.retry_after);
        for (rule, enforcement) in other.broken.iter() {
            self.broken.add(rule, enforcement);
        }
    }
}

/// What each broken rule leads to; `Off` for those that are not broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken([Enforcement; Rule::ALL.len()]);

impl Default for Broken {
    fn default() -> Self {
        Self([Enforcement::Off; Rule::ALL.len()])
    }
}

impl Broken {
    /// `rule` is broken. The severer stands, should there be two.
    pub(super) fn add(&mut self, rule: Rule, enforcement: Enforcement) {
        let known = &mut self.0[rule as usize];
        *known = enforcement.max(*known);
    }

    fn iter(self) -> impl Iterator<Item = (Rule, Enforcement)> {
        Rule::ALL.into_iter().zip(self.0).filter(|(_, enforcement)| *enforcement != Enforcement::Off)
    }
}

/// What an admitted checkpoint will use. The proof that a review took place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    /// Entries in the map.
    pub entries: u64,
    /// Bytes of all keys and values.
    pub bytes: u64,
    /// The bridged keys among them, as indexes into the policy's list.
    pub bridged: Vec<usize>,
}

/// The outcome of a review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Forward it.
    Admit {
        /// What it will use.
        charge: Charge,
        /// Violations that are observed or warned of, but not enforced.
        noted: Violations,
    },
    /// Deny it: at least one of these is enforced.
    Deny(Violations),
}

impl Verdict {
    /// Every violation, enforced or not.
    #[must_use]
    pub const fn violations(&self) -> &Violations {
        match self {
            Self::Admit { noted, .. } => noted,
            Self::Deny(violations) => violations,
        }
    }

    /// This verdict with the wait that a denial by `rate-exceeded` tells.
    pub(super) fn retry_after(mut self, wait: Option<Duration>) -> Self {
        if let Self::Deny(violations) = &mut self {
            violations.retry_after = wait;
        }
        self
    }

    /// This verdict with what an earlier judgement on the same request noted without denying it.
    #[must_use]
    pub fn with_noted(mut self, earlier: Violations) -> Self {
        match &mut self {
            Self::Admit { noted, .. } => noted.absorb(earlier),
            Self::Deny(violations) => violations.absorb(earlier),
        }
        self
    }
}
