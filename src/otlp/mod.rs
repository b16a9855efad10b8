//! Spans to a collector, by OTLP/HTTP in its JSON form. Only in a build with the feature `otlp`.
//!
//! `encode` is the form, `exporter` the thread that sends. By hand: a batch is one document and one POST (why not by
//! OpenTelemetry's libraries, `Cargo.toml` says). Leaves what stands in a span to `telemetry`, how to connect to
//! `upstream`.

#[cfg(feature = "otlp")]
mod encode;
#[cfg(feature = "otlp")]
mod exporter;

use std::path::PathBuf;

use http::uri::PathAndQuery;

#[cfg(feature = "otlp")]
pub use exporter::{Exporter, OtlpError, Unsent};

use crate::upstream::Endpoint;

/// Whether this build can export.
pub const BUILT: bool = cfg!(feature = "otlp");

/// What the exporter is told.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpOptions {
    /// Where the collector listens.
    pub endpoint: Endpoint,
    /// What is posted to there.
    pub target: PathAndQuery,
    /// The authorities that its certificate must lead to; those of the system if none.
    pub authorities: Option<PathBuf>,
    /// How many exchanges without a caller's trace begin one, from 0 to 1.
    pub ratio: f64,
    /// Spans that may wait; further ones are dropped and counted.
    pub queue_spans: usize,
}
