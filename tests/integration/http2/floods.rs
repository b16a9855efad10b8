//! Clients that send trouble: each ends by a bound, and the proxy serves others.

use std::time::Duration;

use crate::support::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    frame, request,
};
use crate::support::{Frames, Gate, Request, Scripted, TestApp, checkpoints, json_answer, resident_bytes};

use super::{gated, get, karbor};

/// Others are served while it lasts, and its connection is gone in the end.
#[track_caller]
fn until_gone(app: &TestApp) {
    assert_eq!(app.client().ask(&get()).status, 200);
    app.until_counted("connections", &[("side", "downstream")], 0.0);
    app.until_counted("requests_in_flight", &[], 0.0);
}

const SHORT: &str = "[server]\nwrite_timeout = \"300ms\"\nkeep_alive_timeout = \"500ms\"\n";

/// CVE-2023-44487: opened and reset, as fast as it goes.
#[test]
fn streams_that_are_opened_and_reset() {
    let gate = Gate::default();
    let karbor = gated(&gate);
    let app = TestApp::before(karbor.address, SHORT);
    let mut client = Frames::to(app.address);
    let fields = request("GET", "/v1/p/plans", &[]);
    let mut sent = 0;
    for stream in (1..200_000).step_by(2) {
        let pair = [
            frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields),
            frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()),
        ];
        if client.write(&pair.concat()).is_err() {
            break;
        }
        sent += 1;
    }
    assert!(sent < 50_000, "{sent} were taken");
    gate.open();
    until_gone(&app);
    app.stop();
}

/// One after the other, so that none of them is reset before it is looked at.
#[test]
fn requests_that_are_always_broken_off() {
    let gate = Gate::default();
    let karbor = gated(&gate);
    let app = TestApp::before(karbor.address, "");
    let mut client = Frames::to(app.address);
    let fields = request("GET", "/v1/p/plans", &[]);
    let mut taken = 0;
    for stream in (1..2000).step_by(2) {
        if client.write(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields)).is_err() {
            break;
        }
        // Answered in order: by then the request before it was seen.
        if client.write(&frame(PING, 0, 0, &[0; 8])).is_err() || client.until(PING).is_none() {
            break;
        }
        if client.write(&frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())).is_err() {
            break;
        }
        taken += 1;
    }
    assert!((90..300).contains(&taken), "{taken} were taken");
    gate.open();
    app.until_counted("requests_in_flight", &[], 0.0);
    app.stop();
}

/// CVE-2024-27316 and its like: a head that never ends.
#[test]
fn heads_without_an_end() {
    let karbor = karbor();
    let app = TestApp::before(karbor.address, SHORT);
    let before = resident_bytes();
    let mut client = Frames::to(app.address);
    client.write(&frame(HEADERS, 0, 1, &request("GET", "/v1/p/plans", &[]))).unwrap();
    let part = frame(CONTINUATION, 0, 1, &[b"\x10\x01x\x7f\x91\x0f", &[b'v'; 2064][..]].concat());
    assert!(!client.flood(&part, 20_000), "40 MB of one head were taken");
    let empty = frame(CONTINUATION, 0, 1, b"");
    let mut client = Frames::to(app.address);
    client.write(&frame(HEADERS, 0, 1, &request("GET", "/v1/p/plans", &[]))).unwrap();
    let taken = client.flood(&empty, 2_000_000);
    drop(client);
    let grown = resident_bytes().saturating_sub(before);
    assert!(!taken || grown < 32 << 20, "{grown} bytes");
    until_gone(&app);
    app.stop();
}

/// Answers that nobody reads: they must not pile up.
#[test]
fn settings_and_pings_without_end() {
    for flood in [frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]), frame(PING, 0, 0, &[7; 8])] {
        let karbor = karbor();
        let app = TestApp::before(karbor.address, SHORT);
        let before = resident_bytes();
        let mut client = Frames::to(app.address);
        client.socket.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
        assert!(!client.flood(&flood, 10_000_000), "all of it was taken");
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown < 32 << 20, "{grown} bytes");
        drop(client);
        until_gone(&app);
        app.stop();
    }
}

/// RUSTSEC-2026-0258: frames of a body that have nothing in them.
#[test]
fn bodies_of_nothing() {
    let karbor = karbor();
    let app = TestApp::before(
        karbor.address,
        "[server]\nbody_timeout = \"500ms\"\nkeep_alive_timeout = \"500ms\"\n",
    );
    let before = resident_bytes();
    let mut client = Frames::to(app.address);
    let fields = request("POST", &checkpoints("p"), &[("content-type", "application/json")]);
    client.write(&frame(HEADERS, END_HEADERS, 1, &fields)).unwrap();
    let taken = client.flood(&frame(DATA, 0, 1, b""), 3_000_000);
    let grown = resident_bytes().saturating_sub(before);
    assert!(!taken || grown < 32 << 20, "{grown} bytes");
    drop(client);
    until_gone(&app);
    app.stop();
}

#[test]
fn windows_that_cannot_be() {
    let karbor = karbor();
    let app = TestApp::before(karbor.address, SHORT);
    let most = 0x7fff_ffff_u32.to_be_bytes();
    for (stream, increment, expected) in
        [(0, most, GOAWAY), (1, most, RST_STREAM), (0, [0; 4], GOAWAY), (1, [0; 4], RST_STREAM)]
    {
        let gate = Gate::default();
        let waiting = gated(&gate);
        let app = TestApp::before(waiting.address, SHORT);
        let mut client = Frames::to(app.address);
        let fields = request("GET", "/v1/p/plans", &[]);
        client.write(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields)).unwrap();
        waiting.until_seen(1);
        client.write(&frame(WINDOW_UPDATE, 0, stream, &increment)).unwrap();
        let ended = client.rest_until(&[GOAWAY, RST_STREAM]);
        assert!(ended.is_some_and(|frame| frame.kind == expected || frame.kind == GOAWAY), "{stream}");
        gate.open();
        drop(client);
        app.until_counted("requests_in_flight", &[], 0.0);
        app.stop();
    }
    until_gone(&app);
    app.stop();
}

/// A client that gives an answer no room, while its connection lives.
#[test]
fn answers_that_are_not_taken() {
    let body = format!("{{\"x\": \"{}\"}}", "v".repeat(300_000));
    let karbor = Scripted::answering(&json_answer(&body));
    let app = TestApp::before(karbor.address, "[server]\nwrite_timeout = \"300ms\"\n");
    // The initial window of streams is none.
    let mut client = Frames::with_settings(app.address, &[(4, 0)]);
    let fields = request("GET", "/v1/p/plans", &[]);
    for stream in [1, 3, 5] {
        client.write(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields)).unwrap();
    }
    for _ in 0..3 {
        assert_eq!(client.until(RST_STREAM).map(|frame| frame.error()), Some(8), "cancelled");
    }
    // The connection itself goes on.
    client.write(&frame(PING, 0, 0, &[1; 8])).unwrap();
    assert!(client.until(PING).is_some());
    app.until_counted("requests_in_flight", &[], 0.0);
    assert_eq!(app.client().ask(&Request::new("GET", "/v1/p/plans")).status, 200);
    app.stop();
}
