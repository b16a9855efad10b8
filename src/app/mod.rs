//! The only wiring: `Config` → bound [`App`] → run → drain. Nobody imports this but `main` and the tests.
//!
//! One thread for each worker (`worker`); the calling thread keeps the admin listener and the signals
//! (`conduct`). What is shared is read-mostly: the policy.

mod conduct;
mod error;
mod usage;
mod worker;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

pub use self::conduct::Wishes;
pub use self::error::AppError;
use self::worker::Shared;
use crate::admin;
use crate::config::Config;
use crate::drain::Trigger;
use crate::ledger::{Ledger, LedgerThread};
use crate::policy::Policy;
use crate::proxy::Budget;
use crate::server::{self, Room};
use crate::telemetry::audit::{AuditLog, AuditWriter};
use crate::telemetry::metrics::{BuildInfo, MetricsHub};

/// How long the ledger may take for what it was still asked.
const LAST_LEDGER_WORK: Duration = Duration::from_secs(5);
/// How long the audit writer may take for its last lines.
const LAST_AUDIT_LINES: Duration = Duration::from_secs(5);

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
        let runtime = worker::runtime()?;
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
        let outcome = runtime.block_on(conduct::conduct(shared, self.listeners, self.admin, wishes));
        if let Some(Err(unfinished)) = ledger_thread.map(|thread| thread.close(LAST_LEDGER_WORK)) {
            tracing::error!(%unfinished, "the ledger may lack notes");
        }
        if let Err(unwritten) = audit_writer.close(LAST_AUDIT_LINES) {
            tracing::error!(%unwritten, "audit lines may be missing");
        }
        outcome
    }
}
