//! What a broken rule leads to: off, observe, warn, enforce; per rule and tenant.
//!
//! Leaves to `config` which setting wins; this is the outcome.

use super::verdict::Rule;

/// What a broken rule leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Enforcement {
    /// Not looked at: as if the rule were not there.
    Off,
    /// Forwarded; counted and audited as would-have-been-denied.
    Observe,
    /// Forwarded with a `Warning: 299` header that names the rule; counted and audited as warned.
    Warn,
    /// Denied.
    Enforce,
}

impl Enforcement {
    /// Every stance, from the mildest.
    pub const ALL: [Enforcement; 4] = [Self::Off, Self::Observe, Self::Warn, Self::Enforce];

    /// The word of the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Observe => "observe",
            Self::Warn => "warn",
            Self::Enforce => "enforce",
        }
    }

    /// The word for what became of a violation: metric label and audit field.
    /// No violation has the word of `Off`.
    #[must_use]
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Observe => "observed",
            Self::Warn => "warned",
            Self::Enforce => "enforced",
        }
    }

    /// The stance of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stance| stance.word() == word)
    }
}

/// One stance for each rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stances([Enforcement; Rule::ALL.len()]);

impl Stances {
    /// The same stance for every rule.
    #[must_use]
    pub const fn all(stance: Enforcement) -> Self {
        Self([stance; Rule::ALL.len()])
    }

    /// The stance on `rule`.
    #[must_use]
    pub const fn of(&self, rule: Rule) -> Enforcement {
        self.0[rule as usize]
    }

    /// These stances with another one on `rule`.
    #[must_use]
    pub const fn with(mut self, rule: Rule, stance: Enforcement) -> Self {
        self.0[rule as usize] = stance;
        self
    }
}
