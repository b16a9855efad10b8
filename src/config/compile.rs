//! Settings → `Config`: fills the options of each part.
//!
//! Leaves the policy to `tenancy`, the ledger to `ledger`, the way to Karbor to `upstream`, the admin side to `admin`, and
//! what only several settings together show to `coherence`.

use std::num::NonZeroUsize;
use std::time::Duration;

use figment::value::Value;

use super::Config;
use super::memory::{self, Memory, MemoryLimit};
use super::problem::{Problem, Wrong};
use super::settings::Settings;
use super::{admin, coherence, kind, ledger, names, network, tenancy, tls, traces, upstream};
use crate::proxy::ProxyOptions;
use crate::server::ServerOptions;
use crate::telemetry::audit::AuditOptions;
use crate::telemetry::log::LogOptions;
use crate::telemetry::metrics::MetricsOptions;

/// The most threads that `auto` makes.
const MOST_AUTO_WORKERS: usize = 256;

/// The configuration that settings without a problem mean, in a process that may have so much memory.
///
/// # Errors
/// A value that cannot be read; the table of settings should have found it.
pub(super) fn compile(settings: &Settings, limit: Option<MemoryLimit>) -> Result<Config, Problem> {
    let policy = tenancy::policy(settings)?;
    let mut named_tenants: Vec<_> = policy.tenants.keys().cloned().collect();
    named_tenants.sort();
    let mut config = Config {
        server: server(settings)?,
        upstream: upstream::options(settings)?,
        proxy: proxy(settings)?,
        admin: admin::options(settings)?,
        audit: audit(settings)?,
        log: log(settings)?,
        metrics: MetricsOptions {
            named_tenants,
            further_tenants: count(settings, "metrics.further_tenants")?,
        },
        otlp: traces::options(settings)?,
        ledger: ledger::options(settings)?,
        watch: settings.read("reload.watch", kind::flag)?,
        policy,
        memory: Memory::default(),
        warnings: Vec::new(),
    };
    memory::fit(settings, limit, &mut config);
    let warnings = coherence::warnings(settings, &config);
    Ok(Config { warnings, ..config })
}

fn server(settings: &Settings) -> Result<ServerOptions, Problem> {
    Ok(ServerOptions {
        listen: settings.read("server.listen", |value| kind::one_or_more(value, network::listen))?,
        unix_mode: settings.text("server.unix_mode", network::mode)?,
        workers: settings.read("server.workers", workers)?,
        max_connections: auto(settings, "server.max_connections", kind::count)?,
        head_timeout: duration(settings, "server.head_timeout")?,
        keep_alive_timeout: duration(settings, "server.keep_alive_timeout")?,
        write_timeout: duration(settings, "server.write_timeout")?,
        max_request_line_bytes: settings.read("server.max_request_line", size_in_memory)?,
        max_head_bytes: settings.read("server.max_head", size_in_memory)?,
        max_fields: count(settings, "server.max_fields")?,
        drain_delay: duration(settings, "server.drain_delay")?,
        drain_idle: duration(settings, "server.drain_idle")?,
        drain_timeout: duration(settings, "server.drain_timeout")?,
        http2: settings.read("server.http2", kind::flag)?,
        max_streams: settings.read("server.http2_max_streams", |value| {
            u32::try_from(kind::number(value)?).map_err(|_too_large| Wrong::KIND)
        })?,
        proxy_protocol: settings.read("server.proxy_protocol", kind::flag)?,
        tls: tls::options(settings)?,
        max_connections_per_address: settings.read("server.max_connections_per_address", |value| {
            kind::bound(value, kind::number)?.number().map(kind::in_memory).transpose()
        })?,
        max_requests_per_connection: settings.read("server.max_requests_per_connection", kind::number)?,
    })
}

fn proxy(settings: &Settings) -> Result<ProxyOptions, Problem> {
    let identity_headers = settings.list("server.identity_headers", names::header)?;
    Ok(ProxyOptions {
        path_prefix: settings.text("upstream.path_prefix", upstream::path_prefix)?.into(),
        short_form: settings.read("policy.short_form", kind::flag)?,
        extra_info_field: settings.text("upstream.extra_info_field", names::word)?,
        body_timeout: duration(settings, "server.body_timeout")?,
        min_body_rate: settings.read("server.min_body_rate", kind::size)?,
        body_budget_bytes: auto(settings, "server.body_budget", kind::size)?,
        max_requests: auto(settings, "server.max_requests", kind::number)?,
        identity_headers,
        trusted_peers: settings.list("server.trusted_peers", network::trusted_peer)?,
        enforced_from: settings.text("policy.enforced_from", names::date)?.map(Into::into),
        ledger: ledger::usage(settings)?,
    })
}

fn audit(settings: &Settings) -> Result<AuditOptions, Problem> {
    Ok(AuditOptions {
        sink: settings.text("audit.file", names::audit_sink)?,
        key_names: settings.text("audit.key_names", names::word)?,
        queue_lines: count(settings, "audit.queue_lines")?,
    })
}

fn log(settings: &Settings) -> Result<LogOptions, Problem> {
    Ok(LogOptions {
        level: settings.text("log.level", names::word)?,
        format: settings.text("log.format", names::word)?,
    })
}

fn workers(value: &Value) -> Result<NonZeroUsize, Wrong> {
    let number = match kind::auto(value, kind::number)? {
        Some(number) => kind::in_memory(number)?,
        None => std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MOST_AUTO_WORKERS),
    };
    NonZeroUsize::new(number).ok_or(Wrong::KIND)
}

fn size_in_memory(value: &Value) -> Result<usize, Wrong> {
    kind::in_memory(kind::size(value)?)
}

fn duration(settings: &Settings, key: &str) -> Result<Duration, Problem> {
    settings.read(key, kind::duration)
}

/// What stands there; nothing yet for `auto`.
fn auto<T: Default>(
    settings: &Settings,
    key: &str,
    read: impl FnOnce(&Value) -> Result<T, Wrong>,
) -> Result<T, Problem> {
    settings.read(key, |value| kind::auto(value, read)).map(Option::unwrap_or_default)
}

fn count(settings: &Settings, key: &str) -> Result<usize, Problem> {
    settings.read(key, kind::count)
}
