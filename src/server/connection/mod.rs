//! One client connection of HTTP/1 from accept to close: hyper while there is something to say, a small wait between.
//!
//! Most connections are silent most of the time, and hyper keeps two buffers of 8 KiB for each. So one that was silent
//! for a moment is parked: hyper is taken away from the socket, and made anew once a byte comes. Leaves requests to the
//! handler, bytes to `guard`, when to do what to `course`, last words to `farewell`.

mod course;
mod farewell;

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep, sleep_until};

use super::guard::{Guarded, Standing};
use super::socket::Channel;
use super::{Handler, LiveOptions, ServerOptions, Stay, http2};
use crate::drain::Watcher;
use crate::wire::{HeadLimits, RequestStream};
use course::{Course, Due, End, Step};
use farewell::{linger, refuse};

/// A connection, and what it is served by.
pub(super) struct Line<H: Handler> {
    handler: Rc<H>,
    peer: Rc<H::Peer>,
    standing: Rc<Standing>,
    live: Rc<LiveOptions>,
    /// Those of the beginning.
    options: Rc<ServerOptions>,
    watcher: Watcher,
}

/// A connection that hyper does not hold.
struct Parked {
    socket: Channel,
    stream: RequestStream,
}

/// Serves one connection until it ends.
pub(super) async fn serve<H: Handler>(line: Line<H>, socket: Channel) {
    let line = Rc::new(line);
    let mut course = Course::new(&line.watcher);
    let mut timer = pin!(sleep_until(course.first_look(&line.standing, &line.options)));
    // What came with a handshake may be decrypted already, and then the socket does not say that it is there.
    let mut may_rest = !socket.is_encrypted();
    let mut parked = Parked { stream: expected_stream(&line.options, socket.is_encrypted()), socket };
    let end = loop {
        if may_rest && let Some(end) = rest(&line, &mut parked, &mut course, timer.as_mut()).await {
            break end;
        }
        // In a box, as all that only some moments of a connection need: its task is as large as the largest of them.
        let talked = Box::pin(talk(&line, parked, &mut course, timer.as_mut())).await;
        parked = talked.0;
        match talked.1 {
            Due::End(end) => break end,
            Due::Park => may_rest = true,
        }
    };
    Box::pin(part(&line, parked.socket, end)).await;
}

impl<H: Handler> Line<H> {
    pub(super) fn new(
        handler: Rc<H>,
        peer: Rc<H::Peer>,
        stay: Rc<Stay>,
        live: Rc<LiveOptions>,
        watcher: Watcher,
    ) -> Self {
        let options = live.current();
        Self { handler, peer, standing: Standing::new(stay), live, options, watcher }
    }

    /// Answers requests by the handler.
    fn service(
        self: &Rc<Self>,
    ) -> impl HttpService<Incoming, ResBody = Answered<H::Body>, Error = Infallible> + use<H> {
        let line = self.clone();
        service_fn(move |request: Request<Incoming>| {
            // In a box: in place, it would take its size twice of every connection that talks.
            let answer = Box::pin(line.handler.clone().handle(line.peer.clone(), request));
            let line = line.clone();
            async move {
                let standing = &line.standing;
                let mut answer: Response<_> =
                    answer.await.map(|body| Answered { body, standing: standing.clone() });
                let is_last = standing.answers.get() + 1 >= line.live.current().max_requests_per_connection;
                if is_last || line.watcher.is_draining() {
                    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(answer)
            }
        })
    }
}

/// Waits for a byte of the client; or for the end of the connection, if that comes first.
async fn rest<H: Handler>(
    line: &Line<H>,
    parked: &mut Parked,
    course: &mut Course,
    mut timer: Pin<&mut Sleep>,
) -> Option<End> {
    course.park();
    poll_fn(|cx| {
        course.watch_order(cx);
        // First, so that what came in time is served.
        if parked.socket.poll_readable(cx).is_ready() {
            return Poll::Ready(None);
        }
        match course.watch_clock(&line.standing, &line.live.current(), timer.as_mut(), cx) {
            Poll::Ready(Due::End(end)) => Poll::Ready(Some(end)),
            _ => Poll::Pending,
        }
    })
    .await
}

/// Has hyper speak with the client, until the connection ends or may be parked.
async fn talk<H: Handler>(
    line: &Rc<Line<H>>,
    Parked { socket, stream }: Parked,
    course: &mut Course,
    mut timer: Pin<&mut Sleep>,
) -> (Parked, Due) {
    let Line { standing, live, options, .. } = &**line;
    let mut builder = http1::Builder::new();
    builder.half_close(false).max_buf_size(options.max_head_bytes.max(MIN_BUFFER_BYTES));
    if options.max_fields > USUAL_FIELDS {
        builder.max_headers(options.max_fields);
    }
    let guarded = TokioIo::new(Guarded::new(socket, stream, standing.clone()));
    let mut connection = builder.serve_connection(guarded, line.service());
    course.talk(standing);
    let mut due = poll_fn(|cx| {
        course.watch_order(cx);
        loop {
            let done = Pin::new(&mut connection).poll(cx).is_ready();
            match course.decide(standing, done) {
                Step::Wait => break,
                Step::Shut => Pin::new(&mut connection).graceful_shutdown(),
                Step::End(end) => return Poll::Ready(Due::End(end)),
            }
        }
        course.watch_clock(standing, &live.current(), timer.as_mut(), cx)
    })
    .await;
    let parts = connection.into_parts();
    let (mut socket, stream, held) = parts.io.into_inner().into_parts();
    if !parts.read_buf.is_empty() && matches!(due, Due::Park) {
        // hyper has read what it was given when it is idle. Were it otherwise, whoever read this anew could take the
        // rest of one request for another.
        due = Due::End(End::Quiet);
    }
    socket.put_back(held);
    (Parked { socket, stream }, due)
}

/// What is left to do when a connection ends so.
async fn part<H: Handler>(line: &Line<H>, mut socket: Channel, end: End) {
    let Line { handler, peer, standing, live, watcher, .. } = line;
    match end {
        End::Http2 => {
            let (handler, peer, stay) = (handler.clone(), peer.clone(), standing.stay.clone());
            http2::serve(socket, handler, peer, stay, live.clone(), watcher).await;
        }
        End::Cut => socket.cut(),
        End::Quiet if standing.unread.get() && !standing.stay.is_closed() => linger(socket).await,
        End::Quiet => socket.say_end().await,
        End::Refused(refusal) => refuse(socket, &handler.refuse(peer, refusal)).await,
    }
}

/// As many as hyper takes when it is told nothing. Told, it sets its places for them up anew for each request; how
/// many there may be, `wire` has seen to already.
const USUAL_FIELDS: usize = 100;

/// hyper's own smallest buffer.
const MIN_BUFFER_BYTES: usize = 8192;

/// What may come: HTTP/1, and without TLS, where no ALPN told them apart, HTTP/2 by prior knowledge.
fn expected_stream(options: &ServerOptions, is_encrypted: bool) -> RequestStream {
    let limits = head_limits(options);
    if options.http2 && !is_encrypted { RequestStream::or_http2(limits) } else { RequestStream::new(limits) }
}

pub(super) fn head_limits(options: &ServerOptions) -> HeadLimits {
    HeadLimits {
        request_line_bytes: options.max_request_line_bytes,
        head_bytes: options.max_head_bytes,
        fields: options.max_fields,
    }
}

/// An answer that notes its end.
struct Answered<B> {
    body: B,
    standing: Rc<Standing>,
}

impl<B> Drop for Answered<B> {
    fn drop(&mut self) {
        self.standing.answers.set(self.standing.answers.get() + 1);
        self.standing.idle_since.set(Instant::now());
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Answered<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
