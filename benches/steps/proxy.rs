//! The source of `proxy::headers`, which is private to the proxy and stays so, beside a stand-in for the one neighbour
//! it asks.

use http::header::{HeaderMap, HeaderName};
use http::request::Parts;
use karbor_admission::karbor::target::Target;

#[path = "../../src/proxy/headers.rs"]
#[allow(dead_code, reason = "not all of it is timed")]
mod headers;

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

    use http::HeaderValue;

    pub(crate) struct Peer {
        pub(crate) trusted: Cell<bool>,
        pub(crate) forwarded_for: HeaderValue,
        /// The real one remembers it too.
        pub(crate) forwarded: HeaderValue,
    }

    impl Peer {
        pub(crate) fn scheme(&self) -> &'static str {
            "http"
        }

        pub(crate) fn forwarded(&self, _: Option<&HeaderValue>) -> HeaderValue {
            self.forwarded.clone()
        }
    }
}

/// All that a request's fields go through.
pub(crate) fn towards_karbor(parts: &mut Parts, target: Target, peer: &peer::Peer, identity: &Identity) {
    assert!(headers::check(&parts.headers).is_ok());
    headers::towards_karbor(parts, target, peer, &identity.0);
}

pub(crate) fn towards_client(fields: &mut HeaderMap) {
    headers::towards_client(fields);
}
