//! Start, bounds on connections, and the end: what is in flight finishes, nothing new begins.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use karbor_admission::app::{App, AppError, Launch};
use serde_json::Value;

use crate::support::{
    Gate, PROJECT, Request, Scripted, TestApp, body_of, checkpoints, config, eventually, json_answer, stage,
};

fn creation() -> Request {
    Request::new("POST", &checkpoints(PROJECT)).json(body_of("p", "null"))
}

/// An upstream that answers once the gate is open.
fn gated(gate: &Gate) -> Scripted {
    let gate = gate.clone();
    Scripted::new(move |mut link| {
        while link.request().is_some() {
            gate.pass();
            link.send(json_answer(r#"{"checkpoint": {"id": "c"}}"#));
        }
    })
}

#[track_caller]
fn refused(address: SocketAddr) {
    eventually("new connections are refused", || match TcpStream::connect(address) {
        Err(error) => error.kind() == ErrorKind::ConnectionRefused,
        Ok(_) => false,
    });
}

#[test]
fn a_drain_lets_requests_finish_and_nothing_begin() {
    let gate = Gate::default();
    let karbor = gated(&gate);
    let app = TestApp::before(karbor.address, "");
    let (mut passing, mut creating, mut idle, mut unused) =
        (app.client(), app.client(), app.client(), app.client());
    idle.ask(&creation().with("Content-Type", "text/plain")).own_fault(415);
    passing.send(&Request::new("GET", "/v1/p/plans").bytes());
    creating.send(&creation().bytes());
    karbor.until_seen(2);
    app.order();
    eventually("not ready any more", || {
        app.page("/readyz").is_some_and(|page| page.status == 503 && page.text().contains("draining"))
    });
    assert_eq!(app.page("/livez").map(|page| page.status), Some(200));
    refused(app.address);
    unused.expect_end();
    idle.expect_end();
    app.until_counted("requests_in_flight", &[], 2.0);
    gate.open();
    for client in [&mut passing, &mut creating] {
        let reply = client.reply();
        assert_eq!(reply.json()["checkpoint"]["id"], "c");
        client.expect_end();
    }
    let lines = app.stop();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[1]["verdict"], &lines[1]["checkpoint"]), (&"admitted".into(), &"c".into()));
}

#[test]
fn a_drain_waits_for_a_creation_whose_client_left() {
    let gate = Gate::default();
    let karbor = gated(&gate);
    let app = TestApp::before(karbor.address, "");
    let mut client = app.client();
    client.send(&creation().bytes());
    karbor.until_seen(1);
    drop(client);
    app.order();
    refused(app.address);
    assert!(app.audit_text().is_empty());
    gate.open();
    let lines = app.stop();
    assert_eq!((&lines[0]["verdict"], &lines[0]["client_left"]), (&"admitted".into(), &true.into()));
    assert_eq!(lines[0]["checkpoint"], "c");
}

#[test]
fn a_drain_ends_a_connection_that_began_a_head() {
    let stage = stage("");
    let mut client = stage.client();
    client.send(b"GET /v1/p HTTP/1.1\r\nHost");
    let begun = Instant::now();
    stage.end();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let _ = client.wire.rest();
}

/// Ends in time although a request is in flight; the client gets no answer, the audit log its line.
#[track_caller]
fn check_cut(settings: &str, orders: usize) -> Value {
    let gate = Gate::default();
    let karbor = gated(&gate);
    let mut app = TestApp::before(karbor.address, settings);
    let mut client = app.client();
    client.send(&creation().bytes());
    karbor.until_seen(1);
    for _ in 0..orders {
        app.order();
    }
    app.until_ended();
    gate.open();
    assert!(client.try_reply(false).is_err());
    let line: Value = serde_json::from_str(app.audit_text().trim()).unwrap();
    assert_eq!(line["outcome_unknown"], true, "{line}");
    line
}

#[test]
fn the_deadline_cuts_a_drain() {
    check_cut("[server]\ndrain_timeout = \"200ms\"", 1);
}

#[test]
fn a_second_order_cuts_a_drain() {
    check_cut("", 2);
}

#[test]
fn a_cut_is_not_the_clients_leaving() {
    let line = check_cut("", 2);
    assert_eq!(line["client_left"], false, "{line}");
}

#[test]
fn beyond_the_connections_there_is_room_for_clients_are_turned_away() {
    let stage = stage("[server]\nmax_connections = 2");
    let list = Request::new("GET", &checkpoints(PROJECT));
    let (mut first, mut second) = (stage.client(), stage.client());
    for client in [&mut first, &mut second] {
        assert_eq!(client.ask(&list).status, 200);
    }
    let mut third = stage.client();
    let reply = third.reply();
    reply.own_fault(503);
    assert!(reply.fields.one("retry-after").is_some(), "{reply:?}");
    assert_eq!(reply.fields.one("connection"), Some("close"));
    third.expect_end();
    stage.app.until_counted("connections_refused_total", &[("reason", "at-limit")], 1.0);
    assert_eq!(first.ask(&list).status, 200);
    drop(second);
    stage.app.until_counted("connections", &[("side", "downstream")], 1.0);
    eventually("there is room again", || {
        stage.client().try_reply_to(&list).is_ok_and(|reply| reply.status == 200)
    });
    assert!(stage.end().is_empty());
}

#[test]
fn an_idle_connection_is_closed_in_time() {
    let stage = stage("[server]\nkeep_alive_timeout = \"200ms\"");
    let mut silent = stage.client();
    silent.expect_end();
    let mut client = stage.client();
    assert_eq!(client.ask(&Request::new("GET", &checkpoints(PROJECT))).status, 200);
    client.expect_end();
    stage.app.until_counted("requests_total", &[], 1.0);
    assert!(stage.end().is_empty());
}

/// The wait for the next request begins with the end of the last answer, however long that took.
#[test]
fn an_idle_connection_is_closed_in_time_after_a_slow_answer() {
    let gate = Gate::default();
    let karbor = gated(&gate);
    let app = TestApp::before(karbor.address, "[server]\nkeep_alive_timeout = \"100ms\"");
    let (mut probe, mut client) = (app.client(), app.client());
    client.send(&Request::new("GET", "/v1/p/plans").bytes());
    karbor.until_seen(1);
    // Begun before the client's, so its time is over first.
    probe.expect_end();
    let mut later = app.client();
    later.expect_end();
    gate.open();
    assert_eq!(client.reply().status, 200);
    client.expect_end();
}

#[test]
fn workers_share_the_port() {
    let karbor = Scripted::answering(&json_answer(r#"{"checkpoint": {"id": "c"}}"#));
    let app = TestApp::before(karbor.address, "[server]\nworkers = 2");
    let mut clients: Vec<_> = (0..64).map(|_| app.client()).collect();
    for client in &mut clients {
        assert_eq!(client.ask(&creation()).status, 200);
    }
    assert_eq!(karbor.connections(), 2, "each worker has a connection of its own");
    app.until_counted("requests_total", &[("route", "create"), ("outcome", "forwarded")], 64.0);
    app.until_counted("connections", &[("side", "downstream")], 64.0);
    assert_eq!(app.stop().len(), 64);
    for client in &mut clients {
        client.expect_end();
    }
}

#[track_caller]
fn cannot_bind(settings: &str, named: &str) {
    let upstream = "127.0.0.1:1".parse().unwrap();
    match App::bind(config(&[upstream], "", settings), Launch::default()).err() {
        Some(AppError::Bind { setting, source, .. }) => {
            assert_eq!((setting, source.kind()), (named, ErrorKind::AddrInUse));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_taken_port_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _holder = TcpListener::bind(taken).unwrap();
    cannot_bind(&format!("[server]\nlisten = \"{taken}\""), "server.listen");
    cannot_bind(&format!("[admin]\nlisten = \"{taken}\""), "admin.listen");
    // Another instance of ours shares ports between its workers, but not with us.
    let stage = stage("[server]\nworkers = 2");
    cannot_bind(&format!("[server]\nlisten = \"{}\"", stage.app.address), "server.listen");
    assert_eq!(stage.ask(&Request::new("GET", &checkpoints(PROJECT))).status, 200);
}

#[test]
fn an_audit_file_that_cannot_be_had_is_an_error() {
    let upstream = "127.0.0.1:1".parse().unwrap();
    let error =
        App::bind(config(&[upstream], "/nonexistent/folder/audit.jsonl", ""), Launch::default()).err();
    assert!(matches!(error, Some(AppError::Audit(_))), "{error:?}");
}
