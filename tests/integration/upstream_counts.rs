//! Every request that Karbor got counts once on its side, whatever became of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{
    Client, PROJECT, Request, Scripted, TestApp, body_of, checkpoints, eventually, json_answer,
};

const SETTINGS: &str = "[upstream]\nidle_timeout = \"200ms\"\nfirst_byte_timeout = \"400ms\"";
/// What Karbor says when it keeps silent.
const SILENCE: &str = "";

fn put() -> Request {
    Request::new("PUT", "/v1/p/plans/q").body("payload")
}

fn creation() -> Request {
    Request::new("POST", &checkpoints(PROJECT)).json(body_of("p", r#"{"x-a--b": "c"}"#))
}

/// Before a Karbor that counts heads, gives `answer` to each, and then waits for the end of the connection.
struct Counted {
    app: TestApp,
    karbor: Scripted,
    heads: Arc<AtomicUsize>,
}

impl Counted {
    fn answering(answer: &str) -> Self {
        let heads = Arc::new(AtomicUsize::new(0));
        let (answer, counting) = (answer.to_owned(), Arc::clone(&heads));
        let karbor = Scripted::new(move |mut link| {
            if link.head().is_some() {
                counting.fetch_add(1, Ordering::AcqRel);
                link.send(&answer);
                link.until_closed();
            }
        });
        Self { app: TestApp::before(karbor.address, SETTINGS), karbor, heads }
    }

    fn until_head(&self) {
        eventually("a head arrives", || self.heads.load(Ordering::Acquire) == 1);
    }

    /// One request was counted, with that status, and Karbor got as many.
    #[track_caller]
    fn check(self, expected: f64, status: &str) {
        let Self { app, karbor, heads } = self;
        app.until_counted("requests_in_flight", &[], 0.0);
        app.until_counted("requests_total", &[], 1.0);
        app.until_counted("upstream_requests_total", &[("status", status)], expected);
        app.until_counted("upstream_requests_total", &[], expected);
        app.stop();
        // Its threads have ended: it has read whatever there was.
        drop(karbor);
        assert_eq!(heads.load(Ordering::Acquire) as f64, expected);
    }
}

/// A client that sends `start`, `rest` once Karbor has the head, and stays until it has an answer.
#[track_caller]
fn check_with_patience(start: Vec<u8>, rest: &[u8], answer: &str, status: &str) {
    let counted = Counted::answering(answer);
    let mut client = counted.app.client();
    client.send(&start);
    counted.until_head();
    client.send(rest);
    client.reply();
    // It is let go first: a refused client is waited for a while.
    drop(client);
    counted.check(1.0, status);
}

#[test]
fn with_an_answer() {
    check_with_patience(put().bytes(), b"", "HTTP/1.1 204 No Content\r\n\r\n", "2xx");
    check_with_patience(put().bytes(), b"", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "4xx");
    check_with_patience(creation().bytes(), b"", &json_answer("{}"), "2xx");
    // Not passed on, and yet an answer.
    check_with_patience(put().bytes(), b"", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "1xx");
}

#[test]
fn without_an_answer() {
    for request in [put(), creation()] {
        check_with_patience(request.bytes(), b"", SILENCE, "none");
        check_with_patience(request.bytes(), b"", "nonsense\r\n\r\n", "none");
    }
}

#[test]
fn with_a_body_that_is_refused_midway() {
    let start = [put().chunked(7).head(), b"3\r\npay\r\n".to_vec()].concat();
    check_with_patience(start.clone(), b"zz\r\n", SILENCE, "none");
    let trailers = format!("0\r\nX-T: {}\r\n\r\n", "t".repeat(10_000));
    check_with_patience(start.clone(), trailers.as_bytes(), SILENCE, "none");
    // It stands still.
    check_with_patience(start, b"", SILENCE, "none");
}

#[track_caller]
fn check_departure(start: &[u8], leave: fn(Client)) {
    let counted = Counted::answering(SILENCE);
    let mut client = counted.app.client();
    client.send(start);
    counted.until_head();
    leave(client);
    counted.check(1.0, "none");
}

#[test]
fn when_the_client_leaves() {
    for leave in [drop::<Client>, Client::reset] {
        check_departure(&put().bytes(), leave);
        check_departure(&[put().head(), b"pay".to_vec()].concat(), leave);
        check_departure(&[put().chunked(7).head(), b"7\r\npay".to_vec()].concat(), leave);
    }
    // It is followed to its end all the same.
    check_departure(&creation().bytes(), drop);
}

#[test]
fn not_what_karbor_never_got() {
    let counted = Counted::answering(SILENCE);
    // The body is found bad before the head is on its way.
    let mut client = counted.app.client();
    client.send(&[put().chunked(7).head(), b"zz\r\n".to_vec()].concat());
    client.reply().own_fault(400);
    drop(client);
    counted.check(0.0, "none");

    let counted = Counted::answering(SILENCE);
    counted.app.client().ask(&creation().field("Expect", "nothing")).own_fault(417);
    counted.check(0.0, "none");
}
