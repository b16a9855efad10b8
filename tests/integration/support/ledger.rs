//! A ledger in a file of the test's own.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// The folder of a ledger; removed with what is in it.
pub(crate) struct LedgerFolder(PathBuf);

impl LedgerFolder {
    pub(crate) fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("karbor-admission-ledger-{}-{number}", std::process::id())))
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("ledger.sqlite")
    }

    /// The settings of a proxy with this ledger, and these.
    pub(crate) fn settings(&self, more: &str) -> String {
        format!("ledger.url = \"sqlite:{}\"\n{more}", self.file().display())
    }
}

impl Drop for LedgerFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
