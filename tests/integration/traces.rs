//! What a caller says that its request is part of: handed on as it came, and written down where it is sound.

use crate::support::{Fields, PROJECT, Request, Scripted, Stage, TestApp, stage};

const ID: &str = "req-0f8fad5b-d9cb-469f-a165-70867728950e";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn traceparent() -> String {
    format!("00-{TRACE}-{PARENT}-01")
}

/// What hostile or broken callers send; none is to be believed.
fn unsound() -> Vec<(&'static str, Vec<String>)> {
    let long = "a".repeat(20_000);
    vec![
        ("traceparent", vec![traceparent(), traceparent()]),
        ("traceparent", vec![traceparent().to_uppercase()]),
        ("traceparent", vec![format!("{}-{long}", traceparent())]),
        ("traceparent", vec![format!("00-{}-{PARENT}-01", "0".repeat(32))]),
        ("traceparent", vec!["00-jos\u{e9}\u{1f600}-\"},{\"verdict\":\"admitted".to_owned()]),
        ("X-Openstack-Request-Id", vec![ID.to_owned(), ID.to_owned()]),
        ("X-Openstack-Request-Id", vec![format!("{ID}{long}")]),
        ("X-Openstack-Request-Id", vec![ID.to_uppercase()]),
        ("X-Openstack-Request-Id", vec!["req-jos\u{e9}".to_owned()]),
    ]
}

fn with(request: Request, name: &str, values: &[String]) -> Request {
    values.iter().fold(request, |request, value| request.field(name, value))
}

fn denied(stage: &Stage) -> Request {
    stage.creation(r#"{"ticket": "1"}"#)
}

/// The fields that Karbor gets.
fn forwarded(request: &Request) -> Fields {
    let karbor = Scripted::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let app = TestApp::before(karbor.address, "");
    assert_eq!(app.client().ask(request).status, 200);
    karbor.end().remove(0).fields
}

#[test]
fn karbor_gets_what_the_caller_sent() {
    let plans = || Request::new("GET", &format!("/v1/{PROJECT}/plans"));
    let sound = plans()
        .field("traceparent", &traceparent())
        .field("tracestate", "rojo=00f067aa0ba902b7")
        .field("tracestate", "congo=t61rcWkgMzE")
        .field("X-Openstack-Request-Id", ID);
    let fields = forwarded(&sound);
    assert_eq!(fields.values("traceparent"), [traceparent()]);
    assert_eq!(fields.values("tracestate"), ["rojo=00f067aa0ba902b7", "congo=t61rcWkgMzE"]);
    assert_eq!(fields.values("x-openstack-request-id"), [ID]);
    for (name, values) in unsound() {
        let fields = forwarded(&with(plans(), name, &values).field("tracestate", "a=b"));
        assert_eq!(fields.values(&name.to_ascii_lowercase()), values, "{name}");
        assert_eq!(fields.values("tracestate"), ["a=b"], "{name}");
    }
    let fields = forwarded(&plans());
    for name in ["traceparent", "tracestate", "x-openstack-request-id"] {
        assert!(fields.values(name).is_empty(), "{name}: {fields:?}");
    }
}

#[test]
fn karbor_gets_it_with_a_creation_too() {
    let stage = stage("");
    let creation = stage.creation(r#"{"x-a--b": "c"}"#);
    let creation = creation.field("traceparent", &traceparent()).field("X-Openstack-Request-Id", ID);
    assert_eq!(stage.ask(&creation).status, 200);
    let received = stage.received(1).remove(0);
    assert!(received.values("traceparent") == [traceparent().as_bytes()], "{received:?}");
    assert!(received.values("x-openstack-request-id") == [ID.as_bytes()], "{received:?}");
}

#[test]
fn the_audit_line_says_what_a_request_is_part_of() {
    let stage = stage("");
    for request in [denied(&stage), stage.creation("null"), Request::new("GET", "/v1/%2Fplans")] {
        let request = request.field("traceparent", &traceparent()).field("X-Openstack-Request-Id", ID);
        let reply = stage.ask(&request);
        assert_ne!(reply.request_id(), ID, "that names the caller's request, and not this part of it");
        let line = stage.app.audit_of(&reply);
        assert_eq!(line["global_request_id"], ID, "{line}");
        assert_eq!((&line["trace_id"], &line["parent_span_id"]), (&TRACE.into(), &PARENT.into()), "{line}");
    }
    let line = stage.app.audit_of(&stage.ask(&denied(&stage)));
    for name in ["global_request_id", "trace_id", "parent_span_id"] {
        assert!(line.get(name).is_none(), "{line}");
    }
}

#[test]
fn nothing_unsound_is_believed_or_written_down() {
    let stage = stage("");
    let sound = [("traceparent", traceparent()), ("X-Openstack-Request-Id", ID.to_owned())];
    let judged = unsound().into_iter().map(|(name, values)| {
        let (other, value) = sound.iter().find(|(other, _)| *other != name).unwrap();
        let request = with(denied(&stage), name, &values).field(other, value);
        let reply = stage.ask(&request);
        assert_eq!(reply.own_fault(400).codes, ["malformed-key"], "{name}");
        let line = stage.app.audit_of(&reply);
        let (read, unread) = match name {
            "traceparent" => ("global_request_id", "trace_id"),
            _ => ("trace_id", "global_request_id"),
        };
        assert!(line.get(read).is_some() && line.get(unread).is_none(), "{name}: {line}");
        assert!(line.get("parent_span_id").is_some() == (read == "trace_id"), "{line}");
    });
    assert_eq!(judged.count(), unsound().len());
    let text = stage.app.audit_text();
    assert!(text.lines().all(|line| line.len() < 1000), "{text}");
    // No letters of a digit: ids of our own stand there too.
    assert!(!text.contains("aaaaaaaa") && !text.contains("jos"), "{text}");
}
