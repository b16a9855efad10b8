//! Bodies of creations: the reader and the review against a plain reading and a second judge.

use std::sync::LazyLock;

use arbitrary::Unstructured;
use karbor_admission::karbor::fault::{Detail, Fault};
use karbor_admission::karbor::request::{Form, MAX_DEPTH, Shape, read_create, wrap_flat};
use karbor_admission::policy::{Policy, Verdict, Violation, Violations};
use serde_json::{Map, Value, json};

use crate::json::Census;
use crate::judge::{self, Rules};
use crate::{config, render};

/// The most bytes of a sentence about one violation, and about several.
const ONE_SENTENCE: usize = 600;
const ALL_SENTENCES: usize = 700;

const TENANT: &str = "9a3cfd1e0f9f4b3b8d0f8f0f3a1b2c3d";
const KNOWN: &[(&str, &[&str])] =
    &[("karbor-created-by", &[]), ("karbor-trigger-id", &[]), ("karbor-scheduled-operation-id", &[])];

/// What is shipped.
pub(crate) static SHIPPED: LazyLock<Judged> = LazyLock::new(|| Judged {
    policy: config::policy(""),
    reported: 16,
    rules: Rules {
        entries: 64,
        key_bytes: 255,
        value_bytes: 1024,
        total_bytes: 16_384,
        applications: &["*"],
        karbor_keys: KNOWN,
        bridged_keys: &["created_by", "trigger_id", "scheduled_operation_id"],
        max_depth: 32,
    },
});

/// Little is allowed.
pub(crate) static TIGHT: LazyLock<Judged> = LazyLock::new(|| Judged {
    policy: config::policy(
        r#"
        policy.max_depth = 4
        policy.violations_reported = 2
        policy.bridged_keys = ["created_by"]
        policy.applications = ["acme-*", "a"]
        policy.karbor_keys = { karbor-created-by = { values = ["manual", "a"] }, karbor-a = {} }
        limits = { entries = 2, key_bytes = 17, value_bytes = 6, total_bytes = 30, body_bytes = 4096 }
        "#,
    ),
    reported: 2,
    rules: Rules {
        entries: 2,
        key_bytes: 17,
        value_bytes: 6,
        total_bytes: 30,
        applications: &["acme-*", "a"],
        karbor_keys: &[("karbor-created-by", &["manual", "a"]), ("karbor-a", &[])],
        bridged_keys: &["created_by"],
        max_depth: 4,
    },
});

/// Nothing is enforced.
static MILD: LazyLock<Policy> = LazyLock::new(|| config::policy("policy.enforcement = \"warn\""));

/// A policy, and the same said again.
pub(crate) struct Judged {
    pub(crate) policy: Policy,
    pub(crate) rules: Rules,
    pub(crate) reported: usize,
}

/// The first byte chooses: a body as it stands, or one made of the choices that follow.
pub fn check(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    match choice & 1 {
        0 => check_body(rest),
        _ => {
            if let Ok(body) = render::creation(&mut Unstructured::new(rest)) {
                check_body(&body);
            }
        }
    }
}

/// Everything that must hold of one body.
pub fn check_body(body: &[u8]) {
    let plain = serde_json::from_slice::<Value>(body).ok().zip(Census::of(body));
    for judged in [&*SHIPPED, &*TIGHT] {
        for (shape, flat) in [(Shape::Wrapped, false), (Shape::Either, true)] {
            check_reading(body, shape, flat, judged.rules.max_depth, plain.as_ref());
            check_review(body, shape, flat, judged, plain.as_ref());
        }
    }
    check_reading(body, Shape::Wrapped, false, MAX_DEPTH, plain.as_ref());
    let mild = MILD.review_create(TENANT, Shape::Wrapped, body).verdict;
    assert!(!matches!(mild, Verdict::Deny(_)), "nothing is enforced");
    check_violations(mild.violations(), 16);
}

/// Nothing is found exactly where a plain reading finds the shape fine and no key twice.
fn check_reading(body: &[u8], shape: Shape, flat: bool, max_depth: usize, plain: Option<&(Value, Census)>) {
    let read = read_create(body, shape, max_depth);
    let Some((document, census)) = plain else {
        assert!(!read.findings.is_empty(), "no JSON, and nothing found");
        return;
    };
    let unique = census.members == Census::of_value(document).members;
    let fine = judge::shape(document, flat);
    let expected = unique && fine.is_ok() && census.depth <= max_depth;
    assert_eq!(read.findings.is_empty(), expected, "{:?} {:?}", read.findings, fine.err());
    let (true, Ok(map), Some(request)) = (expected, fine, &read.request) else {
        assert!(!expected, "fine, and no request");
        return;
    };
    assert!(request.set_aside.is_empty());
    assert_eq!(entries(request.extra_info.iter()), map.cloned().unwrap_or_default());
    assert_eq!(request.extra_info.len(), map.map_or(0, Map::len), "no entry twice");
    let checkpoint = document.get("checkpoint").unwrap_or(document);
    let plan_id = checkpoint.get("plan_id");
    assert_eq!(request.plan_id.as_deref(), plan_id.and_then(Value::as_str));
    assert_eq!(request.form == Form::Flat, document.get("checkpoint").is_none());
    if request.form == Form::Flat {
        let wrapped: Value = serde_json::from_slice(&wrap_flat(body)).expect("wrapped is JSON");
        assert_eq!(wrapped, json!({ "checkpoint": document }));
    }
    check_rewritten(request.with_underscore(), plan_id, map);
}

/// For a Karbor before 1.0: the same map under the other name, and nothing else.
fn check_rewritten(written: Option<Vec<u8>>, plan_id: Option<&Value>, map: Option<&Map<String, Value>>) {
    let sayable = plan_id.is_none_or(Value::is_string);
    assert_eq!(written.is_some(), sayable);
    let Some(written) = written else { return };
    let mut checkpoint = Map::new();
    checkpoint.extend(plan_id.map(|id| ("plan_id".to_owned(), id.clone())));
    let map = map.filter(|map| !map.is_empty());
    checkpoint.extend(map.map(|map| ("extra_info".to_owned(), Value::Object(map.clone()))));
    let written: Value = serde_json::from_slice(&written).expect("rewritten is JSON");
    assert_eq!(written, json!({ "checkpoint": checkpoint }));
}

/// Admitted exactly where the second judge admits, and by what Karbor reads.
fn check_review(body: &[u8], shape: Shape, flat: bool, judged: &Judged, plain: Option<&(Value, Census)>) {
    let review = judged.policy.review_create(TENANT, shape, body);
    check_violations(review.verdict.violations(), judged.reported);
    let Some((document, census)) = plain else {
        assert!(matches!(review.verdict, Verdict::Deny(_)), "no JSON, and admitted");
        return;
    };
    let opinion = judge::shape(document, flat)
        .and_then(|map| map.map_or(Ok(()), |map| judged.rules.judge(map)).map(|()| map));
    let unique = census.members == Census::of_value(document).members;
    match (&review.verdict, opinion) {
        (Verdict::Admit { charge, noted }, Ok(map)) => {
            assert!(unique && census.depth <= judged.rules.max_depth);
            assert!(noted.is_empty());
            let bytes = |map: &Map<String, Value>| -> usize {
                map.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum()
            };
            assert_eq!(charge.entries, map.map_or(0, Map::len) as u64);
            assert_eq!(charge.bytes, map.map_or(0, bytes) as u64);
        }
        (Verdict::Admit { .. }, Err(why)) => panic!("admitted, but {why}"),
        (Verdict::Deny(violations), Ok(_)) => {
            assert!(
                !unique || census.depth > judged.rules.max_depth,
                "denied without a reason: {violations}"
            );
        }
        (Verdict::Deny(_), Err(_)) => {}
    }
}

fn entries<'e>(entries: impl Iterator<Item = (&'e str, &'e str)>) -> Map<String, Value> {
    entries.map(|(key, value)| (key.to_owned(), value.into())).collect()
}

/// Bounded, and in words that the official client prints.
pub(crate) fn check_violations(violations: &Violations, reported: usize) {
    assert!(violations.list.len() <= reported);
    assert!(violations.left_out == 0 || violations.list.len() == reported);
    for violation in &violations.list {
        assert!(violation.key.as_ref().is_none_or(|key| key.len() <= Violation::KEY_BYTES));
        assert!(violation.hint.as_ref().is_none_or(|hint| is_line(hint, Violation::HINT_BYTES)));
        assert!(is_line(&violation.to_string(), ONE_SENTENCE), "{violation}");
    }
    let message = violations.to_string();
    assert!(is_line(&message, ALL_SENTENCES), "{message}");
    let details: Vec<Detail<'_>> = violations.list.iter().map(Detail::from).collect();
    let fault = Fault { details, left_out: violations.left_out, ..Fault::new(400, &message) }.to_body();
    assert!(fault.is_ascii() && !fault.contains(&b'\n'));
    let fault: Value = serde_json::from_slice(&fault).expect("a fault is JSON");
    assert_eq!(fault["badRequest"]["message"], *message);
}

fn is_line(text: &str, most: usize) -> bool {
    text.len() <= most && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}
