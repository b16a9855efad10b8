//! The audit log: one JSON line per judged or refused request, written off the hot path.

use std::path::PathBuf;

/// Where audit lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditSink {
    /// Nowhere.
    None,
    /// Standard output.
    Stdout,
    /// Appended to this file.
    File(PathBuf),
}

/// How key names stand in audit lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyNames {
    /// As they are.
    Plain,
    /// As a digest.
    Hashed,
}

/// What the audit log is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditOptions {
    /// Where lines go.
    pub sink: AuditSink,
    /// How key names stand in them.
    pub key_names: KeyNames,
    /// Lines that may wait for the writer; further ones are dropped and counted.
    pub queue_lines: usize,
}
