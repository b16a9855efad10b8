//! Bodies of updates: nothing that names the map is admitted, and nothing else is denied.

use arbitrary::Unstructured;
use karbor_admission::karbor::request::{MAX_DEPTH, read_update};
use karbor_admission::policy::Verdict;
use serde_json::Value;

use crate::create_body::{SHIPPED, TIGHT, check_violations};
use crate::json::Census;
use crate::render;

/// The first byte chooses: a body as it stands, or one made of the choices that follow.
pub fn check(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let mut choices = Unstructured::new(rest);
    match choice % 3 {
        0 => check_body(rest),
        1 => drop(render::document(&mut choices).map(|body| check_body(&body))),
        _ => drop(render::creation(&mut choices).map(|body| check_body(&body))),
    }
}

/// Everything that must hold of one body.
pub fn check_body(body: &[u8]) {
    let plain = serde_json::from_slice::<Value>(body).ok().zip(Census::of(body));
    // What Karbor would make of it, whatever else stands in the way.
    let names_the_map = plain.as_ref().is_some_and(|(document, _)| names_the_map(document));
    for judged in [&*SHIPPED, &*TIGHT] {
        let verdict = judged.policy.review_update("t", body);
        check_violations(verdict.violations(), judged.reported);
        assert!(matches!(verdict, Verdict::Deny(_)) || !names_the_map, "a change of the map is admitted");
        assert_eq!(
            !matches!(verdict, Verdict::Deny(_)),
            is_fine(body, judged.rules.max_depth, plain.as_ref())
        );
    }
    let findings = read_update(body, MAX_DEPTH);
    assert_eq!(findings.is_empty(), is_fine(body, MAX_DEPTH, plain.as_ref()), "{findings:?}");
}

fn is_fine(body: &[u8], max_depth: usize, plain: Option<&(Value, Census)>) -> bool {
    body.is_empty()
        || plain.is_some_and(|(document, census)| {
            census.members == Census::of_value(document).members
                && census.named_like_the_map == 0
                && census.depth <= max_depth
        })
}

fn names_the_map(value: &Value) -> bool {
    match value {
        Value::Object(members) => members
            .iter()
            .any(|(key, value)| key == "extra-info" || key == "extra_info" || names_the_map(value)),
        Value::Array(items) => items.iter().any(names_the_map),
        _ => false,
    }
}
