//! What only several settings together show: what cannot be meant, and what hardly is.

use figment::value::Value;

use super::Config;
use super::kind;
use super::problem::{Found, Problem};
use super::settings::Settings;
use super::written::{KeyPath, found};
use super::{admin, ledger, memory, network, tenancy, tls, traces, upstream};
use crate::policy::{Bound, Enforcement, Rule};
use crate::server::Listen;
use crate::telemetry::audit::AuditSink;

/// What is wrong. Values that are wrong by themselves are passed over.
pub(super) fn problems(settings: &Settings) -> Vec<Problem> {
    let mut problems = tenancy::members(settings).1;
    problems.extend(collisions(settings));
    problems.extend(upstream::problems(settings));
    problems.extend(ledger::problems(settings));
    problems.extend(tls::problems(settings));
    problems.extend(traces::problems(settings));
    problems.extend(admin::problems(settings));
    let said = settings.read("server.proxy_protocol", kind::flag).unwrap_or_default();
    let trusted = settings.list("server.trusted_peers", network::trusted_peer);
    if said && trusted.is_ok_and(|trusted| trusted.is_empty()) {
        let text = "expected peers to believe in `server.trusted_peers`: nobody else may connect";
        problems.push(settings.problem("server.proxy_protocol", text));
    }
    problems
}

/// What is allowed, but hardly meant.
pub(super) fn warnings(settings: &Settings, config: &Config) -> Vec<Problem> {
    let mut warnings = Vec::new();
    limits(settings, &KeyPath::of("limits"), &mut warnings);
    for part in ["groups", "tenants"] {
        let path = KeyPath::of(part);
        for (name, _) in settings.table(&path) {
            limits(settings, &path.child(name).child("limits"), &mut warnings);
        }
    }
    let all = || std::iter::once(&config.policy.default).chain(config.policy.tenants.values());
    let any = |wanted| all().any(|rules| Rule::ALL.iter().any(|rule| rules.stances.of(*rule) == wanted));
    if config.audit.sink == AuditSink::None && any(Enforcement::Observe) {
        warnings.push(
            settings.problem("audit.file", "what is observed is counted, but no audit line tells of it"),
        );
    }
    if config.proxy.enforced_from.is_some() && !any(Enforcement::Warn) {
        warnings.push(
            settings.problem("policy.enforced_from", "no rule is at \"warn\", so nobody is told the date"),
        );
    }
    if config.ledger.is_none() && all().any(|rules| !rules.quotas.is_unlimited()) {
        let text = "there are quotas, but without a ledger nothing is counted, and none has an effect";
        warnings.push(settings.problem("ledger.url", text));
    }
    warnings.extend(upstream::warnings(settings, &config.upstream));
    warnings.extend(ledger::warnings(settings));
    warnings.extend(traces::warnings(settings, config.otlp.as_ref()));
    warnings.extend(admin::warnings(settings));
    warnings.extend(memory::warning(settings, config));
    warnings
}

/// A limit on a part that is over the limit on the whole beside it can never bind.
fn limits(settings: &Settings, at: &KeyPath, warnings: &mut Vec<Problem>) {
    let Some(Value::Dict(_, own)) = at.find(settings.values()) else { return };
    let own = |name: &str| {
        let value = own.get(name)?;
        Some((kind::bound(value, kind::size).ok()?, value))
    };
    for (part, whole) in
        [("key_bytes", "total_bytes"), ("value_bytes", "total_bytes"), ("total_bytes", "body_bytes")]
    {
        let (Some((part_bound, value)), Some((whole_bound, _))) = (own(part), own(whole)) else { continue };
        if let (Bound::AtMost(part_bytes), Bound::AtMost(whole_bytes)) = (part_bound, whole_bound)
            && part_bytes > whole_bytes
        {
            warnings.push(never_binds(settings, &at.child(part), &at.child(whole), value));
        }
    }
}

fn never_binds(settings: &Settings, part: &KeyPath, whole: &KeyPath, value: &Value) -> Problem {
    let text = format!("never binds, as `{whole}` is smaller");
    Problem::at(settings.origin(part, None), part, text).found(found(value))
}

/// Addresses of ours that meet.
fn collisions(settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    let path = KeyPath::of("server.listen");
    let Ok(listen) = settings.read("server.listen", |value| kind::one_or_more(value, network::listen)) else {
        return problems;
    };
    for (index, one) in listen.iter().enumerate().skip(1) {
        if let Some(other) = listen[..index].iter().find(|other| one.meets(other)) {
            let text = format!("expected another address than {other}");
            let shown = Found::Item(format!("\"{one}\"").into());
            problems.push(Problem::at(settings.origin(&path, Some(index)), &path, text).found(shown));
        }
    }
    let path = KeyPath::of("admin.listen");
    let admin = settings.text("admin.listen", network::admin_listen);
    if admin.is_ok_and(|admin| listen.iter().any(|listen| overlap(listen, &admin))) {
        let shown = path.find(settings.values()).map_or(Found::Nothing, found);
        let problem =
            Problem::at(settings.origin(&path, None), &path, "expected another address than `server.listen`");
        problems.push(problem.found(shown));
    }
    problems
}

/// Also where one is IPv4 and the other IPv6: with one port for both, nobody would know which is meant.
fn overlap(one: &Listen, other: &Listen) -> bool {
    let (Listen::Tcp(one), Listen::Tcp(other)) = (one, other) else { return one == other };
    let unspecified = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (one.ip() == other.ip() || unspecified)
}
