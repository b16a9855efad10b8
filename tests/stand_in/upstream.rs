//! The stand-in as the upstream of a proxy under test.

use std::io::{Read, Write};
use std::net::Shutdown;

use karbor_admission::demo::{Checksum, MAX_KEPT_BODY_BYTES};
use serde_json::json;

use crate::lab::{Lab, PATIENCE, PROJECT, Reply, checkpoints};

#[track_caller]
fn check_creates(lab: &Lab, line: &str, body: &str) {
    let before = lab.karbor.created();
    let fields = format!("X-Auth-Token: demo:{PROJECT}\r\nContent-Type: application/json; charset=x\r\n");
    let reply = lab.request(line, &fields, body);
    assert_eq!((reply.status, lab.karbor.created()), (200, before + 1), "{line} {body}: {}", reply.text());
    let record = lab.karbor.log().pop().unwrap();
    assert_eq!((record.checkpoints.len(), record.body.as_slice()), (1, body.as_bytes()));
}

/// Rows of section 4 of the facts: each creates in Karbor, so each must create here.
#[test]
fn what_a_proxy_must_stop_creates_here() {
    let lab = Lab::new();
    let path = format!("/v1/{PROJECT}{}", checkpoints());
    let good = lab.creation();
    for line in [
        format!("GET {path}?_method=POST"),
        format!("PATCH {path}?x=1;_method=post"),
        format!("POST {path}%0A"),
        format!("POST {}", path.replace('/', "//")),
        format!("POST {}", path.replace("/check", "%2f%63heck")),
        format!("POST http://any.host{path}"),
    ] {
        check_creates(&lab, &line, &good);
    }
    let document = &good[r#"{"checkpoint": "#.len()..good.len() - 1];
    let before =
        |loser: &str| good.replace(r#""extra-info""#, &format!(r#""extra-info": {loser}, "extra-info""#));
    for body in [
        format!(r#"{{"checkpoint": {{"plan_id": 5}}, "\u0063heckpoint": {document}}}"#),
        before("NaN"),
        before(&format!("{}0{}", "[".repeat(900), "]".repeat(900))),
        good.replace("note", r"karbor-a\n"),
    ] {
        check_creates(&lab, &format!("POST {path}"), &body);
    }
}

#[test]
fn only_an_exact_media_type_and_a_length_make_a_body() {
    let lab = Lab::new();
    let line = format!("POST /v1/{PROJECT}{}", checkpoints());
    let token = format!("X-Auth-Token: demo:{PROJECT}\r\n");
    for kind in ["Content-Type: text/plain\r\n", "Content-Type: Application/Json\r\n", ""] {
        assert_eq!(lab.request(&line, &format!("{token}{kind}"), &lab.creation()).status, 500, "{kind}");
    }
    let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", lab.creation().len(), lab.creation());
    let fields =
        "Host: h\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked";
    let answer = lab.send(format!("{line} HTTP/1.1\r\n{token}{fields}\r\n\r\n{chunk}").as_bytes());
    assert_eq!(Reply::read(&answer).status, 500);
    assert_eq!(lab.karbor.created(), 0);
    assert_eq!(lab.karbor.log().pop().unwrap().body, lab.creation().as_bytes());
}

#[test]
fn the_record_has_what_was_sent() {
    let lab = Lab::new();
    let body = "{\"odd\":\t1 }";
    lab.request("FOO //v1/%41?x=%zz&&", "X-B: 1\r\nX-A: \u{a0}2\r\nX-A: 3\r\n", body);
    let record = lab.karbor.log().pop().unwrap();
    assert_eq!((record.method.as_str(), record.target.as_str()), ("FOO", "//v1/%41?x=%zz&&"));
    let names: Vec<&str> = record.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["host", "connection", "x-b", "x-a", "x-a", "content-length"]);
    assert_eq!(record.values("x-a"), ["\u{a0}2".as_bytes(), b"3"]);
    assert_eq!((record.body.as_slice(), record.body_bytes), (body.as_bytes(), body.len() as u64));
    assert_eq!(record.status, Some(204));
}

#[test]
fn of_a_large_body_only_the_beginning_is_kept() {
    let lab = Lab::new();
    let body = lab.creation().replace("hello", &"v".repeat(MAX_KEPT_BODY_BYTES));
    assert_eq!(lab.ask("POST", &checkpoints(), &body).status, 200);
    let record = lab.karbor.log().pop().unwrap();
    assert_eq!(record.body, &body.as_bytes()[..MAX_KEPT_BODY_BYTES]);
    assert_eq!(record.body_bytes, body.len() as u64);
}

#[test]
fn a_body_that_breaks_off_creates_nothing_and_is_recorded() {
    let lab = Lab::new();
    let body = lab.creation();
    let length = body.len() as u64;
    let fields = format!("X-Auth-Token: demo:{PROJECT}\r\nContent-Type: application/json\r\n");
    let line = format!("POST /v1/{PROJECT}{} HTTP/1.1\r\nHost: h", checkpoints());
    let mut stream = lab.connect();
    let head = format!("{line}\r\n{fields}Content-Length: {}\r\n\r\n", length + 1);
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let arrived = |record: &karbor_admission::demo::Record| record.body_bytes == length;
    assert!(lab.karbor.wait_until(PATIENCE, |log| log.last().is_some_and(arrived)));
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!((answer.len(), lab.karbor.created()), (0, 0));
    assert_eq!(lab.karbor.log()[0].status, None);
}

#[test]
fn waiting_ends_although_nothing_comes() {
    assert!(!Lab::new().karbor.wait_until(std::time::Duration::from_millis(1), |log| !log.is_empty()));
}

#[test]
fn pipelined_creations_are_two() {
    let lab = Lab::new();
    let one = |connection: &str| {
        let (path, body) = (checkpoints(), lab.creation());
        let fields =
            format!("X-Auth-Token: demo:{PROJECT}\r\nContent-Type: application/json\r\n{connection}");
        let line = format!("POST /v1/{PROJECT}{path} HTTP/1.1\r\nHost: h");
        format!("{line}\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
    };
    lab.send(format!("{}{}", one(""), one("Connection: close\r\n")).as_bytes());
    assert_eq!(lab.karbor.created(), 2);
}

#[test]
fn blobs_stream_in_both_directions_and_are_not_kept() {
    const BYTES: u64 = 48 * 1024 * 1024;
    let lab = Lab::new();
    let token = format!("X-Auth-Token: demo:{PROJECT}\r\n");
    let path = format!("/v1/{PROJECT}/blob");
    let given = lab.request(&format!("GET {path}?bytes={BYTES}"), &token, "");
    assert_eq!(given.field("Content-Length"), Some(BYTES.to_string().as_str()));
    assert_eq!(given.body.len() as u64, BYTES);
    let mut sum = Checksum::default();
    sum.add(&given.body);

    let mut stream = lab.connect();
    let head = format!("PUT {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{token}");
    stream.write_all(format!("{head}Content-Length: {BYTES}\r\n\r\n").as_bytes()).unwrap();
    stream.write_all(&given.body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(Reply::read(&answer).json(), json!({"bytes": BYTES, "fnv": sum.hex()}));
    let record = lab.karbor.log().pop().unwrap();
    assert_eq!((record.body.len(), record.body_bytes), (0, BYTES));

    let chunked = lab.request(&format!("GET {path}?bytes=3&chunked"), &token, "");
    assert_eq!(chunked.field("Transfer-Encoding"), Some("chunked"));
    assert_eq!(chunked.text(), "3\r\n\0\u{1}\u{2}\r\n0\r\n\r\n");
    assert_eq!(lab.request(&format!("GET {path}?bytes=3"), "X-Auth-Token: x\r\n", "").status, 400);
}

#[test]
fn when_it_ends_its_connections_are_closed() {
    let lab = Lab::new();
    let mut busy = lab.connect();
    let line = "GET /v1/x/blob?bytes=1000000000000 HTTP/1.1";
    busy.write_all(format!("{line}\r\nHost: h\r\nX-Auth-Token: x\r\n\r\n").as_bytes()).unwrap();
    busy.read_exact(&mut [0; 1024]).unwrap();
    lab.karbor.shutdown();
    // Closed or reset, but not silent: silence would be `WouldBlock` after the read timeout.
    let end = std::io::copy(&mut busy, &mut std::io::sink()).map_err(|error| error.kind());
    assert_ne!(end, Err(std::io::ErrorKind::WouldBlock));
}
