//! The socket of one client: hands on only whole, sound heads, and says how the connection stands.
//!
//! hyper reads through this, so it never sees a head that `wire` refused, nor half of one. Leaves what
//! follows from a refusal or a stall to `connection`.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::stay::Stay;
use crate::wire::{Refusal, Refused, RequestStream};

/// How a connection stands; shared by its socket, its service and its task.
#[derive(Debug)]
pub(super) struct Standing {
    /// Why nothing more is handed on.
    pub(super) refused: Cell<Option<Refused>>,
    /// Heads handed on.
    pub(super) requests: Cell<u64>,
    /// Answers handed over whole, or given up.
    pub(super) answers: Cell<u64>,
    /// When the last answer ended, or the connection began.
    pub(super) idle_since: Cell<Instant>,
    /// When an incomplete head began.
    pub(super) head_since: Cell<Option<Instant>>,
    /// Since when the client has not taken what was written.
    pub(super) stalled_since: Cell<Option<Instant>>,
    pub(super) stay: Rc<Stay>,
    /// Whether bytes may be left unread: in a body, or after a refusal.
    pub(super) unread: Cell<bool>,
    /// Whether the socket had nothing more when it was last read, with nothing held back.
    dry: Cell<bool>,
}

impl Standing {
    pub(super) fn new(stay: Rc<Stay>) -> Rc<Self> {
        Rc::new(Self {
            refused: Cell::new(None),
            requests: Cell::new(0),
            answers: Cell::new(0),
            idle_since: Cell::new(Instant::now()),
            head_since: Cell::new(None),
            stalled_since: Cell::new(None),
            stay,
            unread: Cell::new(false),
            dry: Cell::new(false),
        })
    }

    /// Whether a request was handed on that is not answered yet.
    pub(super) fn is_busy(&self) -> bool {
        self.requests.get() != self.answers.get()
    }

    /// Whether all that came was handed on and answered, and every answer is written. (hyper flushes last whenever it
    /// is polled, and what is not taken then is a stall.)
    pub(super) fn is_at_rest(&self) -> bool {
        self.dry.get()
            && !self.is_busy()
            && !self.unread.get()
            && self.refused.get().is_none()
            && self.stalled_since.get().is_none()
    }
}

/// A client's socket, looked at as it is read.
#[derive(Debug)]
pub(super) struct Guarded<S> {
    socket: S,
    stream: RequestStream,
    standing: Rc<Standing>,
    /// An incomplete head; or, at its front, `sound` bytes that found no room.
    held: Vec<u8>,
    sound: usize,
    /// Why the body under way cannot be read on, once what is sound of it was handed on.
    broken: Option<Refusal>,
}

impl<S> Guarded<S> {
    pub(super) const fn new(socket: S, stream: RequestStream, standing: Rc<Standing>) -> Self {
        Self { socket, stream, standing, held: Vec::new(), sound: 0, broken: None }
    }

    /// The socket, how far its requests have come, and what was read and not handed on.
    pub(super) fn into_parts(self) -> (S, RequestStream, Vec<u8>) {
        (self.socket, self.stream, self.held)
    }

    /// Looks at bytes, notes how the connection stands, and says how many of them are sound.
    fn look(&mut self, from: Source<'_>) -> usize {
        let bytes = match from {
            Source::Fresh(bytes) => bytes,
            Source::Held => &self.held,
        };
        let look = self.stream.look(bytes);
        let incomplete = look.sound < bytes.len();
        self.standing.requests.set(self.stream.requests());
        self.standing.unread.set(!self.stream.between_requests());
        match look.refusal {
            Some(Refused::Body(refusal)) => self.broken = Some(refusal),
            refused => self.standing.refused.set(refused),
        }
        // An empty line may follow a body; alone it is not the beginning of a head that takes too long.
        let incomplete = incomplete && bytes[look.sound..] != *b"\r\n" && bytes[look.sound..] != *b"\r";
        let began = incomplete.then(|| self.standing.head_since.get().unwrap_or_else(Instant::now));
        self.standing.head_since.set(began);
        look.sound
    }
}

enum Source<'a> {
    Fresh(&'a [u8]),
    Held,
}

/// A refusal in the middle of a body, as the body's reader gets it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InBody(pub Refusal);

impl<S: AsyncRead + Unpin> Guarded<S> {
    /// Reads on into `held`. `Ok(false)` at the end of the stream.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut room = [0_u8; 2048];
        let mut fresh = ReadBuf::new(&mut room);
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut fresh))?;
        let fresh = fresh.filled();
        if fresh.is_empty() {
            return Poll::Ready(Ok(false));
        }
        self.held.extend_from_slice(fresh);
        // A head can only become complete, or wrong, with a line end or by its length; looking at it again
        // for less would let a client that dribbles make us read it over and over.
        if memchr::memchr2(b'\n', b'\r', fresh).is_some() || self.held.len() % 4096 < fresh.len() {
            self.sound = self.look(Source::Held);
        }
        Poll::Ready(Ok(true))
    }

    /// The client has closed its side. hyper would end with it, so it is not told while an answer is owed, unless the
    /// request itself breaks off.
    fn poll_end(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        if self.standing.unread.get() {
            self.standing.stay.settle();
        }
        self.standing.stay.poll_end(cx).map(Ok)
    }

    fn hand_over_held(&mut self, buf: &mut ReadBuf<'_>) {
        let step = self.sound.min(buf.remaining());
        buf.put_slice(&self.held[..step]);
        self.held.drain(..step);
        self.sound -= step;
        if self.held.is_empty() {
            self.held = Vec::new();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.sound > 0 {
                this.hand_over_held(buf);
                return Poll::Ready(Ok(()));
            }
            if let Some(refusal) = this.broken {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, InBody(refusal))));
            }
            if this.standing.refused.get().is_some() {
                // The connection's task sees the refusal and ends the connection.
                return Poll::Pending;
            }
            if !this.held.is_empty() {
                if !ready!(this.poll_held(cx))? {
                    return this.poll_end(cx);
                }
                continue;
            }
            let before = buf.filled().len();
            let read = Pin::new(&mut this.socket).poll_read(cx, buf);
            this.standing.dry.set(read.is_pending());
            ready!(read)?;
            if buf.filled().len() == before {
                return this.poll_end(cx);
            }
            let sound = this.look(Source::Fresh(&buf.filled()[before..]));
            this.held.extend_from_slice(&buf.filled()[before + sound..]);
            buf.set_filled(before + sound);
            if sound > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> Guarded<S> {
    fn note_write<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let stalled = &self.standing.stalled_since;
        match &outcome {
            Poll::Pending => stalled.set(Some(stalled.get().unwrap_or_else(Instant::now))),
            Poll::Ready(_) if stalled.get().is_some() => stalled.set(None),
            Poll::Ready(_) => {}
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.note_write(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.socket).poll_write_vectored(cx, parts);
        self.note_write(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Under TLS a write is taken before its last bytes are.
        let flushed = Pin::new(&mut self.socket).poll_flush(cx);
        let flushed = self.note_write(flushed);
        // hyper asks for it when it has nothing left to write.
        if flushed.is_ready() && !self.standing.is_busy() {
            self.standing.stay.settle();
        }
        flushed
    }

    /// Nothing: a refusal may still have to be written, so the connection's task closes the socket.
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
