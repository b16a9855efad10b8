//! A stand-in Karbor in this process, for the `demo` command and for the whole-process tests.
//!
//! It behaves as Karbor 1.6 in noauth mode does in what matters to a client of checkpoints (facts, sections 2,
//! 3, 6, 7 and 8), leniencies included: what slips past a proxy has its effect here, and can be counted. It
//! drops the map of a creation, as Karbor does. Everything is in memory and bounded. Leaves printing and the
//! proxy in front of it to the callers.

mod answers;
mod blob;
mod checkpoints;
mod controller;
mod exchange;
mod guide;
mod json;
mod log;
mod pages;
mod plans;
mod query;
mod routes;
mod schema;
mod store;

pub use answers::PROVIDER_ID;
pub use blob::Checksum;
pub use guide::guide;
pub use log::{MAX_KEPT_BODY_BYTES, MAX_RECORDS, Record};
pub use pages::Bank;

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use self::exchange::Shared;
use self::json::Json;
use self::store::Plan;

/// The most connections at a time; further ones are closed at once.
const MAX_CONNECTIONS: usize = 4096;
/// The longest head, as Karbor's server: 64 KiB of fields and a request line of 8 KiB.
const MAX_HEAD_BYTES: usize = 72 * 1024;
/// Deep documents are read by recursion.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// A running stand-in. It ends when it is dropped.
#[derive(Debug)]
pub struct StandIn {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Listens on `address` (port 0 takes a free one) and serves on a thread of its own.
    ///
    /// # Errors
    ///
    /// The address cannot be bound, or the thread not started.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = StdListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _context = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = oneshot::channel();
        let served = serve(listener, Arc::clone(&shared), stopped);
        let thread = std::thread::Builder::new()
            .name("stand-in".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || runtime.block_on(served))?;
        Ok(Self { address, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Makes a plan with one resource for a project, as a client would, and gives its id.
    #[must_use]
    pub fn create_plan(&self, project: &str) -> String {
        let id = controller::fresh_id();
        let resource = Json::map([
            ("id", Json::text(&controller::fresh_id())),
            ("type", Json::text("OS::Glance::Image")),
            ("name", Json::text("demo-resource")),
        ]);
        self.shared.store().keep_plan(Plan {
            id: id.clone(),
            project: project.to_owned(),
            name: Json::text("demo-plan"),
            description: Json::Null,
            resources: vec![resource],
            provider: PROVIDER_ID.to_owned(),
            status: Json::text("suspended"),
            parameters: Json::map([]),
        });
        id
    }

    /// From now on lists are cut into pages as this bank does.
    pub fn keep_in(&self, bank: Bank) {
        self.shared.store().bank = bank;
    }

    /// How many checkpoints were ever made, copies included. Which request made which is in its [`Record`].
    #[must_use]
    pub fn created(&self) -> u64 {
        self.shared.store().created()
    }

    /// The requests received so far, oldest first, at most [`MAX_RECORDS`].
    #[must_use]
    pub fn log(&self) -> Vec<Record> {
        self.shared.log().records().to_vec()
    }

    /// Waits until the record is as wanted, and says whether it was within `limit`.
    pub fn wait_until(&self, limit: Duration, mut wanted: impl FnMut(&[Record]) -> bool) -> bool {
        let deadline = Instant::now() + limit;
        let mut log = self.shared.log();
        loop {
            if wanted(log.records()) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            log = self.shared.changed.wait_timeout(log, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends it: requests in flight are cut off, and the port is free when this returns.
    pub fn shutdown(mut self) {
        self.end();
    }

    /// Waits for the thread without a limit of time: nothing on it blocks, and its tasks end at their next await.
    fn end(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was already reported by the panic hook.
            let _ = thread.join();
        }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.end();
    }
}

/// Accepts until `stopped`; the connections end with the set that holds them.
async fn serve(listener: TcpListener, shared: Arc<Shared>, mut stopped: oneshot::Receiver<Infallible>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < MAX_CONNECTIONS => {
                    connections.spawn(converse(stream, Arc::clone(&shared)));
                }
                Ok(_) => {}
                // Out of file descriptors, most likely: trying at once would spin.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

async fn converse(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| exchange::answer(Arc::clone(&shared), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(exchange::IDLE_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service);
    // A client that breaks off is no concern of ours.
    let _ = connection.await;
}
