//! Settings of the policy: rules, limits and quotas, and what groups and tenants can have of their own.

use std::time::Duration;

use super::{MOST_BODY, Setting, inherit, set};
use crate::config::kind::Kind;
use crate::config::names;
use crate::policy::Enforcement;

const MOST_ENTRIES: u64 = 100_000;
const MOST_TENANTS: usize = 100_000;
/// The most checkpoints or entries that a quota can allow.
const MOST_STORED: u64 = 1_000_000_000;
/// The most bytes that a quota can allow.
const MOST_STORED_BYTES: u64 = 1 << 50;
/// The most creations of one window: they are counted one by one.
const MOST_CREATIONS: u64 = 1_000_000;
/// The longest window of a rate.
const LONGEST_WINDOW: Duration = Duration::from_secs(7 * 86_400);

const ENTRIES: Kind = Kind::Bound(MOST_ENTRIES);
const BYTES: Kind = Kind::SizeBound(MOST_BODY);
const BODY: Kind = Kind::Size(0, MOST_BODY);
const CHECKPOINTS: Kind = Kind::Bound(MOST_STORED);
const STORED: Kind = Kind::SizeBound(MOST_STORED_BYTES);
const RATE: Kind = Kind::Rate(MOST_CREATIONS, LONGEST_WINDOW);
const STANCE: Kind = Kind::word::<Enforcement>();
const APPLICATIONS: Kind =
    Kind::List("applications, a `*` allowed at the end", |text| names::application(text).map(drop), 0, 1000);
const BRIDGED: Kind =
    Kind::List("keys without a namespace", |text| names::bridged_key(text).map(drop), 0, 1000);
const TENANTS: Kind = Kind::List("ids of tenants", |text| names::name(text).map(drop), 0, MOST_TENANTS);
const VALUES: Kind = Kind::List("values", |text| names::value(text).map(drop), 1, 1000);
const GROUP: Kind = Kind::Text("the name of a group", |text| names::name(text).map(drop));
const DATE: Kind = Kind::Text("\"\", or a date such as \"2027-01-31\"", |text| names::date(text).map(drop));

/// For everybody.
pub(super) const SETTINGS: &[Setting] = &[
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
    set("quotas.checkpoints", CHECKPOINTS, "\"unlimited\"", "checkpoints with a map that a tenant may have"),
    set(
        "quotas.stored_bytes",
        STORED,
        "\"unlimited\"",
        "bytes of all keys and values that a tenant may have kept",
    ),
    set("quotas.stored_entries", CHECKPOINTS, "\"unlimited\"", "entries that a tenant may have kept"),
    set("quotas.creations", RATE, "\"unlimited\"", "creations with a map in the time before each"),
    inherit(
        "quotas.applications.APPLICATION.checkpoints",
        CHECKPOINTS,
        "as `quotas.checkpoints`, for the keys of one application, or of each that is not named (`*`)",
    ),
    inherit(
        "quotas.applications.APPLICATION.stored_bytes",
        STORED,
        "as `quotas.stored_bytes`, for one application",
    ),
    inherit(
        "quotas.applications.APPLICATION.stored_entries",
        CHECKPOINTS,
        "as `quotas.stored_entries`, for one application",
    ),
    inherit("quotas.applications.APPLICATION.creations", RATE, "as `quotas.creations`, for one application"),
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
            inheriting!(@ $at, ".quotas.checkpoints", "quotas.checkpoints", $whose, CHECKPOINTS),
            inheriting!(@ $at, ".quotas.stored_bytes", "quotas.stored_bytes", $whose, STORED),
            inheriting!(@ $at, ".quotas.stored_entries", "quotas.stored_entries", $whose, CHECKPOINTS),
            inheriting!(@ $at, ".quotas.creations", "quotas.creations", $whose, RATE),
            inheriting!(
                @ $at,
                ".quotas.applications.APPLICATION.checkpoints",
                "quotas.applications.APPLICATION.checkpoints",
                $whose,
                CHECKPOINTS
            ),
            inheriting!(
                @ $at,
                ".quotas.applications.APPLICATION.stored_bytes",
                "quotas.applications.APPLICATION.stored_bytes",
                $whose,
                STORED
            ),
            inheriting!(
                @ $at,
                ".quotas.applications.APPLICATION.stored_entries",
                "quotas.applications.APPLICATION.stored_entries",
                $whose,
                CHECKPOINTS
            ),
            inheriting!(
                @ $at,
                ".quotas.applications.APPLICATION.creations",
                "quotas.applications.APPLICATION.creations",
                $whose,
                RATE
            ),
            inheriting!(@ $at, ".rules.RULE", "policy.rules.RULE", $whose, STANCE),
        ]
    };
    (@ $at:literal, $name:literal, $from:literal, $whose:literal, $kind:ident) => {
        inherit(concat!($at, $name), $kind, concat!("as `", $from, "`, for the ", $whose))
    };
}

/// What a group can have of its own.
pub(super) const GROUP_SETTINGS: &[Setting] = &inheriting!(
    "groups.NAME",
    "group",
    inherit("groups.NAME.tenants", TENANTS, "tenants of the group, beside those that name it")
);

/// What a tenant can have of its own.
pub(super) const TENANT_SETTINGS: &[Setting] = &inheriting!(
    "tenants.ID",
    "tenant",
    inherit("tenants.ID.group", GROUP, "the group whose settings this tenant inherits")
);
