//! The life of the process once everything is bound: start the workers, see to wishes, drain.
//!
//! The end, in order: not ready, and told to the service manager; `server.drain_delay`; listeners are left; each
//! connection closes with its next answer, or when none comes; what is left after `server.drain_timeout`, or at the
//! second wish to end, is cut, and counted in the log.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::AppError;
use super::live::{Live, Pulse};
use super::notify::Notifier;
use super::reload::{Asker, Reloader, Running};
use super::status::{Board, History};
use super::usage::watch_usage;
use super::vigil;
use super::worker::{Shared, join, start_worker};
use crate::admin::{self, Readiness};
use crate::config;
use crate::drain;
use crate::server::{Listen, Listener};
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

/// Who plays a part.
pub(super) struct Cast {
    pub(super) shared: Shared,
    pub(super) live: watch::Sender<Arc<Live>>,
    pub(super) running: Running,
    /// Where clients connect.
    pub(super) addresses: Vec<Listen>,
    pub(super) listeners: Vec<Vec<Listener>>,
    pub(super) admin: admin::Bound,
    pub(super) notifier: Notifier,
    pub(super) watchdog: Option<Duration>,
}

/// How the process is to end.
struct End {
    reason: &'static str,
    /// Whether another instance listens on the same addresses already.
    hands_over: bool,
}

/// The life of the process on the calling thread's runtime.
pub(super) async fn conduct<W: Wishes>(
    cast: Cast,
    wishes: impl FnOnce() -> io::Result<W>,
) -> Result<(), AppError> {
    let Cast { shared, live, running, addresses, listeners, admin, notifier, watchdog } = cast;
    let readiness = Readiness::new();
    let starting = readiness.wait_for("the workers");
    let (end, ended) = watch::channel(false);
    let (alive, mut dead) = mpsc::channel::<()>(1);
    let pulses: Vec<Arc<Pulse>> = listeners.iter().map(|_| Arc::default()).collect();
    let mut workers = Vec::new();
    for (at, (listeners, pulse)) in listeners.into_iter().zip(&pulses).enumerate() {
        let guard = readiness.wait_for("a worker");
        let stage = (ended.clone(), alive.clone(), guard);
        workers.push(start_worker(at, listeners, shared.clone(), pulse.clone(), stage)?);
    }
    drop((alive, ended));
    let board = Board::new(&shared, running.clone(), addresses, admin.listen().clone());
    if let Some(ledger) = shared.ledger.clone() {
        drain::spawn_cut(watch_usage(ledger, shared.hub.clone(), shared.live.clone(), board.ledger_use()));
    }
    let history = board.history();
    let admin_end = serve_admin(admin, &shared, &readiness, board);
    drop(starting);
    let mut wishes = wishes()?;
    let reloads = reloader(&shared, live, &running, history, &pulses, &notifier).start()?;
    drain::spawn_cut(vigil::until_ready(readiness.clone(), notifier.clone(), running));
    if let Some(most) = watchdog {
        drain::spawn_cut(vigil::keep(notifier.clone(), pulses, most / 4));
    }
    let outcome = tokio::select! {
        wished = end_wished(&shared, &reloads, &mut wishes) => {
            tracing::info!(reason = wished.reason, "shutting down");
            Ok(wished)
        }
        // Nobody sends: the channel only closes when a worker drops its end.
        _ = dead.recv() => Err(AppError::WorkerEnded),
    };
    // Whoever took over answers for the admin side too: two that answer would contradict each other.
    let hands_over = outcome.as_ref().is_ok_and(|end| end.hands_over);
    admin_end.send_replace(hands_over);
    readiness.not_ready("draining");
    notifier.stopping("draining");
    drain_connections(&shared, &reloads, &mut wishes, hands_over).await;
    shared.cut.store(true, Ordering::Release);
    admin_end.send_replace(true);
    end.send_replace(true);
    join(workers).await;
    outcome.map(drop)
}

/// Serves the admin side until the sender says so, or is gone.
fn serve_admin(
    admin: admin::Bound,
    shared: &Shared,
    readiness: &Readiness,
    board: Board,
) -> watch::Sender<bool> {
    let (end, mut ended) = watch::channel(false);
    let (running, options) = (board.running(), board.running());
    let sources = admin::Sources {
        hub: shared.hub.clone(),
        readiness: readiness.clone(),
        config: Arc::new(move || config::effective(&running.current())),
        report: Arc::new(move || board.report()),
        options: Arc::new(move || options.current().config.admin.clone()),
    };
    drain::spawn_cut(async move {
        let until = async move {
            let _ = ended.wait_for(|&ended| ended).await;
        };
        if let Err(error) = admin.serve(sources, until).await {
            tracing::error!(%error, "the admin listener ended");
        }
    });
    end
}

fn reloader(
    shared: &Shared,
    live: watch::Sender<Arc<Live>>,
    running: &Running,
    history: History,
    pulses: &[Arc<Pulse>],
    notifier: &Notifier,
) -> Reloader {
    Reloader {
        running: running.clone(),
        history,
        live,
        pulses: pulses.to_vec(),
        hub: shared.hub.clone(),
        room: shared.room.clone(),
        budget: shared.budget.clone(),
        ledger: shared.ledger.clone(),
        notifier: notifier.clone(),
    }
}

/// Sees to other wishes until the operator wants an end.
async fn end_wished<W: Wishes>(shared: &Shared, reloads: &Asker, wishes: &mut W) -> End {
    loop {
        match wishes.next().await {
            Wish::End(reason) => return End { reason, hands_over: false },
            Wish::HandOver(reason) => return End { reason, hands_over: true },
            Wish::Reload => {
                shared.audit.reopen();
                tracing::info!("the audit file is opened anew");
                reloads.ask();
            }
        }
    }
}

async fn drain_connections<W: Wishes>(shared: &Shared, reloads: &Asker, wishes: &mut W, at_once: bool) {
    let (delay, most) = {
        let live = shared.live.borrow();
        let delay = if at_once { Duration::ZERO } else { live.server.drain_delay };
        (delay, live.server.drain_timeout)
    };
    let trigger = &shared.trigger;
    let drained = async {
        tokio::time::sleep(delay).await;
        trigger.order();
        trigger.drained(most).await
    };
    let why = tokio::select! {
        drained = drained => match drained {
            Ok(()) => {
                tracing::info!("every request in flight has finished");
                return;
            }
            Err(_watchers) => "server.drain_timeout is over",
        },
        wished = end_wished(shared, reloads, wishes) => wished.reason,
    };
    // Also where the end came before the order.
    trigger.order();
    let (connections, requests) = (shared.room.taken(), shared.hub.requests_in_flight());
    if requests == 0 {
        tracing::info!(why, connections, "idle connections are closed");
    } else {
        tracing::warn!(why, connections, requests, "connections are cut");
    }
}
