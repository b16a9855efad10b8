//! What the proxy keeps of a client's connection: who it is, and the forwarding headers that say so.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;

use http::HeaderValue;

use super::ours::Ours;
use super::{AddressRange, TrustedPeer};
use crate::server::Stay;
use crate::telemetry::exchange::Client;
use crate::telemetry::metrics::{OpenConnection, Side, WorkerMetrics};
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
    last: RefCell<Option<Last>>,
    counted: Rc<OpenConnection>,
}

/// The last `Host` that a client named, and what was made of it.
#[derive(Clone, Debug)]
struct Last {
    /// A copy: the field itself would keep all that it was read with for as long as the connection lasts.
    host: Option<Box<[u8]>>,
    ours: Ours,
    lines: Rc<[u8]>,
}

impl Peer {
    /// A connection that was just accepted.
    pub(super) fn new(
        client: Client,
        stay: Rc<Stay>,
        trusted: &[TrustedPeer],
        metrics: Rc<WorkerMetrics>,
    ) -> Self {
        Self {
            stay,
            trusted: Cell::new(is_among(client.origin, trusted)),
            generation: Cell::default(),
            client,
            last: RefCell::new(None),
            counted: Rc::new(OpenConnection::begin(metrics, Side::Downstream)),
        }
    }

    /// The same client, with another stay.
    pub(super) fn with(&self, stay: Rc<Stay>) -> Self {
        Self {
            client: self.client.clone(),
            stay,
            trusted: self.trusted.clone(),
            generation: self.generation.clone(),
            last: RefCell::new(self.last.borrow().clone()),
            counted: self.counted.clone(),
        }
    }

    /// What it speaks to us.
    pub(super) const fn scheme(&self) -> &'static str {
        if self.client.secure { "https" } else { "http" }
    }

    /// Our fields of a request to `host`, each with its line end. A client rarely changes its mind about `Host`.
    pub(super) fn lines(&self, host: Option<&HeaderValue>, ours: Ours) -> Rc<[u8]> {
        let mut last = self.last.borrow_mut();
        if let Some(last) = &*last
            && last.ours == ours
            && last.host.as_deref() == host.map(HeaderValue::as_bytes)
        {
            return last.lines.clone();
        }
        let lines: Rc<[u8]> = ours.lines(self.client.origin, self.scheme(), host).into();
        *last = Some(Last { host: host.map(|host| host.as_bytes().into()), ours, lines: lines.clone() });
        lines
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
