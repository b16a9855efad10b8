//! Whole-process tests: the real `App` on free ports, real sockets on both sides. Where does my test go?
//!
//! `create` admitted creations; `rules` each rule's status and code; `short_form` the specification's own
//! path; `stances` observe, warn, off and limits by tenant; `update` later mutation; `refusals` what is
//! refused by its bytes; `pipelining` what follows on a connection; `pass_through`, `headers`, `streams`
//! everything else that goes by; `ledger` what was admitted comes back; `upstream_failures`, `upstream_pool` Karbor
//! misbehaving; `upstream_moves` what goes on elsewhere then; `upstream_health` who is left alone; `upstream_ways` TLS,
//! unix sockets, names; `upstream_queue` waiting for a place; `upstream_counts` that what Karbor got is counted;
//! `lifecycle` start, drain, bounds; `listeners` addresses and unix sockets; `tls` certificates of both sides;
//! `proxy_protocol` whom a balancer speaks for; `http2` the same proxy by HTTP/2, and its floods; `drain` what its
//! clients see; `status` what the admin side shows, `admin_guard` to whom; `reload` another configuration while it
//! runs; `upgrade` one process after the other, and what the service manager is told; `departures` clients that leave;
//! `slow` clients that dribble; `overload` more requests than there is room for; `observability` audit lines, metrics,
//! log; `traces` what a caller says that its request is part of; `otlp` the spans of a build that exports them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "that is how a test fails")]

mod admin_guard;
mod create;
mod departures;
mod drain;
mod headers;
mod http2;
mod ledger;
mod lifecycle;
mod listeners;
mod observability;
#[cfg(feature = "otlp")]
mod otlp;
mod overload;
mod pass_through;
mod pipelining;
mod proxy_protocol;
mod refusals;
mod reload;
mod rules;
mod short_form;
mod slow;
mod stances;
mod status;
mod streams;
mod support;
mod tls;
mod traces;
mod update;
mod upgrade;
mod upstream_counts;
mod upstream_failures;
mod upstream_health;
mod upstream_moves;
mod upstream_pool;
mod upstream_queue;
mod upstream_ways;
