//! How a connection with several requests at once stands; its socket and its answers, looked at as they move.
//!
//! Leaves what follows from it to `http2`.

use std::cell::{Cell, RefCell};
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::http2::CONNECTION_WINDOW;
use super::room::Place;
use super::socket::Channel;

/// Requests that a client may break off beyond those it lets come to their end.
const ABANDONED: u64 = 100;
/// The most of an answer that is handed on at once: the rest stays where its place is counted.
const PIECE_BYTES: usize = 16 * 1024;

/// Shared by the connection's task, its socket, and the tasks of its streams.
#[derive(Debug)]
pub(super) struct Streams {
    begun: Cell<u64>,
    open: Cell<u64>,
    finished: Cell<u64>,
    abandoned: Cell<u64>,
    /// When the last stream ended, or the connection began.
    idle_since: Cell<Instant>,
    /// Since when the client has not taken what was written.
    stalled_since: Cell<Option<Instant>>,
    /// When the client last took what it had left untaken.
    taken_at: Cell<Option<Instant>>,
    cut: Cell<bool>,
    /// Whether all is written, and the client has only to read it.
    lingers: Cell<bool>,
    newest: RefCell<Option<Rc<Pace>>>,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            begun: Cell::new(0),
            open: Cell::new(0),
            finished: Cell::new(0),
            abandoned: Cell::new(0),
            idle_since: Cell::new(Instant::now()),
            stalled_since: Cell::new(None),
            taken_at: Cell::new(None),
            cut: Cell::new(false),
            lingers: Cell::new(false),
            newest: RefCell::new(None),
        }
    }
}

impl Streams {
    /// A request has come; its task asks for the pace next.
    pub(super) fn begin(&self) -> Rc<Pace> {
        self.begun.set(self.begun.get() + 1);
        let pace = Rc::new(Pace::default());
        self.newest.replace(Some(pace.clone()));
        pace
    }

    pub(super) fn take_newest(&self) -> Option<Rc<Pace>> {
        self.newest.take()
    }

    pub(super) fn begun(&self) -> u64 {
        self.begun.get()
    }

    /// Since when nothing is under way; nothing where something is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.open.get() == 0).then(|| self.idle_since.get())
    }

    pub(super) fn stalled_since(&self) -> Option<Instant> {
        self.stalled_since.get()
    }

    /// Whether the client breaks off much more than it lets come to its end.
    pub(super) fn is_abused(&self) -> bool {
        self.abandoned.get() > self.finished.get() + ABANDONED
    }

    /// When the client last took what it had left untaken.
    pub(super) fn taken_at(&self) -> Option<Instant> {
        self.taken_at.get()
    }

    /// Whether all is written, and the client has only to read it.
    pub(super) fn is_lingering(&self) -> bool {
        self.lingers.get()
    }

    /// The socket ends with a reset.
    pub(super) fn cut(&self) {
        self.cut.set(true);
    }
}

/// A request under way, from its head to the end of its answer.
#[derive(Debug)]
pub(super) struct Underway {
    streams: Rc<Streams>,
    finished: bool,
}

impl Underway {
    pub(super) fn of(streams: Rc<Streams>) -> Self {
        streams.open.set(streams.open.get() + 1);
        Self { streams, finished: false }
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let streams = &self.streams;
        streams.open.set(streams.open.get() - 1);
        streams.idle_since.set(Instant::now());
        let count = if self.finished { &streams.finished } else { &streams.abandoned };
        count.set(count.get() + 1);
    }
}

/// Since when a part of an answer waits for its client.
#[derive(Debug, Default)]
pub(super) struct Pace(Cell<Option<Instant>>);

impl Pace {
    pub(super) fn offered(&self) -> Option<Instant> {
        self.0.get()
    }
}

/// An answer in pieces, each handed on once the one before it was taken.
pub(super) struct Metered<B> {
    body: B,
    ahead: Bytes,
    pace: Rc<Pace>,
    underway: Underway,
    place: Option<Arc<Place>>,
}

/// A piece that `h2` keeps until its client takes it, which may be long after the answer's end. It takes up the
/// place of its request until then, so that memory is bounded by places.
struct Placed {
    piece: Bytes,
    _place: Arc<Place>,
}

impl AsRef<[u8]> for Placed {
    fn as_ref(&self) -> &[u8] {
        &self.piece
    }
}

impl<B: Body<Data = Bytes> + Unpin> Metered<B> {
    pub(super) fn new(body: B, pace: Rc<Pace>, underway: Underway, place: Option<Arc<Place>>) -> Self {
        let mut metered = Self { body, ahead: Bytes::new(), pace, underway, place };
        metered.underway.finished = metered.is_end_stream();
        metered
    }

    fn piece(&mut self) -> Bytes {
        let piece = self.ahead.split_to(self.ahead.len().min(PIECE_BYTES));
        self.pace.0.set(Some(Instant::now()));
        self.underway.finished = self.is_end_stream();
        match &self.place {
            Some(place) => Bytes::from_owner(Placed { piece, _place: place.clone() }),
            None => piece,
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Metered<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        this.pace.0.set(None);
        if this.ahead.is_empty() {
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => this.ahead = data,
                    // Trailers are not passed on.
                    Err(_trailers) => return Poll::Ready(None),
                },
                Poll::Ready(None) => {
                    this.underway.finished = true;
                    return Poll::Ready(None);
                }
                other => return other,
            }
        }
        Poll::Ready(Some(Ok(Frame::data(this.piece()))))
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let ahead = self.ahead.len() as u64;
        match self.body.size_hint().exact() {
            Some(rest) => SizeHint::with_exact(ahead + rest),
            None => SizeHint::default(),
        }
    }
}

/// The socket; says how long what was written waits.
pub(super) struct Watched {
    channel: Channel,
    streams: Rc<Streams>,
    linger: Option<Linger>,
}

/// How long a client may be silent while it reads what is left, how long that may last, and how much it may say: what
/// it was allowed to have under way, and the room it gives for what it reads.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_MOST: Duration = Duration::from_secs(30);
const LINGER_BYTES: usize = CONNECTION_WINDOW as usize + 64 * 1024;

/// Reads away what a client still says once all is written: closing on it would take back what it has not read yet.
struct Linger {
    sleep: Pin<Box<Sleep>>,
    last: Instant,
    left: usize,
}

impl Linger {
    fn new() -> Self {
        let last = Instant::now() + LINGER_MOST;
        Self { sleep: Box::pin(sleep(LINGER)), last, left: LINGER_BYTES }
    }

    fn poll(&mut self, channel: &mut Channel, cx: &mut Context<'_>) -> Poll<()> {
        let mut away = [0_u8; 2048];
        while self.left > 0 && self.sleep.as_mut().poll(cx).is_pending() {
            let mut away = ReadBuf::new(&mut away);
            let read = ready!(Pin::new(&mut *channel).poll_read(cx, &mut away));
            if read.is_err() || away.filled().is_empty() {
                break;
            }
            self.left = self.left.saturating_sub(away.filled().len());
            self.sleep.as_mut().reset((Instant::now() + LINGER).min(self.last));
        }
        Poll::Ready(())
    }
}

impl Watched {
    pub(super) const fn new(channel: Channel, streams: Rc<Streams>) -> Self {
        Self { channel, streams, linger: None }
    }

    fn note<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let stalled = &self.streams.stalled_since;
        match &outcome {
            Poll::Pending => stalled.set(Some(stalled.get().unwrap_or_else(Instant::now))),
            Poll::Ready(_) => {
                if stalled.take().is_some() {
                    self.streams.taken_at.set(Some(Instant::now()));
                }
            }
        }
        outcome
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.streams.cut.get() {
            self.channel.cut();
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.channel).poll_read(cx, buf)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.channel).poll_write(cx, bytes);
        self.note(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.channel).poll_write_vectored(cx, parts);
        self.note(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.channel.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.channel).poll_flush(cx);
        self.note(outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            let outcome = Pin::new(&mut this.channel).poll_shutdown(cx);
            ready!(this.note(outcome))?;
            this.streams.lingers.set(true);
        }
        this.linger.get_or_insert_with(Linger::new).poll(&mut this.channel, cx).map(Ok)
    }
}
