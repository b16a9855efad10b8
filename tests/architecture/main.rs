//! The architecture as far as it can be read from source: who may import whom, what the core must not touch,
//! and where alone some things may stand. `ARCHITECTURE.md` has the reasons.
//!
//! `imports` is the table; `rules` the rest; `source` reads Rust well enough for both. Each check is also
//! tried on a snippet that breaks it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "that is how a test fails")]

mod imports;
mod rules;
mod source;

use source::Source;

/// What is wrong with a file: line and words.
type Check = fn(&Source) -> Vec<(usize, String)>;

/// No file breaks the rule.
#[track_caller]
fn check_tree(check: Check) {
    let sources = source::sources();
    assert!(sources.len() > 50, "the tree was not read");
    let wrong = sources.iter().flat_map(|source| {
        check(source).into_iter().map(|(line, words)| format!("{}:{line}: {words}", source.name))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The rule sees the snippet's fault, and only there.
#[track_caller]
fn check_snippet(check: Check, name: &str, text: &str, expected_lines: &[usize]) {
    let found = check(&Source::new(name, text));
    let lines: Vec<usize> = found.iter().map(|wrong| wrong.0).collect();
    assert_eq!(lines, expected_lines, "{name}: {text}\n{found:?}");
}
