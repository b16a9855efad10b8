//! What holds for any body.

use karbor_admission::karbor::request::{Shape, read_create, read_update, wrap_flat};
use karbor_admission::policy::{Bound, Enforcement, Limits, Rule, Stances, TenantRules, Verdict};
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use serde_json::Value;

use crate::support::{TENANT, creation, is_denial, policy, review, rules};

/// What bodies are made of, and what they must not be made of.
const TOKENS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"null",
    b"-1.5e9",
    b"1e999",
    b" \n",
    b"\"checkpoint\"",
    b"\"plan_id\"",
    b"\"extra-info\"",
    b"\"\\u0065xtra_info\"",
    b"\"x-a--b\"",
    b"\"karbor-created-by\"",
    b"\"\\ud834\\udd1e\"",
    b"\"\\ud800\"",
    b"\"\xff\"",
];

/// Bytes that look like a body, so that a reading goes deep before it fails.
fn near_json() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(proptest::sample::select(TOKENS), 0..40).prop_map(|tokens| tokens.concat())
}

/// Any JSON value with unique keys, as a map keeps them.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(key(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("checkpoint".to_owned()),
        Just("plan_id".to_owned()),
        Just("extra-info".to_owned()),
        Just("extra_info".to_owned()),
        Just("created_by".to_owned()),
        "karbor-[a-z]{1,3}",
        "x-[a-c]--[a-z ]{1,3}",
        ".{0,6}",
    ]
}

/// Entries with unique keys.
fn entries() -> impl Strategy<Value = Vec<(String, Value)>> {
    let value = prop_oneof![4 => "[a-zé]{0,12}".prop_map(Value::from), 1 => value()];
    proptest::collection::btree_map(key(), value, 0..12).prop_map(|map| map.into_iter().collect())
}

fn body(entries: &[(String, Value)]) -> Vec<u8> {
    let entries: Vec<_> =
        entries.iter().map(|(key, value)| format!("{}:{value}", Value::from(&**key))).collect();
    creation(&format!("{{{}}}", entries.join(","))).into_bytes()
}

/// A verdict less the order within a rule.
#[derive(Debug, PartialEq, Eq)]
struct Essence {
    broken: Vec<Rule>,
    left_out: u64,
    /// Entries, bytes and bridged keys, if admitted.
    charge: Option<(u64, u64, usize)>,
}

fn essence(verdict: &Verdict) -> Essence {
    let violations = verdict.violations();
    let charge = match verdict {
        Verdict::Admit { charge, .. } => Some((charge.entries, charge.bytes, charge.bridged.len())),
        Verdict::Deny(_) => None,
    };
    let broken = violations.list.iter().map(|violation| violation.rule).collect();
    Essence { broken, left_out: violations.left_out, charge }
}

const LIMIT_RULES: [Rule; 4] =
    [Rule::KeyTooLong, Rule::ValueTooLong, Rule::TooManyEntries, Rule::ExtraInfoTooLarge];

/// Small limits, and only they are enforced.
fn tight() -> TenantRules {
    let limits = Limits {
        entries: Bound::AtMost(5),
        key_bytes: Bound::AtMost(8),
        value_bytes: Bound::AtMost(9),
        total_bytes: Bound::AtMost(60),
        ..Limits::SHIPPED
    };
    let observed = Stances::all(Enforcement::Observe);
    let stances =
        LIMIT_RULES.into_iter().fold(observed, |stances, rule| stances.with(rule, Enforcement::Enforce));
    TenantRules { limits, stances, ..rules() }
}

/// Whatever the bytes, there is an answer, and only JSON is admitted.
fn check_any(bytes: &[u8]) {
    for shape in [Shape::Wrapped, Shape::Either] {
        let review = policy(rules()).review_create(TENANT, shape, bytes);
        if !is_denial(&review.verdict) {
            assert!(serde_json::from_slice::<Value>(bytes).is_ok());
            assert!(review.request.is_some());
        }
    }
    let verdict = policy(rules()).review_update(TENANT, bytes);
    assert!(is_denial(&verdict) || bytes.is_empty() || serde_json::from_slice::<Value>(bytes).is_ok());
    let _ = policy(rules()).review_create(TENANT, Shape::Wrapped, &wrap_flat(bytes));
}

proptest! {
    #[test]
    fn answers_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        check_any(&bytes);
    }

    #[test]
    fn answers_bytes_that_look_like_json(bytes in near_json()) {
        check_any(&bytes);
    }

    #[test]
    fn answers_bodies_with_a_byte_changed(entries in entries(), at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        let mut body = body(&entries);
        let at = at.index(body.len());
        body[at] = byte;
        check_any(&body);
    }

    #[test]
    fn reads_what_serde_json_reads(value in value()) {
        let text = value.to_string();
        let findings = read_update(text.as_bytes(), 32);
        let named = text.contains("\"extra-info\":") || text.contains("\"extra_info\":");
        prop_assert_eq!(findings.is_empty(), !named, "{}", text);
        let wrapped = creation(&text);
        let read = read_create(wrapped.as_bytes(), Shape::Wrapped, 32);
        let Some(request) = read.request else { return Err(proptest::test_runner::TestCaseError::fail(text)) };
        let strings = |member: (&String, &Value)| Some((member.0.clone(), member.1.as_str()?.to_owned()));
        let expected: Vec<_> =
            value.as_object().map(|object| object.iter().filter_map(strings).collect()).unwrap_or_default();
        let mut found: Vec<_> =
            request.extra_info.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        found.sort();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn the_order_of_entries_does_not_matter(
        (entries, shuffled) in entries().prop_flat_map(|entries| (Just(entries.clone()), Just(entries).prop_shuffle())),
    ) {
        for rules in [rules(), tight()] {
            let policy = policy(rules);
            prop_assert_eq!(essence(&review(&policy, &body(&entries))), essence(&review(&policy, &body(&shuffled))));
        }
    }

    #[test]
    fn removing_an_entry_never_denies_by_a_limit(mut entries in entries(), at in any::<proptest::sample::Index>()) {
        let policy = policy(tight());
        let before = is_denial(&review(&policy, &body(&entries)));
        if !entries.is_empty() {
            entries.remove(at.index(entries.len()));
            prop_assert!(before || !is_denial(&review(&policy, &body(&entries))));
        }
    }

    #[test]
    fn milder_stances_never_deny_more(entries in entries(), index in 0..Rule::ALL.len()) {
        let strict = TenantRules { stances: Stances::all(Enforcement::Enforce), ..tight() };
        let rule = Rule::ALL[index];
        let mild = TenantRules { stances: strict.stances.clone().with(rule, Enforcement::Warn), ..strict.clone() };
        let body = body(&entries);
        let denied = is_denial(&review(&policy(strict), &body));
        prop_assert!(denied || !is_denial(&review(&policy(mild), &body)));
    }
}
