//! Settings: read without failing, and what is effective loads to the same.

use std::sync::LazyLock;

use karbor_admission::config::{Config, File, effective, parse};
use karbor_admission::policy::Policy;

/// What is shipped.
pub(crate) static SHIPPED: LazyLock<Config> = LazyLock::new(|| load(""));

/// Up to the first NUL a file, then variables, each `NAME=VALUE`, parted by NUL. A second file follows a
/// first variable that has no `=`.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = text.split('\0');
    let mut files = vec![file("a.toml", parts.next().unwrap_or_default())];
    let mut variables = Vec::new();
    for part in parts {
        match part.split_once('=') {
            Some((name, value)) => variables.push((format!("KARBOR_ADMISSION_{name}"), value.to_owned())),
            None if files.len() < 3 => files.push(file("b.toml", part)),
            None => {}
        }
    }
    let loaded = match parse(&files, variables) {
        Ok(loaded) => loaded,
        Err(errors) => {
            assert!(!errors.0.is_empty(), "refused for a reason");
            assert!(!errors.to_string().is_empty());
            return;
        }
    };
    for warning in &loaded.config.warnings {
        assert!(!warning.to_string().is_empty());
    }
    let written = effective(&loaded);
    let again = match parse(&[file("effective.toml", &written)], []) {
        Ok(again) => again,
        Err(errors) => panic!("what is effective does not load: {errors}\n{written}"),
    };
    assert_eq!(again.config.policy.revision, loaded.config.policy.revision, "{written}");
    assert_eq!(parts_of(&again.config), parts_of(&loaded.config), "{written}");
}

fn file(name: &str, text: &str) -> File {
    File { name: name.to_owned(), text: text.to_owned() }
}

/// Everything but the policy, which has maps in no order and is held to its revision.
fn parts_of(config: &Config) -> String {
    let Config { server, upstream, proxy, admin, audit, log, metrics, ledger, .. } = config;
    format!("{server:?} {upstream:?} {proxy:?} {admin:?} {audit:?} {log:?} {metrics:?} {ledger:?}")
}

/// The policy of a file.
pub(crate) fn policy(text: &str) -> Policy {
    Policy::new(load(text).policy)
}

fn load(text: &str) -> Config {
    parse(&[file("fuzz.toml", text)], []).expect("it loads").config
}
