//! What becomes of a connection of HTTP/1, and when: by how it stands, the clock and the order to drain.
//!
//! Leaves doing it to `connection`.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::super::ServerOptions;
use super::super::guard::Standing;
use crate::drain::{OrderInOneTask, Watcher};
use crate::wire::{Refusal, Refused};

/// How long a connection is silent before it is parked. To park it and to talk again takes some 4 000 instructions, and
/// who is busy does not pay them; and the shorter this is, the fewer buffers a wave of clients takes at once.
const PARK_AFTER: Duration = Duration::from_millis(100);

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
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
pub(super) enum Step {
    Wait,
    Shut,
    End(End),
}

/// What to do with a connection because of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Take hyper away.
    Park,
    End(End),
}

/// What the task knows of its connection beside how it stands.
pub(super) struct Course {
    order: OrderInOneTask,
    /// When the order to drain was seen.
    ordered: Option<Instant>,
    /// Requests that had come before hyper was given the connection; none while it is parked.
    talks_since: Option<u64>,
    shutting: bool,
    /// What the timer was set by.
    waits_for: WaitsFor,
}

/// What a connection waits for, as far as the clock has to do with it.
#[derive(Debug, Default, PartialEq, Eq)]
struct WaitsFor {
    head_since: Option<Instant>,
    stalled_since: Option<Instant>,
    busy: bool,
    may_park: bool,
    ordered: bool,
}

impl Course {
    pub(super) fn new(watcher: &Watcher) -> Self {
        let order = watcher.clone().order_in_one_task();
        Self { order, ordered: None, talks_since: None, shutting: false, waits_for: WaitsFor::default() }
    }

    /// Hyper is taken away.
    pub(super) fn park(&mut self) {
        self.talks_since = None;
    }

    /// Hyper is given the connection.
    pub(super) fn talk(&mut self, standing: &Standing) {
        self.talks_since = Some(standing.requests.get());
    }

    /// Notes when the order to drain comes.
    pub(super) fn watch_order(&mut self, cx: &mut Context<'_>) {
        if self.ordered.is_none() && Pin::new(&mut self.order).poll(cx).is_ready() {
            self.ordered = Some(Instant::now());
        }
    }

    /// What to do after hyper was polled, and `done` or not.
    pub(super) fn decide(&mut self, standing: &Standing, done: bool) -> Step {
        // hyper counts a connection without any request as busy, and would wait for one.
        let hyper_has_begun = self.talks_since != Some(standing.requests.get());
        let refused = standing.refused.get().filter(|_| !standing.is_busy());
        match refused {
            // What came before the refused head is answered, and written out once hyper is done. Had hyper
            // ended by itself, an answer said `close`, and nothing more may follow it.
            Some(Refused::Head(refusal)) if !hyper_has_begun || (done && self.shutting) => {
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
        if hyper_has_begun { Step::Shut } else { Step::End(End::Quiet) }
    }

    /// Ready when something is to be done because of the time. Wakes the task by then.
    pub(super) fn watch_clock(
        &mut self,
        standing: &Standing,
        options: &ServerOptions,
        mut timer: Pin<&mut Sleep>,
        cx: &mut Context<'_>,
    ) -> Poll<Due> {
        let waits_for = self.waits_for(standing);
        if self.waits_for != waits_for {
            self.waits_for = waits_for;
            // A timer that comes too early is set again then, once for many requests; to move it for each costs more.
            if let Some((at, _)) = self.due(standing, options).filter(|(at, _)| *at < timer.deadline()) {
                timer.as_mut().reset(at);
            }
        }
        while timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            match self.due(standing, options) {
                Some((at, due)) if at <= now => return Poll::Ready(due),
                Some((at, _)) => timer.as_mut().reset(at),
                None => timer.as_mut().reset(now + options.write_timeout),
            }
        }
        Poll::Pending
    }

    /// When to look at the clock first.
    pub(super) fn first_look(&self, standing: &Standing, options: &ServerOptions) -> Instant {
        self.due(standing, options).map_or_else(Instant::now, |(at, _)| at)
    }

    fn waits_for(&self, standing: &Standing) -> WaitsFor {
        WaitsFor {
            head_since: standing.head_since.get(),
            stalled_since: standing.stalled_since.get(),
            busy: standing.is_busy(),
            may_park: self.may_park(standing),
            ordered: self.ordered.is_some(),
        }
    }

    /// Whether nothing of the connection is with hyper or `guard`: all that was read is answered, all that was answered
    /// is written, and there was nothing more to read.
    fn may_park(&self, standing: &Standing) -> bool {
        self.talks_since.is_some() && !self.shutting && standing.is_at_rest()
    }

    /// What is to be done first because of the time, and when; nothing while an answer is awaited.
    ///
    /// An order to drain does not end a connection that waits for a request: one may be under way, and its client
    /// would take the end for a failure. Its answer will say that it is the last.
    fn due(&self, standing: &Standing, options: &ServerOptions) -> Option<(Instant, Due)> {
        if let Some(since) = standing.stalled_since.get() {
            return Some((since + options.write_timeout, Due::End(End::Cut)));
        }
        if standing.is_busy() {
            return None;
        }
        let idle_since = standing.idle_since.get();
        let end = match standing.head_since.get() {
            Some(since) => (since.max(idle_since) + options.head_timeout, End::Refused(Refusal::HeadTimeout)),
            None => (idle_since + options.keep_alive_timeout, End::Quiet),
        };
        let last = self.ordered.map(|ordered| (ordered.max(idle_since) + options.drain_idle, End::Quiet));
        let (at, end) = last.filter(|(last, _)| *last < end.0).unwrap_or(end);
        let park_at = idle_since + PARK_AFTER;
        if park_at < at && self.may_park(standing) {
            Some((park_at, Due::Park))
        } else {
            Some((at, Due::End(end)))
        }
    }
}
