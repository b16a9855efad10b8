//! One client connection from accept to close: hyper in the middle, time limits and refusals around it.
//!
//! Leaves requests to the handler, bytes to `guard`.

use std::convert::Infallible;
use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{self, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::guard::{Guarded, Standing};
use super::socket::Channel;
use super::{Handler, LiveOptions, ServerOptions, Stay, http2};
use crate::drain::Watcher;
use crate::wire::{HeadLimits, Refusal, Refused, RequestStream};

/// How long a client may take to read a refusal before the connection is closed under it.
const LINGER: Duration = Duration::from_secs(2);
/// How much of what it still sends is read away meanwhile.
const LINGER_BYTES: usize = 4 * 1024 * 1024;

/// Serves one connection until it ends.
pub(super) async fn serve<H: Handler>(
    socket: Channel,
    handler: Rc<H>,
    peer: Rc<H::Peer>,
    stay: Rc<Stay>,
    live: Rc<LiveOptions>,
    watcher: &Watcher,
) {
    let options = live.current();
    let standing = Standing::new(stay);
    let stream = expected_stream(&options, socket.is_encrypted());
    let guarded = Guarded::new(socket, stream, standing.clone());
    let service = service_fn({
        let (handler, peer, standing) = (handler.clone(), peer.clone(), standing.clone());
        let (live, watcher) = (live.clone(), Rc::new(watcher.clone()));
        move |request: Request<Incoming>| {
            // In a box: in place, it would take its size twice of every connection, busy or not.
            let answer = Box::pin(handler.clone().handle(peer.clone(), request));
            let (standing, live, watcher) = (standing.clone(), live.clone(), watcher.clone());
            async move {
                let mut answer = answer.await.map(|body| Answered { body, standing: standing.clone() });
                let is_last = standing.answers.get() + 1 >= live.current().max_requests_per_connection;
                if is_last || watcher.is_draining() {
                    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(answer)
            }
        }
    });
    let mut builder = http1::Builder::new();
    builder.half_close(false).max_buf_size(options.max_head_bytes.max(MIN_BUFFER_BYTES));
    if options.max_fields > USUAL_FIELDS {
        builder.max_headers(options.max_fields);
    }
    let mut connection = builder.serve_connection(TokioIo::new(guarded), service);
    let ended = {
        let mut order = watcher.clone().order_in_one_task();
        let mut timer = pin!(sleep_until(due(&standing, &options, None).0));
        let mut course = Course::default();
        poll_fn(|cx| {
            if course.ordered.is_none() && Pin::new(&mut order).poll(cx).is_ready() {
                course.ordered = Some(Instant::now());
            }
            loop {
                let done = Pin::new(&mut connection).poll(cx).is_ready();
                match course.decide(&standing, done) {
                    Step::Wait => break,
                    Step::Shut => Pin::new(&mut connection).graceful_shutdown(),
                    Step::End(end) => return Poll::Ready(end),
                }
            }
            course.watch_clock(&standing, &live.current(), timer.as_mut(), cx)
        })
        .await
    };
    let (mut socket, held) = connection.into_parts().io.into_inner().into_parts();
    match ended {
        End::Http2 => {
            socket.put_back(held);
            let stay = standing.stay.clone();
            Box::pin(http2::serve(socket, handler, peer, stay, live, watcher)).await;
        }
        End::Cut => socket.cut(),
        End::Quiet if standing.unread.get() && !standing.stay.is_closed() => linger(socket).await,
        End::Quiet => socket.say_end().await,
        End::Refused(refusal) => refuse(socket, &handler.refuse(&peer, refusal)).await,
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

/// How a connection ended.
enum End {
    /// Nothing is left to say.
    Quiet,
    /// The client does not take its answer.
    Cut,
    /// A head was refused, and everything before it is answered.
    Refused(Refusal),
    /// It has not begun: the client speaks HTTP/2.
    Http2,
}

/// What to do with a connection after a poll.
enum Step {
    Wait,
    Shut,
    End(End),
}

/// What the task knows of its connection beside how it stands.
#[derive(Default)]
struct Course {
    /// When the order to drain was seen.
    ordered: Option<Instant>,
    shutting: bool,
    /// What the timer was set for: an incomplete head, a stall, whether an answer is owed, and whether the order was
    /// given.
    waits_for: (Option<Instant>, Option<Instant>, bool, bool),
}

impl Course {
    fn decide(&mut self, standing: &Standing, done: bool) -> Step {
        let refused = standing.refused.get().filter(|_| !standing.is_busy());
        match refused {
            // What came before the refused head is answered, and written out once hyper is done. Had hyper
            // ended by itself, an answer said `close`, and nothing more may follow it.
            Some(Refused::Head(refusal)) if standing.requests.get() == 0 || (done && self.shutting) => {
                return Step::End(End::Refused(refusal));
            }
            Some(Refused::Preface) => return Step::End(End::Http2),
            _ if done => return Step::End(End::Quiet),
            _ => {}
        }
        if self.shutting || refused.is_none() {
            return Step::Wait;
        }
        self.shutting = true;
        // hyper counts a connection without any request as busy, and would wait for one.
        if standing.requests.get() == 0 { Step::End(End::Quiet) } else { Step::Shut }
    }

    fn watch_clock(
        &mut self,
        standing: &Standing,
        options: &ServerOptions,
        mut timer: Pin<&mut Sleep>,
        cx: &mut Context<'_>,
    ) -> Poll<End> {
        let stalled = standing.stalled_since.get();
        let waits_for = (standing.head_since.get(), stalled, standing.is_busy(), self.ordered.is_some());
        if self.waits_for != waits_for {
            self.waits_for = waits_for;
            timer.as_mut().reset(due(standing, options, self.ordered).0);
        }
        while timer.as_mut().poll(cx).is_ready() {
            match due(standing, options, self.ordered) {
                (at, Some(end)) if at <= Instant::now() => return Poll::Ready(end),
                (at, _) => timer.as_mut().reset(at),
            }
        }
        Poll::Pending
    }
}

/// When to look at the clock again, and what must end the connection then, if anything.
///
/// An order to drain does not end a connection that waits for a request: one may be under way, and its client
/// would take the end for a failure. Its answer will say that it is the last.
fn due(standing: &Standing, options: &ServerOptions, ordered: Option<Instant>) -> (Instant, Option<End>) {
    if let Some(since) = standing.stalled_since.get() {
        return (since + options.write_timeout, Some(End::Cut));
    }
    if standing.is_busy() {
        return (Instant::now() + options.write_timeout, None);
    }
    let idle_since = standing.idle_since.get();
    let (at, end) = match standing.head_since.get() {
        Some(since) => (since.max(idle_since) + options.head_timeout, End::Refused(Refusal::HeadTimeout)),
        None => (idle_since + options.keep_alive_timeout, End::Quiet),
    };
    match ordered.map(|ordered| ordered.max(idle_since) + options.drain_idle) {
        Some(last) if last < at => (last, Some(End::Quiet)),
        _ => (at, Some(end)),
    }
}

/// Says why, and lets the client read it: closing on unread bytes would take the answer back.
async fn refuse(mut socket: Channel, answer: &[u8]) {
    if let Ok(Ok(())) = timeout(LINGER, socket.write_all(answer)).await {
        linger(socket).await;
    }
}

async fn linger(mut socket: Channel) {
    let reading = async {
        socket.shutdown().await?;
        let mut away = [0_u8; 2048];
        let mut left = LINGER_BYTES;
        while left > 0 {
            match socket.read(&mut away).await? {
                0 => break,
                read => left = left.saturating_sub(read),
            }
        }
        Ok::<_, std::io::Error>(())
    };
    // The client has had its time; what it does not read now is its own loss.
    let _ = timeout(LINGER, reading).await;
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
