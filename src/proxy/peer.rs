//! What the proxy keeps of a client's connection: who it is, and the forwarding headers that say so.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use http::HeaderValue;

use super::AddressRange;
use crate::server::Stay;
use crate::telemetry::metrics::{Side, WorkerMetrics};

/// A client's connection.
#[derive(Debug)]
pub struct Peer {
    /// Where it comes from.
    pub address: SocketAddr,
    /// Shared with the server; keeps its place.
    pub(super) stay: Rc<Stay>,
    /// Whether its forwarding headers are passed on.
    pub trusted: Cell<bool>,
    /// Which of the front's proxies said so.
    pub(super) generation: Cell<u64>,
    /// The address alone: `X-Forwarded-For`.
    pub forwarded_for: HeaderValue,
    /// The last `Host` it named, and `Forwarded` made of it.
    forwarded: RefCell<Option<(Option<HeaderValue>, HeaderValue)>>,
    metrics: Rc<WorkerMetrics>,
}

impl Peer {
    /// A connection that was just accepted.
    pub(super) fn new(
        address: SocketAddr,
        stay: Rc<Stay>,
        trusted: &[AddressRange],
        metrics: Rc<WorkerMetrics>,
    ) -> Self {
        metrics.connection_opened(Side::Downstream);
        let ip = address.ip().to_canonical();
        Self {
            address,
            stay,
            trusted: Cell::new(is_among(ip, trusted)),
            generation: Cell::default(),
            forwarded_for: header_value(&ip.to_string()),
            forwarded: RefCell::new(None),
            metrics,
        }
    }

    /// Its address, as IPv4 where it is that.
    pub(super) fn ip(&self) -> IpAddr {
        self.address.ip().to_canonical()
    }

    /// `Forwarded` for a request to `host` (RFC 7239). A client rarely changes its mind about `Host`.
    pub(super) fn forwarded(&self, host: Option<&HeaderValue>) -> HeaderValue {
        let mut memo = self.forwarded.borrow_mut();
        if let Some((known, value)) = &*memo
            && known.as_ref() == host
        {
            return value.clone();
        }
        let node = match self.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("\"[{ip}]\""),
        };
        let named = host.and_then(|host| host.to_str().ok());
        let text = match named {
            Some(host) => format!("for={node};host=\"{host}\";proto=http"),
            None => format!("for={node};proto=http"),
        };
        let value = header_value(&text);
        *memo = Some((host.cloned(), value.clone()));
        value
    }
}

/// Whether one of the ranges has the address.
pub(super) fn is_among(address: IpAddr, ranges: &[AddressRange]) -> bool {
    let address = address.to_canonical();
    ranges.iter().any(|range| range.contains(address))
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.metrics.connection_closed(Side::Downstream);
    }
}

fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("unknown"))
}

impl AddressRange {
    /// Whether `ip` is in the range.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip) {
            (IpAddr::V4(range), IpAddr::V4(ip)) => {
                same(range.to_bits().into(), ip.to_bits().into(), 32, self.bits)
            }
            (IpAddr::V6(range), IpAddr::V6(ip)) => same(range.to_bits(), ip.to_bits(), 128, self.bits),
            _ => false,
        }
    }
}

fn same(one: u128, other: u128, width: u8, bits: u8) -> bool {
    let apart = one ^ other;
    apart.checked_shr(u32::from(width.saturating_sub(bits))).unwrap_or(0) == 0
}
