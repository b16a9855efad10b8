//! The body of Karbor's answer: what came with its head, or read as it is asked for.
//!
//! Its end gives the connection back, to be used again if nothing speaks against it. Trailers are read over.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use super::failure::Broken;
use super::line::{BODY_ROOM, HEAD_ROOM, Line};
use super::pool::Lease;
use crate::wire::AnswerReader;

/// Parts of less than that are copied, unless they are the last.
const CRUMB_BYTES: usize = 1024;

/// The body of an answer. Small, because it is moved often.
#[derive(Debug)]
pub struct KarborBody(Content);

#[derive(Debug)]
enum Content {
    /// All of it came with the head. None of an empty one, and once it was taken.
    Whole(Option<Bytes>),
    Coming(Box<Coming>),
}

/// What is still to come of an answer. Dropped before its end, it closes the connection.
#[derive(Debug)]
struct Coming {
    reader: AnswerReader,
    /// None from its end on.
    lease: Option<Lease>,
    /// Why it broke off, until that is said.
    broken: Option<Broken>,
    /// Whether whoever has the last part is still to be given the time to let it go.
    pauses: bool,
}

impl KarborBody {
    pub(super) fn new(mut reader: AnswerReader, mut lease: Lease) -> Self {
        match whole(&mut reader, &mut lease.line().input) {
            // Nobody need wait for the client to have the connection back.
            Some(bytes) => {
                lease.give_back(reader.leaves_it_open());
                Self(Content::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())))
            }
            None => Self(Content::Coming(Box::new(Coming {
                reader,
                lease: Some(lease),
                broken: None,
                pauses: false,
            }))),
        }
    }

    /// All of it, where that came with the head. Of a body that nothing was read of.
    pub fn take_whole(&mut self) -> Option<Bytes> {
        match &mut self.0 {
            Content::Whole(bytes) => Some(bytes.take().unwrap_or_default()),
            Content::Coming(_) => None,
        }
    }
}

/// The whole body, where nothing of it is missing in `input`.
fn whole(reader: &mut AnswerReader, input: &mut BytesMut) -> Option<Bytes> {
    match reader.left()? {
        0 => Some(Bytes::new()),
        left if left <= input.len() as u64 => reader.data(input).ok()?,
        _ => None,
    }
}

impl Coming {
    fn release_at_end(&mut self) {
        if self.reader.is_ended()
            && let Some(lease) = self.lease.take()
        {
            lease.give_back(self.reader.leaves_it_open());
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        let Some(lease) = &mut self.lease else { return Poll::Ready(self.broken.take().map(Err)) };
        let line = lease.line();
        // So the next is read into the memory of the last, which is near, and no more is needed.
        if std::mem::take(&mut self.pauses) && line.input.is_empty() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match ready!(poll_next(line, &mut self.reader, cx)) {
            Some(Err(broken)) => {
                (self.lease, self.broken) = (None, Some(broken));
                // With an error hyper throws away what it has not written yet: that goes first.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            polled => {
                self.pauses = true;
                self.release_at_end();
                // A few bytes of many to come would keep all the memory that they were read into.
                let is_crumb = |data: &Bytes| data.len() < CRUMB_BYTES && self.lease.is_some();
                let polled = polled.map(|part| {
                    part.map(|data| if is_crumb(&data) { Bytes::copy_from_slice(&data) } else { data })
                });
                Poll::Ready(polled)
            }
        }
    }
}

/// The next part of a body, read from `line`. None at its end.
pub(super) fn poll_next(
    line: &mut Line,
    reader: &mut AnswerReader,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Bytes, Broken>>> {
    loop {
        match reader.data(&mut line.input) {
            Ok(Some(data)) => return Poll::Ready(Some(Ok(data))),
            Ok(None) if reader.is_ended() => return Poll::Ready(None),
            Ok(None) => {}
            Err(bad) => return Poll::Ready(Some(Err(bad.into()))),
        }
        let room = match reader.left() {
            Some(left) => usize::try_from(left).unwrap_or(BODY_ROOM).clamp(HEAD_ROOM, BODY_ROOM),
            None => BODY_ROOM,
        };
        match ready!(line.poll_receive(cx, room)) {
            Ok(0) => match reader.close() {
                Ok(()) => return Poll::Ready(None),
                Err(bad) => return Poll::Ready(Some(Err(bad.into()))),
            },
            Ok(_) => {}
            Err(error) => return Poll::Ready(Some(Err(Broken::Connection(error)))),
        }
    }
}

impl Body for KarborBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.0 {
            Content::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Coming(coming) => coming.poll_data(cx).map_ok(Frame::data),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Whole(bytes) => bytes.is_none(),
            Content::Coming(coming) => coming.lease.is_none() && coming.broken.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let left = match &self.0 {
            Content::Whole(bytes) => Some(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Content::Coming(coming) => coming.reader.left(),
        };
        left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
