//! Rules 17 and 18: what is used and asked against what is allowed, for the whole and for each application.

use std::collections::BTreeMap;
use std::time::Duration;

use karbor_admission::karbor::fault::{Detail, Fault};
use karbor_admission::policy::{
    Bound, Enforcement, Measure, Quota, Quotas, Rate, Recent, Rule, Share, Stances, Standing, TenantRules,
    Usage, Verdict, shares,
};
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use crate::support::{TENANT, is_denial, outline, policy, policy_for, rules};

const HOUR: Duration = Duration::from_secs(3600);

fn share(application: Option<&str>, entries: u64, bytes: u64) -> Share {
    Share { application: application.map(Into::into), entries, bytes }
}

fn standing(checkpoints: u64, entries: u64, bytes: u64) -> Standing {
    Standing { usage: Usage { checkpoints, entries, bytes }, recent: Recent::default() }
}

fn came(count: u64, frees_in: Duration) -> Standing {
    Standing { recent: Recent { count, frees_in }, ..Standing::default() }
}

fn rate(count: u64, window: Duration) -> Quota {
    Quota { creations: Some(Rate { count, window }), ..Quota::UNLIMITED }
}

fn on_the_whole(whole: Quota) -> Quotas {
    Quotas { whole, ..Quotas::UNLIMITED }
}

fn review(quotas: Quotas, shares: &[Share], standings: &[Standing]) -> Verdict {
    policy(TenantRules { quotas, ..rules() }).review_quotas(TENANT, shares, standings)
}

#[track_caller]
fn check(quotas: Quotas, shares: &[Share], standings: &[Standing], expected: &[&str]) {
    assert_eq!(outline(&review(quotas, shares, standings)), expected, "{shares:?} {standings:?}");
}

#[track_caller]
fn check_shares(entries: &[(&str, &str)], expected: &[(Option<&str>, u64, u64)]) {
    let found = shares(entries.iter().copied());
    let expected: Vec<_> =
        expected.iter().map(|&(application, entries, bytes)| share(application, entries, bytes)).collect();
    assert_eq!(found, expected, "{entries:?}");
}

#[test]
fn shares_the_whole_first_then_each_application_by_name() {
    check_shares(&[], &[]);
    check_shares(&[("karbor-trigger-id", "7")], &[(None, 1, 18)]);
    check_shares(
        &[("x-b--k", "12"), ("x-a--k", ""), ("karbor-k", "v"), ("x-b--l", "é"), ("created_by", "me")],
        &[(None, 5, 43), (Some("a"), 1, 6), (Some("b"), 2, 16)],
    );
    // Let through where keys are only observed.
    check_shares(&[("x-A--k", "v"), ("note", "v"), ("x-a--", "")], &[(None, 3, 17)]);
    check_shares(&[("", "")], &[(None, 1, 0)]);
}

#[test]
fn admits_up_to_the_quota_and_denies_beyond() {
    let three = Bound::AtMost(3);
    let of = |quota: Quota| on_the_whole(quota);
    let asked = [share(None, 2, 2)];
    for (quota, last, over, rule) in [
        (Quota { checkpoints: three, ..Quota::UNLIMITED }, standing(2, 9, 9), standing(3, 0, 0), "4/3"),
        (Quota { stored_entries: three, ..Quota::UNLIMITED }, standing(9, 1, 9), standing(0, 2, 0), "4/3"),
        (Quota { stored_bytes: three, ..Quota::UNLIMITED }, standing(9, 9, 1), standing(0, 0, 2), "4/3"),
    ] {
        check(of(quota), &asked, &[last], &["admit"]);
        check(of(quota), &asked, &[over], &["deny", &format!("quota-exceeded {rule}")]);
    }
    check(of(rate(3, HOUR)), &asked, &[came(2, HOUR)], &["admit"]);
    check(of(rate(3, HOUR)), &asked, &[came(3, HOUR)], &["deny", "rate-exceeded 4/3"]);
}

#[test]
fn none_means_none() {
    let none = Bound::AtMost(0);
    let asked = [share(None, 1, 6)];
    let quota = Quota { checkpoints: none, stored_bytes: none, stored_entries: none, creations: None };
    let words = ["deny", "quota-exceeded 1/0", "quota-exceeded 6/0", "quota-exceeded 1/0"];
    check(on_the_whole(quota), &asked, &[Standing::default()], &words);
    check(on_the_whole(rate(0, HOUR)), &asked, &[Standing::default()], &["deny", "rate-exceeded 1/0"]);
}

#[test]
fn denies_what_is_over_a_quota_that_was_lowered() {
    let quota = Quota { checkpoints: Bound::AtMost(5), ..Quota::UNLIMITED };
    check(on_the_whole(quota), &[share(None, 1, 6)], &[standing(9, 9, 54)], &["deny", "quota-exceeded 10/5"]);
}

#[test]
fn unlimited_is_unlimited() {
    let most = standing(u64::MAX, u64::MAX, u64::MAX);
    check(Quotas::UNLIMITED, &[share(None, u64::MAX, u64::MAX)], &[most], &["admit"]);
    let bound = Bound::AtMost(u64::MAX);
    let quota = Quota { checkpoints: bound, stored_bytes: bound, stored_entries: bound, creations: None };
    check(on_the_whole(quota), &[share(None, u64::MAX, u64::MAX)], &[most], &["admit"]);
    assert!(Quotas::UNLIMITED.is_unlimited());
}

#[test]
fn holds_each_application_to_its_own() {
    let checkpoints = |most| Quota { checkpoints: Bound::AtMost(most), ..Quota::UNLIMITED };
    let quotas = Quotas {
        whole: checkpoints(100),
        each: checkpoints(1),
        applications: BTreeMap::from([("acme".into(), checkpoints(5))]),
    };
    let asked = [share(None, 3, 18), share(Some("acme"), 1, 6), share(Some("b"), 2, 12)];
    let used = |whole, acme, b| [standing(whole, 0, 0), standing(acme, 0, 0), standing(b, 0, 0)];
    for (used, expected) in [
        (used(99, 4, 0), &["admit"][..]),
        (used(99, 5, 0), &["deny", "quota-exceeded acme 6/5"]),
        (used(99, 4, 1), &["deny", "quota-exceeded b 2/1"]),
        (
            used(100, 5, 1),
            &["deny", "quota-exceeded 101/100", "quota-exceeded acme 6/5", "quota-exceeded b 2/1"],
        ),
    ] {
        check(quotas.clone(), &asked, &used, expected);
    }
    assert_eq!(quotas.of(None).checkpoints, Bound::AtMost(100));
    assert_eq!(quotas.of(Some("acme")).checkpoints, Bound::AtMost(5));
    assert_eq!(quotas.of(Some("acme-2")).checkpoints, Bound::AtMost(1));
}

#[test]
fn holds_each_tenant_to_its_own() {
    let quotas = on_the_whole(Quota { checkpoints: Bound::AtMost(0), ..Quota::UNLIMITED });
    let policy = policy_for("tight", TenantRules { quotas, ..rules() });
    for (tenant, denied) in [("tight", true), ("Tight", false), (TENANT, false)] {
        let verdict = policy.review_quotas(tenant, &[share(None, 1, 1)], &[Standing::default()]);
        assert_eq!(is_denial(&verdict), denied, "{tenant}");
    }
}

#[test]
fn a_share_without_a_standing_is_the_first_of_its_kind() {
    let quota = Quota { checkpoints: Bound::AtMost(0), ..Quota::UNLIMITED };
    check(on_the_whole(quota), &[share(None, 1, 1)], &[], &["deny", "quota-exceeded 1/0"]);
    check(on_the_whole(quota), &[], &[standing(9, 9, 9)], &["admit"]);
}

#[test]
fn follows_the_stance_on_either_rule() {
    let quota = Quota { checkpoints: Bound::AtMost(0), ..rate(0, HOUR) };
    for (on_quota, on_rate) in
        Enforcement::ALL.into_iter().flat_map(|one| Enforcement::ALL.map(|other| (one, other)))
    {
        let stances = Stances::all(Enforcement::Enforce)
            .with(Rule::QuotaExceeded, on_quota)
            .with(Rule::RateExceeded, on_rate);
        let rules = TenantRules { quotas: on_the_whole(quota), stances, ..rules() };
        let verdict = policy(rules).review_quotas(TENANT, &[share(None, 1, 1)], &[Standing::default()]);
        let expected = [(Rule::QuotaExceeded, on_quota), (Rule::RateExceeded, on_rate)];
        let expected: Vec<_> =
            expected.into_iter().filter(|(_, stance)| *stance != Enforcement::Off).collect();
        assert_eq!(verdict.violations().broken().collect::<Vec<_>>(), expected);
        assert_eq!(is_denial(&verdict), on_quota.max(on_rate) == Enforcement::Enforce);
        let wait = (on_rate == Enforcement::Enforce).then_some(HOUR);
        assert_eq!(verdict.violations().retry_after(), wait, "{on_quota:?} {on_rate:?}");
    }
}

#[test]
fn tells_the_longest_wait_even_if_it_is_not_listed() {
    let minute = Duration::from_secs(60);
    let quotas = Quotas { whole: rate(1, HOUR), each: rate(1, HOUR), applications: BTreeMap::new() };
    let asked = [share(None, 2, 12), share(Some("a"), 1, 6), share(Some("b"), 1, 6)];
    let stood = [came(1, minute), came(1, minute * 5), came(1, minute * 2)];
    let mut spec = crate::support::spec(TenantRules { quotas, ..rules() });
    spec.violations_reported = 1;
    let verdict = karbor_admission::policy::Policy::new(spec).review_quotas(TENANT, &asked, &stood);
    assert_eq!(verdict.violations().list.len(), 1);
    assert_eq!(verdict.violations().retry_after(), Some(minute * 5));
}

#[test]
fn no_wait_is_longer_than_the_window() {
    #[track_caller]
    fn check(count: u64, frees_in: Duration, expected: Duration) {
        let verdict = review(on_the_whole(rate(count, HOUR)), &[share(None, 1, 1)], &[came(count, frees_in)]);
        assert_eq!(verdict.violations().retry_after(), Some(expected));
        let measure = Measure::Creations { window: HOUR, retry_after: expected };
        assert_eq!(verdict.violations().list[0].quota, Some(measure));
    }
    check(1, HOUR, HOUR);
    check(1, HOUR * 9, HOUR);
    check(1, Duration::ZERO, Duration::ZERO);
    // Where none is allowed, nothing ever frees a place.
    check(0, Duration::ZERO, HOUR);
}

#[track_caller]
fn check_words(quotas: Quotas, share: Share, standing: Standing, expected: &str) {
    let verdict = review(quotas, &[share], &[standing]);
    assert_eq!(verdict.violations().to_string(), expected);
}

#[test]
fn says_what_is_used_asked_and_allowed() {
    let one = Bound::AtMost(1);
    let two_used = standing(2, 2, 2);
    check_words(
        on_the_whole(Quota { checkpoints: one, ..Quota::UNLIMITED }),
        share(None, 1, 6),
        two_used,
        "this project would have 3 checkpoints with extra-info, 1 is allowed: 2 used, 1 asked (quota-exceeded)",
    );
    check_words(
        Quotas { each: Quota { stored_bytes: Bound::AtMost(7), ..Quota::UNLIMITED }, ..Quotas::UNLIMITED },
        share(Some("acme"), 1, 6),
        two_used,
        "application 'acme' of this project would have 8 bytes of extra-info stored, 7 are allowed: \
         2 used, 6 asked (quota-exceeded)",
    );
    check_words(
        on_the_whole(Quota { stored_entries: one, ..Quota::UNLIMITED }),
        share(None, 5, 6),
        two_used,
        "this project would have 7 entries of extra-info stored, 1 is allowed: 2 used, 5 asked (quota-exceeded)",
    );
}

#[test]
fn says_when_to_try_again() {
    for (window, frees_in, expected) in [
        (HOUR, Duration::from_millis(39_001), "within 1h, 1 is allowed: 1 used, 1 asked, try again in 40s"),
        (HOUR * 48, HOUR * 3, "within 2d, 1 is allowed: 1 used, 1 asked, try again in 3h"),
        (HOUR / 2, Duration::ZERO, "within 30m, 1 is allowed: 1 used, 1 asked, try again in 1s"),
        (HOUR / 40, HOUR, "within 90s, 1 is allowed: 1 used, 1 asked, try again in 90s"),
    ] {
        let text = format!(
            "this project would have created 2 checkpoints with extra-info {expected} (rate-exceeded)"
        );
        check_words(on_the_whole(rate(1, window)), share(None, 1, 1), came(1, frees_in), &text);
    }
}

#[test]
fn becomes_the_details_of_a_fault() {
    let quota = Quota { stored_bytes: Bound::AtMost(7), ..rate(1, HOUR) };
    let quotas = Quotas { each: quota, ..Quotas::UNLIMITED };
    let stood = Standing { usage: Usage { bytes: 5, ..Usage::default() }, ..came(1, HOUR) };
    let verdict = review(quotas, &[share(Some("acme"), 1, 6)], &[stood]);
    let violations = verdict.violations();
    let message = violations.to_string();
    let details = violations.list.iter().map(Detail::from).collect();
    let body = Fault { details, ..Fault::new(413, &message) }.to_body();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let [bytes, creations] = body["overLimit"]["details"].as_array().unwrap().as_slice() else {
        panic!("{body}")
    };
    assert_eq!((&bytes["quota"], &bytes["key"]), (&"stored_bytes".into(), &"acme".into()));
    assert_eq!((&bytes["measured"], &bytes["allowed"]), (&11.into(), &7.into()));
    assert_eq!(bytes["hint"], "5 used, 6 asked");
    assert_eq!((&creations["quota"], &creations["rule"]), (&"creations".into(), &"rate-exceeded".into()));
}

#[test]
fn knows_its_longest_window() {
    assert_eq!(Quotas::UNLIMITED.longest_window(), None);
    let quotas = Quotas {
        whole: rate(1, HOUR),
        each: Quota::UNLIMITED,
        applications: BTreeMap::from([("a".into(), rate(9, HOUR * 2))]),
    };
    assert_eq!(quotas.longest_window(), Some(HOUR * 2));
    assert!(!quotas.is_unlimited());
    assert_eq!(Rate { count: 100, window: HOUR }.to_string(), "100 / 1h");
}

fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![0..12_u64, any::<u64>(), u64::MAX - 2..=u64::MAX]
}

fn bound() -> impl Strategy<Value = Bound> {
    prop_oneof![3 => amount().prop_map(Bound::AtMost), 1 => proptest::strategy::Just(Bound::Unlimited)]
}

fn quota() -> impl Strategy<Value = Quota> {
    let creations = proptest::option::of(
        (amount(), 1..100_u64)
            .prop_map(|(count, seconds)| Rate { count, window: Duration::from_secs(seconds) }),
    );
    (bound(), bound(), bound(), creations).prop_map(
        |(checkpoints, stored_bytes, stored_entries, creations)| Quota {
            checkpoints,
            stored_bytes,
            stored_entries,
            creations,
        },
    )
}

fn quotas() -> impl Strategy<Value = Quotas> {
    let named = proptest::collection::btree_map("[a-c]".prop_map(Into::into), quota(), 0..3);
    (quota(), quota(), named).prop_map(|(whole, each, applications)| Quotas { whole, each, applications })
}

/// Shares, each with where it stands.
fn ledger() -> impl Strategy<Value = Vec<(Share, Standing)>> {
    let one = (proptest::option::of("[a-d]"), [(); 6].map(|()| amount()), any::<Duration>());
    let one = one.prop_map(|(application, [entries, bytes, a, b, c, count], frees_in)| {
        (
            share(application.as_deref(), entries, bytes),
            Standing { usage: standing(a, b, c).usage, ..came(count, frees_in) },
        )
    });
    proptest::collection::vec(one, 0..6)
}

fn review_all(quotas: &Quotas, ledger: &[(Share, Standing)]) -> Verdict {
    let (shares, standings): (Vec<_>, Vec<_>) = ledger.iter().cloned().unzip();
    review(quotas.clone(), &shares, &standings)
}

proptest! {
    #[test]
    fn removing_a_share_never_denies(
        quotas in quotas(), mut ledger in ledger(), at in any::<proptest::sample::Index>(),
    ) {
        let before = is_denial(&review_all(&quotas, &ledger));
        if !ledger.is_empty() {
            ledger.remove(at.index(ledger.len()));
            prop_assert!(before || !is_denial(&review_all(&quotas, &ledger)));
        }
    }

    #[test]
    fn asking_for_less_never_denies(quotas in quotas(), ledger in ledger(), less in 0..20_u64) {
        let fewer: Vec<_> = ledger.iter().cloned().map(|(share, standing)| {
            let (entries, bytes) = (share.entries.saturating_sub(less), share.bytes.saturating_sub(less));
            (Share { entries, bytes, ..share }, standing)
        }).collect();
        prop_assert!(is_denial(&review_all(&quotas, &ledger)) || !is_denial(&review_all(&quotas, &fewer)));
    }

    #[test]
    fn denies_just_what_exact_arithmetic_denies(quotas in quotas(), ledger in ledger()) {
        let over = |used: u64, asked: u64, bound: Bound| {
            bound.number().is_some_and(|most| u128::from(used) + u128::from(asked) > u128::from(most))
        };
        let expected = ledger.iter().any(|(share, standing)| {
            let quota = quotas.of(share.application.as_deref());
            let usage = standing.usage;
            over(usage.checkpoints, 1, quota.checkpoints)
                || over(usage.entries, share.entries, quota.stored_entries)
                || over(usage.bytes, share.bytes, quota.stored_bytes)
                || quota.creations.is_some_and(|rate| over(standing.recent.count, 1, Bound::AtMost(rate.count)))
        });
        // A sum beyond all numbers is held against the greatest, and only a quota of that size tells them apart.
        let saturated = |used: u64, asked: u64| used.checked_add(asked).is_none();
        let is_beyond = ledger.iter().any(|(share, Standing { usage, recent })| {
            saturated(usage.checkpoints, 1) || saturated(usage.entries, share.entries)
                || saturated(usage.bytes, share.bytes) || saturated(recent.count, 1)
        });
        let denied = is_denial(&review_all(&quotas, &ledger));
        prop_assert!(denied == expected || (is_beyond && expected));
    }

    #[test]
    fn the_shares_of_applications_are_within_the_whole(
        entries in proptest::collection::vec(("(x-[a-c]--|karbor-|)[a-z]{0,3}", ".{0,4}"), 0..9),
    ) {
        let found = shares(entries.iter().map(|(key, value)| (&**key, &**value)));
        prop_assert_eq!(found.is_empty(), entries.is_empty());
        let Some((whole, applications)) = found.split_first() else { return Ok(()) };
        prop_assert_eq!(whole.application.as_deref(), None);
        prop_assert_eq!(whole.entries, entries.len() as u64);
        prop_assert!(applications.iter().map(|share| share.entries).sum::<u64>() <= whole.entries);
        prop_assert!(applications.iter().map(|share| share.bytes).sum::<u64>() <= whole.bytes);
        prop_assert!(applications.iter().all(|share| share.entries > 0));
        prop_assert!(applications.is_sorted_by(|one, other| one.application < other.application));
    }
}
