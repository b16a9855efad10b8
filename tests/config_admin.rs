//! The section `[admin]`: where it may be, and what must guard it there.

#![cfg(test)]

use std::fs;
use std::path::Path;

use karbor_admission::admin::TokenSource;
use karbor_admission::config::{self, Config, File};

const TLS: &str = "tls = { certificate_file = '/c', key_file = '/k' }\n";
const TOKEN: &str = "token_file = '/t'\n";
const SECRET: &str = "0123456789abcdef";

fn load(text: &str) -> Result<Config, String> {
    let file = File { name: "k.toml".into(), text: format!("[admin]\n{text}") };
    config::parse(&[file], []).map(|loaded| loaded.config).map_err(|errors| errors.to_string())
}

/// One problem, whose text is `expected`.
#[track_caller]
fn denies(text: &str, expected: &str) {
    assert_eq!(load(text).err().as_deref(), Some(expected), "{text}");
}

#[test]
fn as_shipped_it_is_on_loopback_and_open() {
    let admin = load("").unwrap().admin;
    assert_eq!(admin.listen.to_string(), "127.0.0.1:9799");
    assert_eq!((admin.token, admin.tls, admin.unix_mode), (TokenSource::None, None, 0o660));
}

#[test]
fn admits_this_machine_without_a_guard() {
    for listen in
        ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "127.0.0.1:0", "unix:/run/a"]
    {
        for guard in ["", TOKEN, TLS] {
            let text = format!("listen = '{listen}'\n{guard}");
            assert_eq!(load(&text).unwrap().admin.listen.to_string(), listen);
        }
    }
}

#[test]
fn denies_others_without_a_token_and_tls() {
    let hint = "\n  hint: or a loopback address such as \"127.0.0.1:9799\", or a unix socket";
    for listen in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[fe80::1]:1", "[::ffff:10.0.0.1]:1", "0.0.0.0:0"] {
        let both = "`admin.token_file`, `admin.tls.certificate_file` and `admin.tls.key_file`";
        for (guard, lacks) in [
            ("", both),
            (TOKEN, "`admin.tls.certificate_file` and `admin.tls.key_file`"),
            (TLS, "`admin.token_file`"),
        ] {
            denies(
                &format!("listen = '{listen}'\n{guard}"),
                &format!(
                    "k.toml:2: `admin.listen` is \"{listen}\": expected {lacks} too, as others than this machine get there{hint}"
                ),
            );
        }
        let guarded = load(&format!("listen = '{listen}'\n{TOKEN}{TLS}")).unwrap().admin;
        assert_eq!(guarded.token, TokenSource::File("/t".into()));
        let tls = guarded.tls.unwrap();
        assert_eq!((tls.certificates, tls.keys), (vec!["/c".into()], vec!["/k".into()]));
        assert!(!tls.http2);
        assert!(load(&format!("listen = '{listen}'\ntoken = '{SECRET}'\n{TLS}")).is_ok());
    }
}

#[test]
fn denies_half_of_a_guard() {
    denies(
        "tls.certificate_file = '/c'",
        "k.toml:2: `admin.tls.certificate_file` is \"/c\": expected `admin.tls.key_file` too",
    );
    denies(
        "tls.key_file = '/k'",
        "k.toml:2: `admin.tls.key_file` is \"/k\": expected `admin.tls.certificate_file` too",
    );
    denies(
        "token = '0123456789abcdef'\ntoken_file = '/t'",
        "k.toml:3: `admin.token_file` is \"/t\": expected one token, but `admin.token` is set too",
    );
}

#[test]
fn shows_no_token_that_is_unfit() {
    for unfit in ["secret", "0123456789 abcdef", "0123456789abcdeé"] {
        denies(
            &format!("token = '{unfit}'"),
            "k.toml:2: `admin.token`: expected one line of 16 to 1024 visible ASCII characters, such as `openssl rand -hex 32` writes",
        );
    }
    assert!(!load("token = ''").unwrap_err().contains("''"));
    let loaded = load(&format!("token = '{SECRET}'")).unwrap();
    assert!(!format!("{loaded:?}").contains(SECRET), "{loaded:?}");
}

#[test]
fn warns_of_tls_that_has_no_effect() {
    let warnings = load(&format!("listen = 'unix:/run/a'\n{TLS}")).unwrap().warnings;
    let words: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        words,
        [
            "k.toml:3: `admin.tls.certificate_file` is \"/c\": has no effect, as `admin.listen` is a unix socket"
        ]
    );
}

#[track_caller]
fn denies_files(folder: &Path, settings: &str, expected: &[&str]) {
    let path = folder.join("k.toml");
    fs::write(&path, settings.replace("DIR", folder.to_str().unwrap())).unwrap();
    let problem = config::load(Some(&path), []).map(drop).unwrap_err().to_string();
    for words in expected {
        assert!(problem.contains(words), "no {words:?} in {problem}");
    }
    assert!(!problem.contains("short-secret"), "{problem}");
}

#[test]
fn denies_files_that_guard_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in
        [("short", "short-secret\n"), ("empty", ""), ("lines", "0123456789abcdef\n0123456789abcdef\n")]
    {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let folder = folder.path();
    denies_files(
        folder,
        "admin.token_file = 'DIR/none'",
        &["k.toml:1: `admin.token_file` is", "cannot read", "No such file", "hint: the file must exist"],
    );
    for name in ["short", "empty", "lines"] {
        denies_files(
            folder,
            &format!("admin.token_file = 'DIR/{name}'"),
            &["holds no token that can be used", "hint: one line of 16 to 1024"],
        );
    }
    denies_files(
        folder,
        "admin.tls.certificate_file = 'DIR/none'\nadmin.tls.key_file = 'DIR/short'",
        &["k.toml:1: `admin.tls.certificate_file` is", "cannot read"],
    );
    denies_files(
        folder,
        "admin.tls.certificate_file = 'DIR/short'\nadmin.tls.key_file = 'DIR/short'",
        &["k.toml:1: `admin.tls.certificate_file` is", "holds no certificate"],
    );
}
