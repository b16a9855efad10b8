//! Connections to Karbor: kept, used again, and not trusted once they are stale.

use std::sync::Mutex;
use std::sync::mpsc;

use crate::support::{
    Gate, PROJECT, Request, Scripted, TestApp, body_of, checkpoints, json_answer, until_read,
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn get() -> Request {
    Request::new("GET", "/v1/p/plans")
}

fn creation() -> Request {
    Request::new("POST", &checkpoints(PROJECT)).json(body_of("p", "null"))
}

#[test]
fn one_connection_serves_many_clients_in_turn() {
    let karbor = Scripted::answering(&json_answer(r#"{"checkpoint": {"id": "c"}}"#));
    let app = TestApp::before(karbor.address, "");
    for _ in 0..5 {
        assert_eq!(app.client().ask(&get()).status, 200);
        assert_eq!(app.client().ask(&creation()).status, 200);
        assert_eq!(app.client().ask(&Request::new("PUT", "/v1/p/plans/q").body("x").chunked(1)).status, 200);
    }
    assert_eq!((karbor.connections(), karbor.seen().len()), (1, 15));
    app.until_counted("connections_total", &[("side", "upstream")], 1.0);
    app.until_counted("connections", &[("side", "upstream")], 1.0);
}

#[test]
fn no_connection_is_kept_where_none_may_be() {
    let karbor = Scripted::answering(OK);
    let app = TestApp::before(karbor.address, "[upstream]\npool_idle_per_worker = 0");
    for _ in 0..3 {
        assert_eq!(app.client().ask(&get()).status, 200);
    }
    assert_eq!(karbor.connections(), 3);
    app.until_counted("connections", &[("side", "upstream")], 0.0);
}

#[test]
fn a_connection_that_karbor_ends_is_not_used_again() {
    let karbor = Scripted::new(|mut link| {
        link.request();
        link.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        link.until_closed();
    });
    let app = TestApp::before(karbor.address, "");
    let mut client = app.client();
    for _ in 0..3 {
        assert_eq!(client.ask(&get()).text(), "ok");
    }
    assert_eq!(karbor.connections(), 3);
}

#[test]
fn an_idle_connection_that_karbor_closes_is_replaced() {
    let karbor = Scripted::new(|mut link| {
        link.request();
        link.send(json_answer(r#"{"checkpoint": {"id": "c"}}"#));
    });
    let app = TestApp::before(karbor.address, "");
    let mut client = app.client();
    for _ in 0..5 {
        assert_eq!(client.ask(&creation()).status, 200);
        app.until_counted("connections", &[("side", "upstream")], 0.0);
    }
    assert_eq!((karbor.connections(), karbor.seen().len()), (5, 5));
    app.until_counted("upstream_failures_total", &[], 0.0);
}

/// Closed just as the creation arrives: it may have been carried out, so it is not sent again.
#[test]
fn a_creation_on_a_stale_connection_is_never_sent_twice() {
    let karbor = Scripted::new(|mut link| {
        link.request();
        link.send(OK);
        if link.number == 0 {
            link.request();
        }
    });
    let app = TestApp::before(karbor.address, "");
    assert_eq!(app.client().ask(&get()).text(), "ok");
    let reply = app.client().ask(&creation());
    assert!(reply.own_fault(502).message.contains("unknown"));
    assert_eq!(karbor.seen().len(), 2);
    let line = app.stop().pop().unwrap();
    assert_eq!((&line["verdict"], &line["outcome_unknown"]), (&"upstream-failed".into(), &true.into()));
}

/// Whatever Karbor did with the idle connection, and whenever it is noticed: at most one creation arrives,
/// and the client is told the truth.
#[test]
fn a_race_with_a_closing_connection_makes_at_most_one_creation() {
    for round in 0..40 {
        let karbor = Scripted::new(|mut link| {
            link.request();
            link.send(json_answer(r#"{"checkpoint": {"id": "c"}}"#));
        });
        let app = TestApp::before(karbor.address, "");
        let mut client = app.client();
        assert_eq!(client.ask(&creation()).status, 200);
        let reply = client.ask(&creation());
        let arrived = karbor.seen().len() - 1;
        match reply.status {
            200 => assert_eq!(arrived, 1, "round {round}"),
            _ => assert!(reply.own_fault(502).message.contains("unknown") && arrived == 0, "round {round}"),
        }
    }
}

#[test]
fn what_karbor_says_unasked_answers_nobody() {
    let karbor = Scripted::new(|mut link| {
        let first = link.number == 0;
        while link.request().is_some() {
            let more = if first { "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil" } else { "" };
            link.send(format!("{OK}{more}"));
        }
    });
    for _ in 0..20 {
        let app = TestApp::before(karbor.address, "");
        let mut client = app.client();
        assert_eq!(client.ask(&get()).text(), "ok");
        let second = client.ask(&get());
        assert!(second.status == 502 || second.text() == "ok", "{second:?}");
        app.until_counted("requests_in_flight", &[], 0.0);
    }
}

/// The second answer of a response that was split, when it comes later than the first.
#[test]
fn an_answer_before_its_request_is_nobodys() {
    for early in ["HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", "HTTP/1.1 100 Continue\r\n\r\n", "\r\n"]
    {
        let (answered, sent) = (Gate::default(), Gate::default());
        let (wait, tell) = (answered.clone(), sent.clone());
        let karbor = Scripted::new(move |mut link| {
            link.request();
            link.send(OK);
            if link.number == 0 {
                wait.pass();
                link.send(early);
                until_read(&link.wire.stream);
                tell.open();
                link.until_closed();
            }
        });
        let app = TestApp::before(karbor.address, "");
        let mut client = app.client();
        assert_eq!(client.ask(&get()).text(), "ok");
        answered.open();
        assert!(sent.pass(), "the early answer was not read");
        assert_eq!(client.ask(&get()).text(), "ok", "{early:?}");
        assert_eq!((karbor.connections(), karbor.seen().len()), (2, 2), "{early:?}");
    }
}

#[test]
fn a_half_read_answer_ends_its_connection() {
    let karbor = Scripted::new(|mut link| {
        link.request();
        if link.number == 0 {
            link.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nstart");
            link.until_closed();
        } else {
            link.send(OK);
        }
    });
    let app = TestApp::before(karbor.address, "");
    let mut client = app.client();
    client.send(&get().bytes());
    assert!(client.wire.head().unwrap().is_some());
    drop(client);
    app.until_counted("connections", &[("side", "upstream")], 0.0);
    assert_eq!(app.client().ask(&get()).text(), "ok");
    assert_eq!(karbor.connections(), 2);
}

#[test]
fn requests_at_the_same_time_have_connections_of_their_own() {
    let gate = Gate::default();
    let (tell, arrived) = mpsc::channel();
    let (tell, waiting) = (Mutex::new(tell), gate.clone());
    let karbor = Scripted::new(move |mut link| {
        while link.request().is_some() {
            tell.lock().unwrap().send(()).unwrap();
            waiting.pass();
            link.send(OK);
        }
    });
    let app = TestApp::before(karbor.address, "");
    let mut clients: Vec<_> = (0..8).map(|_| app.client()).collect();
    for client in &mut clients {
        client.send(&get().bytes());
        until_read(&client.wire.stream);
    }
    for _ in 0..8 {
        arrived.recv_timeout(crate::support::PATIENCE).unwrap();
    }
    app.until_counted("requests_in_flight", &[], 8.0);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.reply().text(), "ok");
    }
    assert_eq!(karbor.connections(), 8);
    app.until_counted("requests_in_flight", &[], 0.0);
}
