//! Another configuration while it runs: all of it or nothing, and no request under half of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use crate::support::{
    Client, PROJECT, Reply, Request, Scripted, TestApp, body_of, checkpoints, eventually, json_answer,
};

const MADE: &str = r#"{"checkpoint": {"id": "c"}}"#;

fn karbor() -> Scripted {
    Scripted::answering(&json_answer(MADE))
}

fn creation(map: &str) -> Request {
    Request::new("POST", &checkpoints(PROJECT)).json(body_of("p", map))
}

fn two_entries() -> Request {
    creation(r#"{"x-a--1": "v", "x-a--2": "v"}"#)
}

#[track_caller]
fn check_state(app: &TestApp, outcome: &str, count: f64, successful: f64) {
    let metrics = app.metrics();
    assert_eq!(metrics.sum("config_reloads_total", &[("outcome", outcome)]), count, "{outcome}");
    assert_eq!(metrics.sum("config_last_reload_successful", &[]), successful, "{outcome}");
}

#[test]
fn a_reload_is_in_force_for_the_next_request() {
    let karbor = karbor();
    let app = TestApp::of_file(karbor.address, "[limits]\nentries = 1");
    let before = app.metrics();
    assert_eq!(before.sum("config_last_reload_successful", &[]), 1.0);
    assert!(before.sum("config_last_reload_success_timestamp_seconds", &[]) > 1.6e9);
    let mut client = app.client();
    client.ask(&two_entries()).own_fault(413);
    app.rewrite("[limits]\nentries = 2\n[tenants.t1]");
    app.reload();
    assert_eq!(client.ask(&two_entries()).status, 200);
    check_state(&app, "applied", 1.0, 1.0);
    let after = app.metrics();
    assert_ne!(after.values("policy_info", "revision"), before.values("policy_info", "revision"));
    assert!(after.values("limit", "tenant").contains("t1"));
    let page = app.page("/config").unwrap();
    assert!(page.text().contains("entries = 2  # "), "{}", page.text());
    app.reload();
    check_state(&app, "unchanged", 1.0, 1.0);
    let lines = app.stop();
    assert_ne!(lines[0]["policy"], lines[1]["policy"]);
}

/// Nothing changes, and the next good file is taken.
#[track_caller]
fn check_refused(settings: &str, outcome: &str) {
    let karbor = karbor();
    let app = TestApp::of_file(karbor.address, "[limits]\nentries = 1");
    app.rewrite(settings);
    app.reload();
    check_state(&app, outcome, 1.0, 0.0);
    app.client().ask(&two_entries()).own_fault(413);
    app.rewrite("[limits]\nentries = 2");
    app.reload();
    check_state(&app, "applied", 1.0, 1.0);
    assert_eq!(app.client().ask(&two_entries()).status, 200);
}

#[test]
fn what_is_wrong_changes_nothing() {
    check_refused("[limits\nentries = 2", "invalid");
    check_refused("[limits]\nentries = 2\nentriess = 3", "invalid");
    check_refused("[limits]\nentries = 2\n[tenants.t]\ngroup = \"none\"", "invalid");
}

#[test]
fn what_needs_a_restart_changes_nothing() {
    check_refused("[limits]\nentries = 2\n[server]\nworkers = 2", "needs-restart");
    check_refused("[limits]\nentries = 2\n[server]\nlisten = \"127.0.0.1:1\"", "needs-restart");
    check_refused("[limits]\nentries = 2\n[ledger]\nurl = \"sqlite:/elsewhere.db\"", "needs-restart");
}

#[test]
fn a_change_of_the_file_is_a_reload() {
    let karbor = karbor();
    let app = TestApp::watching(karbor.address, "[limits]\nentries = 1");
    app.client().ask(&two_entries()).own_fault(413);
    app.rewrite("[limits]\nentries = 2");
    app.until_counted("config_reloads_total", &[("outcome", "applied")], 1.0);
    assert_eq!(app.client().ask(&two_entries()).status, 200);
}

#[test]
fn other_endpoints_are_taken() {
    let (old, new) = (karbor(), karbor());
    let app = TestApp::of_file(old.address, "");
    let mut client = app.client();
    let request = Request::new("GET", "/v1/p/plans");
    assert_eq!(client.ask(&request).status, 200);
    app.rewrite(&format!("upstream.endpoints = [\"http://{}\"]", new.address));
    app.reload();
    assert_eq!(client.ask(&request).status, 200);
    assert_eq!((old.seen().len(), new.seen().len()), (1, 1));
}

#[test]
fn open_connections_take_timeouts_and_trust() {
    let karbor = karbor();
    let app = TestApp::of_file(karbor.address, "");
    let mut client = app.client();
    let request = Request::new("GET", "/v1/p/plans").field("X-Forwarded-For", "192.0.2.7");
    client.ask(&request);
    app.rewrite("[server]\ntrusted_peers = [\"127.0.0.0/8\"]\nkeep_alive_timeout = \"100ms\"");
    app.reload();
    client.ask(&request);
    let forwarded: Vec<_> =
        karbor.seen().iter().map(|seen| seen.fields.values("x-forwarded-for").join(",")).collect();
    assert_eq!(forwarded, ["127.0.0.1", "192.0.2.7,127.0.0.1"]);
    client.expect_end();
}

#[test]
fn room_for_connections_is_resized() {
    let karbor = karbor();
    let app = TestApp::of_file(karbor.address, "[server]\nmax_connections = 1");
    let request = Request::new("GET", "/v1/p/plans");
    let mut first = app.client();
    assert_eq!(first.ask(&request).status, 200);
    assert_eq!(app.client().reply().status, 503);
    app.rewrite("[server]\nmax_connections = 3");
    app.reload();
    assert_eq!(app.client().ask(&request).status, 200);
    assert_eq!(first.ask(&request).status, 200);
}

/// The two policies deny the same creation, each for its own reason: by half of each it would be admitted, or
/// denied for both.
const POLICIES: [(&str, &str); 2] = [
    ("[limits]\nentries = 2\nvalue_bytes = 10", "too-many-entries"),
    ("[limits]\nentries = 4\nvalue_bytes = 5", "value-too-long"),
];

/// What the answers of one client were.
#[derive(Default)]
struct Tally {
    denied: [AtomicU64; 2],
    passed: AtomicU64,
}

fn ask_on(client: &mut Client, tally: &Tally) {
    let denied: Reply =
        client.ask(&creation(r#"{"x-a--1": "12345678", "x-a--2": "12345678", "x-a--3": "12345678"}"#));
    let mut codes = denied.fault().codes;
    codes.dedup();
    let by = POLICIES.iter().position(|(_, code)| codes == [*code]);
    let by = by.unwrap_or_else(|| panic!("judged by a mixture: {codes:?}"));
    tally.denied[by].fetch_add(1, Ordering::Relaxed);
    assert_eq!(client.ask(&Request::new("GET", "/v1/p/plans")).status, 200);
    assert_eq!(client.ask(&creation(r#"{"x-a--1": "1234"}"#)).status, 200);
    tally.passed.fetch_add(2, Ordering::Relaxed);
}

#[test]
fn under_load_no_request_fails_and_none_is_judged_by_a_mixture() {
    const CLIENTS: usize = 6;
    const RELOADS: usize = 100;
    let karbor = karbor();
    let rest = "[server]\nworkers = 2";
    let app = TestApp::of_file(karbor.address, &format!("{}\n{rest}", POLICIES[0].0));
    let (ended, tally) = (Arc::new(AtomicBool::new(false)), Arc::new(Tally::default()));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (mut client, ended, tally) = (app.client(), ended.clone(), tally.clone());
            thread::spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    ask_on(&mut client, &tally);
                }
            })
        })
        .collect();
    let begun = Instant::now();
    for number in 1..=RELOADS {
        let (policy, _) = POLICIES[number % 2];
        app.rewrite(&format!("{policy}\n{rest}\nhead_timeout = \"{}s\"", 10 + number % 7));
        app.wish_reload();
        let judged = &tally.denied[number % 2];
        // Each client may have an answer under way that is older.
        let enough = judged.load(Ordering::Relaxed) + CLIENTS as u64;
        eventually("requests are judged by the new policy", || judged.load(Ordering::Relaxed) > enough);
    }
    let took = begun.elapsed();
    ended.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }
    app.until_counted("config_reloads_total", &[("outcome", "applied")], RELOADS as f64);
    let [by_one, by_other] = [0, 1].map(|at| tally.denied[at].load(Ordering::Relaxed));
    let passed = tally.passed.load(Ordering::Relaxed);
    println!("{} requests in {took:?}, {RELOADS} reloads", by_one + by_other + passed);
    let lines = app.stop();
    assert_eq!(lines.len() as u64, by_one + by_other + passed / 2, "a line for each that was judged");
    let mut revisions: [Vec<_>; 2] = Default::default();
    for line in lines.iter().filter(|line| line["verdict"] == "denied") {
        let code = &line["violations"][0]["rule"];
        let by = POLICIES.iter().position(|(_, own)| code == own).unwrap();
        revisions[by].push(line["policy"].as_str().unwrap().to_owned());
    }
    for revisions in &mut revisions {
        revisions.dedup();
        assert_eq!(revisions.len(), 1, "the line names the policy that judged: {revisions:?}");
    }
    assert_ne!(revisions[0], revisions[1]);
}
