//! The source of `proxy::headers`, which is private to the proxy and stays so, beside a stand-in for the one neighbour
//! that needs a connection.

use std::rc::Rc;

use http::header::{HeaderMap, HeaderName};
use http::request::Parts;
use karbor_admission::karbor::target::Target;

#[path = "../../src/proxy/headers.rs"]
#[allow(dead_code, reason = "not all of it is timed")]
mod headers;
#[path = "../../src/proxy/ours.rs"]
#[allow(dead_code, reason = "the stand-in has its lines already")]
mod ours;

/// The names of the identity fields.
pub(crate) struct Identity(headers::Identity);

impl Identity {
    pub(crate) fn of(names: &[HeaderName]) -> Self {
        Self(headers::Identity::of(names))
    }
}

/// Who the client is, as far as headers say it.
pub(crate) mod peer {
    use std::cell::Cell;
    use std::rc::Rc;

    use http::HeaderValue;

    use super::ours::Ours;

    pub(crate) struct Peer {
        pub(crate) trusted: Cell<bool>,
        /// The real one remembers them too.
        pub(crate) lines: Rc<[u8]>,
    }

    impl Peer {
        pub(super) fn lines(&self, _: Option<&HeaderValue>, _: Ours) -> Rc<[u8]> {
            self.lines.clone()
        }
    }
}

/// All that a request's fields go through.
pub(crate) fn towards_karbor(
    parts: &mut Parts,
    target: Target,
    peer: &peer::Peer,
    identity: &Identity,
) -> Rc<[u8]> {
    assert!(headers::check(&parts.headers).is_ok());
    headers::towards_karbor(parts, target, peer, &identity.0)
}

pub(crate) fn towards_client(fields: &mut HeaderMap) {
    headers::towards_client(fields);
}
