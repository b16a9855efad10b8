//! Maps in the answers to creations, shows and lists.

use serde_json::json;

use super::{Kept, id_of, kept, map_of, member};
use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};

use crate::support::{
    Client, Gate, LedgerFolder, Link, PROJECT, Request, Scripted, TestApp, body_of, checkpoints, eventually,
    json_answer, stage,
};

const MAP: &str = r#"{"x-app--key": "gr\u00fc\u00df \"dich\"", "karbor-created-by": "me"}"#;

#[test]
fn creation_show_and_list_have_the_map() {
    let kept = kept("");
    let reply = kept.stage.ask(&kept.stage.creation(MAP));
    let whole = json!({"created_by": "manual", "x-app--key": "grüß \"dich\"", "karbor-created-by": "me"});
    assert_eq!(map_of(&reply.json()["checkpoint"]), whole);
    let line = kept.stage.app.audit_of(&reply);
    assert_eq!((&line["kept"], &line["extra_info_restored"]), (&true.into(), &1.into()), "{line}");
    let id = id_of(&reply);
    let bare = kept.create("null");
    assert_eq!(kept.show(&id), whole);
    assert_eq!(kept.show(&bare), json!({"created_by": "manual"}));
    let list = kept.stage.ask(&Request::new("GET", &checkpoints(PROJECT))).json();
    for item in list["checkpoints"].as_array().unwrap() {
        let expected = if item["id"] == *id { &whole } else { &json!({"created_by": "manual"}) };
        assert_eq!(map_of(item), *expected);
    }
}

/// Byte for byte, but for the one member.
#[test]
fn the_rest_of_an_answer_stays_as_it_is() {
    let kept = kept("");
    let id = kept.create(MAP);
    for target in [member(&id), checkpoints(PROJECT)] {
        let request = Request::new("GET", &target);
        let karbors = Client::to(kept.stage.karbor.addr()).ask(&request).text();
        let ours = kept.stage.ask(&request).text();
        let cut = |text: &str| {
            let (before, rest) = text.split_once(r#""extra_info": "{"#).unwrap();
            let (_, after) = rest.split_once(r#"}""#).unwrap();
            (before.to_owned(), after.to_owned())
        };
        assert_eq!(cut(&ours), cut(&karbors), "{target}");
        assert_ne!(ours, karbors);
    }
}

#[test]
fn survives_a_restart() {
    let Kept { stage: first, folder } = kept("");
    let id = id_of(&first.ask(&first.creation(MAP)));
    let upstream = first.karbor.addr();
    first.app.stop();
    let second = crate::support::TestApp::before(upstream, &folder.settings(""));
    let shown = second.client().ask(&Request::new("GET", &member(&id)));
    assert_eq!(map_of(&shown.json()["checkpoint"])["karbor-created-by"], "me");
}

/// Also where a softened rule let it through, so that enforcing it later takes nothing away.
#[test]
fn keeps_what_is_only_observed() {
    let kept = kept("policy.rules.malformed-key = \"observe\"");
    let id = kept.create(r#"{"note": "hello"}"#);
    assert_eq!(kept.show(&id)["note"], "hello");
}

#[test]
fn another_project_sees_karbors_word_only() {
    let kept = kept("");
    let id = kept.create(MAP);
    let stranger = Request::new("GET", &member(&id)).token_of("other");
    let reply = kept.stage.ask(&stranger);
    assert!(reply.status >= 400 && !reply.text().contains("x-app--key"), "{}", reply.text());
    let own = format!("/v1/other/providers/{}/checkpoints", karbor_admission::demo::PROVIDER_ID);
    let list = kept.stage.ask(&Request::new("GET", &own).token_of("other"));
    assert_eq!(list.json()["checkpoints"], json!([]));
}

#[test]
fn a_deleted_checkpoint_stays_readable() {
    let kept = kept("");
    let id = kept.create(MAP);
    assert_eq!(kept.stage.ask(&Request::new("DELETE", &member(&id))).status, 200);
    assert_eq!(kept.show(&id)["karbor-created-by"], "me");
}

#[test]
fn a_large_answer_passes_unfilled() {
    let kept = kept("ledger.max_answer = \"1 KiB\"");
    for _ in 0..4 {
        kept.create(MAP);
    }
    let request = Request::new("GET", &checkpoints(PROJECT));
    let karbors = Client::to(kept.stage.karbor.addr()).ask(&request).text();
    assert_eq!(kept.stage.ask(&request).text(), karbors);
    kept.stage.app.until_counted("unfilled_answers_total", &[("reason", "too-large")], 1.0);
}

#[test]
fn without_a_ledger_everything_passes() {
    let stage = stage("ledger.url = \"off\"");
    let id = id_of(&stage.ask(&stage.creation(MAP)));
    let shown = stage.ask(&Request::new("GET", &member(&id)));
    assert_eq!(map_of(&shown.json()["checkpoint"]), json!({"created_by": "manual"}));
    let filtered = format!("{}?extra-info.x-app--key", checkpoints(PROJECT));
    assert_eq!(stage.ask(&Request::new("GET", &filtered)).json()["checkpoints"][0]["id"], *id);
}

/// Maps may be many times as long as what Karbor says: the memory for answers holds for them too.
#[test]
fn filled_answers_take_their_memory_from_the_budget() {
    let kept = kept(
        "server.body_budget = \"1 MiB\"\nlimits.body_bytes = 90000\nlimits.total_bytes = 85000\nlimits.value_bytes = 80000",
    );
    let map = format!(r#"{{"x-app--key": "{}"}}"#, "v".repeat(80_000));
    let id = kept.create(&map);
    let has_map = |target: &str| kept.stage.ask(&Request::new("GET", target)).text().contains("x-app--key");
    assert!(has_map(&member(&id)));
    for _ in 0..15 {
        kept.create(&map);
    }
    assert!(!has_map(&checkpoints(PROJECT)));
    kept.stage.app.until_counted("unfilled_answers_total", &[("reason", "too-large")], 1.0);
    let filtered = Request::new("GET", &format!("{}?extra-info.x-app--key", checkpoints(PROJECT)));
    assert_eq!(kept.stage.ask(&filtered).status, 502);
    // Fewer fit, although there was no room to look all of them up at once.
    assert!(has_map(&format!("{}?extra-info.x-app--key&limit=2", checkpoints(PROJECT))));
    // It came back.
    assert!(has_map(&member(&id)));
}

/// A list that is filled needs memory from when Karbor is asked.
#[test]
fn lists_without_a_seat_are_put_off() {
    let gate = Gate::default();
    let waits = gate.clone();
    let karbor = Scripted::new(move |mut link: Link| {
        while let Some(seen) = link.request() {
            if seen.target.contains("?slow") {
                waits.pass();
            }
            link.send(json_answer(r#"{"checkpoints": []}"#));
        }
    });
    let folder = LedgerFolder::new();
    let app = TestApp::before(karbor.address, &folder.settings("server.max_requests = 1"));
    let mut first = app.client();
    first.send(&Request::new("GET", &format!("{}?slow", checkpoints(PROJECT))).bytes());
    karbor.until_seen(1);
    let mut client = app.client();
    for target in [checkpoints(PROJECT), member("c"), format!("{}?extra-info.x-a--b", checkpoints(PROJECT))] {
        let reply = client.ask(&Request::new("GET", &target));
        assert_eq!(reply.own_fault(503).codes, ["no-room"], "{target}");
        let line = app.audit_of(&reply);
        assert_eq!((&line["refusal"], &line["tenant"]), (&"no-room".into(), &PROJECT.into()), "{line}");
    }
    let with_body = client.ask(&Request::new("GET", &checkpoints(PROJECT)).body("{}"));
    assert_eq!((with_body.status, with_body.fields.one("connection")), (503, Some("close")));
    let mut client = app.client();
    assert_eq!(client.ask(&Request::new("GET", "/v1/p/plans")).status, 200);
    gate.open();
    assert_eq!(first.reply().status, 200);
    eventually("there is a seat again", || {
        client.ask(&Request::new("GET", &checkpoints(PROJECT))).status == 200
    });
    app.stop();
}

/// A database that another program holds keeps a reader waiting once, not once for each checkpoint.
#[test]
fn what_cannot_be_forgotten_now_is_left_for_later() {
    let checkpoint = |id: &str, status: &str| {
        format!(r#"{{"id": "{id}", "project_id": "{PROJECT}", "status": "{status}", "extra_info": "{{}}"}}"#)
    };
    let listed = ["a", "b", "c"].map(|id| checkpoint(id, "deleted")).join(", ");
    let karbor = Scripted::new(move |mut link: Link| {
        while let Some(seen) = link.request() {
            let made = checkpoint(seen.fields.one("x-test-id").unwrap_or_default(), "available");
            link.send(json_answer(&match &*seen.method {
                "POST" => format!(r#"{{"checkpoint": {made}}}"#),
                _ => format!(r#"{{"checkpoints": [{listed}]}}"#),
            }));
        }
    });
    let folder = LedgerFolder::new();
    let app = TestApp::before(karbor.address, &folder.settings("ledger.timeout = \"300ms\""));
    for id in ["a", "b", "c"] {
        let creation =
            Request::new("POST", &checkpoints(PROJECT)).json(body_of("plan", r#"{"x-app--key": "value"}"#));
        assert_eq!(app.client().ask(&creation.field("X-Test-Id", id)).status, 200);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut other = runtime.block_on(SqliteConnectOptions::new().filename(folder.file()).connect()).unwrap();
    runtime.block_on(sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other)).unwrap();
    let list = Request::new("GET", &checkpoints(PROJECT));
    assert_eq!(app.client().ask(&list).text().matches("x-app--key").count(), 3);
    app.until_counted("ledger_operations_total", &[("operation", "forget")], 1.0);
    runtime.block_on(sqlx::raw_sql("ROLLBACK").execute(&mut other)).unwrap();
    app.client().ask(&list);
    app.until_counted("ledger_operations_total", &[("operation", "forget"), ("outcome", "failed")], 1.0);
}
