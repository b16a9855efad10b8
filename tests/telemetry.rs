//! What is promised about metrics and audit lines: the documents say what the program does, and Prometheus'
//! own linter has nothing to say.

#![allow(clippy::unwrap_used, clippy::panic, reason = "that is how a test fails")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use karbor_admission::karbor::request_id::RequestId;
use karbor_admission::karbor::route::RouteKind;
use karbor_admission::karbor::{CheckpointId, ProviderId, TenantId};
use karbor_admission::policy::{
    Applications, Bound, Charge, Enforcement, Limits, Measure, PolicySpec, Quota, Quotas, Rule, Stances,
    Standing, TenantRules, Usage, Violation, Violations,
};
use karbor_admission::telemetry::audit::{
    AuditLine, AuditLog, AuditOptions, AuditSink, AuditVerdict, FORMAT_VERSION, KeyNames,
};
use karbor_admission::telemetry::metrics::{
    AuditDrop, BuildInfo, ConnectionRefusal, Direction, FAMILIES, Handshake, Kind, LedgerOperation,
    LedgerOutcome, MethodClass, MetricsHub, MetricsOptions, Move, Outcome, Probe, Reload, Side, SpanDrop,
    Unfilled, Unkept, UpstreamFailure,
};
use karbor_admission::wire::{Refusal, SpanId, TraceId};
use serde_json::Value;

fn document(name: &str) -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).unwrap()
}

/// The cells of the rows whose first cell is code, without the code marks around that.
fn rows(document: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| {
        let mut cells: Vec<String> =
            line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
        cells[0] = cells[0].trim_matches('`').to_owned();
        cells
    };
    document.lines().filter(|line| line.starts_with("| `")).map(cells).collect()
}

/// The code in a cell.
fn codes(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// A hub in which every family has something to show.
fn busy_hub() -> MetricsHub {
    let options = MetricsOptions { named_tenants: vec![TenantId::new("named")], further_tenants: 1 };
    let hub = MetricsHub::new(&options, &BuildInfo::CURRENT).unwrap();
    let limits = Limits { entries: Bound::Unlimited, ..Limits::SHIPPED };
    let rules = |limits| {
        let (applications, stances) = (Applications::every(), Stances::all(Enforcement::Enforce));
        Arc::new(TenantRules { limits, quotas: Quotas::UNLIMITED, applications, stances })
    };
    let policy = PolicySpec {
        revision: "r1".into(),
        default: rules(Limits::SHIPPED),
        tenants: Arc::new([(TenantId::new("quote\"back\\slash"), rules(limits))].into()),
        bridged_keys: vec!["created_by".into()],
        karbor_keys: Vec::new(),
        violations_reported: 16,
        max_depth: 16,
    };
    hub.set_policy(&policy).unwrap();
    let quota = Quota { checkpoints: Bound::AtMost(4), ..Quota::UNLIMITED };
    let standing = Standing { usage: Usage { checkpoints: 3, ..Usage::default() }, ..Standing::default() };
    hub.set_usage(&[(TenantId::new("named"), quota, standing)]).unwrap();
    hub.set_certificates(&[("/a.crt".into(), 1)]).unwrap();
    for number in 0..3 {
        let worker = hub.worker().unwrap();
        let tenant = TenantId::new(format!("t{number}"));
        worker.tenant_confirmed(&tenant);
        worker.rejection(&tenant, Rule::NotAMap, Enforcement::Enforce);
        let charge = Charge { entries: 3, bytes: 100, bridged: vec![0] };
        worker.admitted(&tenant, &charge, &Limits::SHIPPED);
        worker.upstream_answered(200, Duration::from_millis(7));
        worker.added(RouteKind::Create, Duration::from_micros(30));
        let endpoint = worker.endpoint("https://karbor.example:443");
        endpoint.address_appears(true);
        endpoint.ejected();
    }
    hub
}

#[test]
fn the_linter_finds_nothing() {
    let linter = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut linter = match linter {
        Ok(linter) => linter,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("skipped: promtool is not on the path (Debian's package `prometheus` has it)");
            return;
        }
        Err(error) => panic!("promtool: {error}"),
    };
    let text = busy_hub().encode();
    linter.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = linter.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}\n{text}", String::from_utf8_lossy(&said));
}

#[test]
fn every_family_is_documented_and_no_other() {
    let document = document("metrics.md");
    let documented: Vec<_> =
        rows(&document).into_iter().filter(|cells| cells[0].starts_with("karbor_admission_")).collect();
    assert_eq!(documented.len(), FAMILIES.len());
    let text = busy_hub().encode();
    for family in FAMILIES {
        let row = documented.iter().find(|cells| cells[0] == family.name);
        let row = row.unwrap_or_else(|| panic!("{} is not documented", family.name));
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        assert_eq!(row[1], kind, "{}", family.name);
        assert_eq!(codes(&row[2]), family.labels, "{}", family.name);
        assert!(text.contains(&format!("# TYPE {} {kind}\n", family.name)), "{} is not served", family.name);
    }
    for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
        let name = line.split(' ').nth(2).unwrap();
        assert!(document.contains(&format!("`{name}`")), "{name} is served and not documented");
    }
}

#[track_caller]
fn check_label(label: &str, of: &str, values: &[&str]) {
    let document = document("metrics.md");
    let rows = rows(&document);
    let row = rows.iter().find(|cells| cells[0] == label && cells[1].trim_matches('`') == of);
    let row = row.unwrap_or_else(|| panic!("label {label} of {of} is not documented"));
    assert_eq!(codes(&row[2]), values, "{label} of {of}");
}

#[test]
fn every_label_value_is_documented() {
    fn words<T: Copy>(all: &[T], name: fn(T) -> &'static str) -> Vec<&'static str> {
        all.iter().map(|value| name(*value)).collect()
    }
    check_label("route", "all", &words(&RouteKind::ALL, RouteKind::name));
    check_label("method", "all", &words(MethodClass::ALL, MethodClass::name));
    check_label("outcome", "requests_total", &words(Outcome::ALL, Outcome::name));
    let mut outcomes = words(&Enforcement::ALL, Enforcement::outcome);
    outcomes.reverse();
    check_label("enforcement", "all", &outcomes[..3]);
    check_label("kind", "all", &words(UpstreamFailure::ALL, UpstreamFailure::name));
    check_label("reason", "upstream_moves_total", &words(Move::ALL, Move::name));
    check_label("outcome", "upstream_probes_total", &words(Probe::ALL, Probe::name));
    check_label("side", "all", &words(Side::ALL, Side::name));
    check_label("direction", "all", &words(Direction::ALL, Direction::name));
    check_label(
        "reason",
        "connections_refused_total",
        &words(ConnectionRefusal::ALL, ConnectionRefusal::name),
    );
    check_label("outcome", "tls_handshakes_total", &words(Handshake::ALL, Handshake::name));
    check_label("operation", "all", &words(LedgerOperation::ALL, LedgerOperation::name));
    check_label("outcome", "ledger_operations_total", &words(LedgerOutcome::ALL, LedgerOutcome::name));
    check_label("outcome", "config_reloads_total", &words(Reload::ALL, Reload::name));
    check_label("reason", "unfilled_answers_total", &words(Unfilled::ALL, Unfilled::name));
    check_label("reason", "unkept_maps_total", &words(Unkept::ALL, Unkept::name));
    check_label("reason", "audit_dropped_lines_total", &words(AuditDrop::ALL, AuditDrop::name));
    check_label("reason", "dropped_spans_total", &words(SpanDrop::ALL, SpanDrop::name));
    let text = busy_hub().encode();
    for of in ["limit", "limit_used_ratio"] {
        let start = format!("karbor_admission_{of}{}{{limit=\"", if of == "limit" { "" } else { "_count" });
        let shown: BTreeSet<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix(&start))
            .filter_map(|rest| rest.split('"').next())
            .collect();
        let document = document("metrics.md");
        let rows = rows(&document);
        let row = rows.iter().find(|cells| cells[0] == "limit" && cells[1] == format!("`{of}`")).unwrap();
        assert_eq!(codes(&row[2]).into_iter().collect::<BTreeSet<_>>(), shown, "limit of {of}");
    }
}

/// The line with everything in it, as it stands in the file.
fn full_line(key_names: KeyNames) -> Value {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("audit-{key_names:?}-{}.jsonl", std::process::id()));
    let options = AuditOptions { sink: AuditSink::File(file.clone()), key_names, queue_lines: 10 };
    let (log, writer) = AuditLog::open(&options, busy_hub().audit_counters()).unwrap();
    let violation = Violation {
        rule: Rule::KeyTooLong,
        enforcement: Enforcement::Warn,
        key: Some("x-acme--key".into()),
        measured: Some(300),
        allowed: Some(255),
        hint: Some("a hint".into()),
        quota: Some(Measure::StoredBytes),
    };
    log.record(&AuditLine {
        time: SystemTime::now(),
        request_id: RequestId::of(7),
        global_request_id: Some(RequestId::of(1)),
        trace_id: TraceId::of(1),
        span_id: SpanId::of(2),
        parent_span_id: SpanId::of(1),
        peer: std::net::IpAddr::from([192, 0, 2, 7]).into(),
        certificate: Some("CN=backup"),
        tenant: Some(&TenantId::new("t")),
        provider: Some(&ProviderId::new("p")),
        checkpoint: Some(&CheckpointId::new("c")),
        route: Some(RouteKind::Create),
        method: Some("POST"),
        verdict: AuditVerdict::Warned,
        refusal: Some(Refusal::Chunk),
        violations: Some(&Violations::new(vec![violation], 2)),
        charge: Some(&Charge { entries: 1, bytes: 310, bridged: Vec::new() }),
        kept: Some(true),
        restored: 1,
        altered: 1,
        policy: Some("r1"),
        status: Some(200),
        upstream_status: Some(200),
        outcome_unknown: true,
        client_left: true,
        duration: Duration::from_millis(90),
        upstream: Some(Duration::from_millis(80)),
    });
    writer.close(Duration::from_secs(10)).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The fields of a line and their types, as the contract writes them.
fn fields(line: &Value) -> BTreeSet<(String, &'static str)> {
    let kind = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let mut fields: BTreeSet<_> =
        line.as_object().unwrap().iter().map(|(name, value)| (name.clone(), kind(value))).collect();
    for violation in line["violations"].as_array().into_iter().flatten() {
        let parts = violation.as_object().unwrap();
        fields.extend(parts.iter().map(|(name, value)| (format!("violations[].{name}"), kind(value))));
    }
    fields
}

/// The rows of the field table: name, type, meaning, when absent.
fn field_rows(document: &str) -> Vec<Vec<String>> {
    rows(document.split("## Verdicts").next().unwrap())
}

#[test]
fn every_audit_field_is_documented_and_no_other() {
    let document = document("audit.md");
    let rows = field_rows(&document);
    let documented: BTreeSet<(&str, &str)> =
        rows.iter().map(|cells| (cells[0].as_str(), cells[1].as_str())).collect();
    let mut written = fields(&full_line(KeyNames::Plain));
    written.extend(fields(&full_line(KeyNames::Hashed)));
    assert_eq!(documented, written.iter().map(|(name, kind)| (name.as_str(), *kind)).collect());
}

#[test]
fn the_examples_keep_to_the_contract() {
    let document = document("audit.md");
    let rows = field_rows(&document);
    let example = document.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    for line in example.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let written = fields(&line);
        for (name, kind) in &written {
            assert!(rows.iter().any(|cells| cells[0] == *name && cells[1] == *kind), "{name} in {line}");
        }
        let always = rows.iter().filter(|cells| cells[3] == "never" && !cells[0].contains('['));
        for cells in always {
            assert!(written.iter().any(|(name, _)| *name == cells[0]), "no {} in {line}", cells[0]);
        }
        assert_eq!(line["v"], FORMAT_VERSION);
        assert!(AuditVerdict::ALL.iter().any(|verdict| line["verdict"] == verdict.word()), "{line}");
    }
}

#[test]
fn every_verdict_is_documented() {
    let document = document("audit.md");
    let documented: BTreeSet<String> = rows(document.split("## Verdicts").nth(1).unwrap())
        .into_iter()
        .map(|mut cells| cells.swap_remove(0))
        .collect();
    assert_eq!(documented, AuditVerdict::ALL.iter().map(|verdict| verdict.word().to_owned()).collect());
}
