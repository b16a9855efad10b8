//! Which addresses of Karbor get requests: by how many they have, and by what came of those before.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::support::{
    Gate, Link, PROJECT, Reply, Request, Scripted, TestApp, body_of, checkpoints, eventually, json_answer,
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// Back soon, so that tests need not wait.
const SOON: &str = "[upstream]\neject_for = \"20ms\"\neject_for_most = \"40ms\"\n";
/// Not back within a test.
const LATE: &str = "[upstream]\neject_for = \"1h\"\neject_for_most = \"1h\"\n";

fn get() -> Request {
    Request::new("GET", "/v1/p/plans")
}

fn creation() -> Request {
    Request::new("POST", &checkpoints(PROJECT)).json(body_of("p", "null"))
}

fn answer(status: u16) -> String {
    format!("HTTP/1.1 {status} Whatever\r\nContent-Length: 2\r\n\r\n{{}}")
}

/// A port that nobody listens on, and that nobody else is given.
struct Reserved(Socket);

impl Reserved {
    fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        Self(socket)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap().as_socket().unwrap()
    }

    /// From now on somebody listens.
    fn listens(self) -> TcpListener {
        self.0.listen(128).unwrap();
        self.0.into()
    }
}

#[track_caller]
fn check_unavailable(reply: &Reply) {
    let fault = reply.own_fault(503);
    assert_eq!(fault.name, "serviceUnavailable");
    assert!(fault.message.contains("was not carried out and can be repeated"), "{}", fault.message);
    let wait: u64 = reply.fields.one("retry-after").unwrap().parse().unwrap();
    assert!((1..=3600).contains(&wait), "{wait}");
}

#[test]
fn with_every_endpoint_down_the_answer_is_503_at_once() {
    let (one, other) = (Reserved::new(), Reserved::new());
    // A connection that is not taken would be waited for.
    let app = TestApp::before_all(&[one.address(), other.address()], LATE);
    for _ in 0..3 {
        app.client().ask(&get()).own_fault(502);
    }
    app.until_counted("upstream_addresses", &[("state", "ejected")], 2.0);
    app.until_counted("upstream_addresses", &[("state", "up")], 0.0);
    app.until_counted("upstream_ejections_total", &[], 2.0);
    let asked = Instant::now();
    for request in [get(), creation(), Request::new("PUT", "/v1/p/plans/q").body("x").chunked(1)] {
        check_unavailable(&app.client().ask(&request));
    }
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    // The official client breaks on the field.
    let reply = app.client().ask(&get().field("User-Agent", "python-karborclient"));
    assert_eq!((reply.status, reply.fields.one("retry-after")), (503, None));
    app.until_counted("upstream_failures_total", &[("kind", "all-ejected")], 4.0);
    let lines = app.stop();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_eq!(
        (&lines[0]["verdict"], &lines[0]["outcome_unknown"]),
        (&"upstream-failed".into(), &false.into())
    );
}

#[test]
fn a_karbor_that_is_back_is_asked_again() {
    let reserved = Reserved::new();
    let app = TestApp::before(reserved.address(), SOON);
    eventually("it is left alone", || app.client().ask(&get()).status == 503);
    let karbor = Scripted::on(reserved.listens(), |mut link| {
        while link.request().is_some() {
            link.send(OK);
        }
    });
    eventually("it is back", || app.client().ask(&get()).status == 200);
    app.until_counted("upstream_addresses", &[("state", "up")], 1.0);
    for _ in 0..10 {
        assert_eq!(app.client().ask(&creation()).status, 200);
    }
    drop(karbor);
}

/// A server may close on a body that it does not want to read. Nobody takes Karbor from others by such requests.
#[test]
fn a_body_that_is_not_read_ejects_nobody() {
    let karbor = Scripted::new(|mut link| {
        // Dropped with the body unread, the connection is reset.
        if link.head().is_some_and(|head| head.method == "GET") {
            link.send(OK);
        }
    });
    let app = TestApp::before(karbor.address, LATE);
    let put = Request::new("PUT", "/v1/p/plans/q");
    for _ in 0..4 {
        app.client().ask(&put.clone().body("x")).own_fault(502);
        app.client().ask(&put.clone().body("x").chunked(1)).own_fault(502);
    }
    app.until_counted("upstream_ejections_total", &[], 0.0);
    assert_eq!(app.client().ask(&get()).text(), "ok");
}

/// The only address: a creation may be the trial, or a tenant that only creates would wait for ever.
#[test]
fn any_request_may_be_the_trial_where_nothing_else_is_left() {
    let broken = Arc::new(AtomicBool::new(true));
    let is_broken = Arc::clone(&broken);
    let karbor = Scripted::new(move |mut link| {
        while link.request().is_some() && !is_broken.load(Ordering::Acquire) {
            link.send(json_answer(r#"{"checkpoint": {"id": "c"}}"#));
        }
    });
    let app = TestApp::before(karbor.address, SOON);
    eventually("it is left alone", || app.client().ask(&creation()).status == 503);
    broken.store(false, Ordering::Release);
    eventually("it is back", || app.client().ask(&creation()).status == 200);
}

/// While another endpoint is fit, only what changes nothing finds out whether a connection is answered again.
#[test]
fn a_creation_is_no_trial_while_another_endpoint_is_fit() {
    let bad = Scripted::new(|mut link| drop(link.request()));
    let good = Scripted::answering(&json_answer(r#"{"checkpoint": {"id": "c"}}"#));
    let app = TestApp::before_all(&[bad.address, good.address], SOON);
    eventually("it is left alone", || {
        assert_eq!(app.client().ask(&get()).status, 200);
        app.metrics().sum("upstream_addresses", &[("state", "ejected")]) > 0.5
    });
    let deadline = Instant::now() + Duration::from_millis(200);
    while Instant::now() < deadline {
        assert_eq!(app.client().ask(&creation()).status, 200);
    }
    assert!(bad.seen().iter().all(|seen| seen.method == "GET"));
}

/// How often an endpoint that says nothing but that status is asked, beside one that is well.
fn asked(status: u16, settings: &str) -> usize {
    let (bad, good) = (Scripted::answering(&answer(status)), Scripted::answering(OK));
    let app = TestApp::before_all(&[bad.address, good.address], &format!("{LATE}{settings}"));
    let mut client = app.client();
    for _ in 0..60 {
        client.ask(&get());
    }
    bad.seen().len()
}

#[test]
fn a_run_of_gateway_errors_ejects_and_no_other_status() {
    for status in [502, 503, 504] {
        assert_eq!(asked(status, ""), 10, "{status}");
    }
    assert_eq!(asked(503, "eject_after_gateway_errors = 4"), 4);
    assert_eq!(asked(503, "eject_after_gateway_errors = 'unlimited'"), 30);
    for status in [500, 501, 505, 401, 404, 200] {
        assert_eq!(asked(status, ""), 30, "{status}");
    }
}

#[test]
fn requests_go_where_the_fewest_are_under_way() {
    let (gate, held) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
    let (wait, holding) = (gate.clone(), Arc::clone(&held));
    let slow = Scripted::new(move |mut link| {
        while link.request().is_some() {
            holding.fetch_add(1, Ordering::AcqRel);
            wait.pass();
            link.send(OK);
        }
    });
    let fast = Scripted::answering(OK);
    let app = TestApp::before_all(&[slow.address, fast.address], "");
    let mut stuck = app.client();
    stuck.send(&get().bytes());
    eventually("it is with the first", || held.load(Ordering::Acquire) == 1);
    for _ in 0..20 {
        assert_eq!(app.client().ask(&get()).text(), "ok");
    }
    assert_eq!(held.load(Ordering::Acquire), 1, "it has one already");
    gate.open();
    assert_eq!(stuck.reply().text(), "ok");
    for _ in 0..20 {
        assert_eq!(app.client().ask(&get()).text(), "ok");
    }
    assert!((9..=12).contains(&held.load(Ordering::Acquire)), "in turn again: {held:?}");
}

#[test]
fn a_probe_finds_out_before_a_request_does() {
    let reserved = Reserved::new();
    let address = reserved.address();
    let settings = format!("{SOON}probe = \"/alive?x\"\nprobe_period = \"10ms\"");
    let app = TestApp::before(address, &settings);
    app.until_counted("upstream_addresses", &[("state", "ejected")], 1.0);
    let karbor = Scripted::on(reserved.listens(), |mut link: Link| {
        while link.request().is_some() {
            link.send(answer(404));
        }
    });
    app.until_counted("upstream_addresses", &[("state", "up")], 1.0);
    karbor.until_seen(3);
    let seen = karbor.seen().remove(0);
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/alive?x"));
    assert_eq!(seen.fields.one("host"), Some(address.to_string().as_str()));
    assert!(app.metrics().sum("upstream_probes_total", &[("outcome", "dead")]) >= 3.0);
    app.until_counted("upstream_requests_total", &[], 0.0);
    app.until_counted("requests_total", &[], 0.0);
}
