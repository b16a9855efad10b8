//! As many requests under way to Karbor as may be: others wait, so many and so long.

use std::time::{Duration, Instant};

use crate::support::{Client, Gate, Request, Scripted, TestApp, until_read};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn get() -> Request {
    Request::new("GET", "/v1/p/plans")
}

/// Before a Karbor that answers once the gate is open.
fn behind_gate(settings: &str) -> (Scripted, TestApp, Gate) {
    let gate = Gate::default();
    let wait = gate.clone();
    let karbor = Scripted::new(move |mut link| {
        while link.request().is_some() {
            wait.pass();
            link.send(OK);
        }
    });
    let app = TestApp::before(karbor.address, &format!("[upstream]\n{settings}"));
    (karbor, app, gate)
}

/// A client that asked and does not wait for the answer yet.
fn asking(app: &TestApp) -> Client {
    let mut client = app.client();
    client.send(&get().bytes());
    until_read(&client.wire.stream);
    client
}

#[test]
fn beyond_the_queue_the_answer_is_503_at_once() {
    let (karbor, app, gate) =
        behind_gate("max_requests_per_worker = 2\nqueue_per_worker = 3\nqueue_timeout = \"1m\"");
    let mut clients: Vec<Client> = (0..5).map(|_| asking(&app)).collect();
    karbor.until_seen(2);
    app.until_counted("upstream_waiting_requests", &[], 3.0);
    let asked = Instant::now();
    let reply = app.client().ask(&get());
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    assert!(reply.own_fault(503).message.contains("can be repeated"));
    assert_eq!(reply.fields.one("retry-after"), Some("1"));
    app.until_counted("upstream_failures_total", &[("kind", "queue-full")], 1.0);
    assert_eq!(karbor.seen().len(), 2);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.reply().text(), "ok");
    }
    assert_eq!(karbor.seen().len(), 5);
    app.until_counted("upstream_waiting_requests", &[], 0.0);
    assert_eq!(app.client().ask(&get()).text(), "ok");
}

#[test]
fn who_waited_too_long_gets_503() {
    let (karbor, app, gate) = behind_gate("max_requests_per_worker = 1\nqueue_timeout = \"50ms\"");
    let mut first = asking(&app);
    karbor.until_seen(1);
    for _ in 0..3 {
        assert!(app.client().ask(&get()).own_fault(503).message.contains("can be repeated"));
    }
    app.until_counted("upstream_failures_total", &[("kind", "queue-timeout")], 3.0);
    gate.open();
    assert_eq!(first.reply().text(), "ok");
    assert_eq!(app.client().ask(&get()).text(), "ok");
    assert_eq!(karbor.seen().len(), 2);
}

#[test]
fn who_leaves_takes_no_place() {
    let (karbor, app, gate) =
        behind_gate("max_requests_per_worker = 1\nqueue_per_worker = 2\nqueue_timeout = \"1m\"");
    let mut first = asking(&app);
    karbor.until_seen(1);
    for _ in 0..5 {
        let client = asking(&app);
        app.until_counted("upstream_waiting_requests", &[], 1.0);
        drop(client);
        app.until_counted("upstream_waiting_requests", &[], 0.0);
    }
    let mut last = [asking(&app), asking(&app)];
    app.until_counted("upstream_waiting_requests", &[], 2.0);
    gate.open();
    assert_eq!(first.reply().text(), "ok");
    for client in &mut last {
        assert_eq!(client.reply().text(), "ok");
    }
    assert_eq!(karbor.seen().len(), 3);
}

/// A place is held until the answer's body ended, and given back by whoever leaves before.
#[test]
fn a_place_lasts_as_long_as_the_answer() {
    let karbor = Scripted::new(|mut link| {
        link.request();
        if link.number == 0 {
            link.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
            link.until_closed();
        } else {
            link.send(OK);
        }
    });
    let app =
        TestApp::before(karbor.address, "[upstream]\nmax_requests_per_worker = 1\nqueue_timeout = \"1m\"");
    let mut first = asking(&app);
    assert!(first.wire.head().unwrap().is_some());
    let mut second = asking(&app);
    app.until_counted("upstream_waiting_requests", &[], 1.0);
    drop(first);
    assert_eq!(second.reply().text(), "ok");
}
