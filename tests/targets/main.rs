//! What every spelling of a request amounts to: refused, or forwarded in canonical form and taken for what
//! Karbor would make of it. Where does a row go?
//!
//! `paths` spellings of the path of a creation; `routes` methods, members, copies, prefixes, the short form;
//! `queries` method overrides; `properties` what holds for any target. Row numbers are those of the Karbor
//! facts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

mod paths;
mod properties;
mod queries;
mod routes;
mod support;
