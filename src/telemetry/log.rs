//! Logs for operators: readable on a terminal, JSON otherwise; no line per request above debug.

/// The shape of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// Readable.
    Text,
    /// One JSON object a line.
    Json,
}

/// What the log is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// The lowest level written.
    pub level: tracing::Level,
    /// The shape of the lines.
    pub format: LogFormat,
}
