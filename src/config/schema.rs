//! Every setting there is: its key, what it may be, what it is as shipped, and what it means.
//!
//! The one table that unknown keys, values, defaults and the documentation are held against. In a key,
//! `NAME`, `ID`, `RULE` and `KEY` stand for the name of a group, a tenant, a rule, a recognised key.

use super::kind::Kind;
use super::problem::Wrong;
use super::{names, network};
use crate::policy::Enforcement;
use crate::proxy::ExtraInfoField;
use crate::telemetry::audit::KeyNames;
use crate::telemetry::log::LogFormat;
use tracing::Level;

/// One setting.
#[derive(Debug)]
pub(super) struct Setting {
    /// Its key, dotted.
    pub(super) key: &'static str,
    /// What it may be.
    pub(super) kind: Kind,
    /// What it is as shipped, as TOML. None: it inherits, or there is nothing.
    pub(super) default: Option<&'static str>,
    /// What it means, in a line.
    pub(super) doc: &'static str,
}

impl Setting {
    /// The name at that depth of its key.
    pub(super) fn name(&self, depth: usize) -> Option<&'static str> {
        self.key.split('.').nth(depth)
    }

    /// How many names its key has.
    pub(super) fn depth(&self) -> usize {
        self.key.split('.').count()
    }
}

/// The recognised keys as shipped; naming any in a file replaces them.
pub(super) const SHIPPED_KARBOR_KEYS: [&str; 3] =
    ["karbor-created-by", "karbor-trigger-id", "karbor-scheduled-operation-id"];

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

const MIB: u64 = 1 << 20;
/// The largest body that is ever held in memory for a review, in bytes.
const MOST_BODY: u64 = MIB;
const MOST_ENTRIES: u64 = 100_000;
const MOST_WORKERS: u64 = 256;
const MOST_TENANTS: usize = 100_000;

const ENTRIES: Kind = Kind::Bound(MOST_ENTRIES);
const BYTES: Kind = Kind::SizeBound(MOST_BODY);
const BODY: Kind = Kind::Size(0, MOST_BODY);
const LEVEL: Kind = Kind::word::<Level>();
const STANCE: Kind = Kind::word::<Enforcement>();
const APPLICATIONS: Kind =
    Kind::List("applications, a `*` allowed at the end", |text| names::application(text).map(drop), 0, 1000);
const HEADERS: Kind = Kind::List("names of headers", |text| names::header(text).map(drop), 0, 256);

const PEERS: Kind =
    Kind::List("addresses and ranges of addresses", |text| network::address_range(text).map(drop), 0, 1000);
const ENDPOINTS: Kind = Kind::List("http://HOST[:PORT]", |text| network::endpoint(text).map(drop), 1, 100);
const BRIDGED: Kind =
    Kind::List("keys without a namespace", |text| names::bridged_key(text).map(drop), 0, 1000);
const TENANTS: Kind = Kind::List("ids of tenants", |text| names::name(text).map(drop), 0, MOST_TENANTS);
const VALUES: Kind = Kind::List("values", |text| names::value(text).map(drop), 1, 1000);
const GROUP: Kind = Kind::Text("the name of a group", |text| names::name(text).map(drop));
const PREFIX: Kind =
    Kind::Text("\"\", or a path such as \"/data-protect\"", |text| network::path_prefix(text).map(drop));
const SINK: Kind = Kind::Text("a path, \"-\" or \"\"", |text| names::audit_sink(text).map(drop));
const DATE: Kind = Kind::Text("\"\", or a date such as \"2027-01-31\"", |text| names::date(text).map(drop));
const LISTEN: Kind = Kind::Text("an address with a port", |text| network::listen(text).map(drop));
const ADMIN_LISTEN: Kind = Kind::Text("an address with a port", |text| network::admin_listen(text).map(drop));

const fn set(key: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Setting {
    Setting { key, kind, default: Some(default), doc }
}

const fn inherit(key: &'static str, kind: Kind, doc: &'static str) -> Setting {
    Setting { key, kind, default: None, doc }
}

const GENERAL_SETTINGS: &[Setting] = &[
    set("server.listen", LISTEN, "\"0.0.0.0:8799\"", "where clients connect; port 0 takes a free one"),
    set(
        "server.workers",
        Kind::Workers(MOST_WORKERS),
        "\"auto\"",
        "threads that serve; `auto` is one per core",
    ),
    set(
        "server.max_connections",
        Kind::Number(1, 1_000_000),
        "10000",
        "open client connections, all workers together",
    ),
    set(
        "server.head_timeout",
        Kind::Duration,
        "\"10s\"",
        "from the first byte of a request head to its last",
    ),
    set(
        "server.keep_alive_timeout",
        Kind::Duration,
        "\"75s\"",
        "how long a connection may stay without a request",
    ),
    set(
        "server.write_timeout",
        Kind::Duration,
        "\"60s\"",
        "how long a client may leave what was written to it untaken",
    ),
    set("server.body_timeout", Kind::Duration, "\"30s\"", "for the whole of a body that is reviewed"),
    set(
        "server.drain_timeout",
        Kind::Duration,
        "\"30s\"",
        "how long requests in flight may go on after the order to shut down",
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
    set(
        "server.min_body_rate",
        Kind::Size(0, MIB),
        "\"128 B\"",
        "bytes a second that a streamed body must bring while we wait for it; 0 for any",
    ),
    set(
        "server.body_budget",
        Kind::Size(MOST_BODY, 1024 * 1024 * MIB),
        "\"256 MiB\"",
        "bytes of all bodies under review together; beyond it, 503",
    ),
    set(
        "admin.listen",
        ADMIN_LISTEN,
        "\"127.0.0.1:9799\"",
        "where `/metrics`, `/livez` and `/readyz` are served; has no authentication",
    ),
    set("log.level", LEVEL, "\"info\"", "the lowest level written"),
    set("log.format", Kind::word::<LogFormat>(), "\"auto\"", "`auto` is text on a terminal, JSON otherwise"),
    set(
        "audit.file",
        SINK,
        "\"-\"",
        "where audit lines go: a path, `-` for standard output, empty for nowhere",
    ),
    set("audit.key_names", Kind::word::<KeyNames>(), "\"plain\"", "how key names stand in audit lines"),
    set(
        "audit.queue_lines",
        Kind::Number(1, 1_000_000),
        "8192",
        "audit lines that may wait for the writer; further ones are dropped and counted",
    ),
    set(
        "metrics.further_tenants",
        Kind::Number(0, 10_000),
        "0",
        "tenants beyond those named here that get a label of their own, first come first served",
    ),
    set(
        "upstream.endpoints",
        ENDPOINTS,
        "[\"http://127.0.0.1:18799\"]",
        "where Karbor listens; plain HTTP, port 80 unless named",
    ),
    set("upstream.path_prefix", PREFIX, "\"\"", "what stands before `/v1` in every path"),
    set(
        "upstream.extra_info_field",
        Kind::word::<ExtraInfoField>(),
        "\"extra-info\"",
        "the name under which an admitted map is sent on; `extra_info` for Karbor before 1.0",
    ),
    set(
        "upstream.connect_timeout",
        Kind::Duration,
        "\"3s\"",
        "to connect to Karbor, name resolution included",
    ),
    set(
        "upstream.first_byte_timeout",
        Kind::Duration,
        "\"75s\"",
        "from the last byte of a request to the head of Karbor's answer",
    ),
    set("upstream.idle_timeout", Kind::Duration, "\"60s\"", "without any progress of a body, either way"),
    set(
        "upstream.pool_idle_timeout",
        Kind::Duration,
        "\"60s\"",
        "how long an idle connection to Karbor is kept",
    ),
    set(
        "upstream.pool_idle_per_worker",
        Kind::Number(0, 10_000),
        "64",
        "the most idle connections to Karbor a worker keeps",
    ),
    set("policy.enforcement", STANCE, "\"enforce\"", "what a broken rule leads to"),
    set(
        "policy.enforced_from",
        DATE,
        "\"\"",
        "the date in the `Warning` header from which warned rules will be enforced; empty for none",
    ),
    set("policy.short_form", Kind::Flag, "true", "whether `POST /v1/TENANT/checkpoint` is offered"),
    set(
        "policy.bridged_keys",
        BRIDGED,
        "[\"created_by\", \"trigger_id\", \"scheduled_operation_id\"]",
        "unprefixed keys of Karbor's operation engine that are admitted as they are",
    ),
    set("policy.applications", APPLICATIONS, "[\"*\"]", "applications that may be written"),
    set("policy.max_depth", Kind::Number(2, 64), "32", "the deepest nesting of a reviewed body"),
    set(
        "policy.violations_reported",
        Kind::Number(1, 100),
        "16",
        "the most violations reported for one request",
    ),
    inherit("policy.rules.RULE", STANCE, "what breaking this rule leads to"),
    inherit(
        "policy.karbor_keys.KEY.values",
        VALUES,
        "the values this recognised key may have; without it, any",
    ),
    set("limits.entries", ENTRIES, "64", "entries in one map"),
    set("limits.key_bytes", BYTES, "255", "bytes of one key"),
    set("limits.value_bytes", BYTES, "1024", "bytes of one value"),
    set("limits.total_bytes", BYTES, "16384", "bytes of all keys and values together"),
    set(
        "limits.body_bytes",
        BODY,
        "\"128 KiB\"",
        "bytes of the request body; always bounded, as a body is held in memory",
    ),
];

/// What a group or a tenant can have of its own: the settings at `$at`, `$own` first.
macro_rules! inheriting {
    ($at:literal, $whose:literal, $own:expr) => {
        [
            $own,
            inheriting!(@ $at, ".applications", "policy.applications", $whose, APPLICATIONS),
            inheriting!(@ $at, ".enforcement", "policy.enforcement", $whose, STANCE),
            inheriting!(@ $at, ".limits.entries", "limits.entries", $whose, ENTRIES),
            inheriting!(@ $at, ".limits.key_bytes", "limits.key_bytes", $whose, BYTES),
            inheriting!(@ $at, ".limits.value_bytes", "limits.value_bytes", $whose, BYTES),
            inheriting!(@ $at, ".limits.total_bytes", "limits.total_bytes", $whose, BYTES),
            inheriting!(@ $at, ".limits.body_bytes", "limits.body_bytes", $whose, BODY),
            inheriting!(@ $at, ".rules.RULE", "policy.rules.RULE", $whose, STANCE),
        ]
    };
    (@ $at:literal, $name:literal, $from:literal, $whose:literal, $kind:ident) => {
        inherit(concat!($at, $name), $kind, concat!("as `", $from, "`, for the ", $whose))
    };
}

const GROUP_SETTINGS: &[Setting] = &inheriting!(
    "groups.NAME",
    "group",
    inherit("groups.NAME.tenants", TENANTS, "tenants of the group, beside those that name it")
);

const TENANT_SETTINGS: &[Setting] = &inheriting!(
    "tenants.ID",
    "tenant",
    inherit("tenants.ID.group", GROUP, "the group whose settings this tenant inherits")
);

/// Every setting, in the order of the documentation.
pub(super) fn settings() -> impl Iterator<Item = &'static Setting> {
    GENERAL_SETTINGS.iter().chain(GROUP_SETTINGS).chain(TENANT_SETTINGS)
}

/// What a capital name of a key stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placeholder {
    /// A group or a tenant.
    Name,
    /// A rule.
    Rule,
    /// A recognised key.
    KarborKey,
}

impl Placeholder {
    /// The placeholder of that spelling.
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "NAME" | "ID" => Some(Self::Name),
            "RULE" => Some(Self::Rule),
            "KEY" => Some(Self::KarborKey),
            _ => None,
        }
    }

    /// Judges a name that stands in its place.
    pub(super) fn judge(self, name: &str) -> Result<(), Wrong> {
        match self {
            Self::Name => names::name(name).map(drop),
            Self::Rule => names::rule(name).map(drop),
            Self::KarborKey => names::karbor_key(name).map(drop),
        }
    }
}

/// The settings of `among` whose key has `name`, or a placeholder for it, at that depth.
pub(super) fn below(among: &[&'static Setting], depth: usize, name: &str) -> Vec<&'static Setting> {
    let fits = |setting: &Setting| {
        setting.name(depth).is_some_and(|own| own == name || Placeholder::of(own).is_some())
    };
    among.iter().copied().filter(|setting| fits(setting)).collect()
}

/// The defaults, as a file would have them.
pub(super) fn shipped() -> String {
    let mut text = String::new();
    for setting in settings() {
        if let Some(default) = setting.default {
            text.push_str(&format!("{} = {default}\n", setting.key));
        }
    }
    for key in SHIPPED_KARBOR_KEYS {
        text.push_str(&format!("policy.karbor_keys.{key} = {{}}\n"));
    }
    text
}

/// Every setting in a Markdown table: key, default, what it may be, what it means.
pub(super) fn reference() -> String {
    let mut text = "| setting | default | may be | meaning |\n|---|---|---|---|\n".to_owned();
    for setting in settings() {
        let default = setting.default.map_or_else(String::new, |default| format!("`{default}`"));
        let expected = setting.kind.expected();
        text.push_str(&format!("| `{}` | {default} | {expected} | {} |\n", setting.key, setting.doc));
    }
    text
}
