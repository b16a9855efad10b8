//! Settings of the parts: server, reload, log, audit, metrics.

use std::time::Duration;

use tracing::Level;

use super::{MIB, Setting, TIME, set};
use crate::config::kind::Kind;
use crate::config::{names, network};
use crate::telemetry::audit::KeyNames;
use crate::telemetry::log::LogFormat;

/// The headers by which Karbor's own middleware tells the API who asks: all that keystonemiddleware sets. It takes
/// them from requests itself, but for `OpenStack-System-Scope`. `X-Service-Token` is checked like `X-Auth-Token`,
/// and without it a service could not act for a user whose token has run out; so it is no claim, and stays.
const IDENTITY_HEADERS: &str = concat!(
    r#"["x-identity-status", "x-user", "x-user-id", "x-user-name", "x-user-domain-id", "x-user-domain-name", "#,
    r#""x-project-id", "x-project-name", "x-project-domain-id", "x-project-domain-name", "x-domain-id", "#,
    r#""x-domain-name", "x-tenant", "x-tenant-id", "x-tenant-name", "x-role", "x-roles", "x-is-admin-project", "#,
    r#""x-service-catalog", "x-service-identity-status", "x-service-user-id", "x-service-user-name", "#,
    r#""x-service-user-domain-id", "x-service-user-domain-name", "x-service-project-id", "#,
    r#""x-service-project-name", "x-service-project-domain-id", "x-service-project-domain-name", "#,
    r#""x-service-roles", "openstack-system-scope"]"#,
);

const MOST_WORKERS: u64 = 256;
/// What `auto` is.
const BY_MEMORY: &str = "what the memory there is has room for";
const MOST_LISTENERS: usize = 16;
const HOUR: Duration = Duration::from_secs(3600);

const LEVEL: Kind = Kind::word::<Level>();
const HEADERS: Kind = Kind::List("names of headers", |text| names::header(text).map(drop), 0, 256);
const PEERS: Kind =
    Kind::List("addresses, ranges, \"unix\"", |text| network::trusted_peer(text).map(drop), 0, 1000);
const SINK: Kind = Kind::Text("a path, \"-\" or \"\"", |text| names::audit_sink(text).map(drop));
const LISTEN: Kind =
    Kind::OneOrMore("an address with a port", |text| network::listen(text).map(drop), MOST_LISTENERS);
pub(super) const MODE: Kind = Kind::Text("a mode in octal digits", |text| network::mode(text).map(drop));

pub(super) const SERVER_SETTINGS: &[Setting] = &[
    set(
        "server.listen",
        LISTEN,
        "\"0.0.0.0:8799\"",
        "where clients connect; port 0 takes a free one, `unix:/PATH` is a unix socket, `[::]` is IPv6 alone",
    )
    .at_start(),
    set("server.unix_mode", MODE, "\"0660\"", "the mode of unix sockets; whoever may write may connect")
        .at_start(),
    set(
        "server.workers",
        Kind::Auto("one per core", &Kind::Number(1, MOST_WORKERS)),
        "\"auto\"",
        "threads that serve; `auto` is one per core",
    )
    .at_start(),
    set(
        "server.max_connections",
        Kind::Auto(BY_MEMORY, &Kind::Number(1, 1_000_000)),
        "\"auto\"",
        "open client connections, all workers together; `auto` is as many as there is memory for, 10000 at most",
    ),
    set("server.head_timeout", TIME, "\"10s\"", "from the first byte of a request head to its last"),
    set("server.keep_alive_timeout", TIME, "\"75s\"", "how long a connection may stay without a request"),
    set(
        "server.write_timeout",
        TIME,
        "\"60s\"",
        "how long a client may leave what was written to it untaken",
    ),
    set("server.body_timeout", TIME, "\"30s\"", "for the whole of a body that is reviewed"),
    set(
        "server.drain_delay",
        Kind::Duration(Duration::ZERO, HOUR),
        "\"0s\"",
        "from the order to shut down to closing the listeners: `/readyz` says no, and load balancers notice",
    ),
    set(
        "server.drain_idle",
        TIME,
        "\"1s\"",
        "how long a connection without a request is kept once the listeners are closed; what comes on it is answered with `Connection: close`",
    ),
    set(
        "server.drain_timeout",
        TIME,
        "\"30s\"",
        "how long requests in flight may go on once the listeners are closed",
    ),
    set(
        "server.max_request_line",
        Kind::Size(256, 64_512),
        "\"8 KiB\"",
        "the longest request line; Karbor reads 8 KiB",
    ),
    set(
        "server.max_head",
        Kind::Size(1024, MIB),
        "\"64 KiB\"",
        "the largest request head; Karbor reads 64 KiB",
    ),
    set(
        "server.max_fields",
        Kind::Number(8, 1000),
        "94",
        "the most header fields of a request; Karbor reads 99, and the proxy adds five",
    ),
    set(
        "server.trusted_peers",
        PEERS,
        "[]",
        "peers whose forwarding headers are passed on, such as a load balancer",
    ),
    set(
        "server.identity_headers",
        HEADERS,
        IDENTITY_HEADERS,
        "headers taken from every request: Karbor's own middleware sets them, a client must not",
    ),
    set(
        "server.max_connections_per_address",
        Kind::Bound(1_000_000),
        "1024",
        "open connections of one client address; trusted peers are exempt",
    ),
    set(
        "server.max_requests_per_connection",
        Kind::Number(1, u32::MAX as u64),
        "100000",
        "requests after which a client connection is closed",
    ),
    set("server.http2", Kind::Flag, "true", "whether clients may speak HTTP/2: by TLS, or without asking"),
    set(
        "server.http2_max_streams",
        Kind::Number(1, 1000),
        "32",
        "requests at once on one HTTP/2 connection; each counts as a connection of `server.max_connections`",
    ),
    set(
        "server.proxy_protocol",
        Kind::Flag,
        "false",
        "whether every connection begins with a PROXY header (v1 or v2), from peers of `server.trusted_peers` alone",
    ),
    set(
        "server.min_body_rate",
        Kind::Size(0, MIB),
        "\"128 B\"",
        "bytes a second that a streamed body must bring while we wait for it; 0 for any",
    ),
    set(
        "server.body_budget",
        Kind::Auto(BY_MEMORY, &Kind::Size(super::MOST_BODY, 1024 * 1024 * MIB)),
        "\"auto\"",
        "bytes of all bodies under review together; beyond it, 503; `auto` is a sixteenth of the memory there is, 256 MiB at most",
    ),
    set(
        "server.max_requests",
        Kind::Auto("one for each body of the largest size, 256 at most", &Kind::Number(1, 1_000_000)),
        "\"auto\"",
        "reviewed and filled requests under way, all workers together; beyond it, 503; `auto` is `server.body_budget` / `limits.body_bytes`, 256 at most",
    ),
];

/// Those of everything else but the admin side's, Karbor's, the ledger's and the policy's.
pub(super) const SETTINGS: &[Setting] = &[
    set(
        "reload.watch",
        Kind::Flag,
        "true",
        "whether a change of the file, of its drop-ins or of a file that they name is a reload; SIGHUP always is",
    ),
    set("log.level", LEVEL, "\"info\"", "the lowest level written"),
    set("log.format", Kind::word::<LogFormat>(), "\"auto\"", "`auto` is text on a terminal, JSON otherwise")
        .at_start(),
    set(
        "audit.file",
        SINK,
        "\"-\"",
        "where audit lines go: a path, `-` for standard output, empty for nowhere",
    )
    .at_start(),
    set("audit.key_names", Kind::word::<KeyNames>(), "\"plain\"", "how key names stand in audit lines")
        .at_start(),
    set(
        "audit.queue_lines",
        Kind::Number(1, 1_000_000),
        "8192",
        "audit lines that may wait for the writer; further ones are dropped and counted",
    )
    .at_start(),
    set(
        "metrics.further_tenants",
        Kind::Number(0, 10_000),
        "0",
        "tenants beyond those named here that get a label of their own, first come first served",
    ),
];
