//! The id that names a request to the client, to Karbor's log and to ours.
//!
//! Karbor's, where it answered; one of our own otherwise. What the caller hands on is another (`lineage`).

use http::header::{HeaderMap, HeaderName};

use crate::karbor::request_id::RequestId;
use crate::telemetry::exchange::Lineage;

pub(super) const NAME: HeaderName = HeaderName::from_static("x-openstack-request-id");

/// A fresh id. Unique, not secret.
pub(super) fn fresh() -> RequestId {
    let bits = fastrand::u128(..);
    // Version 4, variant 1 (RFC 9562).
    let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    RequestId::of(bits)
}

/// The id that Karbor's answer names the request by, if it is one.
pub(super) fn answered(headers: &HeaderMap) -> Option<RequestId> {
    headers.get(NAME).and_then(|value| RequestId::read(value.as_bytes()))
}

/// By which the request is found in the logs of others too: the caller's id, or `own`.
pub(super) fn lasting(lineage: &Lineage, own: RequestId) -> RequestId {
    lineage.global_request_id.unwrap_or(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_id_is_one() {
        let id = fresh();
        assert_eq!(RequestId::read(&id.text()), Some(id));
        assert!(id.text()[18] == b'4' && b"89ab".contains(&id.text()[23]), "{id}");
        assert_ne!(id, fresh());
    }
}
