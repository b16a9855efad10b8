//! A worker's way to Karbor as its configuration changes.

use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Method, Uri};
use http_body::Frame;
use http_body_util::{BodyExt as _, Empty};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};

use super::*;
use crate::telemetry::metrics::MetricsHub;

/// A body that is there from the start.
struct Still;

impl Progress for Still {
    fn is_underway(&self) -> bool {
        false
    }

    fn last(&self) -> Option<Instant> {
        None
    }
}

fn options(endpoints: &[SocketAddr]) -> UpstreamOptions {
    let long = Duration::from_secs(20);
    UpstreamOptions {
        endpoints: endpoints.iter().copied().map(Endpoint::from).collect(),
        tls_files: TlsFiles::default(),
        tls: None,
        connect_timeout: long,
        first_byte_timeout: long,
        idle_timeout: long,
        pool_idle_timeout: long,
        pool_idle_per_worker: 8,
        resolve_period: long,
        ejection: EjectionRules {
            after_failures: 1,
            after_gateway_errors: None,
            first: Duration::from_secs(3600),
            most: Duration::from_secs(3600),
        },
        probe: None,
        places: Places { most: 8, queue: 8, patience: long },
    }
}

fn upstream(hub: &MetricsHub, endpoints: &[SocketAddr]) -> Upstream {
    Upstream::new(Rc::new(options(endpoints)), Rc::new(hub.worker().unwrap()))
}

/// Runs `test` as a worker would.
fn run(test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(30), test).await.unwrap() });
}

/// A Karbor that answers everything with `name`, in a chunk: so it is under way until it is read. Its connections end
/// when their peer leaves.
async fn karbor(name: &str) -> SocketAddr {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    saying(&format!("{head}{:x}\r\n{name}\r\n0\r\n\r\n", name.len())).await
}

/// A Karbor that answers each request with these bytes.
async fn saying(answer: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, answer) = (listener.local_addr().unwrap(), Bytes::copy_from_slice(answer.as_bytes()));
    drain::spawn_cut(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            drain::spawn_cut(async move {
                let mut room = [0; 4096];
                while let Ok(1..) = stream.read(&mut room).await {
                    stream.write_all(&answer).await.unwrap();
                }
            });
        }
    });
    address
}

async fn begin(upstream: &Upstream) -> Result<Answer, Failure> {
    let (method, uri) = (Method::POST, Uri::from_static("/"));
    let head = Head { method, uri, headers: HeaderMap::new(), lines: Rc::default() };
    upstream.send(Outgoing::of(&head, Empty::<Bytes>::new()), &Still).await
}

/// Who answers.
async fn ask(upstream: &Upstream) -> Result<String, Failure> {
    end(begin(upstream).await?).await
}

async fn end(answer: Answer) -> Result<String, Failure> {
    let body = answer.into_parts().1.collect().await.map_err(Failure::broke_off)?.to_bytes();
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// The value of a metric of connections to Karbor.
fn connections(hub: &MetricsHub, name: &str) -> String {
    let start = format!("karbor_admission_{name}{{side=\"upstream\"}} ");
    hub.encode().lines().find_map(|line| line.strip_prefix(&*start)).unwrap().to_owned()
}

fn opened(hub: &MetricsHub) -> String {
    connections(hub, "connections_total")
}

fn open(hub: &MetricsHub) -> String {
    connections(hub, "connections")
}

#[test]
fn an_update_changes_where_requests_go() {
    run(async {
        let (one, other) = (karbor("one").await, karbor("other").await);
        let hub = MetricsHub::bare();
        let upstream = upstream(&hub, &[one]);
        assert_eq!(ask(&upstream).await.unwrap(), "one");
        let under_way = begin(&upstream).await.unwrap();
        upstream.update(Rc::new(options(&[other])));
        assert_eq!(ask(&upstream).await.unwrap(), "other");
        assert_eq!(end(under_way).await.unwrap(), "one", "it ends where it began");
        upstream.update(Rc::new(options(&[one])));
        assert_eq!(ask(&upstream).await.unwrap(), "one");
        assert_eq!(opened(&hub), "3", "a connection to what was gone is not kept");
        let text = hub.encode();
        assert!(!text.contains(&other.to_string()), "{text}");
    });
}

#[test]
fn an_update_keeps_connections_and_health_of_what_stays() {
    run(async {
        let (one, other) = (karbor("one").await, karbor("other").await);
        let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let hub = MetricsHub::bare();
        let upstream = upstream(&hub, &[dead, one]);
        assert_eq!(ask(&upstream).await.unwrap(), "one");
        let ejected = |upstream: &Upstream| {
            let of = |state: &EndpointState| state.addresses.iter().any(|address| address.back_in.is_some());
            upstream.states().iter().map(of).collect::<Vec<_>>()
        };
        assert_eq!(ejected(&upstream), [true, false]);
        upstream.update(Rc::new(options(&[other, one, dead])));
        assert_eq!(ejected(&upstream), [false, false, true]);
        let mut who = vec![ask(&upstream).await.unwrap(), ask(&upstream).await.unwrap()];
        who.sort();
        assert_eq!(who, ["one", "other"]);
        assert_eq!(opened(&hub), "2", "that to `one` was kept");
        upstream.update(Rc::new(options(&[dead])));
        assert!(matches!(ask(&upstream).await, Err(Failure::AllEjected { .. })));
        let gone = options(&[one]);
        upstream.update(Rc::new(gone));
        upstream.update(Rc::new(options(&[dead])));
        assert_eq!(ejected(&upstream), [false], "what was gone begins anew");
    });
}

#[test]
fn an_update_widens_and_narrows_what_may_be_under_way() {
    run(async {
        let one = karbor("one").await;
        let upstream = upstream(&MetricsHub::bare(), &[one]);
        let most = |most| {
            let places = Places { most, queue: 1, patience: Duration::from_millis(50) };
            upstream.update(Rc::new(UpstreamOptions { places, ..options(&[one]) }));
        };
        most(1);
        let first = begin(&upstream).await.unwrap();
        assert!(matches!(begin(&upstream).await, Err(Failure::QueueTimeout)));
        most(2);
        let second = begin(&upstream).await.unwrap();
        most(1);
        end(first).await.unwrap();
        assert!(matches!(begin(&upstream).await, Err(Failure::QueueTimeout)), "one is still under way");
        end(second).await.unwrap();
        assert_eq!(ask(&upstream).await.unwrap(), "one");
    });
}

#[test]
fn nobody_waits_for_a_place_where_none_is_of_use() {
    run(async {
        let one = karbor("one").await;
        let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let upstream = upstream(&MetricsHub::bare(), &[one]);
        let under_way = begin(&upstream).await.unwrap();
        upstream.update(Rc::new(options(&[dead])));
        assert!(ask(&upstream).await.is_err(), "it is left alone from now on");
        let places = Places { most: 1, queue: 1, patience: Duration::from_millis(50) };
        upstream.update(Rc::new(UpstreamOptions { places, ..options(&[dead]) }));
        assert!(matches!(begin(&upstream).await, Err(Failure::AllEjected { .. })));
        end(under_way).await.unwrap();
    });
}

#[test]
fn the_state_of_each_endpoint_is_told() {
    run(async {
        let one = karbor("one").await;
        let mut options = options(&[one]);
        options.endpoints.push(Endpoint::Unix("/run/nobody.sock".into()));
        let upstream: Upstream =
            Upstream::new(Rc::new(options), Rc::new(MetricsHub::bare().worker().unwrap()));
        let answer = begin(&upstream).await.unwrap();
        let [http, unix] = upstream.states().try_into().unwrap();
        assert_eq!(http.endpoint, format!("http://{one}"));
        let address = AddressState { address: one.to_string(), requests: 1, back_in: None };
        assert_eq!((http.addresses, http.unresolved), (vec![address], None));
        assert_eq!((unix.endpoint.as_str(), unix.addresses.len()), ("unix:/run/nobody.sock", 1));
        end(answer).await.unwrap();
        assert_eq!(upstream.states()[0].addresses[0].requests, 0);
    });
}

/// A body of which one part is there, and which ends when it is told to.
struct Slow {
    part: Option<Bytes>,
    ended: tokio::sync::oneshot::Receiver<()>,
}

impl Body for Slow {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.part.take() {
            Some(part) => Poll::Ready(Some(Ok(Frame::data(part)))),
            None => Pin::new(&mut self.ended).poll(cx).map(|_told| None),
        }
    }
}

#[test]
fn a_connection_counts_for_as_long_as_a_request_is_sent_on_it() {
    run(async {
        let one = karbor("one").await;
        let hub = MetricsHub::bare();
        let upstream = upstream(&hub, &[one]);
        let (end_it, ended) = tokio::sync::oneshot::channel();
        let head = Head {
            method: Method::POST,
            uri: Uri::from_static("/"),
            headers: HeaderMap::new(),
            lines: Rc::default(),
        };
        let body = Slow { part: Some(Bytes::from_static(b"begun")), ended };
        let answer = upstream.send(Outgoing::of(&head, body), &Still).await.unwrap();
        assert_eq!(end(answer).await.unwrap(), "one");
        assert_eq!(open(&hub), "1", "its answer is over, and it is not");
        assert_eq!(upstream.states()[0].addresses[0].requests, 0);
        end_it.send(()).unwrap();
        while open(&hub) != "0" {
            tokio::task::yield_now().await;
        }
        assert_eq!(ask(&upstream).await.unwrap(), "one");
        assert_eq!(opened(&hub), "2", "another connection");
    });
}

#[test]
fn an_answer_that_came_whole_holds_nothing() {
    for (answer, expected, connections) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none", "one", "1"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", "1"),
        ("HTTP/1.1 204 No Content\r\n\r\n", "", "1"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\none", "one", "2"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\none", "one", "2"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nones", "one", "2"),
        ("HTTP/1.1 204 No Content\r\n\r\nx", "", "2"),
    ] {
        run(async {
            let hub = MetricsHub::bare();
            let upstream = upstream(&hub, &[saying(answer).await]);
            let first = begin(&upstream).await.unwrap();
            assert_eq!(upstream.states()[0].addresses[0].requests, 0, "{answer}");
            let second = begin(&upstream).await.unwrap();
            assert_eq!(opened(&hub), connections, "{answer}");
            for answered in [first, second] {
                assert_eq!(end(answered).await.unwrap(), expected, "{answer}");
            }
        });
    }
}

/// A part of a read holds all of the memory that was read into.
#[test]
fn crumbs_of_an_answer_hold_no_more_than_themselves() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drain::spawn_cut(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncrumb").await.unwrap();
            let _left = stream.read(&mut [0; 4096]).await;
            std::future::pending::<()>().await;
        });
        let upstream = upstream(&MetricsHub::bare(), &[address]);
        let (_, mut body) = begin(&upstream).await.unwrap().into_parts();
        let crumb = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(crumb, "crumb");
        assert!(crumb.is_unique());
    });
}
