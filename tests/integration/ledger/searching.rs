//! Lists with a filter by extra-info.

use super::{Kept, kept};
use crate::support::{
    LedgerFolder, Link, PROJECT, Request, Scripted, TestApp, body_of, checkpoints, json_answer,
};

const KARBORS: &str = "req-3c02bd4e-68f6-49f5-9166-ea47cfbc2f65";

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
    let lines = kept.stage.app.audit(4);
    assert_eq!((&lines[0]["refusal"], &lines[0]["tenant"]), (&"filter".into(), &PROJECT.into()));
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
    let listed =
        json_answer(&listed).replacen("\r\n", &format!("\r\nX-Openstack-Request-Id: {KARBORS}\r\n"), 1);
    let karbor = Scripted::new(move |mut link: Link| {
        while let Some(seen) = link.request() {
            link.send(if seen.method == "POST" { json_answer(&made) } else { listed.clone() });
        }
    });
    let app = TestApp::before(karbor.address, &folder.settings(""));
    let creation = Request::new("POST", &checkpoints(PROJECT)).json(body_of("plan", r#"{"x-app--n": "1"}"#));
    assert_eq!(app.client().ask(&creation).status, 200);
    let reply = app.client().ask(&Request::new("GET", &filtered("extra-info.x-app--n=1")));
    assert!(reply.text().contains(r#"\"x-app--n\": \"1\""#), "{}", reply.text());
    let line = app.audit_of(&reply);
    assert_eq!((&line["verdict"], &line["extra_info_altered"]), (&"passed".into(), &1.into()));
    app.client().ask(&Request::new("GET", &checkpoints(PROJECT)));
    assert!(app.audit(3).iter().skip(1).all(|line| line["request_id"] == KARBORS), "{:#?}", app.audit(3));
}

/// Ten checkpoints of which the first and the last have the map.
fn paged(page: usize, heeds_markers: bool) -> Scripted {
    let name = |number: usize| format!("c{number}");
    let checkpoint = move |id: &str| {
        format!(r#"{{"id": "{id}", "project_id": "{PROJECT}", "status": "available", "extra_info": "{{}}"}}"#)
    };
    Scripted::new(move |mut link: Link| {
        while let Some(seen) = link.request() {
            if seen.method == "POST" {
                let made = checkpoint(seen.fields.one("x-test-id").unwrap());
                link.send(json_answer(&format!(r#"{{"checkpoint": {made}}}"#)));
                continue;
            }
            let marker =
                seen.target.split_once("marker=c").map(|(_, rest)| rest[..1].parse::<usize>().unwrap());
            let first = marker.filter(|_| heeds_markers).map_or(0, |marker| marker + 1);
            let numbers = first..(first + page).min(10);
            let links = match numbers.len() == page {
                true => r#", "checkpoints_links": [{"rel": "next", "href": "http://nowhere/"}]"#,
                false => "",
            };
            let items: Vec<String> = numbers.map(|number| checkpoint(&name(number))).collect();
            link.send(json_answer(&format!(r#"{{"checkpoints": [{}]{links}}}"#, items.join(", "))));
        }
    })
}

/// Page after page by our own links; what each has.
#[track_caller]
fn walk(app: &TestApp, query: &str, fields: &[(&str, &str)], before: &str) -> Vec<Vec<String>> {
    let (mut pages, mut target) = (Vec::new(), filtered(query));
    loop {
        assert!(pages.len() < 12, "no end: {pages:?}");
        let request = Request::new("GET", &target);
        let request = fields.iter().fold(request, |request, (name, value)| request.field(name, value));
        let reply = app.client().ask(&request);
        assert_eq!(reply.status, 200, "{}", reply.text());
        let answer = reply.json();
        let items = answer["checkpoints"].as_array().unwrap();
        assert!(items.iter().all(|item| item["extra_info"].as_str().unwrap().contains("x-app--n")));
        pages.push(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect());
        let Some(next) = answer["checkpoints_links"][0]["href"].as_str() else { return pages };
        target = next.strip_prefix(before).unwrap_or_else(|| panic!("{next}")).to_owned();
    }
}

#[track_caller]
fn check_walk(karbor: &Scripted, settings: &str, query: &str, expected: &[&[&str]]) {
    let folder = LedgerFolder::new();
    let app = TestApp::before(karbor.address, &folder.settings(settings));
    for (id, map) in
        [("c0", r#"{"x-app--n": "1"}"#), ("c4", r#"{"x-app--m": "1"}"#), ("c9", r#"{"x-app--n": "1"}"#)]
    {
        let creation = Request::new("POST", &checkpoints(PROJECT)).json(body_of("plan", map));
        assert_eq!(app.client().ask(&creation.field("X-Test-Id", id)).status, 200);
    }
    assert_eq!(walk(&app, query, &[], "http://karbor.test"), expected, "{settings} {query}");
}

/// Bounded in pages: what was not reached is behind the link.
#[test]
fn goes_on_where_it_had_to_stop() {
    let karbor = paged(3, true);
    check_walk(&karbor, "", "extra-info.x-app--n=1", &[&["c0", "c9"]]);
    check_walk(&karbor, "ledger.filter_pages = 1", "extra-info.x-app--n=1", &[&["c0"], &[], &[], &["c9"]]);
    check_walk(&karbor, "ledger.filter_pages = 2", "extra-info.x-app--n=1", &[&["c0"], &["c9"]]);
    // Karbor's last page is full, so there may be more: as in its own lists.
    check_walk(&karbor, "", "extra-info.x-app--n=1&limit=1", &[&["c0"], &["c9"], &[]]);
    check_walk(&karbor, "", "limit=1&marker=c0&extra-info.x-app--n", &[&["c9"], &[]]);
    check_walk(&karbor, "", "extra-info.x-app--n=2", &[&[]]);
}

/// A bank that ignores markers gives the same again: nothing twice, and an end.
#[test]
fn ends_where_markers_are_ignored() {
    let karbor = paged(11, false);
    check_walk(&karbor, "", "extra-info.x-app--n=1", &[&["c0", "c9"]]);
    check_walk(&karbor, "", "extra-info.x-app--n=1&limit=1", &[&["c0"], &["c9"]]);
    check_walk(&karbor, "ledger.filter_pages = 1", "extra-info.x-app--n=1&limit=1", &[&["c0"], &["c9"]]);
}

/// The links are those of the address that the client used, if whoever stands between may say so.
#[test]
fn links_lead_through_the_load_balancer() {
    let karbor = paged(3, true);
    let said = [("X-Forwarded-Host", "api.example:8799"), ("X-Forwarded-Proto", "https")];
    for (settings, before) in
        [("server.trusted_peers = [\"127.0.0.1\"]", "https://api.example:8799"), ("", "http://karbor.test")]
    {
        let folder = LedgerFolder::new();
        let app = TestApp::before(
            karbor.address,
            &folder.settings(&format!("ledger.filter_pages = 1\n{settings}")),
        );
        for id in ["c0", "c9"] {
            let creation =
                Request::new("POST", &checkpoints(PROJECT)).json(body_of("plan", r#"{"x-app--n": "1"}"#));
            assert_eq!(app.client().ask(&creation.field("X-Test-Id", id)).status, 200);
        }
        let pages = walk(&app, "extra-info.x-app--n", &said, before);
        assert_eq!(pages.concat(), ["c0", "c9"], "{settings}");
    }
}
