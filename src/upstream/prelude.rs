//! What Karbor may say before the head of an answer is whole: interim answers without end, above all.
//!
//! hyper bounds one head and skips any number of interim ones. Leaves time to `Upstream`.

use std::cell::Cell;
use std::error::Error;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Interim answers, the head, and what was read with it of the body: twice the largest read each.
const PRELUDE_BYTES: usize = 4 * super::connect::READ_BYTES;

/// How much may still be read of a prelude; none while nothing bounds it.
#[derive(Clone, Debug, Default)]
pub(super) struct Prelude(Rc<Cell<Option<usize>>>);

impl Prelude {
    /// A request is sent: the next bytes are a prelude.
    pub(super) fn begin(&self) {
        self.0.set(Some(PRELUDE_BYTES));
    }

    /// Whether nothing was read since it began: no byte of an answer.
    pub(super) fn is_untouched(&self) -> bool {
        self.0.get() == Some(PRELUDE_BYTES)
    }

    /// The head is there.
    pub(super) fn end(&self) {
        self.0.set(None);
    }

    fn read(&self, bytes: usize) -> io::Result<()> {
        let Some(left) = self.0.get() else { return Ok(()) };
        let left = left.checked_sub(bytes);
        let left = left.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, TooLong))?;
        self.0.set(Some(left));
        Ok(())
    }
}

/// There is no end to it.
#[derive(Debug, thiserror::Error)]
#[error("too much came before the head of the answer was whole")]
struct TooLong;

/// Whether an exchange failed because of that.
pub(super) fn was_too_long(error: &hyper::Error) -> bool {
    let mut next = error.source();
    while let Some(cause) = next {
        if cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
            .is_some_and(|own| own.is::<TooLong>())
        {
            return true;
        }
        next = cause.source();
    }
    false
}

/// A socket that counts what is read of a prelude.
#[derive(Debug)]
pub(super) struct Counted<S> {
    socket: S,
    prelude: Prelude,
}

impl<S> Counted<S> {
    pub(super) const fn new(socket: S, prelude: Prelude) -> Self {
        Self { socket, prelude }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, buf))?;
        Poll::Ready(self.prelude.read(buf.filled().len() - before))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
