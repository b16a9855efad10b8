//! What a violation leads to, and how many are reported.

use std::sync::Arc;

use karbor_admission::karbor::TenantId;
use karbor_admission::karbor::request::Shape;
use karbor_admission::policy::{
    Breach, Charge, Enforcement, Policy, PolicySpec, Rule, Stances, TenantRules, Verdict, Violations,
};

use crate::support::{TENANT, creation, is_denial, outline, policy, review, rules, spec, word};

/// A body for each rule that a creation can break, which breaks no other.
const BREAKING: &[(Rule, &str)] = &[
    (Rule::MalformedBody, "{"),
    (Rule::DuplicateMember, r#"{"checkpoint":{"plan_id":"p","plan_id":"p"}}"#),
    (Rule::UnknownMember, r#"{"checkpoint":{"name":"n"}}"#),
    (Rule::NotAMap, r#"{"checkpoint":{"extra-info":[]}}"#),
    (Rule::ValueNotAString, r#"{"checkpoint":{"extra-info":{"x-a--k":1}}}"#),
    (Rule::MalformedKey, r#"{"checkpoint":{"extra-info":{"k":"v"}}}"#),
    (Rule::UnknownKarborKey, r#"{"checkpoint":{"extra-info":{"karbor-k":"v"}}}"#),
    (Rule::KarborKeyValue, r#"{"checkpoint":{"extra-info":{"karbor-created-by":"v"}}}"#),
    (Rule::ApplicationNotAllowed, r#"{"checkpoint":{"extra-info":{"x-b--k":"v"}}}"#),
    (Rule::KeyTooLong, r#"{"checkpoint":{"extra-info":{"x-a--long":"v"}}}"#),
    (Rule::ValueTooLong, r#"{"checkpoint":{"extra-info":{"x-a--k":"long"}}}"#),
    (Rule::TooManyEntries, r#"{"checkpoint":{"extra-info":{"x-a--k":"","x-a--l":""}}}"#),
    (Rule::ExtraInfoTooLarge, r#"{"checkpoint":{"extra-info":{"x-a--k":"v"}}}"#),
];

/// Rules under which each of those bodies breaks just its rule.
fn rules_for(rule: Rule, stances: Stances) -> TenantRules {
    use karbor_admission::policy::{Applications, Bound, Limits, Quotas};
    let mut limits = Limits::SHIPPED;
    match rule {
        Rule::KeyTooLong => limits.key_bytes = Bound::AtMost(8),
        Rule::ValueTooLong => limits.value_bytes = Bound::AtMost(3),
        Rule::TooManyEntries => limits.entries = Bound::AtMost(1),
        Rule::ExtraInfoTooLarge => limits.total_bytes = Bound::AtMost(6),
        _ => {}
    }
    let quotas = Quotas::UNLIMITED;
    TenantRules { limits, quotas, applications: Applications::of(["a"]), stances }
}

#[track_caller]
fn check(rule: Rule, stance: Enforcement, verdict: &Verdict) {
    let violations = verdict.violations();
    let broken: Vec<_> =
        violations.list.iter().map(|violation| (violation.rule, violation.enforcement)).collect();
    let expected = if stance == Enforcement::Off { vec![] } else { vec![(rule, stance)] };
    assert_eq!(broken, expected);
    assert_eq!(is_denial(verdict), stance == Enforcement::Enforce, "{rule} {stance:?}");
}

#[test]
fn follows_the_stance_on_each_rule() {
    for &(rule, body) in BREAKING {
        for stance in Enforcement::ALL {
            for others in Enforcement::ALL {
                let rules = rules_for(rule, Stances::all(others).with(rule, stance));
                check(rule, stance, &review(&policy(rules), body.as_bytes()));
            }
        }
    }
}

#[test]
fn follows_the_stance_on_rules_seen_elsewhere() {
    for rule in [
        Rule::UnsupportedMediaType,
        Rule::BodyTooLarge,
        Rule::ReadOnly,
        Rule::QuotaExceeded,
        Rule::RateExceeded,
    ] {
        for stance in Enforcement::ALL {
            let policy = policy(rules_for(rule, Stances::all(Enforcement::Enforce).with(rule, stance)));
            check(rule, stance, &policy.judge(TENANT, Breach::of(rule)));
            if rule == Rule::ReadOnly {
                check(rule, stance, &policy.review_update(TENANT, br#"{"extra-info":{}}"#));
            }
        }
    }
}

#[test]
fn follows_the_tenants_stance() {
    let mut spec = spec(rules());
    for stance in Enforcement::ALL {
        let rules = Arc::new(TenantRules { stances: Stances::all(stance), ..rules() });
        Arc::make_mut(&mut spec.tenants).insert(TenantId::new(stance.word()), rules);
    }
    let policy = Policy::new(spec);
    let body = creation(r#"{"k":"v"}"#);
    for stance in Enforcement::ALL {
        let review = policy.review_create(stance.word(), Shape::Wrapped, body.as_bytes());
        check(Rule::MalformedKey, stance, &review.verdict);
    }
}

#[test]
fn an_unreadable_body_that_is_let_through_is_charged_nothing() {
    let stances = Stances::all(Enforcement::Enforce).with(Rule::MalformedBody, Enforcement::Observe);
    let policy = policy(TenantRules { stances, ..rules() });
    for body in ["", "{", r#"{"checkpoint":{"extra-info":{"x-a--b":"1"}}"#, "[]", "{}"] {
        let review = policy.review_create(TENANT, Shape::Wrapped, body.as_bytes());
        assert_eq!(review.request, None);
        let Verdict::Admit { charge, noted } = review.verdict else { panic!("{body} is denied") };
        assert_eq!((charge, noted.list.len()), (Charge::default(), 1));
    }
}

#[test]
fn a_denial_also_tells_what_is_only_noted() {
    let stances = Stances::all(Enforcement::Enforce).with(Rule::MalformedKey, Enforcement::Warn);
    let verdict = review(&policy(TenantRules { stances, ..rules() }), creation(r#"{"k":null}"#).as_bytes());
    let told: Vec<_> =
        verdict.violations().list.iter().map(|violation| (violation.rule, violation.enforcement)).collect();
    let expected = [(Rule::ValueNotAString, Enforcement::Enforce), (Rule::MalformedKey, Enforcement::Warn)];
    assert!(is_denial(&verdict));
    assert_eq!(told, expected);
}

#[test]
fn caps_the_report_and_counts_the_rest() {
    #[track_caller]
    fn check(cap: usize, entries: usize, kept: usize, left_out: u64) {
        let policy = Policy::new(PolicySpec { violations_reported: cap, ..spec(rules()) });
        let list: Vec<_> = (0..entries).map(|number| format!(r#""k{number}":"""#)).collect();
        let verdict = review(&policy, creation(&format!("{{{}}}", list.join(","))).as_bytes());
        assert_eq!(is_denial(&verdict), entries > 0);
        let violations = verdict.violations();
        assert_eq!(
            (violations.list.len(), violations.left_out),
            (kept, left_out),
            "{entries}, {cap} reported"
        );
        for (number, violation) in violations.list.iter().enumerate() {
            assert_eq!(word(violation), format!("malformed-key k{number}"));
        }
    }
    check(3, 0, 0, 0);
    check(3, 2, 2, 0);
    check(3, 3, 3, 0);
    check(3, 4, 3, 1);
    check(1, 64, 1, 63);
    check(0, 1, 1, 0);
    check(0, 9, 1, 8);
    check(usize::MAX, 64, 64, 0);
}

#[test]
fn the_cap_hides_no_rule() {
    #[track_caller]
    fn check(cap: usize, stances: Stances, map: &str, expected: &[&str]) {
        let rules = rules_for(Rule::TooManyEntries, stances);
        let policy = Policy::new(PolicySpec { violations_reported: cap, ..spec(rules) });
        assert_eq!(outline(&review(&policy, creation(map).as_bytes())), expected, "{cap} reported");
    }
    let all = Stances::all(Enforcement::Enforce);
    let only_applications =
        Stances::all(Enforcement::Observe).with(Rule::ApplicationNotAllowed, Enforcement::Enforce);
    let warned = Stances::all(Enforcement::Observe).with(Rule::TooManyEntries, Enforcement::Warn);

    let many: Vec<_> = (0..80).map(|number| format!(r#""k{number}":"""#)).collect();
    let many = format!("{{{}}}", many.join(","));
    check(
        3,
        all.clone(),
        &many,
        &["deny", "malformed-key k0", "malformed-key k1", "too-many-entries 80/1", "+78"],
    );
    check(2, all.clone(), &many, &["deny", "malformed-key k0", "too-many-entries 80/1", "+79"]);
    // The client is told of the severest where there is no room for all.
    check(1, all.clone(), &many, &["deny", "malformed-key k0", "+80"]);
    check(1, warned, &many, &["admit", "too-many-entries 80/1", "+80"]);

    let few = r#"{"k1":1,"k2":2,"k3":"","x-b--k":"","x-c--k":"","k4":""}"#;
    let one_of_each = ["value-not-a-string k1", "malformed-key k3", "application-not-allowed x-b--k"];
    let enforced = ["application-not-allowed x-b--k", "application-not-allowed x-c--k"];
    check(1, only_applications.clone(), few, &["deny", enforced[0], "+8"]);
    check(2, only_applications.clone(), few, &["deny", one_of_each[0], enforced[0], "+7"]);
    check(
        4,
        only_applications.clone(),
        few,
        &["deny", one_of_each[0], one_of_each[1], enforced[0], "too-many-entries 6/1", "+5"],
    );
    // What is left goes to what is enforced before what is noted.
    let fifth = [&["deny"], &one_of_each[..2], &enforced, &["too-many-entries 6/1", "+4"]].concat();
    check(5, only_applications, few, &fifth);
}

#[test]
fn tells_every_broken_rule_whatever_is_kept() {
    let stances = Stances::all(Enforcement::Observe)
        .with(Rule::ApplicationNotAllowed, Enforcement::Enforce)
        .with(Rule::TooManyEntries, Enforcement::Warn)
        .with(Rule::ExtraInfoTooLarge, Enforcement::Off);
    for cap in [0, 1, 2, usize::MAX] {
        let rules = rules_for(Rule::TooManyEntries, stances.clone());
        let policy = Policy::new(PolicySpec { violations_reported: cap, ..spec(rules) });
        let body = creation(r#"{"k1":1,"k2":2,"x-b--k":"","k3":""}"#);
        let violations = review(&policy, body.as_bytes()).violations().clone();
        let expected = [
            (Rule::ValueNotAString, Enforcement::Observe),
            (Rule::MalformedKey, Enforcement::Observe),
            (Rule::ApplicationNotAllowed, Enforcement::Enforce),
            (Rule::TooManyEntries, Enforcement::Warn),
        ];
        assert_eq!(violations.broken().collect::<Vec<_>>(), expected, "{cap} reported");
        assert_eq!(violations.severest(), Some(Enforcement::Enforce));
    }
    assert_eq!(Violations::default().broken().next(), None);
    assert_eq!(Violations::default().severest(), None);
}

#[test]
fn carries_what_was_noted_into_the_later_review() {
    let stances = Stances::all(Enforcement::Enforce)
        .with(Rule::UnsupportedMediaType, Enforcement::Observe)
        .with(Rule::ReadOnly, Enforcement::Observe);
    let policy = policy(TenantRules { stances, ..rules() });
    for (extra_info, expected) in [
        ("null", &["admit", "unsupported-media-type", "read-only"][..]),
        (r#"{"k":""}"#, &["deny", "unsupported-media-type", "malformed-key k", "read-only"]),
    ] {
        let mut verdict = review(&policy, creation(extra_info).as_bytes());
        for rule in [Rule::ReadOnly, Rule::UnsupportedMediaType] {
            let Verdict::Admit { noted, .. } = policy.judge(TENANT, Breach::of(rule)) else {
                panic!("{rule} is only observed")
            };
            verdict = verdict.with_noted(noted);
        }
        assert_eq!(outline(&verdict), expected);
        let broken: Vec<_> = verdict.violations().broken().map(|(rule, _)| rule.code()).collect();
        let listed: Vec<_> =
            verdict.violations().list.iter().map(|violation| violation.rule.code()).collect();
        assert_eq!(broken, listed);
    }
    let uncounted = Violations::new(Vec::new(), 2);
    let verdict =
        review(&policy, creation("null").as_bytes()).with_noted(uncounted.clone()).with_noted(uncounted);
    assert_eq!(outline(&verdict), ["admit", "+4"]);
}
