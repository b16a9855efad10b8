//! The id of a request, as OpenStack's own services take it from their callers, and make it.
//!
//! Leaves finding the one field, and making ids of our own, to `proxy`.

use std::fmt;

/// An id of a request: `req-` and a UUID in lower case, as `oslo.middleware` wants it. Anything else is ignored there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(u128);

impl RequestId {
    /// Reads the value of an `X-Openstack-Request-Id`; none where it is no such id.
    #[must_use]
    pub fn read(value: &[u8]) -> Option<Self> {
        let text: &[u8; LENGTH] = value.try_into().ok()?;
        let fixed = text.iter().zip(BLANK).all(|(byte, known)| *known == b'0' || byte == known);
        // A value above 15 is no digit.
        let (mut bytes, mut wrong) = ([0; 16], !fixed);
        for (byte, at) in bytes.iter_mut().zip(PLACES) {
            let [high, low] = [text[at], text[at + 1]].map(|digit| VALUES[usize::from(digit)]);
            wrong |= (high | low) > 0xf;
            *byte = high << 4 | low;
        }
        (!wrong).then(|| Self(u128::from_be_bytes(bytes)))
    }

    /// Of a UUID.
    #[must_use]
    pub const fn of(uuid: u128) -> Self {
        Self(uuid)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

// By hand: each request has one, and reading and formatting numbers takes several times as long.

const LENGTH: usize = 40;
const BLANK: &[u8; LENGTH] = b"req-00000000-0000-0000-0000-000000000000";

/// Where each byte's two digits stand.
const PLACES: [usize; 16] = [4, 6, 8, 10, 13, 15, 18, 20, 23, 25, 28, 30, 32, 34, 36, 38];

/// What each digit in lower case stands for; what is none, for 255.
static VALUES: [u8; 256] = {
    let mut values = [u8::MAX; 256];
    let digits = b"0123456789abcdef";
    let mut value = 0_u8;
    while value < 16 {
        values[digits[value as usize] as usize] = value;
        value += 1;
    }
    values
};

impl RequestId {
    /// As text, in ASCII.
    #[must_use]
    pub fn text(self) -> [u8; LENGTH] {
        let mut text = *BLANK;
        for (byte, at) in self.0.to_be_bytes().into_iter().zip(PLACES) {
            let digits = b"0123456789abcdef";
            text[at] = digits[usize::from(byte >> 4)];
            text[at + 1] = digits[usize::from(byte & 0xf)];
        }
        text
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
            assert_eq!(RequestId::read(id.as_bytes()).unwrap().to_string(), id);
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
            assert_eq!(RequestId::read(text.as_bytes()), None, "{text:?}");
        }
    }
}
