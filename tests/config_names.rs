//! Addresses, endpoints, applications and keys: what may be written, and what is said otherwise.

#![cfg(test)]

use std::net::IpAddr;

use karbor_admission::config::{self, Config, File};
use karbor_admission::proxy::TrustedPeer;

fn load(text: &str) -> Result<Config, String> {
    let file = File { name: "k.toml".into(), text: text.into() };
    config::parse(&[file], []).map(|loaded| loaded.config).map_err(|errors| errors.to_string())
}

/// One problem, whose text after the name of the file is `expected`.
#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(load(text).err().as_deref(), Some(&*format!("k.toml:1: {expected}")), "{text}");
}

#[test]
fn listen_addresses() {
    let hints = [
        ("8799", "\"0.0.0.0:8799\""),
        (":80", "\"0.0.0.0:80\""),
        ("10.0.0.1", "\"10.0.0.1:8799\""),
        ("::1", "\"[::1]:8799\""),
        ("localhost:8799", "a number, not a name: \"127.0.0.1:8799\""),
        ("localhost", "a number, not a name: \"127.0.0.1:8799\""),
        ("karbor:9000", "a number, not a name: \"0.0.0.0:9000\""),
        ("[::1]", "\"[::1]:8799\""),
        ("10.0.0.1:99999", "\"10.0.0.1:8799\""),
        ("*:8799", "\"0.0.0.0:8799\""),
        ("0.0.0.0:99999", "\"0.0.0.0:8799\""),
        ("", "\"0.0.0.0:8799\""),
    ];
    let list = "an address with a port, or a list of them";
    for (wrong, hint) in hints {
        check(
            &format!("server.listen = '{wrong}'"),
            &format!("`server.listen` is \"{wrong}\": expected {list}\n  hint: {hint}"),
        );
    }
    check(
        "admin.listen = '9000'",
        "`admin.listen` is \"9000\": expected an address with a port\n  hint: \"127.0.0.1:9000\"",
    );
    for right in ["0.0.0.0:0", "[::]:8799", "[fe80::1]:1", "unix:/run/k.sock"] {
        assert_eq!(listens(&format!("'{right}'")), [right]);
        assert_eq!(listens(&format!("['{right}', '127.0.0.2:9']")), [right, "127.0.0.2:9"]);
    }
}

/// Where a value of `server.listen` listens, as it is written.
#[track_caller]
fn listens(value: &str) -> Vec<String> {
    let config = load(&format!("server.listen = {value}")).unwrap();
    config.server.listen.iter().map(ToString::to_string).collect()
}

#[test]
fn several_listeners() {
    let list = "an address with a port, or a list of them";
    check("server.listen = []", &format!("`server.listen` is []: expected {list}"));
    check(
        "server.listen = 8799",
        &format!("`server.listen` is 8799: expected {list}\n  hint: write it in quotes"),
    );
    check(
        "server.listen = ['0.0.0.0:1', '8799']",
        "`server.listen` has \"8799\": expected an address with a port\n  hint: \"0.0.0.0:8799\"",
    );
    for (one, other) in [("0.0.0.0:1", "127.0.0.1:1"), ("[::1]:1", "[::]:1")] {
        check(
            &format!("server.listen = ['{one}', '{other}']"),
            &format!("`server.listen` has \"{other}\": expected another address than {one}"),
        );
    }
    check(
        "admin.listen = '127.0.0.1:1'\nserver.listen = ['[::]:1', '127.0.0.1:1']",
        "`admin.listen` is \"127.0.0.1:1\": expected another address than `server.listen`",
    );
    for right in ["['0.0.0.0:1', '[::]:1']", "['127.0.0.1:0', '127.0.0.1:00']", "['unix:/a', 'unix:/b']"] {
        assert_eq!(listens(right).len(), 2);
    }
}

#[test]
fn unix_sockets() {
    let path = "unix: and an absolute path\n  hint: \"unix:/run/karbor-admission/listen.sock\"";
    for (wrong, expected) in [
        ("unix:", path),
        ("unix:run/k", path),
        ("unix:/run/", path),
        ("/run/k", "an address with a port, or a list of them\n  hint: \"unix:/run/k\""),
    ] {
        check(
            &format!("server.listen = '{wrong}'"),
            &format!("`server.listen` is \"{wrong}\": expected {expected}"),
        );
    }
    assert_eq!(listens(&format!("'unix:/{}'", "x".repeat(106))).len(), 1);
    let long = load(&format!("server.listen = 'unix:/{}'", "x".repeat(107))).unwrap_err();
    assert!(long.ends_with(": expected a path of at most 107 bytes"), "{long}");
    for wrong in ["0o660", "1777", "08", "rw", ""] {
        check(
            &format!("server.unix_mode = '{wrong}'"),
            &format!(
                "`server.unix_mode` is \"{wrong}\": expected a mode in octal digits\n  hint: octal digits, such as \"0660\": the owner and the group may connect"
            ),
        );
    }
    for (text, mode) in [("0660", 0o660), ("660", 0o660), ("0777", 0o777)] {
        assert_eq!(load(&format!("server.unix_mode = '{text}'")).unwrap().server.unix_mode, mode);
    }
    let trusted = load("server.trusted_peers = ['unix', '10.0.0.0/8']").unwrap().proxy.trusted_peers;
    assert_eq!(trusted[0], TrustedPeer::Unix);
}

#[test]
fn addresses_of_ours_must_not_meet() {
    let admin = "`admin.listen` is \"127.0.0.1:8799\": expected another address than `server.listen`";
    check("admin.listen = '127.0.0.1:8799'", admin);
    let again = "expected another address than `server.listen`: requests would come back";
    for wrong in ["http://127.0.0.1:8799", "http://localhost:8799"] {
        check(
            &format!("upstream.endpoints = ['{wrong}']"),
            &format!("`upstream.endpoints` has \"{wrong}\": {again}"),
        );
    }
    for right in [
        "server.listen = '10.0.0.1:8799'\nadmin.listen = '127.0.0.1:8799'\nupstream.endpoints = ['http://127.0.0.1:8799']",
        "upstream.endpoints = ['http://192.0.2.1:8799', 'http://karbor:8799']",
        "server.listen = '127.0.0.1:0'\nadmin.listen = '127.0.0.1:0'",
        "upstream.endpoints = ['http://[::1]:8799']",
    ] {
        load(right).unwrap();
    }
}

const ENDPOINT: &str = "http://HOST[:PORT], https://HOST[:PORT] or unix:/PATH";

#[test]
fn endpoints() {
    let wrong = [
        ("ftp://k", "expected an http:// or https:// address"),
        ("https://k/data", "expected no path\n  hint: upstream.path_prefix = \"/data\""),
        ("unix:k", "expected a path that begins with a slash\n  hint: \"unix:/run/karbor/api.sock\""),
        ("unix:", "expected a path that begins with a slash\n  hint: \"unix:/run/karbor/api.sock\""),
        ("unix:///k", "expected a path with one slash in front\n  hint: \"unix:/k\""),
        ("unix:/k/", "expected a file, not a folder"),
        ("/run/k", "expected KIND\n  hint: \"unix:/run/k\""),
        ("karbor:8799", "expected KIND\n  hint: \"http://karbor:8799\""),
        ("karbor:80/x/", "expected KIND\n  hint: \"http://karbor:80\" and upstream.path_prefix = \"/x\""),
        ("karbor/a b?c", "expected KIND\n  hint: \"http://karbor\""),
        ("a b", "expected KIND\n  hint: \"http://127.0.0.1:18799\""),
        ("", "expected KIND\n  hint: \"http://127.0.0.1:18799\""),
        ("http://k/a b", "expected no path"),
        ("http://k/data/", "expected no path\n  hint: upstream.path_prefix = \"/data\""),
        ("http://k?a=b", "expected no query and no fragment"),
        ("http://k/#a", "expected no query and no fragment"),
        ("http://k:0", "expected a port from 1 to 65535"),
        ("http://k:", "expected a port from 1 to 65535"),
        ("http://k:65536", "expected a port from 1 to 65535"),
        ("http://k:+1", "expected a port from 1 to 65535"),
        ("http://", "expected a host name or an address"),
        ("http://:80", "expected a host name or an address"),
        ("http://a b", "expected a host name or an address"),
        ("http://a..b", "expected a host name or an address"),
        ("http://1.2.3", "expected a host name or an address"),
        ("http://[::1", "expected a closing bracket"),
        ("http://[k]", "expected an IPv6 address in the brackets"),
        ("http://[::1]x", "expected a port after the brackets"),
        ("http://::1", "expected an IPv6 address in brackets\n  hint: \"http://[::1]\""),
    ];
    for (wrong, expected) in wrong {
        check(
            &format!("upstream.endpoints = ['{wrong}']"),
            &format!("`upstream.endpoints` has \"{wrong}\": {}", expected.replace("KIND", ENDPOINT)),
        );
    }
    check(
        "upstream.endpoints = []",
        &format!("`upstream.endpoints` is []: expected a list, not empty: {ENDPOINT}"),
    );
    check(
        "upstream.endpoints = 'http://k'",
        &format!(
            "`upstream.endpoints` is \"http://k\": expected a list, not empty: {ENDPOINT}\n  hint: write it in brackets: [\"…\"]"
        ),
    );
}

#[test]
fn endpoints_are_each_named_once() {
    check(
        "upstream.endpoints = ['http://k', 'HTTP://k:80/']",
        "`upstream.endpoints` has \"HTTP://k:80/\": expected each endpoint once",
    );
    let right = [
        ("http://k", "http://k:80"),
        ("HTTP://10.0.0.1:8080", "http://10.0.0.1:8080"),
        ("http://[fd00::1]:81", "http://[fd00::1]:81"),
        ("http://a-b.c_d/", "http://a-b.c_d:80"),
        ("https://k", "https://k:443"),
        ("https://[fd00::1]", "https://[fd00::1]:443"),
        ("https://k:80", "https://k:80"),
        ("unix:/run/karbor/api.sock", "unix:/run/karbor/api.sock"),
    ];
    let written = right.map(|(written, _)| format!("'{written}'")).join(", ");
    let config = load(&format!("upstream.endpoints = [{written}]")).unwrap();
    let read: Vec<_> = config.upstream.endpoints.iter().map(ToString::to_string).collect();
    assert_eq!(read, right.map(|(_, read)| read));
}

#[test]
fn a_password_is_not_shown() {
    check(
        "upstream.endpoints = ['http://user:secret@k']",
        "`upstream.endpoints` has \"http://…@k\": expected no user information\n  hint: \"http://k\"; each request brings its own token",
    );
    for wrong in
        ["http://user:sec/ret@k", "http://user:sec@ret@k", "http://user:sec@ret/@k", "http://user:sec?ret@k"]
    {
        let text = load(&format!("upstream.endpoints = ['{wrong}']")).unwrap_err();
        assert!(text.contains(": expected no user information"), "{text}");
        assert!(!text.contains("sec") && !text.contains("ret"), "{text}");
    }
    check(
        "upstream.endpoints = ['user:secret@k']",
        &format!("`upstream.endpoints` has \"…@k\": expected {ENDPOINT}"),
    );
    let list = load("upstream.endpoints = 'http://user:secret@k'").unwrap_err();
    assert!(!list.contains("secret"), "{list}");
}

#[test]
fn path_prefixes() {
    let expected = "expected \"\", or a path such as \"/data-protect\"";
    let segments = "segments of letters, digits and - . _ ~, not empty, not \".\" or \"..\"";
    for (wrong, hint) in [
        ("data", "\"/data\""),
        ("/data/", "without the slash at the end: \"/data\""),
        ("/", "without the slash at the end: \"\""),
        ("/a//b", segments),
        ("/a/../b", segments),
        ("/a%20b", segments),
        ("/a?b", segments),
    ] {
        check(
            &format!("upstream.path_prefix = '{wrong}'"),
            &format!("`upstream.path_prefix` is \"{wrong}\": {expected}\n  hint: {hint}"),
        );
    }
    assert_eq!(&*load("upstream.path_prefix = '/a/b-c.d_e~1'").unwrap().proxy.path_prefix, "/a/b-c.d_e~1");
}

#[test]
fn trusted_peers() {
    let hint = "expected addresses, ranges, \"unix\"\n  hint:";
    let examples = "\"10.0.0.0/8\", \"192.0.2.1\", \"fd00::/8\"";
    for (wrong, expected) in [
        ("lb", format!("{hint} {examples}")),
        ("10.0.0.0/33", format!("{hint} 0 to 32 bits after the slash")),
        ("fd00::/129", format!("{hint} 0 to 128 bits after the slash")),
        ("10.0.0.0/", format!("{hint} 0 to 32 bits after the slash")),
        (
            "10.0.0.5/8",
            "expected an address without bits beyond its range\n  hint: \"10.0.0.0/8\" or \"10.0.0.5\""
                .into(),
        ),
    ] {
        check(
            &format!("server.trusted_peers = ['{wrong}']"),
            &format!("`server.trusted_peers` has \"{wrong}\": {expected}"),
        );
    }
    check(
        "server.trusted_peers = [10]",
        "`server.trusted_peers` has 10: expected addresses, ranges, \"unix\"\n  hint: write it in quotes",
    );
    check(
        "server.trusted_peers = ['::1', '::1']",
        "`server.trusted_peers` has \"::1\": expected each item only once\n  hint: item 1 of the list is the same",
    );
    let config = load(
        "server.trusted_peers = ['10.0.0.0/8', '::1', '0.0.0.0/0', 'fd00::/8', '192.0.2.1/32', \
         '::ffff:10.0.0.5', '::ffff:11.0.0.0/104', '::/80']",
    )
    .unwrap();
    let peers: Vec<_> = config
        .proxy
        .trusted_peers
        .iter()
        .map(|peer| match peer {
            TrustedPeer::Range(range) => (range.address, range.bits),
            TrustedPeer::Unix => panic!("nobody named it"),
        })
        .collect();
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let plain = [("10.0.0.0", 8), ("::1", 128), ("0.0.0.0", 0), ("fd00::", 8), ("192.0.2.1", 32)];
    // IPv4 in IPv6 is IPv4, as long as nothing else is in the range.
    let mapped = [("10.0.0.5", 32), ("11.0.0.0", 8), ("::", 80)];
    let expected = plain.iter().chain(&mapped).map(|&(text, bits)| (address(text), bits));
    assert_eq!(peers, expected.collect::<Vec<_>>());
}

#[test]
fn applications() {
    let hint = "lower-case letters and digits in groups joined by single - . _, such as \"acme-*\"";
    for wrong in ["", "Acme", "a--b", "-a", "a-", "a b", "ä", "a--*", ".*", "a+*"] {
        check(
            &format!("policy.applications = ['{wrong}']"),
            &format!(
                "`policy.applications` has \"{wrong}\": expected the name of an application, or its start followed by `*`\n  hint: {hint}"
            ),
        );
    }
    for wrong in ["a*b", "*a", "**", "a*-*"] {
        check(
            &format!("policy.applications = ['{wrong}']"),
            &format!("`policy.applications` has \"{wrong}\": expected a `*` only at the end"),
        );
    }
    let config = load("policy.applications = ['a', 'a-b.c_d9', 'a*', 'a-*', '9']").unwrap();
    assert_eq!(config.policy.default.applications.patterns().count(), 5);
    assert!(!load("policy.applications = []").unwrap().policy.default.applications.admit("a"));
}

#[test]
fn bridged_keys() {
    let long = "k".repeat(256);
    for (wrong, expected) in [
        ("", "expected a key of 1 to 255 bytes"),
        ("a/b", "expected letters, digits, spaces and - _ : . #"),
        ("karbor-a", "expected a key without a namespace\n  hint: `[policy.karbor_keys]` is for it"),
        ("x-a--b", "expected a key without a namespace\n  hint: `applications` admits it"),
        (" a", "expected a key without a space at its ends"),
    ] {
        check(
            &format!("policy.bridged_keys = ['{wrong}']"),
            &format!("`policy.bridged_keys` has \"{wrong}\": {expected}"),
        );
    }
    assert!(load(&format!("policy.bridged_keys = ['{long}']")).unwrap_err().contains("1 to 255 bytes"));
    check(
        "policy.bridged_keys = ['a', 'b', 'a']",
        "`policy.bridged_keys` has \"a\": expected each item only once\n  hint: item 1 of the list is the same",
    );
    assert_eq!(
        load(&format!("policy.bridged_keys = ['{}']", &long[1..])).unwrap().policy.bridged_keys.len(),
        1
    );
    assert!(load("policy.bridged_keys = []").unwrap().policy.bridged_keys.is_empty());
}

#[test]
fn karbor_keys() {
    let ends = "expected a name after `karbor-`, without a space at its ends";
    for (key, expected) in [
        ("created-by", "expected a key that begins with `karbor-`\n  hint: `karbor-created-by`"),
        ("karbor-", ends),
        ("karbor- a", ends),
        ("karbor-a ", ends),
        ("karbor-a/b", "expected letters, digits, spaces and - _ : . #"),
        ("karbor-ä", "expected letters, digits, spaces and - _ : . #"),
    ] {
        let shown = if key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            key.to_owned()
        } else {
            format!("\"{key}\"")
        };
        check(
            &format!("policy.karbor_keys.'{key}' = {{}}"),
            &format!("`policy.karbor_keys.{shown}`: {expected}"),
        );
    }
    check(
        "policy.karbor_keys.karbor-a = []",
        "`policy.karbor_keys.karbor-a` is []: expected a table\n  hint: `[policy.karbor_keys.karbor-a]`",
    );
    check(
        "policy.karbor_keys.karbor-a.values = []",
        "`policy.karbor_keys.karbor-a.values` is []: expected a list, not empty: values",
    );
    check(
        "policy.karbor_keys.karbor-a.value = 1",
        "`policy.karbor_keys.karbor-a.value`: no such setting\n  hint: did you mean `policy.karbor_keys.karbor-a.values`?",
    );
    let config =
        load("policy.karbor_keys.karbor-a = { values = ['x', ''] }\npolicy.karbor_keys.'karbor-b: #' = {}")
            .unwrap();
    let keys: Vec<_> = config.policy.karbor_keys.iter().map(|(key, values)| (&**key, values.len())).collect();
    assert_eq!(keys, [("karbor-a", 2), ("karbor-b: #", 0)]);
    assert_eq!(load("[policy.karbor_keys]").unwrap().policy.karbor_keys.len(), 3);
}

#[test]
fn audit_files() {
    use karbor_admission::telemetry::audit::AuditSink;
    check("audit.file = 'a/'", "`audit.file` is \"a/\": expected a file, not a folder");
    check("audit.file = \"a\\n\"", "`audit.file` is \"a\\n\": expected a path without control characters");
    for (written, sink) in
        [("", AuditSink::None), ("-", AuditSink::Stdout), ("/var/a", AuditSink::File("/var/a".into()))]
    {
        assert_eq!(load(&format!("audit.file = '{written}'")).unwrap().audit.sink, sink);
    }
}
