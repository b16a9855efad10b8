//! Whom a balancer speaks for: believed of who is trusted, and of nobody else.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::support::{
    Authority, Client, PATIENCE, Reply, Request, Scripted, TestApp, Tunnel, body_of, checkpoints,
    json_answer, trusting,
};

fn karbor() -> Scripted {
    Scripted::answering(&json_answer("{}"))
}

fn app(karbor: &Scripted, more: &str) -> TestApp {
    let settings = "[server]\nproxy_protocol = true\ntrusted_peers = [\"127.0.0.1\"]\n";
    TestApp::before(karbor.address, &format!("{settings}{more}"))
}

const LINE: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 5555 8799\r\n";

fn denied() -> Request {
    Request::new("POST", &checkpoints("p")).json(body_of("p", r#"{"no prefix": ""}"#))
}

#[track_caller]
fn ask_after(app: &TestApp, header: &[u8], request: &Request) -> Reply {
    let mut client = app.client();
    client.send(&[header, &request.bytes()].concat());
    client.reply()
}

#[test]
fn the_client_is_whom_it_names() {
    let karbor = karbor();
    let app = app(&karbor, "");
    let two = [
        &b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24"[..],
        &[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        &[0; 20],
    ];
    let two = two.concat();
    for (header, peer) in [
        (LINE, "192.0.2.7"),
        (&two, "2001:db8::1"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0", "127.0.0.1"),
    ] {
        let reply = ask_after(&app, header, &denied());
        assert_eq!(reply.status, 400);
        assert_eq!(app.audit_of(&reply)["peer"], peer);
    }
    // It is no peer to believe, whoever speaks for it.
    let get = Request::new("GET", "/v1/p/plans").field("X-Forwarded-For", "10.0.0.1");
    assert_eq!(ask_after(&app, LINE, &get).status, 200);
    assert_eq!(karbor.seen()[0].fields.values("x-forwarded-for"), ["192.0.2.7"]);
    app.stop();
}

#[test]
fn a_header_may_come_byte_by_byte() {
    let karbor = karbor();
    let app = app(&karbor, "");
    let mut client = app.client();
    for byte in LINE {
        client.send(&[*byte]);
    }
    let reply = client.ask(&denied());
    assert_eq!(app.audit_of(&reply)["peer"], "192.0.2.7");
    app.stop();
}

#[track_caller]
fn is_let_go(app: &TestApp, bytes: &[u8]) {
    let mut socket = TcpStream::connect(app.address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = socket.write_all(bytes);
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    assert!(answer.is_empty(), "{:?}", String::from_utf8_lossy(&answer));
}

#[test]
fn without_a_header_there_is_no_answer() {
    let karbor = karbor();
    let app = app(&karbor, "head_timeout = \"300ms\"\n");
    let get = Request::new("GET", "/v1/p/plans").bytes();
    let malformed = [&b"PROXY TCP4 192.0.2.07 198.51.100.1 1 2\r\n"[..], &get].concat();
    for (count, bytes) in [&get[..], &malformed, b"PROXY TCP4", b"\x16\x03\x01\0\0"].into_iter().enumerate() {
        is_let_go(&app, bytes);
        app.until_counted("connections_refused_total", &[("reason", "not-believed")], (count + 1) as f64);
    }
    assert_eq!(karbor.seen().len(), 0);
    app.stop();
}

#[test]
fn nobody_else_is_believed() {
    let karbor = karbor();
    let settings = "[server]\nproxy_protocol = true\ntrusted_peers = [\"192.0.2.0/24\"]\n";
    let app = TestApp::before(karbor.address, settings);
    is_let_go(&app, &[LINE, &Request::new("GET", "/v1/p/plans").bytes()].concat());
    assert_eq!(karbor.seen().len(), 0);
    app.stop();
}

#[test]
fn each_client_has_its_own_bound() {
    let karbor = karbor();
    let app = app(&karbor, "max_connections_per_address = 1\n");
    let get = Request::new("GET", "/v1/p/plans");
    let mut kept: Vec<Client> = Vec::new();
    for (client, status) in [("192.0.2.1", 200), ("192.0.2.2", 200), ("192.0.2.1", 503)] {
        let header = format!("PROXY TCP4 {client} 198.51.100.1 1 2\r\n");
        let mut connection = app.client();
        connection.send(&[header.as_bytes(), &get.bytes()].concat());
        assert_eq!(connection.reply().status, status, "{client}");
        kept.push(connection);
    }
    app.stop();
}

#[test]
fn it_stands_before_tls() {
    let (karbor, authority, folder) = (karbor(), Authority::new(), tempfile::tempdir().unwrap());
    let (certificate, key) = authority.issue(&["one.test"]).write(folder.path(), "one");
    let app = app(&karbor, &format!("[server.tls]\ncertificates = [{certificate:?}]\nkeys = [{key:?}]\n"));
    let tunnel = Tunnel::to_tls_after(LINE, app.address, "one.test", &trusting(&authority, None, &[]));
    let reply = tunnel.client().ask(&denied());
    assert_eq!(app.audit_of(&reply)["peer"], "192.0.2.7");
    app.stop();
}
