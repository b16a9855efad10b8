//! What the tests stand on: the real `App` on free ports, clients that look at every byte, Karbors that
//! misbehave on order.
//!
//! `app` the proxy under test; `process` the same as a process; `stage` the proxy before the stand-in; `scripted`
//! upstreams of our own; `client`, `request`, `reply` the client's side; `message` HTTP as bytes; `tunnel` other ways to
//! the proxy, `certificates` for them; `html` pages; `http2` a client, `frames` the bytes of one that is none; `metrics` and `system`
//! what can
//! be observed from outside. Nothing here waits without a bound.

mod app;
mod certificates;
mod client;
pub(crate) mod frames;
mod gate;
mod html;
mod http2;
mod ledger;
mod message;
mod metrics;
mod process;
mod reply;
mod request;
mod scripted;
mod stage;
mod system;
mod tunnel;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

pub(crate) use app::{TestApp, config};
pub(crate) use certificates::{Authority, Issued, speaking, trusting};
pub(crate) use client::Client;
pub(crate) use frames::Frames;
pub(crate) use gate::Gate;
pub(crate) use html::Page;
pub(crate) use http2::Http2;
pub(crate) use ledger::LedgerFolder;
pub(crate) use message::{Fields, Wire};
pub(crate) use metrics::Metrics;
pub(crate) use process::Ground;
pub(crate) use reply::{Fault, Reply};
pub(crate) use request::{PROJECT, Request, TOKEN, checkpoints};
pub(crate) use scripted::{Link, Scripted, json_answer};
pub(crate) use stage::{Stage, body_of, stage};
pub(crate) use system::{resident_bytes, until_read, until_server_closed};
pub(crate) use tunnel::Tunnel;

/// How long anything may take that should happen at once: generous, because the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// An address that refuses connections. It is held for as long as the process lives, or another test would get it.
pub(crate) fn refusing() -> SocketAddr {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    // Bound, and nobody listens.
    std::mem::forget(socket);
    address
}

/// Looks again and again until `holds`.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
