//! What `auto` amounts to, by what there is and what is named.

use super::*;
use crate::config::{File, parse};

const GIB: u64 = 1 << 30;

#[test]
fn auto_goes_by_what_there_is() {
    // As shipped, over HTTP: 448 KiB a connection, 336 MiB beside the budgets.
    for (limit, expected) in [
        (None, (256 * MIB, 10_000)),
        (Some(64 * GIB), (256 * MIB, 10_000)),
        (Some(8 * GIB), (256 * MIB, 10_000)),
        (Some(4 * GIB), (256 * MIB, 5083)),
        (Some(2 * GIB), (128 * MIB, 2157)),
        (Some(GIB), (64 * MIB, 694)),
        (Some(GIB + 5), (64 * MIB, 694)),
        (Some(100 * MIB), (16 * MIB, 64)),
        (Some(0), (16 * MIB, 64)),
    ] {
        let budget = body_budget(limit);
        assert_eq!((budget, connections(limit, 336 * MIB + 2 * budget, 448 * KIB)), expected, "{limit:?}");
    }
    for (budget, body, expected) in [
        (256 * MIB, 128 * KIB, 256),
        (32 * MIB, 128 * KIB, 256),
        (16 * MIB, 128 * KIB, 128),
        (16 * MIB, MIB, 16),
        (MIB, MIB, 16),
        (256 * MIB, 1, 256),
        (256 * MIB, 0, 256),
    ] {
        assert_eq!(requests(budget, body), expected, "{budget} {body}");
    }
}

/// What the settings `text` amount to in a process of so many bytes: budget, connections, requests, and whether
/// there is a warning.
fn fitted(text: &str, bytes: u64) -> (u64, usize, u64, bool) {
    let loaded = parse(&[File { name: "k".into(), text: text.into() }], []).unwrap();
    let mut config = loaded.config;
    let limit = MemoryLimit { bytes, source: "a test".into() };
    fit(&loaded.settings, Some(limit), &mut config);
    let warned = warning(&loaded.settings, &config).is_some();
    let (server, proxy) = (config.server, config.proxy);
    (proxy.body_budget_bytes, server.max_connections, proxy.max_requests, warned)
}

#[test]
fn what_is_named_stays_and_the_rest_goes_by_it() {
    for (text, bytes, expected) in [
        ("", 2 * GIB, (128 * MIB, 2157, 256, false)),
        ("server.max_connections = 10000", 2 * GIB, (128 * MIB, 10_000, 256, true)),
        ("server.max_connections = 10000", 8 * GIB, (256 * MIB, 10_000, 256, false)),
        ("server.body_budget = '1 MiB'", 2 * GIB, (MIB, 2738, 16, false)),
        ("server.body_budget = '1 GiB'", 2 * GIB, (GIB, 64, 256, true)),
        ("server.max_requests = 7", 2 * GIB, (128 * MIB, 2157, 7, false)),
        ("limits.body_bytes = '1 MiB'", 2 * GIB, (128 * MIB, 2157, 128, false)),
        ("ledger.queue = 1000", 2 * GIB, (128 * MIB, 2158, 256, false)),
        ("ledger.queue = 1000\ntenants.a.limits.total_bytes = '1 MiB'", 2 * GIB, (128 * MIB, 64, 256, true)),
        ("server.max_head = '1 KiB'", 2 * GIB, (128 * MIB, 7268, 256, false)),
        ("audit.queue_lines = 1", 2 * GIB, (128 * MIB, 2742, 256, false)),
        ("ledger.url = 'off'", 2 * GIB, (128 * MIB, 2194, 256, false)),
        ("ledger.queue = 4096", 2 * GIB, (128 * MIB, 2048, 256, false)),
        ("server.tls.certificates = ['a']\nserver.tls.keys = ['b']", 2 * GIB, (128 * MIB, 1776, 256, false)),
        // Less than is needed without a single client.
        ("", 256 * MIB, (16 * MIB, 64, 128, true)),
    ] {
        assert_eq!(fitted(text, bytes), expected, "{text} in {bytes}");
    }
}

#[test]
fn what_auto_was_found_to_be_is_told() {
    let file = File { name: "k.toml".into(), text: "server.max_requests = 9".into() };
    let mut loaded = parse(&[file], []).unwrap();
    let limit = MemoryLimit { bytes: 2 * GIB, source: "memory.max of /k".into() };
    fit(&loaded.settings, Some(limit), &mut loaded.config);
    let text = crate::config::effective(&loaded);
    for line in [
        "# memory: 1536 MiB at worst, of 2048 MiB (memory.max of /k)",
        "max_connections = \"auto\"  # default, found to be 2157",
        "body_budget = \"auto\"  # default, found to be 128 MiB",
        "max_requests = 9  # k.toml:1",
    ] {
        assert!(text.lines().any(|own| own == line), "{line}\n{text}");
    }
}
