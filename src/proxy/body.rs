//! The two body types. Data only: trailers are dropped, as RFC 9110, 6.5.1 allows.
//!
//! Leaves reading a body whole to `collect`.

use std::cell::Cell;
use std::future::Future as _;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::telemetry::exchange::Exchange;
use crate::telemetry::metrics::{Direction, Side, WorkerMetrics};
use crate::upstream::{Broken, KarborBody, Progress};

/// A body could not be passed on to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyFault<E> {
    /// It stood still for too long.
    #[error("the body made no progress in time")]
    Stalled,
    /// Its sender broke it off.
    #[error("the body broke off")]
    Broken(#[source] E),
}

/// How fast a body must come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// The longest wait for its next part.
    pub stall_timeout: Duration,
    /// The least bytes for each second that we wait for it; 0 for any.
    pub bytes_a_second: u64,
}

/// Waiting does not count against the rate before it has lasted this long in all.
const GRACE: Duration = Duration::from_secs(10);

/// The waits for a body. Time in which the other side does not take what is there does not count.
#[derive(Debug)]
struct Patience {
    pace: Pace,
    sleep: Option<Pin<Box<Sleep>>>,
    since: Option<Instant>,
    waited: Duration,
    bytes: u64,
}

impl Patience {
    const fn new(pace: Pace) -> Self {
        Self { pace, sleep: None, since: None, waited: Duration::ZERO, bytes: 0 }
    }

    /// Nothing is there. Ready when the wait has lasted too long.
    fn poll_exhausted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let most = self.pace.stall_timeout;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(most)));
        if self.since.is_none() {
            let now = Instant::now();
            self.since = Some(now);
            sleep.as_mut().reset(now + most);
        }
        sleep.as_mut().poll(cx)
    }

    /// A part has come. False if they come too slowly.
    fn keeps_pace(&mut self, bytes: usize) -> bool {
        self.bytes += bytes as u64;
        let Some(since) = self.since.take() else { return true };
        self.waited += since.elapsed();
        self.waited < GRACE || self.bytes / self.waited.as_secs().max(1) >= self.pace.bytes_a_second
    }
}

/// What is sent to Karbor.
#[derive(Debug, Default)]
pub enum RequestBody {
    /// Nothing.
    #[default]
    Empty,
    /// These bytes.
    Whole(Option<Bytes>),
    /// The client's body as it comes.
    Stream(Box<ClientStream>),
}

/// The client's body on its way to Karbor.
#[derive(Debug)]
pub struct ClientStream {
    /// What was read before it was decided to stream.
    prefix: Option<Bytes>,
    incoming: Incoming,
    patience: Patience,
    flow: Rc<Flow>,
}

/// How far a client's body has come.
#[derive(Debug)]
pub(super) struct Flow {
    last: Cell<Option<Instant>>,
    ended: Cell<bool>,
    metrics: Rc<WorkerMetrics>,
}

impl Flow {
    const fn new(metrics: Rc<WorkerMetrics>) -> Self {
        Self { last: Cell::new(None), ended: Cell::new(false), metrics }
    }

    fn received(&self, bytes: usize) {
        self.metrics.body_bytes(Side::Downstream, Direction::Received, bytes as u64);
    }

    fn passed_on(&self, bytes: usize) {
        self.last.set(Some(Instant::now()));
        self.metrics.body_bytes(Side::Upstream, Direction::Sent, bytes as u64);
    }
}

impl Progress for Option<Rc<Flow>> {
    fn is_underway(&self) -> bool {
        self.as_ref().is_some_and(|flow| !flow.ended.get())
    }

    fn last(&self) -> Option<Instant> {
        self.as_ref().and_then(|flow| flow.last.get())
    }
}

impl RequestBody {
    /// How far it has come, if it is streamed.
    pub(super) fn flow(&self) -> Option<Rc<Flow>> {
        match self {
            Self::Stream(stream) => Some(stream.flow.clone()),
            Self::Empty | Self::Whole(_) => None,
        }
    }

    /// The client's body as it comes, after `prefix`.
    pub(super) fn stream(
        prefix: Option<Bytes>,
        incoming: Incoming,
        pace: Pace,
        metrics: Rc<WorkerMetrics>,
    ) -> Self {
        let (patience, flow) = (Patience::new(pace), Rc::new(Flow::new(metrics)));
        Self::Stream(Box::new(ClientStream { prefix, incoming, patience, flow }))
    }

    /// These bytes; none are no body.
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyFault<hyper::Error>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(stream) => stream.poll_data(cx).map_ok(Frame::data),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(bytes) => bytes.is_none(),
            Self::Stream(stream) => stream.prefix.is_none() && stream.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Stream(stream) => match (stream.incoming.size_hint().exact(), &stream.prefix) {
                (Some(left), prefix) => {
                    SizeHint::with_exact(left + prefix.as_ref().map_or(0, Bytes::len) as u64)
                }
                (None, _) => SizeHint::default(),
            },
        }
    }
}

impl ClientStream {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyFault<hyper::Error>>>> {
        if let Some(prefix) = self.prefix.take() {
            self.flow.passed_on(prefix.len());
            return Poll::Ready(Some(Ok(prefix)));
        }
        let polled = poll_incoming(&mut self.incoming, &mut self.patience, cx);
        if let Poll::Ready(Some(Ok(data))) = &polled {
            self.flow.received(data.len());
            self.flow.passed_on(data.len());
        }
        let none_left = matches!(polled, Poll::Ready(None));
        self.flow.ended.set(none_left || self.incoming.is_end_stream());
        polled
    }
}

fn poll_incoming<I: Body<Data = Bytes> + Unpin>(
    incoming: &mut I,
    patience: &mut Patience,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Bytes, BodyFault<I::Error>>>> {
    match Pin::new(incoming).poll_frame(cx) {
        Poll::Ready(Some(Ok(frame))) => {
            let Ok(data) = frame.into_data() else { return Poll::Ready(None) };
            let in_time = patience.keeps_pace(data.len());
            Poll::Ready(Some(if in_time { Ok(data) } else { Err(BodyFault::Stalled) }))
        }
        Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(BodyFault::Broken(error)))),
        Poll::Ready(None) => Poll::Ready(None),
        Poll::Pending => patience.poll_exhausted(cx).map(|()| Some(Err(BodyFault::Stalled))),
    }
}

/// What is sent to the client, and the record that ends with it.
#[derive(Debug)]
pub struct AnswerBody {
    content: Content,
    exchange: Option<Box<Exchange>>,
}

#[derive(Debug)]
enum Content {
    Whole(Option<Bytes>),
    Stream(Box<KarborStream>),
}

/// Karbor's body on its way to the client.
#[derive(Debug)]
struct KarborStream {
    /// What was read before it was decided to stream.
    prefix: Option<Bytes>,
    incoming: KarborBody,
    patience: Patience,
}

impl AnswerBody {
    /// These bytes, with no record to end: it is written already.
    pub(super) fn unrecorded(bytes: Bytes) -> Self {
        Self { content: Content::Whole(Some(bytes)), exchange: None }
    }

    /// These bytes.
    pub(super) fn whole(bytes: Bytes, exchange: Box<Exchange>) -> Self {
        let bytes = Some(bytes).filter(|bytes| !bytes.is_empty());
        Self { content: Content::Whole(bytes), exchange: Some(exchange) }
    }

    /// Karbor's body as it comes, after what was read of it.
    pub(super) fn stream(
        prefix: Bytes,
        mut incoming: KarborBody,
        most: Duration,
        exchange: Box<Exchange>,
    ) -> Self {
        if prefix.is_empty()
            && let Some(bytes) = incoming.take_whole()
        {
            return Self::whole(bytes, exchange);
        }
        // Karbor may be as slow as it likes, if it goes on.
        let patience = Patience::new(Pace { stall_timeout: most, bytes_a_second: 0 });
        let prefix = Some(prefix).filter(|prefix| !prefix.is_empty());
        let stream = KarborStream { prefix, incoming, patience };
        Self { content: Content::Stream(Box::new(stream)), exchange: Some(exchange) }
    }

    /// Leaves out the bytes of an answer to a HEAD: nobody will ask for them. Their number.
    pub(super) fn leave_out(&mut self) -> Option<usize> {
        match &mut self.content {
            Content::Whole(bytes) => bytes.take().map(|bytes| bytes.len()),
            Content::Stream(_) => None,
        }
    }

    /// The client did not wait for the answer.
    pub(super) fn client_left(&mut self) {
        if let Some(exchange) = &mut self.exchange {
            exchange.client_left();
        }
    }

    fn fail(&mut self, fault: &BodyFault<Broken>) {
        if let Some(mut exchange) = self.exchange.take() {
            exchange.answer_broke_off(matches!(fault, BodyFault::Stalled));
            exchange.finish();
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BodyFault<Broken>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = match &mut self.content {
            Content::Whole(bytes) => Poll::Ready(bytes.take().map(Ok)),
            Content::Stream(stream) => match stream.prefix.take() {
                Some(prefix) => Poll::Ready(Some(Ok(prefix))),
                None => poll_incoming(&mut stream.incoming, &mut stream.patience, cx),
            },
        };
        match &polled {
            Poll::Ready(Some(Ok(data))) => {
                if let Some(exchange) = &mut self.exchange {
                    exchange.sent(data.len() as u64);
                }
            }
            Poll::Ready(None) => {
                if let Some(exchange) = self.exchange.take() {
                    exchange.finish();
                }
            }
            Poll::Ready(Some(Err(fault))) => self.fail(fault),
            Poll::Pending => {}
        }
        polled.map_ok(Frame::data)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_none(),
            Content::Stream(stream) => stream.prefix.is_none() && stream.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Content::Stream(stream) => {
                let ahead = stream.prefix.as_ref().map_or(0, Bytes::len) as u64;
                let rest = stream.incoming.size_hint().exact();
                rest.map_or_else(SizeHint::default, |rest| SizeHint::with_exact(ahead + rest))
            }
        }
    }
}

impl Drop for AnswerBody {
    /// hyper does not ask a body for more once it says that it ended; any other drop is the client's leaving.
    fn drop(&mut self) {
        let ended = self.is_end_stream();
        if let Some(mut exchange) = self.exchange.take() {
            if !ended {
                exchange.client_left();
            }
            exchange.finish();
        }
    }
}
