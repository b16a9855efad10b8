//! The shipped files load, the complete one equals the defaults, and the documentation has every setting.

#![cfg(test)]

use std::path::{Path, PathBuf};

use karbor_admission::config::{self, Loaded};
use karbor_admission::policy::Rule;

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[track_caller]
fn load(path: &str) -> Loaded {
    config::load_with_origins(Some(&at(path)), []).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The effective configuration without where it came from.
fn values(loaded: &Loaded) -> Vec<String> {
    let text = config::effective(loaded);
    text.lines().map(|line| line.split("  # ").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn shipped_file_equals_the_defaults() {
    // Both go by the memory of this machine.
    let defaults = config::load_with_origins(None, []).unwrap();
    let shipped = load("config/karbor-admission.toml");
    assert_eq!(values(&shipped), values(&defaults));
    assert_eq!(format!("{:?}", shipped.config), format!("{:?}", defaults.config));
}

#[test]
fn shipped_file_names_every_setting() {
    let effective = config::effective(&load("config/karbor-admission.toml"));
    let missing: Vec<&str> = effective.lines().filter(|line| line.contains("  # default")).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn examples_load_without_a_warning() {
    let mut examples: Vec<_> =
        std::fs::read_dir(at("config/examples")).unwrap().map(|entry| entry.unwrap().path()).collect();
    examples.sort();
    assert!(!examples.is_empty());
    for example in examples {
        let config = config::load(Some(&example), []).unwrap_or_else(|errors| panic!("{errors}"));
        assert!(config.warnings.is_empty(), "{}: {:?}", example.display(), config.warnings);
    }
}

/// The examples that the complete file shows as comments are right too.
#[test]
fn commented_examples_load() {
    let text = std::fs::read_to_string(at("config/karbor-admission.toml")).unwrap();
    let start = text.find("# [groups.").unwrap();
    let text: String =
        text[start..].lines().map(|line| format!("{}\n", line.trim_start_matches(['#', ' ']))).collect();
    let file = config::File { name: "commented".into(), text };
    let config = config::parse(&[file], []).unwrap_or_else(|errors| panic!("{errors}")).config;
    assert_eq!(config.policy.tenants.len(), 2);
}

#[test]
fn documentation_has_every_setting_and_no_other() {
    let text = std::fs::read_to_string(at("docs/configuration.md")).unwrap();
    let (_, documented) = text.split_once("## Every setting\n").unwrap();
    let documented: Vec<&str> = documented.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(documented, config::reference().lines().collect::<Vec<_>>());
}

#[test]
fn documentation_has_every_rule() {
    let text = std::fs::read_to_string(at("docs/configuration.md")).unwrap();
    for rule in Rule::ALL {
        assert!(text.contains(&format!("`{rule}`")), "{rule}");
    }
}
