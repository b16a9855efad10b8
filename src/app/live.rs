//! What a reload replaces, whole: every worker has the same, and takes the next when it comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::Config;
use crate::policy::Policy;
use crate::proxy::ProxyOptions;
use crate::server::ServerOptions;
use crate::upstream::UpstreamOptions;

/// What requests are answered by.
pub(super) struct Live {
    /// Grows with each reload.
    pub(super) number: u64,
    pub(super) policy: Arc<Policy>,
    pub(super) server: ServerOptions,
    pub(super) upstream: UpstreamOptions,
    pub(super) proxy: ProxyOptions,
}

impl Live {
    /// What the configuration says.
    pub(super) fn of(config: &Config, number: u64) -> Arc<Self> {
        Arc::new(Self {
            number,
            policy: Arc::new(Policy::new(config.policy.clone())),
            server: config.server.clone(),
            upstream: config.upstream.clone(),
            proxy: config.proxy.clone(),
        })
    }
}

/// Signs of life of one worker, seen from other threads.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    beats: AtomicU64,
    taken: AtomicU64,
}

impl Pulse {
    /// It does its work.
    pub(super) fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it said so.
    pub(super) fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    /// It works by what has this number.
    pub(super) fn take(&self, number: u64) {
        self.taken.store(number, Ordering::Release);
    }

    /// Whether it works by what has this number.
    pub(super) fn has_taken(&self, number: u64) -> bool {
        self.taken.load(Ordering::Acquire) >= number
    }
}
