//! The documentation against the code: every rule and every refusal stands in `docs/rules.md`.
#![cfg(test)]

use karbor_admission::policy::Rule;
use karbor_admission::wire::Refusal;

fn documented(heading: &str) -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rules.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let codes = section.lines().filter_map(|line| line.strip_prefix("| `"));
    codes.filter_map(|line| Some(line.split_once('`')?.0.to_owned())).collect()
}

#[test]
fn has_every_rule_in_order() {
    assert_eq!(documented("Rules"), Rule::ALL.map(Rule::code));
}

#[test]
fn has_every_refusal_in_order() {
    let codes: Vec<&str> = Refusal::ALL.iter().map(|refusal| refusal.code()).collect();
    assert_eq!(documented("Refusals"), codes);
}
