//! The source of `proxy::headers`, beside a stand-in for the one neighbour that needs a connection.

use http::request::Parts;
use http::{HeaderMap, HeaderName};
use karbor_admission::karbor::target::Target;
use karbor_admission::wire::Refusal;

#[path = "../../../src/proxy/headers.rs"]
mod headers;
#[path = "../../../src/proxy/ours.rs"]
mod ours;

/// Who the client is, as far as headers say it.
pub(super) mod peer {
    use std::cell::Cell;
    use std::net::{IpAddr, Ipv4Addr};
    use std::rc::Rc;

    use http::HeaderValue;
    use karbor_admission::wire::Origin;

    use super::ours::Ours;

    pub(crate) struct Peer {
        pub(crate) trusted: Cell<bool>,
        pub(crate) secure: bool,
    }

    impl Peer {
        pub(crate) fn scheme(&self) -> &'static str {
            if self.secure { "https" } else { "http" }
        }

        pub(super) fn lines(&self, host: Option<&HeaderValue>, ours: Ours) -> Rc<[u8]> {
            let origin = Origin::Address(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
            ours.lines(origin, self.scheme(), host).into()
        }
    }
}

pub(super) fn check(fields: &HeaderMap) -> Result<(), Refusal> {
    headers::check(fields)
}

/// With our own fields among the others.
pub(super) fn towards_karbor(parts: &mut Parts, target: Target, peer: &peer::Peer, identity: &[HeaderName]) {
    let lines = headers::towards_karbor(parts, target, peer, &headers::Identity::of(identity));
    let lines = lines.strip_suffix(b"\r\n").expect("a line end");
    for line in String::from_utf8_lossy(lines).split("\r\n") {
        let (name, value) = line.split_once(": ").expect("a field");
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        parts.headers.append(name, value.parse().expect("a value"));
    }
}

pub(super) fn towards_client(fields: &mut HeaderMap) {
    headers::towards_client(fields);
}

pub(super) fn is_plain_json(fields: &HeaderMap) -> bool {
    headers::is_plain_json(fields)
}
