//! Denials by quota: the status, and when it pays to try again.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::RETRY_AFTER;

use super::super::respond;
use crate::karbor::request_id::RequestId;
use crate::policy::{Enforcement, Measure, Rule, Violation, Violations};
use crate::telemetry::audit::{AuditLog, AuditOptions, AuditSink, KeyNames};
use crate::telemetry::exchange::{Client, Desk, Exchange, Lineage};
use crate::telemetry::metrics::MetricsHub;
use crate::telemetry::spans::Spans;

fn exchange() -> Box<Exchange> {
    let hub = MetricsHub::bare();
    let options = AuditOptions { sink: AuditSink::None, key_names: KeyNames::Plain, queue_lines: 1 };
    let (audit, _writer) = AuditLog::open(&options, hub.audit_counters()).unwrap();
    let desk =
        Desk { metrics: Rc::new(hub.worker().unwrap()), audit, spans: Spans::default(), cut: Arc::default() };
    let client = Client { origin: IpAddr::from([127, 0, 0, 1]).into(), secure: false, certificate: None };
    Exchange::open(Rc::new(desk), &client, "POST", Lineage::default())
}

fn violation(rule: Rule, enforcement: Enforcement, quota: Measure) -> Violation {
    Violation { rule, enforcement, key: None, measured: None, allowed: None, hint: None, quota: Some(quota) }
}

fn too_fast(enforcement: Enforcement, retry_after: Duration) -> Violation {
    let creations = Measure::Creations { window: Duration::from_secs(600), retry_after };
    violation(Rule::RateExceeded, enforcement, creations)
}

#[track_caller]
fn check(violations: Vec<Violation>, status: StatusCode, retry_after: Option<&str>) {
    let answer = respond::denial(exchange(), Violations::new(violations, 0), RequestId::of(1));
    assert_eq!(answer.status(), status);
    let found = answer.headers().get(RETRY_AFTER).map(|value| value.to_str().unwrap());
    assert_eq!(found, retry_after);
    assert!(!answer.headers().contains_key("connection"));
}

#[test]
fn says_when_to_try_again_in_whole_seconds() {
    for (wait, seconds) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (90_000, "90")] {
        let violations = vec![too_fast(Enforcement::Enforce, Duration::from_millis(wait))];
        check(violations, StatusCode::TOO_MANY_REQUESTS, Some(seconds));
    }
}

#[test]
fn says_the_longest_wait_of_those_enforced() {
    let wait = |seconds| too_fast(Enforcement::Enforce, Duration::from_secs(seconds));
    let observed = too_fast(Enforcement::Observe, Duration::from_secs(500));
    check(vec![wait(7), observed, wait(8), wait(2)], StatusCode::TOO_MANY_REQUESTS, Some("8"));
}

#[test]
fn waiting_does_not_help_against_a_quota() {
    let full = |enforcement| violation(Rule::QuotaExceeded, enforcement, Measure::Checkpoints);
    let fast = too_fast(Enforcement::Enforce, Duration::from_secs(7));
    check(vec![full(Enforcement::Enforce)], StatusCode::PAYLOAD_TOO_LARGE, None);
    check(vec![full(Enforcement::Enforce), fast.clone()], StatusCode::PAYLOAD_TOO_LARGE, None);
    check(vec![full(Enforcement::Observe), fast], StatusCode::TOO_MANY_REQUESTS, Some("7"));
}
