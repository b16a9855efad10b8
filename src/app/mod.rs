//! The only wiring: `Config` → bound [`App`] → run → drain. Nobody imports this but `main` and the tests.
//!
//! One thread for each worker (`worker`), one that reads the configuration again (`reload`); the calling thread
//! keeps the admin listener and the signals (`conduct`). What is shared is read-mostly.

mod conduct;
mod error;
mod launch;
mod live;
mod notify;
mod reload;
mod status;
mod usage;
mod vigil;
mod watch;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch as channel;

pub use self::conduct::Wishes;
use self::conduct::{Cast, conduct};
pub use self::error::AppError;
pub use self::launch::Launch;
use self::live::Live;
use self::notify::Notifier;
use self::reload::Running;
use self::worker::Shared;
use crate::admin;
use crate::config::Loaded;
use crate::drain::Trigger;
use crate::ledger::{Ledger, LedgerThread};
#[cfg(feature = "otlp")]
use crate::otlp::Exporter;
use crate::proxy::Budget;
use crate::server::{self, Listen, Room, Takeover};
use crate::telemetry::audit::{AuditLog, AuditWriter};
use crate::telemetry::metrics::{BuildInfo, MetricsHub};
use crate::telemetry::spans::Spans;

/// How long the ledger may take for what it was still asked.
const LAST_LEDGER_WORK: Duration = Duration::from_secs(5);
/// How long the collector may take for the last spans.
#[cfg(feature = "otlp")]
const LAST_SPANS: Duration = Duration::from_secs(3);
/// How long the audit writer may take for its last lines.
const LAST_AUDIT_LINES: Duration = Duration::from_secs(5);

/// Bound, addresses known, not yet running.
pub struct App {
    loaded: Loaded,
    launch: Launch,
    server: server::Bound,
    admin: admin::Bound,
    hub: MetricsHub,
    audit: AuditLog,
    audit_writer: AuditWriter,
    spans: Spans,
    #[cfg(feature = "otlp")]
    exporter: Option<Exporter>,
    ledger: Option<(Ledger, LedgerThread)>,
}

impl App {
    /// Binds the listeners, or takes those that were handed over, and opens the audit log and the ledger.
    ///
    /// # Errors
    /// When something the configuration names cannot be had.
    pub fn bind(mut loaded: Loaded, mut launch: Launch) -> Result<Self, AppError> {
        if let Some(tls) = &mut loaded.config.server.tls {
            tls.open()?;
        }
        loaded.config.admin.open()?;
        let config = &loaded.config;
        let (server, admin, takeover) = launch.bind(config)?;
        let hub = MetricsHub::new(&config.metrics, &BuildInfo::CURRENT)?;
        hub.set_policy(&config.policy)?;
        hub.set_certificates(config.server.certificate_expiries())?;
        hub.set_usage(&[])?;
        let (audit, audit_writer) = AuditLog::open(&config.audit, hub.audit_counters())?;
        let ledger = config.ledger.as_ref().map(Ledger::open).transpose()?;
        #[cfg(feature = "otlp")]
        let (spans, exporter) = config
            .otlp
            .as_ref()
            .map(|options| Exporter::start(options, hub.span_counters()))
            .transpose()?
            .map_or_else(Default::default, |(spans, exporter)| (spans, Some(exporter)));
        // Last: whatever failed before has cost the other instance nothing.
        takeover.map(Takeover::complete).transpose()?;
        if ledger.is_none() {
            tracing::info!("the ledger is off: maps are judged and not kept, quotas and filters do nothing");
        }
        Ok(Self {
            loaded,
            launch,
            server,
            admin,
            hub,
            audit,
            audit_writer,
            #[cfg(feature = "otlp")]
            spans,
            #[cfg(not(feature = "otlp"))]
            spans: Spans::default(),
            #[cfg(feature = "otlp")]
            exporter,
            ledger,
        })
    }

    /// Where clients connect.
    #[must_use]
    pub fn addresses(&self) -> &[Listen] {
        &self.server.addresses
    }

    /// The first of them that is an address.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.addresses().iter().find_map(|listen| match listen {
            Listen::Tcp(address) => Some(*address),
            Listen::Unix(_) => None,
        })
    }

    /// Where metrics and health are.
    #[must_use]
    pub fn admin(&self) -> &Listen {
        self.admin.listen()
    }

    /// The same, if it is an address.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        match self.admin() {
            Listen::Tcp(address) => Some(*address),
            Listen::Unix(_) => None,
        }
    }

    /// Runs until the operator wishes an end, then drains; a second such wish ends the drain at once.
    /// Blocks the calling thread. `wishes` is made within the runtime that polls it.
    ///
    /// # Errors
    /// When a thread cannot be started, or a worker ends by itself.
    pub fn run<W: Wishes>(self, wishes: impl FnOnce() -> io::Result<W>) -> Result<(), AppError> {
        let runtime = worker::runtime()?;
        let audit_writer = self.audit_writer;
        let (ledger, ledger_thread) = self.ledger.unzip();
        let config = &self.loaded.config;
        let live = channel::Sender::new(Live::of(config, 0));
        let shared = Shared {
            live: live.subscribe(),
            hub: self.hub,
            audit: self.audit,
            spans: self.spans,
            trigger: Trigger::default(),
            room: Room::of(config.server.max_connections, config.server.max_connections_per_address),
            cut: Arc::default(),
            budget: Budget::of(config.proxy.body_budget_bytes, config.proxy.max_requests),
            ledger,
            beat: self.launch.supervisor.watchdog.map(|most| most / 8),
        };
        tracing::info!(
            addresses = self.server.addresses.iter().map(Listen::to_string).collect::<Vec<_>>().join(" "),
            admin = %self.admin.listen(),
            workers = self.server.workers.len(),
            policy = &*config.policy.revision,
            memory = %config.memory,
            connections = config.server.max_connections,
            body_budget = config.proxy.body_budget_bytes,
            requests = config.proxy.max_requests,
            version = BuildInfo::CURRENT.version,
            commit = BuildInfo::CURRENT.commit,
            "listening"
        );
        let cast = Cast {
            shared,
            live,
            addresses: self.server.addresses,
            running: Running::new(self.loaded),
            listeners: self.server.workers,
            admin: self.admin,
            notifier: Notifier::to(self.launch.supervisor.notify_socket.as_ref()),
            watchdog: self.launch.supervisor.watchdog,
        };
        let outcome = runtime.block_on(conduct(cast, wishes));
        #[cfg(feature = "otlp")]
        if let Some(Err(unsent)) = self.exporter.map(|exporter| exporter.close(LAST_SPANS)) {
            tracing::error!(%unsent, "spans may be missing");
        }
        if let Some(Err(unfinished)) = ledger_thread.map(|thread| thread.close(LAST_LEDGER_WORK)) {
            tracing::error!(%unfinished, "the ledger may lack notes");
        }
        if let Err(unwritten) = audit_writer.close(LAST_AUDIT_LINES) {
            tracing::error!(%unwritten, "audit lines may be missing");
        }
        outcome
    }
}
