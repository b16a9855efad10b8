//! Idle connections of one worker, the latest used first.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::address::{Address, Load};
use super::line::Line;
use super::queue::Place;
use crate::telemetry::metrics::{OpenConnection, Side, WorkerMetrics};

/// A connection to an address. In a box, because it is moved often, and large.
#[derive(Debug)]
pub(super) struct Link(Box<Parts>);

#[derive(Debug)]
struct Parts {
    line: Line,
    address: Rc<Address>,
    counted: Rc<OpenConnection>,
    /// Since when it is idle.
    since: Instant,
    /// A request is under way that has no answer.
    is_asked: bool,
    /// Dropped with it: tells whoever still sends a request that its answer is over.
    heard: Option<oneshot::Sender<()>>,
}

impl Link {
    pub(super) fn new(line: Line, address: Rc<Address>, metrics: Rc<WorkerMetrics>) -> Self {
        let (counted, since) = (OpenConnection::begin(metrics, Side::Upstream).into(), Instant::now());
        Self(Box::new(Parts { line, address, counted, since, is_asked: false, heard: None }))
    }

    pub(super) fn line(&mut self) -> &mut Line {
        &mut self.0.line
    }

    /// A request will be sent.
    pub(super) fn ask(&mut self) {
        self.0.line.begin();
        self.0.is_asked = true;
    }

    /// It is answered.
    pub(super) fn answered(&mut self) {
        self.0.is_asked = false;
    }

    /// What resolves when its answer is over. It counts as open for as long as that is held, too.
    pub(super) fn until_heard(&mut self) -> (impl Future<Output = ()> + 'static, Rc<OpenConnection>) {
        let (heard, is_heard) = oneshot::channel();
        self.0.heard = Some(heard);
        (async { drop(is_heard.await) }, self.0.counted.clone())
    }
}

impl Drop for Parts {
    /// Whoever waits may be dropped at any time, so what was not answered is counted here: if Karbor got a part of it.
    fn drop(&mut self) {
        if self.is_asked && self.line.sent() > 0 {
            self.counted.metrics().upstream_unanswered();
        }
    }
}

#[derive(Debug)]
pub(super) struct Pool {
    idle: RefCell<Vec<Link>>,
    idle_timeout: Cell<Duration>,
    most: Cell<usize>,
}

impl Pool {
    pub(super) fn new(idle_timeout: Duration, most: usize) -> Self {
        Self { idle: RefCell::default(), idle_timeout: Cell::new(idle_timeout), most: Cell::new(most) }
    }

    /// Other bounds from now on.
    pub(super) fn resize(&self, idle_timeout: Duration, most: usize) {
        self.idle_timeout.set(idle_timeout);
        self.most.set(most);
        let mut idle = self.idle.borrow_mut();
        let over = idle.len().saturating_sub(most);
        idle.drain(..over);
    }

    /// The latest used connection to `address` that can carry a request. Closed and old ones are let go.
    pub(super) fn take(&self, address: &Rc<Address>, now: Instant) -> Option<Link> {
        let mut idle = self.idle.borrow_mut();
        let mut at = idle.len();
        while at > 0 {
            at -= 1;
            if !Rc::ptr_eq(&idle[at].0.address, address) {
                continue;
            }
            let mut link = idle.remove(at);
            if now.saturating_duration_since(link.0.since) >= self.idle_timeout.get() {
                // Those before it are older still.
                idle.drain(..at);
                return None;
            }
            if link.0.line.is_fit() {
                return Some(link);
            }
        }
        None
    }

    /// Between two sweeps.
    pub(super) fn sweep_period(&self) -> Duration {
        (self.idle_timeout.get() / 4).clamp(Duration::from_millis(50), Duration::from_secs(5))
    }

    /// Lets go what is closed, was idle for too long, or leads nowhere any more.
    pub(super) fn sweep(&self) {
        self.idle.borrow_mut().retain_mut(|Link(link)| {
            let fresh = link.since.elapsed() < self.idle_timeout.get();
            fresh && !link.address.is_retired() && link.line.is_fit()
        });
    }

    fn put(&self, mut link: Link) {
        if self.most.get() == 0 || !link.0.line.is_whole() || link.0.address.is_retired() {
            return;
        }
        link.0.since = Instant::now();
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= self.most.get() {
            idle.remove(0);
        }
        idle.push(link);
    }
}

/// A connection in use. Dropped, it is closed; given back, it waits for the next request.
#[derive(Debug)]
pub(super) struct Lease {
    link: Link,
    pool: Rc<Pool>,
    _load: Load,
    _place: Place,
}

impl Lease {
    pub(super) const fn new(link: Link, pool: Rc<Pool>, load: Load, place: Place) -> Self {
        Self { link, pool, _load: load, _place: place }
    }

    pub(super) fn line(&mut self) -> &mut Line {
        self.link.line()
    }

    /// The answer was read to its end. Where it leaves the connection open, another request may follow.
    pub(super) fn give_back(self, is_open: bool) {
        if is_open {
            self.pool.put(self.link);
        }
    }
}
