//! Karbor out of order: what the client is told, whether the outcome is known, and that nothing is repeated.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::support::{
    Gate, Link, PROJECT, Request, Scripted, TestApp, body_of, checkpoints, json_answer, refusing,
};

fn creation() -> Request {
    Request::new("POST", &checkpoints(PROJECT)).json(body_of("p", r#"{"x-a--b": "c"}"#))
}

/// The fault a client gets for any kind of request, and the audit line of a creation.
#[track_caller]
fn check(app: TestApp, status: u16, unknown: bool, kind: &str) -> Value {
    let requests =
        [Request::new("GET", "/v1/p/plans"), Request::new("PUT", "/v1/p/plans/q").body("x"), creation()];
    for request in &requests {
        let reply = app.client().ask(request);
        let fault = reply.own_fault(status);
        let says_so = fault.message.contains("unknown whether the request was carried out");
        assert_eq!(says_so, unknown, "{}", fault.message);
        assert_eq!(fault.message.contains("can be repeated"), !unknown, "{}", fault.message);
        assert_eq!(fault.hint.is_some(), unknown, "{fault:?}");
        let text = reply.text();
        for internal in ["127.0.0.1", "hyper", "os error", "Connection refused"] {
            assert!(!text.contains(internal), "{internal}: {text}");
        }
    }
    let failed = requests.len() as f64;
    app.until_counted("upstream_failures_total", &[("kind", kind)], failed);
    app.until_counted("upstream_failures_total", &[], failed);
    app.until_counted("requests_total", &[("outcome", "upstream-failed")], failed);
    let mut lines = app.stop();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    let line = lines.remove(0);
    assert_eq!((&line["verdict"], &line["status"]), (&"upstream-failed".into(), &status.into()), "{line}");
    assert_eq!(line["outcome_unknown"], unknown, "{line}");
    line
}

/// Before an upstream that does this with each request it has read; no creation arrives twice.
#[track_caller]
fn check_after_request(
    settings: &str,
    status: u16,
    kind: &str,
    then: impl Fn(Link) + Send + Sync + 'static,
) -> Value {
    let karbor = Scripted::new(move |mut link| {
        if link.request().is_some() {
            then(link);
        }
    });
    let app = TestApp::before(karbor.address, settings);
    let line = check(app, status, true, kind);
    let methods: Vec<_> = karbor.seen().into_iter().map(|seen| seen.method).collect();
    assert_eq!(methods, ["GET", "PUT", "POST"], "each exactly once");
    line
}

#[test]
fn nobody_listens() {
    let line = check(TestApp::before(refusing(), ""), 502, false, "connect");
    assert!(line.get("upstream_status").is_none(), "{line}");
    check(TestApp::before_all(&[refusing(), refusing(), refusing()], ""), 502, false, "connect");
}

/// Of a body that nobody reads the rest may still be on its way: hyper ends the connection, and clients must hear of
/// it before they send another request.
#[test]
fn an_answer_to_a_body_that_was_not_read_says_that_it_is_the_last() {
    let put = || Request::new("PUT", "/v1/p/plans/q").body("x".repeat(50));
    for (request, closes) in [
        (put().chunked(10), true),
        (put(), true),
        (Request::new("PUT", "/v1/p/plans/q").body(""), false),
        (Request::new("GET", "/v1/p/plans"), false),
    ] {
        let app = TestApp::before(refusing(), "");
        let mut client = app.client();
        let reply = client.ask(&request);
        assert_eq!((reply.status, reply.fields.one("connection") == Some("close")), (502, closes));
        if closes {
            client.expect_end();
        } else {
            assert_eq!(client.ask(&request).status, 502);
        }
    }
}

#[test]
fn nobody_takes_the_connection() {
    // A queue of one that is full: further attempts are ignored, as by a firewall that drops.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        waiting.push(stream);
    }
    check(TestApp::before(address, "[upstream]\nconnect_timeout = \"100ms\""), 504, false, "connect-timeout");
}

#[test]
fn closes_after_the_request() {
    check_after_request("", 502, "closed", drop);
}

#[test]
fn closes_within_the_head() {
    for part in ["H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"] {
        check_after_request("", 502, "closed", move |mut link| link.send(part));
    }
    check_after_request("", 502, "closed", |mut link| link.send("HTTP/1.1 100 Continue\r\n\r\n"));
}

#[test]
fn resets_after_the_request() {
    check_after_request("", 502, "reset", Link::reset);
}

#[test]
fn answers_too_late() {
    let settings = "[upstream]\nfirst_byte_timeout = \"200ms\"";
    check_after_request(settings, 504, "first-byte-timeout", Link::until_closed);
    let interim = |mut link: Link| {
        link.send("HTTP/1.1 103 Early Hints\r\n\r\n");
        link.until_closed();
    };
    check_after_request(settings, 504, "first-byte-timeout", interim);
}

#[test]
fn answers_what_is_not_http() {
    let large = format!("HTTP/1.1 200 OK\r\nX-Test-A: {}\r\n\r\n", "x".repeat(100_000));
    for answer in [
        "nonsense\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        &large,
        "\u{15}\u{3}\u{1}\0\u{2}",
    ] {
        let answer = answer.to_owned();
        check_after_request("", 502, "protocol", move |mut link| {
            link.send(&answer);
            link.until_closed();
        });
    }
}

/// Each would go on for as long as it is read.
#[test]
fn never_comes_to_the_end_of_a_head() {
    let interim = format!("HTTP/1.1 103 Early Hints\r\nX-Test-A: {}\r\n\r\n", "a".repeat(900));
    let short = "HTTP/1.1 100 Continue\r\n\r\n".to_owned();
    let field = "X-Test-A: b\r\n".to_owned();
    for (start, again) in
        [("", interim), ("", short), ("HTTP/1.1 200 OK\r\n", field), ("HTTP/1.1 200 ", "x".into())]
    {
        check_after_request("", 502, "protocol", move |mut link| {
            let piece = again.repeat(20_000 / again.len());
            link.send(start);
            while link.wire.write(piece.as_bytes()).is_ok() {}
        });
    }
}

#[test]
fn frames_its_answer_in_two_ways() {
    for fields in [
        "Content-Length: 2\r\nContent-Length: 3",
        "Content-Length: 2, 3",
        "Content-Length: -2",
        "Content-Length: +2",
        "Content-Length: 0x2",
        "Content-Length: 99999999999999999999",
    ] {
        check_after_request("", 502, "protocol", move |mut link| {
            link.send(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\nok"));
            link.until_closed();
        });
    }
}

/// What the proxy reads itself, it does not read without end; a creation it was the answer to may have been
/// carried out, a question before one changes nothing.
#[test]
fn says_more_than_is_read() {
    for framing in ["Content-Length: 99999999", "Transfer-Encoding: chunked"] {
        let endless = move |mut link: Link| {
            link.request();
            link.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n"));
            let spaces = " ".repeat(0x8000);
            let piece = if framing.contains("chunked") { format!("8000\r\n{spaces}\r\n") } else { spaces };
            while link.wire.write(piece.as_bytes()).is_ok() {}
        };
        let short = Request::new("POST", &format!("/v1/{PROJECT}/checkpoint"));
        let plan = r#"{"plan_id": "9f1ad2a4-4f0c-4f2b-9a55-0d6c4d9f0001"}"#;
        for (request, unknown) in [(creation(), true), (short.json(plan), false)] {
            let karbor = Scripted::new(endless);
            let app = TestApp::before(karbor.address, "");
            let fault = app.client().ask(&request).own_fault(502);
            assert_eq!(fault.message.contains("unknown"), unknown, "{}", fault.message);
            app.until_counted("connections", &[("side", "upstream")], 0.0);
            let line = app.stop().pop().unwrap();
            assert_eq!(line["outcome_unknown"], unknown, "{line}");
            assert_eq!(karbor.seen().len(), 1, "nothing is repeated");
        }
    }
}

#[test]
fn switches_protocols_unasked() {
    check_after_request("", 502, "protocol", |mut link| {
        link.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
        link.until_closed();
    });
}

/// What a client gets of an answer that breaks off after its head: no clean end.
#[track_caller]
fn check_within_the_body(start: &'static str, reset: bool) {
    let told = Gate::default();
    let wait = told.clone();
    let karbor = Scripted::new(move |mut link| {
        link.request();
        link.send(start);
        if reset {
            // A reset throws away what was not read yet, so the client has the head first.
            wait.pass();
            link.reset();
        }
    });
    let app = TestApp::before(karbor.address, "");
    let mut client = app.client();
    client.send(&Request::new("GET", "/v1/p/plans").bytes());
    let head = client.wire.head().unwrap().unwrap();
    assert!(head.line.starts_with("HTTP/1.1 200"), "{head:?}");
    told.open();
    let read = client.wire.body(head.framing().unwrap(), &mut Vec::new());
    assert!(read.is_err(), "a clean end: {start}");
    app.until_counted("requests_total", &[("outcome", "upstream-failed")], 1.0);
    app.until_counted("requests_in_flight", &[], 0.0);

    let reply = app.client().ask(&creation());
    assert!(reply.own_fault(502).message.contains("unknown"), "{}", reply.text());
    let line = app.stop().pop().unwrap();
    assert_eq!(
        (&line["verdict"], &line["outcome_unknown"]),
        (&"upstream-failed".into(), &true.into()),
        "{line}"
    );
    assert_eq!(karbor.seen().len(), 2, "nothing is repeated");
}

#[test]
fn breaks_off_within_the_body() {
    for start in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nha",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
    ] {
        check_within_the_body(start, false);
        check_within_the_body(start, true);
    }
}

#[test]
fn the_next_endpoint_serves_where_one_is_refusing() {
    let karbor = Scripted::answering(&json_answer(r#"{"checkpoint": {"id": "c"}}"#));
    for endpoints in [[refusing(), karbor.address], [karbor.address, refusing()]] {
        let app = TestApp::before_all(&endpoints, "[upstream]\npool_idle_per_worker = 0");
        let before = karbor.seen().len();
        for _ in 0..4 {
            assert_eq!(app.client().ask(&creation()).json()["checkpoint"]["id"], "c");
        }
        assert_eq!(karbor.seen().len(), before + 4);
        app.until_counted("upstream_failures_total", &[], 0.0);
    }
}

#[test]
fn an_endpoint_that_closes_at_once_is_a_502_and_never_two_creations() {
    let karbor = Scripted::new(drop);
    let app = TestApp::before(karbor.address, "");
    for _ in 0..3 {
        app.client().ask(&creation()).own_fault(502);
    }
    // It is left alone now.
    for _ in 0..3 {
        app.client().ask(&creation()).own_fault(503);
    }
    assert!(app.stop().iter().all(|line| line["verdict"] == "upstream-failed"));
}

#[test]
fn an_answer_before_the_body_ends_reaches_the_client() {
    let karbor = Scripted::new(|mut link| {
        link.head();
        link.send("HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\nContent-Type: text/plain\r\n\r\nstop");
        link.until_closed();
    });
    let app = TestApp::before(karbor.address, "");
    let mut client = app.client();
    let head = Request::new("PUT", "/v1/p/plans/q").field("Content-Length", "1000000").head();
    client.send(&[head, b"start".to_vec()].concat());
    let reply = client.reply();
    assert_eq!((reply.status, reply.text().as_str()), (413, "stop"));
}
