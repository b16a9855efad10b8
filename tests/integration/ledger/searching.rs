//! Lists with a filter by extra-info.

use super::{Kept, kept};
use crate::support::{
    LedgerFolder, Link, PROJECT, Request, Scripted, TestApp, body_of, checkpoints, json_answer,
};

fn filtered(query: &str) -> String {
    format!("{}?{query}", checkpoints(PROJECT))
}

/// Checkpoints with `x-app--n` of these values, oldest first.
fn numbered(kept: &Kept, numbers: &[u32]) -> Vec<String> {
    numbers
        .iter()
        .map(|number| kept.create(&format!(r#"{{"x-app--n": "{number}", "x-app--all": ""}}"#)))
        .collect()
}

#[test]
fn holds_those_that_match() {
    let kept = kept("");
    let ids = numbered(&kept, &[1, 2, 1]);
    kept.create("null");
    let check = |query: &str, expected: &[usize]| {
        let (mut listed, next) = kept.list(&filtered(query));
        let mut expected: Vec<&String> = expected.iter().map(|&at| &ids[at]).collect();
        listed.sort();
        expected.sort();
        assert_eq!(listed.iter().collect::<Vec<_>>(), expected, "{query}");
        assert_eq!(next, None, "{query}");
    };
    check("extra-info.x-app--n=1", &[0, 2]);
    check("extra-info.x-app--n=2", &[1]);
    check("extra-info.x-app--n", &[0, 1, 2]);
    check("extra-info.x-app--n=1&extra-info.x-app--all=", &[0, 2]);
    check("extra-info.x-app--n=1&extra-info.x-app--other", &[]);
    check("%65xtra-info.x-app--n=%32", &[1]);
    check("extra-info.x-app--n=3", &[]);
    let nothing = kept.stage.app.metrics().sum("ledger_operations_total", &[("outcome", "failed")]);
    assert!(nothing.abs() < f64::EPSILON);
}

/// The answer has the maps, and Karbor's order.
#[test]
fn is_filled_and_in_karbors_order() {
    let kept = kept("");
    numbered(&kept, &[1, 2, 1, 1]);
    let all = kept.list(&checkpoints(PROJECT)).0;
    let some = kept.list(&filtered("extra-info.x-app--n=1")).0;
    let in_order: Vec<&String> = all.iter().filter(|id| some.contains(id)).collect();
    assert_eq!(some.iter().collect::<Vec<_>>(), in_order);
    let reply = kept.stage.ask(&Request::new("GET", &filtered("extra-info.x-app--n=2")));
    assert!(reply.text().contains(r#"\"x-app--n\": \"2\""#), "{}", reply.text());
}

/// Page after page by its own links: everything once, in order.
#[test]
fn pages_by_its_links() {
    let kept = kept("");
    numbered(&kept, &[1, 2, 1, 2, 1, 1, 2, 1]);
    let whole = kept.list(&filtered("extra-info.x-app--n=1")).0;
    let mut found = Vec::new();
    let mut target = filtered("limit=2&extra-info.x-app--n=1");
    for page in 0.. {
        assert!(page < 5, "no end: {found:?}");
        let (ids, next) = kept.list(&target);
        assert!(ids.len() <= 2);
        found.extend(ids);
        let Some(next) = next else { break };
        let path = next.strip_prefix("http://karbor.test").unwrap_or_else(|| panic!("{next}"));
        assert!(path.contains("extra-info.x-app--n=1") && path.contains("limit=2"), "{path}");
        target = path.to_owned();
    }
    assert_eq!(found, whole);
}

#[test]
fn malformed_filters_are_refused_with_a_hint() {
    let kept = kept("");
    for query in ["extra-info.", "extra_info.x-app--n=1", "extra-info.x%2Fy=1", "extra-info.a=%ff"] {
        let fault = kept.stage.ask(&Request::new("GET", &filtered(query))).own_fault(400);
        assert_eq!(fault.codes, ["filter"], "{query}");
        assert!(fault.hint.is_some(), "{query}");
    }
    assert!(kept.stage.karbor.log().is_empty());
}

#[test]
fn karbors_own_word_comes_first() {
    let kept = kept("");
    kept.create(r#"{"x-app--n": "1"}"#);
    let stranger = Request::new("GET", &filtered("extra-info.x-app--n=1")).token_of("other");
    let reply = kept.stage.ask(&stranger);
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert!(!reply.text().contains("x-app--n"));
}

/// A list that ignores its filter would be a wrong answer, whatever its form.
#[test]
fn a_list_that_cannot_be_read_is_no_answer() {
    for field in ["Content-Type: text/plain", "Content-Type: application/json\r\nContent-Encoding: gzip"] {
        let body = r#"{"checkpoints": [{"id": "a", "project_id": "p"}]}"#;
        let length = body.len();
        let karbor = Scripted::answering(&format!(
            "HTTP/1.1 200 OK\r\n{field}\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        let folder = LedgerFolder::new();
        let app = TestApp::before(karbor.address, &folder.settings(""));
        let reply = app.client().ask(&Request::new("GET", &filtered("extra-info.x-app--n=1")));
        assert_eq!(reply.status, 502, "{field}: {}", reply.text());
    }
}

/// Karbor shows another map than was kept: told as in any other list.
#[test]
fn an_altered_map_is_audited() {
    let folder = LedgerFolder::new();
    let one = |map: &str| {
        format!(r#"{{"id": "one", "project_id": "{PROJECT}", "status": "available", "extra_info": {map}}}"#)
    };
    let made = format!(r#"{{"checkpoint": {}}}"#, one(r#""{}""#));
    let listed = format!(r#"{{"checkpoints": [{}]}}"#, one(r#""{\"x-app--n\": \"forged\"}""#));
    let karbor = Scripted::new(move |mut link: Link| {
        while let Some(seen) = link.request() {
            link.send(json_answer(if seen.method == "POST" { &made } else { &listed }));
        }
    });
    let app = TestApp::before(karbor.address, &folder.settings(""));
    let creation = Request::new("POST", &checkpoints(PROJECT)).json(body_of("plan", r#"{"x-app--n": "1"}"#));
    assert_eq!(app.client().ask(&creation).status, 200);
    let reply = app.client().ask(&Request::new("GET", &filtered("extra-info.x-app--n=1")));
    assert!(reply.text().contains(r#"\"x-app--n\": \"1\""#), "{}", reply.text());
    let lines = app.audit(2);
    assert_eq!((&lines[1]["verdict"], &lines[1]["extra_info_altered"]), (&"passed".into(), &1.into()));
}
