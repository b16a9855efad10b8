//! Standing quotas and rates, and looking before leaping.

use std::thread;

use serde_json::{Value, json};

use super::{Kept, kept, member};
use crate::support::{
    Client, LedgerFolder, Link, PROJECT, Request, Scripted, TestApp, body_of, checkpoints, json_answer,
};

const MAP: &str = r#"{"x-app--key": "value"}"#;

#[track_caller]
fn limits(kept: &Kept) -> Value {
    let target = format!("/v1/{PROJECT}/extra-info-limits");
    let reply = kept.stage.ask(&Request::new("GET", &target));
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["extra_info_limits"].clone()
}

#[test]
fn a_used_up_quota_denies_until_something_is_deleted() {
    let kept = kept("quotas.checkpoints = 2");
    let first = kept.create(MAP);
    kept.create(MAP);
    let reply = kept.stage.ask(&kept.stage.creation(MAP));
    let fault = reply.own_fault(413);
    assert_eq!(fault.codes, ["quota-exceeded"]);
    let line = kept.stage.app.audit_of(&reply);
    assert_eq!((&line["verdict"], &line["entries"]), (&"denied".into(), &serde_json::Value::Null), "{line}");
    assert_eq!((&fault.details[0]["measured"], &fault.details[0]["allowed"]), (&3.into(), &2.into()));
    // What has no map needs no room.
    kept.create("null");
    assert_eq!(kept.stage.ask(&Request::new("DELETE", &member(&first))).status, 200);
    kept.create(MAP);
    kept.stage.ask(&kept.stage.creation(MAP)).own_fault(413);
}

#[test]
fn each_measure_has_its_quota() {
    for (settings, code) in [
        ("quotas.stored_bytes = 20", "quota-exceeded"),
        ("quotas.stored_entries = 1", "quota-exceeded"),
        ("quotas.applications.app.checkpoints = 1", "quota-exceeded"),
        ("quotas.applications.\"*\".checkpoints = 1", "quota-exceeded"),
        ("quotas.creations = \"1 / 1h\"", "rate-exceeded"),
    ] {
        let kept = kept(settings);
        kept.create(MAP);
        let reply = kept.stage.ask(&kept.stage.creation(MAP));
        let rate = code == "rate-exceeded";
        assert_eq!(reply.own_fault(if rate { 429 } else { 413 }).codes, [code], "{settings}");
        let wait = reply.fields.one("retry-after").map(|wait| wait.parse::<u64>().unwrap());
        assert_eq!(wait.is_some_and(|wait| (1..=3600).contains(&wait)), rate, "{settings}: {wait:?}");
    }
}

#[test]
fn the_official_client_is_told_in_words_alone_when_to_try_again() {
    // It cannot make an exception of an answer with Retry-After, and then its user sees no message at all.
    for (agent, told) in [
        ("python-karborclient", false),
        ("python-karborclient keystoneauth1/4.2 python-requests/2.25", false),
        ("curl/8.0", true),
    ] {
        let kept = kept("quotas.creations = \"0 / 1h\"");
        let reply = kept.stage.ask(&kept.stage.creation(MAP).with("User-Agent", agent));
        assert_eq!(reply.own_fault(429).codes, ["rate-exceeded"], "{agent}");
        assert_eq!(reply.fields.one("retry-after").is_some(), told, "{agent}");
    }
}

#[test]
fn observed_it_is_kept_and_counted_all_the_same() {
    let kept = kept("quotas.checkpoints = 1\npolicy.rules.quota-exceeded = \"observe\"");
    kept.create(MAP);
    let id = kept.create(MAP);
    assert_eq!(kept.show(&id)["x-app--key"], "value");
    kept.stage.app.until_counted(
        "rejections_total",
        &[("rule", "quota-exceeded"), ("enforcement", "observed")],
        1.0,
    );
    assert_eq!(limits(&kept)["quotas"]["project"]["checkpoints"], json!({"allowed": 1, "used": 2}));
}

/// Karbor refuses: nothing is charged.
#[test]
fn what_karbor_refuses_is_not_charged() {
    let kept = kept("quotas.checkpoints = 1");
    let unknown = kept.stage.creation(MAP).json(
        r#"{"checkpoint": {"plan_id": "00000000-0000-4000-8000-000000000000", "extra-info": {"x-app--key": "v"}}}"#,
    );
    for _ in 0..3 {
        assert_eq!(kept.stage.ask(&unknown).status, 404);
    }
    kept.create(MAP);
}

/// A stranger holds nothing of a tenant's room: Karbor is shown the token first.
#[test]
fn a_token_that_karbor_does_not_accept_holds_nothing() {
    let kept = kept("quotas.checkpoints = 1");
    for project in ["other", "third"] {
        let reply = kept.stage.ask(&kept.stage.creation(MAP).token_of(project));
        assert_eq!(reply.status, 400, "{}", reply.text());
        let log = kept.stage.karbor.log();
        let asked = log.last().unwrap();
        assert_eq!(
            (asked.method.as_str(), asked.target.as_str()),
            ("GET", &*format!("/v1/{PROJECT}/plans?limit=1"))
        );
    }
    kept.create(MAP);
    assert_eq!(kept.stage.karbor.created(), 1);
}

#[test]
fn room_for_five_admits_five_of_many() {
    let kept = kept("quotas.checkpoints = 5\nserver.workers = 2");
    let (address, creation) = (kept.stage.app.address, kept.stage.creation(MAP));
    let statuses: Vec<u16> = thread::scope(|scope| {
        let one = || Client::to(address).ask(&creation).status;
        let all: Vec<_> = (0..32).map(|_| scope.spawn(one)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let count = |status| statuses.iter().filter(|own| **own == status).count();
    assert_eq!((count(200), count(413)), (5, 27), "{statuses:?}");
    assert_eq!(kept.stage.karbor.created(), 5);
}

#[test]
fn tells_what_may_be_stored() {
    let kept = kept("quotas.checkpoints = 7\nquotas.creations = \"9 / 1h\"");
    kept.create(MAP);
    let limits = limits(&kept);
    assert_eq!(limits["project_id"], PROJECT);
    assert_eq!(limits["limits"]["entries"], 64);
    let project = &limits["quotas"]["project"];
    assert_eq!(project["checkpoints"], json!({"allowed": 7, "used": 1}));
    assert_eq!(project["stored_bytes"], json!({"allowed": null, "used": 15}));
    assert_eq!(project["creations"], json!({"allowed": 9, "window_seconds": 3600, "used": 1}));
    assert_eq!(limits["quotas"]["applications"]["app"]["stored_entries"]["used"], 1);
    assert_eq!(limits["applications"], json!(["*"]));
    let stranger = Request::new("GET", &format!("/v1/{PROJECT}/extra-info-limits")).token_of("other");
    let reply = kept.stage.ask(&stranger);
    assert_eq!(reply.status, 400, "{}", reply.text());
}

/// A Karbor that needs no token: its word on the question is no answer to the creation.
#[test]
fn a_karbor_that_asks_for_no_token_accepts_everybody() {
    let folder = LedgerFolder::new();
    let made = format!(r#"{{"checkpoint": {{"id": "made", "project_id": "{PROJECT}"}}}}"#);
    let karbor = Scripted::new(move |mut link: Link| {
        while let Some(seen) = link.request() {
            link.send(json_answer(if seen.method == "POST" { &made } else { r#"{"plans": []}"# }));
        }
    });
    let app = TestApp::before(karbor.address, &folder.settings("quotas.checkpoints = 1"));
    let creation = Request::new("POST", &checkpoints(PROJECT)).json(body_of("plan", MAP));
    let reply = app.client().ask(&creation.clone().without("X-Auth-Token"));
    assert_eq!(reply.json()["checkpoint"]["id"], "made", "{}", reply.text());
    app.client().ask(&creation.without("X-Auth-Token")).own_fault(413);
}
