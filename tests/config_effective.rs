//! The effective configuration loads back to the same, and says where each value came from; warnings.

#![cfg(test)]

use karbor_admission::config::{self, File, Loaded};

fn load(text: &str, environment: &[(&str, &str)]) -> Loaded {
    let file = File { name: "k.toml".into(), text: text.into() };
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    config::parse(&[file], environment).unwrap()
}

fn described(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let mut tenants: Vec<_> = config.policy.tenants.iter().collect();
    tenants.sort_by_key(|(id, _)| *id);
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {tenants:?}",
        config.server,
        config.upstream,
        config.proxy,
        config.admin,
        config.audit,
        config.log,
        config.metrics,
        config.ledger,
        config.policy.revision,
        config.policy.default,
        config.policy.bridged_keys,
        config.policy.karbor_keys
    )
}

/// A second reading gives the same.
#[track_caller]
fn check(text: &str) {
    let first = load(text, &[]);
    let again = load(&config::effective(&first), &[]);
    assert_eq!(described(&first), described(&again), "{text}");
}

#[test]
fn it_loads_back_to_the_same() {
    check("");
    check(
        "[server]\nlisten = '[::]:1'\nworkers = 3\nmax_head = 2048\nhead_timeout = '1500ms'\ntrusted_peers = ['::1', '10.0.0.0/8']",
    );
    check(
        "[policy.karbor_keys]\nkarbor-b = {}\n'karbor-a: #' = { values = ['\"', '\\', \"\\u0001\\t\", 'ä', ''] }",
    );
    check(
        "[groups.g]\n[groups.\"a.b\"]\ntenants = ['t.u', 'v']\nlimits.entries = 0\n[tenants.\"t.u\"]\n[tenants.v.limits]\n[tenants.w.limits]\nentries = 'unlimited'\n[tenants.w.rules]\nread-only = 'off'",
    );
    check(
        "[policy]\nenforcement = 'observe'\nenforced_from = 2027-01-31\napplications = []\n[policy.rules]\nread-only = 'enforce'",
    );
    check(
        "[ledger]\nurl = 'mysql://u@db/l'\ntls = 'require'\npassword_file = '/p'\n[quotas]\ncreations = '1 / 7d'\n[groups.g.quotas.applications]\n'*' = { checkpoints = 1 }\n\"a.b\" = { stored_bytes = '1 GiB' }",
    );
    let ids: Vec<String> = (0..500).map(|number| format!("'tenant-{number}'")).collect();
    check(&format!("[groups.g]\ntenants = [{}]", ids.join(", ")));
}

#[test]
fn it_says_where_each_value_came_from() {
    let text = "[limits]\nentries = 5\nkey_bytes = 6\n\n[groups.g]\ntenants = ['t']\n[tenants.u]";
    let effective = config::effective(&load(text, &[("KARBOR_ADMISSION_LIMITS__KEY_BYTES", "7")]));
    let revision = &load(text, &[("KARBOR_ADMISSION_LIMITS__KEY_BYTES", "7")]).config.policy.revision;
    assert_eq!(effective.lines().next(), Some(&*format!("# policy revision {revision}")));
    for line in [
        "entries = 5  # k.toml:2",
        "key_bytes = 7  # environment KARBOR_ADMISSION_LIMITS__KEY_BYTES",
        "value_bytes = 1024  # default",
        "tenants = [\"t\"]  # k.toml:6",
        "[tenants.u]  # k.toml:7",
        "listen = \"0.0.0.0:8799\"  # default",
    ] {
        assert!(effective.lines().any(|own| own == line), "{line}\n{effective}");
    }
}

#[test]
fn it_warns_of_what_is_hardly_meant() {
    let warnings = |text: &str| {
        let warnings = load(text, &[]).config.warnings;
        warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(warnings(""), [""; 0]);
    assert_eq!(
        warnings("limits.value_bytes = '1 MiB'"),
        ["k.toml:1: `limits.value_bytes` is \"1 MiB\": never binds, as `limits.total_bytes` is smaller"]
    );
    assert_eq!(
        warnings("[tenants.t.limits]\ntotal_bytes = 8\nkey_bytes = 9"),
        [
            "k.toml:3: `tenants.t.limits.key_bytes` is 9: never binds, as `tenants.t.limits.total_bytes` is smaller"
        ]
    );
    assert_eq!(
        warnings("audit.file = ''\ntenants.t.enforcement = 'observe'"),
        ["k.toml:1: `audit.file` is \"\": what is observed is counted, but no audit line tells of it"]
    );
    assert_eq!(
        warnings("policy.enforced_from = '2027-01-31'"),
        [
            "k.toml:1: `policy.enforced_from` is \"2027-01-31\": no rule is at \"warn\", so nobody is told the date"
        ]
    );
}
