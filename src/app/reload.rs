//! Reading the configuration again while everything runs: all of it comes into force, or nothing.
//!
//! A thread of its own, so that neither a large file nor a slow disk holds up the admin side. It reads when asked
//! and when the files have changed; publishes what needs no restart; logs what differs. Leaves finding that out
//! to `config`, seeing changes to `watch`, and taking them to each worker.

use std::io;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::live::{Live, Pulse};
use super::notify::Notifier;
use super::status::History;
use super::watch::Watch;
use crate::config::{ConfigErrors, Loaded, Problem};
use crate::karbor::TenantId;
use crate::ledger::{Ledger, LedgerError};
use crate::policy::Limits;
use crate::proxy::Budget;
use crate::server::Room;
use crate::telemetry::log;
use crate::telemetry::metrics::{MetricsHub, Reload};

/// Between two looks at the files. A change is in force after two of them at most.
const LOOK: Duration = Duration::from_secs(1);
/// How long the workers may take to work by what was published, before that is said to have happened.
const TO_BE_TAKEN: Duration = Duration::from_secs(5);
/// How long the ledger may take over what tenants stored.
const TO_BE_ANSWERED: Duration = Duration::from_secs(5);
/// The most changes that one line of the log names.
const MOST_NAMED: usize = 50;

/// How far back is looked for maps that would now be too large.
const LATELY: Duration = Duration::from_secs(3600);
/// The most tenants that are looked at: each costs one question to the ledger.
const MOST_ASKED: usize = 200;

/// The configuration in force. All clones are one.
#[derive(Clone)]
pub(super) struct Running(Arc<Mutex<Arc<Loaded>>>);

impl Running {
    pub(super) fn new(loaded: Loaded) -> Self {
        Self(Arc::new(Mutex::new(Arc::new(loaded))))
    }

    pub(super) fn current(&self) -> Arc<Loaded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, loaded: Loaded) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded);
    }
}

/// Asks for a reload. The thread ends with the last of them.
#[derive(Clone)]
pub(super) struct Asker(SyncSender<()>);

impl Asker {
    /// Another one that waits already will see the same files.
    pub(super) fn ask(&self) {
        if let Err(TrySendError::Disconnected(())) = self.0.try_send(()) {
            tracing::error!("nobody reads the configuration any more; this is a fault of the program");
        }
    }
}

/// What a reload works on.
pub(super) struct Reloader {
    pub(super) running: Running,
    pub(super) history: History,
    pub(super) live: watch::Sender<Arc<Live>>,
    pub(super) pulses: Vec<Arc<Pulse>>,
    pub(super) hub: MetricsHub,
    pub(super) room: Room,
    pub(super) budget: Budget,
    pub(super) ledger: Option<Ledger>,
    pub(super) notifier: Notifier,
}

/// What a reload changed.
type Applied = (Vec<String>, Box<str>, Vec<(TenantId, Limits)>);

/// Why nothing changed.
enum Stand {
    Invalid(ConfigErrors),
    NeedsRestart(Vec<Problem>),
}

impl Reloader {
    /// Starts the thread.
    pub(super) fn start(self) -> io::Result<Asker> {
        let (asker, asked) = sync_channel(1);
        let mut watch = Watch::on(self.running.current().files());
        let work = move || {
            // Set after each reading, the first too: its memory is free by then, and still resident.
            let mut unused = true;
            loop {
                match asked.recv_timeout(LOOK) {
                    Ok(()) => watch.settle(),
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {
                        if std::mem::take(&mut unused) {
                            give_back_memory();
                        }
                        if !self.running.current().config.watch || !watch.look() {
                            continue;
                        }
                    }
                }
                let stands = self.reload();
                let running = self.running.current();
                let mut files = running.files();
                if stands {
                    // Also what a refused configuration names: it may be all that is missing.
                    files.extend(running.named_now());
                }
                watch.follow(files);
                unused = true;
            }
        };
        thread::Builder::new().name("reload".to_owned()).spawn(work)?;
        Ok(Asker(asker))
    }

    /// Whether the configuration of before stands.
    fn reload(&self) -> bool {
        self.notifier.reloading();
        let (outcome, status, words) = match self.attempt() {
            Ok((words, _, _)) if words.is_empty() => {
                tracing::info!("the configuration is read again, and no setting differs");
                (Reload::Unchanged, self.status(""), words)
            }
            Ok((words, revision, lowered)) => {
                let named = &words[..words.len().min(MOST_NAMED)];
                let (changes, more) = (named.join("; "), words.len() - named.len());
                tracing::info!(policy = revision, changes, more, "the configuration is reloaded");
                // It is in force: however slow the ledger is, it holds nothing up but this line.
                if let Some(over) = self.over(&lowered) {
                    tracing::info!(over, "limits are lowered");
                }
                (Reload::Applied, self.status(""), words)
            }
            Err(Stand::Invalid(ConfigErrors(problems))) => {
                let words = tell(&problems);
                tracing::error!(problems = problems.len(), "the configuration is wrong: nothing is changed");
                (Reload::Invalid, self.status("; the last reload failed"), words)
            }
            Err(Stand::NeedsRestart(settings)) => {
                let words = tell(&settings);
                tracing::error!(
                    settings = settings.len(),
                    "the configuration needs a restart: nothing is changed"
                );
                (Reload::NeedsRestart, self.status("; the last reload needs a restart"), words)
            }
        };
        self.history.reloaded(outcome, words);
        self.hub.reloaded(outcome);
        self.notifier.ready(&status);
        matches!(outcome, Reload::Invalid | Reload::NeedsRestart)
    }

    /// How the process stands, for the service manager.
    fn status(&self, more: &str) -> String {
        status(&self.running.current(), more)
    }

    /// What changed, the revision of the policy in force, and whose limits are lower now.
    fn attempt(&self) -> Result<Applied, Stand> {
        let running = self.running.current();
        let wanted = running.again().map_err(Stand::Invalid)?;
        let refused = running.refuses(&wanted);
        if !refused.is_empty() {
            return Err(Stand::NeedsRestart(refused));
        }
        let (words, lowered) = (running.difference(&wanted), running.lowered(&wanted));
        for warning in &wanted.config.warnings {
            tracing::warn!(%warning, "the configuration has a doubtful setting");
        }
        let revision = wanted.config.policy.revision.clone();
        self.publish(wanted);
        Ok((words, revision, lowered))
    }

    /// How many of those whose limits are lowered had a map admitted of late that would now be too large.
    fn over(&self, lowered: &[(TenantId, Limits)]) -> Option<String> {
        let ledger = self.ledger.as_ref().filter(|_| !lowered.is_empty())?;
        let runtime = super::worker::runtime().ok()?;
        let asked = &lowered[..lowered.len().min(MOST_ASKED)];
        let count = async {
            let mut over = 0;
            for (tenant, limits) in asked {
                let largest = ledger.largest(tenant, LATELY).await?;
                let fits = limits.entries.admits(largest.entries) && limits.total_bytes.admits(largest.bytes);
                over += usize::from(!fits);
            }
            Ok::<_, LedgerError>(over)
        };
        match runtime.block_on(async { tokio::time::timeout(TO_BE_ANSWERED, count).await }) {
            Ok(Ok(over)) => Some(format!(
                "of {} with lowered limits, {over} stored more than that in the last hour",
                asked.len()
            )),
            Ok(Err(error)) => Some(format!("what they stored in the last hour is unknown: {error}")),
            Err(_elapsed) => {
                Some("what they stored in the last hour is unknown: the ledger is slow".to_owned())
            }
        }
    }

    /// Brings it into force. A worker takes it whole, between two requests; nobody waits here but for that.
    fn publish(&self, wanted: Loaded) {
        let config = &wanted.config;
        let number = self.live.borrow().number + 1;
        self.room.resize(config.server.max_connections, config.server.max_connections_per_address);
        self.budget.resize(config.proxy.body_budget_bytes, config.proxy.max_requests);
        self.hub.set_further_tenants(config.metrics.further_tenants);
        if let Err(error) = self.hub.set_policy(&config.policy) {
            tracing::error!(%error, "the metrics do not show the policy");
        }
        if let Err(error) = self.hub.set_certificates(config.server.certificate_expiries()) {
            tracing::error!(%error, "the metrics do not show the certificates");
        }
        log::set_level(config.log.level);
        self.live.send_replace(Live::of(config, number));
        self.running.replace(wanted);
        let deadline = Instant::now() + TO_BE_TAKEN;
        while !self.pulses.iter().all(|pulse| pulse.has_taken(number)) {
            if Instant::now() > deadline {
                tracing::error!("a worker still works by the configuration of before");
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Has the allocator hand to the system what has been free for a second. It does so on its own when memory is asked
/// for, which may not be for hours, and whenever a thread ends.
fn give_back_memory() {
    let ended =
        thread::Builder::new().name("give-back".to_owned()).spawn(|| ()).map(thread::JoinHandle::join);
    if !matches!(ended, Ok(Ok(()))) {
        tracing::debug!("unused memory is kept for now");
    }
}

/// Logs them; as texts.
fn tell(problems: &[Problem]) -> Vec<String> {
    for problem in problems {
        tracing::error!(key = %problem.key, place = %problem.origin, %problem, "a setting cannot be taken");
    }
    problems.iter().map(Problem::to_string).collect()
}

/// How the process stands, for the service manager.
pub(super) fn status(running: &Loaded, more: &str) -> String {
    format!("policy {}{more}", running.config.policy.revision)
}
