//! Karbor, as a place: endpoints and the pool of connections to them.

use std::time::Duration;

/// Where one Karbor API listens. Plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address, without brackets.
    pub host: Box<str>,
    /// The port.
    pub port: u16,
}

/// What the upstream side is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamOptions {
    /// At least one.
    pub endpoints: Vec<Endpoint>,
    /// To connect, name resolution included.
    pub connect_timeout: Duration,
    /// From the last byte of the request to the head of the answer.
    pub first_byte_timeout: Duration,
    /// Without any progress of a body, either way.
    pub idle_timeout: Duration,
    /// How long an idle connection is kept. Karbor's own server closes after 900 s.
    pub pool_idle_timeout: Duration,
    /// The most idle connections a worker keeps.
    pub pool_idle_per_worker: usize,
}
