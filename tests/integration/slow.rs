//! Many clients that dribble, at the same time: others are served meanwhile, and each dribbler ends by the
//! bound on what it does. Figures at 5 000 of them: `tests/load`.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

use crate::support::{
    Client, PATIENCE, PROJECT, Request, Scripted, Stage, TestApp, checkpoints, eventually, resident_bytes,
    stage, until_read,
};

/// Of each kind. Both ends of every connection are descriptors of this process.
const EACH: usize = 50;
/// Between two bytes of one client.
const PAUSE: Duration = Duration::from_millis(100);
/// Other tests take memory of this process meanwhile; an answer that is not streamed would take all there is.
const GROWTH_BYTES: u64 = 256 << 20;

/// One client that dribbles.
struct Dribbler {
    client: Client,
    /// What it sends, again and again from the start; it only reads where that is empty.
    bytes: Vec<u8>,
    sent: usize,
    ended: bool,
}

impl Dribbler {
    /// Sends `begun` at once.
    fn after(stage: &Stage, begun: &[u8], bytes: &[u8]) -> Self {
        let mut client = stage.client();
        client.send(begun);
        client.wire.stream.set_nonblocking(true).unwrap();
        Self { client, bytes: bytes.to_vec(), sent: 0, ended: false }
    }

    /// One byte more, unless there is an answer or an end.
    fn dribble(&mut self) {
        let mut stream = &self.client.wire.stream;
        let mut byte = [0];
        let outcome = match self.bytes.get(self.sent % self.bytes.len().max(1)) {
            // What came before a reset is still there to be read, however much it is.
            None => match stream.take_error().unwrap() {
                None => stream.read(&mut byte),
                Some(_reset) => Ok(0),
            },
            Some(next) => match stream.peek(&mut byte) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => stream.write(&[*next]),
                _ => Ok(0),
            },
        };
        self.sent += 1;
        self.ended = !match outcome {
            Ok(done) => done > 0,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        };
    }
}

fn many(make: impl Fn() -> Dribbler) -> Vec<Dribbler> {
    (0..EACH).map(|_| make()).collect()
}

#[test]
fn dribbling_clients_end_by_their_bounds_and_others_are_served() {
    let stage = stage(
        "[server]\nhead_timeout = \"2s\"\nbody_timeout = \"2s\"\nwrite_timeout = \"2s\"\nbody_budget = \"1 MiB\"",
    );
    let before = resident_bytes();
    let list = Request::new("GET", &checkpoints(PROJECT));
    let creation = stage.creation(r#"{"x-a--b": "c"}"#);
    let promised = |request: Request| request.field("Content-Length", "100000").head();
    let reviewed = promised(stage.creation("null").without("Content-Length"));
    let passed = promised(Request::new("PUT", &format!("/v1/{PROJECT}/blob")));
    let endless = Request::new("GET", &format!("/v1/{PROJECT}/blob?bytes={}", 1_u64 << 40)).bytes();
    let mut kinds = [
        many(|| Dribbler::after(&stage, b"GET / HTTP/1.1\r\nHost: karbor.test\r\nX-Test: ", b"x")),
        many(|| Dribbler::after(&stage, &reviewed, b" ")),
        many(|| Dribbler::after(&stage, &passed, b"x")),
        many(|| Dribbler::after(&stage, &endless, b"")),
    ];
    let (mut bystander, mut created, mut rounds) = (stage.client(), 0, 0_u64);
    let begun = Instant::now();
    while kinds.iter().flatten().any(|dribbler| !dribbler.ended) {
        assert!(begun.elapsed() < 3 * PATIENCE, "some were never ended");
        for dribbler in kinds.iter_mut().flatten().filter(|dribbler| !dribbler.ended) {
            dribbler.dribble();
        }
        assert_eq!(bystander.ask(&list).status, 200);
        if rounds.is_multiple_of(10) {
            assert_eq!(bystander.ask(&creation).status, 200);
            created += 1;
        }
        rounds += 1;
        assert!(resident_bytes().saturating_sub(before) < GROWTH_BYTES);
        std::thread::sleep(PAUSE);
    }
    let [heads, reviewed, passed, readers] = kinds;
    for (dribblers, code) in [(heads, "head-timeout"), (reviewed, "body-timeout"), (passed, "body-timeout")] {
        for mut dribbler in dribblers {
            dribbler.client.wire.stream.set_nonblocking(false).unwrap();
            assert_eq!(dribbler.client.reply().own_fault(408).codes, [code]);
        }
    }
    drop(readers);
    for (reason, count) in [("head-timeout", EACH), ("body-timeout", 2 * EACH)] {
        stage.app.until_counted("refusals_total", &[("reason", reason)], count as f64);
    }
    stage.app.until_counted("requests_total", &[("outcome", "abandoned")], EACH as f64);
    stage.app.until_counted("requests_in_flight", &[], 0.0);
    drop(bystander);
    stage.app.until_counted("connections", &[("side", "downstream")], 0.0);
    assert_eq!(stage.karbor.created(), created, "nothing that was not whole was created");
    assert_eq!(stage.end().iter().filter(|line| line["verdict"] == "refused").count(), 3 * EACH);
}

/// Bodies that are promised and do not come take no memory; those that come share what there is.
#[test]
fn bodies_under_review_share_a_budget() {
    let stage = stage("[server]\nbody_budget = \"1 MiB\"");
    let half = |bytes: usize, framing: &str| {
        let mut client = stage.client();
        let head = stage.creation("null").without("Content-Length");
        let (head, body) = match framing {
            "chunked" => {
                (head.field("Transfer-Encoding", "chunked"), format!("{bytes:x}\r\n{}", " ".repeat(bytes)))
            }
            length => (head.field("Content-Length", length), " ".repeat(bytes)),
        };
        client.send(&[head.head(), body.into_bytes()].concat());
        until_read(&client.wire.stream);
        client
    };
    let promised: Vec<_> = (0..20).map(|_| half(1, "131072")).collect();
    let whole = stage.creation("null");
    assert_eq!(stage.ask(&whole).status, 200);
    // Each fills what the larger ones leave.
    let sizes = [100_000, 10_000, 1000, 100].into_iter().flat_map(|bytes| [bytes; 30]);
    let framings = ["131072", "chunked"].into_iter().cycle();
    let held: Vec<_> = sizes.zip(framings).map(|(bytes, framing)| half(bytes, framing)).collect();
    eventually("there is no more room", || stage.ask(&whole).status == 503);
    let refused = stage.ask(&whole);
    assert_eq!(refused.own_fault(503).codes, ["body-budget"]);
    assert!(refused.fields.one("retry-after").is_some(), "{refused:?}");
    assert_eq!(stage.ask(&Request::new("GET", &checkpoints(PROJECT))).status, 200);
    drop((promised, held));
    eventually("there is room again", || stage.ask(&whole).status == 200);
}

/// A client that was slow to take its answer is idle like any other from then on.
#[test]
fn a_stall_that_is_over_leaves_nothing_behind() {
    // More than the system takes, and no more beyond that than hyper does.
    const BYTES: usize = 170_000;
    let karbor = Scripted::new(|mut link| {
        while link.request().is_some() {
            link.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {BYTES}\r\n\r\n{}", "x".repeat(BYTES)));
        }
    });
    let settings = "[server]\nkeep_alive_timeout = \"300ms\"\nwrite_timeout = \"1m\"";
    let app = TestApp::before(karbor.address, settings);
    let mut client = app.client();
    socket2::SockRef::from(&client.wire.stream).set_recv_buffer_size(4096).unwrap();
    client.send(&Request::new("GET", "/v1/p/plans").bytes());
    karbor.until_seen(1);
    // All of it is handed over, and most of it waits for the client.
    app.until_counted("requests_in_flight", &[], 0.0);
    assert_eq!(client.reply().text().len(), BYTES);
    let read = Instant::now();
    assert_eq!(client.wire.stream.read(&mut [0]).unwrap(), 0);
    assert!(read.elapsed() < Duration::from_secs(20), "{:?}", read.elapsed());
    app.stop();
}
