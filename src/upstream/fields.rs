//! The fields of a request, written down so that it can be sent once more.
//!
//! As text in one buffer: a second header map would share each name and value with the first, and every share is
//! counted. Sending again is rare; writing down is not.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

/// A buffer up to this size is kept for the next request; a larger one is given back.
const KEPT_BYTES: usize = 4096;

/// A name's length and a value's.
const LENGTHS_BYTES: usize = 2 * size_of::<u32>();

/// Fields, each as the lengths of its name and value, and both of them.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<u8>);

impl Fields {
    /// These, and no others.
    pub(super) fn write(&mut self, headers: &HeaderMap) {
        self.0.clear();
        for (name, value) in headers {
            let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
            for length in [name.len(), value.len()] {
                // A head is smaller than that by far.
                self.0.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
            }
            self.0.extend_from_slice(name);
            self.0.extend_from_slice(value);
        }
    }

    /// What was written.
    pub(super) fn read(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut rest = &self.0[..];
        while let Some((name, value, after)) = split_field(rest) {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
                headers.append(name, value);
            }
            rest = after;
        }
        headers
    }

    /// They are not needed any more.
    pub(super) fn clear(&mut self) {
        if self.0.capacity() > KEPT_BYTES {
            self.0 = Vec::new();
        } else {
            self.0.clear();
        }
    }
}

fn split_field(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (name, value) = (length(text)?, length(text.get(LENGTHS_BYTES / 2..)?)?);
    let (name, text) = text.get(LENGTHS_BYTES..)?.split_at_checked(name)?;
    let (value, rest) = text.split_at_checked(value)?;
    Some((name, value, rest))
}

fn length(text: &[u8]) -> Option<usize> {
    text.first_chunk().and_then(|bytes| usize::try_from(u32::from_ne_bytes(*bytes)).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(fields: &[(&'static str, &[u8])]) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
        }
        let mut kept = Fields::default();
        kept.write(&HeaderMap::from_iter([(
            HeaderName::from_static("other"),
            HeaderValue::from_static("x"),
        )]));
        kept.write(&headers);
        assert_eq!(kept.read(), headers);
        kept.clear();
        assert_eq!(kept.read(), HeaderMap::new());
    }

    #[test]
    fn gives_back_what_was_written() {
        check(&[]);
        check(&[("host", b"karbor")]);
        check(&[("a", b""), ("b", b"\xff\t "), ("a", b"again"), ("x-auth-token", b"t")]);
        check(&[("long", &[b'v'; 70_000])]);
    }

    #[test]
    fn keeps_no_large_buffer() {
        let mut kept = Fields::default();
        let large = HeaderMap::from_iter([(
            HeaderName::from_static("a"),
            HeaderValue::from_bytes(&[b'v'; KEPT_BYTES]).unwrap(),
        )]);
        kept.write(&large);
        kept.clear();
        assert_eq!(kept.0.capacity(), 0);
    }
}
