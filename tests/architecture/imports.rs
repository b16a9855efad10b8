//! Who may import whom.

use std::collections::BTreeSet;

use crate::source::{Source, sources};
use crate::{check_snippet, check_tree};

/// A part, and what it may import of the others: a whole part, or one item of it. The same order as in
/// `lib.rs`, from the core to the edge.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("karbor", &["wire"]),
    ("policy", &["wire", "karbor"]),
    ("drain", &[]),
    ("signals", &[]),
    ("telemetry", &["wire", "karbor", "policy", "drain"]),
    ("ledger", &["karbor", "policy", "drain"]),
    ("upstream", &["wire", "telemetry", "drain"]),
    (
        "otlp",
        &[
            "wire",
            "telemetry",
            // One way to connect, whoever asks.
            "upstream::Endpoint",
            "upstream::Patience",
            "upstream::Tls",
            "upstream::TlsError",
            "upstream::TlsFiles",
            "upstream::ask",
        ],
    ),
    ("server", &["wire", "telemetry", "drain"]),
    (
        "proxy",
        &[
            "wire",
            "karbor",
            "policy",
            "telemetry",
            "ledger",
            "upstream",
            "drain",
            "server::Handler",
            "server::InBody",
            "server::Stay",
        ],
    ),
    (
        "admin",
        &[
            "telemetry",
            "drain",
            // A listener, and what is spoken on it.
            "server::Listen",
            "server::SideDoor",
            "server::Takeover",
            "server::TlsError",
            "server::TlsOptions",
            "server::Visitor",
        ],
    ),
    (
        "config",
        &[
            "wire",
            "karbor",
            "policy",
            // The options structs, and what their fields are made of.
            "admin::AdminOptions",
            "admin::GuardError",
            "admin::Token",
            "admin::TokenSource",
            "ledger::Engine",
            "ledger::LedgerOptions",
            "ledger::MysqlOptions",
            "ledger::MysqlTls",
            "ledger::Password",
            "ledger::PasswordSource",
            "otlp::BUILT",
            "otlp::OtlpOptions",
            "proxy::AddressRange",
            "proxy::ExtraInfoField",
            "proxy::LedgerUse",
            "proxy::ProxyOptions",
            "proxy::TrustedPeer",
            "proxy::WhenDown",
            "server::ClientCertificates",
            "server::Listen",
            "server::ServerOptions",
            "server::TlsError",
            "server::TlsOptions",
            "telemetry::audit::AuditOptions",
            "telemetry::audit::AuditSink",
            "telemetry::audit::KeyNames",
            "telemetry::log::LogFormat",
            "telemetry::log::LogOptions",
            "telemetry::metrics::MetricsOptions",
            "upstream::EjectionRules",
            "upstream::Endpoint",
            "upstream::Identity",
            "upstream::Places",
            "upstream::ProbeOptions",
            "upstream::TlsError",
            "upstream::TlsFiles",
            "upstream::UpstreamOptions",
        ],
    ),
    (
        "verify",
        &[
            "karbor",
            "ledger",
            // One way to connect, whoever asks.
            "upstream::Endpoint",
            "upstream::Patience",
            "upstream::Tls",
            "upstream::TlsError",
            "upstream::TlsFiles",
            "upstream::ask",
        ],
    ),
    ("demo", INSIDE),
    ("app", INSIDE),
    ("commands", EVERYTHING),
    ("main", &["commands", "app::AppError", "config::ConfigErrors", "karbor", "ledger"]),
    ("lib", &[]),
];

/// Everything but the wiring and the stand-in.
const INSIDE: &[&str] = &[
    "wire",
    "karbor",
    "policy",
    "drain",
    "signals",
    "telemetry",
    "ledger",
    "upstream",
    "otlp",
    "server",
    "proxy",
    "admin",
    "config",
];

const EVERYTHING: &[&str] = &[
    "wire",
    "karbor",
    "policy",
    "drain",
    "signals",
    "telemetry",
    "ledger",
    "upstream",
    "otlp",
    "server",
    "proxy",
    "admin",
    "config",
    "verify",
    "demo",
    "app",
];

fn foreign_imports(source: &Source) -> Vec<(usize, String)> {
    let part = source.part();
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|row| row.0 == part) else {
        return vec![(1, format!("{part} is not in the table"))];
    };
    let may = |path: &[String]| {
        let own = path.first() == Some(&part);
        own || allowed.iter().any(|allowed| {
            let allowed: Vec<&str> = allowed.split("::").collect();
            path.len() >= allowed.len() && allowed.iter().zip(path).all(|(allowed, part)| part == allowed)
        })
    };
    let imports = source.imports().into_iter();
    let wrong = imports.filter(|import| !may(&import.path));
    wrong.map(|import| (import.line, format!("{part} must not import {}", import.path.join("::")))).collect()
}

#[test]
fn parts_import_only_what_they_may() {
    check_tree(foreign_imports);
}

/// A new part needs a row, and a row a part.
#[test]
fn the_table_names_every_part() {
    let parts: BTreeSet<String> = sources().iter().map(Source::part).collect();
    let rows: BTreeSet<String> = MAY_IMPORT.iter().map(|row| row.0.to_owned()).collect();
    assert_eq!(parts, rows);
}

/// Whole parts only import what stands above them; items, such as the handler that `server` defines and
/// `proxy` is, say nothing of order.
#[test]
fn the_table_has_no_circle() {
    let mut above: Vec<&str> = Vec::new();
    for (part, allowed) in MAY_IMPORT {
        for other in allowed.iter().filter(|other| !other.contains("::")) {
            assert!(above.contains(other), "{part} imports {other}, which does not stand above it");
        }
        above.push(part);
    }
}

#[test]
fn sees_imports() {
    let check = |name, text, lines: &[usize]| check_snippet(foreign_imports, name, text, lines);
    check("src/wire/head.rs", "use super::Refusal;\nuse crate::wire::Refusal;", &[]);
    check("src/wire/head.rs", "use crate::karbor::TenantId;", &[1]);
    check("src/wire/head.rs", "\nuse super::super::karbor;", &[2]);
    check("src/wire/mod.rs", "use super::karbor::TenantId;", &[1]);
    check("src/karbor/target.rs", "use crate::wire::Refusal;\nuse crate::{wire, policy::Rule};", &[2]);
    check("src/karbor/target.rs", "fn f() { let x = crate::policy::Rule::X; }", &[1]);
    check("src/karbor/target.rs", "fn f() -> crate::policy::Rule {}", &[1]);
    check("src/karbor/target.rs", "pub(in crate::karbor) fn f() { $crate::karbor::g() }", &[]);
    check("src/policy/mod.rs", "use crate::*;", &[1]);
    check("src/policy/mod.rs", "use crate::proxy as karbor;", &[1]);
    check("src/policy/mod.rs", "use crate as ours;", &[1]);
    check(
        "src/policy/mod.rs",
        "// use crate::proxy;\n/* crate::proxy::x() /* */ */\n/// crate::proxy::y\nfn f() {}",
        &[],
    );
    check(
        "src/policy/mod.rs",
        "const X: &str = \"crate::proxy::y\"; const Y: &str = r#\"\"crate::proxy\"#;",
        &[],
    );
    check(
        "src/policy/mod.rs",
        "#[cfg(test)]\nmod tests { use crate::proxy::X; }\nuse crate::proxy::X;",
        &[3],
    );
    check("src/policy/mod.rs", "#[cfg(test)]\n#[allow(x)]\nuse crate::proxy::X;\nuse crate::proxy::X;", &[4]);
    check("src/proxy/mod.rs", "use crate::server::Handler;\nuse crate::server::{InBody, Room};", &[2]);
    check("src/proxy/mod.rs", "use crate::server;", &[1]);
    check("src/proxy/mod.rs", "use crate::server::{self, Handler};", &[1]);
    check("src/proxy/mod.rs", "use crate::server::{Handler as H, InBody as B, bind as b};", &[1]);
    check("src/server/mod.rs", "use crate::karbor::route::Route;\nuse crate::proxy::Peer;", &[1, 2]);
    check("src/config/mod.rs", "use crate::telemetry::log::{LogFormat, init};", &[1]);
    check("src/telemetry/log.rs", "use crate::config::Config;", &[1]);
    check("src/demo/mod.rs", "use crate::app::App;", &[1]);
    check("src/app.rs", "use crate::{config::Config, proxy::Proxy};\nuse crate::demo::StandIn;", &[2]);
    check("src/main.rs", "use karbor_admission::app::AppError;\nuse karbor_admission::app::App;", &[2]);
    check(
        "src/commands/serve.rs",
        "use karbor_admission::app::App;\nuse karbor_admission::nothing::X;\nuse super::arguments::X;",
        &[2],
    );
    check("src/extra/mod.rs", "", &[1]);
}
