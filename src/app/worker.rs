//! One worker: a thread with a runtime, a listener, a pool and metric cells of its own.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::{mpsc, watch};

use super::AppError;
use crate::admin::ReadinessGuard;
use crate::drain::Trigger;
use crate::ledger::Ledger;
use crate::policy::Policy;
use crate::proxy::{Budget, Neighbours, Proxy, ProxyOptions};
use crate::server::{self, Room, ServerOptions};
use crate::telemetry::audit::AuditLog;
use crate::telemetry::exchange::Desk;
use crate::telemetry::metrics::MetricsHub;
use crate::upstream::{Upstream, UpstreamOptions};

/// What the workers have in common.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) policy: Arc<ArcSwap<Policy>>,
    pub(super) hub: MetricsHub,
    pub(super) audit: AuditLog,
    pub(super) trigger: Trigger,
    pub(super) room: Room,
    pub(super) budget: Budget,
    pub(super) cut: Arc<AtomicBool>,
    pub(super) server: ServerOptions,
    pub(super) upstream: UpstreamOptions,
    pub(super) proxy: ProxyOptions,
    pub(super) ledger: Option<Ledger>,
}

pub(super) fn runtime() -> io::Result<LocalRuntime> {
    Builder::new_current_thread().enable_all().build_local(LocalOptions::default())
}

pub(super) fn start_worker(
    at: usize,
    listener: TcpListener,
    shared: Shared,
    mut ended: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
    ready: ReadinessGuard,
) -> io::Result<JoinHandle<()>> {
    let work = move || {
        let worked = runtime().map_err(AppError::from).and_then(|runtime| {
            runtime.block_on(async {
                let run = work(listener, &shared)?;
                drop(ready);
                run.await?;
                // Connections and creations finish on this runtime until the drain is over.
                let _ = ended.wait_for(|&ended| ended).await;
                Ok(())
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
    listener: TcpListener,
    shared: &Shared,
) -> Result<impl Future<Output = io::Result<()>> + use<>, AppError> {
    let metrics = Rc::new(shared.hub.worker()?);
    let options = Rc::new(shared.upstream.clone());
    let stall_timeout = options.idle_timeout;
    let upstream = Upstream::new(options, metrics.clone());
    let desk = Rc::new(Desk { metrics, audit: shared.audit.clone(), cut: shared.cut.clone() });
    let neighbours = Neighbours {
        policy: shared.policy.clone(),
        budget: shared.budget.clone(),
        upstream,
        ledger: shared.ledger.clone(),
        desk,
        drain: shared.trigger.clone(),
    };
    let proxy = Proxy::new(Rc::new(shared.proxy.clone()), stall_timeout, neighbours);
    let server = Rc::new(shared.server.clone());
    Ok(server::run(listener, proxy, server, shared.room.clone(), shared.trigger.watcher()))
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
