//! The section `[ledger]`: where it is, how to log in, what never shows, and what cannot be meant.

#![cfg(test)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use karbor_admission::config::{self, Config, File, Loaded};
use karbor_admission::ledger::{Engine, LedgerOptions, MysqlOptions, MysqlTls, Password, PasswordSource};
use karbor_admission::proxy::{LedgerUse, WhenDown};

const PASSWORD: &str = "KARBOR_ADMISSION_LEDGER__PASSWORD";

fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Loaded, String> {
    let file = File { name: "k.toml".into(), text: text.into() };
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    config::parse(&[file], environment).map_err(|errors| errors.to_string())
}

#[track_caller]
fn load(text: &str) -> Config {
    parse(text, &[]).unwrap().config
}

/// One problem, whose text after the name of the file is `expected`.
#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(parse(text, &[]).err().as_deref(), Some(&*format!("k.toml:{expected}")), "{text}");
}

#[track_caller]
fn check_url(url: &str, expected: &str) {
    check(&format!("ledger.url = '{url}'"), &format!("1: `ledger.url` is \"{url}\": expected {expected}"));
}

#[track_caller]
fn mysql(text: &str) -> MysqlOptions {
    match load(text).ledger.map(|ledger| ledger.engine) {
        Some(Engine::Mysql(options)) => options,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn as_shipped_it_is_a_file() {
    let config = load("");
    let ledger = LedgerOptions {
        engine: Engine::Sqlite("/var/lib/karbor-admission/ledger.sqlite".into()),
        timeout: Duration::from_secs(2),
        lease: Duration::from_secs(15 * 60),
        keep_deleted: Duration::from_secs(30 * 86_400),
        queue: 1024,
        connections: 4,
        migrate: true,
    };
    assert_eq!(config.ledger, Some(ledger));
    let usage = LedgerUse {
        when_down: WhenDown::Closed,
        max_answer: 8 << 20,
        filter_pages: 20,
        filter_timeout: Duration::from_secs(10),
        proof: Duration::from_secs(60),
    };
    assert_eq!(config.proxy.ledger, usage);
}

#[test]
fn every_setting_is_heard() {
    let config = load(
        "[ledger]\nurl = 'sqlite:/l'\ntimeout = '1s'\nlease = '1h'\nkeep_deleted = '8d'\nqueue = 7\nconnections = 9\n\
         migrate = false\nwhen_down = 'open'\nmax_answer = '1 MiB'\nfilter_pages = 3\nfilter_timeout = '4s'\nproof = '5s'",
    );
    let ledger = LedgerOptions {
        engine: Engine::Sqlite("/l".into()),
        timeout: Duration::from_secs(1),
        lease: Duration::from_secs(3600),
        keep_deleted: Duration::from_secs(8 * 86_400),
        queue: 7,
        connections: 9,
        migrate: false,
    };
    assert_eq!(config.ledger, Some(ledger));
    let usage = LedgerUse {
        when_down: WhenDown::Open,
        max_answer: 1 << 20,
        filter_pages: 3,
        filter_timeout: Duration::from_secs(4),
        proof: Duration::from_secs(5),
    };
    assert_eq!(config.proxy.ledger, usage);
    assert_eq!(load("ledger.url = 'off'").ledger, None);
}

#[test]
fn files() {
    for path in ["/a", "/var/lib/a b/ledger.sqlite"] {
        let ledger = load(&format!("ledger.url = 'sqlite:{path}'")).ledger;
        assert_eq!(ledger.map(|ledger| ledger.engine), Some(Engine::Sqlite(path.into())));
    }
    check_url("sqlite:/a/", "a file, not a folder");
    check_url("sqlite:", "a path that begins with a slash");
    check_url("sqlite:a", "a path that begins with a slash");
    check_url("sqlite:/a?mode=ro", "a plain path, without parameters");
    check_url("sqlite:///a", "a path without slashes in front of it\n  hint: \"sqlite:/a\"");
    check_url(
        "sqlite::memory:",
        "a file: a ledger in memory forgets\n  hint: \"off\" for none; for a try, a file in a temporary folder",
    );
    let forms = "\"off\", \"sqlite:PATH\" or \"mysql://USER@HOST[:PORT]/DATABASE\"";
    for wrong in ["", "on", "OFF", "postgres://b/c"] {
        check_url(wrong, forms);
    }
    check_url("/a/b", &format!("{forms}\n  hint: \"sqlite:/a/b\""));
}

#[test]
fn servers() {
    for (url, user, host, port, database) in [
        ("mysql://u@db/l", "u", "db", 3306, "l"),
        ("mysql://k-a.b_c@192.0.2.7:3307/karbor_admission", "k-a.b_c", "192.0.2.7", 3307, "karbor_admission"),
        ("mysql://u@[2001:db8::1]:1/l", "u", "2001:db8::1", 1, "l"),
    ] {
        let options = mysql(&format!("ledger.url = '{url}'"));
        assert_eq!(
            (&*options.user, &*options.host, options.port, &*options.database),
            (user, host, port, database)
        );
        assert_eq!(options.password, PasswordSource::None);
    }
    let shown = |url: &str, expected: &str| {
        let host = url.rsplit_once('@').unwrap().1;
        let text = format!("1: `ledger.url` is \"mysql://…@{host}\": expected {expected}");
        check(&format!("ledger.url = '{url}'"), &text);
    };
    shown("mysql://@db/l", "a user: letters, digits and - _ .");
    shown("mysql://u@db", "a database after the host: letters, digits and - _ .");
    shown("mysql://u@db/a b", "a database after the host: letters, digits and - _ .");
    shown("mysql://u@db/a`b", "a database after the host: letters, digits and - _ .");
    shown("mysql://u@db/l?ssl=1", "no parameters\n  hint: `ledger.tls` is for TLS");
    shown("mysql://u@db:0/l", "a port from 1 to 65535");
    shown("mysql://u@/l", "a host name or an address");
    shown("mysql://u@2001:db8::1/l", "an IPv6 address in brackets");
    check_url(
        "mysql://db/l",
        "a user before the host\n  hint: \"mysql://USER@HOST/DATABASE\"; the password has a setting of its own",
    );
    check(
        "ledger.url = 'mariadb://u@db/l'",
        "1: `ledger.url` is \"mariadb://…@db/l\": expected \"off\", \"sqlite:PATH\" or \
         \"mysql://USER@HOST[:PORT]/DATABASE\"\n  hint: \"mysql://u@db/l\" is for MariaDB too",
    );
}

#[test]
fn a_password_in_the_address_is_refused_and_not_shown() {
    check(
        "ledger.url = 'mysql://u:hunter2@db/l'",
        "1: `ledger.url` is \"mysql://…@db/l\": expected no password in the address\n  \
         hint: `ledger.password_file`, or the variable KARBOR_ADMISSION_LEDGER__PASSWORD",
    );
    for wrong in [
        "mysql://u:hun@ter2@db/l",
        "mysql://u:hun/ter2@db/l",
        "mysql://u:hun?ter2@db",
        "mariadb://u:hunter2@db/l",
    ] {
        let text = parse(&format!("ledger.url = '{wrong}'"), &[]).unwrap_err();
        assert!(text.contains("expected no password"), "{text}");
        assert!(!text.contains("hun") && !text.contains("ter2"), "{text}");
    }
}

#[test]
fn tls_follows_the_host_unless_it_is_said() {
    for (host, written, expected) in [
        ("db", "auto", MysqlTls::Verify),
        ("192.0.2.1", "auto", MysqlTls::Verify),
        ("localhost.example", "auto", MysqlTls::Verify),
        ("localhost", "auto", MysqlTls::Off),
        ("127.8.9.1", "auto", MysqlTls::Off),
        ("[::1]", "auto", MysqlTls::Off),
        ("localhost", "verify", MysqlTls::Verify),
        ("localhost", "require", MysqlTls::Require),
        ("db", "off", MysqlTls::Off),
    ] {
        let options = mysql(&format!("ledger.url = 'mysql://u@{host}/l'\nledger.tls = '{written}'"));
        assert_eq!(options.tls, expected, "{host} {written}");
    }
    let options = mysql("ledger.url = 'mysql://u@db/l'\nledger.ca_file = '/ca.pem'");
    assert_eq!(options.ca_file, Some("/ca.pem".into()));
}

#[test]
fn passwords_come_from_where_they_are_said_to_be() {
    let url = "ledger.url = 'mysql://u@db/l'\n";
    let given = |text: &str| PasswordSource::Given(Password::new(text));
    assert_eq!(mysql(&format!("{url}ledger.password = 'p'")).password, given("p"));
    let file = PasswordSource::File("/etc/p".into());
    assert_eq!(mysql(&format!("{url}ledger.password_file = '/etc/p'")).password, file);
    check(
        &format!("{url}ledger.password_file = '/etc/p'\nledger.password = 'hunter2'"),
        "2: `ledger.password_file` is \"/etc/p\": expected one password, but `ledger.password` is set too",
    );
    check(&format!("{url}ledger.password = ''"), "2: `ledger.password`: expected a text, not empty");
    check(
        &format!("{url}ledger.password = 12345"),
        "2: `ledger.password`: expected a text, not empty\n  hint: write it in quotes",
    );
    check(
        &format!("{url}ledger.password_file = ''"),
        "2: `ledger.password_file` is \"\": expected a path that is not empty",
    );
    // Letter by letter, whatever it looks like.
    for text in ["hunter2", "12345", "true", " a b ", "'q'", "\"q\"", "[1]", "{a = 1}", "é\\n", "#"] {
        let loaded = parse(url, &[(PASSWORD, text)]).unwrap();
        let Some(Engine::Mysql(options)) = loaded.config.ledger.map(|ledger| ledger.engine) else {
            panic!("{text}")
        };
        assert_eq!(options.password, given(text), "{text:?}");
    }
}

#[test]
fn a_password_never_shows() {
    let text = "ledger.url = 'mysql://u@db/l'\nledger.password = 'hunter2'";
    for loaded in
        [parse(text, &[]).unwrap(), parse("ledger.url = 'mysql://u@db/l'", &[(PASSWORD, "hunter2")]).unwrap()]
    {
        let effective = config::effective(&loaded);
        let shown = format!("{loaded:?} {loaded:#?} {effective}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(effective.contains("\npassword = \"***\"  # "), "{effective}");
    }
    let wrong = parse("[ledger]\npassword = 'hunter2'\npassword_file = '/p'\nqueue = 0", &[]).unwrap_err();
    assert!(!wrong.contains("hunter2"), "{wrong}");
    for warning in load("ledger.password = 'hunter2'").warnings {
        assert!(!warning.to_string().contains("hunter2"), "{warning}");
    }
}

#[test]
fn warns_of_a_password_that_everybody_may_read() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("secret-{}.toml", std::process::id()));
    fs::write(&path, "ledger.url = 'mysql://u@db/l'\nledger.password = 'hunter2'").unwrap();
    let name = path.display();
    let expected = format!(
        "{name}:2: `ledger.password`: stands in a file that everybody may read\n  \
         hint: `chmod o-r {name}`, or `ledger.password_file`, or the environment"
    );
    for (mode, expected) in [(0o644, vec![expected]), (0o640, vec![])] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let warnings = config::load(Some(&path), []).unwrap().warnings;
        assert_eq!(warnings.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{mode:o}");
    }
    fs::remove_file(&path).unwrap();
}

#[test]
fn a_lease_outlives_what_is_under_way() {
    let wrong = "expected more than `upstream.queue_timeout`, `upstream.first_byte_timeout` and \
                 `upstream.idle_timeout` together: what is still under way would be given up";
    let timeouts = "upstream = { first_byte_timeout = '75s', idle_timeout = '60s', queue_timeout = '10s' }\n";
    check(&format!("{timeouts}ledger.lease = '145s'"), &format!("2: `ledger.lease` is \"145s\": {wrong}"));
    load(&format!("{timeouts}ledger.lease = '146s'"));
    load(&format!("{timeouts}ledger.lease = '1s'\nledger.url = 'off'"));
}

#[test]
fn what_a_rate_counts_is_kept() {
    for (rate, key) in [
        ("quotas.creations = '1 / 7d'", "quotas.creations"),
        ("tenants.t.quotas.creations = '1 / 7d'", "tenants.t.quotas.creations"),
        (
            "groups.g.quotas.applications.acme.creations = '1 / 7d'",
            "groups.g.quotas.applications.acme.creations",
        ),
        ("quotas.applications.'*'.creations = '1 / 7d'", "quotas.applications.\"*\".creations"),
    ] {
        check(
            &format!("{rate}\nledger.keep_deleted = '6d'"),
            &format!(
                "2: `ledger.keep_deleted` is \"6d\": expected at least the window of `{key}`: \
                 what is forgotten is not counted"
            ),
        );
        load(&format!("{rate}\nledger.keep_deleted = '7d'"));
        load(&format!("{rate}\nledger.keep_deleted = '6d'\nledger.url = 'off'"));
    }
}

#[test]
fn it_warns_of_what_is_hardly_meant() {
    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let warnings: Vec<_> = load(text).warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings, expected, "{text}");
    }
    let off = "`ledger.url` is \"off\": there are quotas, but without a ledger nothing is counted, and none has an effect";
    check("ledger.url = 'off'", &[]);
    check("quotas.checkpoints = 5", &[]);
    check("ledger.url = 'off'\nquotas.checkpoints = 5", &[&format!("k.toml:1: {off}")]);
    check("ledger.url = 'off'\ntenants.t.quotas.creations = '0 / 1h'", &[&format!("k.toml:1: {off}")]);
    check("ledger.url = 'off'\nquotas.applications.a.checkpoints = 5", &[&format!("k.toml:1: {off}")]);
    let idle = "has no effect, as `ledger.url` is no mysql:// address";
    check("ledger.password = 'hunter2'", &[&format!("k.toml:1: `ledger.password`: {idle}")]);
    check("ledger.ca_file = '/ca'", &[&format!("k.toml:1: `ledger.ca_file` is \"/ca\": {idle}")]);
    let url = "ledger.url = 'mysql://u@db/l'";
    check(
        &format!("{url}\nledger.tls = 'off'"),
        &["k.toml:2: `ledger.tls` is \"off\": maps cross the network for everybody to read"],
    );
    check(
        &format!("{url}\nledger.tls = 'require'\nledger.ca_file = '/ca'"),
        &[
            "k.toml:3: `ledger.ca_file` is \"/ca\": has no effect, as no certificate is verified (`ledger.tls`)",
        ],
    );
    check(&format!("{url}\nledger.ca_file = '/ca'"), &[]);
}
