//! Which layer wins: defaults, file, drop-ins, environment; and how variables are read.

#![cfg(test)]

use std::fs;
use std::path::PathBuf;

use karbor_admission::config::{self, Config, ConfigErrors, File};
use karbor_admission::policy::{Bound, Enforcement, Rule};

type Variables<'a> = &'a [(&'a str, &'a str)];

fn variables(variables: Variables<'_>) -> Vec<(String, String)> {
    let named = |(name, value): &(&str, &str)| (format!("{}{name}", config::PREFIX), (*value).to_owned());
    variables.iter().map(named).collect()
}

fn load(texts: &[&str], environment: Variables<'_>) -> Result<Config, String> {
    let named =
        |(index, text): (usize, &&str)| File { name: format!("{index}.toml"), text: (*text).to_owned() };
    let files: Vec<File> = texts.iter().enumerate().map(named).collect();
    config::parse(&files, variables(environment))
        .map(|loaded| loaded.config)
        .map_err(|errors| errors.to_string())
}

/// What `environment` over `file` is said to be wrong with.
#[track_caller]
fn check_wrong(file: &str, environment: Variables<'_>, expected: &str) {
    assert_eq!(load(&[file], environment).err().as_deref(), Some(expected));
}

#[test]
fn the_later_layer_wins_setting_by_setting() {
    let entries = |texts: &[&str], environment: Variables<'_>| {
        load(texts, environment).unwrap().policy.default.limits.entries
    };
    let (one, two) = ("limits.entries = 1\nserver.listen = '10.0.0.1:1'", "limits.entries = 2");
    assert_eq!(entries(&[], &[]), Bound::AtMost(64));
    assert_eq!(entries(&[one], &[]), Bound::AtMost(1));
    assert_eq!(entries(&[one, two], &[]), Bound::AtMost(2));
    assert_eq!(entries(&[two, one], &[]), Bound::AtMost(1));
    assert_eq!(entries(&[one, two], &[("LIMITS__ENTRIES", "3")]), Bound::AtMost(3));
    let config = load(&[one, two], &[("LIMITS__ENTRIES", "3")]).unwrap();
    assert_eq!(config.server.listen[0].to_string(), "10.0.0.1:1");
    assert_eq!(config.server.max_fields, 94);
}

#[test]
fn lists_are_replaced_and_tables_merged() {
    let one = "policy.bridged_keys = ['a', 'b']\n[tenants.t.limits]\nentries = 1\nkey_bytes = 2\n[tenants.u]";
    let two = "policy.bridged_keys = ['c']\n[tenants.t.limits]\nentries = 9\n[tenants.v]";
    let policy = load(&[one, two], &[]).unwrap().policy;
    assert_eq!(policy.bridged_keys, [Box::from("c")]);
    assert_eq!(policy.tenants.len(), 3);
    let limits = policy.tenants["t"].limits;
    assert_eq!((limits.entries, limits.key_bytes), (Bound::AtMost(9), Bound::AtMost(2)));
}

#[test]
fn naming_recognised_keys_replaces_the_shipped_ones_only() {
    let keys = |texts: &[&str], environment: Variables<'_>| {
        let keys = load(texts, environment).unwrap().policy.karbor_keys;
        keys.into_iter().map(|(key, _)| key.into_string()).collect::<Vec<_>>()
    };
    let (one, two) = ("policy.karbor_keys.karbor-a = {}", "policy.karbor_keys.karbor-b = {}");
    assert_eq!(keys(&[], &[]).len(), 3);
    assert_eq!(keys(&[one], &[]), ["karbor-a"]);
    assert_eq!(keys(&[one, two], &[]), ["karbor-a", "karbor-b"]);
    assert_eq!(keys(&[], &[("POLICY__KARBOR_KEYS__KARBOR_TRIGGER_ID", "{}")]), ["karbor-trigger-id"]);
    assert_eq!(keys(&[one], &[("POLICY__KARBOR_KEYS__KARBOR_A__VALUES", "[x]")]), ["karbor-a"]);
}

#[test]
fn variables_are_read_like_toml() {
    let file = "[groups.backup-vendors]\n[tenants.9A3c]\n[tenants.u]";
    let environment: Variables<'_> = &[
        ("SERVER__LISTEN", "10.0.0.1:8799"),
        ("SERVER__MAX_CONNECTIONS", "5"),
        ("SERVER__HEAD_TIMEOUT", "\"5s\""),
        ("SERVER__MAX_HEAD", "32 KiB"),
        ("SERVER__TRUSTED_PEERS", "[10.0.0.0/8, ::1]"),
        ("AUDIT__FILE", ""),
        ("UPSTREAM__ENDPOINTS", "[\"http://a:1\", \"http://b:2\"]"),
        ("POLICY__SHORT_FORM", "false"),
        ("POLICY__ENFORCED_FROM", "2027-01-31"),
        ("POLICY__BRIDGED_KEYS", "[]"),
        ("POLICY__RULES__VALUE_TOO_LONG", "warn"),
        ("GROUPS__BACKUP_VENDORS__ENFORCEMENT", "observe"),
        ("TENANTS__9A3C__GROUP", "backup-vendors"),
        ("TENANTS__NEW1__LIMITS__ENTRIES", "unlimited"),
        ("tenants__u__limits", "{ entries = 7, value_bytes = \"1 KiB\" }"),
        ("COMMIT", "abc"),
        ("SERVICE_HOST", "10.0.0.1"),
        ("SERVICE_PORT_HTTP", "1"),
        ("PORT", "tcp://10.0.0.1:1"),
        ("PORT_8799_TCP_ADDR", "10.0.0.1"),
    ];
    let config = load(&[file], environment).unwrap();
    assert_eq!(config.server.listen[0].to_string(), "10.0.0.1:8799");
    assert_eq!(config.server.max_connections, 5);
    assert_eq!(config.server.head_timeout.as_secs(), 5);
    assert_eq!(config.server.max_head_bytes, 32 << 10);
    assert_eq!(config.proxy.trusted_peers.len(), 2);
    assert_eq!(config.audit.sink, karbor_admission::telemetry::audit::AuditSink::None);
    assert_eq!(config.upstream.endpoints.len(), 2);
    assert!(!config.proxy.short_form);
    assert_eq!(config.proxy.enforced_from.as_deref(), Some("2027-01-31"));
    assert!(config.policy.bridged_keys.is_empty());
    assert_eq!(config.policy.default.stances.of(Rule::ValueTooLong), Enforcement::Warn);
    assert_eq!(config.policy.tenants["9A3c"].stances.of(Rule::ReadOnly), Enforcement::Observe);
    assert_eq!(config.policy.tenants["new1"].limits.entries, Bound::Unlimited);
    assert_eq!(config.policy.tenants["u"].limits.entries, Bound::AtMost(7));
    assert_eq!(config.policy.tenants.len(), 3);
}

#[test]
fn a_variable_may_hold_one_address_or_several() {
    for (text, expected) in [
        ("10.0.0.1:1", &["10.0.0.1:1"][..]),
        ("[::]:1", &["[::]:1"]),
        ("[\"[::]:1\", \"0.0.0.0:1\"]", &["[::]:1", "0.0.0.0:1"]),
    ] {
        let listen = load(&[], &[("SERVER__LISTEN", text)]).unwrap().server.listen;
        assert_eq!(listen.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{text}");
    }
}

#[test]
fn a_text_that_looks_like_a_number_stays_a_text() {
    let config = load(&["[groups.7]"], &[("TENANTS__007__GROUP", "7"), ("AUDIT__FILE", "1.50")]).unwrap();
    assert_eq!(config.audit.sink, karbor_admission::telemetry::audit::AuditSink::File("1.50".into()));
    assert!(config.policy.tenants.contains_key("007"));
}

#[test]
fn wrong_variables() {
    check_wrong(
        "",
        &[("SERVER__LISTEN", "8799")],
        "environment KARBOR_ADMISSION_SERVER__LISTEN: `server.listen` is \"8799\": expected an address with a port, or a list of them\n  hint: \"0.0.0.0:8799\"",
    );
    check_wrong(
        "",
        &[("SERVER_LISTEN", "x")],
        "environment KARBOR_ADMISSION_SERVER_LISTEN: `server_listen`: no such setting\n  hint: two underscores between levels: KARBOR_ADMISSION_SERVER__LISTEN",
    );
    // Another program's, or one level too few.
    let sections = "one of server, admin, reload, log, audit, metrics, traces, upstream, ledger, policy, limits, quotas, groups, tenants";
    for (name, known) in [("BIN", sections), ("SERVER_LISTN", sections), ("LOGS", "did you mean `log`?")] {
        let lowered = name.to_ascii_lowercase();
        check_wrong(
            "",
            &[(name, "/usr/bin/x")],
            &format!(
                "environment KARBOR_ADMISSION_{name}: `{lowered}`: no such setting\n  hint: settings have two underscores between levels, as in KARBOR_ADMISSION_SERVER__LISTEN; {known}"
            ),
        );
    }
    check_wrong(
        "",
        &[("SERVER__LISTN", "x")],
        "environment KARBOR_ADMISSION_SERVER__LISTN: `server.listn`: no such setting\n  hint: did you mean `server.listen`?",
    );
    check_wrong(
        "",
        &[("SERVER__HEAD_TIMEOUT", "5")],
        "environment KARBOR_ADMISSION_SERVER__HEAD_TIMEOUT: `server.head_timeout` is 5: expected a duration from \"1ms\" to \"1h\"\n  hint: with a unit: \"5s\", \"5ms\"",
    );
    check_wrong(
        "",
        &[("SERVER", "5")],
        "environment KARBOR_ADMISSION_SERVER: `server` is 5: expected a table\n  hint: `[server]`",
    );
    check_wrong(
        "",
        &[("POLICY__RULES__READONLY", "off")],
        "environment KARBOR_ADMISSION_POLICY__RULES__READONLY: `policy.rules.readonly`: expected the code of a rule\n  hint: did you mean `read-only`?",
    );
    check_wrong(
        "",
        &[("LIMITS", "{ entries = many }")],
        "environment KARBOR_ADMISSION_LIMITS: `limits.entries` is \"many\": expected a whole number or \"unlimited\"\n  hint: 0 means none",
    );
    check_wrong(
        "",
        &[("AUDIT__FILE", "a\u{fffd}")],
        "environment KARBOR_ADMISSION_AUDIT__FILE: `audit.file`: not UTF-8",
    );
    check_wrong(
        "",
        &[("", "5")],
        "environment KARBOR_ADMISSION_: `\"\"`: no such setting\n  hint: settings have two underscores between levels, as in KARBOR_ADMISSION_SERVER__LISTEN; one of server, admin, reload, log, audit, metrics, traces, upstream, ledger, policy, limits, quotas, groups, tenants",
    );
}

#[test]
fn unclear_names_are_refused() {
    check_wrong(
        "",
        &[("TENANTS__A_B__ENFORCEMENT", "off")],
        "environment KARBOR_ADMISSION_TENANTS__A_B__ENFORCEMENT: `tenants.a_b`: no file has this name, and `_` may stand for `-`\n  hint: name it in a file, or set the whole of `tenants` as { … }",
    );
    check_wrong(
        "[tenants.a-b]\n[tenants.a_b]",
        &[("TENANTS__A_B__ENFORCEMENT", "off")],
        "environment KARBOR_ADMISSION_TENANTS__A_B__ENFORCEMENT: `tenants.A_B`: may be more than one name\n  hint: one of a-b, a_b",
    );
    check_wrong(
        "",
        &[("log__level", "info"), ("LOG__LEVEL", "warn")],
        "environment KARBOR_ADMISSION_log__level: `log.level`: also set by environment KARBOR_ADMISSION_LOG__LEVEL",
    );
    let exact = load(&["[tenants.a-b]\n[tenants.a_b]"], &[("TENANTS__a_b__LIMITS__ENTRIES", "1")]).unwrap();
    assert_eq!(exact.policy.tenants["a_b"].limits.entries, Bound::AtMost(1));
    assert_eq!(exact.policy.tenants["a-b"].limits.entries, Bound::AtMost(64));
}

#[test]
fn variables_of_others_are_left_alone() {
    let others =
        [("KARBOR_ADMISSIONS__X".to_owned(), "1".to_owned()), ("PATH".to_owned(), "/bin".to_owned())];
    assert!(config::parse(&[], others).is_ok());
    assert!(config::variables().iter().all(|(name, _)| name.starts_with(config::PREFIX)));
}

/// A folder of its own for one test, gone at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("k.toml.d")).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
        fs::write(self.0.join(name), text).unwrap();
        self
    }

    fn load(&self) -> Result<Config, ConfigErrors> {
        config::load(Some(&self.0.join("k.toml")), [])
    }

    /// What is wrong, with paths within this folder.
    fn problems(&self) -> String {
        let folder = format!("{}/", self.0.display());
        self.load().err().map(|errors| errors.to_string().replace(&folder, "")).unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn drop_ins_count_in_order_of_name() {
    let folder = Folder::new("drop-ins");
    folder.write("k.toml", "limits.entries = 1\nlimits.key_bytes = 1\nlimits.value_bytes = 1");
    folder.write("k.toml.d/20-b.toml", "limits.entries = 20\nlimits.key_bytes = 20");
    folder.write("k.toml.d/10-a.toml", "limits.entries = 10\nlimits.key_bytes = 10\nlimits.total_bytes = 10");
    folder
        .write("k.toml.d/30-c.toml.bak", "limits.entries = 30")
        .write("k.toml.d/.40.toml", "limits.entries = 40");
    let limits = folder.load().unwrap().policy.default.limits;
    let bounds = [limits.entries, limits.key_bytes, limits.value_bytes, limits.total_bytes];
    assert_eq!(bounds, [20, 20, 1, 10].map(Bound::AtMost));
}

#[test]
fn every_file_is_looked_at() {
    let folder = Folder::new("every-file");
    folder.write("k.toml", "limits.entries = 'many'\ntenants.t.group = 'g'");
    folder
        .write("k.toml.d/1.toml", "[limits\n")
        .write("k.toml.d/2.toml", "\n[sever]")
        .write("k.toml.d/3.toml", b"# a\n\xff");
    let problems = folder.problems();
    let places: Vec<&str> = problems
        .lines()
        .filter(|line| !line.starts_with(' '))
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    // Not the unknown group: the file that could not be read may have it.
    assert_eq!(
        places,
        ["k.toml.d/3.toml:2", "k.toml:1", "k.toml.d/1.toml:1:8", "k.toml.d/2.toml:2"],
        "{problems}"
    );
}

#[test]
fn a_missing_file_is_a_problem_and_a_missing_folder_none() {
    let folder = Folder::new("missing");
    assert_eq!(
        folder.problems(),
        "k.toml: cannot be read: No such file or directory (os error 2)\n  hint: a relative path begins at the working folder; without a file, the defaults hold"
    );
    folder.write("k.toml", "");
    fs::remove_dir(folder.0.join("k.toml.d")).unwrap();
    assert!(folder.load().is_ok());
    folder.write("k.toml.d", "");
    assert!(folder.problems().starts_with("k.toml.d: cannot be read: "), "{}", folder.problems());
    assert!(folder.problems().ends_with("hint: a folder of this name would hold drop-ins for k.toml"));
    fs::remove_file(folder.0.join("k.toml.d")).unwrap();
    fs::remove_file(folder.0.join("k.toml")).unwrap();
    fs::create_dir(folder.0.join("k.toml")).unwrap();
    assert!(folder.problems().contains("\n  hint: name a file;"), "{}", folder.problems());
}

#[test]
fn variables_that_figment_misreads_are_refused() {
    for text in ["\"a\u{e9}\\n\"", "{karbor-a={values=[\"\u{e9}ab\\\"c\"]}}"] {
        let problem = load(&[], &[("AUDIT__FILE", text)]).unwrap_err();
        assert!(problem.contains("cannot hold both a backslash"), "{problem}");
    }
    assert!(load(&[], &[("AUDIT__FILE", "\u{e9}.jsonl")]).is_ok());
}
