//! The same proxy by HTTP/2: what Karbor gets is what it would get by HTTP/1.1, and what is refused is refused.
//!
//! `floods` is about clients that send no requests but trouble.

mod floods;

use std::time::Duration;

use crate::support::frames::{
    DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, frame,
    request,
};
use crate::support::{
    Authority, Client, Frames, Gate, Http2, Request, Scripted, TestApp, Tunnel, body_of, checkpoints,
    eventually, json_answer, trusting,
};

fn karbor() -> Scripted {
    Scripted::answering(&json_answer(r#"{"checkpoint": {"id": "c"}}"#))
}

fn gated(gate: &Gate) -> Scripted {
    let gate = gate.clone();
    Scripted::new(move |mut link| {
        while link.request().is_some() {
            gate.pass();
            link.send(json_answer(r#"{"checkpoint": {"id": "c"}}"#));
        }
    })
}

fn get() -> Request {
    Request::new("GET", "/v1/p/plans")
}

fn creation() -> Request {
    Request::new("POST", &checkpoints("p")).json(body_of("p", r#"{"x-acme--k": "v"}"#))
}

#[test]
fn karbor_gets_what_it_would_get_by_http1() {
    let karbor = karbor();
    let app = TestApp::before(karbor.address, "");
    let mut http2 = Http2::to(app.address);
    for request in [
        get(),
        Request::new("GET", "/v1/p//plans?a=%2f&b").field("Accept", "a").field("Accept", "b"),
        Request::new("HEAD", "/v1/p/plans"),
        Request::new("DELETE", "/v1/p/plans/1")
            .field("X-Roles", "admin")
            .field("X-Forwarded-For", "192.0.2.9"),
        Request::new("PUT", "/v1/p/plans/1").json("{}").field("Cookie", "a=1; b=2"),
        creation(),
    ] {
        let before = karbor.seen().len();
        let one = app.client().ask(&request);
        let other = http2.ask(&request);
        assert_eq!(other.status, one.status, "{request:?}");
        assert_eq!(other.body, one.body, "{request:?}");
        let seen = karbor.seen().split_off(before);
        let [first, second] = &seen[..] else { panic!("{seen:#?}") };
        assert_eq!(
            (&first.method, &first.target, &first.body),
            (&second.method, &second.target, &second.body)
        );
        let mut fields = first.fields.0.clone();
        for (_, value) in fields.iter_mut().filter(|(name, _)| name == "via") {
            *value = "2.0 karbor-admission".to_owned();
        }
        fields.sort();
        let mut by_http2 = second.fields.0.clone();
        by_http2.sort();
        assert_eq!(fields, by_http2, "{request:?}");
    }
    app.stop();
}

#[test]
fn tls_agrees_on_it() {
    let (karbor, authority, folder) = (karbor(), Authority::new(), tempfile::tempdir().unwrap());
    let (certificate, key) = authority.issue(&["one.test"]).write(folder.path(), "one");
    for (settings, spoken) in [("", true), ("http2 = false\n", false)] {
        let settings =
            format!("[server]\n{settings}[server.tls]\ncertificates = [{certificate:?}]\nkeys = [{key:?}]\n");
        let app = TestApp::before(karbor.address, &settings);
        if spoken {
            let tunnel =
                Tunnel::to_tls(app.address, "one.test", &trusting(&authority, None, &["h2", "http/1.1"]));
            let mut client = Http2::to(tunnel.address());
            assert_eq!(client.ask(&get()).status, 200);
            assert_eq!(client.ask(&creation()).status, 200);
        }
        // Who offers only the other, or nothing, speaks that; the preface alone is no agreement.
        for alpn in [&["http/1.1"][..], &[]] {
            let tunnel = Tunnel::to_tls(app.address, "one.test", &trusting(&authority, None, alpn));
            assert_eq!(tunnel.client().ask(&get()).status, 200);
            let mut client = Client::to(tunnel.address());
            client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
            client.reply().own_fault(400);
        }
        app.stop();
    }
}

#[test]
fn it_can_be_off() {
    let karbor = karbor();
    let app = TestApp::before(karbor.address, "[server]\nhttp2 = false");
    let mut client = app.client();
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    client.reply().own_fault(400);
    app.stop();
}

/// Each on the same connection: a refusal is an answer, and the next request is answered too.
#[test]
fn what_http1_refuses_is_refused() {
    let karbor = karbor();
    let app = TestApp::before(karbor.address, "[server]\nmax_request_line = 256\nmax_head = 2048\n");
    let mut client = Http2::to(app.address);
    let long = "x".repeat(256);
    for (request, status, code) in [
        (get().field("x_auth_token", "t"), 400, "field-name"),
        (get().field("transfer_encoding", "chunked"), 400, "field-name"),
        (creation().field("content-type", "application/json"), 400, "field-repeated"),
        (get().field("x-auth-token", "other"), 400, "field-repeated"),
        (get().field("host", "other.test"), 400, "host"),
        (get().at("/v1/{p}"), 400, "target-byte"),
        (get().at("/v1/p/../q"), 400, "target-dot-segment"),
        (get().at("/v1/p%2fq"), 400, "target-slash"),
        (get().at("/v1/p?_method=POST"), 400, "method-override"),
        (get().at(&format!("/{long}")), 414, "request-line-too-long"),
        (get().field("x", &long.repeat(9)), 431, "head-too-large"),
        (get().field("expect", "else"), 417, "expect"),
        (get().field("http2-settings", "x"), 400, "connection-field"),
    ] {
        let answer = client.ask(&request);
        assert_eq!((answer.status, &*answer.code()), (status, code), "{request:?}");
        let id = answer.headers["x-openstack-request-id"].to_str().unwrap().to_owned();
        eventually("the audit line", || {
            let text = app.audit_text();
            let line = text.lines().find(|line| line.contains(&id));
            line.is_some_and(|line| line.contains(&format!("\"refusal\":\"{code}\"")))
        });
        assert_eq!(karbor.seen().len(), 0, "{request:?}");
    }
    assert_eq!(client.ask(&get()).status, 200);
    app.stop();
}

/// What no library would send, and ours turns away before we see it. Nothing of it reaches Karbor.
#[test]
fn what_breaks_http2_ends_its_stream() {
    let karbor = karbor();
    let app = TestApp::before(karbor.address, "");
    let get = |more: &[(&str, &str)]| request("GET", "/v1/p/plans", more);
    for fields in [
        get(&[("X-Upper", "1")]),
        get(&[("connection", "close")]),
        get(&[("transfer-encoding", "chunked")]),
        get(&[("upgrade", "h2c")]),
        get(&[("keep-alive", "1")]),
        get(&[("proxy-connection", "1")]),
        get(&[("te", "gzip")]),
        get(&[(":path", "/again")]),
        get(&[(":method", "POST")]),
        get(&[(":unknown", "x")]),
        get(&[("x", "a\nb")]),
        get(&[("x", "a\rb")]),
        get(&[("x", "a\0b")]),
        request("GET", "", &[]),
        request("GET", "no slash", &[]),
        request("G T", "/", &[]),
        block(&[(":method", "GET"), (":scheme", "http"), (":authority", "h")]),
        block(&[(":method", "GET"), (":path", "/"), (":authority", "h")]),
        block(&[
            ("x", "before"),
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "h"),
        ]),
        block(&[
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "h"),
        ]),
    ] {
        let mut client = Frames::to(app.address);
        client.write(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields)).unwrap();
        let shown = String::from_utf8_lossy(&fields).into_owned();
        while let Some(frame) = client.next() {
            if [RST_STREAM, GOAWAY].contains(&frame.kind) {
                break;
            }
            if frame.kind == HEADERS {
                // Ours, in words: `:status 400` of the static table.
                assert_eq!(frame.payload[0], 0x8c, "{shown}");
                break;
            }
        }
        assert_eq!(karbor.seen().len(), 0, "{shown}");
    }
    assert_eq!(app.client().ask(&Request::new("GET", "/v1/p/plans")).status, 200);
    app.stop();
}

#[test]
fn connect_is_not_offered() {
    let karbor = karbor();
    let app = TestApp::before(karbor.address, "");
    let mut client = Frames::to(app.address);
    let fields = block(&[(":method", "CONNECT"), (":authority", "h:443")]);
    client.write(&frame(HEADERS, END_HEADERS, 1, &fields)).unwrap();
    assert!(client.until(HEADERS).is_some());
    assert_eq!(app.audit(1)[0]["refusal"], "connect");
    app.stop();
}

#[test]
fn a_body_is_as_long_as_it_says() {
    let karbor = karbor();
    let app = TestApp::before(karbor.address, "");
    let path = checkpoints("p");
    let body = body_of("p", "null");
    for said in [body.len() + 1, body.len() - 1, 0] {
        let said = said.to_string();
        let fields =
            request("POST", &path, &[("content-type", "application/json"), ("content-length", &said)]);
        let mut client = Frames::to(app.address);
        client.write(&frame(HEADERS, END_HEADERS, 1, &fields)).unwrap();
        let _ = client.write(&frame(DATA, END_STREAM, 1, body.as_bytes()));
        assert!(client.until(RST_STREAM).is_some(), "{said}");
    }
    for line in app.audit(3) {
        assert_eq!(line["refusal"], "content-length", "{line}");
    }
    assert_eq!(karbor.seen().len(), 0);
    app.stop();
}

#[test]
fn trailers_are_not_passed_on() {
    let karbor = karbor();
    let app = TestApp::before(karbor.address, "");
    for path in ["/v1/p/plans", &checkpoints("p")] {
        let mut client = Frames::to(app.address);
        let fields = request("POST", path, &[("content-type", "application/json")]);
        client.write(&frame(HEADERS, END_HEADERS, 1, &fields)).unwrap();
        client.write(&frame(DATA, 0, 1, body_of("p", "null").as_bytes())).unwrap();
        client.write(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[("x-roles", "admin")]))).unwrap();
        assert_eq!(client.until(HEADERS).unwrap().payload[0], 0x88, "{path}");
    }
    for seen in karbor.seen() {
        assert!(seen.fields.values("x-roles").is_empty() && seen.body == body_of("p", "null").as_bytes());
    }
    app.stop();
}

#[test]
fn a_creation_whose_stream_is_reset_is_carried_out() {
    let gate = Gate::default();
    let karbor = gated(&gate);
    let app = TestApp::before(karbor.address, "");
    let mut client = Http2::to(app.address);
    let answer = client.send(&creation());
    karbor.until_seen(1);
    // Dropped, it resets its stream.
    drop(answer);
    let mut other = Http2::to(app.address);
    let _waits = other.send(&get());
    karbor.until_seen(2);
    gate.open();
    app.until_counted("admitted_checkpoints_total", &[], 1.0);
    drop((client, other));
    let line = app.stop().pop().unwrap();
    assert_eq!((&line["verdict"], &line["checkpoint"]), (&"admitted".into(), &"c".into()), "{line}");
}

#[test]
fn requests_count_as_connections() {
    let gate = Gate::default();
    let karbor = gated(&gate);
    // One for the connection, two for requests.
    let app = TestApp::before(karbor.address, "[server]\nmax_connections = 3");
    let mut client = Http2::to(app.address);
    let mut waiting = Vec::new();
    for count in 1..=2 {
        waiting.push(client.send(&creation()));
        karbor.until_seen(count);
    }
    let refused = client.ask(&get());
    assert_eq!((refused.status, &*refused.code()), (503, "no-room"));
    assert_eq!(refused.headers["retry-after"], "1");
    // Left behind, they are still under way, and keep their places.
    waiting.clear();
    let refused = client.ask(&get());
    assert_eq!(refused.status, 503);
    gate.open();
    eventually("there is room again", || client.ask(&get()).status == 200);
    app.stop();
}

/// What was answered and is not taken is still in our memory.
#[test]
fn answers_keep_their_places_until_they_are_taken() {
    let karbor = Scripted::answering(&json_answer("{\"x\": 12345}"));
    // One for the connection, two for requests.
    let app = TestApp::before(karbor.address, "[server]\nmax_connections = 3");
    // Streams have room for one byte.
    let mut client = Frames::with_settings(app.address, &[(4, 1)]);
    let fields = request("GET", "/v1/p/plans", &[]);
    for stream in [1, 3] {
        client.write(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields)).unwrap();
        assert!(client.until(DATA).is_some());
    }
    app.until_counted("requests_in_flight", &[], 0.0);
    client.write(&frame(HEADERS, END_HEADERS | END_STREAM, 5, &fields)).unwrap();
    app.until_counted("refusals_total", &[("reason", "no-room")], 1.0);
    for stream in [1, 3, 5] {
        client.write(&frame(WINDOW_UPDATE, 0, stream, &10_000_u32.to_be_bytes())).unwrap();
    }
    eventually("there is room again", || app.client().ask(&get()).status == 200);
    drop(client);
    app.stop();
}

#[test]
fn a_drain_lets_streams_finish() {
    let gate = Gate::default();
    let karbor = gated(&gate);
    let app = TestApp::before(karbor.address, "");
    let mut client = Frames::to(app.address);
    let get = |stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &request("GET", "/v1/p/plans", &[]));
    for (stream, count) in [(1, 1), (3, 2)] {
        client.write(&get(stream)).unwrap();
        karbor.until_seen(count);
    }
    app.order();
    assert_eq!(client.until(GOAWAY).unwrap().error(), 0);
    // Whatever came before the answer to this was still taken; what comes after it is not.
    let ping = client.until(PING).unwrap();
    client.write(&frame(PING, 1, 0, &ping.payload)).unwrap();
    assert_eq!(client.until(GOAWAY).unwrap().payload[..4], [0, 0, 0, 3]);
    client.write(&get(5)).unwrap();
    gate.open();
    let mut answered: Vec<u32> =
        client.rest().iter().filter(|frame| frame.kind == HEADERS).map(|frame| frame.stream).collect();
    answered.sort_unstable();
    assert_eq!(answered, [1, 3]);
    app.stop();
    assert_eq!(karbor.seen().len(), 2);
}

/// A connection that is told to end while an answer of so many bytes, and some, is due on it: its client takes little
/// at a time. With the Karbor that answers.
fn ending_with(bytes: usize) -> (TestApp, Scripted, Frames) {
    let gate = Gate::default();
    let opens = gate.clone();
    let karbor = Scripted::new(move |mut link| {
        while link.request().is_some() {
            opens.pass();
            link.send(json_answer(&format!("[\"{}\"]", "x".repeat(bytes))));
        }
    });
    let app = TestApp::before(karbor.address, "");
    let mut client = Frames::with_settings(app.address, &[(4, 1 << 20)]);
    socket2::SockRef::from(&client.socket).set_recv_buffer_size(4096).unwrap();
    client.write(&room(1 << 20)).unwrap();
    let get = frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("GET", "/v1/p/plans", &[]));
    client.write(&get).unwrap();
    karbor.until_seen(1);
    app.order();
    let ping = client.until(PING).unwrap();
    client.write(&frame(PING, 1, 0, &ping.payload)).unwrap();
    gate.open();
    (app, karbor, client)
}

fn room(bytes: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, 0, &bytes.to_be_bytes())
}

/// A client that gives room as it reads still writes when all is written to it. Closed on that, the system would take
/// back what the client has not read yet.
#[test]
fn the_end_takes_no_part_of_an_answer_back() {
    const BYTES: usize = 400_000;
    let (app, _karbor, mut client) = ending_with(BYTES);
    let mut read = 0;
    while let Some(part) = client.until(DATA) {
        read += part.payload.len();
        // Nobody there any more is what it would see, and no reason to read no further.
        let _gone = client.write(&room(1));
    }
    assert_eq!(read, BYTES + 4);
    app.stop();
}

/// One that takes its time over what was written to it: longer than a connection may say farewell for.
#[test]
fn the_end_waits_for_who_reads_slowly() {
    const BYTES: usize = 300_000;
    let (app, _karbor, mut client) = ending_with(BYTES);
    std::thread::sleep(Duration::from_secs(3));
    let mut read = 0;
    while let Some(part) = client.until(DATA) {
        read += part.payload.len();
    }
    assert_eq!(read, BYTES + 4);
    app.stop();
}

#[test]
fn an_idle_connection_is_told_to_end() {
    let karbor = karbor();
    let app = TestApp::before(karbor.address, "[server]\nkeep_alive_timeout = \"200ms\"");
    let mut client = Frames::to(app.address);
    client.write(&frame(SETTINGS, 1, 0, b"")).unwrap();
    let rest = client.rest();
    assert!(rest.iter().any(|frame| frame.kind == GOAWAY && frame.error() == 0), "{rest:?}");
    app.until_counted("connections", &[("side", "downstream")], 0.0);
    app.stop();
}

#[test]
fn so_many_requests_and_no_more() {
    let karbor = karbor();
    let app = TestApp::before(karbor.address, "[server]\nmax_requests_per_connection = 3");
    let mut client = Http2::to(app.address);
    for _ in 0..3 {
        assert_eq!(client.ask(&get()).status, 200);
    }
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while client.try_send(&get()).and_then(|answer| client.answer(answer)).is_ok() {
        assert!(std::time::Instant::now() < deadline, "it goes on");
    }
    app.stop();
}
