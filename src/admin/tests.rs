//! The admin side over real sockets, and the guards.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use super::*;
use crate::telemetry::metrics::{BuildInfo, MetricsOptions};

fn hub() -> MetricsHub {
    let options = MetricsOptions { named_tenants: Vec::new(), further_tenants: 0 };
    MetricsHub::new(&options, &BuildInfo::CURRENT).unwrap()
}

fn sources(readiness: &Readiness) -> Sources {
    let config = Arc::new(|| "[server]\nworkers = 1  # default\n".to_owned());
    Sources { hub: hub(), readiness: readiness.clone(), config }
}

fn bound() -> Bound {
    bind(&AdminOptions { listen: "127.0.0.1:0".parse().unwrap() }, false).unwrap()
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), test).await.unwrap() })
}

/// Serves while `test` runs, then stops and waits for the end.
async fn with_admin(readiness: &Readiness, test: impl AsyncFnOnce(SocketAddr)) {
    let bound = bound();
    let addr = bound.addr();
    let (stop, stopped) = oneshot::channel::<()>();
    let serve = bound.serve(sources(readiness), async move {
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
    let answer = ask(addr, &format!("{method} {path} HTTP/1.1\r\nHost: admin\r\n\r\n")).await;
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {path}: {answer}");
    for text in contains {
        assert!(answer.contains(text), "{method} {path} without {text:?}: {answer}");
    }
}

#[test]
fn each_page_answers() {
    let readiness = Readiness::new();
    run(with_admin(&readiness, async |addr| {
        check(addr, "GET", "/", 200, &["text/plain", "/metrics", "/livez", "/readyz"]).await;
        check(addr, "GET", "/livez", 200, &["\r\n\r\nlive\n"]).await;
        check(addr, "GET", "/readyz", 200, &["\r\n\r\nready\n"]).await;
        check(addr, "GET", "/metrics", 200, &["version=0.0.4", "karbor_admission_build_info"]).await;
        check(addr, "GET", "/metrics?debug=1", 200, &["karbor_admission_build_info"]).await;
        check(addr, "GET", "/nothing", 404, &["no such page", "/metrics", "/readyz"]).await;
        check(addr, "POST", "/metrics", 405, &["allow: GET, HEAD", "/metrics"]).await;
        check(addr, "DELETE", "/nothing", 405, &["allow: GET, HEAD"]).await;
    }));
}

#[test]
fn a_head_request_has_no_body() {
    let readiness = Readiness::new();
    run(with_admin(&readiness, async |addr| {
        let answer = ask(addr, "HEAD /livez HTTP/1.1\r\nHost: admin\r\n\r\n").await;
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
    let first = bound();
    let taken = bind(&AdminOptions { listen: first.addr() }, false);
    assert_eq!(taken.err().map(|error| error.kind()), Some(io::ErrorKind::AddrInUse));
}

#[test]
fn serving_can_move_between_threads() {
    fn takes_send(_: &(impl Future + Send)) {}
    let serve = bound().serve(sources(&Readiness::new()), std::future::pending());
    takes_send(&serve);
}
