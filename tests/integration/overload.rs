//! More requests than there is room for: those that need memory are put off, and everything else goes on.

use crate::support::{
    Client, Gate, Request, Scripted, TestApp, body_of, checkpoints, eventually, json_answer, until_read,
};

/// Answers creations when the gate is open, and everything else at once.
fn karbor(gate: &Gate) -> Scripted {
    let gate = gate.clone();
    Scripted::new(move |mut link| {
        while let Some(seen) = link.request() {
            if seen.method == "POST" {
                gate.pass();
            }
            link.send(json_answer(r#"{"checkpoint": {"id": "c"}}"#));
        }
    })
}

fn creation() -> Request {
    Request::new("POST", &checkpoints("p")).json(body_of("p", r#"{"x-acme--k": "v"}"#))
}

/// A proxy with a seat for one request, which a creation has.
fn crowded(settings: &str, gate: &Gate) -> (Scripted, TestApp, Client) {
    let karbor = karbor(gate);
    let app = TestApp::before(karbor.address, &format!("[server]\nmax_requests = 1\n{settings}"));
    let mut first = app.client();
    first.send(&creation().bytes());
    karbor.until_seen(1);
    (karbor, app, first)
}

#[test]
fn what_needs_memory_is_put_off_and_the_rest_goes_on() {
    let gate = Gate::default();
    let (karbor, app, mut first) = crowded("", &gate);
    let mut client = app.client();
    let write = Request::new("PUT", &format!("{}/c", checkpoints("p"))).json("{}");
    let padded = body_of("p", r#"{"x-acme--k": "v"}"#) + &" ".repeat(100_000);
    let large = Request::new("POST", &checkpoints("p")).json(padded);
    for request in [creation(), write, large.clone(), creation().chunked(7)] {
        let reply = client.ask(&request);
        assert_eq!(reply.own_fault(503).codes, ["no-room"], "{request:?}");
        assert_eq!(reply.fields.one("retry-after"), Some("1"), "{request:?}");
        // The next one needs no other connection.
        assert_eq!(reply.fields.one("connection"), None, "{request:?}");
        let line = app.audit_of(&reply);
        assert_eq!((&line["verdict"], &line["refusal"]), (&"refused".into(), &"no-room".into()), "{line}");
    }
    assert_eq!(client.ask(&Request::new("GET", "/v1/p/plans")).status, 200);
    assert_eq!(client.ask(&Request::new("DELETE", &format!("{}/c", checkpoints("p")))).status, 200);
    for page in ["/readyz", "/livez", "/metrics", "/config"] {
        assert_eq!(app.page(page).unwrap().status, 200, "{page}");
    }
    // Karbor's own client breaks on Retry-After.
    let official = creation().field("User-Agent", "python-karborclient");
    let reply = client.ask(&official);
    assert_eq!((reply.status, reply.fields.one("retry-after")), (503, None));
    app.until_counted("refusals_total", &[("reason", "no-room")], 5.0);
    gate.open();
    assert_eq!(first.reply().status, 200);
    assert_eq!(client.ask(&large).status, 200);
    assert_eq!(karbor.seen().iter().filter(|seen| seen.method == "POST").count(), 2);
    app.stop();
}

/// Whoever sends slowly takes no seat, and neither does whoever reads slowly.
#[test]
fn slow_clients_take_no_seat() {
    let gate = Gate::default();
    gate.open();
    let karbor = karbor(&gate);
    let app = TestApp::before(karbor.address, "[server]\nmax_requests = 1");
    let mut slow = app.client();
    let bytes = creation().bytes();
    slow.send(&bytes[..bytes.len() - 1]);
    until_read(&slow.wire.stream);
    let mut other = app.client();
    assert_eq!(other.ask(&creation()).status, 200);
    slow.send(&bytes[bytes.len() - 1..]);
    eventually("it is answered", || karbor.seen().len() == 2);
    assert_eq!(slow.reply().status, 200);
    assert_eq!(other.ask(&creation()).status, 200);
    app.stop();
}

/// The client of a creation has left, and the creation is still under way.
#[test]
fn a_seat_is_kept_to_the_end_of_what_is_owed() {
    let gate = Gate::default();
    let (_karbor, app, first) = crowded("", &gate);
    first.reset();
    let mut client = app.client();
    for _ in 0..5 {
        // The one worker has seen the reset by then.
        assert_eq!(client.ask(&Request::new("GET", "/v1/p/plans")).status, 200);
    }
    assert_eq!(client.ask(&creation()).own_fault(503).codes, ["no-room"]);
    gate.open();
    eventually("there is room again", || client.ask(&creation()).status == 200);
    app.stop();
}

/// A body that finds no memory is read away, and the connection goes on; one that does not come ends it.
#[test]
fn a_body_beyond_the_budget_does_not_cost_the_connection() {
    let karbor = Scripted::answering(&json_answer(r#"{"checkpoint": {"id": "c"}}"#));
    let app = TestApp::before(karbor.address, "[server]\nbody_budget = \"1 MiB\"");
    let part = |bytes: usize| {
        let head = creation().without("Content-Length").field("Content-Length", "131072").head();
        let mut client = app.client();
        client.send(&[head, vec![b' '; bytes]].concat());
        until_read(&client.wire.stream);
        client
    };
    let mut held: Vec<_> = (0..8).map(|_| part(130_000)).collect();
    let mut whole = part(100_000);
    whole.send(&vec![b' '; 31_072]);
    let reply = whole.reply();
    assert_eq!(reply.own_fault(503).codes, ["body-budget"]);
    assert_eq!(reply.fields.one("connection"), None);
    let mut half = part(100_000);
    let reply = half.reply();
    assert_eq!((reply.status, reply.fields.one("connection")), (503, Some("close")));
    half.expect_end();
    held.clear();
    eventually("there is room again", || whole.ask(&creation()).status == 200);
    app.stop();
}

#[test]
fn a_reload_changes_how_many_there_may_be() {
    let gate = Gate::default();
    let karbor = karbor(&gate);
    let app = TestApp::of_file(karbor.address, "[server]\nmax_requests = 1");
    let mut first = app.client();
    first.send(&creation().bytes());
    karbor.until_seen(1);
    let mut second = app.client();
    assert_eq!(second.ask(&creation()).status, 503);
    app.rewrite("[server]\nmax_requests = 2");
    app.reload();
    second.send(&creation().bytes());
    karbor.until_seen(2);
    assert_eq!(app.client().ask(&creation()).status, 503);
    gate.open();
    assert_eq!((first.reply().status, second.reply().status), (200, 200));
    app.stop();
}
