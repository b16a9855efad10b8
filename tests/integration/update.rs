//! Writes to an existing checkpoint: what is set at creation stays; what Karbor does besides goes by.

use crate::support::{PROJECT, Request, Stage, checkpoints, stage};

fn write(method: &str, target: &str, body: &str) -> Request {
    Request::new(method, target).json(body)
}

/// Denied as read-only; Karbor sees nothing of it.
#[track_caller]
fn check_denied(stage: &Stage, request: &Request, status: u16, code: &str) {
    let before = stage.karbor.log().len();
    let reply = stage.ask(request);
    let fault = reply.own_fault(status);
    assert!(fault.codes.contains(&code.to_owned()), "{request:?}: {fault:?}");
    assert_eq!(stage.karbor.log().len(), before, "{request:?}");
    let line = stage.app.audit_of(&reply);
    assert_eq!((&line["verdict"], &line["tenant"]), (&"denied".into(), &PROJECT.into()), "{line}");
    assert!(line["checkpoint"].is_string(), "{line}");
}

#[test]
fn denies_a_write_that_names_the_map_at_any_depth_and_spelling() {
    let stage = stage("");
    let checkpoint = stage.checkpoint();
    for method in ["PUT", "PATCH", "POST"] {
        for body in [
            r#"{"extra-info": {"x-a--b": "c"}}"#,
            r#"{"extra_info": null}"#,
            r#"{"checkpoint": {"extra-info": {}}}"#,
            r#"{"os-resetState": {"state": "error"}, "extra-info": {}}"#,
            r#"{"os-resetState": {"state": "error", "extra_info": 1}}"#,
            r#"{"a": [[{"b": [1, {"extra-info": 1}]}]]}"#,
            r#"{"\u0065xtra-info": {}}"#,
            r#"{"extra\u005finfo": {}}"#,
            r#"[{"extra-info": {}}]"#,
        ] {
            check_denied(&stage, &write(method, &checkpoint, body), 403, "read-only");
        }
    }
    for target in [
        format!("{checkpoint}/metadata"),
        checkpoint.replace("checkpoints", "%63heckpoints"),
        checkpoint.replace('/', "//"),
    ] {
        check_denied(&stage, &write("PUT", &target, r#"{"extra-info": {}}"#), 403, "read-only");
    }
    let coded = write("PUT", &checkpoint, r#"{"extra-info": {}}"#).with("Content-Type", "text/plain");
    check_denied(&stage, &coded, 403, "read-only");
    check_denied(&stage, &write("PUT", &checkpoint, r#"{"extra-info": 1}"#).chunked(3), 403, "read-only");
    stage.app.until_counted("requests_total", &[("route", "update"), ("outcome", "denied")], 32.0);
}

#[test]
fn denies_a_write_to_the_sub_resource_with_or_without_a_body() {
    let stage = stage("");
    let checkpoint = stage.checkpoint();
    for below in ["extra-info", "extra_info", "extra-info/x-a--b", "%65xtra-info", "extra-info/"] {
        for method in ["PUT", "PATCH", "POST", "DELETE"] {
            let target = format!("{checkpoint}/{below}");
            check_denied(&stage, &Request::new(method, &target), 403, "read-only");
            check_denied(&stage, &write(method, &target, r#"{"x-a--b": "c"}"#), 403, "read-only");
        }
    }
    let read = stage.ask(&Request::new("GET", &format!("{checkpoint}/extra-info")));
    assert_eq!(read.status, 404, "reading is Karbor's business");
}

#[test]
fn passes_what_karbor_does_to_checkpoints_besides() {
    let stage = stage("");
    let checkpoint = stage.checkpoint();
    let reset = r#" {"os-resetState" : {"state": "error"}}"#;
    let copy = format!(
        r#"{{"copy": {{"plan_id": "{}", "parameters": {{"extra-info": {{"x": "y"}}}}}}}}"#,
        stage.plan
    );
    for (request, body) in [
        (write("PUT", &checkpoint, r#"{"os-resetState": {"state": "available"}}"#), None),
        (write("POST", &format!("{}/action", checkpoints(PROJECT)), &copy), Some(copy.as_str())),
        (write("PUT", &checkpoint, reset), Some(reset)),
        (write("PUT", &checkpoint, reset).chunked(9), Some(reset)),
        (Request::new("GET", &checkpoint), Some("")),
        (Request::new("DELETE", &checkpoint), Some("")),
    ] {
        let before = stage.karbor.log().len();
        let reply = stage.ask(&request);
        assert_eq!(reply.status, 200, "{request:?}: {}", reply.text());
        let record = stage.received(before + 1).pop().unwrap();
        if let Some(body) = body {
            assert_eq!(String::from_utf8_lossy(&record.body), body);
        }
    }
    assert_eq!(stage.karbor.created(), 2, "one, and its copy");
    let lines = stage.end();
    assert_eq!(lines.len(), 3, "the resets are judged, the rest passes: {lines:#?}");
    for line in lines {
        assert_eq!((&line["route"], &line["verdict"]), (&"update".into(), &"admitted".into()), "{line}");
        assert!(line.get("entries").is_none(), "{line}");
    }
}

#[test]
fn denies_what_two_readers_could_read_differently() {
    let stage = stage("[limits]\nbody_bytes = 500\n");
    let checkpoint = stage.checkpoint();
    let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
    for (body, status, code) in [
        ("{", 400, "malformed-body"),
        (r#"{"a": NaN}"#, 400, "malformed-body"),
        (deep.as_str(), 400, "malformed-body"),
        (r#"{"a": 1, "a": 2}"#, 400, "duplicate-member"),
        (r#"{"a": {"b": 1, "\u0062": 2}}"#, 400, "duplicate-member"),
        (&" ".repeat(501), 413, "body-too-large"),
    ] {
        check_denied(&stage, &write("PUT", &checkpoint, body), status, code);
    }
    check_denied(&stage, &write("PUT", &checkpoint, &" ".repeat(501)).chunked(100), 413, "body-too-large");
}

#[test]
fn passes_a_write_that_is_only_observed() {
    let stage = stage("[policy.rules]\nread-only = \"observe\"");
    let checkpoint = stage.checkpoint();
    let body = r#"{"extra-info": {}}"#;
    let reply = stage.ask(&write("PUT", &checkpoint, body));
    assert_eq!(reply.status, 400, "Karbor's own answer");
    assert_eq!(stage.received(2)[1].body, body.as_bytes());
    let line = stage.app.audit(1).pop().unwrap();
    assert_eq!((&line["verdict"], &line["upstream_status"]), (&"would-have-been-denied".into(), &400.into()));
}

#[test]
fn warns_of_a_write_that_will_be_denied() {
    let stage = stage("[policy.rules]\nread-only = \"warn\"");
    let checkpoint = stage.checkpoint();
    let reply = stage.ask(&write("PUT", &checkpoint, r#"{"extra-info": {}}"#));
    assert_eq!(reply.status, 400, "Karbor's own answer");
    assert!(reply.fields.one("warning").is_some_and(|text| text.contains("read-only")), "{reply:?}");
    assert_eq!(stage.app.audit(1)[0]["verdict"], "warned");
}
