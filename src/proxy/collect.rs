//! Reading a body whole, bounded in bytes and in time.
//!
//! Leaves to `review` and `forward` what follows from one that is too large or breaks off.

use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};

use super::body::BodyFault;
use super::budget::{Budget, Share};
use crate::upstream::{Broken, Failure, KarborBody};

/// A body that was read for review.
#[derive(Debug)]
pub(super) enum Collected<I> {
    /// All of it.
    Whole(Bytes),
    /// More than the limit: what was read, and the rest still to come.
    TooLarge(Bytes, I),
    /// There is no memory left for it: the same.
    NoRoom(Bytes, I),
}

impl<I> Collected<I> {
    /// Bytes read so far.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Whole(bytes) | Self::TooLarge(bytes, _) | Self::NoRoom(bytes, _) => bytes.len() as u64,
        }
    }
}

/// The most bytes of an answer that the proxy itself reads.
const ANSWER_BYTES: u64 = 1024 * 1024;

/// Reads an answer of Karbor's that the proxy needs itself.
pub(super) async fn collect_answer(
    mut incoming: KarborBody,
    most: Duration,
    budget: &Budget,
) -> Result<Bytes, Failure> {
    if let Some(bytes) = incoming.take_whole() {
        // No more than was read with a head, which every connection may hold.
        return Ok(bytes);
    }
    let mut share = budget.answer_share();
    // Rarer, and large: in a box.
    match Box::pin(collect(incoming, ANSWER_BYTES, most, &mut share)).await.map_err(failure)? {
        Collected::Whole(bytes) => Ok(share.attach(bytes)),
        Collected::TooLarge(..) => Err(Failure::Answer("it is too large")),
        Collected::NoRoom(..) => Err(Failure::Answer("there is no memory left for it")),
    }
}

/// Reads an answer of Karbor's that is to be filled, if there is room for it.
pub(super) async fn collect_to_fill(
    incoming: KarborBody,
    limit: u64,
    most: Duration,
    share: &mut Share,
) -> Result<Collected<KarborBody>, Failure> {
    collect(incoming, limit, most, share).await.map_err(failure)
}

fn failure(fault: BodyFault<Broken>) -> Failure {
    match fault {
        BodyFault::Broken(source) => Failure::broke_off(source),
        BodyFault::Stalled => Failure::AnswerStalled,
    }
}

/// Reads a body of at most `limit` bytes, by its declared length and by counting, within `most`.
///
/// # Errors
/// When it breaks off, or is not whole in time.
pub(super) async fn collect<I: Body<Data = Bytes> + Unpin>(
    mut incoming: I,
    limit: u64,
    most: Duration,
    share: &mut Share,
) -> Result<Collected<I>, BodyFault<I::Error>> {
    let declared = incoming.size_hint().lower();
    if declared > limit {
        return Ok(Collected::TooLarge(Bytes::new(), incoming));
    }
    let deadline = Instant::now() + most;
    let mut parts = Parts { first: Bytes::new(), all: Vec::new(), declared };
    loop {
        let frame = match timeout_at(deadline, incoming.frame()).await {
            Err(_elapsed) => return Err(BodyFault::Stalled),
            Ok(None) => return Ok(Collected::Whole(parts.join())),
            Ok(Some(frame)) => frame.map_err(BodyFault::Broken)?,
        };
        if let Ok(data) = frame.into_data() {
            parts.push(&data);
            if !share.hold(parts.held()) {
                return Ok(Collected::NoRoom(parts.join(), incoming));
            }
        }
        if parts.len() > limit {
            return Ok(Collected::TooLarge(parts.join(), incoming));
        }
    }
}

/// Reads away what is left of a body, of at most `limit` bytes and within `most`. Whether that was all of it:
/// only then can another request follow.
pub(super) async fn discard(
    mut incoming: impl Body<Data = Bytes> + Unpin,
    limit: u64,
    most: Duration,
) -> bool {
    let deadline = Instant::now() + most;
    let mut left = limit;
    while let Ok(frame) = timeout_at(deadline, incoming.frame()).await {
        let data = match frame {
            None => return true,
            Some(Ok(frame)) => frame.into_data(),
            Some(Err(_broken)) => return false,
        };
        let Some(less) = left.checked_sub(data.map_or(0, |data| data.len() as u64)) else { return false };
        left = less;
    }
    false
}

/// The parts of a body: a body in one part is not copied.
struct Parts {
    first: Bytes,
    all: Vec<u8>,
    declared: u64,
}

impl Parts {
    fn len(&self) -> u64 {
        self.first.len().max(self.all.len()) as u64
    }

    /// Bytes of memory.
    fn held(&self) -> u64 {
        self.first.len().max(self.all.capacity()) as u64
    }

    fn push(&mut self, data: &Bytes) {
        if self.first.is_empty() && self.all.is_empty() {
            self.first = data.clone();
            return;
        }
        // Kept, it would keep all that was read with it.
        let first = std::mem::take(&mut self.first);
        let needed = self.all.len() + first.len() + data.len();
        if needed > self.all.capacity() {
            // Room for as much again, but neither for what was only promised nor for more than that.
            let declared = usize::try_from(self.declared).unwrap_or(usize::MAX);
            let room = (2 * needed).min(declared).max(needed);
            self.all.reserve_exact(room - self.all.len());
        }
        self.all.extend_from_slice(&first);
        self.all.extend_from_slice(data);
    }

    fn join(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.into() }
    }
}
