//! Counting, adding up, and the bounds on labels.

use std::sync::Arc;
use std::time::Duration;

use super::tenants::TenantLabels;
use super::*;
use crate::karbor::route::RouteKind;
use crate::policy::{
    Applications, Bound, Charge, Limits, Quotas, Stances, TenantRules, Violation, Violations,
};
use crate::wire::Refusal;

fn hub(named: &[&str], further_tenants: usize) -> MetricsHub {
    let named_tenants = named.iter().map(|id| TenantId::new(*id)).collect();
    MetricsHub::new(&MetricsOptions { named_tenants, further_tenants }, &BuildInfo::CURRENT).unwrap()
}

fn policy(revision: &str, default: Limits, tenants: &[(&str, Limits)]) -> PolicySpec {
    let rules = |limits| {
        Arc::new(TenantRules {
            limits,
            quotas: Quotas::UNLIMITED,
            applications: Applications::every(),
            stances: Stances::all(Enforcement::Enforce),
        })
    };
    PolicySpec {
        revision: revision.into(),
        default: rules(default),
        tenants: Arc::new(tenants.iter().map(|(id, limits)| (TenantId::new(*id), rules(*limits))).collect()),
        bridged_keys: vec!["created_by".into()],
        karbor_keys: Vec::new(),
        violations_reported: 16,
        max_depth: 16,
    }
}

/// The value of a series of ours in the text, or None where there is no such series.
fn value(text: &str, series: &str) -> Option<String> {
    let start = format!("karbor_admission_{series} ");
    text.lines().find_map(|line| line.strip_prefix(&start)).map(str::to_owned)
}

#[track_caller]
fn check(hub: &MetricsHub, expected: &[(&str, Option<&str>)]) {
    let text = hub.encode();
    for (series, expected) in expected {
        assert_eq!(value(&text, series).as_deref(), *expected, "{series}\n{text}");
    }
}

#[test]
fn cells_stand_in_the_order_of_their_words() {
    fn in_order<T: Copy>(all: &[T], index: fn(T) -> usize) {
        assert!(all.iter().enumerate().all(|(position, value)| index(*value) == position));
    }
    in_order(&RouteKind::ALL, |value| value as usize);
    in_order(Refusal::ALL, |value| value as usize);
    in_order(&Rule::ALL, |value| value as usize);
    in_order(MethodClass::ALL, |value| value as usize);
    in_order(Outcome::ALL, |value| value as usize);
    in_order(Reload::ALL, |value| value as usize);
    in_order(Side::ALL, |value| value as usize);
    in_order(Direction::ALL, |value| value as usize);
    in_order(ConnectionRefusal::ALL, |value| value as usize);
    in_order(UpstreamFailure::ALL, |value| value as usize);
    in_order(AuditDrop::ALL, |value| value as usize);
    in_order(Move::ALL, |value| value as usize);
    in_order(Probe::ALL, |value| value as usize);
}

/// The library finds a series by a digest of its label values without anything between them: a word that
/// ends in another would let two tenants share a series.
#[test]
fn no_word_after_a_tenant_ends_in_another() {
    let rules = Rule::ALL.map(Rule::code);
    let stances = Enforcement::ALL.map(Enforcement::outcome);
    let limits = in_force::limits(&Limits::SHIPPED).map(|(name, _)| name);
    for words in [&rules[..], &stances[..], &limits[..]] {
        for one in words {
            assert!(words.iter().all(|other| one == other || !one.ends_with(other)), "{one}");
        }
    }
}

#[test]
fn workers_are_added_up() {
    let hub = hub(&[], 0);
    let (one, other) = (hub.worker().unwrap(), hub.worker().unwrap());
    for worker in [&one, &one, &other] {
        worker.request(RouteKind::Create, MethodClass::Write, Outcome::Denied);
        worker.refused(Refusal::Chunk);
        worker.upstream_failed(UpstreamFailure::Reset);
        worker.added(RouteKind::Show, Duration::from_micros(4));
        worker.body_bytes(Side::Upstream, Direction::Sent, 1000);
        worker.connection_opened(Side::Downstream);
        worker.connection_refused(ConnectionRefusal::AtLimit);
        worker.bridged("created_by");
        worker.in_flight_started();
    }
    one.connection_closed(Side::Downstream);
    other.in_flight_finished();
    check(
        &hub,
        &[
            (r#"requests_total{method="write",outcome="denied",route="create"}"#, Some("3")),
            (r#"requests_total{method="read",outcome="forwarded",route="list"}"#, Some("0")),
            (r#"refusals_total{reason="chunk"}"#, Some("3")),
            (r#"upstream_failures_total{kind="reset"}"#, Some("3")),
            (r#"added_seconds_bucket{route="show",le="0.0000025"}"#, Some("0")),
            (r#"added_seconds_bucket{route="show",le="0.000005"}"#, Some("3")),
            (r#"added_seconds_bucket{route="show",le="+Inf"}"#, Some("3")),
            (r#"added_seconds_count{route="show"}"#, Some("3")),
            (r#"added_seconds_sum{route="show"}"#, Some("0.000012")),
            (r#"body_bytes_total{direction="sent",side="upstream"}"#, Some("3000")),
            (r#"body_bytes_total{direction="received",side="upstream"}"#, Some("0")),
            (r#"connections{side="downstream"}"#, Some("2")),
            (r#"connections_total{side="downstream"}"#, Some("3")),
            (r#"connections_total{side="upstream"}"#, Some("0")),
            (r#"connections_refused_total{reason="at-limit"}"#, Some("3")),
            (r#"bridged_keys_total{key="created_by"}"#, Some("3")),
            ("requests_in_flight", Some("2")),
        ],
    );
}

#[test]
fn series_of_an_endpoint_come_and_go() {
    let hub = hub(&[], 0);
    let (one, other) = (hub.worker().unwrap(), hub.worker().unwrap());
    let up = r#"upstream_addresses{endpoint="http://k:80",state="up"}"#;
    let ejected = r#"upstream_addresses{endpoint="http://k:80",state="ejected"}"#;
    let ejections = r#"upstream_ejections_total{endpoint="http://k:80"}"#;
    check(&hub, &[(up, None), (ejected, None), (ejections, None)]);
    for worker in [&one, &other] {
        let endpoint = worker.endpoint("http://k:80");
        endpoint.address_appears(true);
        endpoint.address_appears(true);
        endpoint.ejected();
    }
    check(&hub, &[(up, Some("2")), (ejected, Some("2")), (ejections, Some("2"))]);
    one.endpoint("http://k:80").came_back();
    other.endpoint("http://k:80").address_goes(false);
    check(&hub, &[(up, Some("3")), (ejected, Some("0")), (ejections, Some("2"))]);
    one.endpoint_goes("http://k:80");
    check(&hub, &[(up, Some("1")), (ejections, Some("1"))]);
    other.endpoint_goes("http://k:80");
    check(&hub, &[(up, None), (ejected, None), (ejections, None)]);
}

#[test]
fn statuses_count_by_class() {
    let hub = hub(&[], 0);
    let worker = hub.worker().unwrap();
    for status in [100, 200, 299, 304, 404, 500, 599, 0, 99, 600, 65535] {
        worker.upstream_answered(status, Duration::from_millis(3));
    }
    worker.upstream_unanswered();
    let classes = [("1xx", "1"), ("2xx", "2"), ("3xx", "1"), ("4xx", "1"), ("5xx", "6"), ("none", "1")];
    for (class, count) in classes {
        check(&hub, &[(&format!(r#"upstream_requests_total{{status="{class}"}}"#), Some(count))]);
    }
    check(&hub, &[("upstream_first_byte_seconds_count", Some("11"))]);
}

#[test]
fn a_rule_counts_once_in_a_request() {
    let hub = hub(&["t"], 0);
    let worker = hub.worker().unwrap();
    let broken = |rule, enforcement| Violation {
        rule,
        enforcement,
        key: None,
        measured: None,
        allowed: None,
        hint: None,
        quota: None,
    };
    let list = vec![
        broken(Rule::MalformedKey, Enforcement::Enforce),
        broken(Rule::MalformedKey, Enforcement::Enforce),
        broken(Rule::KeyTooLong, Enforcement::Observe),
        broken(Rule::NotAMap, Enforcement::Off),
    ];
    let mut violations = Violations::new(list, 3);
    // However few are told.
    violations.list.truncate(1);
    worker.rejections(&TenantId::new("t"), &violations);
    worker.rejections(&TenantId::new("unseen"), &Violations::default());
    worker.rejection(&TenantId::new("t"), Rule::KeyTooLong, Enforcement::Warn);
    let series =
        |rule, outcome| format!(r#"rejections_total{{enforcement="{outcome}",rule="{rule}",tenant="t"}}"#);
    check(
        &hub,
        &[
            (&series("malformed-key", "enforced"), Some("1")),
            (&series("key-too-long", "observed"), Some("1")),
            (&series("key-too-long", "warned"), Some("1")),
            (&series("not-a-map", "off"), None),
            (&series("read-only", "enforced"), None),
            (r#"rejections_total{enforcement="enforced",rule="read-only",tenant="other"}"#, Some("0")),
        ],
    );
}

#[test]
fn use_is_measured_against_limits_that_are_there() {
    let hub = hub(&[], 0);
    let worker = hub.worker().unwrap();
    let tenant = TenantId::new("t");
    let charge = Charge { entries: 48, bytes: 100, bridged: Vec::new() };
    let unlimited = Limits { entries: Bound::Unlimited, ..Limits::SHIPPED };
    let none = Limits { entries: Bound::AtMost(0), total_bytes: Bound::Unlimited, ..Limits::SHIPPED };
    for limits in [Limits::SHIPPED, unlimited, none] {
        worker.admitted(&tenant, &charge, &limits);
    }
    check(
        &hub,
        &[
            (r#"admitted_checkpoints_total{tenant="other"}"#, Some("3")),
            (r#"admitted_entries_bucket{le="32"}"#, Some("0")),
            (r#"admitted_entries_bucket{le="48"}"#, Some("3")),
            ("admitted_bytes_sum", Some("300")),
            (r#"limit_used_ratio_bucket{limit="entries",le="0.5"}"#, Some("0")),
            (r#"limit_used_ratio_bucket{limit="entries",le="0.75"}"#, Some("1")),
            (r#"limit_used_ratio_count{limit="entries"}"#, Some("1")),
            (r#"limit_used_ratio_bucket{limit="total_bytes",le="0.1"}"#, Some("2")),
        ],
    );
}

#[track_caller]
fn check_label(labels: &TenantLabels, tenant: &str, expected: &str) {
    assert_eq!(&*labels.of(&TenantId::new(tenant)), expected, "{tenant}");
}

#[test]
fn tenants_beyond_the_places_are_other() {
    let labels = TenantLabels::new(&[TenantId::new("named"), TenantId::new("other")], 2);
    check_label(&labels, "named", "named");
    check_label(&labels, "other", "tenant:other");
    for (strange, expected) in [
        ("", "other"),
        ("a b", "other"),
        ("tenant:other", "other"),
        ("é", "other"),
        (&"x".repeat(65), "other"),
    ] {
        labels.confirm(&TenantId::new(strange));
        check_label(&labels, strange, expected);
    }
    for tenant in ["default", &"x".repeat(64), "late"] {
        check_label(&labels, tenant, "other");
        labels.confirm(&TenantId::new(tenant));
        labels.confirm(&TenantId::new(tenant));
    }
    check_label(&labels, &"x".repeat(64), &"x".repeat(64));
    check_label(&labels, "late", "other");
    check_label(&labels, "default", "tenant:default");
    labels.name(&[TenantId::new("late"), TenantId::new("tenant:other")]);
    check_label(&labels, "late", "late");
    check_label(&labels, "tenant:other", "tenant:tenant:other");
    check_label(&labels, "later", "other");
}

#[test]
fn many_tenants_make_one_series() {
    let hub = hub(&[], 1);
    let (one, other) = (hub.worker().unwrap(), hub.worker().unwrap());
    for number in 0..500 {
        let worker = if number % 2 == 0 { &one } else { &other };
        let tenant = TenantId::new(format!("t{number}"));
        worker.tenant_confirmed(&tenant);
        worker.rejection(&tenant, Rule::NotAMap, Enforcement::Enforce);
    }
    check(
        &hub,
        &[
            (r#"rejections_total{enforcement="enforced",rule="not-a-map",tenant="t0"}"#, Some("1")),
            (r#"rejections_total{enforcement="enforced",rule="not-a-map",tenant="t1"}"#, None),
            (r#"rejections_total{enforcement="enforced",rule="not-a-map",tenant="other"}"#, Some("499")),
        ],
    );
}

#[test]
fn a_policy_shows_its_limits_until_the_next() {
    let hub = hub(&[], 0);
    let wide = Limits { entries: Bound::Unlimited, ..Limits::SHIPPED };
    hub.set_policy(&policy("r1", Limits::SHIPPED, &[("t", wide), ("default", Limits::SHIPPED)])).unwrap();
    check(
        &hub,
        &[
            (r#"policy_info{revision="r1"}"#, Some("1")),
            (r#"limit{limit="entries",tenant="default"}"#, Some("64")),
            (r#"limit{limit="body_bytes",tenant="default"}"#, Some("131072")),
            (r#"limit{limit="entries",tenant="tenant:default"}"#, Some("64")),
            (r#"limit{limit="entries",tenant="t"}"#, Some("+Inf")),
            (r#"limit{limit="value_bytes",tenant="t"}"#, Some("1024")),
            (r#"bridged_keys_total{key="created_by"}"#, Some("0")),
        ],
    );
    hub.worker().unwrap().admitted(&TenantId::new("t"), &Charge::default(), &wide);
    hub.set_policy(&policy("r2", wide, &[])).unwrap();
    check(
        &hub,
        &[
            (r#"policy_info{revision="r1"}"#, None),
            (r#"policy_info{revision="r2"}"#, Some("1")),
            (r#"limit{limit="entries",tenant="default"}"#, Some("+Inf")),
            (r#"limit{limit="entries",tenant="t"}"#, None),
            (r#"admitted_checkpoints_total{tenant="t"}"#, Some("1")),
        ],
    );
}

#[test]
fn methods_fall_into_classes() {
    for (method, class) in [
        ("GET", MethodClass::Read),
        ("HEAD", MethodClass::Read),
        ("DELETE", MethodClass::Write),
        ("PATCH", MethodClass::Write),
        ("get", MethodClass::Other),
        ("BREW", MethodClass::Other),
    ] {
        assert_eq!(MethodClass::of(method), class, "{method}");
    }
}

#[test]
fn audit_lines_are_counted() {
    let hub = hub(&[], 0);
    let counters = hub.audit_counters();
    counters.written(5);
    counters.dropped(AuditDrop::QueueFull, 2);
    check(
        &hub,
        &[
            ("audit_lines_total", Some("5")),
            (r#"audit_dropped_lines_total{reason="queue-full"}"#, Some("2")),
            (r#"audit_dropped_lines_total{reason="closed"}"#, Some("0")),
        ],
    );
}

#[test]
fn places_for_first_comers_are_resized_under_those_who_have_one() {
    let labels = TenantLabels::new([], 1);
    let [first, second, third] = ["a", "b", "c"].map(TenantId::new);
    for tenant in [&first, &second] {
        labels.confirm(tenant);
    }
    assert_eq!([&*labels.of(&first), &*labels.of(&second)], ["a", "other"]);
    labels.resize(2);
    labels.confirm(&second);
    labels.resize(0);
    labels.confirm(&third);
    assert_eq!([&first, &second, &third].map(|tenant| labels.of(tenant).to_string()), ["a", "b", "other"]);
}

#[test]
fn reloads_and_what_is_in_flight_are_counted() {
    let hub = hub(&[], 0);
    let successful = "config_last_reload_successful";
    check(&hub, &[(successful, Some("1")), ("config_reloads_total{outcome=\"invalid\"}", Some("0"))]);
    for (outcome, expected) in Reload::ALL.iter().zip(["1", "1", "0", "0"]) {
        hub.reloaded(*outcome);
        let series = format!("config_reloads_total{{outcome=\"{}\"}}", outcome.name());
        check(&hub, &[(successful, Some(expected)), (&series, Some("1"))]);
    }
    let workers = [(); 2].map(|()| hub.worker().unwrap());
    for worker in &workers {
        worker.in_flight_started();
    }
    assert_eq!(hub.requests_in_flight(), 2);
    workers[0].in_flight_finished();
    assert_eq!(hub.requests_in_flight(), 1);
}
