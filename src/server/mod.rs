//! Connections: bind, accept, bounds, timeouts. Takes a handler; knows nothing of what a request means.

mod connection;
mod guard;
mod room;
mod stay;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use socket2::{Domain, Protocol, Socket, Type};

pub use guard::InBody;
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
    /// How long requests in flight may go on after the order to shut down.
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

/// One bound listener for each worker, all on the same address.
///
/// # Errors
/// When the address is taken or not ours.
pub fn bind(options: &ServerOptions) -> io::Result<Vec<TcpListener>> {
    if options.listen.port() != 0 {
        // With SO_REUSEPORT a second instance would silently share the port; without it, it is refused.
        drop(listen(options.listen, false)?);
    }
    let first = listen(options.listen, true)?;
    let address = first.local_addr()?;
    let others = (1..options.workers.get()).map(|_| listen(address, true));
    std::iter::once(Ok(first)).chain(others).collect()
}

fn listen(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    // What is accepted inherits them.
    bound_buffers(&socket)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    Ok(socket.into())
}

/// What the system may hold for a connection in each direction. Left to itself it takes megabytes for every
/// client that does not read, until the machine has no memory for any socket.
const SOCKET_BUFFER_BYTES: u32 = 128 * 1024;

fn bound_buffers(socket: &Socket) -> io::Result<()> {
    socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES as usize)?;
    // Not the send buffer: what is under way may be as much as the way takes.
    socket.set_tcp_notsent_lowat(SOCKET_BUFFER_BYTES)
}

/// Accepts on `listener` until the order to drain; returns without waiting for open connections, which
/// hold the watcher.
///
/// # Errors
/// When the listener cannot be used.
pub async fn run<H: Handler>(
    listener: TcpListener,
    handler: Rc<H>,
    options: Rc<ServerOptions>,
    room: Room,
    mut watcher: Watcher,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let warnings = Throttle::default();
    loop {
        let accepted = tokio::select! {
            () = watcher.draining() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        let (socket, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                pause_after(&error, &*handler, &warnings).await;
                continue;
            }
        };
        // Without it a head and a body written apart wait 40 ms for the client's acknowledgement.
        let _ = socket.set_nodelay(true);
        let exempt = handler.trusts(address.ip());
        let Some(place) = room.take(address.ip().to_canonical(), exempt) else {
            // One attempt, and no waiting: whoever fills the room must not take more of it this way.
            let _ = socket.try_write(&handler.turn_away());
            continue;
        };
        let (handler, options) = (handler.clone(), options.clone());
        drain::spawn_awaited(watcher.clone(), |watcher| async move {
            let stay = Rc::new(Stay::at(place));
            let peer = Rc::new(handler.greet(address, stay.clone()));
            connection::serve(socket, handler, peer, stay, options, &watcher).await;
        });
    }
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
