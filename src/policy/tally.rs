//! Collects the violations of one review under a tenant's stances, bounded whatever the body.
//!
//! The cap bounds what is told, never what is decided or counted. One violation of each rule is kept before
//! a second of any, or many of one rule would hide the others; within that, the severer come first.

use std::cmp::Reverse;

use super::enforcement::{Enforcement, Stances};
use super::message::one_line;
use super::quota::Measure;
use super::verdict::{Broken, Charge, Rule, Verdict, Violation, Violations};

/// A broken rule, before the tenant's stance on it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach<'k> {
    rule: Rule,
    key: Option<&'k str>,
    measured: Option<u64>,
    allowed: Option<u64>,
    hint: Option<Box<str>>,
    quota: Option<Measure>,
}

impl<'k> Breach<'k> {
    /// A breach of `rule`, without particulars.
    #[must_use]
    pub const fn of(rule: Rule) -> Self {
        Self { rule, key: None, measured: None, allowed: None, hint: None, quota: None }
    }

    /// About this key or member, unescaped.
    #[must_use]
    pub const fn key(mut self, key: &'k str) -> Self {
        self.key = Some(key);
        self
    }

    /// What was measured, where it is known.
    #[must_use]
    pub const fn measured(mut self, measured: Option<u64>) -> Self {
        self.measured = measured;
        self
    }

    /// What is allowed, where that is a number.
    #[must_use]
    pub const fn allowed(mut self, allowed: Option<u64>) -> Self {
        self.allowed = allowed;
        self
    }

    /// What was found, or would be right. Made one line of ASCII, and cut.
    #[must_use]
    pub fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(one_line(hint, Violation::HINT_BYTES).into());
        self
    }

    /// Of this quota.
    pub(super) const fn quota(mut self, quota: Measure) -> Self {
        self.quota = Some(quota);
        self
    }

    fn under(self, enforcement: Enforcement) -> Violation {
        let Self { rule, key, measured, allowed, hint, quota } = self;
        Violation { rule, enforcement, key: key.map(Violation::cut_key), measured, allowed, hint, quota }
    }
}

/// The violations so far.
pub(super) struct Tally<'p> {
    stances: &'p Stances,
    cap: usize,
    /// The first of each rule, and as many more of it as may be told.
    firsts: Vec<Violation>,
    others: Vec<Violation>,
    counts: [u64; Rule::ALL.len()],
    broken: Broken,
}

impl<'p> Tally<'p> {
    /// At least one violation is reported, or a denial could not say why.
    pub(super) fn new(stances: &'p Stances, cap: usize) -> Self {
        Self {
            stances,
            cap: cap.max(1),
            firsts: Vec::new(),
            others: Vec::new(),
            counts: [0; Rule::ALL.len()],
            broken: Broken::default(),
        }
    }

    /// Adds a breach.
    pub(super) fn add(&mut self, breach: Breach<'_>) {
        self.note(breach.rule, |_| breach);
    }

    /// Notes a breach of `rule`. The particulars are only made where they will be kept.
    pub(super) fn note<'k>(&mut self, rule: Rule, particulars: impl FnOnce(Breach<'k>) -> Breach<'k>) {
        let stance = self.stances.of(rule);
        if stance == Enforcement::Off {
            return;
        }
        let count = &mut self.counts[rule as usize];
        *count += 1;
        self.broken.add(rule, stance);
        if *count <= self.cap as u64 {
            let kept = if *count == 1 { &mut self.firsts } else { &mut self.others };
            kept.push(particulars(Breach::of(rule)).under(stance));
        }
    }

    /// The verdict: a denial if anything is enforced.
    pub(super) fn conclude(mut self, charge: Charge) -> Verdict {
        let total: u64 = self.counts.iter().sum();
        if total == 0 {
            return Verdict::Admit { charge, noted: Violations::default() };
        }
        for violations in [&mut self.firsts, &mut self.others] {
            violations.sort_by_key(|violation| (Reverse(violation.enforcement), violation.rule));
        }
        let mut kept = self.firsts;
        kept.append(&mut self.others);
        kept.truncate(self.cap);
        let left_out = total - kept.len() as u64;
        let violations = Violations::capped(kept, left_out, self.broken);
        match violations.severest() {
            Some(Enforcement::Enforce) => Verdict::Deny(violations),
            _ => Verdict::Admit { charge, noted: violations },
        }
    }
}
