//! Header fields of both directions, against a second reading of what may travel.
//!
//! `proxy::headers` is private to the proxy, and stays so: its source is compiled here once more, beside a
//! stand-in for the one neighbour it asks.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Uri, Version};
use karbor_admission::karbor::target::Target;
use karbor_admission::wire::{HeadLimits, Refusal, read_head};

use proxy::peer::Peer;

use crate::config::SHIPPED;

mod proxy;

const LIMITS: HeadLimits = HeadLimits { request_line_bytes: 8192, head_bytes: 65_536, fields: 100 };
/// Fields between two neighbours only (RFC 9110, 7.6.1), and those of the client's framing.
const HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

/// By what Karbor's authentication could know a caller (keystonemiddleware's documentation).
const IDENTITY: &[&str] = &[
    "x-identity-status",
    "x-user",
    "x-user-id",
    "x-user-name",
    "x-user-domain-id",
    "x-user-domain-name",
    "x-project-id",
    "x-project-name",
    "x-project-domain-id",
    "x-project-domain-name",
    "x-domain-id",
    "x-domain-name",
    "x-tenant",
    "x-tenant-id",
    "x-tenant-name",
    "x-role",
    "x-roles",
    "x-is-admin-project",
    "x-service-catalog",
    "x-service-identity-status",
    "x-service-user-id",
    "x-service-user-name",
    "x-service-user-domain-id",
    "x-service-user-domain-name",
    "x-service-project-id",
    "x-service-project-name",
    "x-service-project-domain-id",
    "x-service-project-domain-name",
    "x-service-roles",
    "openstack-system-scope",
];

/// The first byte chooses the direction; the rest is a request head, or the field lines of an answer.
pub fn check(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let (secure, http2) = (choice & 64 != 0, choice & 128 != 0);
    match choice % 3 {
        0 => check_answer(rest),
        trusted => check_request(rest, trusted == 1, secure, http2),
    }
}

fn check_request(head: &[u8], trusted: bool, secure: bool, http2: bool) {
    let Some(mut given) = read(head) else { return };
    given.version = if http2 { Version::HTTP_2 } else { Version::HTTP_11 };
    let outcome = proxy::check(&given.headers);
    let refused = if given.headers.contains_key("upgrade") {
        Some(Refusal::Upgrade)
    } else {
        let expectation = given.headers.get("expect").map(|value| value.as_bytes().to_ascii_lowercase());
        expectation.filter(|value| value != b"100-continue").map(|_| Refusal::Expect)
    };
    assert_eq!(outcome.err(), refused);
    check_media_type(&given.headers);
    let Ok(target) = Target::of(given.uri.clone()) else { return };
    if refused.is_some() {
        return;
    }
    let peer = Peer { trusted: trusted.into(), secure };
    let mut sent = Request::new(()).into_parts().0;
    sent.clone_from(&given);
    let authority = target.authority().cloned();
    let path = target.path_and_query().clone();
    let identity = &SHIPPED.proxy.identity_headers;
    proxy::towards_karbor(&mut sent, target, &peer, identity);
    assert_eq!(sent.uri, Uri::from(path));
    let host = authority.map_or_else(
        || given.headers.get("host").cloned(),
        |authority| HeaderValue::from_str(authority.as_str()).ok(),
    );
    assert!(host.iter().all(|host| host.as_bytes().iter().all(is_host_byte)), "no host: {host:?}");
    check_sent(&given, &sent.headers, host.as_ref(), &peer);
}

/// In an absolute target the library also takes what RFC 3986 calls sub-delims.
fn is_host_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:[]!$&'()*+,;=".contains(byte)
}

/// A head that `wire` takes, as hyper reads it.
fn read(head: &[u8]) -> Option<Parts> {
    let length = read_head(head, &LIMITS).ok()??.bytes;
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut fields);
    request.parse(&head[..length]).expect("httparse takes it");
    let mut parts = Request::new(()).into_parts().0;
    parts.method = Method::from_bytes(request.method?.as_bytes()).ok()?;
    parts.uri = Uri::try_from(request.path?).ok()?;
    parts.headers = map(request.headers.iter().map(|field| (field.name.as_bytes(), field.value)));
    Some(parts)
}

fn map<'f>(fields: impl Iterator<Item = (&'f [u8], &'f [u8])>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            map.append(name, value);
        }
    }
    map
}

/// What Karbor gets: ours at the end, its own framing, and the rest as it was.
fn check_sent(given: &Parts, sent: &HeaderMap, host: Option<&HeaderValue>, peer: &Peer) {
    let via = if given.version == Version::HTTP_2 { "2.0 karbor-admission" } else { "1.1 karbor-admission" };
    let (given, trusted) = (&given.headers, peer.trusted.get());
    for name in HOP.iter().chain(&["content-length", "expect"]) {
        assert!(!sent.contains_key(*name), "{name} travels on");
    }
    assert!(sent.keys().all(|name| !name.as_str().contains('_')));
    assert_eq!(values(sent, "host"), host.map(HeaderValue::as_bytes).into_iter().collect::<Vec<_>>());
    let named = named_by_connection(given);
    let ours = |name: &str, value: Option<HeaderValue>, kept: bool| {
        let mut expected =
            if kept && !named.contains(&name.to_owned()) { values(given, name) } else { Vec::new() };
        expected.extend(value.as_ref().map(HeaderValue::as_bytes));
        assert_eq!(values(sent, name), expected, "{name}");
    };
    ours("via", Some(HeaderValue::from_static(via)), true);
    ours("x-forwarded-for", Some(HeaderValue::from_static("192.0.2.1")), trusted);
    let to =
        host.and_then(|host| host.to_str().ok()).map_or_else(String::new, |host| format!("host=\"{host}\";"));
    let forwarded = format!("for=192.0.2.1;{to}proto={}", peer.scheme());
    ours("forwarded", HeaderValue::from_str(&forwarded).ok(), trusted);
    for name in ["x-forwarded-host", "x-forwarded-proto"] {
        let theirs = trusted && given.contains_key(name) && !named.contains(&name.to_owned());
        let value = if name == "x-forwarded-host" {
            host.cloned()
        } else {
            Some(HeaderValue::from_static(peer.scheme()))
        };
        ours(name, value.filter(|_| !theirs), theirs);
    }
    let special = ["host", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded"];
    for name in given.keys().chain(sent.keys()).map(HeaderName::as_str).filter(|name| !special.contains(name))
    {
        let forwarding = name.starts_with("x-forwarded") || name == "x-real-ip";
        let identity = IDENTITY.contains(&name);
        let goes = HOP.contains(&name)
            || matches!(name, "content-length" | "expect")
            || named.contains(&name.to_owned())
            || identity
            || (forwarding && !trusted);
        let expected = if goes { Vec::new() } else { values(given, name) };
        assert_eq!(values(sent, name), expected, "{name}");
    }
}

fn values<'m>(fields: &'m HeaderMap, name: &str) -> Vec<&'m [u8]> {
    fields.get_all(name).iter().map(HeaderValue::as_bytes).collect()
}

/// What `Connection` lists, in lower case; what is no name equals none.
fn named_by_connection(fields: &HeaderMap) -> Vec<String> {
    values(fields, "connection")
        .into_iter()
        .flat_map(|value| value.split(|&byte| byte == b','))
        .map(|name| String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase())
        .filter(|name| name != "host")
        .collect()
}

/// Reviewed as JSON exactly where the media type is JSON, in any case, and no coding is named.
fn check_media_type(fields: &HeaderMap) {
    let text = |name: &str| -> Vec<String> {
        values(fields, name)
            .into_iter()
            .map(|value| String::from_utf8_lossy(value).to_ascii_lowercase())
            .collect()
    };
    let media_type = text("content-type").into_iter().next().unwrap_or_default();
    let json = media_type.split(';').next().unwrap_or_default().trim() == "application/json";
    let coded = text("content-encoding").iter().any(|coding| !coding.is_empty() && coding != "identity");
    assert_eq!(proxy::is_plain_json(fields), json && !coded, "{media_type}");
}

fn check_answer(lines: &[u8]) {
    let fields = lines.split(|&byte| byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        Some((&line[..colon], line[colon + 1..].trim_ascii()))
    });
    let given = map(fields);
    let mut sent = given.clone();
    proxy::towards_client(&mut sent);
    let named = named_by_connection(&given);
    // Of the two, the length is wrong (RFC 9112, 6.3).
    let no_length = given.contains_key("transfer-encoding");
    for name in given.keys().map(HeaderName::as_str) {
        let goes = HOP.contains(&name)
            || named.contains(&name.to_owned())
            || (no_length && name == "content-length");
        assert_eq!(values(&sent, name), if goes { Vec::new() } else { values(&given, name) }, "{name}");
    }
    assert!(sent.keys().all(|name| given.contains_key(name)), "nothing is added");
}
