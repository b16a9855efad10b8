//! `/status`, `/metrics`, `/livez`, `/readyz`, `/config` on a listener of their own. Reads only.
//!
//! Every connection lives inside the one future of [`Bound::serve`], at most [`MAX_CONNECTIONS`] at once, each
//! for one request and a limited time: nothing is spawned, and what drops the future drops them all. The pages
//! stand in `pages` and `status`, who may read them in `guard`. Leaves sockets and TLS to `server`, saying what is
//! ready to whoever holds the guards, and how the other parts stand to the wiring.

mod connections;
mod guard;
mod options;
mod pages;
mod readiness;
mod status;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::Instant;

use self::connections::{Asked, Connections};
use self::guard::Guard;
pub use self::options::{AdminOptions, GuardError, Token, TokenSource};
use self::pages::Desk;
pub use self::readiness::{Readiness, ReadinessGuard};
use self::status::MINUTE;
pub use self::status::{
    Attempt, LedgerState, Listening, QuotaUsage, Reloading, Report, STATUS_VERSION, TenantUsage, UsageReport,
};
use crate::server::{Listen, SideDoor, Takeover, Visitor};
use crate::telemetry::metrics::MetricsHub;

/// The most connections served at once; a further one takes the place of one that has asked nothing.
pub const MAX_CONNECTIONS: usize = 64;

const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest head, and what is written at once.
const HEAD_BYTES: usize = 16 * 1024;
/// A connection from its beginning to its end. Longer than Prometheus waits for a scrape as shipped.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);
/// How long answers under way may take after the order to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// After an accept that failed: for want of descriptors, the next would fail just as well.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The admin listener, bound and not yet serving.
pub struct Bound(SideDoor);

/// What the pages are made of. Clones show the same. None of it may wait: everybody who asks would.
#[derive(Clone)]
pub struct Sources {
    /// For `/metrics`, and the numbers of `/status`.
    pub hub: MetricsHub,
    /// For `/readyz`.
    pub readiness: Readiness,
    /// For `/config`: the configuration in force, as text without secrets.
    pub config: Arc<dyn Fn() -> String + Send + Sync>,
    /// For `/status`: how the parts stand that this one does not know.
    pub report: Arc<dyn Fn() -> Report + Send + Sync>,
    /// The options in force. Where to listen is never taken from them.
    pub options: Arc<dyn Fn() -> AdminOptions + Send + Sync>,
}

/// Binds the admin listener; `beside` that of another instance if need be. What whoever started us has bound is taken
/// instead. Needs no runtime.
///
/// # Errors
/// When the place is taken or not ours, or everybody on the network could read there.
pub fn bind(
    options: &AdminOptions,
    beside: Option<&Takeover>,
    handed: Option<TcpListener>,
) -> io::Result<Bound> {
    let door = SideDoor::bind(&options.listen, options.unix_mode, beside, handed)?;
    if !options.may_be_at(door.listen()) {
        let words = "others than this machine would get there, so admin.token_file and admin.tls must be set";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
    }
    Ok(Bound(door))
}

impl Bound {
    /// Where it in fact listens.
    #[must_use]
    pub fn listen(&self) -> &Listen {
        self.0.listen()
    }

    /// Serves until `stop`, then for a moment what is under way. Fails only where the runtime cannot take the
    /// listener.
    pub async fn serve(self, sources: Sources, stop: impl Future<Output = ()>) -> io::Result<()> {
        let listen = self.0.listen().clone();
        let mut door = self.0.open()?;
        let (options, desk) = (sources.options.clone(), Desk::new(sources));
        let mut connections = Connections::default();
        let mut minutes = tokio::time::interval_at(Instant::now() + MINUTE, MINUTE);
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                () = connections.until_one_ends(), if !connections.is_empty() => {}
                _ = minutes.tick() => desk.close_minute(),
                accepted = door.accept() => match accepted {
                    Ok(visitor) => {
                        let (asked, guard) = (Asked::default(), Guard::at(&listen, options()));
                        let served = connection(visitor, asked.clone(), desk.clone(), guard);
                        connections.push(MAX_CONNECTIONS, asked, served);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "an admin connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(door);
        let _late = tokio::time::timeout(LAST_ANSWERS, connections.until_all_end()).await;
        Ok(())
    }
}

async fn connection(visitor: Visitor, asked: Asked, desk: Desk, guard: Guard) {
    if !guard.receives() {
        tracing::error!("the admin side needs a token and TLS where it listens, and has lost them");
        return;
    }
    let conversed = async {
        let Some(channel) = visitor.receive(guard.options.tls.clone()).await else { return Ok(()) };
        let service = service_fn(|request| {
            asked.note();
            let page = pages::answer(&request, &desk, &guard);
            async move { Ok::<_, Infallible>(page) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .keep_alive(false)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(channel), service);
        connection.await
    };
    match tokio::time::timeout(CONNECTION_TIMEOUT, conversed).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "an admin connection broke"),
        Err(_elapsed) => tracing::debug!("an admin connection took too long"),
    }
}
