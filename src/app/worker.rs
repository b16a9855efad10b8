//! One worker: a thread with a runtime, listeners, a pool and metric cells of its own.

use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::{mpsc, watch};

use super::AppError;
use super::live::{Live, Pulse};
use crate::admin::ReadinessGuard;
use crate::drain::{self, Trigger};
use crate::ledger::Ledger;
use crate::proxy::{Budget, Front, Neighbours, Proxy, Terms};
use crate::server::{self, Listener, LiveOptions, Room};
use crate::telemetry::audit::AuditLog;
use crate::telemetry::exchange::Desk;
use crate::telemetry::metrics::{MetricsHub, WorkerMetrics};
use crate::telemetry::spans::Spans;
use crate::upstream::Upstream;

/// What the workers have in common.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) live: watch::Receiver<Arc<Live>>,
    pub(super) hub: MetricsHub,
    pub(super) audit: AuditLog,
    pub(super) spans: Spans,
    pub(super) trigger: Trigger,
    pub(super) room: Room,
    pub(super) budget: Budget,
    pub(super) cut: Arc<AtomicBool>,
    pub(super) ledger: Option<Ledger>,
    /// How often a worker gives a sign of life, where somebody looks.
    pub(super) beat: Option<Duration>,
}

/// When all is over; that the worker lives; what it is waited for with.
pub(super) type Stage = (watch::Receiver<bool>, mpsc::Sender<()>, ReadinessGuard);

/// How many times tasks go on before a worker looks at its sockets again. A request gives way before it is sent, and its answer (`upstream`, `proxy`), so
/// this holds those of some eighty sockets that have become ready at once.
const POLLS_BETWEEN_LOOKS: u32 = 256;

pub(super) fn runtime() -> io::Result<LocalRuntime> {
    Builder::new_current_thread()
        .enable_all()
        .event_interval(POLLS_BETWEEN_LOOKS)
        .build_local(LocalOptions::default())
}

pub(super) fn start_worker(
    at: usize,
    listeners: Vec<Listener>,
    shared: Shared,
    pulse: Arc<Pulse>,
    (mut ended, alive, ready): Stage,
) -> io::Result<JoinHandle<()>> {
    let work = move || {
        let worked = runtime().map_err(AppError::from).and_then(|runtime| {
            runtime.block_on(async {
                let run = work(listeners, &shared, pulse)?;
                drop(ready);
                let accepts = async {
                    run.await?;
                    std::future::pending().await
                };
                // Connections and creations finish on this runtime until the drain is over.
                tokio::select! {
                    ended = accepts => ended,
                    _ = ended.wait_for(|&ended| ended) => Ok(()),
                }
            })
        });
        if let Err(error) = worked {
            tracing::error!(worker = at, %error, "a worker cannot work");
        }
        drop(alive);
    };
    std::thread::Builder::new().name(format!("worker-{at}")).spawn(work)
}

/// One worker's parts, made on its own thread, and the future that accepts.
fn work(
    listeners: Vec<Listener>,
    shared: &Shared,
    pulse: Arc<Pulse>,
) -> Result<impl Future<Output = io::Result<()>> + use<>, AppError> {
    let metrics = Rc::new(shared.hub.worker()?);
    let mut live = shared.live.clone();
    let first = live.borrow_and_update().clone();
    let desk = Desk {
        metrics: metrics.clone(),
        audit: shared.audit.clone(),
        spans: shared.spans.clone(),
        cut: shared.cut.clone(),
    };
    let neighbours = Neighbours {
        budget: shared.budget.clone(),
        upstream: upstream(&first, &metrics),
        ledger: shared.ledger.clone(),
        desk: Rc::new(desk),
        drain: shared.trigger.clone(),
    };
    let front = Front::new(Proxy::new(terms(&first), neighbours));
    let options = LiveOptions::new(first.server.clone());
    pulse.take(first.number);
    if let Some(period) = shared.beat {
        drain::spawn_cut(beat(pulse.clone(), period));
    }
    let works_by = WorksBy { live: first, front: front.clone(), options: options.clone(), metrics, pulse };
    drain::spawn_cut(works_by.follow(live));
    Ok(server::run(listeners, front, options, shared.room.clone(), shared.trigger.watcher()))
}

/// What a worker works by, and what of it a reload replaces.
struct WorksBy {
    live: Arc<Live>,
    front: Rc<Front>,
    options: Rc<LiveOptions>,
    metrics: Rc<WorkerMetrics>,
    pulse: Arc<Pulse>,
}

impl WorksBy {
    async fn follow(mut self, mut live: watch::Receiver<Arc<Live>>) {
        while live.changed().await.is_ok() {
            let next = live.borrow_and_update().clone();
            self.take(next);
        }
    }

    /// Not async: no request of this worker sees a part of it only.
    fn take(&mut self, next: Arc<Live>) {
        let current = self.front.current();
        let upstream = if next.proxy.path_prefix == self.live.proxy.path_prefix {
            let upstream = current.upstream();
            upstream.update(Rc::new(next.upstream.clone()));
            upstream
        } else {
            // Paths that were written for the Karbor of before are for no other.
            upstream(&next, &self.metrics)
        };
        self.front.replace(current.under(terms(&next), upstream));
        self.options.replace(next.server.clone());
        self.pulse.take(next.number);
        self.live = next;
    }
}

fn upstream(live: &Live, metrics: &Rc<WorkerMetrics>) -> Rc<Upstream> {
    Rc::new(Upstream::new(Rc::new(live.upstream.clone()), metrics.clone()))
}

fn terms(live: &Live) -> Terms {
    Terms {
        policy: live.policy.clone(),
        options: Rc::new(live.proxy.clone()),
        stall_timeout: live.upstream.idle_timeout,
    }
}

/// Gives signs of life for as long as the runtime comes round.
async fn beat(pulse: Arc<Pulse>, period: Duration) {
    loop {
        pulse.beat();
        tokio::time::sleep(period).await;
    }
}

/// Waits for the threads without blocking the admin listener.
pub(super) async fn join(workers: Vec<JoinHandle<()>>) {
    const PAUSE: Duration = Duration::from_millis(5);
    while workers.iter().any(|worker| !worker.is_finished()) {
        tokio::time::sleep(PAUSE).await;
    }
    for worker in workers {
        if worker.join().is_err() {
            tracing::error!("a worker panicked");
        }
    }
}
