//! Replays seeds and kept inputs on stable Rust: the checks without a fuzzer.

use std::path::PathBuf;
use std::process::Command;

use karbor_admission_fuzz as fuzz;

#[track_caller]
fn replay(target: &str, check: fn(&[u8])) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(target);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/seeds");
    let status = Command::new(script).arg(target).arg(&folder).status().expect("python3 runs");
    assert!(status.success());
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("the seeds") {
        let path = entry.expect("a seed").path();
        let bytes = std::fs::read(&path).expect("a seed");
        let ended = std::panic::catch_unwind(|| check(&bytes));
        assert!(ended.is_ok(), "{target}: {}", bytes.escape_ascii());
        count += 1;
    }
    assert!(count > 10, "{target} has seeds");
}

#[test]
fn targets() {
    replay("target", fuzz::target::check);
}

#[test]
fn heads() {
    replay("head", fuzz::head::check);
}

#[test]
fn create_bodies() {
    replay("create_body", fuzz::create_body::check);
}

#[test]
fn update_bodies() {
    replay("update_body", fuzz::update_body::check);
}

#[test]
fn answers() {
    replay("answer", fuzz::answer::check);
}

#[test]
fn karbor_answers() {
    replay("karbor_answer", fuzz::karbor_answer::check);
}

#[test]
fn filters() {
    replay("filter", fuzz::filter::check);
}

#[test]
fn headers() {
    replay("headers", fuzz::headers::check);
}

#[test]
fn configs() {
    replay("config", fuzz::config::check);
}
