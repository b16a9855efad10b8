//! One client connection that speaks HTTP/2: hyper in the middle, our rules for heads before it, bounds around.
//!
//! Every request is held to `wire::check_http2` before the handler sees it, and takes a place of its own, so
//! that requests under way are as bounded as connections. Leaves how the connection stands to `streams`.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::{Instant, Sleep, sleep_until};

use super::connection::head_limits;
use super::room::Place;
use super::socket::Channel;
use super::streams::{Metered, Pace, Streams, Underway, Watched};
use super::{Handler, LiveOptions, ServerOptions, Stay};
use crate::drain::{self, Watcher};
use crate::wire::{HeadLimits, Refusal, as_in_http1, check_http2};

/// What a client may send of one body, and of all of a connection, before it is read on.
const STREAM_WINDOW: u32 = 64 * 1024;
pub(super) const CONNECTION_WINDOW: u32 = 128 * 1024;
/// The smallest that may be; a larger one only makes the client's peers wait longer.
const FRAME_BYTES: u32 = 16 * 1024;
/// What waits to be sent of one answer, beside the part that hyper holds.
const SEND_BYTES: usize = 16 * 1024;
/// Streams that the client reset before we looked at them (CVE-2023-44487), and streams that we reset for its
/// faults (CVE-2025-8671), before the connection is given up.
const PENDING_RESETS: usize = 16;
const OWN_RESETS: usize = 64;
/// How long a connection is silent before it is asked whether it lives, and how long it may take to say so.
const PING_AFTER: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client may take to agree to the end, once nothing is owed to it.
const FAREWELL: Duration = Duration::from_secs(2);

/// Serves one connection until it ends.
pub(super) async fn serve<H: Handler>(
    channel: Channel,
    handler: Rc<H>,
    peer: Rc<H::Peer>,
    stay: Rc<Stay>,
    live: Rc<LiveOptions>,
    watcher: &Watcher,
) {
    let options = live.current();
    let streams = Rc::new(Streams::default());
    let limits = head_limits(&options);
    let service = service_fn({
        let (streams, handler) = (streams.clone(), handler.clone());
        move |request: Request<Incoming>| {
            let pace = streams.begin();
            let answer = open(&handler, &peer, &stay, &limits, request).map(Opened::boxed);
            let underway = Underway::of(streams.clone());
            async move {
                let (answer, place) = match answer {
                    Ok(Opened { answer, place }) => (answer.await, place),
                    Err(refused) => (refused, None),
                };
                Ok::<_, Infallible>(answer.map(|body| Metered::new(body, pace, underway, place)))
            }
        }
    });
    let tasks = Tasks { watcher: watcher.clone(), streams: streams.clone(), live: live.clone() };
    let connection = builder(tasks, &options, &limits)
        .serve_connection(TokioIo::new(Watched::new(channel, streams.clone())), service);
    let mut connection = pin!(connection);
    let mut order = watcher.clone().order_in_one_task();
    let mut course = Course::new(&streams, &live);
    let mut timer = pin!(sleep_until(course.deadline()));
    poll_fn(|cx| {
        if Pin::new(&mut order).poll(cx).is_ready() {
            course.ends = true;
        }
        loop {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if !course.begins_to_end() {
                break;
            }
            connection.as_mut().graceful_shutdown();
        }
        course.watch_clock(timer.as_mut(), cx)
    })
    .await;
}

/// A request under way.
struct Opened<F> {
    answer: F,
    place: Option<Arc<Place>>,
}

impl<F> Opened<F> {
    /// In a box: hyper keeps a place for it more than once.
    fn boxed(self) -> Opened<Pin<Box<F>>> {
        Opened { answer: Box::pin(self.answer), place: self.place }
    }
}

/// What becomes of a request: the handler's answer to come, or a refusal.
fn open<H: Handler>(
    handler: &Rc<H>,
    peer: &H::Peer,
    stay: &Stay,
    limits: &HeadLimits,
    request: Request<Incoming>,
) -> Result<Opened<impl Future<Output = Response<H::Body>> + use<H>>, Response<H::Body>> {
    let (mut parts, body) = request.into_parts();
    check_http2(&parts, limits).map_err(|refusal| handler.decline(peer, &parts, refusal))?;
    let Some(own) = stay.another() else {
        return Err(handler.decline(peer, &parts, Refusal::NoRoom));
    };
    as_in_http1(&mut parts);
    let place = own.place();
    let peer = Rc::new(handler.share(peer, Rc::new(own)));
    let answer = handler.clone().handle(peer, Request::from_parts(parts, body));
    Ok(Opened { answer, place })
}

fn builder(tasks: Tasks, options: &ServerOptions, limits: &HeadLimits) -> http2::Builder<Tasks> {
    // Larger than our own bound by what HTTP/2 adds for each field, so that it is ours that refuses, in words.
    // It bounds CONTINUATION frames too.
    let header_list = limits.head_bytes + 32 * (limits.fields + 8) + 4096;
    let mut builder = http2::Builder::new(tasks);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(options.max_streams)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(OWN_RESETS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .adaptive_window(false)
        .max_frame_size(FRAME_BYTES)
        .max_header_list_size(u32::try_from(header_list).unwrap_or(u32::MAX))
        .max_send_buf_size(SEND_BYTES)
        .keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// Runs the tasks of streams on this thread; the shutdown waits for them.
#[derive(Clone)]
struct Tasks {
    watcher: Watcher,
    streams: Rc<Streams>,
    live: Rc<LiveOptions>,
}

impl<F: Future<Output = ()> + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        // hyper asks the service, and at once has its answer carried out.
        let (pace, live) = (self.streams.take_newest(), self.live.clone());
        drain::spawn_awaited(self.watcher.clone(), |watcher| async move {
            // Here once, and not in what waits for it again.
            let mut task = pin!(task);
            match pace {
                Some(pace) => unless_stalled(task.as_mut(), &pace, &live).await,
                None => task.await,
            }
            drop(watcher);
        });
    }
}

/// Gives an answer up that its client does not take: dropped, the stream is reset.
async fn unless_stalled(mut task: Pin<&mut impl Future<Output = ()>>, pace: &Pace, live: &LiveOptions) {
    let mut timer = pin!(sleep_until(Instant::now() + live.current().write_timeout));
    poll_fn(|cx| {
        if task.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        while timer.as_mut().poll(cx).is_ready() {
            let due = pace.offered().unwrap_or_else(Instant::now) + live.current().write_timeout;
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
        Poll::Pending
    })
    .await;
}

/// What the connection's task knows beside how its streams stand.
struct Course<'a> {
    streams: &'a Streams,
    live: &'a LiveOptions,
    ends: bool,
    ending: Option<Instant>,
}

impl<'a> Course<'a> {
    const fn new(streams: &'a Streams, live: &'a LiveOptions) -> Self {
        Self { streams, live, ends: false, ending: None }
    }

    /// Whether the client is to be told, now, that no further stream is taken.
    fn begins_to_end(&mut self) -> bool {
        let idle = self.idle_until().is_some_and(|until| until <= Instant::now());
        let used_up = self.streams.begun() >= self.live.current().max_requests_per_connection;
        if self.ending.is_some() || !(self.ends || idle || used_up) {
            return false;
        }
        self.ending = Some(Instant::now());
        true
    }

    fn idle_until(&self) -> Option<Instant> {
        self.streams.idle_since().map(|since| since + self.live.current().keep_alive_timeout)
    }

    /// When to look at the clock again.
    fn deadline(&self) -> Instant {
        let stalled = self.streams.stalled_since().map(|since| since + self.live.current().write_timeout);
        let farewell = self.ending.filter(|_| !self.streams.is_lingering()).zip(self.streams.idle_since());
        // What a client is slow to take is not the end yet.
        let farewell = farewell.filter(|_| stalled.is_none());
        let taken = self.streams.taken_at();
        let farewell = farewell.map(|(ending, idle)| ending.max(idle).max(taken.unwrap_or(idle)) + FAREWELL);
        let idle = self.idle_until().filter(|_| self.ending.is_none());
        let later = Instant::now() + self.live.current().write_timeout;
        [stalled, farewell, idle].into_iter().flatten().fold(later, Instant::min)
    }

    /// Ready when the connection must end at once.
    fn watch_clock(&self, mut timer: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<()> {
        if self.streams.is_abused() {
            self.streams.cut();
            return Poll::Ready(());
        }
        let deadline = self.deadline();
        if timer.deadline() > deadline || timer.is_elapsed() {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(cx).is_ready() {
            let deadline = self.deadline();
            if deadline > Instant::now() {
                timer.as_mut().reset(deadline);
                continue;
            }
            if self.streams.stalled_since().is_some() || self.ending.is_some() {
                self.streams.cut();
                return Poll::Ready(());
            }
            // Idle for too long: the next poll begins the end.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Pending
    }
}
