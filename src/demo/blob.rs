//! Bodies of any size, in either direction, in bounded memory; and a checksum for both ends.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Bytes repeat after this many; it divides [`PIECE_BYTES`], so that every piece is the same.
const PATTERN_BYTES: usize = 251;
const PIECE_BYTES: usize = PATTERN_BYTES * 256;

/// FNV-1a over little-endian words of eight bytes, the last one filled up with zeros.
///
/// By words, because a test build must get through gigabytes. How the bytes are cut into pieces does not
/// matter.
#[derive(Clone, Copy, Debug)]
pub struct Checksum {
    sum: u64,
    word: [u8; 8],
    filled: usize,
}

impl Default for Checksum {
    fn default() -> Self {
        Self { sum: 0xcbf2_9ce4_8422_2325, word: [0; 8], filled: 0 }
    }
}

impl Checksum {
    /// Takes in the next bytes.
    pub fn add(&mut self, mut bytes: &[u8]) {
        if self.filled > 0 {
            let taken = bytes.len().min(8 - self.filled);
            self.word[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled < 8 {
                return;
            }
            self.fold(u64::from_le_bytes(self.word));
        }
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.fold(u64::from_le_bytes(*word));
        }
        self.word = [0; 8];
        self.word[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
    }

    /// The sum of all bytes so far, as sixteen hexadecimal digits.
    #[must_use]
    pub fn hex(mut self) -> String {
        if self.filled > 0 {
            self.fold(u64::from_le_bytes(self.word));
        }
        format!("{:016x}", self.sum)
    }

    fn fold(&mut self, word: u64) {
        self.sum = (self.sum ^ word).wrapping_mul(0x100_0000_01b3);
    }
}

/// A body of that many bytes, made while it is read: byte `i` is `i` modulo 251.
#[derive(Clone, Debug)]
pub(super) struct Blob {
    piece: Bytes,
    left: u64,
    /// Whether the length is told beforehand.
    sized: bool,
}

impl Blob {
    pub(super) fn new(bytes: u64, sized: bool) -> Self {
        let pattern: Vec<u8> = (0..PATTERN_BYTES).filter_map(|i| u8::try_from(i).ok()).collect();
        Self { piece: pattern.repeat(PIECE_BYTES / PATTERN_BYTES).into(), left: bytes, sized }
    }
}

impl Body for Blob {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let length = usize::try_from(self.left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
        self.left -= length as u64;
        Poll::Ready(Some(Ok(Frame::data(self.piece.slice(..length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        if self.sized { SizeHint::with_exact(self.left) } else { SizeHint::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::{Blob, Checksum, PIECE_BYTES};
    use http_body_util::BodyExt as _;

    #[test]
    fn the_cut_does_not_matter() {
        let bytes: Vec<u8> = (0..=255).collect();
        let whole = |bytes: &[u8]| {
            let mut sum = Checksum::default();
            sum.add(bytes);
            sum.hex()
        };
        for cut in 1..20 {
            let mut sum = Checksum::default();
            bytes.chunks(cut).for_each(|piece| sum.add(piece));
            assert_eq!(sum.hex(), whole(&bytes), "{cut}");
        }
        assert_ne!(whole(&bytes), whole(&bytes[1..]));
        assert_ne!(whole(b"ab"), whole(b"ba"));
    }

    #[tokio::test]
    async fn a_blob_has_its_length_and_its_pattern() {
        for bytes in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, 3 * PIECE_BYTES + 7] {
            let body = Blob::new(bytes as u64, true).collect().await.unwrap().to_bytes();
            assert_eq!(body.len(), bytes);
            assert!(body.iter().enumerate().all(|(i, byte)| usize::from(*byte) == i % 251));
        }
    }
}
