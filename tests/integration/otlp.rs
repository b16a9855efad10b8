//! Spans of real exchanges, as a stand-in collector gets them; and a collector that is not there.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    Authority, Gate, PATIENCE, PROJECT, Request, Scripted, Stage, TestApp, eventually, json_answer, refusing,
    stage,
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

fn to(collector: SocketAddr, more: &str) -> String {
    format!("[traces]\nendpoint = \"http://{collector}\"\n{more}\n")
}

fn collector() -> Scripted {
    Scripted::answering(&json_answer("{}"))
}

/// Every span that the collector got.
fn spans(collector: &Scripted) -> Vec<Value> {
    let documents = collector.seen().into_iter().map(|seen| {
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/v1/traces"));
        assert_eq!(seen.fields.one("content-type"), Some("application/json"));
        assert_eq!(seen.fields.one("host"), Some(collector.address.to_string().as_str()));
        serde_json::from_slice::<Value>(&seen.body).unwrap()
    });
    let of = |document: Value| document["resourceSpans"][0]["scopeSpans"][0]["spans"].clone();
    documents.flat_map(|document| of(document).as_array().unwrap().clone()).collect()
}

#[track_caller]
fn until_spans(collector: &Scripted, count: usize) -> Vec<Value> {
    eventually("spans arrive", || spans(collector).len() >= count);
    spans(collector)
}

/// What a span says of `key`, whatever its type.
fn said<'s>(span: &'s Value, key: &str) -> Option<&'s Value> {
    let attributes = span["attributes"].as_array().unwrap();
    let mut found = attributes.iter().filter(|attribute| attribute["key"] == key);
    let value = found.next()?["value"].as_object().unwrap().values().next();
    assert!(found.next().is_none(), "{key} twice: {span}");
    value
}

#[track_caller]
fn check(span: &Value, expected: &[(&str, Option<&str>)]) {
    for (key, expected) in expected {
        let found = said(span, key);
        let text = found.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        assert_eq!(text.as_deref(), *expected, "{key}: {span:#}");
    }
}

fn karbor_got(stage: &Stage, name: &str) -> Vec<String> {
    let log = stage.karbor.log();
    let values = log.last().unwrap().values(name);
    values.into_iter().map(|value| String::from_utf8(value.to_vec()).unwrap()).collect()
}

#[test]
fn a_span_is_a_child_of_its_caller_and_the_parent_of_karbors() {
    let collector = collector();
    let stage = stage(&to(collector.address, ""));
    let creation = stage.creation(r#"{"x-a--b": "c"}"#);
    let creation = creation.field("traceparent", &traceparent("01")).field("tracestate", "a=b");
    let reply = stage.ask(&creation);
    assert_eq!(reply.status, 200);
    let span = until_spans(&collector, 1).remove(0);
    let own = span["spanId"].as_str().unwrap();
    assert_eq!((&span["traceId"], &span["parentSpanId"]), (&TRACE.into(), &PARENT.into()), "{span:#}");
    assert!(own.len() == 16 && own != PARENT, "{span:#}");
    assert_eq!(karbor_got(&stage, "traceparent"), [format!("00-{TRACE}-{own}-01")]);
    assert_eq!(karbor_got(&stage, "tracestate"), ["a=b"]);
    assert_eq!(
        (&span["name"], &span["kind"], &span["flags"]),
        (&"POST create".into(), &2.into(), &0x301.into())
    );
    assert_eq!(span["status"], json!({}), "{span:#}");
    let line = stage.app.audit_of(&reply);
    assert_eq!((&line["trace_id"], &line["span_id"]), (&TRACE.into(), &own.into()), "{line}");
    assert_eq!(line["parent_span_id"], PARENT, "{line}");
    check(
        &span,
        &[
            ("http.request.method", Some("POST")),
            ("http.response.status_code", Some("200")),
            ("url.path", Some(&creation.target)),
            ("url.scheme", Some("http")),
            ("client.address", Some("127.0.0.1")),
            ("error.type", None),
            ("karbor_admission.route", Some("create")),
            ("karbor_admission.outcome", Some("forwarded")),
            ("karbor_admission.verdict", Some("admitted")),
            ("karbor_admission.tenant", Some(PROJECT)),
            ("karbor_admission.rules", None),
            ("karbor_admission.request_id", Some(reply.request_id())),
            ("karbor_admission.policy", line["policy"].as_str()),
            ("karbor_admission.upstream_address", Some(&stage.karbor.addr().to_string())),
            ("karbor_admission.upstream_status", Some("200")),
        ],
    );
    let waited = said(&span, "karbor_admission.upstream_seconds").and_then(Value::as_f64).unwrap();
    let nanos = |key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
    let took = nanos("endTimeUnixNano") - nanos("startTimeUnixNano");
    assert!(waited > 0.0 && waited < Duration::from_nanos(took).as_secs_f64(), "{span:#}");
}

#[test]
fn without_a_sound_parent_a_trace_begins() {
    let collector = collector();
    let stage = stage(&to(collector.address, ""));
    let plans = || Request::new("GET", &format!("/v1/{PROJECT}/plans")).field("tracestate", "a=b");
    for (count, unsound) in [None, Some("00-x"), Some("ff-x")].into_iter().enumerate() {
        let request = unsound.map_or_else(plans, |value| plans().field("traceparent", value));
        assert_eq!(stage.ask(&request).status, 200);
        let span = until_spans(&collector, count + 1).pop().unwrap();
        assert!(span.get("parentSpanId").is_none(), "{span:#}");
        let (trace, own) = (span["traceId"].as_str().unwrap(), span["spanId"].as_str().unwrap());
        assert_eq!(karbor_got(&stage, "traceparent"), [format!("00-{trace}-{own}-03")]);
        assert!(karbor_got(&stage, "tracestate").is_empty(), "of a trace that is not carried on");
        assert_eq!(span["name"], "GET pass");
    }
    let traces: std::collections::BTreeSet<_> =
        spans(&collector).iter().map(|span| span["traceId"].to_string()).collect();
    assert_eq!(traces.len(), 3);
}

#[test]
fn nothing_is_recorded_that_its_caller_or_the_ratio_leaves_out() {
    let collector = collector();
    let stage = stage(&to(collector.address, "ratio = 0"));
    let plans = || Request::new("GET", &format!("/v1/{PROJECT}/plans")).field("tracestate", "a=b");
    for given in [None, Some(traceparent("00")), Some("00-x".to_owned())] {
        let request = given.iter().fold(plans(), |request, value| request.field("traceparent", value));
        assert_eq!(stage.ask(&request).status, 200);
        assert_eq!(karbor_got(&stage, "traceparent"), Vec::from_iter(given));
        assert_eq!(karbor_got(&stage, "tracestate"), ["a=b"]);
    }
    // The caller's word is one against the ratio too.
    assert_eq!(stage.ask(&plans().field("traceparent", &traceparent("01"))).status, 200);
    stage.app.until_counted("spans_total", &[], 1.0);
    stage.end();
    let spans = spans(&collector);
    assert_eq!((spans.len(), &spans[0]["traceId"]), (1, &TRACE.into()), "{spans:#?}");
}

#[test]
fn a_span_says_why_karbor_was_not_asked() {
    let collector = collector();
    let stage = stage(&to(
        collector.address,
        "[policy.rules]\ntoo-many-entries = \"observe\"\n[limits]\nentries = 0",
    ));
    assert_eq!(stage.ask(&stage.creation(r#"{"ticket": "1", "x-a--b": "c"}"#)).status, 400);
    assert_eq!(stage.ask(&Request::new("GET", "/v1/%2Fplans")).status, 400);
    stage.client().ask(&Request::new("BREW", &format!("/v1/{PROJECT}/plans")));
    let spans = until_spans(&collector, 3);
    check(
        &spans[0],
        &[
            ("karbor_admission.verdict", Some("denied")),
            ("karbor_admission.outcome", Some("denied")),
            ("http.response.status_code", Some("400")),
            ("karbor_admission.upstream_status", None),
            ("error.type", None),
        ],
    );
    let rules = said(&spans[0], "karbor_admission.rules").unwrap();
    let expected = json!({"values": [{"stringValue": "malformed-key"}, {"stringValue": "too-many-entries"}]});
    assert_eq!(*rules, expected);
    assert!(spans[0]["status"].get("code").is_none(), "a denial is no failure");
    let refused = [("karbor_admission.refusal", Some("target-slash")), ("url.path", None)];
    check(&spans[1], &refused);
    assert_eq!(spans[1]["name"], "GET");
    check(&spans[2], &[("http.request.method", Some("_OTHER"))]);
    assert_eq!(spans[2]["name"], "HTTP pass");
}

#[test]
fn a_span_says_how_karbor_failed() {
    let (collector, karbor) = (collector(), refusing());
    let app = TestApp::before(karbor, &to(collector.address, ""));
    assert_eq!(app.client().ask(&Request::new("GET", "/v1/p/plans")).status, 502);
    let span = until_spans(&collector, 1).remove(0);
    check(
        &span,
        &[
            ("error.type", Some("connect")),
            ("http.response.status_code", Some("502")),
            ("karbor_admission.outcome", Some("upstream-failed")),
            ("karbor_admission.upstream_address", None),
        ],
    );
    let message = span["status"]["message"].as_str().unwrap();
    assert!(span["status"]["code"] == 2 && message.contains(&karbor.to_string()), "{span:#}");
}

#[test]
fn long_texts_of_clients_are_cut() {
    let collector = collector();
    let stage = stage(&to(collector.address, ""));
    let long = "a".repeat(3000);
    let id = "req-".to_owned() + &long;
    let request = Request::new("GET", &format!("/v1/{long}/plans?secret=1"));
    stage.ask(&request.field("X-Openstack-Request-Id", &id));
    let span = until_spans(&collector, 1).remove(0);
    check(&span, &[("karbor_admission.global_request_id", None)]);
    assert_eq!(said(&span, "url.path").unwrap().as_str().unwrap().len(), 256);
    assert!(!span.to_string().contains("secret"), "{span:#}");
}

#[test]
fn requests_go_on_without_a_collector() {
    let stage = stage(&to(refusing(), ""));
    for _ in 0..5 {
        assert_eq!(stage.ask(&stage.creation("null")).status, 200);
    }
    stage.app.until_counted("dropped_spans_total", &[("reason", "failed")], 5.0);
    stage.app.until_counted("spans_total", &[], 0.0);
    assert_eq!(stage.end().len(), 5);
}

#[test]
fn a_collector_that_hangs_costs_spans_and_a_bounded_end() {
    let gate = Gate::default();
    let until = gate.clone();
    let hanging = Scripted::new(move |mut link| {
        link.request();
        until.pass();
    });
    let stage = stage(&to(hanging.address, "queue_spans = 4"));
    let mut client = stage.client();
    client.ask(&stage.creation("null"));
    hanging.until_seen(1);
    for _ in 0..20 {
        assert_eq!(client.ask(&stage.creation("null")).status, 200);
    }
    stage.app.until_counted("dropped_spans_total", &[("reason", "queue-full")], 16.0);
    let began = Instant::now();
    assert_eq!(stage.end().len(), 21);
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    gate.open();
}

#[test]
fn what_the_collector_may_take_later_is_sent_again() {
    let first = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    let collector = Scripted::new(move |mut link| {
        link.request();
        link.send(if link.number == 0 { first.to_owned() } else { json_answer("{}") });
    });
    let stage = stage(&to(collector.address, ""));
    stage.ask(&stage.creation("null"));
    stage.app.until_counted("spans_total", &[], 1.0);
    stage.app.until_counted("dropped_spans_total", &[], 0.0);
    let spans = spans(&collector);
    assert!(spans.len() == 2 && spans[0] == spans[1], "{spans:#?}");
}

#[test]
fn what_the_collector_refuses_is_counted() {
    let refusal = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_owned();
    for answer in [refusal, json_answer(r#"{"partialSuccess": {"rejectedSpans": "1"}}"#)] {
        let collector = Scripted::answering(&answer);
        let stage = stage(&to(collector.address, ""));
        stage.ask(&stage.creation("null"));
        stage.app.until_counted("dropped_spans_total", &[("reason", "refused")], 1.0);
        stage.app.until_counted("spans_total", &[], 0.0);
        assert_eq!(spans(&collector).len(), 1, "not sent again");
    }
}

#[test]
fn the_last_spans_are_sent_before_the_end() {
    let collector = collector();
    let stage = stage(&to(collector.address, ""));
    let mut client = stage.client();
    for _ in 0..700 {
        client.ask(&Request::new("GET", &format!("/v1/{PROJECT}/plans")));
    }
    drop(client);
    stage.end();
    assert_eq!(spans(&collector).len(), 700);
}

#[test]
fn spans_go_over_tls_to_a_collector_of_that_authority() {
    let collector = collector();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (certificate, key) = authority.issue(&["127.0.0.1"]).write(folder.path(), "collector");
    let ca_file = folder.path().join("ca.pem");
    fs::write(&ca_file, &authority.pem).unwrap();
    // What ends TLS before the collector is a proxy of ours.
    let front = TestApp::before(
        collector.address,
        &format!(
            "[server.tls]\ncertificates = [\"{}\"]\nkeys = [\"{}\"]",
            certificate.display(),
            key.display()
        ),
    );
    let settings =
        |more: &str| format!("[traces]\nendpoint = \"https://{}/otlp/traces\"\n{more}", front.address);
    let trusted = stage(&settings(&format!("ca_file = \"{}\"", ca_file.display())));
    trusted.ask(&trusted.creation("null"));
    trusted.app.until_counted("spans_total", &[], 1.0);
    assert_eq!(collector.seen().pop().unwrap().target, "/otlp/traces");
}
