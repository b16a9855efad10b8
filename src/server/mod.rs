//! Connections: accept, bounds, timeouts. Takes a handler; knows nothing of what a request means.
//!
//! Leaves sockets that listen to `listener`.

mod connection;
mod guard;
mod listener;
mod room;
mod stay;

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tokio::net::TcpStream;

pub use guard::InBody;
use listener::Accepting;
pub use listener::{Listener, adopt, bind};
pub use room::Room;
pub use stay::Stay;

use crate::drain::{self, Watcher};
use crate::telemetry::log::Throttle;
use crate::wire::Refusal;

/// What the server side is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Threads, each with its own listener and connections.
    pub workers: NonZeroUsize,
    /// Open connections, all workers together.
    pub max_connections: usize,
    /// From the first byte of a head to its last.
    pub head_timeout: Duration,
    /// How long a connection may stay without a request.
    pub keep_alive_timeout: Duration,
    /// How long a client may leave what was written to it untaken.
    pub write_timeout: Duration,
    /// The longest request line, in bytes. Karbor reads 8192.
    pub max_request_line_bytes: usize,
    /// The largest head, in bytes. Karbor reads 65536.
    pub max_head_bytes: usize,
    /// The most fields of a head. Karbor reads 99, and the proxy adds five.
    pub max_fields: usize,
    /// Open connections of one address; none for any number.
    pub max_connections_per_address: Option<usize>,
    /// Requests after which a connection is closed.
    pub max_requests_per_connection: u64,
    /// From the order to shut down to closing the listeners: for load balancers to see that it is not ready.
    pub drain_delay: Duration,
    /// How long a connection without a request is kept once the listeners are closed: its client may be writing one.
    pub drain_idle: Duration,
    /// How long requests in flight may go on after the listeners are closed.
    pub drain_timeout: Duration,
}

/// What is done with requests. One for each worker; it never leaves its thread.
pub trait Handler: 'static {
    /// The body of an answer.
    type Body: Body<Data = Bytes, Error = Self::BodyError> + Unpin + 'static;
    /// What can go wrong within it.
    type BodyError: std::error::Error + Send + Sync + 'static;
    /// What the handler keeps of a connection while it lasts, and while anything is done for its client.
    type Peer: 'static;

    /// Whether `address` may open as many connections as there is room for.
    fn trusts(&self, address: IpAddr) -> bool;

    /// A connection was accepted. The peer keeps the stay.
    fn greet(&self, address: SocketAddr, stay: Rc<Stay>) -> Self::Peer;

    /// Answers one request. Dropped when the client leaves.
    fn handle(
        self: Rc<Self>,
        peer: Rc<Self::Peer>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Self::Body>> + 'static;

    /// The whole answer, status line included, to a head that was refused before it was a request.
    fn refuse(&self, peer: &Self::Peer, refusal: Refusal) -> Bytes;

    /// The whole answer to a connection there is no room for.
    fn turn_away(&self) -> Bytes;

    /// The system could not accept a connection.
    fn cannot_accept(&self);
}

/// The options in force, for one worker. A reload replaces them; what was read of them once stays.
#[derive(Debug)]
pub struct LiveOptions(RefCell<Rc<ServerOptions>>);

impl LiveOptions {
    /// These.
    #[must_use]
    pub fn new(options: ServerOptions) -> Rc<Self> {
        Rc::new(Self(RefCell::new(Rc::new(options))))
    }

    /// These from now on. Open connections take the timeouts from them, new ones everything.
    pub fn replace(&self, options: ServerOptions) {
        self.0.replace(Rc::new(options));
    }

    fn current(&self) -> Rc<ServerOptions> {
        self.0.borrow().clone()
    }
}

/// Accepts on `listener` until the order to drain, and then what had connected by then; returns without waiting
/// for open connections, which hold the watcher.
///
/// # Errors
/// When the listener cannot be used.
pub async fn run<H: Handler>(
    listener: Listener,
    handler: Rc<H>,
    options: Rc<LiveOptions>,
    room: Room,
    mut watcher: Watcher,
) -> io::Result<()> {
    let listener = Accepting::on(listener)?;
    let warnings = Throttle::default();
    loop {
        let accepted = tokio::select! {
            () = watcher.draining() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, address)) => welcome(socket, address, &handler, &options, &room, &watcher),
            Err(error) => pause_after(&error, &*handler, &warnings).await,
        }
    }
    let handshakes = options.current().drain_idle;
    listener
        .leave(handshakes, |socket, address| {
            welcome(socket, address, &handler, &options, &room, &watcher);
        })
        .await;
    Ok(())
}

/// Gives a connection a place and a task of its own.
fn welcome<H: Handler>(
    socket: TcpStream,
    address: SocketAddr,
    handler: &Rc<H>,
    options: &Rc<LiveOptions>,
    room: &Room,
    watcher: &Watcher,
) {
    // Without it a head and a body written apart wait 40 ms for the client's acknowledgement.
    let _ = socket.set_nodelay(true);
    let exempt = handler.trusts(address.ip());
    let Some(place) = room.take(address.ip().to_canonical(), exempt) else {
        // One attempt, and no waiting: whoever fills the room must not take more of it this way.
        let _ = socket.try_write(&handler.turn_away());
        return;
    };
    let (handler, options) = (handler.clone(), options.clone());
    drain::spawn_awaited(watcher.clone(), |watcher| async move {
        let stay = Rc::new(Stay::at(place));
        let peer = Rc::new(handler.greet(address, stay.clone()));
        connection::serve(socket, handler, peer, stay, options, &watcher).await;
    });
}

/// Out of descriptors, say: trying again at once would only spin.
async fn pause_after<H: Handler>(error: &io::Error, handler: &H, warnings: &Throttle) {
    let about_one_connection = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    );
    if !about_one_connection {
        handler.cannot_accept();
        if let Some(held_back) = warnings.admit() {
            let hint = "raise the limit of open files, or lower server.max_connections";
            tracing::warn!(%error, hint, held_back, "cannot accept");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
