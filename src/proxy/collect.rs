//! Reading a body whole, bounded in bytes and in time.
//!
//! Leaves to `review` and `forward` what follows from one that is too large or breaks off.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::body::BodyFault;
use super::budget::Share;
use crate::upstream::Failure;

/// A body could not be read whole.
#[derive(Debug, thiserror::Error)]
pub(super) enum CollectError {
    /// It stood still or broke off.
    #[error(transparent)]
    Body(#[from] BodyFault),
    /// There is no memory left for it.
    #[error("the memory for bodies is used up")]
    NoRoom,
}

/// A body that was read for review.
#[derive(Debug)]
pub(super) enum Collected {
    /// All of it.
    Whole(Bytes),
    /// More than the limit: what was read, and the rest still to come.
    TooLarge(Bytes, Incoming),
}

impl Collected {
    /// Bytes read so far.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Whole(bytes) | Self::TooLarge(bytes, _) => bytes.len() as u64,
        }
    }
}

/// The most bytes of an answer that the proxy itself reads.
const ANSWER_BYTES: u64 = 1024 * 1024;

/// Reads an answer of Karbor's that the proxy needs itself.
pub(super) async fn collect_answer(incoming: Incoming, most: Duration) -> Result<Bytes, Failure> {
    match collect(incoming, ANSWER_BYTES, most, None).await {
        Ok(Collected::Whole(bytes)) => Ok(bytes),
        Ok(Collected::TooLarge(..)) => Err(Failure::Answer("it is too large")),
        Err(CollectError::Body(BodyFault::Broken(source))) => Err(Failure::broke_off(source)),
        Err(CollectError::Body(BodyFault::Stalled) | CollectError::NoRoom) => Err(Failure::AnswerStalled),
    }
}

/// Reads a body of at most `limit` bytes, by its declared length and by counting, within `most`.
///
/// # Errors
/// When it breaks off, or is not whole in time.
pub(super) async fn collect(
    mut incoming: Incoming,
    limit: u64,
    most: Duration,
    mut share: Option<&mut Share>,
) -> Result<Collected, CollectError> {
    let declared = incoming.size_hint().lower();
    if declared > limit {
        return Ok(Collected::TooLarge(Bytes::new(), incoming));
    }
    let deadline = Instant::now() + most;
    let mut parts = Parts { first: Bytes::new(), all: BytesMut::new(), declared };
    loop {
        let frame = match timeout_at(deadline, incoming.frame()).await {
            Err(_elapsed) => return Err(BodyFault::Stalled.into()),
            Ok(None) => return Ok(Collected::Whole(parts.join())),
            Ok(Some(frame)) => frame.map_err(BodyFault::Broken)?,
        };
        if let Ok(data) = frame.into_data() {
            if share.as_mut().is_some_and(|share| !share.grow(data.len() as u64)) {
                return Err(CollectError::NoRoom);
            }
            parts.push(data);
        }
        if parts.len() > limit {
            return Ok(Collected::TooLarge(parts.join(), incoming));
        }
    }
}

/// The parts of a body: a body in one part is not copied.
struct Parts {
    first: Bytes,
    all: BytesMut,
    declared: u64,
}

impl Parts {
    fn len(&self) -> u64 {
        self.first.len().max(self.all.len()) as u64
    }

    fn push(&mut self, data: Bytes) {
        if self.first.is_empty() {
            self.first = data;
            return;
        }
        if self.all.is_empty() {
            // Room for what has come and as much again, not for what was promised.
            let declared = usize::try_from(self.declared).unwrap_or(usize::MAX);
            self.all.reserve(declared.min(2 * (self.first.len() + data.len())));
            self.all.extend_from_slice(&self.first);
        }
        self.all.extend_from_slice(&data);
    }

    fn join(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.freeze() }
    }
}
