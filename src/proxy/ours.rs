//! The fields that the proxy adds to a request on its way to Karbor, as lines. Pure.

use std::net::IpAddr;

use http::HeaderValue;

use crate::wire::{Origin, write_field};

/// RFC 7239, section 6.2.
const UNKNOWN: &str = "unknown";

/// What of them is not the same for each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ours {
    /// `Via` says by what the request came.
    pub(super) http2: bool,
    /// Whether `X-Forwarded-Host` is among them.
    pub(super) host: bool,
    /// Whether `X-Forwarded-Proto` is.
    pub(super) scheme: bool,
}

impl Ours {
    /// Each with its line end: of a request to `host` that came from `origin` by `scheme`.
    pub(super) fn lines(self, origin: Origin, scheme: &str, host: Option<&HeaderValue>) -> Vec<u8> {
        // RFC 7239, 4 and 6.
        let (address, node) = match origin {
            Origin::Address(IpAddr::V4(ip)) => (ip.to_string(), ip.to_string()),
            Origin::Address(IpAddr::V6(ip)) => (ip.to_string(), format!("\"[{ip}]\"")),
            Origin::Unix => (UNKNOWN.to_owned(), UNKNOWN.to_owned()),
        };
        let forwarded = match host.and_then(|host| host.to_str().ok()) {
            Some(host) => format!("for={node};host=\"{host}\";proto={scheme}"),
            None => format!("for={node};proto={scheme}"),
        };
        let mut lines = Vec::new();
        write_field("forwarded", forwarded.as_bytes(), &mut lines);
        if let Some(host) = host.filter(|_| self.host) {
            write_field("x-forwarded-host", host.as_bytes(), &mut lines);
        }
        write_field("x-forwarded-for", address.as_bytes(), &mut lines);
        if self.scheme {
            write_field("x-forwarded-proto", scheme.as_bytes(), &mut lines);
        }
        let via = if self.http2 { "2.0 karbor-admission" } else { "1.1 karbor-admission" };
        write_field("via", via.as_bytes(), &mut lines);
        lines
    }
}
