//! The specification's short form, which no Karbor has: the proxy finds the plan's provider and makes it work.

use karbor_admission::demo::PROVIDER_ID;
use serde_json::Value;

use crate::support::{
    Client, PROJECT, Request, Scripted, Stage, TOKEN, TestApp, body_of, checkpoints, json_answer, stage,
};

fn flat(plan: &str, extra_info: &str) -> String {
    format!(r#"{{"plan_id": "{plan}", "extra-info": {extra_info}}}"#)
}

fn short(last: &str, body: &str) -> Request {
    Request::new("POST", &format!("/v1/{PROJECT}/{last}")).json(body)
}

/// Karbor is asked for the plan with the caller's token, then gets `body` at the plan's provider.
#[track_caller]
fn check(stage: &Stage, request: &Request, body: &str) {
    let before = stage.karbor.log().len();
    let reply = stage.ask(request);
    assert_eq!(reply.status, 200, "{request:?}: {}", reply.text());
    let log = stage.received(before + 2);
    let [question, creation] = &log[before..] else { panic!("{:?}", &log[before..]) };
    assert_eq!(question.method, "GET");
    assert_eq!(question.target, format!("/v1/{PROJECT}/plans/{}", stage.plan));
    assert!(question.body.is_empty() && question.values("content-type").is_empty(), "{question:?}");
    assert_eq!((creation.method.as_str(), &creation.target), ("POST", &checkpoints(PROJECT)));
    assert_eq!(String::from_utf8_lossy(&creation.body), body);
    assert_eq!(creation.values("content-length"), [body.len().to_string().as_bytes()]);
    assert_eq!(creation.values("content-type"), [b"application/json"]);
    for record in [question, creation] {
        assert_eq!(record.values("x-auth-token"), [TOKEN.as_bytes()]);
        assert_eq!(record.values("host"), [b"karbor.test"]);
    }
    assert_eq!(reply.json()["checkpoint"]["id"], creation.checkpoints[0].as_str());
}

#[test]
fn admits_it_flat_and_wrapped() {
    let stage = stage("");
    let map = r#"{"x-a--b": "gr\u00fc\u00df"}"#;
    let wrapped = body_of(&stage.plan, map);
    for last in ["checkpoint", "checkpoints", "%63heckpoint"] {
        check(&stage, &short(last, &wrapped), &wrapped);
        let flat = flat(&stage.plan, map);
        check(&stage, &short(last, &flat), &format!("{{\"checkpoint\":{flat}}}"));
    }
    check(&stage, &short("checkpoint", &wrapped).chunked(5), &wrapped);
    let lines = stage.end();
    assert_eq!(lines.len(), 7);
    for line in lines {
        assert_eq!(
            (&line["route"], &line["verdict"]),
            (&"create-short".into(), &"admitted".into()),
            "{line}"
        );
        assert_eq!((&line["provider"], &line["entries"]), (&PROVIDER_ID.into(), &1.into()), "{line}");
        assert!(line["checkpoint"].is_string(), "{line}");
    }
}

#[test]
fn denies_before_the_plan_is_asked_for() {
    let stage = stage("");
    for (body, code) in [
        (flat(&stage.plan, r#"{"ticket": ""}"#), "malformed-key"),
        (body_of(&stage.plan, r#"{"ticket": ""}"#), "malformed-key"),
        (flat(&stage.plan, r#"null, "more": 1"#), "unknown-member"),
        ("{".to_owned(), "malformed-body"),
    ] {
        assert_eq!(stage.ask(&short("checkpoint", &body)).own_fault(400).codes, [code], "{body}");
    }
    assert!(stage.karbor.log().is_empty());
    assert_eq!(stage.end().len(), 4);
}

/// The client gets Karbor's own answer on the plan, and nothing is created.
#[track_caller]
fn passes_what_karbor_says_of_the_plan(stage: &Stage, request: &Request, plan: &str, status: u16) {
    let question = Request::new("GET", &format!("/v1/{PROJECT}/plans/{plan}"));
    let direct = Client::to(stage.karbor.addr()).ask(&question);
    let reply = stage.ask(request);
    assert_eq!((reply.status, &reply.body), (status, &direct.body), "{}", reply.text());
    assert_eq!(reply.fields.one("content-type"), direct.fields.one("content-type"));
    assert_eq!(stage.karbor.created(), 0);
}

#[test]
fn passes_karbors_404_of_an_unknown_plan_unchanged() {
    let stage = stage("");
    let unknown = "11111111-2222-4333-8444-555555555555";
    let others = stage.karbor.create_plan("someone-else");
    for plan in [unknown, &others] {
        passes_what_karbor_says_of_the_plan(&stage, &short("checkpoint", &flat(plan, "null")), plan, 404);
    }
    let odd = stage.ask(&short("checkpoint", &flat("../../x", "null")));
    assert!(matches!(odd.status, 400 | 404), "{odd:?}");
    assert!(
        stage.karbor.log().iter().all(|record| !record.target.contains("..")),
        "{:?}",
        stage.karbor.log()
    );
    let lines = stage.end();
    assert_eq!(lines.len(), 3);
    assert_eq!((&lines[0]["status"], &lines[0]["upstream_status"]), (&404.into(), &404.into()));
}

#[test]
fn is_karbors_404_where_it_is_turned_off() {
    let stage = stage("[policy]\nshort_form = false");
    for last in ["checkpoint", "checkpoints"] {
        let request = short(last, &flat(&stage.plan, "null"));
        let direct = Client::to(stage.karbor.addr()).ask(&request);
        let reply = stage.ask(&request);
        assert_eq!((reply.status, &reply.body), (404, &direct.body));
        assert_eq!(reply.fields.one("content-type"), direct.fields.one("content-type"));
    }
    assert_eq!(stage.karbor.created(), 0);
}

#[test]
fn uses_the_prefix_that_karbor_has() {
    let plan = json_answer(r#"{"plan": {"provider_id": "p-1"}}"#);
    let created = json_answer(r#"{"checkpoint": {"id": "c-1"}}"#);
    let karbor = Scripted::new(move |mut link| {
        while let Some(request) = link.request() {
            link.send(if request.method == "GET" { &plan } else { &created });
        }
    });
    let app = TestApp::before(karbor.address, "[upstream]\npath_prefix = \"/data-protect\"");
    let target = "/data-protect/v1/t-1/checkpoint";
    let reply = app.client().ask(&Request::new("POST", target).json(flat("pl-1", "null")));
    assert_eq!(reply.json()["checkpoint"]["id"], "c-1");
    let targets: Vec<_> = karbor.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(
        targets,
        ["/data-protect/v1/t-1/plans/pl-1", "/data-protect/v1/t-1/providers/p-1/checkpoints"]
    );
    let line: Value = app.stop().pop().unwrap();
    assert_eq!((&line["provider"], &line["tenant"]), (&"p-1".into(), &"t-1".into()));
}

#[test]
fn says_so_where_a_plan_names_no_provider() {
    for (plan, status) in [(r#"{"plan": {}}"#, 502), (r#"{"plan": {"provider_id": "a/b"}}"#, 502)] {
        let karbor = Scripted::answering(&json_answer(plan));
        let app = TestApp::before(karbor.address, "");
        let reply = app.client().ask(&short("checkpoint", &flat("p", "null")));
        reply.own_fault(status);
        assert_eq!(karbor.seen().len(), 1);
        let line = app.stop().pop().unwrap();
        assert_eq!(line["verdict"], "upstream-failed");
    }
}

/// Without a token noauth answers 204 (facts, section 7): the question's answer is the caller's, and nothing
/// was created.
#[test]
fn passes_any_answer_but_the_plan_on() {
    let karbor = Scripted::answering("HTTP/1.1 204 No Content\r\n\r\n");
    let app = TestApp::before(karbor.address, "");
    assert_eq!(app.client().ask(&short("checkpoint", &flat("7", "{}"))).status, 204);
    assert_eq!(karbor.seen().len(), 1, "no creation is sent");
    assert_eq!(app.audit(1)[0]["upstream_status"], 204);
    assert_eq!(app.metrics().sum("admitted_checkpoints_total", &[]), 0.0);
    app.stop();
}
