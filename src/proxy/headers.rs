//! The headers of both directions: hop-by-hop, forwarding, and what is refused. Pure.
//!
//! Towards Karbor, in order:
//!
//! 1. `Upgrade` and any expectation but `100-continue` are refused.
//! 2. Hop-by-hop fields go, and those that `Connection` names (RFC 9110, 7.6.1). `Host` stays whatever it
//!    names.
//! 3. The client's framing goes: `upstream` writes it anew from the body that is sent.
//! 4. Identity fields go, and forwarding fields of an untrusted client; ours are added after that, so it
//!    cannot remove them.
//! 5. `Via` is added.
//!
//! From Karbor: only hop-by-hop fields go, and a length beside a transfer coding.

use std::rc::Rc;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Uri, Version};

use super::ours::Ours;
use super::peer::Peer;
use crate::karbor::target::Target;
use crate::wire::Refusal;

pub(super) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The names of the identity fields.
#[derive(Debug)]
pub(super) struct Identity {
    /// In the order of their text.
    names: Box<[HeaderName]>,
    /// Which lengths there are among them, a bit each: most fields have another.
    lengths: u64,
}

impl Identity {
    pub(super) fn of(names: &[HeaderName]) -> Self {
        let mut names: Box<[HeaderName]> = names.into();
        names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        let lengths = names.iter().fold(0, |lengths, name| lengths | length_bit(name.as_str()));
        Self { names, lengths }
    }

    fn has(&self, name: &str) -> bool {
        self.lengths & length_bit(name) != 0
            && self.names.binary_search_by(|known| known.as_str().cmp(name)).is_ok()
    }
}

/// Long names share one.
fn length_bit(name: &str) -> u64 {
    1 << name.len().min(63)
}

/// Refuses what would open a tunnel, or expects what we do not do.
pub(super) fn check(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.contains_key(header::UPGRADE) {
        return Err(Refusal::Upgrade);
    }
    match headers.get(header::EXPECT) {
        Some(value) if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") => Err(Refusal::Expect),
        _ => Ok(()),
    }
}

/// Makes of a client's request what is sent to Karbor, body apart. What we add to its fields is given back, as lines.
pub(super) fn towards_karbor(
    parts: &mut Parts,
    target: Target,
    peer: &Peer,
    identity: &Identity,
) -> Rc<[u8]> {
    let headers = &mut parts.headers;
    if let Some(Ok(host)) = target.authority().map(|authority| HeaderValue::from_str(authority.as_str())) {
        headers.insert(header::HOST, host);
    }
    parts.uri = Uri::from(target.into_path_and_query());
    let trusted = peer.trusted.get();
    remove(headers, |name| {
        matches!(name, "content-length" | "expect")
            || is_hop_by_hop(name)
            || is_claim(name, trusted, identity)
    });
    let ours = Ours {
        http2: parts.version == Version::HTTP_2,
        host: !trusted || !headers.contains_key(X_FORWARDED_HOST),
        scheme: !trusted || !headers.contains_key(X_FORWARDED_PROTO),
    };
    peer.lines(headers.get(header::HOST), ours)
}

/// Makes of Karbor's answer what is sent to the client, body apart.
pub(super) fn towards_client(headers: &mut HeaderMap) {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        // Only where there is no body; the length is the wrong one of the two (RFC 9112, 6.3), and hyper would believe it.
        headers.remove(header::CONTENT_LENGTH);
    }
    remove(headers, is_hop_by_hop);
}

/// Removes what `Connection` names, and every field that `goes`. One look at each field, instead of one lookup for
/// each that could be there: most have none of them.
fn remove(headers: &mut HeaderMap, goes: impl Fn(&str) -> bool) {
    let mut gone: Vec<HeaderName> = headers.keys().filter(|name| goes(name.as_str())).cloned().collect();
    if gone.contains(&header::CONNECTION) {
        let named = headers
            .get_all(header::CONNECTION)
            .iter()
            .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
            .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
            .filter(|name| *name != header::HOST);
        gone.extend(named);
    }
    for name in gone {
        headers.remove(name);
    }
}

fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
    )
}

/// What a client says of itself and must not: who it is, to any client; where it comes from, to one that is
/// not trusted. Every `X-Forwarded-…`, not a list of three: Karbor and what stands before it may read others.
fn is_claim(name: &str, trusted: bool, identity: &Identity) -> bool {
    let forwarding = || {
        name.starts_with("x-forwarded")
            || matches!(name, "forwarded" | "x-real-ip" | "x-client-ip" | "true-client-ip")
    };
    (!trusted && forwarding()) || identity.has(name)
}

/// Whether the media type is `application/json`, and no content coding stands in the way.
pub(super) fn is_plain_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let essence = media_type.split(|&byte| byte == b';').next().unwrap_or_default();
    let coded = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|coding| !coding.is_empty() && !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    essence.trim_ascii().eq_ignore_ascii_case(b"application/json") && !coded
}
