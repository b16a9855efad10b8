//! Observe, warn, off: what is forwarded although a rule is broken, and in which words; limits by tenant.

use serde_json::Value;

use crate::support::{PROJECT, Reply, Request, Stage, body_of, checkpoints, stage};

const OTHER: &str = "0123456789abcdef0123456789abcdef";
const BAD: &str = r#"{"ticket": "1"}"#;

/// Forwarded as it came; gives the answer and the audit line.
#[track_caller]
fn check_forwarded(stage: &Stage, request: &Request, verdict: &str) -> (Reply, Value) {
    let before = stage.karbor.created();
    let reply = stage.ask(request);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(stage.karbor.created(), before + 1);
    let line = stage.app.audit_of(&reply);
    assert_eq!(line["verdict"], verdict, "{line}");
    assert_eq!((&line["status"], &line["upstream_status"]), (&200.into(), &200.into()), "{line}");
    assert!(line["checkpoint"].is_string(), "{line}");
    (reply, line)
}

#[test]
fn observe_forwards_without_a_word_and_never_says_denied() {
    let stage = stage("[policy]\nenforcement = \"observe\"");
    let body = body_of(&stage.plan, BAD);
    // The stand-in takes unprefixed keys, as Karbor does.
    let (reply, line) = check_forwarded(&stage, &stage.creation_of(&body), "would-have-been-denied");
    assert!(reply.fields.values("warning").is_empty(), "{reply:?}");
    assert_eq!(stage.karbor.log()[0].body, body.as_bytes());
    assert_eq!(line["enforcement"], "observed");
    let violation = &line["violations"][0];
    assert_eq!(
        (&violation["rule"], &violation["enforcement"]),
        (&"malformed-key".into(), &"observed".into())
    );
    let labels = [("rule", "malformed-key"), ("enforcement", "observed")];
    stage.app.until_counted("rejections_total", &labels, 1.0);
    stage.app.until_counted("rejections_total", &[], 1.0);
    stage.app.until_counted("requests_total", &[("route", "create"), ("outcome", "forwarded")], 1.0);
    let text = stage.app.audit_text().replace("would-have-been-denied", "");
    assert!(!text.contains("denied"), "{text}");
}

#[test]
fn warn_forwards_and_says_so() {
    let stage = stage(
        "[policy]\nenforcement = \"warn\"\nenforced_from = \"2027-01-31\"\n[limits]\nvalue_bytes = 3\n",
    );
    let request = stage.creation(r#"{"ticket": "1", "other": "2", "x-a--b": "1234"}"#);
    let (reply, line) = check_forwarded(&stage, &request, "warned");
    let warning = reply.fields.one("warning").unwrap();
    assert!(warning.starts_with("299 karbor-admission \"") && warning.ends_with('"'), "{warning}");
    for part in ["malformed-key", "value-too-long", "2027-01-31"] {
        assert_eq!(warning.matches(part).count(), 1, "{part}: {warning}");
    }
    assert_eq!(line["enforcement"], "warned");
    let warned = |rule| [("rule", rule), ("enforcement", "warned")];
    stage.app.until_counted("rejections_total", &warned("malformed-key"), 1.0);
    stage.app.until_counted("rejections_total", &warned("value-too-long"), 1.0);
    let (reply, _) = check_forwarded(&stage, &stage.creation("null"), "admitted");
    assert!(reply.fields.values("warning").is_empty());
}

#[test]
fn warn_without_a_date_still_warns() {
    let stage = stage("[policy.rules]\nmalformed-key = \"warn\"");
    let (reply, _) = check_forwarded(&stage, &stage.creation(BAD), "warned");
    assert!(reply.fields.one("warning").unwrap().contains("malformed-key"));
    let enforced = stage.ask(&stage.creation(r#"{"ticket": "1", "karbor-x": ""}"#));
    let fault = enforced.own_fault(400);
    assert_eq!(fault.codes, ["malformed-key", "unknown-karbor-key"]);
    assert_eq!(fault.details[0]["enforcement"], "warned");
    assert!(!fault.message.contains("ticket"), "only what denies is named: {}", fault.message);
    assert!(enforced.fields.values("warning").is_empty());
    let line = stage.app.audit_of(&enforced);
    assert_eq!((&line["verdict"], &line["enforcement"]), (&"denied".into(), &"enforced".into()));
}

#[test]
fn off_sees_nothing() {
    let stage = stage("[policy.rules]\nmalformed-key = \"off\"");
    let (reply, line) = check_forwarded(&stage, &stage.creation(BAD), "admitted");
    assert!(reply.fields.values("warning").is_empty());
    assert!(line.get("violations").is_none() && line.get("enforcement").is_none(), "{line}");
    stage.app.until_counted("rejections_total", &[], 0.0);
}

#[test]
fn the_most_specific_stance_wins() {
    let stage = stage(&format!(
        "[policy]\nenforcement = \"observe\"\n[policy.rules]\nvalue-too-long = \"enforce\"\n\
         [groups.soft]\nenforcement = \"warn\"\n\
         [tenants.{PROJECT}]\ngroup = \"soft\"\n[tenants.{PROJECT}.rules]\nunknown-karbor-key = \"enforce\"\n\
         [limits]\nvalue_bytes = 3\n"
    ));
    let (reply, _) = check_forwarded(&stage, &stage.creation(BAD), "warned");
    assert!(reply.fields.one("warning").is_some());
    let fault = stage.ask(&stage.creation(r#"{"karbor-x": ""}"#)).own_fault(400);
    assert_eq!(fault.codes, ["unknown-karbor-key"]);

    let plan = stage.karbor.create_plan(OTHER);
    let of_other =
        |map: &str| Request::new("POST", &checkpoints(OTHER)).token_of(OTHER).json(body_of(&plan, map));
    check_forwarded(&stage, &of_other(r#"{"karbor-x": ""}"#), "would-have-been-denied");
    let fault = stage.ask(&of_other(r#"{"x-a--b": "1234"}"#)).own_fault(400);
    assert_eq!(fault.codes, ["value-too-long"]);
}

#[test]
fn limits_are_those_of_the_tenant() {
    let stage = stage(&format!(
        "[limits]\nentries = 2\n[groups.big.limits]\nentries = 3\nvalue_bytes = 5\n\
         [groups.big]\ntenants = [\"{PROJECT}\"]\n[tenants.{PROJECT}.limits]\nvalue_bytes = \"unlimited\"\n"
    ));
    let map = |entries: usize, value: &str| {
        let entries: Vec<_> = (0..entries).map(|at| format!("\"x-a--{at}\": \"{value}\"")).collect();
        format!("{{{}}}", entries.join(", "))
    };
    check_forwarded(&stage, &stage.creation(&map(3, &"v".repeat(2000))), "admitted");
    let fault = stage.ask(&stage.creation(&map(4, ""))).own_fault(413);
    assert_eq!((&fault.details[0]["measured"], &fault.details[0]["allowed"]), (&4.into(), &3.into()));

    let plan = stage.karbor.create_plan(OTHER);
    let of_other = |entries| {
        let body = body_of(&plan, &map(entries, "v"));
        Request::new("POST", &checkpoints(OTHER)).token_of(OTHER).json(body)
    };
    check_forwarded(&stage, &of_other(2), "admitted");
    let fault = stage.ask(&of_other(3)).own_fault(413);
    assert_eq!(fault.codes, ["too-many-entries"]);
    // The same tenant, spelled another way, has the same rules.
    let spelled = PROJECT.replace('9', "%39");
    check_forwarded(&stage, &stage.creation(&map(3, "v")).at(&checkpoints(&spelled)), "admitted");
}

#[test]
fn what_cannot_be_read_goes_on_where_that_is_not_enforced() {
    let stage = stage("[policy]\nenforcement = \"observe\"\n[limits]\nbody_bytes = 1000\n");
    let body = format!("{}{}", body_of(&stage.plan, "null"), " ".repeat(100_000));
    let (_, line) = check_forwarded(&stage, &stage.creation_of(&body), "would-have-been-denied");
    assert_eq!(line["violations"][0]["rule"], "body-too-large");
    assert_eq!(stage.karbor.log()[0].body, body.as_bytes());

    let malformed = stage.ask(&stage.creation_of("{"));
    assert_eq!(malformed.fault().message, "Malformed request body");
    let media_type = stage.creation("null").with("Content-Type", "text/plain");
    let media_type = stage.ask(&media_type);
    assert_eq!(media_type.status, 500, "as Karbor answers a creation without a body: {media_type:?}");
    assert_eq!(stage.received(3)[2].values("content-type"), [b"text/plain"]);
    let lines = stage.app.audit(3);
    for (line, rule) in lines[1..].iter().zip(["malformed-body", "unsupported-media-type"]) {
        assert_eq!(line["verdict"], "would-have-been-denied");
        assert_eq!(line["violations"][0]["rule"], rule);
    }
}
