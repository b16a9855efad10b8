//! Maps in the answers to creations, shows and lists.

use serde_json::json;

use super::{Kept, id_of, kept, map_of, member};
use crate::support::{Client, PROJECT, Request, checkpoints, stage};

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
