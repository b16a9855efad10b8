//! Each rule: the status, the code, and that Karbor sees nothing. Boundaries are the core's tests.

use crate::support::{Fault, PROJECT, Request, Stage, body_of, checkpoints, stage};

/// Denied with these codes; nothing reaches Karbor; one audit line with the same codes.
#[track_caller]
fn check(stage: &Stage, request: &Request, status: u16, codes: &[&str]) -> Fault {
    let reply = stage.ask(request);
    assert_eq!(reply.status, status, "{request:?}: {}", reply.text());
    let fault = reply.own_fault(status);
    assert_eq!(fault.codes, codes, "{request:?}");
    for code in codes {
        assert!(fault.message.contains(&format!("({code})")), "{code}: {}", fault.message);
    }
    assert!(stage.karbor.log().is_empty(), "{:?}", stage.karbor.log());
    let line = stage.app.audit_of(&reply);
    assert_eq!((&line["verdict"], &line["enforcement"]), (&"denied".into(), &"enforced".into()), "{line}");
    assert_eq!(line["status"], status, "{line}");
    let rules: Vec<_> = line["violations"].as_array().unwrap().iter().map(|one| &one["rule"]).collect();
    assert_eq!(rules, codes, "{line}");
    assert!(line.get("upstream_status").is_none() && line.get("entries").is_none(), "{line}");
    fault
}

#[test]
fn denies_bodies_that_are_no_creation() {
    let stage = stage("");
    let plan = stage.plan.clone();
    for (body, code) in [
        (String::new(), "malformed-body"),
        ("{".to_owned(), "malformed-body"),
        ("[]".to_owned(), "malformed-body"),
        (r#"{"checkpoint": 1}"#.to_owned(), "malformed-body"),
        (r#"{"checkpoint": {"plan_id": "p"}} x"#.to_owned(), "malformed-body"),
        (body_of(&plan, r#"{"x-a--b": "\ud800"}"#), "malformed-body"),
        (body_of(&plan, r#"{"x-a--b": NaN}"#), "malformed-body"),
        (format!("\u{feff}{}", body_of(&plan, "null")), "malformed-body"),
        (body_of(&plan, r#"null, "extra-info": {"x-a--b": "c"}"#), "duplicate-member"),
        (body_of(&plan, r#"{"x-a--b": "c", "x-a--\u0062": "d"}"#), "duplicate-member"),
        (
            r#"{"checkpoint": {"plan_id": "p"}, "\u0063heckpoint": {"plan_id": "p"}}"#.to_owned(),
            "duplicate-member",
        ),
        (body_of(&plan, r#"null, "more": 1"#), "unknown-member"),
        (r#"{"checkpoint": {"plan_id": "p"}, "more": {}}"#.to_owned(), "unknown-member"),
        (body_of(&plan, "[]"), "not-a-map"),
        (body_of(&plan, r#""text""#), "not-a-map"),
        (body_of(&plan, "false"), "not-a-map"),
    ] {
        check(&stage, &stage.creation_of(&body), 400, &[code]);
    }
    let invalid = [b"{\"checkpoint\": {\"plan_id\": \"".as_slice(), b"\xff\"}}"].concat();
    check(&stage, &Request::new("POST", &checkpoints(PROJECT)).json(invalid), 400, &["malformed-body"]);
    let hinted =
        stage.creation_of(&format!(r#"{{"checkpoint": {{"plan_id": "{plan}", "extra_info": {{}}}}}}"#));
    let fault = check(&stage, &hinted, 400, &["unknown-member"]);
    assert!(fault.message.contains("extra-info"), "{}", fault.message);
}

#[test]
fn denies_entries_by_their_key_or_value() {
    let stage = stage(
        "[limits]\nkey_bytes = 20\nvalue_bytes = 10\n\
         [policy.karbor_keys]\nkarbor-created-by = { values = [\"manual\"] }\nkarbor-trigger-id = {}\n",
    );
    for (map, code) in [
        (r#"{"x-a--b": null}"#, "value-not-a-string"),
        (r#"{"x-a--b": 1}"#, "value-not-a-string"),
        (r#"{"x-a--b": {}}"#, "value-not-a-string"),
        (r#"{"": ""}"#, "malformed-key"),
        (r#"{"ticket": ""}"#, "malformed-key"),
        (r#"{"x-A--b": ""}"#, "malformed-key"),
        (r#"{"x-a--": ""}"#, "malformed-key"),
        (r#"{"x-a--b\n": ""}"#, "malformed-key"),
        (r#"{"karbor-": ""}"#, "malformed-key"),
        (r#"{"karbor-other": ""}"#, "unknown-karbor-key"),
        (r#"{"karbor-created-by": "me"}"#, "karbor-key-value"),
        (r#"{"x-a--456789012345678901": ""}"#, "key-too-long"),
        (r#"{"x-a--b": "12345678901"}"#, "value-too-long"),
        (r#"{"x-a--b": "12345678\u00e9\u00e9"}"#, "value-too-long"),
    ] {
        check(&stage, &stage.creation(map), 400, &[code]);
    }
    let fault = check(&stage, &stage.creation(r#"{"x-a--b": null}"#), 400, &["value-not-a-string"]);
    assert!(fault.message.contains("--extra_info"), "{}", fault.message);
    let fault = check(&stage, &stage.creation(r#"{"x-a--b": "12345678901"}"#), 400, &["value-too-long"]);
    assert!(fault.message.contains("11") && fault.message.contains("10"), "{}", fault.message);
    assert_eq!((&fault.details[0]["measured"], &fault.details[0]["allowed"]), (&11.into(), &10.into()));
}

#[test]
fn denies_what_is_over_a_limit_on_the_whole() {
    let stage = stage("[limits]\nentries = 2\ntotal_bytes = 30\nbody_bytes = 300\n");
    let three = r#"{"x-a--1": "", "x-a--2": "", "x-a--3": ""}"#;
    check(&stage, &stage.creation(three), 413, &["too-many-entries"]);
    let long = r#"{"x-a--1": "1234567890123456789012345"}"#;
    check(&stage, &stage.creation(long), 413, &["extra-info-too-large"]);
    let body = body_of(&stage.plan, &format!("null {}", " ".repeat(300)));
    let fault = check(&stage, &stage.creation_of(&body), 413, &["body-too-large"]);
    assert_eq!(
        (&fault.details[0]["measured"], &fault.details[0]["allowed"]),
        (&body.len().into(), &300.into())
    );
    check(&stage, &stage.creation_of(&body).chunked(50), 413, &["body-too-large"]);
}

#[test]
fn denies_a_body_by_its_declared_length_before_it_comes() {
    let stage = stage("");
    let mut client = stage.client();
    client.send(&stage.creation_of("").with("Content-Length", "131073").head());
    assert_eq!(client.reply().own_fault(413).codes, ["body-too-large"]);
    client.expect_end();
    let most = body_of(&stage.plan, "null");
    let most = format!("{most}{}", " ".repeat(131_072 - most.len()));
    assert_eq!(stage.ask(&stage.creation_of(&most)).status, 200);
}

#[test]
fn denies_an_endless_chunked_body_before_it_ends() {
    let stage = stage("[limits]\nbody_bytes = 1000\n");
    let mut client = stage.client();
    client
        .send(&stage.creation_of("").without("Content-Length").field("Transfer-Encoding", "chunked").head());
    for _ in 0..20 {
        client.send(format!("64\r\n{}\r\n", " ".repeat(100)).as_bytes());
    }
    assert_eq!(client.reply().own_fault(413).codes, ["body-too-large"]);
    client.expect_end();
    assert!(stage.karbor.log().is_empty());
}

#[test]
fn denies_what_karbor_would_not_read_as_json() {
    let stage = stage("");
    let body = body_of(&stage.plan, "null");
    let plain = || stage.creation_of(&body);
    for request in [
        plain().with("Content-Type", "text/plain"),
        plain().with("Content-Type", "application/json, text/plain"),
        plain().with("Content-Type", "application/vnd.karbor+json"),
        plain().with("Content-Type", ""),
        plain().without("Content-Type"),
        plain().field("Content-Encoding", "gzip"),
        plain().field("Content-Encoding", "identity, br"),
    ] {
        check(&stage, &request, 415, &["unsupported-media-type"]);
    }
}

#[test]
fn denies_applications_that_the_tenant_may_not_write() {
    let stage = stage(&format!("[tenants.{PROJECT}]\napplications = [\"acme-*\", \"own\"]\n"));
    let request = stage.creation(r#"{"x-acme-1--a": "", "x-own--a": "", "x-other--a": ""}"#);
    let fault = check(&stage, &request, 403, &["application-not-allowed"]);
    assert_eq!(fault.details[0]["key"], "x-other--a");
    assert_eq!(stage.ask(&stage.creation(r#"{"x-acme-1--a": "", "x-own--a": ""}"#)).status, 200);
}

#[test]
fn names_every_violation_at_once() {
    let stage = stage("[policy]\nviolations_reported = 5\n[limits]\nvalue_bytes = 5\n");
    let request = stage.creation(r#"{"x-a--b": "123456", "ticket": 1, "karbor-nothing": ""}"#);
    let codes = ["value-not-a-string", "malformed-key", "unknown-karbor-key", "value-too-long"];
    let fault = check(&stage, &request, 400, &codes);
    for key in ["x-a--b", "ticket", "karbor-nothing"] {
        assert!(fault.message.contains(key), "{key}: {}", fault.message);
    }
    let map: Vec<_> = (0..9).map(|at| format!("\"ticket{at}\": \"\"")).collect();
    let reply = stage.ask(&stage.creation(&format!("{{{}}}", map.join(", "))));
    assert_eq!(reply.own_fault(400).codes, ["malformed-key"; 5]);
    assert_eq!(reply.json()["badRequest"]["left_out"], 4);
    assert_eq!(stage.app.audit(2)[1]["violations_left_out"], 4);
}

#[test]
fn escapes_and_cuts_the_keys_in_a_fault() {
    let stage = stage("");
    let key = format!("\\u00e9\\\"\\n'{}", "k".repeat(200));
    let fault = check(&stage, &stage.creation(&format!("{{\"{key}\": \"\"}}")), 400, &["malformed-key"]);
    assert!(fault.message.len() < 400, "{}", fault.message);
    assert!(fault.message.contains("\\u{e9}") && fault.message.contains("..."), "{}", fault.message);
}

#[test]
fn counts_rejections_once_a_rule_and_request() {
    let stage = stage("");
    stage.ask(&stage.creation(r#"{"a": "", "b": "", "karbor-c": ""}"#)).own_fault(400);
    stage.ask(&stage.creation(r#"{"a": ""}"#)).own_fault(400);
    let enforced = |rule| [("rule", rule), ("enforcement", "enforced")];
    stage.app.until_counted("rejections_total", &enforced("malformed-key"), 2.0);
    stage.app.until_counted("rejections_total", &enforced("unknown-karbor-key"), 1.0);
    stage.app.until_counted("rejections_total", &[], 3.0);
    stage.app.until_counted("requests_total", &[("route", "create"), ("outcome", "denied")], 2.0);
    stage.app.until_counted("admitted_checkpoints_total", &[], 0.0);
}
