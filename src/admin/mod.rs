//! `/metrics`, `/livez`, `/readyz` on an address of their own. Reads only.

use std::net::SocketAddr;

/// What the admin side is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminOptions {
    /// Where to listen; loopback as shipped.
    pub listen: SocketAddr,
}
