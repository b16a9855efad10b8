//! What happened: logs, metrics, audit lines, one record per exchange. Decides nothing.

pub mod audit;
pub mod exchange;
pub mod log;
pub mod metrics;
pub mod spans;
