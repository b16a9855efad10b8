//! What the ledger must not do to the connections on both sides, and what they must not do to it.

use super::{Kept, kept, map_of};
use crate::support::{
    Gate, LedgerFolder, Link, PROJECT, Request, Scripted, TestApp, body_of, checkpoints, json_answer,
};

const MAP: &str = r#"{"x-app--key": "value"}"#;

fn checkpoint() -> String {
    format!(r#"{{"id": "one", "project_id": "{PROJECT}", "status": "available", "extra_info": "{{}}"}}"#)
}

fn creation() -> Request {
    Request::new("POST", &checkpoints(PROJECT)).json(body_of("plan", MAP))
}

/// Whatever the body of a request that is answered without it: it is no request, and a refusal arrives.
#[test]
fn a_body_that_nobody_reads_is_never_a_request() {
    let kept: Kept = kept("");
    let smuggled = format!("DELETE {}/x HTTP/1.1\r\nHost: a\r\n\r\n", checkpoints(PROJECT));
    let list = Request::new("GET", &checkpoints(PROJECT));
    for (target, status) in [
        (format!("{}?extra-info.x-app--key", checkpoints(PROJECT)), 200),
        (format!("{}?extra-info.", checkpoints(PROJECT)), 400),
        (format!("/v1/{PROJECT}/extra-info-limits"), 200),
    ] {
        for times in [1, 20_000] {
            for chunked in [false, true] {
                let request = Request::new("GET", &target).body(smuggled.repeat(times));
                let request = if chunked { request.chunked(1000) } else { request };
                let mut client = kept.stage.client();
                assert_eq!(client.ask(&request).status, status, "{target} {times} {chunked}");
                // It goes on, or it is closed.
                if let Ok(reply) = client.try_reply_to(&list) {
                    assert_eq!(reply.status, 200, "{target} {times} {chunked}");
                }
            }
        }
    }
    assert!(kept.stage.karbor.log().iter().all(|record| record.method == "GET"));
}

/// However Karbor frames its answers: filled, whole, and its connection is used again.
#[test]
fn answers_of_any_framing_are_filled() {
    let listed = format!(r#"{{"checkpoints": [{}]}}"#, checkpoint());
    let made = format!(r#"{{"checkpoint": {}}}"#, checkpoint());
    let karbor = Scripted::new(move |mut link: Link| {
        while let Some(seen) = link.request() {
            if seen.method == "POST" {
                link.send(json_answer(&made));
                continue;
            }
            let (one, other) = listed.split_at(20);
            link.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
                 {:x}\r\n{one}\r\n{:x}\r\n{other}\r\n0\r\nX-Test-Trailer: t\r\n\r\n",
                one.len(),
                other.len()
            ));
        }
    });
    let folder = LedgerFolder::new();
    let app = TestApp::before(karbor.address, &folder.settings(""));
    let mut client = app.client();
    assert_eq!(client.ask(&creation()).status, 200);
    for query in ["", "?extra-info.x-app--key", "?limit=1"] {
        let reply = client.ask(&Request::new("GET", &format!("{}{query}", checkpoints(PROJECT))));
        assert_eq!(map_of(&reply.json()["checkpoints"][0])["x-app--key"], "value", "{query}");
    }
    assert_eq!(karbor.connections(), 1);
}

/// An answer without a body keeps what it says of one.
#[test]
fn the_answer_to_a_head_is_karbors() {
    let karbor = Scripted::answering(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4711\r\n\r\n",
    );
    let folder = LedgerFolder::new();
    let app = TestApp::before(karbor.address, &folder.settings(""));
    for path in [checkpoints(PROJECT), format!("{}/one", checkpoints(PROJECT))] {
        let reply = app.client().ask(&Request::new("HEAD", &path));
        assert_eq!(reply.fields.one("content-length"), Some("4711"), "{path}");
    }
}

/// What Karbor carried out for a client that had left is kept like any other.
#[test]
fn a_creation_whose_client_left_is_kept() {
    let gate = Gate::default();
    let (opened, made) = (gate.clone(), format!(r#"{{"checkpoint": {}}}"#, checkpoint()));
    let listed = format!(r#"{{"checkpoints": [{}]}}"#, checkpoint());
    let karbor = Scripted::new(move |mut link: Link| {
        while let Some(seen) = link.request() {
            if seen.method == "POST" {
                opened.pass();
            }
            link.send(json_answer(if seen.method == "POST" { &made } else { &listed }));
        }
    });
    let folder = LedgerFolder::new();
    let app = TestApp::before(karbor.address, &folder.settings(""));
    let mut client = app.client();
    client.send(&creation().bytes());
    // The question for its token, and itself.
    karbor.until_seen(2);
    client.reset();
    gate.open();
    let lines = app.audit(1);
    assert_eq!((&lines[0]["kept"], &lines[0]["client_left"]), (&true.into(), &true.into()), "{}", lines[0]);
    let reply = app.client().ask(&Request::new("GET", &checkpoints(PROJECT)));
    assert_eq!(map_of(&reply.json()["checkpoints"][0])["x-app--key"], "value");
}
