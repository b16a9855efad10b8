//! Clients that leave: nothing is stranded, everything is written down once.

use std::net::Shutdown;

use crate::support::{
    Client, Gate, Link, PROJECT, Request, Scripted, TestApp, body_of, checkpoints, eventually, json_answer,
    stage, until_read, until_server_closed,
};

fn creation() -> Request {
    Request::new("POST", &checkpoints(PROJECT)).json(body_of("p", r#"{"x-a--b": "c"}"#))
}

fn get() -> Request {
    Request::new("GET", "/v1/p/plans")
}

fn leave(client: Client, reset: bool) {
    let (server, own) = (client.wire.stream.peer_addr().unwrap(), client.wire.stream.local_addr().unwrap());
    if reset {
        client.reset();
    } else {
        drop(client);
    }
    until_server_closed(server, own);
}

/// Answers creations once the gate is open, and everything else at once, with so many spaces in the answer.
fn gated(gate: &Gate, padding: usize) -> Scripted {
    let gate = gate.clone();
    let answer = format!(r#"{{"checkpoint": {{"id": "c"}}{}}}"#, " ".repeat(padding));
    Scripted::new(move |mut link| {
        while let Some(request) = link.request() {
            if request.method == "POST" {
                gate.pass();
            }
            link.send(json_answer(&answer));
        }
    })
}

/// By then the proxy has seen what other clients did before: they are served by the same thread.
#[track_caller]
fn until_noticed(bystander: &mut Client) {
    assert_eq!(bystander.ask(&get()).status, 200);
}

#[test]
fn a_creation_is_carried_out_for_a_client_that_hung_up() {
    for reset in [false, true] {
        let gate = Gate::default();
        let karbor = gated(&gate, 0);
        let app = TestApp::before(karbor.address, "");
        let mut client = app.client();
        client.send(&creation().bytes());
        karbor.until_seen(1);
        if reset {
            client.reset();
        } else {
            drop(client);
        }
        until_noticed(&mut app.client());
        app.until_counted("requests_in_flight", &[], 1.0);
        gate.open();
        app.until_counted("requests_in_flight", &[], 0.0);
        app.until_counted("admitted_checkpoints_total", &[], 1.0);
        let lines = app.stop();
        assert_eq!(lines.len(), 1);
        let line = &lines[0];
        assert_eq!((&line["verdict"], &line["client_left"]), (&"admitted".into(), &true.into()), "{line}");
        assert_eq!((&line["checkpoint"], &line["upstream_status"]), (&"c".into(), &200.into()), "{line}");
        assert_eq!(line["outcome_unknown"], false, "{line}");
        assert_eq!(karbor.seen().iter().filter(|seen| seen.method == "POST").count(), 1);
    }
}

/// It may have closed its side only: a client that has nothing more to say. The answer is more than fits into
/// the system's buffers, and is not read before all else is done.
#[test]
fn a_creation_is_answered_to_a_client_that_closed_its_side() {
    for padding in [0, 1_000_000] {
        let gate = Gate::default();
        let karbor = gated(&gate, padding);
        let app = TestApp::before(karbor.address, "");
        let mut client = app.client();
        client.send(&creation().bytes());
        karbor.until_seen(1);
        client.wire.stream.shutdown(Shutdown::Write).unwrap();
        let mut bystander = app.client();
        until_noticed(&mut bystander);
        gate.open();
        app.until_counted("upstream_requests_total", &[("status", "2xx")], 2.0);
        until_noticed(&mut bystander);
        assert_eq!(client.reply().json()["checkpoint"]["id"], "c");
        client.expect_end();
        let line = app.stop().pop().unwrap();
        assert_eq!((&line["verdict"], &line["checkpoint"]), (&"admitted".into(), &"c".into()), "{line}");
        assert_eq!(line["client_left"], true, "nobody can tell it from one that left: {line}");
    }
}

/// Its end may be read together with the creation, before anything was done about it: here both wait behind another
/// request. What a rule denies is answered too.
#[test]
fn a_creation_is_answered_to_a_client_that_closed_its_side_with_it() {
    let denied = Request::new("POST", &checkpoints(PROJECT)).json(body_of("p", r#"{"b": "c"}"#));
    for (last, status) in [(creation(), 200), (denied, 400)] {
        let gate = Gate::default();
        let karbor = gated(&gate, 0);
        let app = TestApp::before(karbor.address, "");
        let mut client = app.client();
        client.send(&[creation().bytes(), last.bytes()].concat());
        client.wire.stream.shutdown(Shutdown::Write).unwrap();
        until_noticed(&mut app.client());
        gate.open();
        assert_eq!(client.reply().status, 200);
        assert_eq!(client.reply().status, status);
        client.expect_end();
        assert_eq!(app.stop().len(), 2);
    }
}

/// No client has more creations carried out at a time by leaving them behind.
#[test]
fn a_creation_keeps_the_place_of_its_client() {
    for reset in [false, true] {
        let gate = Gate::default();
        let karbor = gated(&gate, 0);
        let app = TestApp::before(karbor.address, "[server]\nmax_connections = 3");
        let mut bystander = app.client();
        until_noticed(&mut bystander);
        for before in 1..=2 {
            let mut client = app.client();
            client.send(&creation().bytes());
            karbor.until_seen(2 * before);
            if reset {
                client.reset();
            } else {
                drop(client);
            }
            until_noticed(&mut bystander);
        }
        app.client().reply().own_fault(503);
        gate.open();
        app.until_counted("requests_in_flight", &[], 0.0);
        eventually("there is room again", || {
            app.client().try_reply_to(&creation()).is_ok_and(|reply| reply.status == 200)
        });
        let creations = karbor.seen().iter().filter(|seen| seen.method == "POST").count();
        assert_eq!(creations, 3);
    }
}

/// The answer to the creation before is written, and nothing is owed any more.
#[test]
fn a_client_that_leaves_within_the_request_after_a_creation_is_noticed() {
    let stage = stage("");
    let mut client = stage.client();
    let next = stage.creation(r#"{"x-a--b": "c"}"#).head();
    client.send(&[stage.creation("null").bytes(), next, b"{".to_vec()].concat());
    assert_eq!(client.reply().status, 200);
    stage.app.until_counted("requests_in_flight", &[], 1.0);
    client.wire.stream.shutdown(Shutdown::Write).unwrap();
    stage.app.until_counted("requests_in_flight", &[], 0.0);
    stage.app.until_counted("requests_total", &[("outcome", "abandoned")], 1.0);
    assert_eq!(stage.karbor.created(), 1);
}

/// The client leaves within its body: nothing reaches Karbor, one line says so.
#[track_caller]
fn check_within_a_reviewed_body(request: &Request, part: &[u8], reset: bool) {
    let karbor = Scripted::new(Link::until_closed);
    let app = TestApp::before(karbor.address, "");
    let mut client = app.client();
    client.send(&[request.head(), part.to_vec()].concat());
    until_read(&client.wire.stream);
    app.until_counted("requests_in_flight", &[], 1.0);
    leave(client, reset);
    app.until_counted("requests_in_flight", &[], 0.0);
    app.until_counted("requests_total", &[("outcome", "abandoned")], 1.0);
    assert_eq!(karbor.connections(), 0);
    let lines = app.stop();
    assert_eq!(lines.len(), 1);
    let line = &lines[0];
    assert_eq!((&line["verdict"], &line["client_left"]), (&"abandoned".into(), &true.into()), "{line}");
    assert_eq!((&line["outcome_unknown"], &line["tenant"]), (&false.into(), &PROJECT.into()), "{line}");
    assert!(line.get("status").is_none() && line.get("upstream_status").is_none(), "{line}");
}

#[test]
fn a_client_that_leaves_within_a_reviewed_body_is_written_down() {
    for reset in [false, true] {
        check_within_a_reviewed_body(&creation(), b"{\"checkpoint\"", reset);
        check_within_a_reviewed_body(&creation(), b"", reset);
        check_within_a_reviewed_body(&creation().chunked(9), b"c\r\n{\"check", reset);
        let update = Request::new("PUT", &format!("{}/c", checkpoints(PROJECT))).json("{\"a\": 1}");
        check_within_a_reviewed_body(&update, b"{", reset);
    }
}

#[test]
fn a_client_that_leaves_before_the_answer_takes_its_request_along() {
    for reset in [false, true] {
        let karbor = Scripted::new(|mut link| {
            link.request();
            link.until_closed();
        });
        let app = TestApp::before(karbor.address, "");
        let mut client = app.client();
        client.send(&get().bytes());
        karbor.until_seen(1);
        leave(client, reset);
        app.until_counted("requests_in_flight", &[], 0.0);
        app.until_counted("connections", &[("side", "upstream")], 0.0);
        app.until_counted("requests_total", &[("route", "pass"), ("outcome", "abandoned")], 1.0);
        assert!(app.stop().is_empty(), "what passes has no audit line");
    }
}

#[test]
fn an_update_whose_client_left_has_an_unknown_outcome() {
    let karbor = Scripted::new(|mut link| {
        link.request();
        link.until_closed();
    });
    let app = TestApp::before(karbor.address, "");
    let mut client = app.client();
    let reset = r#"{"os-resetState": {"state": "error"}}"#;
    client.send(&Request::new("PUT", &format!("{}/c", checkpoints(PROJECT))).json(reset).bytes());
    karbor.until_seen(1);
    leave(client, false);
    let line = app.stop().pop().unwrap();
    assert_eq!((&line["verdict"], &line["client_left"]), (&"abandoned".into(), &true.into()), "{line}");
    assert_eq!(line["outcome_unknown"], true, "{line}");
}

#[test]
fn a_client_that_leaves_within_the_answer_ends_it_at_karbor() {
    for reset in [false, true] {
        let karbor = Scripted::new(|mut link| {
            link.request();
            link.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1_u64 << 40));
            let piece = vec![b'x'; 1 << 16];
            while link.wire.write(&piece).is_ok() {}
        });
        let app = TestApp::before(karbor.address, "");
        let mut client = app.client();
        client.send(&get().bytes());
        assert!(!client.wire.some(1000).unwrap().is_empty());
        if reset {
            client.reset();
        } else {
            drop(client);
        }
        app.until_counted("requests_in_flight", &[], 0.0);
        app.until_counted("connections", &[("side", "upstream")], 0.0);
        app.until_counted("requests_total", &[("route", "pass"), ("outcome", "abandoned")], 1.0);
        assert!(app.stop().is_empty());
    }
}

#[test]
fn a_client_that_leaves_within_a_passed_body_breaks_it_at_karbor() {
    for chunked in [false, true] {
        let ended = Gate::default();
        let tell = ended.clone();
        let karbor = Scripted::new(move |mut link| {
            // A body that breaks off is no request.
            if link.request().is_none() {
                tell.open();
            }
        });
        let app = TestApp::before(karbor.address, "");
        let mut client = app.client();
        let put = Request::new("PUT", "/v1/p/plans/q").body("payload");
        let (head, part) = if chunked {
            (put.chunked(7).head(), b"7\r\npay".to_vec())
        } else {
            (put.head(), b"pay".to_vec())
        };
        client.send(&[head, part].concat());
        app.until_counted("connections", &[("side", "upstream")], 1.0);
        leave(client, false);
        app.until_counted("requests_in_flight", &[], 0.0);
        assert!(ended.pass(), "Karbor still waits");
        assert!(karbor.seen().is_empty(), "a clean end: {:?}", karbor.seen());
        assert!(app.stop().is_empty());
    }
}

#[test]
fn a_client_that_only_connects_leaves_no_trace() {
    let karbor = Scripted::new(drop);
    let app = TestApp::before(karbor.address, "");
    for reset in [false, true] {
        let client = app.client();
        app.until_counted("connections", &[("side", "downstream")], 1.0);
        leave(client, reset);
        let mut client = app.client();
        client.send(b"GET /v1/p HTTP/1.1\r\nHo");
        until_read(&client.wire.stream);
        leave(client, reset);
    }
    app.until_counted("connections", &[("side", "downstream")], 0.0);
    app.until_counted("requests_total", &[], 0.0);
    assert!(app.stop().is_empty());
}
