//! A connection to Karbor as bytes: what was written to it, what came on it.
//!
//! Leaves what they mean to `outgoing` and `converse`.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWrite, ReadBuf, ReadHalf, WriteHalf, split};

use super::stream::Stream;

/// Room for a head, and a small body with it.
pub(super) const HEAD_ROOM: usize = 8 * 1024;
/// Large answers are read in parts of this size: twice as fast as with larger ones, and a tenth of the memory.
pub(super) const BODY_ROOM: usize = 32 * 1024;

/// A connection.
#[derive(Debug)]
pub(super) struct Line {
    way: Way,
    /// What came and was not used yet.
    pub(super) input: BytesMut,
    sent: u64,
    has_heard: bool,
}

/// Bytes in both directions, or, where a request is still being sent by somebody else, in one.
#[derive(Debug)]
enum Way {
    Both(Stream),
    In(ReadHalf<Stream>),
    /// Between the two, or failed.
    None,
}

impl Line {
    pub(super) fn new(stream: Stream) -> Self {
        Self { way: Way::Both(stream), input: BytesMut::new(), sent: 0, has_heard: false }
    }

    /// Another request: counts begin anew.
    pub(super) fn begin(&mut self) {
        (self.sent, self.has_heard) = (0, false);
    }

    /// Bytes of the request that the system took; of a write under TLS that failed, some may be among them.
    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether a byte came in answer to it.
    pub(super) const fn has_heard(&self) -> bool {
        self.has_heard
    }

    /// Reads what is there into `input`, with `room` for it. 0: nothing more will come.
    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        // Only then is there need for room: by now, that of the last answer may be free again.
        match &self.way {
            Way::Both(Stream::Tcp(socket)) => ready!(socket.poll_read_ready(cx))?,
            Way::Both(Stream::Unix(socket)) => ready!(socket.poll_read_ready(cx))?,
            _ => {}
        }
        self.input.reserve(room);
        let polled = match &mut self.way {
            Way::Both(stream) => pin!(stream.read_buf(&mut self.input)).poll(cx),
            Way::In(stream) => pin!(stream.read_buf(&mut self.input)).poll(cx),
            Way::None => Poll::Ready(Err(gone())),
        };
        self.has_heard |= matches!(polled, Poll::Ready(Ok(1..)));
        polled
    }

    /// Whether an idle connection can carry a request: it is open, and nothing came that nobody asked for.
    pub(super) fn is_fit(&mut self) -> bool {
        let mut byte = [0];
        let would_block =
            |read: io::Result<usize>| matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        self.input.is_empty()
            && match &mut self.way {
                Way::Both(Stream::Tcp(socket)) => would_block(socket.try_read(&mut byte)),
                Way::Both(Stream::Unix(socket)) => would_block(socket.try_read(&mut byte)),
                Way::Both(stream) => {
                    let mut cx = Context::from_waker(Waker::noop());
                    Pin::new(stream).poll_read(&mut cx, &mut ReadBuf::new(&mut byte)).is_pending()
                }
                Way::In(_) | Way::None => false,
            }
    }

    /// Whether it goes both ways, and nothing that came is left.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.way, Way::Both(_)) && self.input.is_empty()
    }

    /// Lets somebody else write from now on.
    pub(super) fn part(&mut self) -> Option<WriteHalf<Stream>> {
        match std::mem::replace(&mut self.way, Way::None) {
            Way::Both(stream) => {
                let (way_in, way_out) = split(stream);
                self.way = Way::In(way_in);
                Some(way_out)
            }
            Way::In(_) | Way::None => None,
        }
    }
}

/// Counts what the system took.
impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Way::Both(stream) = &mut self.way else { return Poll::Ready(Err(gone())) };
        let is_encrypted = matches!(stream, Stream::Tls(_));
        let polled = Pin::new(stream).poll_write_vectored(cx, parts);
        match &polled {
            Poll::Ready(Ok(bytes)) => self.sent += *bytes as u64,
            // Of what was offered some may have gone before.
            Poll::Ready(Err(_)) if is_encrypted => self.sent += 1,
            _ => {}
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Way::Both(stream) = &mut self.way else { return Poll::Ready(Err(gone())) };
        Pin::new(stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Way::Both(stream) = &mut self.way else { return Poll::Ready(Err(gone())) };
        Pin::new(stream).poll_shutdown(cx)
    }
}

impl Drop for Line {
    /// Says good-bye where that is a message of its own, if the system takes it at once.
    fn drop(&mut self) {
        if let Way::Both(stream @ Stream::Tls(_)) = &mut self.way {
            let mut cx = Context::from_waker(Waker::noop());
            let _ended = Pin::new(stream).poll_shutdown(&mut cx);
        }
    }
}

fn gone() -> io::Error {
    io::ErrorKind::NotConnected.into()
}
