//! The source of `proxy::headers`, beside a stand-in for the one neighbour it asks.

use http::request::Parts;
use http::{HeaderMap, HeaderName};
use karbor_admission::karbor::target::Target;
use karbor_admission::wire::Refusal;

#[path = "../../../src/proxy/headers.rs"]
mod headers;

/// Who the client is, as far as headers say it.
pub(super) mod peer {
    use std::cell::Cell;

    use http::HeaderValue;

    pub(crate) struct Peer {
        pub(crate) trusted: Cell<bool>,
        pub(crate) secure: bool,
        pub(crate) forwarded_for: HeaderValue,
    }

    impl Peer {
        pub(crate) fn scheme(&self) -> &'static str {
            if self.secure { "https" } else { "http" }
        }

        pub(crate) fn forwarded(&self, host: Option<&HeaderValue>) -> HeaderValue {
            let host = host.and_then(|host| host.to_str().ok()).unwrap_or("none");
            HeaderValue::from_str(&format!("for=192.0.2.1;host=\"{host}\";proto={}", self.scheme()))
                .expect("a value")
        }
    }
}

pub(super) fn check(fields: &HeaderMap) -> Result<(), Refusal> {
    headers::check(fields)
}

pub(super) fn towards_karbor(parts: &mut Parts, target: Target, peer: &peer::Peer, identity: &[HeaderName]) {
    headers::towards_karbor(parts, target, peer, &headers::Identity::of(identity));
}

pub(super) fn towards_client(fields: &mut HeaderMap) {
    headers::towards_client(fields);
}

pub(super) fn is_plain_json(fields: &HeaderMap) -> bool {
    headers::is_plain_json(fields)
}
