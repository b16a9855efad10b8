//! Connections: bind, accept, bounds, timeouts. Takes a handler; knows nothing of what a request means.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

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
    /// The longest request line, in bytes. Karbor reads 8192.
    pub max_request_line_bytes: usize,
    /// The largest head, in bytes. Karbor reads 65536.
    pub max_head_bytes: usize,
    /// The most fields of a head. Karbor reads 100.
    pub max_fields: usize,
    /// How long requests in flight may go on after the order to shut down.
    pub drain_timeout: Duration,
}
