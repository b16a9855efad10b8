//! Creations that are admitted: what Karbor gets, what the client gets, what is written down.

use karbor_admission::demo::PROVIDER_ID;

use crate::support::{
    Client, PROJECT, Request, Scripted, Stage, TOKEN, TestApp, body_of, checkpoints, json_answer, stage,
};

/// The client gets Karbor's answer; Karbor got exactly `body`, freshly framed, at the canonical path.
#[track_caller]
fn check(stage: &Stage, request: &Request, body: &str) {
    let before = stage.karbor.log().len();
    let reply = stage.ask(request);
    assert_eq!(reply.status, 200, "{request:?}: {}", reply.text());
    let log = stage.received(before + 1);
    assert_eq!(log.len(), before + 1);
    let record = &log[before];
    assert_eq!(reply.json()["checkpoint"]["id"], record.checkpoints[0].as_str());
    assert_eq!(record.target, checkpoints(PROJECT), "{request:?}");
    assert_eq!(String::from_utf8_lossy(&record.body), body);
    assert_eq!(record.values("content-length"), [body.len().to_string().as_bytes()]);
    assert_eq!(record.values("content-type"), [b"application/json"]);
    assert_eq!(record.values("x-auth-token"), [TOKEN.as_bytes()]);
    for name in ["transfer-encoding", "content-encoding", "expect", "te", "trailer"] {
        assert!(record.values(name).is_empty(), "{name}: {record:?}");
    }
    assert!(reply.fields.values("warning").is_empty(), "{reply:?}");
}

#[test]
fn admits_a_creation_and_forwards_the_reviewed_bytes() {
    let stage = stage("");
    let plan = &stage.plan;
    let bodies = [
        body_of(plan, "null"),
        body_of(plan, "{}"),
        body_of(plan, r#"{"x-acme--key": "value"}"#),
        body_of(plan, r#"{"karbor-created-by": "manual", "x-a--b": ""}"#),
        body_of(plan, r#"{"\u0078-acme--note": "gr\u00fc\u00df dich \ud83d\ude00 grüß dich"}"#),
        format!(r#"{{"checkpoint":{{"plan_id":"{plan}"}}}}"#),
        format!("\r\n\t {{ \"checkpoint\" :\n{{\"extra-info\" : null , \"plan_id\":\"{plan}\"}} }} \n"),
        format!(r#"{{"\u0063heckpoint": {{"plan_id": "{plan}", "\u0065xtra-info": {{"x-a--b": "c"}}}}}}"#),
    ];
    for body in &bodies {
        check(&stage, &stage.creation_of(body), body);
    }
    assert_eq!(stage.end().len(), bodies.len());
}

#[test]
fn admits_every_spelling_of_the_media_type_and_forwards_one() {
    let stage = stage("");
    let body = body_of(&stage.plan, r#"{"x-a--b": "c"}"#);
    for media_type in [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/json;",
        "application/json ; x=y",
        "  application/json  ",
    ] {
        check(&stage, &stage.creation_of(&body).with("Content-Type", media_type), &body);
    }
    check(&stage, &stage.creation_of(&body).field("Content-Encoding", "identity"), &body);
}

#[test]
fn admits_a_chunked_creation() {
    let stage = stage("");
    let body = body_of(&stage.plan, r#"{"x-a--b": "chunked"}"#);
    for size in [1, 7, 4096] {
        check(&stage, &stage.creation_of(&body).chunked(size), &body);
    }
    let head = stage.creation_of("").without("Content-Length").field("Transfer-Encoding", "CHUNKED");
    let mut bytes = head.head();
    let extended =
        format!("{:X};name=\"value\"\r\n{body}\r\n000;x\r\nX-Trailer: dropped\r\n\r\n", body.len());
    bytes.extend(extended.into_bytes());
    let mut client = stage.client();
    client.send(&bytes);
    assert_eq!(client.reply().status, 200);
    let log = stage.received(4);
    assert_eq!(log[3].body, body.as_bytes());
    assert!(log[3].values("x-trailer").is_empty());
}

/// Every way to write the path that reaches the creation in Karbor.
fn spellings() -> Vec<String> {
    let plain = checkpoints(PROJECT);
    let encoded: String = plain
        .bytes()
        .map(|byte| if byte == b'/' { "/".to_owned() } else { format!("%{byte:02x}") })
        .collect();
    vec![
        plain.replace("checkpoints", "%63heckpoints"),
        plain.replace("/v1", "/%761"),
        plain.replace('/', "//"),
        format!("////{plain}"),
        encoded,
        format!("http://other.test{plain}"),
        format!("http://other.test:8799/{plain}"),
        format!("https://other.test{plain}"),
    ]
}

#[test]
fn judges_and_forwards_every_spelling_of_the_path_as_one() {
    let stage = stage("");
    let body = body_of(&stage.plan, r#"{"x-a--b": "c"}"#);
    for target in spellings() {
        let request = stage.creation_of(&body).at(&target);
        check(&stage, &request, &body);
        let bad = stage.creation(r#"{"ticket": "1"}"#).at(&target);
        let fault = stage.ask(&bad).own_fault(400);
        assert_eq!(fault.codes, ["malformed-key"], "{bad:?}");
    }
    let log = stage.received(spellings().len());
    assert_eq!(log.len(), spellings().len());
    assert_eq!(stage.karbor.created(), spellings().len() as u64);
    let hosts: Vec<_> = log.iter().map(|record| record.values("host")[0].to_vec()).collect();
    assert_eq!(hosts[0], b"karbor.test");
    assert_eq!(hosts[5], b"other.test");
    assert_eq!(hosts[6], b"other.test:8799");
}

#[test]
fn forwards_the_query_as_it_came() {
    let stage = stage("");
    let request = stage.creation("null").at(&format!("{}?x=%41&&y=a//b", checkpoints(PROJECT)));
    assert_eq!(stage.ask(&request).status, 200);
    assert_eq!(stage.received(1)[0].target, request.target);
}

#[test]
fn writes_down_what_was_admitted() {
    let stage = stage("");
    let reply = stage.ask(&stage.creation(r#"{"x-acme--key": "value", "created_by": "operation-engine"}"#));
    let checkpoint = reply.json()["checkpoint"]["id"].clone();
    let lines = stage.end();
    assert_eq!(lines.len(), 1);
    let line = &lines[0];
    for (field, expected) in [
        ("v", 1.into()),
        ("request_id", reply.request_id().into()),
        ("peer", "127.0.0.1".into()),
        ("tenant", PROJECT.into()),
        ("provider", PROVIDER_ID.into()),
        ("checkpoint", checkpoint),
        ("route", "create".into()),
        ("method", "POST".into()),
        ("verdict", "admitted".into()),
        ("entries", 2.into()),
        ("bytes", 42.into()),
        ("bridged", 1.into()),
        ("status", 200.into()),
        ("upstream_status", 200.into()),
        ("outcome_unknown", false.into()),
        ("client_left", false.into()),
    ] {
        assert_eq!(line[field], expected, "{field}: {line}");
    }
    for absent in ["refusal", "enforcement", "violations", "violations_left_out"] {
        assert!(line.get(absent).is_none(), "{absent}: {line}");
    }
}

#[test]
fn admits_the_operation_engines_keys_and_counts_them_apart() {
    let map = r#"{"created_by": "operation-engine", "trigger_id": "t", "scheduled_operation_id": "s"}"#;
    let shipped = stage("");
    assert_eq!(shipped.ask(&shipped.creation(map)).status, 200);
    for key in ["created_by", "trigger_id", "scheduled_operation_id"] {
        shipped.app.until_counted("bridged_keys_total", &[("key", key)], 1.0);
    }
    shipped.app.until_counted("admitted_checkpoints_total", &[], 1.0);
    assert_eq!(shipped.end()[0]["bridged"], 3);

    let unbridged = stage("[policy]\nbridged_keys = []");
    let fault = unbridged.ask(&unbridged.creation(map)).own_fault(400);
    assert_eq!(fault.codes, ["malformed-key"; 3]);
    assert_eq!(unbridged.karbor.created(), 0);
}

#[test]
fn renames_the_map_for_an_old_karbor() {
    let karbor = Scripted::answering(&json_answer(r#"{"checkpoint": {"id": "c1", "x": 1}}"#));
    let app = TestApp::before(karbor.address, "[upstream]\nextra_info_field = \"extra_info\"");
    for (map, expected) in [
        (
            r#"{"x-a--b": "\u0063 grüß", "created_by": "x"}"#,
            Some(r#"{"x-a--b": "c grüß", "created_by": "x"}"#),
        ),
        ("{}", None),
        ("null", None),
    ] {
        let request = Request::new("POST", &checkpoints(PROJECT)).json(body_of("p1", map));
        let reply = app.client().ask(&request);
        assert_eq!((reply.status, &reply.json()["checkpoint"]["id"]), (200, &"c1".into()));
        let seen = karbor.seen().pop().unwrap();
        assert_eq!(seen.fields.one("content-length"), Some(seen.body.len().to_string().as_str()));
        let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
        assert_eq!(body["checkpoint"]["plan_id"], "p1");
        let sent = body["checkpoint"].get("extra_info").filter(|map| !map.is_null());
        let expected: Option<serde_json::Value> = expected.map(|text| serde_json::from_str(text).unwrap());
        assert_eq!(sent, expected.as_ref(), "{body}");
        assert!(!String::from_utf8_lossy(&seen.body).contains("extra-info"), "{body}");
    }
    assert_eq!(app.stop()[0]["checkpoint"], "c1");
}

#[test]
fn passes_on_what_karbor_says_to_a_creation() {
    let stage = stage("");
    let unknown = stage.creation_of(&body_of("11111111-2222-4333-8444-555555555555", "null"));
    let direct = Client::to(stage.karbor.addr()).ask(&unknown);
    let reply = stage.ask(&unknown);
    assert_eq!((reply.status, reply.text()), (404, direct.text()));
    let others = stage.ask(&stage.creation("null").token_of("other"));
    assert_eq!((others.status, others.fault().message.as_str()), (400, "Malformed request url"));
    let lines = stage.end();
    for (line, reply) in lines.iter().zip([reply, others]) {
        assert_eq!((&line["verdict"], &line["upstream_status"]), (&"admitted".into(), &reply.status.into()));
        assert_eq!(line["request_id"], reply.request_id());
        assert!(line.get("checkpoint").is_none(), "{line}");
    }
}

#[test]
fn names_a_request_by_karbors_id_or_its_own() {
    const ID: &str = "req-0f8fad5b-d9cb-469f-a165-70867728950e";
    let stage = stage("");
    for extra_info in [r#"{"ticket": "1"}"#, "null"] {
        let reply = stage.ask(&stage.creation(extra_info).field("X-Openstack-Request-Id", ID));
        assert_ne!(reply.request_id(), ID, "the caller's is that of the whole, and goes on");
        let line = stage.app.audit_of(&reply);
        assert_eq!(
            (&line["request_id"], &line["global_request_id"]),
            (&reply.request_id().into(), &ID.into())
        );
    }
}
