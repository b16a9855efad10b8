//! The id that names a request to the client, to Karbor's log and to ours.

use http::HeaderMap;

const NAME: &str = "x-openstack-request-id";

/// The client's id, if it is one (`req-` and a UUID, as oslo.middleware wants it); a fresh one otherwise.
pub(super) fn of(headers: &HeaderMap) -> String {
    given(headers).map_or_else(fresh, str::to_owned)
}

/// The id in these headers, if it is one.
pub(super) fn given(headers: &HeaderMap) -> Option<&str> {
    headers.get(NAME).and_then(|value| value.to_str().ok()).filter(|id| is_request_id(id))
}

/// A fresh id. Unique, not secret.
pub(super) fn fresh() -> String {
    let bits = fastrand::u128(..);
    // Version 4, variant 1 (RFC 9562).
    let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!("req-{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn is_request_id(id: &str) -> bool {
    id.strip_prefix("req-").is_some_and(|uuid| {
        uuid.len() == 36
            && uuid.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_id_is_one() {
        let id = fresh();
        assert!(is_request_id(&id), "{id}");
        assert_eq!(id.as_bytes()[18], b'4');
        assert_ne!(id, fresh());
    }

    #[test]
    fn other_texts_are_not() {
        for text in [
            "",
            "req-",
            "x",
            "req-g0000000-0000-4000-8000-000000000000",
            "req-00000000000040008000000000000000",
        ] {
            assert!(!is_request_id(text), "{text}");
        }
    }
}
