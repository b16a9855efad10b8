//! What follows on a connection: requests one after the other, and what must never become one.

use crate::support::{PROJECT, Request, Stage, TOKEN, checkpoints, stage};

/// A creation as bytes, as it could hide in another request.
fn hidden(stage: &Stage) -> Vec<u8> {
    stage.creation("null").bytes()
}

#[test]
fn answers_pipelined_requests_in_order() {
    let stage = stage("");
    let mut client = stage.client();
    let list = Request::new("GET", &checkpoints(PROJECT));
    let denied = stage.creation(r#"{"ticket": ""}"#);
    client.send(
        &[list.bytes(), hidden(&stage), denied.bytes(), hidden(&stage).repeat(2), list.bytes()].concat(),
    );
    assert_eq!(client.reply().json()["checkpoints"], serde_json::json!([]));
    assert!(client.reply().json()["checkpoint"].is_object());
    assert_eq!(client.reply().own_fault(400).codes, ["malformed-key"]);
    assert!(client.reply().json()["checkpoint"].is_object());
    assert!(client.reply().json()["checkpoint"].is_object());
    assert_eq!(client.reply().json()["checkpoints"].as_array().unwrap().len(), 3);
    assert_eq!(stage.karbor.created(), 3);
    stage.app.until_counted("connections_total", &[("side", "downstream")], 1.0);
}

#[test]
fn carries_out_nothing_after_a_refusal() {
    for bad in [
        "POST /v1/p/providers/q/checkpoints HTTP/1.1\r\nHost: h\r\nX_Auth_Token: t\r\n\r\n",
        "POST /v1/p/providers/q/checkpoints?_method=PUT HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /v1/p%2fproviders/q/checkpoints HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /v1/p HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        let stage = stage("");
        let mut client = stage.client();
        let good = hidden(&stage);
        client.send(&[&*good, &good, bad.as_bytes(), &good].concat());
        assert_eq!(client.reply().status, 200);
        assert_eq!(client.reply().status, 200);
        let refused = client.reply();
        assert_eq!(refused.status, 400, "{bad}");
        assert_eq!(refused.fields.one("connection"), Some("close"));
        client.expect_end();
        assert_eq!(stage.karbor.created(), 2, "{bad}");
        let verdicts: Vec<_> = stage.end().iter().map(|line| line["verdict"].clone()).collect();
        assert_eq!(verdicts, ["admitted", "admitted", "refused"]);
    }
}

/// Only one answer comes, and what is hidden in the request is never carried out.
#[track_caller]
fn check_hidden(stage: &Stage, bytes: &[u8], status: u16) {
    let (created, seen) = (stage.karbor.created(), stage.karbor.log().len());
    let mut client = stage.client();
    client.send(bytes);
    assert_eq!(client.reply().status, status);
    let _ = client.wire.stream.shutdown(std::net::Shutdown::Write);
    client.expect_end();
    assert_eq!(stage.karbor.created(), created);
    assert!(stage.karbor.log().len() <= seen + 1, "{:?}", stage.karbor.log());
}

#[test]
fn never_takes_a_body_for_a_request() {
    let stage = stage("[limits]\nbody_bytes = 100\n");
    let body = hidden(&stage);
    let creation = Request::new("POST", &checkpoints(PROJECT));
    check_hidden(&stage, &creation.clone().body(body.clone()).bytes(), 415);
    check_hidden(&stage, &creation.clone().json(body.clone()).bytes(), 413);
    check_hidden(&stage, &creation.clone().json(body.clone()).chunked(200).bytes(), 413);
    let extra_info = format!("{}/c/extra-info", checkpoints(PROJECT));
    check_hidden(&stage, &Request::new("PUT", &extra_info).json(body.clone()).bytes(), 403);
    check_hidden(&stage, &creation.clone().at("/v1/p%2f").json(body.clone()).bytes(), 400);
    check_hidden(&stage, &creation.json(body.clone()).field("Expect", "x").bytes(), 417);
    check_hidden(&stage, &Request::new("GET", "/v1/p/providers").body(body.clone()).bytes(), 400);
    check_hidden(&stage, &Request::new("OPTIONS", "/v1/p").token_of("p").body(body).bytes(), 404);
}

/// The facts' D1: one request for a proxy, two for Karbor.
#[test]
fn refuses_the_underscore_that_would_hide_a_creation() {
    let stage = stage("");
    let hidden = [b"0\r\n\r\n".to_vec(), hidden(&stage)].concat();
    let head = format!(
        "GET {} HTTP/1.1\r\nHost: h\r\nX-Auth-Token: {TOKEN}\r\nTransfer_Encoding: chunked\r\n\
         Content-Length: {}\r\n\r\n",
        checkpoints(PROJECT),
        hidden.len()
    );
    check_hidden(&stage, &[head.into_bytes(), hidden].concat(), 400);
    assert!(stage.karbor.log().is_empty());
}

#[test]
fn keeps_the_connection_after_a_denial() {
    let stage = stage("");
    let mut client = stage.client();
    for _ in 0..3 {
        let reply = client.ask(&stage.creation(r#"{"ticket": ""}"#));
        assert_eq!(reply.own_fault(400).codes, ["malformed-key"]);
        assert_eq!(reply.fields.one("connection"), None);
        assert_eq!(client.ask(&stage.creation("null")).status, 200);
    }
    stage.app.until_counted("connections_total", &[("side", "downstream")], 1.0);
}

#[test]
fn serves_http_1_0() {
    let stage = stage("");
    let list = format!("GET {} HTTP/1.0\r\nX-Auth-Token: {TOKEN}\r\n", checkpoints(PROJECT));
    let mut client = stage.client();
    client.send(format!("{list}\r\n").as_bytes());
    assert!(client.reply().json()["checkpoints"].is_array());
    client.expect_end();
    let mut client = stage.client();
    for _ in 0..2 {
        client.send(format!("{list}Connection: keep-alive\r\n\r\n").as_bytes());
        let reply = client.reply();
        assert_eq!((reply.status, reply.fields.one("connection")), (200, Some("keep-alive")));
    }
    // What is sent in chunks to others ends with the connection here.
    let blob =
        format!("GET /v1/{PROJECT}/blob?bytes=1000&chunked=1 HTTP/1.0\r\nX-Auth-Token: {TOKEN}\r\n\r\n");
    let mut client = stage.client();
    client.send(blob.as_bytes());
    let reply = client.reply();
    assert_eq!((reply.body.len(), reply.chunked), (1000, false));
}

#[test]
fn ends_the_connection_when_the_client_asks() {
    let stage = stage("");
    let mut client = stage.client();
    let reply = client.ask(&stage.creation("null").field("Connection", "close"));
    assert_eq!((reply.status, reply.fields.one("connection")), (200, Some("close")));
    client.expect_end();
    assert!(stage.received(1)[0].values("connection").is_empty());
}
