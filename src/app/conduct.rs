//! The life of the process once everything is bound: start the workers, see to wishes, drain.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::sync::atomic::Ordering;

use tokio::sync::{mpsc, watch};

use super::AppError;
use super::usage::watch_usage;
use super::worker::{Shared, join, start_worker};
use crate::admin::{self, Readiness};
use crate::drain;
use crate::signals::{Signals, Wish};

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

/// The life of the process on the calling thread's runtime.
pub(super) async fn conduct<W: Wishes>(
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
