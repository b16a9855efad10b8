//! What must hold for any input: one module for each fuzz target, each with one `check` that panics where
//! it does not hold.
//!
//! The models here are written apart from the proxy, and simpler: a few lines that say what Karbor, or a
//! plain reader, makes of the same bytes. They are for comparing, not for reuse. `tests/replay.rs` runs the
//! same checks on stable Rust.

pub mod answer;
pub mod config;
pub mod create_body;
pub mod filter;
pub mod head;
pub mod headers;
mod json;
mod judge;
pub mod karbor_answer;
mod render;
pub mod target;
pub mod update_body;

// The source that `headers` compiles once more finds these under the names it uses.
use karbor_admission::{karbor, wire};
