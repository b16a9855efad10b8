//! Connections: accept, bounds, timeouts. Takes a handler; knows nothing of what a request means.
//!
//! Leaves sockets that listen to `listener`, accepting on them to `doors`.

mod connection;
mod doors;
mod guard;
mod http2;
mod listener;
mod preamble;
mod room;
mod side_door;
mod socket;
mod stay;
mod streams;
mod tls;

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;

pub use guard::InBody;
pub use listener::{BindError, Bound, Listen, Listener, Takeover, bind};
pub use room::Room;
pub use side_door::{OpenSideDoor, SideDoor, Visitor};
pub use stay::Stay;
pub use tls::{Certificates, ClientCertificates, TlsError, TlsOptions};

use crate::drain::{self, Watcher};
use crate::telemetry::exchange::Client;
use crate::telemetry::log::Throttle;
use crate::telemetry::metrics::Handshake;
use crate::wire::{Origin, Refusal};
use connection::Line;
use doors::Doors;
use room::Place;
use socket::{Channel, Stream};
use tokio::time::timeout;

/// What the server side is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// Where to listen.
    pub listen: Vec<Listen>,
    /// The mode of unix sockets that are made.
    pub unix_mode: u32,
    /// Threads, each with its own listeners and connections.
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
    /// Whether HTTP/2 is spoken too.
    pub http2: bool,
    /// Requests at once on one connection that speaks HTTP/2.
    pub max_streams: u32,
    /// Whether every connection must begin with a PROXY header, from whoever is trusted.
    pub proxy_protocol: bool,
    /// TLS on every address; none for plain HTTP. Unix sockets speak plain HTTP always.
    pub tls: Option<TlsOptions>,
}

impl ServerOptions {
    /// Until when each certificate holds, by its file, in seconds since 1970.
    #[must_use]
    pub fn certificate_expiries(&self) -> &[(PathBuf, i64)] {
        let loaded = self.tls.as_ref().and_then(|tls| tls.loaded.as_ref());
        loaded.map(Certificates::expiries).unwrap_or_default()
    }
}

/// What is done with requests. One for each worker; it never leaves its thread.
pub trait Handler: 'static {
    /// The body of an answer.
    type Body: Body<Data = Bytes, Error = Self::BodyError> + Unpin + 'static;
    /// What can go wrong within it.
    type BodyError: std::error::Error + Send + Sync + 'static;
    /// What the handler keeps of a connection while it lasts, and while anything is done for its client.
    type Peer: 'static;

    /// Whether whoever connects from there is trusted: it may open as many connections as there is room for.
    fn trusts(&self, origin: Origin) -> bool;

    /// A connection is ready for requests. The peer keeps the stay.
    fn greet(&self, client: Client, stay: Rc<Stay>) -> Self::Peer;

    /// Answers one request. Dropped when the client leaves.
    fn handle(
        self: Rc<Self>,
        peer: Rc<Self::Peer>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Self::Body>> + 'static;

    /// The whole answer, status line included, to a head that was refused before it was a request.
    fn refuse(&self, peer: &Self::Peer, refusal: Refusal) -> Bytes;

    /// The same client, for as long as one of its requests is under way beside others.
    fn share(&self, peer: &Self::Peer, stay: Rc<Stay>) -> Self::Peer;

    /// The answer to a request whose head was refused.
    fn decline(&self, peer: &Self::Peer, head: &Parts, refusal: Refusal) -> Response<Self::Body>;

    /// A connection is not served: its PROXY header is missing, or not to be believed.
    fn not_believed(&self);

    /// The whole answer to a connection there is no room for.
    fn turn_away(&self) -> Bytes;

    /// A TLS handshake ended so.
    fn handshake_ended(&self, outcome: Handshake);

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

/// Accepts on the listeners until the order to drain, and then what had connected by then; returns without
/// waiting for open connections, which hold the watcher.
///
/// # Errors
/// When a listener cannot be used.
pub async fn run<H: Handler>(
    listeners: Vec<Listener>,
    handler: Rc<H>,
    options: Rc<LiveOptions>,
    room: Room,
    mut watcher: Watcher,
) -> io::Result<()> {
    let mut doors = Doors::open(listeners)?;
    let warnings = Throttle::default();
    loop {
        let accepted = tokio::select! {
            () = watcher.draining() => break,
            accepted = poll_fn(|cx| doors.poll_accept(cx)) => accepted,
        };
        match accepted {
            Ok(accepted) => welcome(accepted, &handler, &options, &room, &watcher),
            Err(error) => pause_after(&error, &*handler, &warnings).await,
        }
    }
    let handshakes = options.current().drain_idle;
    doors.leave(handshakes, |accepted| welcome(accepted, &handler, &options, &room, &watcher)).await;
    Ok(())
}

/// Gives a connection a place and a task of its own.
fn welcome<H: Handler>(
    (stream, origin): (Stream, Origin),
    handler: &Rc<H>,
    live: &Rc<LiveOptions>,
    room: &Room,
    watcher: &Watcher,
) {
    stream.prepare();
    let options = live.current();
    let counted = origin.address().filter(|_| !handler.trusts(origin));
    let Some(place) = room.take(counted) else {
        // One attempt, and no waiting: whoever fills the room must not take more of it this way.
        let answer = handler.turn_away();
        if options.tls.is_none() || stream.is_unix() {
            stream.write_once(&answer);
        }
        return;
    };
    let (handler, live) = (handler.clone(), live.clone());
    let arrival = Arrival { stream, origin, place };
    drain::spawn_awaited(watcher.clone(), |watcher| async move {
        // In boxes, apart from what most connections are most of the time: a task is as large as all it may come to.
        let received = if arrival.has_preliminaries(&options) {
            let in_time = async {
                tokio::select! {
                    biased;
                    received = receive(arrival, &options, &*handler) => received,
                    () = overstayed(watcher.clone(), &live) => None,
                }
            };
            Box::pin(in_time).await
        } else {
            Some(arrival.unchanged())
        };
        if let Some((channel, client, place)) = received {
            let stay = Rc::new(Stay::at(place));
            let peer = Rc::new(handler.greet(client, stay.clone()));
            if channel.speaks_http2() {
                Box::pin(http2::serve(channel, handler, peer, stay, live, &watcher)).await;
            } else {
                connection::serve(Line::new(handler, peer, stay, live, watcher), channel).await;
            }
        }
    });
}

/// Ready when whoever has not asked anything is waited for no longer: a request of it may be under way when the
/// order to drain comes.
async fn overstayed(mut watcher: Watcher, live: &LiveOptions) {
    watcher.draining().await;
    tokio::time::sleep(live.current().drain_idle).await;
}

/// A connection that was accepted, and has said nothing yet.
struct Arrival {
    stream: Stream,
    origin: Origin,
    place: Place,
}

impl Arrival {
    /// Whether anything comes before its first request.
    fn has_preliminaries(&self, options: &ServerOptions) -> bool {
        options.proxy_protocol || self.tls(options).is_some()
    }

    fn tls<'a>(&self, options: &'a ServerOptions) -> Option<&'a TlsOptions> {
        options.tls.as_ref().filter(|_| !self.stream.is_unix())
    }

    /// Nothing is encrypted, and the client is who it seems to be.
    fn unchanged(self) -> (Channel, Client, Place) {
        let client = Client { origin: self.origin, secure: false, certificate: None };
        (Channel::Plain(self.stream), client, self.place)
    }
}

/// What comes before the first request: who it is, and TLS.
async fn receive<H: Handler>(
    mut arrival: Arrival,
    options: &ServerOptions,
    handler: &H,
) -> Option<(Channel, Client, Place)> {
    let tls = arrival.tls(options);
    if options.proxy_protocol {
        let Arrival { stream, origin, place } = &mut arrival;
        *origin = who_is_behind(stream, *origin, options, handler).await?;
        if !place.belongs_to(origin.address().filter(|_| !handler.trusts(*origin))) {
            let answer = handler.turn_away();
            if tls.is_none() {
                stream.write_once(&answer);
            }
            return None;
        }
    }
    let Some(tls) = tls else { return Some(arrival.unchanged()) };
    let Arrival { stream, origin, place } = arrival;
    // Apart, so that connections without TLS do not carry the room that a handshake takes.
    let certificates = tls.loaded.as_ref()?;
    match Box::pin(tls::accept(certificates, stream, tls.handshake_timeout)).await {
        Ok(stream) => {
            handler.handshake_ended(Handshake::Done);
            let certificate = tls::subject_of(&stream);
            Some((Channel::Tls(stream), Client { origin, secure: true, certificate }, place))
        }
        Err(outcome) => {
            handler.handshake_ended(outcome);
            None
        }
    }
}

/// For whom a balancer speaks. Nothing from whoever is not trusted, or does not say.
async fn who_is_behind<H: Handler>(
    stream: &mut Stream,
    origin: Origin,
    options: &ServerOptions,
    handler: &H,
) -> Option<Origin> {
    if handler.trusts(origin)
        && let Ok(Ok(source)) = timeout(options.head_timeout, preamble::read(stream)).await
    {
        return Some(source.unwrap_or(origin));
    }
    handler.not_believed();
    None
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
