//! The ledger, by its public interface, on SQLite and on a real MariaDB server: one suite for both.
//!
//! `tests/ledger/mariadb` starts a server and runs this with it. Without one, what needs it says SKIPPED.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

mod commands;
mod console;
mod exporting;
mod kill;
mod model;
mod quotas;
mod reading;
mod settling;
mod stage;
mod start;
mod time;
mod tls;
mod trouble;
