//! The admin side over real sockets, and the guards.

use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::*;

fn report() -> Report {
    let now = SystemTime::now();
    Report {
        started_at: now,
        workers: 1,
        listeners: Vec::new(),
        policy: "r1".to_owned(),
        reload: Reloading { successful: true, succeeded_at: now, last: None },
        ledger: None,
        usage: UsageReport::default(),
        latest_rejections: Vec::new(),
    }
}

fn options(token: TokenSource) -> AdminOptions {
    let listen = Listen::Tcp("127.0.0.1:0".parse().unwrap());
    AdminOptions { listen, unix_mode: 0o660, token, tls: None }
}

fn sources(readiness: &Readiness, token: TokenSource) -> Sources {
    Sources {
        hub: MetricsHub::bare(),
        readiness: readiness.clone(),
        config: Arc::new(|| "[server]\nworkers = 1  # default\n".to_owned()),
        report: Arc::new(report),
        options: Arc::new(move || options(token.clone())),
    }
}

fn bound() -> (Bound, SocketAddr) {
    let bound = bind(&options(TokenSource::None), None, None).unwrap();
    let Listen::Tcp(addr) = *bound.listen() else { panic!("a unix socket") };
    (bound, addr)
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), test).await.unwrap() })
}

/// Serves while `test` runs, then stops and waits for the end.
async fn with_admin(readiness: &Readiness, test: impl AsyncFnOnce(SocketAddr)) {
    with_guarded_admin(readiness, TokenSource::None, test).await;
}

async fn with_guarded_admin(readiness: &Readiness, token: TokenSource, test: impl AsyncFnOnce(SocketAddr)) {
    let (bound, addr) = bound();
    let (stop, stopped) = oneshot::channel::<()>();
    let serve = bound.serve(sources(readiness, token), async move {
        let _dropped = stopped.await;
    });
    let test = async {
        test(addr).await;
        drop(stop);
    };
    let (served, ()) = tokio::join!(serve, test);
    served.unwrap();
}

async fn ask(addr: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn check(addr: SocketAddr, method: &str, path: &str, status: u16, contains: &[&str]) {
    let answer = ask(addr, &format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {path}: {answer}");
    for text in contains {
        assert!(answer.contains(text), "{method} {path} without {text:?}: {answer}");
    }
}

#[test]
fn each_page_answers() {
    let readiness = Readiness::new();
    run(with_admin(&readiness, async |addr| {
        let all = ["text/html", "\"status\"", "\"metrics\"", "\"livez\"", "\"readyz\"", "\"config\""];
        check(addr, "GET", "/", 200, &all).await;
        check(addr, "GET", "/status", 200, &["text/html", "content-security-policy: ", "r1"]).await;
        check(addr, "GET", "/config", 200, &["workers = 1"]).await;
        check(addr, "GET", "/livez", 200, &["\r\n\r\nlive\n"]).await;
        check(addr, "GET", "/readyz", 200, &["\r\n\r\nready\n"]).await;
        check(addr, "GET", "/metrics", 200, &["version=0.0.4", "karbor_admission_build_info"]).await;
        check(addr, "GET", "/metrics?debug=1", 200, &["karbor_admission_build_info"]).await;
        check(addr, "GET", "/nothing", 404, &["no such page", "/metrics", "/readyz"]).await;
        check(addr, "POST", "/metrics", 405, &["allow: GET, HEAD", "only GET"]).await;
        check(addr, "DELETE", "/nothing", 405, &["allow: GET, HEAD"]).await;
        let rebound = "GET /status HTTP/1.1\r\nHost: example.org\r\n\r\n";
        assert!(ask(addr, rebound).await.starts_with("HTTP/1.1 421 "));
        assert!(ask(addr, &rebound.replace("/status", "/readyz")).await.starts_with("HTTP/1.1 200 "));
    }));
}

#[test]
fn a_head_request_has_no_body() {
    let readiness = Readiness::new();
    run(with_admin(&readiness, async |addr| {
        let answer = ask(addr, "HEAD /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("content-length: 5"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }));
}

#[test]
fn not_ready_says_why() {
    let readiness = Readiness::new();
    run(with_admin(&readiness, async |addr| {
        let (listener, policy) = (readiness.wait_for("listener"), readiness.wait_for("policy"));
        check(addr, "GET", "/readyz", 503, &["not ready\nwaiting for listener\nwaiting for policy\n"]).await;
        drop(listener);
        check(addr, "GET", "/readyz", 503, &["not ready\nwaiting for policy\n"]).await;
        drop(policy);
        check(addr, "GET", "/readyz", 200, &["ready"]).await;
        readiness.not_ready("draining");
        check(addr, "GET", "/readyz", 503, &["not ready\ndraining\n"]).await;
        check(addr, "GET", "/livez", 200, &["live"]).await;
    }));
}

#[test]
fn silent_clients_neither_starve_others_nor_hold_up_the_end() {
    let readiness = Readiness::new();
    let mut silent = Vec::new();
    let begin = Instant::now();
    run(with_admin(&readiness, async |addr| {
        for _ in 0..MAX_CONNECTIONS - 1 {
            silent.push(TcpStream::connect(addr).await.unwrap());
        }
        check(addr, "GET", "/livez", 200, &["live"]).await;
    }));
    assert!(begin.elapsed() < HEAD_TIMEOUT, "waited for clients that say nothing");
}

#[test]
fn the_oldest_silent_client_makes_room_for_a_new_one() {
    let readiness = Readiness::new();
    run(with_admin(&readiness, async |addr| {
        let mut silent = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            silent.push(TcpStream::connect(addr).await.unwrap());
        }
        for (path, text) in [("/livez", "live"), ("/readyz", "ready"), ("/metrics", "build_info")] {
            check(addr, "GET", path, 200, &[text]).await;
        }
        assert_eq!(silent.remove(0).read(&mut [0]).await.unwrap(), 0, "the oldest goes");
        let others = silent.iter().map(|stream| stream.try_read(&mut [0]).map_err(|error| error.kind()));
        let open = others.filter(|read| *read == Err(io::ErrorKind::WouldBlock)).count();
        assert_eq!(open, MAX_CONNECTIONS - 1, "and nobody else");
    }));
}

#[test]
fn a_taken_address_is_an_error() {
    let (_first, addr) = bound();
    let taken = bind(&AdminOptions { listen: Listen::Tcp(addr), ..options(TokenSource::None) }, None, None);
    assert_eq!(taken.err().map(|error| error.kind()), Some(io::ErrorKind::AddrInUse));
}

#[test]
fn serving_can_move_between_threads() {
    fn takes_send(_: &(impl Future + Send)) {}
    let (bound, _) = bound();
    let serve = bound.serve(sources(&Readiness::new(), TokenSource::None), std::future::pending());
    takes_send(&serve);
}

#[test]
fn whoever_shows_no_token_is_told_what_to_show() {
    let readiness = Readiness::new();
    let token = TokenSource::Given(Token::new("0123456789abcdef").unwrap());
    run(with_guarded_admin(&readiness, token, async |addr| {
        for path in ["/", "/status", "/config", "/metrics", "/nothing"] {
            check(addr, "GET", path, 401, &["www-authenticate: Bearer realm="]).await;
            check(addr, "HEAD", path, 401, &["www-authenticate: Bearer realm="]).await;
        }
        check(addr, "GET", "/livez", 200, &["live"]).await;
        check(addr, "GET", "/readyz", 200, &["ready"]).await;
        check(addr, "POST", "/livez", 405, &["allow: GET, HEAD"]).await;
        let shown = "GET /status HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer 0123456789abcdef\r\n\r\n";
        let answer = ask(addr, shown).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }));
}

#[test]
fn where_everybody_gets_there_it_is_not_bound_without_a_guard() {
    let listen = Listen::Tcp("0.0.0.0:0".parse().unwrap());
    let open = AdminOptions { listen, ..options(TokenSource::None) };
    let refused = bind(&open, None, None).err().unwrap();
    assert!(refused.to_string().contains("admin.token_file and admin.tls"), "{refused}");
    let handed = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    assert!(bind(&options(TokenSource::None), None, Some(handed)).is_err());
    let handed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = handed.local_addr().unwrap();
    let bound = bind(&open, None, Some(handed)).unwrap();
    assert_eq!(*bound.listen(), Listen::Tcp(addr));
}
