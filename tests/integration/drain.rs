//! What clients see of the end: none that honours `Connection: close` loses a request.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::{Client, Gate, Request, Scripted, TestApp, eventually, json_answer};

fn request() -> Request {
    Request::new("GET", "/v1/p/plans")
}

fn karbor() -> Scripted {
    Scripted::answering(&json_answer("{}"))
}

#[track_caller]
fn until_refused(address: SocketAddr) {
    eventually("new connections are refused", || {
        TcpStream::connect(address).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    });
}

#[test]
fn a_connection_that_waits_has_its_next_request_answered_and_closed() {
    let karbor = karbor();
    let app = TestApp::before(karbor.address, "[server]\ndrain_idle = \"10s\"");
    let (mut used, mut fresh) = (app.client(), app.client());
    assert_eq!(used.ask(&request()).fields.one("connection"), None);
    app.order();
    until_refused(app.address);
    for client in [&mut used, &mut fresh] {
        let reply = client.ask(&request());
        assert_eq!((reply.status, reply.fields.one("connection")), (200, Some("close")));
        client.expect_end();
    }
    app.stop();
}

#[test]
fn a_connection_that_stays_silent_is_closed() {
    let karbor = karbor();
    let app = TestApp::before(karbor.address, "[server]\ndrain_idle = \"50ms\"");
    let (mut used, mut fresh, mut begun) = (app.client(), app.client(), app.client());
    used.ask(&request());
    begun.send(b"GET /v1/p HTTP/1.1\r\nHost");
    app.order();
    for client in [&mut used, &mut fresh, &mut begun] {
        let _ = client.wire.rest();
    }
    app.stop();
}

/// It was not told that the answer is the last, so there may be another request.
#[test]
fn an_answer_that_had_begun_is_not_the_last() {
    let gate = Gate::default();
    let waits = gate.clone();
    let karbor = Scripted::new(move |mut link| {
        while link.request().is_some() {
            link.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{");
            waits.pass();
            link.send("}");
        }
    });
    let app = TestApp::before(karbor.address, "[server]\ndrain_idle = \"10s\"");
    let mut client = app.client();
    client.send(&request().bytes());
    let head = client.wire.head().unwrap().unwrap();
    app.order();
    until_refused(app.address);
    gate.open();
    client.wire.body(head.framing().unwrap(), &mut Vec::new()).unwrap();
    let reply = client.ask(&request());
    assert_eq!((reply.status, reply.fields.one("connection")), (200, Some("close")));
    app.stop();
}

#[test]
fn it_is_not_ready_before_it_stops_accepting() {
    let karbor = karbor();
    let mut app = TestApp::before(karbor.address, "[server]\ndrain_delay = \"1h\"");
    app.order();
    eventually("not ready any more", || app.page("/readyz").is_some_and(|page| page.status == 503));
    for _ in 0..20 {
        assert_eq!(app.client().ask(&request()).status, 200);
    }
    // The second order does not wait.
    app.order();
    app.until_ended();
}

/// Asks on and on, each time on the same connection or on a new one, until told that it is the last or refused.
fn honest_client(address: SocketAddr, keeps: bool, answered: &AtomicU64) {
    let mut kept: Option<Client> = None;
    loop {
        let mut client = match kept.take() {
            Some(client) => client,
            None => match TcpStream::connect_timeout(&address, Duration::from_secs(20)) {
                Ok(stream) => Client::on(stream),
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => return,
                Err(error) => panic!("{error}"),
            },
        };
        let reply = client.ask(&request());
        assert_eq!(reply.status, 200);
        answered.fetch_add(1, Ordering::Relaxed);
        if keeps && reply.fields.one("connection") != Some("close") {
            kept = Some(client);
        }
    }
}

#[test]
fn under_load_no_client_that_honours_close_loses_a_request() {
    const ROUNDS: usize = 5;
    let mut all = 0;
    for _ in 0..ROUNDS {
        let karbor = karbor();
        let app = TestApp::before(karbor.address, "[server]\nworkers = 2\ndrain_idle = \"10s\"");
        let answered = Arc::new(AtomicU64::new(0));
        let clients: Vec<_> = (0..12)
            .map(|at| {
                let (address, answered) = (app.address, answered.clone());
                thread::spawn(move || honest_client(address, at % 2 == 0, &answered))
            })
            .collect();
        eventually("they are at it", || answered.load(Ordering::Relaxed) > 200);
        app.order();
        for client in clients {
            client.join().unwrap();
        }
        all += answered.load(Ordering::Relaxed);
        app.stop();
    }
    println!("{all} requests, {ROUNDS} drains");
}
