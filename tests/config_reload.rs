//! What a reload would change, in words, and what it may not.

#![cfg(test)]

use std::fs;
use std::path::Path;

use karbor_admission::config::{self, File, Loaded, MemoryLimit};
use karbor_admission::policy::Bound;

fn parse(text: &str) -> Loaded {
    let file = File { name: "k.toml".into(), text: text.into() };
    config::parse(&[file], []).unwrap_or_else(|errors| panic!("{errors}"))
}

#[track_caller]
fn check(before: &str, after: &str, expected: &[&str]) {
    assert_eq!(parse(before).difference(&parse(after)), expected, "{before} → {after}");
}

#[test]
fn the_same_says_nothing() {
    check("", "", &[]);
    check("", "limits.entries = 64", &[]);
    check("server.trusted_peers = []", "", &[]);
    check("tenants.a.limits.entries = 1", "[tenants]\na = { limits = { entries = 1 } }", &[]);
}

#[test]
fn another_limit_on_memory_is_told() {
    let limited = |bytes| {
        let mut loaded = parse("");
        loaded.config.memory.limit = Some(MemoryLimit { bytes, source: "memory.max of /k".into() });
        loaded
    };
    let (before, after) = (limited(1 << 30), limited(2 << 30));
    assert!(before.difference(&before).is_empty());
    let [words] = &*before.difference(&after) else { panic!("no words") };
    assert!(words.contains("of 1024 MiB (memory.max of /k) → "), "{words}");
}

#[test]
fn limits_and_quotas_are_counted_by_tenant() {
    check("", "limits.entries = 63", &["limits of all tenants not named lowered"]);
    check(
        "",
        "limits = { entries = 63, key_bytes = 256 }",
        &["limits of all tenants not named lowered", "limits of all tenants not named raised"],
    );
    let two = |entries| format!("[tenants]\na.limits.entries = {entries}\nb.limits.entries = {entries}");
    check(&two(5), &two(4), &["limits of 2 tenants lowered"]);
    check(&two(5), &two(6), &["limits of 2 tenants raised"]);
    check(
        "tenants.a = {}",
        "tenants.a = {}\nlimits.body_bytes = \"1 KiB\"",
        &["limits of 1 tenant and of all not named lowered"],
    );
    check(
        "limits.value_bytes = 10",
        "limits.value_bytes = \"unlimited\"",
        &["limits of all tenants not named raised"],
    );
    check("", "tenants.a.quotas.checkpoints = 1", &["1 tenant named anew", "quotas of 1 tenant lowered"]);
    check(
        "tenants.a.quotas.applications.b.checkpoints = 1",
        "tenants.a = {}",
        &["quotas of 1 tenant raised"],
    );
    let rate = |rate: &str| format!("tenants.a.quotas.creations = \"{rate}\"");
    check(&rate("10 / 1m"), &rate("9 / 1m"), &["quotas of 1 tenant lowered"]);
    check(&rate("10 / 1m"), &rate("10 / 1s"), &["quotas of 1 tenant raised"]);
    check(&rate("10 / 1m"), &rate("unlimited"), &["quotas of 1 tenant raised"]);
}

#[test]
fn tenants_that_come_and_go_are_held_against_the_rest() {
    check("", "tenants.a.limits.entries = 64", &["1 tenant named anew"]);
    check(
        "tenants.a.limits.entries = 70",
        "tenants.b = {}\ntenants.c = {}",
        &["2 tenants named anew", "1 tenant named no more", "limits of 1 tenant lowered"],
    );
}

#[test]
fn applications_and_stances_have_words_of_their_own() {
    let applications = |list: &str| format!("tenants.a.applications = [{list}]");
    check(&applications(r#""*""#), &applications(r#""acme", "b*""#), &["applications of 1 tenant narrowed"]);
    check(&applications(r#""b*""#), &applications(r#""b*", "be""#), &[]);
    check(&applications(r#""be""#), &applications(r#""b*""#), &["applications of 1 tenant widened"]);
    check(
        "policy.enforcement = \"observe\"",
        "policy.enforcement = \"enforce\"",
        &["stances of all tenants not named made stricter"],
    );
    check("", "policy.rules.read-only = \"off\"", &["stances of all tenants not named made milder"]);
}

#[test]
fn lists_say_what_came_and_went_and_settings_their_values() {
    check(
        r#"upstream.endpoints = ["http://a:1", "http://b:2"]"#,
        r#"upstream.endpoints = ["http://c:3", "http://b:2"]"#,
        &[r#"upstream.endpoints: "http://c:3" added; "http://a:1" removed"#],
    );
    check(
        r#"upstream.endpoints = ["http://a:1", "http://b:2"]"#,
        r#"upstream.endpoints = ["http://b:2", "http://a:1"]"#,
        &["upstream.endpoints: in another order"],
    );
    check("", "log.level = \"debug\"", &[r#"log.level: "info" → "debug""#]);
    check(
        "",
        "policy.karbor_keys.karbor-x = {}",
        &[
            "recognised keys: karbor-x added; karbor-created-by, karbor-scheduled-operation-id, karbor-trigger-id removed",
        ],
    );
}

#[test]
fn passwords_stay_unsaid() {
    let with =
        |password: &str| format!("ledger.url = \"mysql://u@localhost/d\"\nledger.password = \"{password}\"");
    check(&with("hunter2"), &with("hunter3"), &["ledger.password: *** → ***"]);
    let problems = parse(&with("hunter2")).refuses(&parse(&with("hunter3")));
    assert_eq!(problems.len(), 1);
    assert!(!problems[0].to_string().contains("hunter"), "{}", problems[0]);
}

#[track_caller]
fn check_refused(after: &str, expected: &[&str]) {
    let problems = parse("").refuses(&parse(after));
    assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{after}");
}

#[test]
fn what_only_a_start_takes_is_refused_by_name() {
    check_refused("limits.entries = 1\nserver.head_timeout = \"1s\"\nlog.level = \"debug\"", &[]);
    check_refused("server.workers = 3", &["k.toml:1: `server.workers` is 3: a change needs a restart"]);
    check_refused(
        "limits.entries = 1\nadmin.listen = \"127.0.0.1:1\"\naudit.file = \"\"",
        &[
            "k.toml:2: `admin.listen` is \"127.0.0.1:1\": a change needs a restart",
            "k.toml:3: `audit.file` is \"\": a change needs a restart",
        ],
    );
    check_refused("ledger.url = \"off\"", &["k.toml:1: `ledger.url` is \"off\": a change needs a restart"]);
}

#[test]
fn the_tenants_with_less_room_for_a_map_are_named() {
    let before = parse("[tenants]\na.limits.entries = 5\nb = {}\nc.limits.key_bytes = 9");
    let after = parse(
        "limits.total_bytes = 100\n[tenants]\na.limits = { entries = 4, total_bytes = 20000 }\nc.limits = { key_bytes = 8, total_bytes = 20000 }\nd = {}",
    );
    let lowered = before.lowered(&after);
    let names: Vec<_> = lowered.iter().map(|(name, limits)| (name.as_str(), limits.total_bytes)).collect();
    assert_eq!(names, [("a", Bound::AtMost(20000)), ("b", Bound::AtMost(100)), ("d", Bound::AtMost(100))]);
}

#[test]
fn the_files_are_those_it_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let (path, drop_ins) = (folder.path().join("k.toml"), folder.path().join("k.toml.d"));
    fs::write(&path, "limits.entries = 1").unwrap();
    let load = || config::load_with_origins(Some(&path), []).unwrap();
    assert_eq!(load().files(), [&*path, &*drop_ins]);
    fs::create_dir(&drop_ins).unwrap();
    fs::write(drop_ins.join("a.toml"), "limits.entries = 2").unwrap();
    fs::write(drop_ins.join(".b.toml"), "nonsense = 1").unwrap();
    let loaded = load();
    assert_eq!(loaded.files(), [&*path, &*drop_ins, &*drop_ins.join("a.toml")]);
    fs::write(drop_ins.join("a.toml"), "limits.entries = 3").unwrap();
    let again = loaded.again().unwrap();
    assert_eq!(loaded.difference(&again), ["limits of all tenants not named raised"]);
    assert_eq!(parse("").files(), [] as [&Path; 0]);
}

#[test]
fn a_file_under_the_same_name_may_have_another_content() {
    let folder = tempfile::tempdir().unwrap();
    let (config, authority) = (folder.path().join("k.toml"), folder.path().join("ca.pem"));
    let certificate = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap().cert.pem();
    fs::write(&authority, certificate("one")).unwrap();
    let endpoints = "[upstream]\nendpoints = [\"https://127.0.0.1:1\"]";
    fs::write(&config, format!("{endpoints}\nca_file = {authority:?}")).unwrap();
    let before = config::load_with_origins(Some(&config), []).unwrap();
    assert_eq!(before.difference(&before.again().unwrap()), [""; 0]);
    fs::write(&authority, certificate("two")).unwrap();
    let words = before.difference(&before.again().unwrap());
    assert_eq!(words, [format!("upstream.ca_file: another content in {}", authority.display())]);
}
