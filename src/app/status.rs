//! How everything stands, for `/status`: gathers from the parts, and remembers the last reload.
//!
//! What costs a question to the ledger is asked elsewhere, in `usage`, and only kept here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::reload::Running;
use super::worker::Shared;
use crate::admin::{Attempt, LedgerState, Listening, Reloading, Report, UsageReport};
use crate::config::Loaded;
use crate::ledger::{Engine, Ledger};
use crate::server::Listen;
use crate::telemetry::audit::Latest;
use crate::telemetry::metrics::Reload;

/// The most words of one reload that are remembered.
const MOST_WORDS: usize = 20;

/// The last reload. All clones are one.
#[derive(Clone)]
pub(super) struct History(Arc<Mutex<Reloading>>);

/// What was last seen of the ledger. All clones are one.
#[derive(Clone, Default)]
pub(super) struct LedgerUse(Arc<Mutex<Seen>>);

/// What the ledger said when it was last asked.
#[derive(Clone, Default)]
pub(super) struct Seen {
    pub(super) usage: UsageReport,
    pub(super) size_bytes: Option<u64>,
}

/// Where all of it hangs.
pub(super) struct Board {
    started_at: SystemTime,
    running: Running,
    addresses: Vec<Listen>,
    admin: Listen,
    ledger: Option<Ledger>,
    latest: Latest,
    history: History,
    ledger_use: LedgerUse,
}

impl History {
    /// As after a start.
    fn new(now: SystemTime) -> Self {
        Self(Arc::new(Mutex::new(Reloading { successful: true, succeeded_at: now, last: None })))
    }

    /// A reload ended so: what came into force, or stood against it.
    pub(super) fn reloaded(&self, outcome: Reload, mut words: Vec<String>) {
        let at = SystemTime::now();
        let left_out = words.len().saturating_sub(MOST_WORDS);
        words.truncate(MOST_WORDS);
        let mut reloading = lock(&self.0);
        reloading.successful = matches!(outcome, Reload::Applied | Reload::Unchanged);
        if reloading.successful {
            reloading.succeeded_at = at;
        }
        reloading.last = Some(Attempt { at, outcome: outcome.name(), words, left_out });
    }
}

impl LedgerUse {
    /// What was seen just now.
    pub(super) fn replace(&self, seen: Seen) {
        *lock(&self.0) = seen;
    }
}

impl Board {
    pub(super) fn new(shared: &Shared, running: Running, addresses: Vec<Listen>, admin: Listen) -> Self {
        let started_at = SystemTime::now();
        Self {
            started_at,
            running,
            addresses,
            admin,
            ledger: shared.ledger.clone(),
            latest: shared.audit.latest(),
            history: History::new(started_at),
            ledger_use: LedgerUse::default(),
        }
    }

    pub(super) fn running(&self) -> Running {
        self.running.clone()
    }

    pub(super) fn history(&self) -> History {
        self.history.clone()
    }

    pub(super) fn ledger_use(&self) -> LedgerUse {
        self.ledger_use.clone()
    }

    /// How everything stands now. Waits for nobody.
    pub(super) fn report(&self) -> Report {
        let loaded = self.running.current();
        let seen = lock(&self.ledger_use.0).clone();
        let ledger = self.ledger.as_ref().map(|ledger| LedgerState {
            place: place(&loaded),
            up: ledger.counts().is_up,
            size_bytes: seen.size_bytes,
        });
        Report {
            started_at: self.started_at,
            workers: loaded.config.server.workers.get(),
            listeners: self.listeners(&loaded),
            policy: loaded.config.policy.revision.to_string(),
            reload: lock(&self.history.0).clone(),
            ledger,
            usage: seen.usage,
            latest_rejections: self.latest.all(),
        }
    }

    fn listeners(&self, loaded: &Loaded) -> Vec<Listening> {
        let config = &loaded.config;
        let listening = |side, listen: &Listen, has_tls: bool| {
            let tls = has_tls && matches!(listen, Listen::Tcp(_));
            Listening { side, address: listen.to_string(), tls }
        };
        let clients = self.addresses.iter().map(|listen| ("clients", listen, config.server.tls.is_some()));
        let admin = ("admin", &self.admin, config.admin.tls.is_some());
        clients.chain([admin]).map(|(side, listen, has_tls)| listening(side, listen, has_tls)).collect()
    }
}

/// Where the ledger is, without who logs in.
fn place(loaded: &Loaded) -> String {
    match loaded.config.ledger.as_ref().map(|options| &options.engine) {
        Some(Engine::Sqlite(path)) => format!("sqlite:{}", path.display()),
        Some(Engine::Mysql(server)) if server.host.contains(':') => {
            format!("mysql://[{}]:{}/{}", server.host, server.port, server.database)
        }
        Some(Engine::Mysql(server)) => format!("mysql://{}:{}/{}", server.host, server.port, server.database),
        None => String::new(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_reload_is_remembered() {
        let history = History::new(SystemTime::UNIX_EPOCH);
        let state = |history: &History| {
            let reloading = lock(&history.0).clone();
            let last = reloading.last.map(|last| (last.outcome, last.words.len(), last.left_out));
            (reloading.successful, reloading.succeeded_at == SystemTime::UNIX_EPOCH, last)
        };
        assert_eq!(state(&history), (true, true, None));
        let words = |count| vec!["word".to_owned(); count];
        for (outcome, count, expected) in [
            (Reload::Invalid, 25, (false, true, Some(("invalid", 20, 5)))),
            (Reload::NeedsRestart, 1, (false, true, Some(("needs-restart", 1, 0)))),
            (Reload::Applied, 20, (true, false, Some(("applied", 20, 0)))),
            (Reload::Unchanged, 0, (true, false, Some(("unchanged", 0, 0)))),
        ] {
            history.reloaded(outcome, words(count));
            assert_eq!(state(&history), expected);
        }
    }
}
