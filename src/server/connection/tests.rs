//! Connections that are parked and talk again, by a clock of the tests' own: nothing is lost, nothing is forgotten.

use std::num::NonZeroUsize;
use std::time::Duration;

use http::request::Parts;
use http_body_util::Full;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::sleep;

use super::*;
use crate::drain::Trigger;
use crate::server::Room;
use crate::server::socket::{Socket, Stream};
use crate::telemetry::exchange::Client;
use crate::telemetry::metrics::Handshake;
use crate::wire::{Origin, Refusal};

const KEEP_ALIVE: Duration = Duration::from_secs(75);
const HEAD: Duration = Duration::from_secs(10);
const DRAIN_IDLE: Duration = Duration::from_secs(1);
const PARKED_BY: Duration = Duration::from_millis(100);
const GET: &[u8] = b"GET /path HTTP/1.1\r\nHost: h\r\n\r\n";

/// Answers each request with its path.
struct Echo;

impl Handler for Echo {
    type Body = Full<Bytes>;
    type BodyError = Infallible;
    type Peer = ();

    fn trusts(&self, _origin: Origin) -> bool {
        false
    }

    fn greet(&self, _client: Client, _stay: Rc<Stay>) {}

    async fn handle(self: Rc<Self>, _peer: Rc<()>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        Response::new(Full::new(Bytes::copy_from_slice(request.uri().path().as_bytes())))
    }

    fn refuse(&self, _peer: &(), refusal: Refusal) -> Bytes {
        Bytes::from(format!("refused: {refusal}"))
    }

    fn share(&self, _peer: &(), _stay: Rc<Stay>) {}

    fn decline(&self, _peer: &(), _head: &Parts, _refusal: Refusal) -> Response<Full<Bytes>> {
        Response::default()
    }

    fn not_believed(&self) {}

    fn turn_away(&self) -> Bytes {
        Bytes::new()
    }

    fn handshake_ended(&self, _outcome: Handshake) {}

    fn cannot_accept(&self) {}
}

fn options(most_requests: u64) -> ServerOptions {
    ServerOptions {
        listen: Vec::new(),
        unix_mode: 0,
        workers: NonZeroUsize::MIN,
        max_connections: 1,
        head_timeout: HEAD,
        keep_alive_timeout: KEEP_ALIVE,
        write_timeout: Duration::from_secs(30),
        max_request_line_bytes: 8192,
        max_head_bytes: 65536,
        max_fields: 99,
        max_connections_per_address: None,
        max_requests_per_connection: most_requests,
        drain_delay: Duration::ZERO,
        drain_idle: DRAIN_IDLE,
        drain_timeout: Duration::ZERO,
        http2: true,
        max_streams: 1,
        proxy_protocol: false,
        tls: None,
    }
}

/// One connection, and what its place is taken from.
struct Stage {
    client: UnixStream,
    line: Line<Echo>,
    socket: Channel,
    trigger: Trigger,
    room: Room,
}

fn stage(most_requests: u64) -> Stage {
    let (client, socket) = UnixStream::pair().unwrap();
    let (trigger, room) = (Trigger::default(), Room::of(1, None));
    let stay = Rc::new(Stay::at(room.take(None).unwrap()));
    let live = LiveOptions::new(options(most_requests));
    let line = Line::new(Rc::new(Echo), Rc::new(()), stay, live, trigger.watcher());
    let socket = Channel::Plain(Stream::from(Socket::Unix(socket)));
    Stage { client, line, socket, trigger, room }
}

/// The answers to so many requests, or what came before the end.
async fn answers(client: &mut UnixStream, count: usize) -> String {
    let mut read = Vec::new();
    while read.windows(5).filter(|seen| seen == b"/path").count() < count
        && client.read_buf(&mut read).await.unwrap() > 0
    {}
    String::from_utf8(read).unwrap()
}

/// What becomes of a connection on which this is sent: whether it is parked, and after how long.
#[track_caller]
fn check(sent: &[u8], expected: (Due, Duration)) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let came = runtime.block_on(async {
        let Stage { mut client, line, socket, trigger: _trigger, .. } = stage(100);
        let (line, begun) = (Rc::new(line), Instant::now());
        let mut course = Course::new(&line.watcher);
        let mut timer = pin!(sleep_until(course.first_look(&line.standing, &line.options)));
        let parked = Parked { stream: expected_stream(&line.options, false), socket };
        client.write_all(sent).await.unwrap();
        let (_, due) = Box::pin(talk(&line, parked, &mut course, timer.as_mut())).await;
        (due, begun.elapsed())
    });
    let (due, after) = came;
    assert_eq!(due, expected.0, "{:?}", String::from_utf8_lossy(sent));
    assert!(
        after.abs_diff(expected.1) < Duration::from_millis(5),
        "{:?}: {after:?}",
        String::from_utf8_lossy(sent)
    );
}

#[test]
fn parks_only_what_is_at_rest() {
    let two = [GET, GET].concat();
    let half = [GET, b"GET /path HT"].concat();
    let line = [GET, b"\r\n"].concat();
    let bad = [GET, b"no request\r\n\r\n"].concat();
    let refused = |refusal| Due::End(End::Refused(refusal));
    check(b"", (Due::Park, PARKED_BY));
    check(GET, (Due::Park, PARKED_BY));
    check(&two, (Due::Park, PARKED_BY));
    check(b"GET /path HT", (refused(Refusal::HeadTimeout), HEAD));
    check(&half, (refused(Refusal::HeadTimeout), HEAD));
    // An empty line is held back until more comes.
    check(&line, (Due::End(End::Quiet), KEEP_ALIVE));
    check(&bad, (refused(Refusal::RequestLine), Duration::ZERO));
    // What is left of the body would be taken for a request.
    check(
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nGET",
        (Due::End(End::Quiet), Duration::ZERO),
    );
    check(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nGET", (Due::Park, PARKED_BY));
    check(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", (Due::End(End::Quiet), Duration::ZERO));
}

/// Requests that come just before, just as and just after the connection is parked, in one piece, in two, and
/// two at once.
#[tokio::test(start_paused = true)]
async fn loses_nothing_around_the_moment_of_parking() {
    let Stage { mut client, line, socket, trigger: _trigger, .. } = stage(u64::MAX);
    let talk = async {
        for micros in (99_000..102_000).step_by(50) {
            for split in [0, 1, GET.len() - 1] {
                sleep(Duration::from_micros(micros)).await;
                client.write_all(&GET[..split]).await.unwrap();
                if split == 1 {
                    sleep(Duration::from_micros(micros)).await;
                }
                client.write_all(&GET[split..]).await.unwrap();
                assert!(answers(&mut client, 1).await.ends_with("/path"), "{micros} {split}");
            }
            sleep(Duration::from_micros(micros)).await;
            client.write_all(&[GET, GET].concat()).await.unwrap();
            assert!(answers(&mut client, 2).await.ends_with("/path"), "{micros}");
        }
        drop(client);
    };
    tokio::join!(serve(line, socket), talk);
}

#[tokio::test(start_paused = true)]
async fn counts_requests_and_keeps_its_place_over_parks() {
    let Stage { mut client, line, socket, trigger: _trigger, room } = stage(3);
    let talk = async {
        for last in [false, false, true] {
            sleep(2 * PARKED_BY).await;
            assert_eq!(room.taken(), 1);
            client.write_all(GET).await.unwrap();
            let answer = answers(&mut client, 1).await;
            assert_eq!(answer.contains("connection: close"), last, "{answer}");
        }
        assert_eq!(answers(&mut client, 1).await, "");
    };
    tokio::join!(serve(line, socket), talk);
    assert_eq!(room.taken(), 0);
}

/// hyper has not begun with the connection anew, and would wait for a request.
#[tokio::test(start_paused = true)]
async fn refuses_a_head_after_a_park() {
    let Stage { mut client, line, socket, trigger: _trigger, .. } = stage(100);
    let talk = async {
        client.write_all(GET).await.unwrap();
        answers(&mut client, 1).await;
        sleep(2 * PARKED_BY).await;
        client.write_all(b"no request\r\n\r\n").await.unwrap();
        assert!(answers(&mut client, 1).await.starts_with("refused: "));
    };
    let begun = Instant::now();
    tokio::join!(serve(line, socket), talk);
    assert!(begun.elapsed() < 4 * PARKED_BY + Duration::from_secs(2), "{:?}", begun.elapsed());
}

/// Counted from the last answer, and not from when it was parked.
#[tokio::test(start_paused = true)]
async fn ends_a_parked_connection_in_time() {
    let Stage { mut client, line, socket, trigger: _trigger, .. } = stage(100);
    let talk = async {
        sleep(2 * PARKED_BY).await;
        client.write_all(GET).await.unwrap();
        answers(&mut client, 1).await;
        let answered = Instant::now();
        assert_eq!(answers(&mut client, 1).await, "");
        assert!(
            answered.elapsed().abs_diff(KEEP_ALIVE) < Duration::from_millis(5),
            "{:?}",
            answered.elapsed()
        );
    };
    tokio::join!(serve(line, socket), talk);
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_a_parked_connection() {
    let Stage { mut client, line, socket, trigger, .. } = stage(100);
    let talk = async {
        sleep(2 * PARKED_BY).await;
        trigger.order();
        let ordered = Instant::now();
        assert_eq!(answers(&mut client, 1).await, "");
        assert!(ordered.elapsed().abs_diff(DRAIN_IDLE) < Duration::from_millis(5), "{:?}", ordered.elapsed());
    };
    tokio::join!(serve(line, socket), talk);
}

#[tokio::test(start_paused = true)]
async fn a_drain_answers_what_a_parked_client_was_sending() {
    let Stage { mut client, line, socket, trigger, .. } = stage(100);
    let talk = async {
        sleep(2 * PARKED_BY).await;
        trigger.order();
        sleep(DRAIN_IDLE / 2).await;
        client.write_all(GET).await.unwrap();
        let answer = answers(&mut client, 1).await;
        assert!(answer.contains("connection: close") && answer.ends_with("/path"), "{answer}");
        assert_eq!(answers(&mut client, 1).await, "");
    };
    tokio::join!(serve(line, socket), talk);
}

/// What a parked connection holds is mostly this.
#[tokio::test(start_paused = true)]
async fn the_task_of_a_connection_is_small() {
    let Stage { line, socket, .. } = stage(1);
    let bytes = size_of_val(&serve(line, socket));
    assert!(bytes <= 768, "{bytes} bytes");
}
