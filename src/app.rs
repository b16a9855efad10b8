//! The only wiring: `Config` → bound [`App`] → run → drain. Nobody imports this but `main` and the tests.
//!
//! One thread for each worker, each with a runtime, a listener, a pool and metric cells of its own; the
//! calling thread keeps the admin listener and the signals. What is shared is read-mostly: the policy.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::{mpsc, watch};

use crate::admin::{self, Readiness, ReadinessGuard};
use crate::config::Config;
use crate::drain::{self, Trigger};
use crate::ledger::{Ledger, LedgerError, LedgerThread};
use crate::policy::Policy;
use crate::proxy::{Budget, Neighbours, Proxy, ProxyOptions};
use crate::server::{self, Room, ServerOptions};
use crate::signals::{Signals, Wish};
use crate::telemetry::audit::{AuditError, AuditLog, AuditWriter};
use crate::telemetry::exchange::Desk;
use crate::telemetry::metrics::{BuildInfo, MetricsError, MetricsHub};
use crate::upstream::{Upstream, UpstreamOptions};

/// Between two looks at what tenants use.
const USAGE_PERIOD: Duration = Duration::from_secs(30);
/// How long the ledger may take for what it was still asked.
const LAST_LEDGER_WORK: Duration = Duration::from_secs(5);
/// How long the audit writer may take for its last lines.
const LAST_AUDIT_LINES: Duration = Duration::from_secs(5);

/// The process could not start, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// An address is taken, or not ours.
    #[error("cannot listen on {address} ({setting})")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// The setting that names it.
        setting: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The audit log cannot be written.
    #[error("cannot open the audit log")]
    Audit(#[from] AuditError),
    /// The ledger is not there, or not ours to use.
    #[error("cannot open the ledger")]
    Ledger(#[from] LedgerError),
    /// The metrics contradict each other.
    #[error("cannot set up the metrics")]
    Metrics(#[from] MetricsError),
    /// A thread or a runtime could not be had.
    #[error("cannot start a thread")]
    Thread(#[from] io::Error),
    /// A worker ended although nobody told it to.
    #[error("a worker ended unexpectedly")]
    WorkerEnded,
}

impl AppError {
    /// What an operator may do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                Some("is another instance, or Karbor itself, on this port?")
            }
            Self::Bind { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("ports below 1024 need CAP_NET_BIND_SERVICE")
            }
            Self::Bind { .. } => {
                Some("the address must be one of this machine's, or 0.0.0.0 or [::] for all")
            }
            Self::Audit(_) => Some("the folder of audit.file must exist and be the service's to write to"),
            Self::Ledger(error) => error.hint(),
            Self::WorkerEnded => Some("the log says why; this is a fault of the program"),
            Self::Metrics(_) | Self::Thread(_) => None,
        }
    }
}

/// Bound, addresses known, not yet running.
pub struct App {
    config: Config,
    listeners: Vec<TcpListener>,
    address: SocketAddr,
    admin: admin::Bound,
    hub: MetricsHub,
    audit: AuditLog,
    audit_writer: AuditWriter,
    ledger: Option<(Ledger, LedgerThread)>,
}

impl App {
    /// Binds both listeners and opens the audit log.
    ///
    /// # Errors
    /// When something the configuration names cannot be had.
    pub fn bind(config: Config) -> Result<Self, AppError> {
        let bind_error = |setting, address| move |source| AppError::Bind { address, setting, source };
        let listeners =
            server::bind(&config.server).map_err(bind_error("server.listen", config.server.listen))?;
        let address = listeners.first().map_or(Ok(config.server.listen), TcpListener::local_addr)?;
        let admin = admin::bind(&config.admin).map_err(bind_error("admin.listen", config.admin.listen))?;
        let hub = MetricsHub::new(&config.metrics, &BuildInfo::CURRENT)?;
        hub.set_policy(&config.policy)?;
        hub.set_usage(&[])?;
        let (audit, audit_writer) = AuditLog::open(&config.audit, hub.audit_counters())?;
        let ledger = config.ledger.as_ref().map(Ledger::open).transpose()?;
        if ledger.is_none() {
            tracing::info!("the ledger is off: maps are judged and not kept, quotas and filters do nothing");
        }
        Ok(Self { config, listeners, address, admin, hub, audit, audit_writer, ledger })
    }

    /// Where clients connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where metrics and health are.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.addr()
    }

    /// Runs until the operator wishes an end, then drains; a second such wish ends the drain at once.
    /// Blocks the calling thread. `wishes` is made within the runtime that polls it.
    ///
    /// # Errors
    /// When a thread cannot be started, or a worker ends by itself.
    pub fn run<W: Wishes>(self, wishes: impl FnOnce() -> io::Result<W>) -> Result<(), AppError> {
        let runtime = runtime()?;
        let audit_writer = self.audit_writer;
        let (ledger, ledger_thread) = self.ledger.unzip();
        let shared = Shared {
            policy: Arc::new(ArcSwap::from_pointee(Policy::new(self.config.policy))),
            hub: self.hub,
            audit: self.audit,
            trigger: Trigger::default(),
            room: Room::of(
                self.config.server.max_connections,
                self.config.server.max_connections_per_address,
            ),
            cut: Arc::default(),
            budget: Budget::of(self.config.proxy.body_budget_bytes),
            server: self.config.server.clone(),
            upstream: self.config.upstream,
            proxy: self.config.proxy,
            ledger,
        };
        tracing::info!(
            address = %self.address,
            admin = %self.admin.addr(),
            workers = self.listeners.len(),
            policy = shared.policy.load().revision(),
            version = BuildInfo::CURRENT.version,
            commit = BuildInfo::CURRENT.commit,
            "listening"
        );
        let outcome = runtime.block_on(conduct(shared, self.listeners, self.admin, wishes));
        if let Some(Err(unfinished)) = ledger_thread.map(|thread| thread.close(LAST_LEDGER_WORK)) {
            tracing::error!(%unfinished, "the ledger may lack notes");
        }
        if let Err(unwritten) = audit_writer.close(LAST_AUDIT_LINES) {
            tracing::error!(%unwritten, "audit lines may be missing");
        }
        outcome
    }
}

/// Where the operator's wishes come from: signals, or a test.
pub trait Wishes {
    /// The next wish.
    fn next(&mut self) -> impl Future<Output = Wish>;
}

impl Wishes for Signals {
    fn next(&mut self) -> impl Future<Output = Wish> {
        Self::next(self)
    }
}

/// What the workers have in common.
#[derive(Clone)]
struct Shared {
    policy: Arc<ArcSwap<Policy>>,
    hub: MetricsHub,
    audit: AuditLog,
    trigger: Trigger,
    room: Room,
    budget: Budget,
    cut: Arc<AtomicBool>,
    server: ServerOptions,
    upstream: UpstreamOptions,
    proxy: ProxyOptions,
    ledger: Option<Ledger>,
}

fn runtime() -> io::Result<LocalRuntime> {
    Builder::new_current_thread().enable_all().build_local(LocalOptions::default())
}

/// The life of the process on the calling thread's runtime.
async fn conduct<W: Wishes>(
    shared: Shared,
    listeners: Vec<TcpListener>,
    admin: admin::Bound,
    wishes: impl FnOnce() -> io::Result<W>,
) -> Result<(), AppError> {
    let readiness = Readiness::new();
    let starting = readiness.wait_for("the workers");
    let (end, ended) = watch::channel(false);
    let (alive, mut dead) = mpsc::channel::<()>(1);
    let mut workers = Vec::new();
    for (at, listener) in listeners.into_iter().enumerate() {
        let guard = readiness.wait_for("a listener");
        workers.push(start_worker(at, listener, shared.clone(), ended.clone(), alive.clone(), guard)?);
    }
    drop((alive, ended));
    let mut admin_end = end.subscribe();
    let (hub, ready) = (shared.hub.clone(), readiness.clone());
    drain::spawn_cut(async move {
        let until = async move {
            let _ = admin_end.wait_for(|&ended| ended).await;
        };
        if let Err(error) = admin.serve(hub, ready, until).await {
            tracing::error!(%error, "the admin listener ended");
        }
    });
    if let Some(ledger) = shared.ledger.clone() {
        drain::spawn_cut(watch_usage(ledger, shared.hub.clone(), shared.policy.clone()));
    }
    drop(starting);
    let mut wishes = wishes()?;
    let outcome = tokio::select! {
        reason = end_wished(&shared, &mut wishes) => {
            tracing::info!(reason, "shutting down");
            Ok(())
        }
        // Nobody sends: the channel only closes when a worker drops its end.
        _ = dead.recv() => Err(AppError::WorkerEnded),
    };
    readiness.not_ready("draining");
    drain_connections(&shared, &mut wishes).await;
    shared.cut.store(true, Ordering::Release);
    end.send_replace(true);
    join(workers).await;
    outcome
}

/// Shows, from time to time, how much of their quotas the configured tenants use.
async fn watch_usage(ledger: Ledger, hub: MetricsHub, policy: Arc<ArcSwap<Policy>>) {
    loop {
        let policy = policy.load_full();
        let mut used = Vec::new();
        for tenant in policy.tenants() {
            let quotas = &policy.rules_of(tenant.as_str()).quotas;
            // What cannot be read now is read next time.
            let Ok(holdings) = ledger.usage(tenant, quotas).await else { continue };
            let whole = holdings.into_iter().find(|holding| holding.application.is_none());
            used.extend(whole.map(|whole| (tenant.clone(), quotas.whole, whole.standing)));
        }
        if let Err(error) = hub.set_usage(&used) {
            tracing::error!(%error, "usage cannot be shown");
        }
        tokio::time::sleep(USAGE_PERIOD).await;
    }
}

/// Sees to other wishes until the operator wants an end; then the reason.
async fn end_wished<W: Wishes>(shared: &Shared, wishes: &mut W) -> &'static str {
    loop {
        match wishes.next().await {
            Wish::End(reason) => return reason,
            Wish::ReopenAuditLog => {
                shared.audit.reopen();
                tracing::info!("the audit file is opened anew");
            }
        }
    }
}

async fn drain_connections<W: Wishes>(shared: &Shared, wishes: &mut W) {
    shared.trigger.order();
    let most = shared.server.drain_timeout;
    tokio::select! {
        drained = shared.trigger.drained(most) => match drained {
            Ok(()) => tracing::info!("every request in flight has finished"),
            Err(_watchers) => tracing::warn!(connections = shared.room.taken(), after = ?most, "connections are cut"),
        },
        reason = end_wished(shared, wishes) => tracing::warn!(reason, connections = shared.room.taken(), "connections are cut"),
    }
}

/// Waits for the threads without blocking the admin listener.
async fn join(workers: Vec<JoinHandle<()>>) {
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

fn start_worker(
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
