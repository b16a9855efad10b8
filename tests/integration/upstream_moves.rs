//! When a request goes on to another connection or endpoint, and when it must not.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::support::{
    Link, PROJECT, Request, Scripted, TestApp, body_of, checkpoints, eventually, json_answer, refusing,
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn asking(method: &str) -> Request {
    Request::new(method, "/v1/p/plans?limit=5").field("X-Test-Twice", "a")
}

fn get() -> Request {
    asking("GET")
}

fn creation() -> Request {
    Request::new("POST", &checkpoints(PROJECT)).json(body_of("p", "null"))
}

/// An upstream whose first connection answers one request, and does `then` with the next; the others answer all.
fn dying(then: impl Fn(Link) + Send + Sync + 'static) -> Scripted {
    Scripted::new(move |mut link| {
        if link.number == 0 {
            link.request();
            link.send(OK);
            link.request();
            return then(link);
        }
        while link.request().is_some() {
            link.send(OK);
        }
    })
}

/// The status of that request on a kept connection that dies in the gap, and how often it was sent.
#[track_caller]
fn check_kept(request: &Request, then: fn(Link), status: u16, sent: usize) {
    let karbor = dying(then);
    let app = TestApp::before(karbor.address, "");
    assert_eq!(app.client().ask(&get()).text(), "ok");
    let reply = app.client().ask(request);
    assert_eq!(reply.status, status, "{request:?}: {reply:?}");
    let seen = karbor.seen();
    assert_eq!(seen.len(), 1 + sent, "{request:?}");
    let moves = sent as f64 - 1.0;
    app.until_counted("upstream_moves_total", &[("reason", "unanswered")], moves);
    app.until_counted("upstream_moves_total", &[], moves);
    app.until_counted("upstream_failures_total", &[], if status == 502 { 1.0 } else { 0.0 });
    app.until_counted("upstream_requests_total", &[("status", "none")], 1.0);
    app.until_counted("upstream_ejections_total", &[], 0.0);
    if let [_, first, again] = &seen[..] {
        assert_eq!((&again.method, &again.target), (&first.method, &first.target));
        assert_eq!(again.fields.0, first.fields.0);
    }
}

#[test]
fn what_changes_nothing_goes_on_where_a_kept_connection_died() {
    for end in [drop::<Link>, Link::reset] {
        for method in ["GET", "HEAD", "OPTIONS"] {
            check_kept(&asking(method), end, 200, 2);
        }
    }
}

#[test]
fn what_may_change_something_does_not() {
    for end in [drop::<Link>, Link::reset] {
        check_kept(&creation(), end, 502, 1);
        check_kept(&Request::new("DELETE", "/v1/p/plans/q"), end, 502, 1);
        check_kept(&Request::new("PUT", "/v1/p/plans/q").body("x"), end, 502, 1);
        check_kept(&get().body("x"), end, 502, 1);
        check_kept(&get().body("x").chunked(1), end, 502, 1);
    }
}

#[test]
fn nothing_does_once_an_answer_has_begun() {
    for part in ["H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let karbor = dying(move |mut link| link.send(part));
        let app = TestApp::before(karbor.address, "");
        assert_eq!(app.client().ask(&get()).text(), "ok");
        app.client().ask(&get()).own_fault(502);
        assert_eq!(karbor.seen().len(), 2, "{part:?}");
    }
}

/// Silence is no death: what is asked may only be slow.
#[test]
fn a_late_answer_is_not_asked_for_twice() {
    let karbor = dying(Link::until_closed);
    let app = TestApp::before(karbor.address, "[upstream]\nfirst_byte_timeout = \"200ms\"");
    assert_eq!(app.client().ask(&get()).text(), "ok");
    app.client().ask(&get()).own_fault(504);
    assert_eq!(karbor.seen().len(), 2);
}

/// The first endpoint does `then` with each request it has read.
#[track_caller]
fn check_other_endpoint(request: &Request, then: fn(Link), status: u16, moves: u32) {
    let bad = Scripted::new(move |mut link| {
        link.request();
        then(link);
    });
    let good = Scripted::answering(OK);
    let app = TestApp::before_all(&[bad.address, good.address], "[upstream]\npool_idle_per_worker = 0");
    assert_eq!(app.client().ask(request).status, status, "{request:?}");
    app.until_counted("upstream_moves_total", &[("reason", "unanswered")], moves.into());
    assert_eq!((bad.seen().len(), good.seen().len()), (1, moves as usize), "{request:?}");
}

#[test]
fn a_new_connection_that_dies_sends_only_what_changes_nothing_elsewhere() {
    for end in [drop::<Link>, Link::reset] {
        check_other_endpoint(&get(), end, 200, 1);
        check_other_endpoint(&creation(), end, 502, 0);
        check_other_endpoint(&Request::new("DELETE", "/v1/p/plans/q"), end, 502, 0);
    }
}

#[test]
fn anything_goes_on_while_no_connection_could_be_made() {
    let good = Scripted::answering(&json_answer(r#"{"checkpoint": {"id": "c"}}"#));
    let app = TestApp::before_all(&[refusing(), refusing(), good.address], "");
    assert_eq!(app.client().ask(&creation()).status, 200);
    app.until_counted("upstream_moves_total", &[("reason", "unconnected")], 2.0);
    app.until_counted("upstream_moves_total", &[], 2.0);
}

#[test]
fn a_request_is_tried_at_five_addresses_and_no_more() {
    let dead: Vec<SocketAddr> = (0..8).map(|_| refusing()).collect();
    let app = TestApp::before_all(&dead, "");
    app.client().ask(&get()).own_fault(502);
    app.until_counted("upstream_moves_total", &[("reason", "unconnected")], 4.0);
}

/// Two endpoints under load, one of which is cut off in the middle: no GET fails, and no creation is made twice.
#[test]
fn an_endpoint_that_is_killed_fails_no_get_and_doubles_no_creation() {
    let answer = json_answer(r#"{"checkpoint": {"id": "c"}}"#);
    let (one, other) = (Scripted::answering(&answer), Scripted::answering(&answer));
    let app = TestApp::before_all(&[one.address, other.address], "");
    let (ended, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..8)
        .map(|client| {
            let (ended, asked, mut connection) = (Arc::clone(&ended), Arc::clone(&asked), app.client());
            std::thread::spawn(move || {
                let mut made = Vec::new();
                for number in 0.. {
                    if ended.load(Ordering::Acquire) {
                        break;
                    }
                    assert_eq!(connection.ask(&get()).status, 200);
                    let plan = format!("{client}-{number}");
                    let creation = Request::new("POST", &checkpoints(PROJECT)).json(body_of(&plan, "null"));
                    let status = connection.ask(&creation).status;
                    assert!(status == 200 || status == 502, "{status}");
                    made.push((plan, status));
                    asked.fetch_add(2, Ordering::AcqRel);
                }
                made
            })
        })
        .collect();
    let until = |count: usize| eventually("requests", || asked.load(Ordering::Acquire) >= count);
    until(200);
    let seen = one.end();
    until(asked.load(Ordering::Acquire) + 200);
    ended.store(true, Ordering::Release);
    let made: Vec<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    let mut arrived: Vec<String> = Vec::new();
    for request in seen.into_iter().chain(other.seen()).filter(|seen| seen.method == "POST") {
        arrived.push(String::from_utf8(request.body).unwrap());
    }
    let once: BTreeSet<&String> = arrived.iter().collect();
    assert_eq!(once.len(), arrived.len(), "a creation arrived twice");
    assert!(
        made.iter().filter(|(_, status)| *status != 200).count() <= 16,
        "what was under way, and what met a dying connection"
    );
    app.until_counted("upstream_addresses", &[("state", "ejected")], 1.0);
    app.until_counted("requests_in_flight", &[], 0.0);
}
