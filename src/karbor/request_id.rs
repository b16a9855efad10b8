//! The id of a request that a caller hands on from service to service, as OpenStack's own services take it.
//!
//! Leaves finding the one field, and ids of our own, to `proxy`.

use std::fmt;

/// A global request id: `req-` and a UUID in lower case, as `oslo.middleware` wants it. Anything else is ignored there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalRequestId(u128);

impl GlobalRequestId {
    /// Reads the value of an `X-Openstack-Request-Id`; none where it is no such id.
    #[must_use]
    pub fn read(value: &[u8]) -> Option<Self> {
        let uuid = value.strip_prefix(b"req-").filter(|uuid| uuid.len() == 36)?;
        uuid.iter()
            .enumerate()
            .try_fold(0, |bits: u128, (at, &byte)| match (at, byte) {
                (8 | 13 | 18 | 23, b'-') => Some(bits),
                (8 | 13 | 18 | 23, _) => None,
                (_, b'0'..=b'9') => Some(bits << 4 | u128::from(byte - b'0')),
                (_, b'a'..=b'f') => Some(bits << 4 | u128::from(byte - b'a' + 10)),
                _ => None,
            })
            .map(Self)
    }

    /// Of a UUID.
    #[must_use]
    pub const fn of(uuid: u128) -> Self {
        Self(uuid)
    }
}

impl fmt::Display for GlobalRequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // By hand: each of our own ids is written so, and formatting numbers takes several times as long.
        let mut text = *b"req-00000000-0000-0000-0000-000000000000";
        let digits = text.iter_mut().skip(4).filter(|place| **place != b'-').rev();
        for (at, place) in (0..32_u32).zip(digits) {
            *place = b"0123456789abcdef"[(self.0 >> (4 * at)) as usize & 0xf];
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_openstacks_services_take() {
        for id in [
            "req-0f8fad5b-d9cb-469f-a165-70867728950e",
            "req-00000000-0000-0000-0000-000000000000",
            "req-ffffffff-ffff-ffff-ffff-ffffffffffff",
        ] {
            assert_eq!(GlobalRequestId::read(id.as_bytes()).unwrap().to_string(), id);
        }
    }

    #[test]
    fn reads_nothing_else() {
        for text in [
            "",
            "req-",
            "req-1",
            "0f8fad5b-d9cb-469f-a165-70867728950e",
            "REQ-0f8fad5b-d9cb-469f-a165-70867728950e",
            "req-0F8FAD5B-D9CB-469F-A165-70867728950E",
            "req-g0000000-0000-4000-8000-000000000000",
            "req-00000000000040008000000000000000",
            "req-0f8fad5bd-9cb-469f-a165-70867728950e",
            "req-0f8fad5b-d9cb-469f-a165-70867728950e0",
            "req-0f8fad5b-d9cb-469f-a165-70867728950e, req-0f8fad5b-d9cb-469f-a165-70867728950e",
            " req-0f8fad5b-d9cb-469f-a165-70867728950e",
            "req-0f8fad5b-d9cb-469f-a165-7086772895é",
        ] {
            assert_eq!(GlobalRequestId::read(text.as_bytes()), None, "{text:?}");
        }
    }
}
