//! Karbor's answer is late, lost or unclear.

use super::map_of;
use crate::support::{
    LedgerFolder, Link, PROJECT, Request, Scripted, TestApp, body_of, checkpoints, json_answer, refusing,
};

const PLAN: &str = "5a9f2d0b-2c37-4b5e-9d0e-6f2f1f2f3f4f";
const ID: &str = "0b9f2d0b-2c37-4b5e-9d0e-6f2f1f2f3f4f";

fn checkpoint(id: &str, project: &str, extra_info: &str) -> String {
    let plan = format!(r#""protection_plan": {{"id": "{PLAN}", "provider_id": "p"}}"#);
    format!(
        r#"{{"id": "{id}", "project_id": "{project}", "status": "available", {plan}, "created_at": "2999-01-01", "extra_info": {extra_info}}}"#
    )
}

fn creation() -> Request {
    Request::new("POST", &checkpoints(PROJECT)).json(body_of(PLAN, r#"{"x-app--key": "value"}"#))
}

fn list() -> Request {
    Request::new("GET", &checkpoints(PROJECT))
}

/// Breaks creations off, and lists what `listed` has.
fn karbor(listed: String) -> Scripted {
    Scripted::new(move |mut link: Link| {
        while let Some(seen) = link.request() {
            if seen.method == "POST" {
                return link.reset();
            }
            link.send(json_answer(&listed));
        }
    })
}

#[track_caller]
fn listed_map(app: &TestApp) -> serde_json::Value {
    let reply = app.client().ask(&list());
    map_of(&reply.json()["checkpoints"][0])
}

/// The checkpoint is seen later: the map is put to it.
#[test]
fn a_later_sight_settles_what_was_unknown() {
    let folder = LedgerFolder::new();
    let own = checkpoint(ID, PROJECT, r#""{\"created_by\": \"manual\"}""#);
    let karbor = karbor(format!(r#"{{"checkpoints": [{own}]}}"#));
    let app = TestApp::before(karbor.address, &folder.settings(""));
    let reply = app.client().ask(&creation());
    assert_eq!(reply.status, 502);
    assert_eq!(app.audit_of(&reply)["kept"], false);
    assert_eq!(listed_map(&app)["x-app--key"], "value");
    assert_eq!(listed_map(&app)["x-app--key"], "value");
}

/// Two that could be it: neither gets the map.
#[test]
fn two_possible_checkpoints_settle_nothing() {
    let folder = LedgerFolder::new();
    let [one, other] = [ID, PLAN].map(|id| checkpoint(id, PROJECT, r#""{}""#));
    let karbor = karbor(format!(r#"{{"checkpoints": [{one}, {other}]}}"#));
    let app = TestApp::before(karbor.address, &folder.settings(""));
    assert_eq!(app.client().ask(&creation()).status, 502);
    let text = app.client().ask(&list()).text();
    assert!(!text.contains("x-app--key"), "{text}");
}

/// Another project's checkpoint of the same name.
#[test]
fn a_map_is_never_shown_in_another_projects_checkpoint() {
    let folder = LedgerFolder::new();
    let made = format!(r#"{{"checkpoint": {}}}"#, checkpoint(ID, PROJECT, r#""{}""#));
    let listed = format!(r#"{{"checkpoints": [{}]}}"#, checkpoint(ID, "other", r#""{}""#));
    let karbor = Scripted::new(move |mut link: Link| {
        while let Some(seen) = link.request() {
            link.send(json_answer(if seen.method == "POST" { &made } else { &listed }));
        }
    });
    let app = TestApp::before(karbor.address, &folder.settings(""));
    let reply = app.client().ask(&creation());
    assert_eq!(map_of(&reply.json()["checkpoint"])["x-app--key"], "value");
    let text = app.client().ask(&list()).text();
    assert!(!text.contains("x-app--key"), "{text}");
}

/// Karbor shows another value: the kept one goes to the client, and the difference is told.
#[test]
fn an_altered_map_is_set_right_and_audited() {
    let folder = LedgerFolder::new();
    let made = format!(r#"{{"checkpoint": {}}}"#, checkpoint(ID, PROJECT, r#""{}""#));
    let forged = checkpoint(ID, PROJECT, r#""{\"x-app--key\": \"forged\"}""#);
    let listed = format!(r#"{{"checkpoints": [{forged}]}}"#);
    let karbor = Scripted::new(move |mut link: Link| {
        while let Some(seen) = link.request() {
            link.send(json_answer(if seen.method == "POST" { &made } else { &listed }));
        }
    });
    let app = TestApp::before(karbor.address, &folder.settings(""));
    app.client().ask(&creation());
    assert_eq!(listed_map(&app)["x-app--key"], "value");
    app.until_counted("extra_info_altered_total", &[], 1.0);
    let lines = app.audit(2);
    assert_eq!((&lines[1]["verdict"], &lines[1]["extra_info_altered"]), (&"passed".into(), &1.into()));
}

/// Nobody knows whether a checkpoint was made: its room is held, for now.
#[test]
fn what_is_unknown_stays_charged() {
    let folder = LedgerFolder::new();
    let karbor = karbor(r#"{"plans": []}"#.to_owned());
    let app = TestApp::before(karbor.address, &folder.settings("quotas.checkpoints = 1"));
    assert_eq!(app.client().ask(&creation()).status, 502);
    app.client().ask(&creation()).own_fault(413);
}

/// The first connection is never answered: nothing was sent, nothing is charged.
#[test]
fn what_was_never_sent_is_not_charged() {
    let folder = LedgerFolder::new();
    let settings = folder.settings("quotas.checkpoints = 1\npolicy.rules.quota-exceeded = \"enforce\"");
    let app = TestApp::before(refusing(), &settings);
    for _ in 0..3 {
        assert_eq!(app.client().ask(&creation()).status, 502);
    }
}

/// Karbor without keystone answers 204 to whoever has no token, and does nothing: nothing is forgotten.
#[test]
fn a_deletion_that_karbor_did_not_carry_out_forgets_nothing() {
    let folder = LedgerFolder::new();
    let made = format!(r#"{{"checkpoint": {}}}"#, checkpoint(ID, PROJECT, r#""{}""#));
    let karbor = Scripted::new(move |mut link: Link| {
        while let Some(seen) = link.request() {
            match &*seen.method {
                "POST" => link.send(json_answer(&made)),
                "DELETE" => link.send("HTTP/1.1 204 No Content\r\n\r\n"),
                _ => link.send(json_answer(r#"{"plans": []}"#)),
            }
        }
    });
    let app = TestApp::before(karbor.address, &folder.settings("quotas.checkpoints = 1"));
    assert_eq!(app.client().ask(&creation()).status, 200);
    let deletion = Request::new("DELETE", &format!("{}/{ID}", checkpoints(PROJECT)));
    assert_eq!(app.client().ask(&deletion.without("X-Auth-Token")).status, 204);
    app.client().ask(&creation()).own_fault(413);
}

/// What stands before Karbor may code its answers, if it is asked to: then nobody would know what was made.
#[test]
fn a_creation_asks_for_an_answer_that_can_be_read() {
    let folder = LedgerFolder::new();
    let made = format!(r#"{{"checkpoint": {}}}"#, checkpoint(ID, PROJECT, r#""{}""#));
    let karbor = Scripted::answering(&json_answer(&made));
    let app = TestApp::before(karbor.address, &folder.settings(""));
    let reply = app.client().ask(&creation().field("Accept-Encoding", "gzip, deflate"));
    assert_eq!(map_of(&reply.json()["checkpoint"])["x-app--key"], "value");
    assert!(karbor.seen().iter().all(|seen| seen.fields.values("accept-encoding").is_empty()));
}

/// What is put into an answer did not come from Karbor.
#[test]
fn bytes_from_karbor_are_those_that_karbor_sent() {
    let folder = LedgerFolder::new();
    let one = checkpoint(ID, PROJECT, r#""{}""#);
    let made = format!(r#"{{"checkpoint": {one}}}"#);
    let listed = format!(r#"{{"checkpoints": [{one}]}}"#);
    let from_karbor = (made.len() + 2 * listed.len()) as f64;
    let karbor = Scripted::new(move |mut link: Link| {
        while let Some(seen) = link.request() {
            link.send(json_answer(if seen.method == "POST" { &made } else { &listed }));
        }
    });
    let app = TestApp::before(karbor.address, &folder.settings(""));
    let filtered = Request::new("GET", &format!("{}?extra-info.x-app--key", checkpoints(PROJECT)));
    let to_client: usize =
        [creation(), list(), filtered].iter().map(|request| app.client().ask(request).body.len()).sum();
    app.until_counted("requests_in_flight", &[], 0.0);
    let received = [("side", "upstream"), ("direction", "received")];
    app.until_counted("body_bytes_total", &received, from_karbor);
    app.until_counted("body_bytes_total", &[("side", "downstream"), ("direction", "sent")], to_client as f64);
}

/// While Karbor, or keystone behind it, is down, nobody's token is looked at: strangers' maps would stay in the ledger
/// as creations whose outcome is unknown, and one could be taken for that of a real checkpoint.
#[test]
fn a_strangers_map_is_never_written_down() {
    let folder = LedgerFolder::new();
    let plain = checkpoint(ID, PROJECT, r#""{}""#);
    let listed = format!(r#"{{"checkpoints": [{plain}]}}"#);
    let karbor = Scripted::new(move |mut link: Link| {
        while let Some(seen) = link.request() {
            let is_known = seen.fields.one("x-auth-token") == Some(crate::support::TOKEN);
            link.send(match is_known {
                true => json_answer(&listed),
                false => "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_owned(),
            });
        }
    });
    let app = TestApp::before(karbor.address, &folder.settings(""));
    assert_eq!(app.client().ask(&creation().token_of("stranger")).status, 503);
    let text = app.client().ask(&list()).text();
    assert!(!text.contains("x-app--key"), "{text}");
}

/// A creation whose map cannot be kept is noted all the same, or its checkpoint could be taken for a lost one.
#[test]
fn a_creation_whose_map_cannot_be_kept_is_no_lost_one() {
    let folder = LedgerFolder::new();
    let plain = checkpoint(ID, PROJECT, r#""{}""#);
    let (made, listed) =
        (format!(r#"{{"checkpoint": {plain}}}"#), format!(r#"{{"checkpoints": [{plain}]}}"#));
    let karbor = Scripted::new(move |mut link: Link| {
        while let Some(seen) = link.request() {
            match &*seen.method {
                "POST" if seen.fields.one("x-test-lost").is_some() => return link.reset(),
                "POST" => link.send(json_answer(&made)),
                _ => link.send(json_answer(&listed)),
            }
        }
    });
    let app = TestApp::before(
        karbor.address,
        &folder.settings("policy.rules.value-not-a-string = \"observe\"\nserver.workers = 1"),
    );
    assert_eq!(app.client().ask(&creation().field("X-Test-Lost", "1")).status, 502);
    let number = Request::new("POST", &checkpoints(PROJECT)).json(body_of(PLAN, r#"{"x-app--n": 1}"#));
    assert_eq!(app.client().ask(&number).status, 200);
    let text = app.client().ask(&list()).text();
    assert!(!text.contains("x-app--key"), "{text}");
}
