//! `/metrics`, `/livez`, `/readyz`, `/config` on an address of their own. Reads only.
//!
//! Every connection lives inside the one future of [`Bound::serve`], at most [`MAX_CONNECTIONS`] at once, each
//! for one request and a limited time: nothing is spawned, and what drops the future drops them all. The pages
//! stand in `pages`. Leaves saying what is ready to whoever holds the guards.

mod connections;
mod pages;
mod readiness;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;

use self::connections::{Asked, Connections};
pub use self::readiness::{Readiness, ReadinessGuard};
use crate::telemetry::metrics::MetricsHub;

/// The most connections served at once; a further one takes the place of one that has asked nothing.
pub const MAX_CONNECTIONS: usize = 64;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 128;
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest head, and what is written at once.
const HEAD_BYTES: usize = 16 * 1024;
/// A connection from its beginning to its end. Longer than Prometheus waits for a scrape as shipped.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);
/// How long answers under way may take after the order to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// After an accept that failed: for want of descriptors, the next would fail just as well.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What the admin side is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminOptions {
    /// Where to listen; loopback as shipped.
    pub listen: SocketAddr,
}

/// The admin listener, bound and not yet serving.
pub struct Bound {
    listener: TcpListener,
    addr: SocketAddr,
}

/// What the pages are made of. Clones show the same.
#[derive(Clone)]
pub struct Sources {
    /// For `/metrics`.
    pub hub: MetricsHub,
    /// For `/readyz`.
    pub readiness: Readiness,
    /// For `/config`: the configuration in force, as text without secrets.
    pub config: Arc<dyn Fn() -> String + Send + Sync>,
}

/// Binds the admin listener; `beside` that of another instance if need be. Needs no runtime.
pub fn bind(options: &AdminOptions, beside: bool) -> io::Result<Bound> {
    if options.listen.port() != 0 && !beside {
        // As for clients: another instance shares the address only where that is wanted.
        drop(listen(options.listen, false)?);
    }
    adopt(listen(options.listen, true)?.into())
}

/// Takes a listener that whoever started us has bound.
pub fn adopt(listener: TcpListener) -> io::Result<Bound> {
    listener.set_nonblocking(true)?;
    let addr = listener.local_addr()?;
    Ok(Bound { listener, addr })
}

fn listen(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

impl Bound {
    /// The address in fact bound.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves until `stop`, then for a moment what is under way. Fails only where the runtime cannot take the
    /// listener.
    pub async fn serve(self, sources: Sources, stop: impl Future<Output = ()>) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let mut connections = Connections::default();
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                () = connections.until_one_ends(), if !connections.is_empty() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let asked = Asked::default();
                        let served = connection(stream, asked.clone(), sources.clone());
                        connections.push(MAX_CONNECTIONS, asked, served);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "an admin connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        let _late = tokio::time::timeout(LAST_ANSWERS, connections.until_all_end()).await;
        Ok(())
    }
}

async fn connection(stream: TcpStream, asked: Asked, sources: Sources) {
    let service = service_fn(|request| {
        asked.note();
        let page = pages::answer(&request, &sources);
        async move { Ok::<_, Infallible>(page) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .keep_alive(false)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(CONNECTION_TIMEOUT, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "an admin connection broke"),
        Err(_elapsed) => tracing::debug!("an admin connection took too long"),
    }
}
