//! What one policy has over another, in words that an operator recognises.
//!
//! Leaves settings beside the policy to `change`.

use std::collections::BTreeSet;

use crate::karbor::TenantId;
use crate::policy::{Bound, Limits, PolicySpec, Quota, Quotas, Rate, Rule, TenantRules};

/// How something changed: it leaves less room than before, more, or both in parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Shift {
    less: bool,
    more: bool,
}

impl Shift {
    fn of<T: Ord>(before: T, after: T) -> Self {
        Self { less: after < before, more: after > before }
    }

    fn and(self, other: Self) -> Self {
        Self { less: self.less || other.less, more: self.more || other.more }
    }

    fn all(shifts: impl IntoIterator<Item = Self>) -> Self {
        shifts.into_iter().fold(Self::default(), Self::and)
    }
}

/// What may change about a tenant: the words for it, for less and for more room.
const ASPECTS: [(&str, &str, &str); 4] = [
    ("limits", "lowered", "raised"),
    ("quotas", "lowered", "raised"),
    ("applications", "narrowed", "widened"),
    ("stances", "made stricter", "made milder"),
];

fn shifts(before: &TenantRules, after: &TenantRules) -> [Shift; ASPECTS.len()] {
    [
        limits(&before.limits, &after.limits),
        quotas(&before.quotas, &after.quotas),
        applications(before, after),
        // The stricter stance leaves less room.
        Shift::all(Rule::ALL.iter().map(|rule| Shift::of(after.stances.of(*rule), before.stances.of(*rule)))),
    ]
}

fn bound(before: Bound, after: Bound) -> Shift {
    let room = |bound: Bound| bound.number().map_or(u128::MAX, u128::from);
    Shift::of(room(before), room(after))
}

fn limits(before: &Limits, after: &Limits) -> Shift {
    let Limits { entries, key_bytes, value_bytes, total_bytes, body_bytes } = before;
    Shift::all([
        bound(*entries, after.entries),
        bound(*key_bytes, after.key_bytes),
        bound(*value_bytes, after.value_bytes),
        bound(*total_bytes, after.total_bytes),
        Shift::of(*body_bytes, after.body_bytes),
    ])
}

fn quotas(before: &Quotas, after: &Quotas) -> Shift {
    let named: BTreeSet<&str> =
        before.applications.keys().chain(after.applications.keys()).map(AsRef::as_ref).collect();
    let named = named.into_iter().map(|name| quota(before.of(Some(name)), after.of(Some(name))));
    Shift::all(named.chain([quota(&before.whole, &after.whole), quota(&before.each, &after.each)]))
}

fn quota(before: &Quota, after: &Quota) -> Shift {
    let Quota { checkpoints, stored_bytes, stored_entries, creations } = before;
    Shift::all([
        bound(*checkpoints, after.checkpoints),
        bound(*stored_bytes, after.stored_bytes),
        bound(*stored_entries, after.stored_entries),
        rate(*creations, after.creations),
    ])
}

/// A rate leaves less room with a smaller count, and with a longer window.
fn rate(before: Option<Rate>, after: Option<Rate>) -> Shift {
    match (before, after) {
        (Some(before), Some(after)) => {
            Shift::of(before.count, after.count).and(Shift::of(after.window, before.window))
        }
        (before, after) => Shift::of(before.is_none(), after.is_none()),
    }
}

fn applications(before: &TenantRules, after: &TenantRules) -> Shift {
    let admits = |rules: &TenantRules, pattern: &str| {
        // A pattern is admitted whole by itself, and by a shorter start.
        rules.applications.patterns().any(|own| {
            own == pattern || own.strip_suffix('*').is_some_and(|start| pattern.starts_with(start))
        })
    };
    Shift {
        less: before.applications.patterns().any(|pattern| !admits(after, pattern)),
        more: after.applications.patterns().any(|pattern| !admits(before, pattern)),
    }
}

/// Every tenant that one of them names, in order, and its rules before and after.
fn tenants<'p>(
    before: &'p PolicySpec,
    after: &'p PolicySpec,
) -> impl Iterator<Item = (&'p TenantId, &'p TenantRules, &'p TenantRules)> {
    let names: BTreeSet<&TenantId> = before.tenants.keys().chain(after.tenants.keys()).collect();
    let rules = |policy: &'p PolicySpec, name| policy.tenants.get(name).unwrap_or(&policy.default);
    names.into_iter().map(move |name| (name, &**rules(before, name), &**rules(after, name)))
}

/// What `after` has over `before`; nothing for the same.
pub(super) fn words(before: &PolicySpec, after: &PolicySpec) -> Vec<String> {
    let mut words = Vec::new();
    let named = |policy: &PolicySpec, other: &PolicySpec| {
        policy.tenants.keys().filter(|name| !other.tenants.contains_key(*name)).count()
    };
    for (count, verb) in [(named(after, before), "named anew"), (named(before, after), "named no more")] {
        words.extend((count > 0).then(|| format!("{} {verb}", number_of(count))));
    }
    let of_tenants: Vec<_> = tenants(before, after).map(|(_, before, after)| shifts(before, after)).collect();
    let of_others = shifts(&before.default, &after.default);
    for (at, (aspect, less, more)) in ASPECTS.into_iter().enumerate() {
        for (is_less, verb) in [(true, less), (false, more)] {
            let has =
                |shifts: &[Shift; ASPECTS.len()]| if is_less { shifts[at].less } else { shifts[at].more };
            let count = of_tenants.iter().filter(|shifts| has(shifts)).count();
            let who = match (count, has(&of_others)) {
                (0, false) => continue,
                (0, true) => "all tenants not named".to_owned(),
                (count, false) => number_of(count),
                (count, true) => format!("{} and of all not named", number_of(count)),
            };
            words.push(format!("{aspect} of {who} {verb}"));
        }
    }
    words.extend(keys("bridged keys", &before.bridged_keys, &after.bridged_keys));
    let known =
        |policy: &PolicySpec| policy.karbor_keys.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    words.extend(keys("recognised keys", &known(before), &known(after)));
    words
}

fn number_of(tenants: usize) -> String {
    if tenants == 1 { "1 tenant".to_owned() } else { format!("{tenants} tenants") }
}

fn keys(what: &str, before: &[Box<str>], after: &[Box<str>]) -> Option<String> {
    let changes = listed(before.iter().map(AsRef::as_ref), after.iter().map(AsRef::as_ref));
    changes.map(|changes| format!("{what}: {changes}"))
}

/// What a list has over another: what was added, what removed. Nothing if both have the same.
pub(super) fn listed<'t>(
    before: impl Iterator<Item = &'t str>,
    after: impl Iterator<Item = &'t str>,
) -> Option<String> {
    let (before, after): (BTreeSet<&str>, BTreeSet<&str>) = (before.collect(), after.collect());
    let sides = [(after.difference(&before), "added"), (before.difference(&after), "removed")];
    let parts = sides.into_iter().filter_map(|(items, verb)| {
        let items: Vec<&str> = items.copied().collect();
        (!items.is_empty()).then(|| format!("{} {verb}", items.join(", ")))
    });
    let parts: Vec<String> = parts.collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// The tenants named whose maps may be smaller than before, each with its limits now.
pub(super) fn lowered(before: &PolicySpec, after: &PolicySpec) -> Vec<(TenantId, Limits)> {
    let of_a_map = |limits: &Limits| (limits.entries, limits.total_bytes);
    let is_lowered = |before: &TenantRules, after: &TenantRules| {
        let ((entries, bytes), (fewer, less)) = (of_a_map(&before.limits), of_a_map(&after.limits));
        bound(entries, fewer).less || bound(bytes, less).less
    };
    tenants(before, after)
        .filter(|(_, before, after)| is_lowered(before, after))
        .map(|(name, _, after)| (name.clone(), after.limits))
        .collect()
}
