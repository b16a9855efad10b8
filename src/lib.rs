//! `karbor-admission`: admission control for the `extra-info` of Karbor checkpoints.
//!
//! A reverse proxy in front of an existing Karbor API. It reviews each checkpoint creation before Karbor
//! sees it, refuses what cannot be reviewed with certainty, rejects later mutation, and streams the rest.
//!
//! Modules in reading order. Each may import only what stands above it in its group's line
//! (`tests/architecture` holds the table):
//!
//! | group | modules | may import |
//! |---|---|---|
//! | core, pure | [`wire`], [`karbor`], [`policy`] | `policy` → `karbor` → `wire` → nothing of ours |
//! | leaves | [`drain`], [`signals`] | nothing of ours |
//! | services | [`telemetry`], [`ledger`] | `telemetry` → core, `drain`; `ledger` → `karbor`, `policy` |
//! | shell | [`upstream`], [`server`], [`proxy`] | `server`, `upstream` → `wire`, `drain`, `telemetry`; `proxy` → core, services, `upstream`, `server`'s handler, `drain` |
//! | beside | [`otlp`] | `wire`, `telemetry`, and of `upstream` the way to ask |
//! | edge | [`admin`], [`config`] | `admin` → `telemetry`, `drain`, `server`'s listener; `config` → core and the options structs of the parts |
//! | by hand | [`verify`] | `karbor`, `ledger` |
//! | wiring | [`app`], [`demo`] | everything; nobody imports `app` but `main` and the tests |

pub mod wire;

pub mod karbor;
pub mod policy;

pub mod drain;
pub mod signals;

pub mod ledger;
pub mod telemetry;

pub mod otlp;
pub mod proxy;
pub mod server;
pub mod upstream;

pub mod admin;
pub mod config;

pub mod verify;

pub mod app;
pub mod demo;
