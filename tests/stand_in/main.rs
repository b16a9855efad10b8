//! The stand-in Karbor over its socket, byte by byte: what a client or a proxy in front of it meets.
//!
//! Bodies, spellings and the store have their own tables beside their code. The expectations are the facts'.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking, in its helper functions too")]

mod lab;

/// What a client is answered.
mod answers;
/// What a proxy's tests rely on: bypasses have their effect, everything is recorded, streams are streams.
mod upstream;
