//! What is not judged: goes by as it came, both ways.

use crate::support::{PROJECT, Reply, Request, Scripted, TestApp, body_of, checkpoints, json_answer, stage};

/// Every byte there is, more than once.
fn payload() -> Vec<u8> {
    (0..=255).cycle().take(70_000).collect()
}

/// An upstream that sends every body back, with the method in a field.
fn echo() -> Scripted {
    Scripted::new(|mut link| {
        while let Some(request) = link.request() {
            let head = request.method == "HEAD";
            let fields = format!("X-Test-Method: {}\r\nX-Test-Target: {}", request.method, request.target);
            let length = request.body.len();
            link.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{fields}\r\n\r\n"));
            if !head {
                link.send(&request.body);
            }
        }
    })
}

#[test]
fn passes_every_method_target_and_body() {
    let karbor = echo();
    let app = TestApp::before(karbor.address, "");
    let mut client = app.client();
    for method in ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "post", "X-Y.Z"] {
        for target in ["/", "/v1/p/plans?limit=1&x=%41;y", "/v1/p/restores/~a!$&'()*+,;=:@b", "/%E2%82%AC?"] {
            let plain = Request::new(method, target);
            let reply = client.ask(&plain);
            assert_eq!(reply.status, 200);
            assert_eq!(reply.fields.one("x-test-method"), Some(method));
            assert_eq!(reply.fields.one("x-test-target"), Some(target));
            let with_body = plain.with("Content-Type", "application/octet-stream").body(payload());
            for request in [with_body.clone(), with_body.chunked(10_000)] {
                let reply = client.ask(&request);
                let expected = if method == "HEAD" { Vec::new() } else { payload() };
                assert!(reply.body == expected, "{request:?} came back as {} bytes", reply.body.len());
                let seen = karbor.seen().pop().unwrap();
                assert!(seen.body == payload(), "{request:?} arrived as {} bytes", seen.body.len());
                assert_eq!(seen.fields.one("content-type"), Some("application/octet-stream"));
            }
        }
    }
    assert_eq!(karbor.connections(), 1);
    assert!(app.stop().is_empty(), "no audit lines for what passes");
}

#[test]
fn passes_every_status_with_its_body() {
    for status in [200, 201, 202, 203, 206, 299, 300, 301, 302, 400, 401, 404, 418, 429, 500, 503, 599] {
        let karbor = Scripted::answering(&format!(
            "HTTP/1.1 {status} Whatever\r\nContent-Length: 4\r\nX-Test-A: b\r\nContent-Type: text/plain\r\n\r\nbody"
        ));
        let app = TestApp::before(karbor.address, "");
        let reply = app.client().ask(&Request::new("GET", "/v1/p/plans"));
        assert_eq!((reply.status, reply.text().as_str()), (status, "body"));
        assert_eq!(reply.fields.one("x-test-a"), Some("b"));
    }
}

/// This answer of Karbor's, twice on one connection of a client: framing that is wrong shows in the second.
#[track_caller]
fn twice(answer: &str, request: &Request) -> Reply {
    let karbor = Scripted::answering(answer);
    let app = TestApp::before(karbor.address, "");
    let mut client = app.client();
    let first = client.ask(request);
    let second = client.ask(request);
    assert_eq!((first.status, &first.body), (second.status, &second.body));
    app.until_counted("requests_total", &[("route", "pass"), ("outcome", "forwarded")], 2.0);
    second
}

#[test]
fn answers_without_a_body_stay_without() {
    let get = Request::new("GET", "/v1/p/plans");
    let head = Request::new("HEAD", "/v1/p/plans");
    let reply = twice("HTTP/1.1 204 No Content\r\nX-Test-A: b\r\n\r\n", &get);
    assert_eq!((reply.status, reply.body.len()), (204, 0));
    let reply = twice("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 500\r\n\r\n", &get);
    assert_eq!((reply.status, reply.fields.one("etag")), (304, Some("\"x\"")));
    let reply = twice("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", &head);
    assert_eq!((reply.status, reply.fields.one("content-length")), (200, Some("500")));
    let reply = twice("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &head);
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    let reply = twice("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", &get);
    assert_eq!((reply.status, reply.fields.one("content-length")), (200, Some("0")));
}

#[test]
fn interim_answers_do_not_disturb_the_final_one() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
                   HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nX-Early: 1\r\n\r\n";
    let answer = format!("{interim}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let reply = twice(&answer, &Request::new("GET", "/v1/p/plans"));
    assert_eq!((reply.status, reply.text().as_str()), (200, "ok"));
    assert!(reply.fields.values("x-early").is_empty());

    let karbor = Scripted::answering(&format!("{interim}{}", json_answer(r#"{"checkpoint": {"id": "c"}}"#)));
    let app = TestApp::before(karbor.address, "");
    let reply = app.client().ask(&Request::new("POST", &checkpoints(PROJECT)).json(body_of("p", "null")));
    assert_eq!(reply.json()["checkpoint"]["id"], "c");
}

#[test]
fn drops_trailers_and_chunk_extensions_both_ways() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Test-A\r\n\r\n\
                  2;a=b\r\nok\r\n0\r\nX-Test-A: late\r\n\r\n";
    let karbor = Scripted::answering(answer);
    let app = TestApp::before(karbor.address, "");
    let mut client = app.client();
    for _ in 0..2 {
        let head = Request::new("PUT", "/v1/p/plans/q").field("Transfer-Encoding", "chunked").head();
        let body = b"3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nX-Test-B: late\r\n\r\n".to_vec();
        client.send(&[head, body].concat());
        let reply = client.reply();
        assert_eq!((reply.text().as_str(), reply.chunked), ("ok", true));
        let seen = karbor.seen().pop().unwrap();
        assert_eq!(seen.body, b"abcd");
        assert!(seen.fields.values("x-test-b").is_empty());
    }
}

#[test]
fn frames_anew_what_ended_with_the_connection() {
    let karbor = Scripted::new(|mut link| {
        link.request();
        link.send("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end");
    });
    let app = TestApp::before(karbor.address, "");
    let mut client = app.client();
    for _ in 0..2 {
        let reply = client.ask(&Request::new("GET", "/v1/p/plans"));
        assert_eq!((reply.text().as_str(), reply.chunked), ("until the end", true));
    }
    assert_eq!(karbor.connections(), 2);
}

#[test]
fn asks_for_a_body_only_when_it_means_to_read() {
    let stage = stage("");
    let body = body_of(&stage.plan, "null");
    let creation = stage.creation_of(&body).field("Expect", "100-continue");
    let put = Request::new("PUT", &format!("/v1/{PROJECT}/blob")).body(body.as_str());
    for request in [creation.clone(), put.field("Expect", "100-Continue")] {
        let mut client = stage.client();
        client.send(&request.head());
        assert_eq!(client.wire.head().unwrap().unwrap().line, "HTTP/1.1 100 Continue");
        client.send(body.as_bytes());
        let reply = client.reply();
        assert_eq!((reply.status, reply.interim.len()), (200, 0), "{}", reply.text());
        assert!(stage.karbor.log().pop().unwrap().values("expect").is_empty());
    }
    let large = creation.clone().with("Content-Length", "131073");
    let coded = creation.clone().with("Content-Type", "text/plain");
    let written = creation.clone().at(&format!("{}/c/extra-info", checkpoints(PROJECT)));
    let refused = creation.at(&format!("{}?_method=PUT", checkpoints(PROJECT)));
    for (request, status) in [(large, 413), (coded, 415), (written, 403), (refused, 400)] {
        let mut client = stage.client();
        client.send(&request.head());
        let reply = client.reply();
        assert_eq!((reply.status, reply.interim.len()), (status, 0), "{reply:?}");
        client.expect_end();
    }
}

#[test]
fn lists_shows_and_deletes_as_karbor_does() {
    let stage = stage("");
    let checkpoint = stage.checkpoint();
    let show = Request::new("GET", &checkpoint);
    let shown = stage.ask(&show).json();
    assert!(checkpoint.ends_with(shown["checkpoint"]["id"].as_str().unwrap()));
    let list = stage.ask(&Request::new("GET", &format!("{}?limit=1", checkpoints(PROJECT)))).json();
    assert_eq!(list["checkpoints"][0], shown["checkpoint"]);
    let link = list["checkpoints_links"][0]["href"].as_str().unwrap();
    assert!(link.starts_with("http://karbor.test/v1/"), "links are made of Host: {link}");
    assert_eq!(stage.ask(&Request::new("DELETE", &checkpoint)).status, 200);
    assert_eq!(stage.ask(&show).json()["checkpoint"]["status"], "deleted");
    for (route, count) in [("list", 1.0), ("show", 2.0), ("delete", 1.0)] {
        stage.app.until_counted("requests_total", &[("route", route), ("outcome", "forwarded")], count);
    }
    assert!(stage.end().is_empty());
}
