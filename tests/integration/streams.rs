//! Bodies of any size: bounded memory, backpressure, and what stands still is ended.
//!
//! `BIG_STREAM_BYTES` sets the size of the large streams; the memory bound is the same for any.

use std::io::{ErrorKind, Write as _};
use std::time::Duration;

use karbor_admission::demo::Checksum;

use crate::support::{
    Gate, PATIENCE, PROJECT, Request, Scripted, Stage, TestApp, Wire, resident_bytes, stage,
};

/// Other tests run in this process at the same time, so it is not zero.
const GROWTH_BYTES: u64 = 24 << 20;
/// A multiple of the pattern's length, so that every piece is the same.
const PIECE: usize = 251 * 256;

fn stream_bytes() -> u64 {
    std::env::var("BIG_STREAM_BYTES").map_or(64 << 20, |text| text.parse().unwrap())
}

/// The stand-in's pattern: byte `i` is `i` modulo 251.
fn piece() -> Vec<u8> {
    (0..251).cycle().take(PIECE).collect()
}

/// The resident size, at its largest so far.
struct Memory {
    before: u64,
    most: u64,
}

impl Memory {
    fn now() -> Self {
        let before = resident_bytes();
        Self { before, most: before }
    }

    fn look(&mut self) {
        self.most = self.most.max(resident_bytes());
    }

    #[track_caller]
    fn check(&self) {
        let grown = self.most - self.before;
        assert!(grown < GROWTH_BYTES, "grew by {grown} bytes");
    }
}

fn upload(stage: &Stage, total: u64, chunked: bool) -> String {
    let put = Request::new("PUT", &format!("/v1/{PROJECT}/blob"));
    let head = if chunked {
        put.field("Transfer-Encoding", "chunked")
    } else {
        put.field("Content-Length", &total.to_string())
    };
    let (mut client, piece, mut sum) = (stage.client(), piece(), Checksum::default());
    client.send(&head.head());
    let mut memory = Memory::now();
    let mut left = total;
    while left > 0 {
        let part = &piece[..usize::try_from(left).map_or(PIECE, |left| left.min(PIECE))];
        if chunked {
            client.wire.write(format!("{:x}\r\n", part.len()).as_bytes()).unwrap();
        }
        client.wire.write(part).unwrap();
        if chunked {
            client.wire.write(b"\r\n").unwrap();
        }
        sum.add(part);
        left -= part.len() as u64;
        memory.look();
    }
    if chunked {
        client.wire.write(b"0\r\n\r\n").unwrap();
    }
    let reply = client.reply().json();
    memory.check();
    assert_eq!((&reply["bytes"], &reply["fnv"]), (&total.into(), &sum.hex().into()));
    sum.hex()
}

fn download(stage: &Stage, total: u64, chunked: bool) -> String {
    let query = if chunked { "&chunked=1" } else { "" };
    let mut client = stage.client();
    client.send(&Request::new("GET", &format!("/v1/{PROJECT}/blob?bytes={total}{query}")).bytes());
    let head = client.wire.head().unwrap().unwrap();
    assert!(head.line.starts_with("HTTP/1.1 200 "), "{head:?}");
    assert_eq!(head.fields.one("transfer-encoding").is_some(), chunked);
    let (mut memory, mut sum, mut left) = (Memory::now(), Checksum::default(), total);
    let mut in_chunk = if chunked { 0 } else { total };
    while left > 0 {
        if in_chunk == 0 {
            in_chunk = client.wire.chunk_size().unwrap() as u64;
        }
        let some = client.wire.some(usize::try_from(in_chunk.min(1 << 16)).unwrap()).unwrap();
        assert!(!some.is_empty(), "{left} bytes are missing");
        sum.add(&some);
        left -= some.len() as u64;
        in_chunk -= some.len() as u64;
        if chunked && in_chunk == 0 {
            client.wire.chunk_end().unwrap();
        }
        memory.look();
    }
    memory.check();
    sum.hex()
}

#[test]
fn large_streams_pass_in_bounded_memory() {
    let stage = stage("");
    let total = stream_bytes();
    let sent = upload(&stage, total, false);
    assert_eq!(download(&stage, total, false), sent);
    let fewer = total / 4 + 1;
    let sent = upload(&stage, fewer, true);
    assert_eq!(download(&stage, fewer, true), sent);
    stage.app.until_counted("requests_in_flight", &[], 0.0);
    let bytes = (total + fewer) as f64;
    for (side, direction) in [("downstream", "received"), ("upstream", "sent"), ("upstream", "received")] {
        let labels = [("side", side), ("direction", direction)];
        let counted = stage.app.metrics().sum("body_bytes_total", &labels);
        assert!(counted >= bytes && counted < bytes + 1000.0, "{side} {direction}: {counted}");
    }
}

/// Writes until nothing more is taken for a while; gives how much was.
fn write_until_stuck(stream: &mut std::net::TcpStream, most: usize) -> usize {
    let piece = vec![b'x'; 1 << 16];
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut written = 0;
    while written < most {
        match stream.write(&piece[..piece.len().min(most - written)]) {
            Ok(taken) => written += taken,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) => panic!("{error}"),
        }
    }
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    written
}

fn write_rest(wire: &mut Wire, mut left: usize) {
    let piece = vec![b'x'; 1 << 16];
    while left > 0 {
        let part = &piece[..piece.len().min(left)];
        wire.write(part).unwrap();
        left -= part.len();
    }
}

/// More than the system's buffers on the way may hold.
const STREAM: usize = 64 << 20;
const AHEAD: usize = 6 << 20;

#[test]
fn an_upstream_does_not_run_ahead_of_a_slow_reader() {
    let (stuck, read) = (Gate::default(), Gate::default());
    let (tell, reading) = (stuck.clone(), read.clone());
    let karbor = Scripted::new(move |mut link| {
        link.request();
        link.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {STREAM}\r\n\r\n"));
        let written = write_until_stuck(&mut link.wire.stream, STREAM);
        assert!(written < AHEAD, "{written} bytes went ahead");
        tell.open();
        reading.pass();
        write_rest(&mut link.wire, STREAM - written);
    });
    let app = TestApp::before(karbor.address, "");
    let mut client = app.client();
    client.send(&Request::new("GET", "/v1/p/plans").bytes());
    assert!(client.wire.head().unwrap().is_some());
    let before = resident_bytes();
    assert!(stuck.pass(), "the upstream was not held up");
    assert!(resident_bytes().saturating_sub(before) < GROWTH_BYTES);
    read.open();
    let mut left = STREAM;
    while left > 0 {
        let some = client.wire.some(left).unwrap();
        assert!(!some.is_empty() && some.iter().all(|&byte| byte == b'x'));
        left -= some.len();
    }
}

#[test]
fn a_client_does_not_run_ahead_of_a_slow_upstream() {
    let read = Gate::default();
    let reading = read.clone();
    let karbor = Scripted::new(move |mut link| {
        if link.head().is_none() {
            return;
        }
        reading.pass();
        let mut left = STREAM;
        while left > 0 {
            match link.wire.some(left) {
                Ok(some) if !some.is_empty() => left -= some.len(),
                _ => return,
            }
        }
        link.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let app = TestApp::before(karbor.address, "");
    let mut client = app.client();
    client.send(&Request::new("PUT", "/v1/p/plans/q").field("Content-Length", &STREAM.to_string()).head());
    let written = write_until_stuck(&mut client.wire.stream, STREAM);
    assert!(written < AHEAD, "{written} bytes went ahead");
    read.open();
    write_rest(&mut client.wire, STREAM - written);
    assert_eq!(client.reply().text(), "ok");
}

#[test]
fn an_answer_that_stands_still_is_ended() {
    let karbor = Scripted::new(|mut link| {
        link.request();
        link.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        link.until_closed();
    });
    let app = TestApp::before(karbor.address, "[upstream]\nidle_timeout = \"200ms\"");
    let mut client = app.client();
    client.send(&Request::new("GET", "/v1/p/plans").bytes());
    let broken = client.try_reply(false).unwrap_err();
    assert_eq!((broken.status, broken.body.as_slice()), (Some(200), b"half".as_slice()));
    assert!(!matches!(broken.kind, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{broken:?}");
    app.until_counted("upstream_failures_total", &[("kind", "idle-timeout")], 1.0);
    app.until_counted("requests_total", &[("outcome", "upstream-failed")], 1.0);
}

#[test]
fn a_passed_body_that_stands_still_is_refused() {
    let karbor = Scripted::new(|mut link| {
        link.head();
        link.until_closed();
    });
    let app = TestApp::before(karbor.address, "[upstream]\nidle_timeout = \"200ms\"");
    let mut client = app.client();
    let head = Request::new("PUT", "/v1/p/plans/q").field("Content-Length", "10").head();
    client.send(&[head, b"half".to_vec()].concat());
    assert_eq!(client.reply().own_fault(408).codes, ["body-timeout"]);
    client.expect_end();
    let lines = app.stop();
    assert_eq!(lines.len(), 1);
    assert_eq!((&lines[0]["verdict"], &lines[0]["refusal"]), (&"refused".into(), &"body-timeout".into()));
}

#[test]
fn a_client_that_does_not_read_is_cut() {
    let stage = stage("[server]\nwrite_timeout = \"300ms\"");
    let mut client = stage.client();
    client.send(&Request::new("GET", &format!("/v1/{PROJECT}/blob?bytes={}", 1_u64 << 40)).bytes());
    stage.app.until_counted("requests_in_flight", &[], 1.0);
    stage.app.until_counted("requests_total", &[("route", "pass"), ("outcome", "abandoned")], 1.0);
    stage.app.until_counted("requests_in_flight", &[], 0.0);
    stage.app.until_counted("connections", &[("side", "downstream")], 0.0);
}
