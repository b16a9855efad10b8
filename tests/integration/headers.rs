//! The header fields of both directions: what goes, what stays, what is ours.

use crate::support::{Fields, PROJECT, Request, Scripted, TOKEN, TestApp, body_of, checkpoints};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// The fields that Karbor gets for this request.
fn forwarded(settings: &str, request: &Request) -> Fields {
    let karbor = Scripted::answering(OK);
    let app = TestApp::before(karbor.address, settings);
    assert_eq!(app.client().ask(request).status, 200);
    let mut seen = karbor.seen();
    assert_eq!(seen.len(), 1);
    seen.remove(0).fields
}

fn get() -> Request {
    Request::new("GET", "/v1/p/plans")
}

#[test]
fn removes_hop_by_hop_fields_towards_karbor() {
    let fields = forwarded(
        "",
        &get()
            .field("Connection", "keep-alive, X-Test-A")
            .field("Connection", "x-test-b,, ,X-TEST-C")
            .field("X-Test-A", "1")
            .field("X-Test-B", "1")
            .field("x-test-c", "1")
            .field("X-Test-D", "stays")
            .field("Keep-Alive", "timeout=5")
            .field("Proxy-Connection", "keep-alive")
            .field("Proxy-Authorization", "Basic eA==")
            .field("TE", "trailers")
            .field("Trailer", "X-Test-D")
            .field("HTTP2-Settings", "AAMAAABkAAQAAP__"),
    );
    for gone in [
        "connection",
        "x-test-a",
        "x-test-b",
        "x-test-c",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "te",
        "trailer",
        "http2-settings",
        "content-length",
        "transfer-encoding",
    ] {
        assert!(fields.values(gone).is_empty(), "{gone}: {fields:?}");
    }
    assert_eq!(fields.one("x-test-d"), Some("stays"));
    assert_eq!(fields.one("host"), Some("karbor.test"));
    assert_eq!(fields.one("x-auth-token"), Some(TOKEN));
}

#[test]
fn says_who_the_client_is_in_place_of_an_untrusted_claim() {
    let fields = forwarded(
        "",
        &get()
            .field("X-Forwarded-For", "192.0.2.1")
            .field("X-Forwarded-For", "192.0.2.2")
            .field("X-Forwarded-Host", "evil.test")
            .field("X-Forwarded-Proto", "https")
            .field("X-Forwarded-Port", "1")
            .field("X-Forwarded-Prefix", "/evil")
            .field("X-Real-IP", "192.0.2.1")
            .field("Forwarded", "for=192.0.2.1"),
    );
    assert_eq!(fields.values("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(fields.values("x-forwarded-host"), ["karbor.test"]);
    assert_eq!(fields.values("x-forwarded-proto"), ["http"]);
    assert_eq!(fields.values("forwarded"), ["for=127.0.0.1;host=\"karbor.test\";proto=http"]);
    for gone in ["x-forwarded-port", "x-forwarded-prefix", "x-real-ip"] {
        assert!(fields.values(gone).is_empty(), "{gone}: {fields:?}");
    }
}

#[test]
fn passes_the_claims_of_a_trusted_peer_on() {
    for trusted in ["127.0.0.1", "127.0.0.0/8", "::ffff:127.0.0.1", "::ffff:127.0.0.0/104"] {
        let fields = forwarded(
            &format!("[server]\ntrusted_peers = [\"192.0.2.0/24\", \"{trusted}\"]"),
            &get()
                .field("X-Forwarded-For", "192.0.2.1")
                .field("X-Forwarded-Host", "public.test")
                .field("X-Forwarded-Proto", "https")
                .field("Forwarded", "for=192.0.2.1"),
        );
        assert_eq!(fields.values("x-forwarded-for").join(", "), "192.0.2.1, 127.0.0.1");
        assert_eq!(fields.values("x-forwarded-host"), ["public.test"]);
        assert_eq!(fields.values("x-forwarded-proto"), ["https"]);
        let forwarded = fields.values("forwarded").join(", ");
        assert_eq!(forwarded, "for=192.0.2.1, for=127.0.0.1;host=\"karbor.test\";proto=http");
    }
    let strangers = "[server]\ntrusted_peers = [\"192.0.2.0/24\", \"127.0.0.2\"]";
    let fields = forwarded(strangers, &get().field("X-Forwarded-For", "192.0.2.1"));
    assert_eq!(fields.values("x-forwarded-for"), ["127.0.0.1"]);
}

/// What Karbor's middleware says of a token is not the client's to say; what it checks as a token is.
#[test]
fn takes_who_a_client_claims_to_be_and_leaves_its_credentials() {
    let claims = ["X-User-Id", "X-Project-Id", "X-Roles", "X-Service-Roles", "OpenStack-System-Scope"];
    let credentials = ["X-Auth-Token", "X-Service-Token", "X-Storage-Token"];
    let request = claims.iter().chain(&credentials).fold(get(), |request, name| request.with(name, "all"));
    let fields = forwarded("", &request);
    for claim in claims {
        assert!(fields.values(&claim.to_ascii_lowercase()).is_empty(), "{claim}: {fields:?}");
    }
    for credential in credentials {
        assert_eq!(fields.values(&credential.to_ascii_lowercase()), ["all"], "{credential}: {fields:?}");
    }
    let fields = forwarded("[server]\nidentity_headers = []", &request);
    assert!(claims.iter().all(|claim| fields.values(&claim.to_ascii_lowercase()) == ["all"]), "{fields:?}");
}

#[test]
fn adds_itself_to_via() {
    assert_eq!(forwarded("", &get()).values("via"), ["1.1 karbor-admission"]);
    let fields = forwarded("", &get().field("Via", "1.0 first"));
    assert_eq!(fields.values("via").join(", "), "1.0 first, 1.1 karbor-admission");
}

#[test]
fn our_fields_cannot_be_removed_by_the_client() {
    let named = "x-forwarded-for, x-forwarded-host, x-forwarded-proto, forwarded, via, host, connection";
    let fields = forwarded("", &get().field("Connection", named));
    for ours in ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded", "via", "host"] {
        assert_eq!(fields.values(ours).len(), 1, "{ours}: {fields:?}");
    }
}

#[test]
fn a_creation_is_framed_whatever_connection_names() {
    let karbor = Scripted::answering(OK);
    let app = TestApp::before(karbor.address, "");
    let body = body_of("p", r#"{"x-a--b": "c"}"#);
    let named = "content-length, content-type, transfer-encoding, x-auth-token";
    let request = Request::new("POST", &checkpoints(PROJECT)).json(body.as_str()).field("Connection", named);
    assert_eq!(app.client().ask(&request).status, 200);
    let seen = karbor.seen().pop().unwrap();
    assert_eq!(seen.body, body.as_bytes());
    assert_eq!(seen.fields.values("content-length"), [body.len().to_string()]);
    assert_eq!(seen.fields.values("content-type"), ["application/json"]);
}

#[test]
fn a_passed_body_is_framed_whatever_connection_names() {
    let karbor = Scripted::answering(OK);
    let app = TestApp::before(karbor.address, "");
    let request = Request::new("PUT", "/v1/p/plans/q").body("payload");
    for request in [request.clone(), request.chunked(3)] {
        let request = request.field("Connection", "content-length, transfer-encoding");
        assert_eq!(app.client().ask(&request).status, 200);
        assert_eq!(karbor.seen().pop().unwrap().body, b"payload");
    }
}

#[test]
fn removes_hop_by_hop_fields_towards_the_client() {
    let karbor = Scripted::answering(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Test-A, keep-alive\r\nX-Test-A: 1\r\n\
         X-Test-B: stays\r\nX-Test-B: twice\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\n\
         Proxy-Connection: close\r\nTrailer: X-Test-B\r\nTE: trailers\r\nUpgrade: h2c\r\nServer: karbor\r\n\r\nok",
    );
    let app = TestApp::before(karbor.address, "");
    let mut client = app.client();
    for _ in 0..2 {
        // What must not come through fails in the look that every answer gets.
        let reply = client.ask(&get());
        assert_eq!((reply.status, reply.text().as_str()), (200, "ok"));
        assert!(reply.fields.values("x-test-a").is_empty(), "{reply:?}");
        assert_eq!(reply.fields.values("x-test-b"), ["stays", "twice"]);
        assert_eq!(reply.fields.one("server"), Some("karbor"));
    }
}
