//! Spans: what became of exchanges that are part of a trace, on their way to whoever exports them.
//!
//! Workers never wait: a span that finds no room is dropped and counted. Leaves what stands in a span to the
//! exchange, its form and its way to a collector to `otlp`. Without that part nobody takes spans, and none is made.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use super::metrics::{SpanCounters, SpanDrop};
use crate::wire::{SpanId, TraceId, TraceParent};

/// One exchange, as a part of a trace.
#[derive(Clone, Debug)]
pub struct Span {
    /// Its trace and its own id.
    pub context: TraceParent,
    /// The caller's part; none where the trace begins here.
    pub parent: Option<SpanId>,
    /// What was done, of few words.
    pub name: Box<str>,
    /// When it began.
    pub started: SystemTime,
    /// How long it took.
    pub duration: Duration,
    /// What is known of it, each name once.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// Whether the proxy or Karbor is at fault. A denial is none.
    pub failed: bool,
    /// Why, for operators.
    pub error: Option<Box<str>>,
}

/// What an attribute says.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// A text; one that a client chose is cut.
    Text(Cow<'static, str>),
    /// Several texts.
    Texts(Vec<&'static str>),
    /// A whole number.
    Number(u32),
    /// A length of time in seconds.
    Seconds(f64),
}

/// Takes spans. Cheap to clone; each worker has its own. By default it takes none.
#[derive(Clone, Default)]
pub struct Spans(Option<Outlet>);

#[derive(Clone)]
struct Outlet {
    queue: Sender<Span>,
    ratio: f64,
    counters: SpanCounters,
}

impl Spans {
    /// Into this queue. Of exchanges without a parent as many as `ratio` says begin a trace, from 0 to 1.
    #[must_use]
    pub fn into_queue(queue: Sender<Span>, ratio: f64, counters: SpanCounters) -> Self {
        Self(Some(Outlet { queue, ratio, counters }))
    }

    /// What an exchange is recorded as; none if it is not. The caller decides where there is one.
    #[must_use]
    pub fn begin(&self, parent: Option<TraceParent>) -> Option<TraceParent> {
        let outlet = self.0.as_ref()?;
        // Once in 2^64 it is 0, and the exchange is not recorded.
        let own = || SpanId::of(fastrand::u64(..));
        match parent {
            Some(parent) => parent.is_sampled().then(own).flatten().map(|own| parent.of_child(own)),
            None if fastrand::f64() < outlet.ratio => {
                Some(TraceParent::root(TraceId::of(fastrand::u128(..))?, own()?))
            }
            None => None,
        }
    }

    /// Hands a span on, or drops and counts it. Never waits.
    pub fn record(&self, span: Span) {
        let Some(outlet) = &self.0 else { return };
        if let Err(refused) = outlet.queue.try_send(span) {
            let reason = match refused {
                TrySendError::Full(_) => SpanDrop::QueueFull,
                TrySendError::Closed(_) => SpanDrop::Closed,
            };
            outlet.counters.dropped(reason, 1);
        }
    }
}
