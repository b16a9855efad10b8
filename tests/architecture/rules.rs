//! What the core must not touch, and where alone some things may stand.

use std::fs;
use std::path::PathBuf;

use crate::source::{Mention, Piece, Source};
use crate::{check_snippet, check_tree};

const CORE: [&str; 3] = ["wire", "karbor", "policy"];

/// Crates without I/O, clock, log or settings.
const PURE_CRATES: [&str; 7] = ["bytes", "http", "httparse", "memchr", "serde", "serde_json", "strsim"];

/// What the manifest names, as it is written in paths.
fn dependencies() -> Vec<String> {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let manifest = fs::read_to_string(manifest).unwrap();
    let section = manifest.split("\n[").find_map(|section| section.strip_prefix("dependencies]")).unwrap();
    let name = |line: &str| line.split_once(" = ").map(|(name, _)| name.trim().replace('-', "_"));
    section.lines().filter(|line| !line.starts_with('#')).filter_map(name).collect()
}

fn wrong_mentions(source: &Source, is_wrong: impl Fn(&[&str]) -> bool, why: &str) -> Vec<(usize, String)> {
    let is_wrong = |mention: &Mention| is_wrong(&mention.path.iter().map(|part| &**part).collect::<Vec<_>>());
    let wrong = source.mentions().into_iter().filter(is_wrong);
    wrong.map(|mention| (mention.line, format!("{}: {why}", mention.path.join("::")))).collect()
}

/// Each place where these pieces stand in a row.
fn places(source: &Source, row: &[Piece]) -> Vec<usize> {
    let windows = source.tokens.windows(row.len());
    let found = windows.filter(|window| window.iter().map(|token| &token.piece).eq(row));
    found.map(|window| window[0].line).collect()
}

fn word(word: &str) -> Piece {
    Piece::Word(word.to_owned())
}

fn impure(source: &Source) -> Vec<(usize, String)> {
    if !CORE.contains(&&*source.part()) {
        return Vec::new();
    }
    let dependencies = dependencies();
    let is_wrong = |path: &[&str]| match path {
        // A length of time; what is impure is the clock.
        ["std" | "core", "time", "Duration", ..] => false,
        // An address as a value; what is impure is the socket.
        ["std" | "core", "net", "IpAddr" | "Ipv4Addr" | "Ipv6Addr", ..] => false,
        ["std" | "core" | "alloc", "fs" | "net" | "env" | "time" | "process" | "thread" | "os", ..] => true,
        ["std" | "core" | "alloc", "*"] => true,
        [head, ..] => dependencies.iter().any(|name| name == head) && !PURE_CRATES.contains(head),
        [] => false,
    };
    let mut wrong = wrong_mentions(source, is_wrong, "the core is pure");
    for name in ["async", "await"] {
        wrong.extend(
            places(source, &[word(name)]).into_iter().map(|line| (line, format!("{name}: the core is pure"))),
        );
    }
    wrong
}

fn deserializing_policy(source: &Source) -> Vec<(usize, String)> {
    if source.part() != "policy" {
        return Vec::new();
    }
    let lines =
        places(source, &[word("Deserialize")]).into_iter().chain(places(source, &[word("DeserializeOwned")]));
    lines.map(|line| (line, "a policy's shape is no file's and no request's".to_owned())).collect()
}

fn spawning(source: &Source) -> Vec<(usize, String)> {
    const SPAWNING: [&str; 5] = ["spawn", "spawn_local", "spawn_blocking", "JoinSet", "LocalSet"];
    // The stand-in is another program, with a runtime of its own.
    let in_demo = source.part() == "demo";
    if source.name == "src/drain.rs" {
        return Vec::new();
    }
    let is_wrong = |path: &[&str]| match path {
        ["tokio", .., last] | ["task", last] => SPAWNING.contains(last) && !(in_demo && *last == "JoinSet"),
        [.., "spawn_local" | "spawn_blocking"] => true,
        _ => false,
    };
    wrong_mentions(source, is_wrong, "spawn through drain, so that shutdown knows the task")
}

fn metric_names(source: &Source) -> Vec<(usize, String)> {
    if source.name.starts_with("src/telemetry/metrics") || source.name == "src/demo/guide.rs" {
        return Vec::new();
    }
    let is_wrong = |piece: &Piece| matches!(piece, Piece::Text(text) if text.contains("karbor_admission_"));
    let wrong = source.tokens.iter().filter(|token| is_wrong(&token.piece));
    wrong.map(|token| (token.line, "metrics are named in telemetry/metrics".to_owned())).collect()
}

fn environment(source: &Source) -> Vec<(usize, String)> {
    const READERS: [&str; 4] = ["from_default_env", "try_from_default_env", "from_env", "try_from_env"];
    if source.part() == "config" {
        return Vec::new();
    }
    let is_wrong = |path: &[&str]| match path {
        ["std", "env", ..] => !matches!(path.get(2), Some(&("args" | "args_os" | "consts"))),
        ["env", name, ..] => name.starts_with("var") || name.ends_with("_var"),
        ["figment", .., "Env"] | ["Env", ..] => true,
        [.., last] => READERS.contains(last),
        [] => false,
    };
    wrong_mentions(source, is_wrong, "the environment is read in config")
}

fn endings(source: &Source) -> Vec<(usize, String)> {
    // The program is `main` and its commands; the rest is a library.
    if ["main", "commands"].contains(&&*source.part()) {
        return Vec::new();
    }
    let call = |name: &str| vec![Piece::Mark("."), word(name), Piece::Mark("(")];
    let path = |module: &str, name: &str| vec![word(module), Piece::Mark("::"), word(name)];
    let mut rows = vec![call("unwrap"), call("expect"), call("unwrap_err"), call("expect_err")];
    rows.extend([path("process", "exit"), path("process", "abort")]);
    for name in
        ["println", "eprintln", "print", "eprint", "dbg", "panic", "unreachable", "todo", "unimplemented"]
    {
        rows.push(vec![word(name), Piece::Mark("!")]);
    }
    let mut wrong: Vec<(usize, String)> = Vec::new();
    for row in rows {
        wrong.extend(
            places(source, &row)
                .into_iter()
                .map(|line| (line, format!("{row:?}: only in main and its commands"))),
        );
    }
    wrong.extend(wrong_mentions(
        source,
        |path| matches!(path, ["std", "process", "exit" | "abort"]),
        "only in main and its commands",
    ));
    wrong.sort();
    wrong.dedup_by_key(|wrong| wrong.0);
    wrong
}

/// Comparing with a status is no choice, nor is reading one. The admin side and the stand-in answer for themselves.
fn statuses(source: &Source) -> Vec<(usize, String)> {
    if ["src/proxy/respond.rs", "src/wire/answer.rs"].contains(&&*source.name)
        || ["admin", "demo"].contains(&&*source.part())
    {
        return Vec::new();
    }
    let compares = |at: Option<usize>| {
        let token = at.and_then(|at| source.tokens.get(at));
        token.is_some_and(|token| token.is_mark("==") || token.is_mark("!="))
    };
    let constant = |piece: &Piece| matches!(piece, Piece::Word(word) if *word == word.to_ascii_uppercase());
    let mut wrong = Vec::new();
    for at in 0..source.tokens.len().saturating_sub(2) {
        let [status, colons, name] = &source.tokens[at..at + 3] else { continue };
        let named = status.is_word("StatusCode") && colons.is_mark("::");
        // `http::StatusCode` is compared from where its path begins.
        let mut start = at;
        while start >= 2 && source.tokens[start - 1].is_mark("::") {
            start -= 2;
        }
        let compared = compares(start.checked_sub(1)) || compares(Some(at + 3));
        if named && constant(&name.piece) && !compared {
            wrong.push((status.line, "statuses are chosen in proxy/respond.rs".to_owned()));
        }
        if named && name.is_word("from_u16") {
            wrong.push((status.line, "statuses are chosen in proxy/respond.rs".to_owned()));
        }
    }
    wrong
}

fn without_a_doc(source: &Source) -> Vec<(usize, String)> {
    if source.text.starts_with("//! ") {
        vec![]
    } else {
        vec![(1, "opens without saying what it owns".to_owned())]
    }
}

fn too_long(source: &Source) -> Vec<(usize, String)> {
    const LINES: usize = 400;
    let lines = source.text.lines().count();
    if lines > LINES { vec![(lines, format!("{lines} lines, over {LINES}"))] } else { vec![] }
}

#[test]
fn the_core_is_pure() {
    check_tree(impure);
    let check = |text, lines: &[usize]| {
        for part in CORE {
            check_snippet(impure, &format!("src/{part}/x.rs"), text, lines);
        }
        check_snippet(impure, "src/server/x.rs", text, &[]);
    };
    check(
        "use std::fmt;\nuse std::{borrow::Cow, collections::HashMap};\nuse http::Uri;\nuse serde_json::Value;",
        &[],
    );
    check("use tokio::time::Instant;", &[1]);
    check("use ::tokio::time;\nuse {::tokio::time, std::fmt};\nfn f() { return ::tokio::f() }", &[1, 2, 3]);
    check("use tokio;", &[1]);
    check("use {std::fmt, hyper::Request};", &[1]);
    check("fn f() { tracing::debug!(\"x\"); }", &[1]);
    check("use hyper_util::rt::TokioIo;\nuse prometheus::Counter;\nuse figment::Figment;", &[1, 2, 3]);
    check("use std::fs;\nuse std::{fmt, net::TcpStream, time::{self, Instant, Duration}};", &[1, 2, 2, 2]);
    check("fn f() { std::env::var(\"x\"); }\nfn g(at: core::time::SystemTime) {}", &[1, 2]);
    check("use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};", &[]);
    check("use std::time::Duration;\nfn f() { std::time::Duration::from_secs(1); }", &[]);
    check("async fn f() {}\nfn g() { x.await }", &[1, 2]);
    check("use std::*;", &[1]);
    check("// tokio::spawn\n/// async\nconst X: &str = \"std::fs::read\";", &[]);
    check("#[cfg(test)]\nmod tests { use std::fs; }", &[]);
}

#[test]
fn no_policy_is_deserialized() {
    check_tree(deserializing_policy);
    let check =
        |text, lines: &[usize]| check_snippet(deserializing_policy, "src/policy/limits.rs", text, lines);
    check("#[derive(Clone, Deserialize)]\nstruct Limits;", &[1]);
    check("#[derive(serde::Deserialize)]\nstruct Limits;", &[1]);
    check("#[derive(Clone, Serialize)]\nstruct Limits;", &[]);
    check_snippet(deserializing_policy, "src/karbor/answer.rs", "#[derive(Deserialize)] struct A;", &[]);
}

#[test]
fn only_drain_spawns() {
    check_tree(spawning);
    let check = |text, lines: &[usize]| check_snippet(spawning, "src/server/mod.rs", text, lines);
    check("fn f() { tokio::spawn(g()); }", &[1]);
    check("fn f() { tokio::task::spawn_local(g()); }", &[1]);
    check("use tokio::task::{self, JoinSet};\nfn f() { task::spawn(g()); }", &[1, 2]);
    check("use tokio::spawn;", &[1]);
    check("fn f() { runtime::spawn_blocking(g); }", &[1]);
    check("fn f() { drain::spawn_cut(g()); std::thread::spawn(g); builder.spawn(g); }", &[]);
    check_snippet(spawning, "src/drain.rs", "fn f() { tokio::task::spawn_local(g()); }", &[]);
    check_snippet(
        spawning,
        "src/demo/mod.rs",
        "use tokio::task::JoinSet;\nfn f() { tokio::spawn(g()); }",
        &[2],
    );
}

#[test]
fn metrics_are_named_in_one_place() {
    check_tree(metric_names);
    let check = |name, lines: &[usize]| {
        let text = "//! karbor_admission_x\nconst NAME: &str = \"karbor_admission_requests_total\";\nuse karbor_admission_x::y;";
        check_snippet(metric_names, name, text, lines);
        check_snippet(
            metric_names,
            name,
            "f(r#\"a \"karbor_admission_x\" b\"#)",
            if lines.is_empty() { &[] } else { &[1] },
        );
    };
    check("src/proxy/create.rs", &[2]);
    check("src/telemetry/exchange.rs", &[2]);
    check("src/telemetry/metrics/family.rs", &[]);
    check("src/telemetry/metrics.rs", &[]);
}

#[test]
fn only_config_reads_the_environment() {
    check_tree(environment);
    let check = |text, lines: &[usize]| check_snippet(environment, "src/app.rs", text, lines);
    check("fn f() { std::env::var(\"X\"); }", &[1]);
    check("use std::env;\nfn f() { env::vars_os(); }", &[1, 2]);
    check("use std::{env::var, fmt};", &[1]);
    check("use figment::providers::{Env, Toml};", &[1]);
    check("fn f() { EnvFilter::from_default_env() }", &[1]);
    check("fn f() { std::env::args(); let x = env!(\"CARGO_PKG_VERSION\"); }", &[]);
    check_snippet(environment, "src/config/environment.rs", "fn f() { std::env::vars_os() }", &[]);
}

#[test]
fn only_main_ends_the_process() {
    check_tree(endings);
    let check = |text, lines: &[usize]| {
        check_snippet(endings, "src/app.rs", text, lines);
        check_snippet(endings, "src/main.rs", text, &[]);
        check_snippet(endings, "src/commands/serve.rs", text, &[]);
    };
    check("fn f() { std::process::exit(1) }", &[1]);
    check("use std::process::{self, exit};", &[1]);
    check("fn f() { process::abort() }", &[1]);
    check("fn f() {\nprintln!(\"x\");\neprintln!(\"x\");\n}", &[2, 3]);
    check("fn f() {\npanic!(\"x\");\nunreachable!();\ntodo!()\n}", &[2, 3, 4]);
    check("fn f() {\nx.unwrap();\nx\n.expect(\"y\");\n}", &[2, 4]);
    check("fn f() { x.unwrap_or(1); x.unwrap_or_default(); x.expected(); std::process::id(); }", &[]);
    check("/// Never panic!()s; `x.unwrap()` would.\nfn f() { g(\"panic!\"); }", &[]);
    check("#[cfg(test)]\nmod tests { fn f() { x.unwrap() } }", &[]);
    check_snippet(endings, "src/proxy/tests/headers.rs", "fn f() { x.unwrap() }", &[]);
}

#[test]
fn statuses_are_chosen_in_one_place() {
    check_tree(statuses);
    let check = |text, lines: &[usize]| check_snippet(statuses, "src/proxy/forward.rs", text, lines);
    check("fn f() { *answer.status_mut() = StatusCode::BAD_GATEWAY; }", &[1]);
    check("fn f() -> StatusCode { http::StatusCode::OK }", &[1]);
    check("fn f() { let x = StatusCode::from_u16(502); }", &[1]);
    check("fn f() { if x.status() == StatusCode::OK || http::StatusCode::OK != y {} }", &[]);
    check("fn f() { if x.status() == http::StatusCode::OK {} }", &[]);
    check("use http::StatusCode;\nfn f(status: StatusCode) {}", &[]);
    check_snippet(statuses, "src/proxy/respond.rs", "fn f() { StatusCode::OK }", &[]);
    check_snippet(statuses, "src/admin/pages.rs", "fn f() { StatusCode::OK }", &[]);
    check_snippet(statuses, "src/server/mod.rs", "fn f() { StatusCode::OK }", &[1]);
}

#[test]
fn every_file_says_what_it_owns() {
    check_tree(without_a_doc);
    check_snippet(without_a_doc, "src/app.rs", "use std::fmt;\n//! Late.", &[1]);
    check_snippet(without_a_doc, "src/app.rs", "// Not a doc.", &[1]);
    check_snippet(without_a_doc, "src/app.rs", "", &[1]);
    check_snippet(without_a_doc, "src/app.rs", "//! The wiring.", &[]);
}

#[test]
fn no_file_is_too_long() {
    check_tree(too_long);
    check_snippet(too_long, "src/app.rs", &"x\n".repeat(400), &[]);
    check_snippet(too_long, "src/app.rs", &"x\n".repeat(401), &[401]);
    check_snippet(too_long, "src/proxy/tests/headers.rs", &"x\n".repeat(401), &[401]);
}
