//! The request side of a connection: heads and bodies in turn, each judged before it is handed on.
//!
//! Leaves reading and holding bytes to `server`.

use super::chunked::Chunked;
use super::head::{Framing, HeadLimits, read_head};
use super::http2::PREFACE;
use super::refusal::Refusal;

/// What a client sends on one connection, as far as it was looked at.
#[derive(Debug)]
pub struct RequestStream {
    limits: HeadLimits,
    place: Place,
    requests: u64,
    /// Whether the client may speak HTTP/2 instead, as long as nothing else was said.
    or_http2: bool,
}

#[derive(Debug)]
enum Place {
    Head,
    Length(u64),
    Chunked(Chunked),
    Refused,
}

/// How far a look got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Bytes from the start that may be handed on: whole heads, and whatever is there of bodies.
    pub sound: usize,
    /// Why nothing after them may be.
    pub refusal: Option<Refused>,
}

/// A refusal, and whether its request had already begun to be handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Nothing of the request was handed on.
    Head(Refusal),
    /// Its head was.
    Body(Refusal),
    /// It is no request of HTTP/1.1: the client speaks HTTP/2.
    Preface,
}

impl RequestStream {
    /// Before the first request.
    #[must_use]
    pub const fn new(limits: HeadLimits) -> Self {
        Self { limits, place: Place::Head, requests: 0, or_http2: false }
    }

    /// The same, where the client may speak HTTP/2 instead (RFC 9113, 3.3).
    #[must_use]
    pub const fn or_http2(limits: HeadLimits) -> Self {
        Self { or_http2: true, ..Self::new(limits) }
    }

    /// Whether the next byte begins a request: nothing of a body is outstanding.
    #[must_use]
    pub const fn between_requests(&self) -> bool {
        matches!(self.place, Place::Head)
    }

    /// Whole heads seen so far.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.requests
    }

    /// Looks at the next bytes. What is not sound is an incomplete head, and must be shown again with more.
    pub fn look(&mut self, input: &[u8]) -> Look {
        let mut sound = 0;
        loop {
            let rest = &input[sound..];
            if rest.is_empty() {
                return Look { sound, refusal: None };
            }
            if self.or_http2 && self.requests == 0 {
                if rest.starts_with(PREFACE) {
                    self.place = Place::Refused;
                    return Look { sound, refusal: Some(Refused::Preface) };
                }
                if PREFACE.starts_with(rest) {
                    return Look { sound, refusal: None };
                }
            }
            match self.step(rest) {
                Ok(0) => return Look { sound, refusal: None },
                Ok(step) => sound += step,
                Err(refusal) => {
                    let refused = match std::mem::replace(&mut self.place, Place::Refused) {
                        Place::Head => Refused::Head(refusal),
                        _ => Refused::Body(refusal),
                    };
                    return Look { sound, refusal: Some(refused) };
                }
            }
        }
    }

    /// The bytes of `rest`, which is not empty, that are sound and of one kind; 0 for an incomplete head.
    fn step(&mut self, rest: &[u8]) -> Result<usize, Refusal> {
        match &mut self.place {
            Place::Head => {
                let Some(head) = read_head(rest, &self.limits)? else { return Ok(0) };
                self.place = match head.framing {
                    Framing::Length(0) => Place::Head,
                    Framing::Length(length) => Place::Length(length),
                    Framing::Chunked => Place::Chunked(Chunked::start(self.limits.fields)),
                };
                self.requests += 1;
                Ok(head.bytes)
            }
            Place::Length(left) => {
                let step = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                *left -= step as u64;
                if *left == 0 {
                    self.place = Place::Head;
                }
                Ok(step)
            }
            Place::Chunked(chunked) => match chunked.walk(rest)? {
                Some(end) => {
                    self.place = Place::Head;
                    Ok(end)
                }
                None => Ok(rest.len()),
            },
            Place::Refused => Ok(0),
        }
    }
}
