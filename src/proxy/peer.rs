//! What the proxy keeps of a client's connection: who it is, and the forwarding headers that say so.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;

use http::HeaderValue;

use super::{AddressRange, TrustedPeer};
use crate::server::Stay;
use crate::telemetry::exchange::Client;
use crate::telemetry::metrics::{Side, WorkerMetrics};
use crate::wire::Origin;

/// A client's connection.
#[derive(Debug)]
pub struct Peer {
    /// Who it is.
    pub client: Client,
    /// Shared with the server; keeps its place.
    pub(super) stay: Rc<Stay>,
    /// Whether its forwarding headers are passed on.
    pub trusted: Cell<bool>,
    /// Which of the front's proxies said so.
    pub(super) generation: Cell<u64>,
    /// The address alone, for `X-Forwarded-For`; `unknown` where there is none.
    pub forwarded_for: HeaderValue,
    forwarded: RefCell<Option<Forwarded>>,
    counted: Rc<Counted>,
}

/// The last `Host` that a client named, and what was made of it.
#[derive(Clone, Debug)]
struct Forwarded {
    /// A copy: the field itself would keep all that it was read with for as long as the connection lasts.
    host: Option<Box<[u8]>>,
    value: HeaderValue,
}

/// A connection that is open, in the metrics.
#[derive(Debug)]
struct Counted(Rc<WorkerMetrics>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connection_closed(Side::Downstream);
    }
}

impl Peer {
    /// A connection that was just accepted.
    pub(super) fn new(
        client: Client,
        stay: Rc<Stay>,
        trusted: &[TrustedPeer],
        metrics: Rc<WorkerMetrics>,
    ) -> Self {
        metrics.connection_opened(Side::Downstream);
        let forwarded_for =
            client.origin.address().map_or(UNKNOWN, |address| header_value(&address.to_string()));
        Self {
            stay,
            trusted: Cell::new(is_among(client.origin, trusted)),
            generation: Cell::default(),
            client,
            forwarded_for,
            forwarded: RefCell::new(None),
            counted: Rc::new(Counted(metrics)),
        }
    }

    /// The same client, with another stay.
    pub(super) fn with(&self, stay: Rc<Stay>) -> Self {
        Self {
            client: self.client.clone(),
            stay,
            trusted: self.trusted.clone(),
            generation: self.generation.clone(),
            forwarded_for: self.forwarded_for.clone(),
            forwarded: RefCell::new(self.forwarded.borrow().clone()),
            counted: self.counted.clone(),
        }
    }

    /// What it speaks to us.
    pub(super) const fn scheme(&self) -> &'static str {
        if self.client.secure { "https" } else { "http" }
    }

    /// `Forwarded` for a request to `host` (RFC 7239). A client rarely changes its mind about `Host`.
    pub(super) fn forwarded(&self, host: Option<&HeaderValue>) -> HeaderValue {
        let mut memo = self.forwarded.borrow_mut();
        if let Some(known) = &*memo
            && known.host.as_deref() == host.map(HeaderValue::as_bytes)
        {
            return known.value.clone();
        }
        let node = match self.client.origin {
            Origin::Address(IpAddr::V4(ip)) => ip.to_string(),
            Origin::Address(IpAddr::V6(ip)) => format!("\"[{ip}]\""),
            Origin::Unix => "unknown".to_owned(),
        };
        let named = host.and_then(|host| host.to_str().ok());
        let text = match named {
            Some(host) => format!("for={node};host=\"{host}\";proto={}", self.scheme()),
            None => format!("for={node};proto={}", self.scheme()),
        };
        let value = header_value(&text);
        *memo = Some(Forwarded { host: host.map(|host| host.as_bytes().into()), value: value.clone() });
        value
    }
}

/// Whether one of them has it.
pub(super) fn is_among(origin: Origin, trusted: &[TrustedPeer]) -> bool {
    trusted.iter().any(|trusted| match (trusted, origin) {
        (TrustedPeer::Range(range), Origin::Address(address)) => range.contains(address),
        (TrustedPeer::Unix, Origin::Unix) => true,
        _ => false,
    })
}

/// RFC 7239, section 6.2.
const UNKNOWN: HeaderValue = HeaderValue::from_static("unknown");

fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(UNKNOWN)
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
