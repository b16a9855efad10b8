//! What is wrong with a configuration: the very text, for one wrong thing at a time and for many at once.

#![cfg(test)]

use karbor_admission::config::{self, File};

fn problems(text: &str) -> String {
    let file = File { name: "k.toml".into(), text: text.into() };
    config::parse(&[file], []).err().map(|errors| errors.to_string()).unwrap_or_default()
}

/// One problem, whose text after the name of the file is `expected`.
#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(problems(text), format!("k.toml:{expected}"), "{text}");
}

/// No problem.
#[track_caller]
fn check_right(text: &str) {
    assert_eq!(problems(text), "", "{text}");
}

#[test]
fn unknown_keys_get_the_nearest() {
    check("server.lisen = 1", "1: `server.lisen`: no such setting\n  hint: did you mean `server.listen`?");
    check("[sever]\nlisten = 1", "1: `sever`: no such setting\n  hint: did you mean `server`?");
    check(
        "[server]\nkeep-alive-timeout = 1",
        "2: `server.keep-alive-timeout`: no such setting\n  hint: did you mean `server.keep_alive_timeout`?",
    );
    check(
        "upstream.body_timeout = 1",
        "1: `upstream.body_timeout`: no such setting\n  hint: did you mean `server.body_timeout`?",
    );
    check("[rules]\nread-only = 'off'", "1: `rules`: no such setting\n  hint: did you mean `policy.rules`?");
    check(
        "[tenants.t]\nentries = 1",
        "2: `tenants.t.entries`: no such setting\n  hint: did you mean `tenants.t.limits.entries`?",
    );
    check(
        "[tenants.\"a.b\"]\nentries = 1",
        "2: `tenants.\"a.b\".entries`: no such setting\n  hint: did you mean `tenants.\"a.b\".limits.entries`?",
    );
    check("log.colour = true", "1: `log.colour`: no such setting\n  hint: one of level, format");
    check("\n\n[[server]]", "3: `server` is [{}]: expected a table\n  hint: `[server]`");
    check("server = 5", "1: `server` is 5: expected a table\n  hint: `[server]`");
}

#[test]
fn unknown_rules_and_names() {
    check(
        "policy.rules.readonly = 'off'",
        "1: `policy.rules.readonly`: expected the code of a rule\n  hint: did you mean `read-only`?",
    );
    check(
        "policy.rules.zzzzzz = 'off'",
        "1: `policy.rules.zzzzzz`: expected the code of a rule\n  hint: docs/configuration.md lists them",
    );
    check(
        "tenants.t.rules.value_too_long = 'off'",
        "1: `tenants.t.rules.value_too_long`: expected the code of a rule\n  hint: did you mean `value-too-long`?",
    );
    let pattern = "expected one name, not a pattern\n  hint: for every tenant: `[policy]` and `[limits]`; for some: `[groups.NAME]`";
    check("[tenants.'*']", &format!("1: `tenants.\"*\"`: {pattern}"));
    check("[groups.'a*']", &format!("1: `groups.\"a*\"`: {pattern}"));
    check("[groups.g]\ntenants = [\n'a',\n'*']", &format!("4: `groups.g.tenants` has \"*\": {pattern}"));
    check("[tenants.'']", "1: `tenants.\"\"`: expected a name that is not empty");
    let plain = "expected a name of printable ASCII without spaces and / \\ ? # % *";
    check("[tenants.'a/b']", &format!("1: `tenants.\"a/b\"`: {plain}"));
    check("[tenants.\"a\\u0007\"]", &format!("1: `tenants.\"a\\u0007\"`: {plain}"));
    check("[tenants.'a b']", &format!("1: `tenants.\"a b\"`: {plain}"));
}

#[test]
fn a_missing_level_is_hinted_at() {
    check(
        "[limits.t]\nentries = 1",
        "1: `limits.t`: no such setting\n  hint: for one tenant: `[tenants.t.limits]`",
    );
    check(
        "[policy.rules.t]\nread-only = 'off'",
        "1: `policy.rules.t`: expected the code of a rule\n  hint: for one tenant: `[tenants.t.rules]`",
    );
    check(
        "[limits.entries]\nt = 1",
        "1: `limits.entries` is a table: expected a whole number or \"unlimited\"\n  hint: 0 means none",
    );
    check("[quota]\nentries = 1", "1: `quota`: no such setting\n  hint: did you mean `quotas`?");
    check(
        "[quotas.t]\ncheckpoints = 1",
        "1: `quotas.t`: no such setting\n  hint: for one tenant: `[tenants.t.quotas]`",
    );
    for text in ["[budget]\nentries = 1", "[budget]"] {
        let sections = "one of server, admin, reload, log, audit, metrics, traces, upstream, ledger, policy, limits, quotas, groups, tenants";
        check(text, &format!("1: `budget`: no such setting\n  hint: {sections}"));
    }
    check(
        "[9a3cfd1e.limits]\nentries = 1",
        "1: `9a3cfd1e`: no such setting\n  hint: for one tenant: `[tenants.9a3cfd1e]`; for a group: `[groups.9a3cfd1e]`",
    );
}

#[test]
fn numbers() {
    let expected = "expected a whole number from 1 to 1000000";
    for wrong in ["0", "1000001", "-1", "inf", "true", "[1]", "99999999999999"] {
        check(
            &format!("audit.queue_lines = {wrong}"),
            &format!("1: `audit.queue_lines` is {wrong}: {expected}"),
        );
    }
    for (wrong, hint) in
        [("1.5", "without a fraction"), ("1000.0", "write it without point and exponent: 1000")]
    {
        check(
            &format!("audit.queue_lines = {wrong}"),
            &format!("1: `audit.queue_lines` is {wrong}: {expected}\n  hint: {hint}"),
        );
    }
    check(
        "audit.queue_lines = '5'",
        &format!("1: `audit.queue_lines` is \"5\": {expected}\n  hint: write it without quotes"),
    );
    check("policy.max_depth = 1", "1: `policy.max_depth` is 1: expected a whole number from 2 to 64");
    check("policy.max_depth = 65", "1: `policy.max_depth` is 65: expected a whole number from 2 to 64");
    check(
        "policy.violations_reported = 0",
        "1: `policy.violations_reported` is 0: expected a whole number from 1 to 100",
    );
    check(
        "policy.violations_reported = 101",
        "1: `policy.violations_reported` is 101: expected a whole number from 1 to 100",
    );
    check(
        "policy.short_form = 'true'",
        "1: `policy.short_form` is \"true\": expected true or false\n  hint: write it without quotes",
    );
    check("policy.short_form = 1", "1: `policy.short_form` is 1: expected true or false");
    check_right(
        "server.max_connections = 1\npolicy.max_depth = 2\nmetrics.further_tenants = 0\nserver.workers = 256",
    );
    check_right(
        "server.max_connections = 1_000_000\npolicy.max_depth = 64\npolicy.violations_reported = 100",
    );
}

#[test]
fn auto_or_a_value() {
    let or_auto = "expected \"auto\" or a whole number from 1 to 1000000";
    check(
        "server.max_connections = '5'",
        &format!("1: `server.max_connections` is \"5\": {or_auto}\n  hint: write it without quotes"),
    );
    check(
        "server.max_connections = 0",
        &format!(
            "1: `server.max_connections` is 0: {or_auto}\n  hint: \"auto\" is what the memory there is has room for"
        ),
    );
    check(
        "server.max_requests = 'many'",
        &format!(
            "1: `server.max_requests` is \"many\": {or_auto}\n  hint: \"auto\" is one for each body of the largest size, 256 at most"
        ),
    );
    check(
        "server.body_budget = '1 KiB'",
        "1: `server.body_budget` is \"1 KiB\": expected \"auto\" or a size from \"1 MiB\" to \"1024 GiB\"\n  hint: \"auto\" is what the memory there is has room for",
    );
    check(
        "server.workers = 0",
        "1: `server.workers` is 0: expected \"auto\" or a whole number from 1 to 256\n  hint: \"auto\" is one per core",
    );
    check(
        "server.workers = 'all'",
        "1: `server.workers` is \"all\": expected \"auto\" or a whole number from 1 to 256\n  hint: \"auto\" is one per core",
    );
}

#[test]
fn durations() {
    let key = "server.head_timeout";
    let expected = "expected a duration from \"1ms\" to \"1h\"";
    let check = |written: &str, hint: &str| {
        let hint = if hint.is_empty() { String::new() } else { format!("\n  hint: {hint}") };
        check(&format!("{key} = {written}"), &format!("1: `{key}` is {written}: {expected}{hint}"));
    };
    check("30", "with a unit: \"30s\", \"30ms\"");
    check("1.5", "a whole number with a unit: \"1500ms\"");
    check("-3", "a whole number with a unit: \"1500ms\"");
    check("\"30\"", "with a unit: \"30s\", \"30ms\"");
    check("\"30 sec\"", "units are ms, s, m, h, d");
    check("\"soon\"", "a whole number with a unit: \"30s\", \"250ms\", \"5m\", \"1h\"");
    check("\"99999999999999999999s\"", "a whole number with a unit: \"30s\", \"250ms\", \"5m\", \"1h\"");
    check("\"9999999999999999999h\"", "units are ms, s, m, h, d");
    for wrong in ["\"0s\"", "\"61m\"", "\"2h\"", "\"1d\"", "true"] {
        check(wrong, "");
    }
    for right in ["1ms", "250ms", "30s", "5m", "1h", "60m", "30 s"] {
        check_right(&format!("{key} = '{right}'"));
    }
}

#[test]
fn sizes_and_limits() {
    let head = "1: `server.max_head` is";
    check(
        "server.max_head = '64 kB'",
        &format!(
            "{head} \"64 kB\": expected a size from \"1 KiB\" to \"1 MiB\"\n  hint: units are B, KiB (1024 B), MiB (1024 KiB), GiB"
        ),
    );
    check(
        "server.max_head = '65536'",
        &format!(
            "{head} \"65536\": expected a size from \"1 KiB\" to \"1 MiB\"\n  hint: bytes without quotes, or with a unit: \"1024 B\""
        ),
    );
    check("server.max_head = 1023", &format!("{head} 1023: expected a size from \"1 KiB\" to \"1 MiB\""));
    check(
        "server.max_head = '2 MiB'",
        &format!("{head} \"2 MiB\": expected a size from \"1 KiB\" to \"1 MiB\""),
    );
    check(
        "limits.entries = 'many'",
        "1: `limits.entries` is \"many\": expected a whole number or \"unlimited\"\n  hint: 0 means none",
    );
    check(
        "limits.entries = -1",
        "1: `limits.entries` is -1: expected a whole number or \"unlimited\"\n  hint: \"unlimited\" is the word for no bound, 0 for none",
    );
    check(
        "limits.entries = 1.5",
        "1: `limits.entries` is 1.5: expected a whole number or \"unlimited\"\n  hint: without a fraction",
    );
    check(
        "limits.value_bytes = 1e3",
        "1: `limits.value_bytes` is 1000.0: expected a size or \"unlimited\"\n  hint: write it without point and exponent: 1000",
    );
    check(
        "limits.body_bytes = -1",
        "1: `limits.body_bytes` is -1: expected a size from \"0 B\" to \"1 MiB\"\n  hint: a whole number of bytes",
    );
    check(
        "limits.entries = 100001",
        "1: `limits.entries` is 100001: expected at most 100000, or \"unlimited\"",
    );
    check(
        "limits.value_bytes = '2 MiB'",
        "1: `limits.value_bytes` is \"2 MiB\": expected at most \"1 MiB\", or \"unlimited\"",
    );
    check(
        "limits.body_bytes = 'unlimited'",
        "1: `limits.body_bytes` is \"unlimited\": expected a size from \"0 B\" to \"1 MiB\"\n  hint: this one is always bounded",
    );
    check(
        "limits.body_bytes = 1048577",
        "1: `limits.body_bytes` is 1048577: expected a size from \"0 B\" to \"1 MiB\"",
    );
    check_right(
        "[limits]\nentries = 'unlimited'\nkey_bytes = 0\nvalue_bytes = '1 KiB'\ntotal_bytes = '1 MiB'\nbody_bytes = 1048576",
    );
    check_right("[limits]\nentries = 0\nbody_bytes = '1024 B'\nvalue_bytes = '4KiB'");
}

#[test]
fn words_and_dates() {
    let stances = "expected \"off\", \"observe\", \"warn\" or \"enforce\"";
    check(
        "policy.enforcement = 'enforced'",
        &format!("1: `policy.enforcement` is \"enforced\": {stances}\n  hint: did you mean \"enforce\"?"),
    );
    let meaning = "\"enforce\" denies; \"warn\" and \"observe\" forward; \"off\" does not look";
    for wrong in ["audit", "deny", ""] {
        check(
            &format!("policy.enforcement = '{wrong}'"),
            &format!("1: `policy.enforcement` is \"{wrong}\": {stances}\n  hint: {meaning}"),
        );
    }
    check(
        "policy.enforcement = false",
        &format!("1: `policy.enforcement` is false: {stances}\n  hint: write it in quotes"),
    );
    check(
        "log.level = 'warning'",
        "1: `log.level` is \"warning\": expected \"error\", \"warn\", \"info\", \"debug\" or \"trace\"\n  hint: did you mean \"warn\"?",
    );
    check(
        "log.level = 'verbose'",
        "1: `log.level` is \"verbose\": expected \"error\", \"warn\", \"info\", \"debug\" or \"trace\"\n  hint: \"error\" writes least, \"trace\" most",
    );
    check(
        "upstream.extra_info_field = 'extra'",
        "1: `upstream.extra_info_field` is \"extra\": expected \"extra-info\" or \"extra_info\"",
    );
    let date = "expected \"\", or a date such as \"2027-01-31\"";
    for wrong in ["31.01.2027", "2027-1-31", "2027-01", "20270131", "2027-01-3x", "-027-01-01", "soon"] {
        check(
            &format!("policy.enforced_from = '{wrong}'"),
            &format!("1: `policy.enforced_from` is \"{wrong}\": {date}"),
        );
    }
    for (wrong, hint) in [
        ("2027-02-29", "2027-02 has the days 01 to 28"),
        ("2100-02-29", "2100-02 has the days 01 to 28"),
        ("2028-02-30", "2028-02 has the days 01 to 29"),
        ("2027-04-31", "2027-04 has the days 01 to 30"),
        ("2027-13-01", "months are 01 to 12"),
        ("2027-00-10", "months are 01 to 12"),
        ("2027-01-00", "2027-01 has the days 01 to 31"),
    ] {
        check(
            &format!("policy.enforced_from = '{wrong}'"),
            &format!(
                "1: `policy.enforced_from` is \"{wrong}\": expected a day that the calendar has\n  hint: {hint}"
            ),
        );
    }
    for right in ["'2028-02-29'", "'2000-02-29'", "2027-12-31", "''"] {
        check_right(&format!("policy.enforced_from = {right}"));
    }
}

#[test]
fn wrong_syntax_has_a_column() {
    let shape = "a line is `KEY = VALUE` or `[TABLE]`; texts stand in quotes, lists in brackets";
    let once = "in one file each table and each of its keys stands once; a drop-in may set it again";
    for (text, place, hint) in [
        ("[server]\nlisten = \n", "2:10", shape),
        ("[limits]\nentries = 1\nentries = 2", "3:1", once),
        ("[limits]\n[limits]", "2:1", once),
        ("[server", "1:8", shape),
        ("# ä\n'ä' = 1 2", "2:9", shape),
    ] {
        let problems = problems(text);
        assert!(problems.starts_with(&format!("k.toml:{place}: not TOML: ")), "{problems}");
        let (_, rest) = problems.split_once('\n').unwrap();
        assert_eq!(rest, format!("  hint: {hint}"), "{problems}");
    }
}

#[test]
fn every_problem_is_found_with_its_line() {
    let text = "\
[server]
listen = '8799'
head_timeout = 30

[limits]
entries = 'many'
key_byte = 1

[tenants.a]
group = 'g1'
[tenants.b]
group = 'vendor'
[groups.g1]
[groups.vendors]
tenants = [
  'a',
  'c',
]
";
    let expected = [
        "k.toml:2: `server.listen` is \"8799\": expected an address with a port, or a list of them\n  hint: \"0.0.0.0:8799\"",
        "k.toml:3: `server.head_timeout` is 30: expected a duration from \"1ms\" to \"1h\"\n  hint: with a unit: \"30s\", \"30ms\"",
        "k.toml:6: `limits.entries` is \"many\": expected a whole number or \"unlimited\"\n  hint: 0 means none",
        "k.toml:7: `limits.key_byte`: no such setting\n  hint: did you mean `limits.key_bytes`?",
        "k.toml:10: `tenants.a.group` is \"g1\": expected one group for a tenant, but it is in `vendors` too (k.toml:16)\n  hint: leave it in one; what differs can stand in `[tenants.a]`",
        "k.toml:12: `tenants.b.group` is \"vendor\": no such group\n  hint: did you mean \"vendors\"?",
    ];
    assert_eq!(problems(text), expected.join("\n"));
}

#[test]
fn a_wrong_value_is_found_under_a_right_one() {
    let files = [("a.toml", "limits.entries = 'many'"), ("b.toml", "limits.entries = 5")];
    let files = files.map(|(name, text)| File { name: name.into(), text: text.into() });
    let errors = config::parse(&files, []).unwrap_err();
    assert_eq!(errors.0.len(), 1);
    assert!(errors.to_string().starts_with("a.toml:1: `limits.entries`"), "{errors}");
}

#[test]
fn a_long_value_is_cut() {
    let text = problems(&format!("server.listen = '{}'", "ä".repeat(500)));
    assert!(text.contains("ää…:"), "{text}");
    assert!(text.chars().count() < 250, "{text}");
}
