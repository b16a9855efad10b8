//! Bounds over time, as arithmetic: what is used, what a creation would add, whether both fit.
//!
//! Rules 17 and 18. Leaves keeping count, and the clock, to the ledger.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::TenantRules;
use super::enforcement::Enforcement;
use super::key::Key;
use super::limits::Bound;
use super::tally::{Breach, Tally};
use super::verdict::{Charge, Rule, Verdict};

/// So many creations within a window that ends now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many; 0 means none.
    pub count: u64,
    /// The length of the window.
    pub window: Duration,
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {}", self.count, in_words(self.window))
    }
}

/// Bounds on what may stand in the ledger, and on how fast it may come there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    /// Checkpoints with a map.
    pub checkpoints: Bound,
    /// Bytes of all keys and values.
    pub stored_bytes: Bound,
    /// Entries.
    pub stored_entries: Bound,
    /// Creations with a map; none for any number.
    pub creations: Option<Rate>,
}

impl Quota {
    /// No bound at all.
    pub const UNLIMITED: Self = Self {
        checkpoints: Bound::Unlimited,
        stored_bytes: Bound::Unlimited,
        stored_entries: Bound::Unlimited,
        creations: None,
    };

    /// Whether there is no bound at all.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        *self == Self::UNLIMITED
    }
}

/// The quotas of one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Quotas {
    /// On all maps of the tenant.
    pub whole: Quota,
    /// On each application that is not named.
    pub each: Quota,
    /// On the applications named, by their exact name.
    pub applications: BTreeMap<Box<str>, Quota>,
}

impl Quotas {
    /// No bound at all: what is shipped.
    pub const UNLIMITED: Self =
        Self { whole: Quota::UNLIMITED, each: Quota::UNLIMITED, applications: BTreeMap::new() };

    /// The quota on `application`, or on the whole.
    #[must_use]
    pub fn of(&self, application: Option<&str>) -> &Quota {
        match application {
            None => &self.whole,
            Some(name) => self.applications.get(name).unwrap_or(&self.each),
        }
    }

    /// Whether there is no bound at all.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        self.all().all(Quota::is_unlimited)
    }

    /// The longest window of any rate: how long creations must be remembered. None without a rate.
    #[must_use]
    pub fn longest_window(&self) -> Option<Duration> {
        self.all().filter_map(|quota| quota.creations).map(|rate| rate.window).max()
    }

    fn all(&self) -> impl Iterator<Item = &Quota> {
        [&self.whole, &self.each].into_iter().chain(self.applications.values())
    }
}

/// What a map adds to one count: the tenant's, or that of one of its applications. Each share is one checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The application; none for the whole map.
    pub application: Option<Box<str>>,
    /// Entries.
    pub entries: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
}

/// The shares of a map: the whole first, then each application in order of name. Recognised, bridged and
/// malformed keys are of no application. A map without an entry has none, as it charges nothing.
pub fn shares<'m>(entries: impl Iterator<Item = (&'m str, &'m str)>) -> Vec<Share> {
    let mut whole = Share { application: None, entries: 0, bytes: 0 };
    let mut applications: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (key, value) in entries {
        let bytes = key.len() as u64 + value.len() as u64;
        whole.entries += 1;
        whole.bytes += bytes;
        if let Key::Application { application, .. } = Key::of(key) {
            let (entries, sum) = applications.entry(application).or_default();
            *entries += 1;
            *sum += bytes;
        }
    }
    if whole.entries == 0 {
        return Vec::new();
    }
    let of_application =
        |(name, (entries, bytes)): (&str, _)| Share { application: Some(name.into()), entries, bytes };
    std::iter::once(whole).chain(applications.into_iter().map(of_application)).collect()
}

/// What a tenant, or one of its applications, has in the ledger, reservations included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Checkpoints with a map.
    pub checkpoints: u64,
    /// Entries.
    pub entries: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
}

/// The creations of the window of a rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recent {
    /// How many.
    pub count: u64,
    /// When so many have left the window that there is room for one. Only looked at where there is none.
    pub frees_in: Duration,
}

/// What a share is held against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What is kept.
    pub usage: Usage,
    /// What came of late; zero where the quota has no rate.
    pub recent: Recent,
}

/// What a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Checkpoints with a map.
    Checkpoints,
    /// Bytes of keys and values.
    StoredBytes,
    /// Entries.
    StoredEntries,
    /// Creations with a map, over time.
    Creations {
        /// Within this time.
        window: Duration,
        /// When there will be room for one.
        retry_after: Duration,
    },
}

impl Measure {
    /// Its name, as in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Checkpoints => "checkpoints",
            Self::StoredBytes => "stored_bytes",
            Self::StoredEntries => "stored_entries",
            Self::Creations { .. } => "creations",
        }
    }
}

/// Rules 17 and 18, for each share and where it stands.
pub(super) fn review(rules: &TenantRules, cap: usize, shares: &[Share], standings: &[Standing]) -> Verdict {
    let mut tally = Tally::new(&rules.stances, cap);
    // The longest wait counts, even if the violation it is of is not told.
    let mut wait = None;
    for (at, share) in shares.iter().enumerate() {
        let Standing { usage, recent } = standings.get(at).copied().unwrap_or_default();
        let application = share.application.as_deref();
        let quota = rules.quotas.of(application);
        for (measure, bound, used, asked) in [
            (Measure::Checkpoints, quota.checkpoints, usage.checkpoints, 1),
            (Measure::StoredBytes, quota.stored_bytes, usage.bytes, share.bytes),
            (Measure::StoredEntries, quota.stored_entries, usage.entries, share.entries),
        ] {
            let over = Over { application, measure, bound, used, asked };
            over.note(Rule::QuotaExceeded, &mut tally);
        }
        if let Some(Rate { count, window }) = quota.creations {
            // Where none is allowed none ever leaves, and no wait is right; longer than the window helps nobody.
            let retry_after = if count == 0 { window } else { recent.frees_in.min(window) };
            let measure = Measure::Creations { window, retry_after };
            let over =
                Over { application, measure, bound: Bound::AtMost(count), used: recent.count, asked: 1 };
            if over.note(Rule::RateExceeded, &mut tally) {
                wait = wait.max(Some(retry_after));
            }
        }
    }
    let is_enforced = rules.stances.of(Rule::RateExceeded) == Enforcement::Enforce;
    tally.conclude(Charge::default()).retry_after(wait.filter(|_| is_enforced))
}

/// What is used and asked of one bound.
struct Over<'s> {
    application: Option<&'s str>,
    measure: Measure,
    bound: Bound,
    used: u64,
    asked: u64,
}

impl Over<'_> {
    /// Notes it if it is over the bound; whether it was.
    fn note(&self, rule: Rule, tally: &mut Tally<'_>) -> bool {
        let measured = self.used.saturating_add(self.asked);
        if self.bound.admits(measured) {
            return false;
        }
        tally.note(rule, |breach| {
            let hint = format!("{} used, {} asked", self.used, self.asked);
            let breach: Breach<'_> = breach.measured(Some(measured)).allowed(self.bound.number());
            let breach = breach.quota(self.measure).hint(&hint);
            match self.application {
                Some(application) => breach.key(application),
                None => breach,
            }
        });
        true
    }
}

/// A duration in the largest unit that divides it, of days down to seconds; a part of a second counts whole.
pub(super) fn in_words(duration: Duration) -> String {
    let seconds = whole_seconds(duration);
    let units = [("d", 86_400), ("h", 3_600), ("m", 60)];
    match units.into_iter().find(|(_, factor)| seconds > 0 && seconds.is_multiple_of(*factor)) {
        Some((unit, factor)) => format!("{}{unit}", seconds / factor),
        None => format!("{seconds}s"),
    }
}

/// Seconds, rounded up.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}
