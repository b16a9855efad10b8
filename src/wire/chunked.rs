//! A chunked body, walked as it passes, and refused where two readers could differ.
//!
//! RFC 9112, section 7.1. Lines end in CRLF; a size is at most 15 hexadecimal digits; extensions and
//! trailers are read over within bounds, the number of trailers with that of fields. Where its data is, the reader of
//! answers asks; that of a request is decoded by hyper.

use std::ops::Range;

use super::Refusal;
use super::head::{is_token_byte, is_value_byte};

/// The most bytes of the extensions of one chunk.
const EXTENSION_BYTES: u16 = 256;
/// The most bytes of all extensions of a body. hyper reads 16 KiB, and beyond them ends without a word.
const ALL_EXTENSION_BYTES: u16 = 8192;
/// The most bytes of all trailers.
const TRAILER_BYTES: u16 = 8192;
/// The most digits of a chunk's size.
const SIZE_DIGITS: u8 = 15;

/// Where in a chunked body the walk stands, and what it has seen of what is bounded in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunked {
    place: Place,
    extension_bytes: u16,
    trailers_left: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Size { digits: u8, size: u64 },
    Extension { size: u64, bytes: u16 },
    SizeEnd { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    TrailerStart { bytes: u16 },
    TrailerName { bytes: u16 },
    TrailerValue { bytes: u16 },
    TrailerLf { bytes: u16 },
    EndLf,
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Data, where it stands in what was walked over.
    Data(Range<usize>),
    /// The body ended with so many bytes.
    End(usize),
    /// All of it is framing.
    Framing,
}

impl Chunked {
    /// Before the first chunk of a body with at most so many trailers.
    #[must_use]
    pub(super) const fn start(trailers: usize) -> Self {
        Self { place: Place::Size { digits: 0, size: 0 }, extension_bytes: 0, trailers_left: trailers }
    }

    /// Walks over `input`. `Ok(Some(n))`: the body ended with the first `n` bytes. `Ok(None)`: all of
    /// `input` belongs to it.
    ///
    /// # Errors
    /// [`Refusal::Chunk`] at the first byte that must not stand there.
    pub(super) fn walk(&mut self, input: &[u8]) -> Result<Option<usize>, Refusal> {
        let mut at = 0;
        loop {
            match self.step(&input[at..])? {
                Piece::Data(data) => at += data.end,
                Piece::End(bytes) => return Ok(Some(at + bytes)),
                Piece::Framing => return Ok(None),
            }
        }
    }

    /// Walks over `input` up to the end of the first data in it.
    ///
    /// # Errors
    /// [`Refusal::Chunk`] at the first byte that must not stand there.
    pub(super) fn step(&mut self, input: &[u8]) -> Result<Piece, Refusal> {
        let mut at = 0;
        while at < input.len() {
            if let Place::Data { left } = self.place {
                let step = usize::try_from(left).unwrap_or(usize::MAX).min(input.len() - at);
                let left = left - step as u64;
                self.place = if left == 0 { Place::DataCr } else { Place::Data { left } };
                return Ok(Piece::Data(at..at + step));
            }
            let ended = self.place == Place::EndLf;
            let place = next(self.place, input[at]).ok_or(Refusal::Chunk)?;
            self.count(place).ok_or(Refusal::Chunk)?;
            self.place = place;
            at += 1;
            if ended {
                return Ok(Piece::End(at));
            }
        }
        Ok(Piece::Framing)
    }

    /// Counts what leads to `place`, if it is within bounds.
    fn count(&mut self, place: Place) -> Option<()> {
        match (self.place, place) {
            (_, Place::Extension { .. }) if self.extension_bytes == ALL_EXTENSION_BYTES => return None,
            (_, Place::Extension { .. }) => self.extension_bytes += 1,
            (Place::TrailerStart { .. }, Place::TrailerName { .. }) => {
                self.trailers_left = self.trailers_left.checked_sub(1)?;
            }
            _ => {}
        }
        Some(())
    }
}

/// The place after `byte`, if it may stand here.
fn next(place: Place, byte: u8) -> Option<Place> {
    Some(match (place, byte) {
        (Place::Size { digits, size }, _) if byte.is_ascii_hexdigit() && digits < SIZE_DIGITS => {
            let digit = (byte as char).to_digit(16)?;
            Place::Size { digits: digits + 1, size: size * 16 + u64::from(digit) }
        }
        (Place::Size { digits: 1.., size }, b'\r') => Place::SizeEnd { size },
        (Place::Size { digits: 1.., size }, b';') => Place::Extension { size, bytes: 0 },
        (Place::Extension { size, .. }, b'\r') => Place::SizeEnd { size },
        (Place::Extension { size, bytes }, _) if bytes < EXTENSION_BYTES && is_value_byte(byte) => {
            Place::Extension { size, bytes: bytes + 1 }
        }
        (Place::SizeEnd { size: 0 }, b'\n') => Place::TrailerStart { bytes: 0 },
        (Place::SizeEnd { size }, b'\n') => Place::Data { left: size },
        (Place::DataCr, b'\r') => Place::DataLf,
        (Place::DataLf, b'\n') => Place::Size { digits: 0, size: 0 },
        (Place::TrailerStart { .. }, b'\r') => Place::EndLf,
        (Place::TrailerStart { bytes }, _) if is_token_byte(byte) => {
            Place::TrailerName { bytes: trailer(bytes)? }
        }
        (Place::TrailerName { bytes }, b':') => Place::TrailerValue { bytes: trailer(bytes)? },
        (Place::TrailerName { bytes }, _) if is_token_byte(byte) => {
            Place::TrailerName { bytes: trailer(bytes)? }
        }
        (Place::TrailerValue { bytes }, b'\r') => Place::TrailerLf { bytes },
        (Place::TrailerValue { bytes }, _) if is_value_byte(byte) => {
            Place::TrailerValue { bytes: trailer(bytes)? }
        }
        (Place::TrailerLf { bytes }, b'\n') => Place::TrailerStart { bytes },
        (Place::EndLf, b'\n') => Place::EndLf,
        _ => return None,
    })
}

fn trailer(bytes: u16) -> Option<u16> {
    (bytes < TRAILER_BYTES).then_some(bytes + 1)
}
