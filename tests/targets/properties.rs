//! What holds for any target, against a reading of Karbor's own written from the facts alone.

use http::Uri;
use karbor_admission::karbor::route::RouteKind;
use karbor_admission::wire::{Refusal, read_head};
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::{Index, select};

use crate::support::{CP, LIMITS, judge, judge_uri};

const METHODS: [&str; 7] = ["POST", "GET", "PUT", "DELETE", "PATCH", "HEAD", "FOO"];
const PREFIXES: [&str; 3] = ["", "/data-protect", "/a/b"];

/// What targets are made of, and what they must not be made of.
const TOKENS: &[&str] = &[
    "/",
    "/",
    "/",
    "//",
    "v1",
    "/v1/",
    "%761",
    "PJ",
    "providers",
    "%70roviders",
    "/providers/",
    "PR",
    "P%52",
    "/checkpoints",
    "checkpoints",
    "%63heckpoints",
    "checkpoint",
    "action",
    "%61ction",
    "ID",
    "extra-info",
    "extra%5Finfo",
    "data-protect",
    "a/b",
    "http://h",
    "https://",
    "HTTP://h:1",
    "?",
    "?",
    "&",
    ";",
    "=",
    "x=1",
    "_method",
    "%5Fmethod",
    "%5f",
    "method",
    "=POST",
    "+",
    "#",
    "*",
    ":",
    "@",
    ".",
    "..",
    "/./",
    "/../",
    "%2e",
    "%2E%2e",
    "%2F",
    "%5c",
    "\\",
    "%0A",
    "%00",
    "%7f",
    "%20",
    "%25",
    "%2563",
    "%3B",
    "%3F",
    "%23",
    "%C3%A9",
    "%ff",
    "%",
    "%4",
    "%zz",
    "~",
    "-",
    "\"",
    "{",
    " ",
    "\t",
    "\u{a0}",
];

/// Tokens in any order.
fn tokens() -> impl Strategy<Value = String> {
    proptest::collection::vec(select(TOKENS), 0..14).prop_map(|tokens| tokens.concat())
}

/// A path of Karbor's with each character spelled in one of the ways that Karbor may read alike, and with a
/// token put in somewhere.
fn near_karbor() -> impl Strategy<Value = String> {
    let path = select(
        &["CP", "CP/ID", "CP/action", "/data-protectCP", "/a/bCP/ID", "/v1/PJ/checkpoints", "CP?x=1"][..],
    );
    let spelling = proptest::collection::vec(0_u8..16, 80);
    let token = prop_oneof![3 => select(&[""][..]), 2 => select(TOKENS)];
    (path, spelling, token, any::<Index>()).prop_map(|(path, spelling, token, at)| {
        let path = path.replace("CP", CP);
        let at = at.index(path.len() + 1);
        let mut spelled = String::new();
        for (place, (byte, how)) in path.bytes().zip(spelling).enumerate() {
            if place == at {
                spelled.push_str(token);
            }
            match how {
                0 if byte != b'/' => spelled.push_str(&format!("%{byte:02x}")),
                1 if byte != b'/' => spelled.push_str(&format!("%{byte:02X}")),
                0 | 1 => spelled.push_str("//"),
                2 => spelled.push_str(&format!("%{byte:02x}")),
                _ => spelled.push(char::from(byte)),
            }
        }
        if at == path.len() {
            spelled.push_str(token);
        }
        spelled
    })
}

/// Decoded once, as Python does it: what is not two hexadecimal digits stands for itself.
fn decode_once(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| text.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < text.len() {
        match (text[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).unwrap());
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

fn without_authority(target: &str) -> String {
    let lower = target.to_ascii_lowercase();
    let Some(rest) = ["http://", "https://"].iter().find_map(|scheme| lower.strip_prefix(scheme)) else {
        return target.to_owned();
    };
    let rest = &target[target.len() - rest.len()..];
    let path = &rest[rest.find(['/', '?']).unwrap_or(rest.len())..];
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

/// The path as Karbor's router sees it: decoded once, and then runs of slashes made one.
fn as_karbor_reads(target: &str) -> Vec<u8> {
    let target = without_authority(target);
    let mut path = decode_once(target.split('?').next().unwrap().as_bytes());
    path.dedup_by(|one, other| (*one, *other) == (b'/', b'/'));
    path
}

/// The path as it is read under uWSGI, which resolves dot segments and cuts a fragment before it decodes.
fn as_uwsgi_reads(target: &str) -> Vec<u8> {
    let target = without_authority(target);
    let path = target.split(['?', '#']).next().unwrap();
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    as_karbor_reads(&format!("/{}", segments.join("/")))
}

/// The route that Karbor, mounted at `prefix`, takes for a path it has read.
fn routed_by_karbor(method: &str, path: &[u8], prefix: &str) -> Option<RouteKind> {
    let rest = path.strip_prefix(prefix.as_bytes())?.strip_prefix(b"/v1/")?;
    let rest = rest.strip_suffix(b"\n").unwrap_or(rest);
    let segments: Vec<&[u8]> = rest.split(|&byte| byte == b'/').collect();
    if segments.len() < 4 || segments[1] != b"providers" || segments[3] != b"checkpoints" {
        return None;
    }
    if segments.iter().any(|segment| segment.is_empty()) {
        return None;
    }
    match (method, &segments[4..]) {
        ("POST", []) => Some(RouteKind::Create),
        ("GET", []) => Some(RouteKind::List),
        ("POST", [last]) if *last == b"action" => Some(RouteKind::Copy),
        ("GET", [_]) => Some(RouteKind::Show),
        ("DELETE", [_]) => Some(RouteKind::Delete),
        ("PUT", [_]) => Some(RouteKind::Update),
        _ => None,
    }
}

/// Whether Karbor's router would run another method: it looks for the raw word, then for the parameter.
fn overridden(target: &str) -> bool {
    let Some((_, query)) = target.split_once('?') else { return false };
    let name = |pair: &str| pair.split('=').next().unwrap().replace('+', " ");
    let named = query.split(['&', ';']).any(|pair| decode_once(name(pair).as_bytes()) == b"_method");
    query.contains("_method") && named
}

/// Whatever is not refused means to Karbor what it was judged as, before and after.
fn check(target: &str) {
    for prefix in PREFIXES {
        for method in METHODS {
            let Ok(uri) = Uri::try_from(target) else { return };
            if target.contains('#') {
                // The library drops a fragment without a word; whoever reads heads refuses it.
                continue;
            }
            let Ok(judged) = judge_uri(method, uri, prefix) else { continue };
            let again = Uri::try_from(&*judged.forwarded).expect("a target");
            let again = judge_uri(method, again, prefix).expect("canonical form is not refused");
            assert_eq!(again.forwarded, judged.forwarded, "canonical form is a fixed point");
            assert_eq!((again.kind, &again.names), (judged.kind, &judged.names));
            assert!(!overridden(target), "{target}");
        }
    }
    if target.contains(' ') {
        return;
    }
    let head = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
    if read_head(head.as_bytes(), &LIMITS).is_err() {
        return;
    }
    for prefix in PREFIXES {
        for method in METHODS {
            let Ok(judged) = judge(method, target.as_bytes(), prefix) else { continue };
            let read = as_karbor_reads(target);
            assert_eq!(read, as_karbor_reads(&judged.forwarded), "{target} → {}", judged.forwarded);
            assert_eq!(read, as_uwsgi_reads(target), "{target}");
            assert_eq!(read, as_uwsgi_reads(&judged.forwarded), "{target} → {}", judged.forwarded);
            for mount in PREFIXES {
                if let Some(kind) = routed_by_karbor(method, &read, mount) {
                    assert_eq!(judged.kind, kind, "{method} {target} to Karbor at {mount:?}");
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn agrees_with_karbor_on_tokens(target in tokens()) {
        check(&target);
        check(&format!("/{target}"));
    }

    #[test]
    fn agrees_with_karbor_on_its_own_paths(target in near_karbor()) {
        check(&target);
    }

    #[test]
    fn guards_its_own_paths_in_any_spelling(spelling in proptest::collection::vec(0_u8..4, CP.len())) {
        let target: String = CP.bytes().zip(spelling).map(|(byte, how)| match (byte, how) {
            (b'/', 0 | 1) => "//".to_owned(),
            (b'/', _) | (_, 2 | 3) => char::from(byte).to_string(),
            (_, 0) => format!("%{byte:02x}"),
            _ => format!("%{byte:02X}"),
        }).collect();
        let judged = judge("POST", target.as_bytes(), "").expect("nothing to refuse");
        prop_assert_eq!(judged.kind, RouteKind::Create);
        prop_assert_eq!(judged.forwarded, CP);
    }

    #[test]
    fn names_the_tenant_that_karbor_reads(project in "[!-~é]{1,8}") {
        let encoded: String = project.bytes().map(|byte| format!("%{byte:02x}")).collect();
        match judge("POST", format!("/v1/{encoded}/providers/PR/checkpoints").as_bytes(), "") {
            Ok(judged) => prop_assert_eq!(&judged.names[0], &project),
            Err(refusal) => prop_assert!(
                project.contains(['/', '\\']) || project.chars().all(|letter| letter == '.'),
                "{} for {}", refusal, project
            ),
        }
    }

    #[test]
    fn answers_any_printable_target(target in "[!-~]{1,40}", method in select(&METHODS[..])) {
        if let Ok(uri) = Uri::try_from(&*target) {
            let _ = judge_uri(method, uri, "/data-protect");
        }
    }

    #[test]
    fn refuses_any_byte_outside_ascii(at in any::<Index>(), byte in 0x80_u8..) {
        let mut target = CP.as_bytes().to_vec();
        target.insert(at.index(CP.len() + 1), byte);
        prop_assert_eq!(judge("POST", &target, ""), Err(Refusal::TargetByte));
        if let Ok(uri) = Uri::try_from(&target[..]) {
            prop_assert!(judge_uri("POST", uri, "").is_err());
        }
    }
}
