//! Who inherits what, and the revision of the policy that follows.

#![cfg(test)]

use std::fmt::Write;
use std::sync::Arc;

use karbor_admission::config::{self, Config, File};
use karbor_admission::karbor::TenantId;
use karbor_admission::policy::{Applications, Bound, Enforcement, Limits, PolicySpec, Rule};

fn load(text: &str) -> Result<Config, String> {
    let file = File { name: "k.toml".into(), text: text.into() };
    config::parse(&[file], []).map(|loaded| loaded.config).map_err(|errors| errors.to_string())
}

#[track_caller]
fn policy(text: &str) -> PolicySpec {
    load(text).unwrap().policy
}

#[test]
fn shipped_is_what_the_policy_ships() {
    let policy = policy("");
    assert_eq!(policy.default.limits, Limits::SHIPPED);
    assert!(policy.default.quotas.is_unlimited());
    assert_eq!(policy.default.applications, Applications::every());
    assert!(Rule::ALL.iter().all(|rule| policy.default.stances.of(*rule) == Enforcement::Enforce));
    assert!(policy.tenants.is_empty());
    assert_eq!((policy.max_depth, policy.violations_reported), (32, 16));
    let bridged: Vec<&str> = policy.bridged_keys.iter().map(AsRef::as_ref).collect();
    assert_eq!(bridged, ["created_by", "trigger_id", "scheduled_operation_id"]);
}

#[test]
fn limits_are_inherited_field_by_field() {
    let policy = policy(
        "limits.entries = 10\nlimits.value_bytes = 'unlimited'\n\
         [groups.g.limits]\nentries = 0\nkey_bytes = 'unlimited'\n\
         [tenants.t]\ngroup = 'g'\nlimits.key_bytes = 7\n\
         [tenants.u]\ngroup = 'g'\nlimits.entries = 'unlimited'\nlimits.value_bytes = 0\nlimits.body_bytes = 0\n\
         [tenants.v]\n[tenants.w]\ngroup = 'g'",
    );
    let expected = |id: &str, entries: Bound, key: Bound, value: Bound, body: u64| {
        let limits =
            Limits { entries, key_bytes: key, value_bytes: value, body_bytes: body, ..Limits::SHIPPED };
        assert_eq!(policy.tenants[id].limits, limits, "{id}");
    };
    let (most, unlimited) = (Bound::AtMost, Bound::Unlimited);
    expected("t", most(0), most(7), unlimited, 131_072);
    expected("u", unlimited, unlimited, most(0), 0);
    expected("v", most(10), most(255), unlimited, 131_072);
    expected("w", most(0), unlimited, unlimited, 131_072);
    assert_eq!(policy.default.limits.entries, most(10));
}

#[test]
fn applications_are_inherited() {
    let policy = policy(
        "policy.applications = ['a']\n[groups.g]\napplications = ['b', 'c-*']\n[groups.h]\n\
         [tenants.t]\ngroup = 'g'\n[tenants.u]\ngroup = 'g'\napplications = []\n[tenants.v]\ngroup = 'h'",
    );
    for (id, expected) in [("t", &["b", "c-*"][..]), ("u", &[]), ("v", &["a"])] {
        assert_eq!(policy.tenants[id].applications.patterns().collect::<Vec<_>>(), expected, "{id}");
    }
}

/// The stance of tenant `t` on `read-only` where these are set.
#[track_caller]
fn check_stance(set: &[&str], expected: Enforcement) {
    let file = |name: &str, text: String| File { name: name.into(), text };
    let files =
        [file("names.toml", "[tenants.t]\ngroup = 'g'\n[groups.g]".into()), file("set.toml", set.join("\n"))];
    let policy = config::parse(&files, []).unwrap().config.policy;
    assert_eq!(policy.tenants["t"].stances.of(Rule::ReadOnly), expected, "{set:?}");
}

#[test]
fn the_most_specific_stance_wins() {
    // From the least to the most specific; each beats all before it.
    let places = [
        "policy.enforcement",
        "policy.rules.read-only",
        "groups.g.enforcement",
        "groups.g.rules.read-only",
        "tenants.t.enforcement",
        "tenants.t.rules.read-only",
    ];
    check_stance(&[], Enforcement::Enforce);
    for (index, place) in places.iter().enumerate() {
        let mut set = vec![format!("{place} = 'warn'")];
        for weaker in &places[..index] {
            set.push(format!("{weaker} = 'observe'"));
        }
        let set: Vec<&str> = set.iter().map(String::as_str).collect();
        check_stance(&set, Enforcement::Warn);
        check_stance(&set[..1], Enforcement::Warn);
    }
    check_stance(&["tenants.t.rules.value-too-long = 'off'"], Enforcement::Enforce);
}

#[test]
fn a_tenant_is_in_one_group() {
    let groups = "[groups.g]\ntenants = ['t']\n[groups.h]\n";
    assert_eq!(
        load(&format!("{groups}[tenants.t]\ngroup = 'h'")).unwrap_err(),
        "k.toml:5: `tenants.t.group` is \"h\": expected one group for a tenant, but it is in `g` too (k.toml:2)\n  hint: leave it in one; what differs can stand in `[tenants.t]`"
    );
    assert_eq!(
        load(&format!("{groups}tenants = ['u', 't']")).unwrap_err(),
        "k.toml:4: `groups.h.tenants` has \"t\": expected one group for a tenant, but it is in `g` too (k.toml:2)\n  hint: leave it in one; what differs can stand in `[tenants.t]`"
    );
    assert!(load(&format!("{groups}[tenants.t]\ngroup = 'g'")).is_ok());
    assert_eq!(
        load("[tenants.t]\ngroup = 'g'").unwrap_err(),
        "k.toml:2: `tenants.t.group` is \"g\": no such group\n  hint: `[groups.g]` makes it"
    );
}

#[test]
fn tenants_named_anywhere_are_named_to_the_metrics() {
    let config =
        load("[groups.g]\ntenants = ['b', 'c']\n[tenants.a]\n[tenants.c]\nenforcement = 'off'").unwrap();
    assert_eq!(config.metrics.named_tenants, ["a", "b", "c"].map(TenantId::new));
    assert_eq!(config.policy.tenants.len(), 3);
}

#[test]
fn equal_rules_are_kept_once() {
    let policy = policy(
        "[groups.g]\ntenants = ['a', 'b']\n[tenants.c]\nlimits.entries = 1\n[tenants.d]\nlimits.entries = 1\n[tenants.e]",
    );
    let same = |one: &str, other: &str| Arc::ptr_eq(&policy.tenants[one], &policy.tenants[other]);
    assert!(same("a", "b") && same("c", "d") && !same("a", "c"));
    assert!(Arc::ptr_eq(&policy.tenants["e"], &policy.default));
}

#[test]
fn ten_thousand_tenants_share_what_is_equal() {
    let mut text = String::from("[groups.g]\nenforcement = 'observe'\ntenants = [\n");
    for number in 0..5_000 {
        writeln!(text, "  'listed-{number}',").unwrap();
    }
    text.push_str("]\n");
    for number in 0..5_000 {
        writeln!(text, "[tenants.own-{number}]\ngroup = 'g'\nlimits.entries = {}", number % 5).unwrap();
    }
    let policy = policy(&text);
    assert_eq!(policy.tenants.len(), 10_000);
    let mut kept: Vec<_> = policy.tenants.values().map(Arc::as_ptr).collect();
    kept.sort();
    kept.dedup();
    assert_eq!(kept.len(), 6);
    assert_eq!(policy.tenants["own-4999"].limits.entries, Bound::AtMost(4));
}

#[test]
fn the_revision_ignores_order_and_place() {
    let one = "policy.bridged_keys = ['a', 'b']\npolicy.applications = ['x', 'y']\n\
               [policy.karbor_keys]\nkarbor-a = { values = ['1', '2'] }\nkarbor-b = {}\n\
               [groups.g]\ntenants = ['t', 'u']\n[groups.g.limits]\nentries = 1\n[tenants.v]\nenforcement = 'warn'";
    let two = "[tenants]\nv.enforcement = 'warn'\nt.group = 'g'\nu.group = 'g'\n[groups.g]\nlimits = { entries = 1 }\n\
               [policy]\nkarbor_keys = { karbor-b = {}, karbor-a = { values = ['2', '1'] } }\n\
               applications = ['y', 'x']\nbridged_keys = ['b', 'a']\n[server]\nlisten = '10.0.0.1:1'";
    let revision = policy(one).revision;
    assert_eq!(revision, policy(two).revision);
    assert_eq!(revision.len(), 12);
    assert!(
        revision.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()),
        "{revision}"
    );
}

#[test]
fn the_revision_follows_the_policy() {
    let changes = [
        "",
        "limits.entries = 65",
        "limits.key_bytes = 'unlimited'",
        "limits.body_bytes = 0",
        "policy.enforcement = 'warn'",
        "policy.rules.read-only = 'warn'",
        "policy.rules.value-too-long = 'warn'",
        "policy.applications = []",
        "policy.applications = ['a', 'b']",
        "policy.applications = ['a-b']",
        "policy.bridged_keys = []",
        "policy.bridged_keys = ['a']",
        "policy.karbor_keys.karbor-a = {}",
        "policy.karbor_keys.karbor-a.values = ['a']",
        "policy.max_depth = 31",
        "policy.violations_reported = 31",
        "policy.enforced_from = '2027-01-31'",
        "policy.short_form = false",
        "quotas.checkpoints = 1",
        "quotas.stored_bytes = 1",
        "quotas.stored_entries = 1",
        "quotas.creations = '1 / 1s'",
        "quotas.creations = '1 / 2s'",
        "quotas.applications.'*'.checkpoints = 1",
        "quotas.applications.a.checkpoints = 1",
        "quotas.applications.b.checkpoints = 1",
        "tenants.t.quotas.checkpoints = 1",
        "[tenants.t]",
        "[tenants.u]",
        "[tenants.u]\nlimits.entries = 1",
        "[tenants.t]\nlimits.entries = 1",
    ];
    let mut revisions: Vec<_> = changes.iter().map(|text| policy(text).revision).collect();
    revisions.sort();
    revisions.dedup();
    assert_eq!(revisions.len(), changes.len());
}

#[test]
fn the_shipped_revision_is_the_same_everywhere() {
    assert_eq!(&*policy("").revision, "3462f7fb5130");
}
