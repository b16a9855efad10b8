//! The verdict on a body, under the policy as shipped.

use std::sync::Arc;

use divan::Bencher;
use divan::counter::BytesCount;
use karbor_admission::karbor::request::Shape;
use karbor_admission::policy::{
    Applications, Enforcement, Limits, Policy, PolicySpec, Quotas, Rule, Stances, TenantRules, Verdict,
};

use crate::bodies::{TENANT, creation, entries, entry, escaped};

fn shipped() -> Policy {
    let rules = TenantRules {
        limits: Limits::SHIPPED,
        quotas: Quotas::UNLIMITED,
        applications: Applications::every(),
        stances: Stances::all(Enforcement::Enforce),
    };
    Policy::new(PolicySpec {
        revision: "bench".into(),
        default: Arc::new(rules),
        tenants: Arc::default(),
        bridged_keys: ["created_by", "trigger_id", "scheduled_operation_id"].map(Into::into).into(),
        karbor_keys: vec![("karbor-created-by".into(), Vec::new())],
        violations_reported: 16,
        max_depth: 32,
    })
}

/// Times the review, once it has found just these rules broken.
#[track_caller]
fn time(bencher: Bencher<'_, '_>, body: &str, broken: &[Rule]) {
    let policy = shipped();
    let review = || policy.review_create(TENANT, Shape::Wrapped, divan::black_box(body.as_bytes()));
    let verdict = review().verdict;
    let mut found: Vec<Rule> = verdict.violations().list.iter().map(|violation| violation.rule).collect();
    found.dedup();
    assert_eq!(found, broken);
    assert_eq!(matches!(verdict, Verdict::Deny(_)), !broken.is_empty());
    bencher.counter(BytesCount::of_str(body)).bench_local(review);
}

#[divan::bench(args = [0, 3, 16, 64])]
fn admits(bencher: Bencher<'_, '_>, number: usize) {
    time(bencher, &creation(&entries(number)), &[]);
}

/// Nothing can be borrowed: each character of keys and values is six bytes.
#[divan::bench]
fn admits_escapes(bencher: Bencher<'_, '_>) {
    let value = escaped(&"d".repeat(1000));
    let members: Vec<String> =
        (0..15).map(|at| entry(&escaped(&format!("x-acme--cost-center-{at:02}")), &value)).collect();
    time(bencher, &creation(&members), &[]);
}

#[divan::bench]
fn denies_malformed_key(bencher: Bencher<'_, '_>) {
    let mut members = entries(3);
    members.push(entry("Not a key", "x"));
    time(bencher, &creation(&members), &[Rule::MalformedKey]);
}

/// As many as fit, each with a hint of its own.
#[divan::bench]
fn denies_malformed_keys(bencher: Bencher<'_, '_>) {
    let members: Vec<String> = (0..64).map(|at| entry(&format!("karbor_created-by{at}"), "x")).collect();
    time(bencher, &creation(&members), &[Rule::MalformedKey]);
}

/// A body as large as may be read, all of it small entries.
#[divan::bench]
fn denies_too_many_entries(bencher: Bencher<'_, '_>) {
    let members: Vec<String> = (0..8000).map(|at| entry(&format!("x-a--{at}"), "")).collect();
    time(bencher, &creation(&members), &[Rule::TooManyEntries, Rule::ExtraInfoTooLarge]);
}

#[divan::bench]
fn denies_duplicate(bencher: Bencher<'_, '_>) {
    let mut members = entries(3);
    members.push(members[0].clone());
    time(bencher, &creation(&members), &[Rule::DuplicateMember]);
}

#[divan::bench]
fn denies_malformed_body(bencher: Bencher<'_, '_>) {
    let body = creation(&entries(64));
    time(bencher, &body[..body.len() - 1], &[Rule::MalformedBody]);
}
