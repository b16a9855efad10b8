//! Headers of both directions, and which bodies count as JSON.

use http::header::{HeaderMap, HeaderValue};

use super::super::headers;
use super::{Fields, IDENTITY, header_map, peer, sent_by};
use crate::wire::Refusal;

/// Names in the order of the alphabet, with their values in their own.
fn listed(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut fields: Vec<_> =
        headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    fields.sort_by(|one, other| one.0.cmp(&other.0));
    fields
}

fn owned(fields: Fields<'_>) -> Vec<(String, String)> {
    fields.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What Karbor gets of an untrusted client's fields, ours apart.
#[track_caller]
fn check_towards_karbor(fields: Fields<'_>, kept: Fields<'_>) {
    let client = peer("192.0.2.1:5", &[]);
    let with_host = [&[("host", "h")], fields].concat();
    let ours = [
        ("forwarded", "for=192.0.2.1;host=\"h\";proto=http"),
        ("host", "h"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-host", "h"),
        ("x-forwarded-proto", "http"),
    ];
    let mut expected = owned(&[kept, &ours[..]].concat());
    if !kept.iter().any(|field| field.0 == "via") {
        expected.push(("via".to_owned(), "1.1 karbor-admission".to_owned()));
    }
    expected.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(listed(&sent_by(&client, "/", &with_host).headers), expected, "{fields:?}");
}

/// Fields of the connection, not of the message (RFC 9110, 7.6.1), and those of hop-by-hop framing.
const HOP_BY_HOP: [(&str, &str); 10] = [
    ("Connection", "close"),
    ("Keep-Alive", "timeout=5"),
    ("Proxy-Connection", "keep-alive"),
    ("Proxy-Authenticate", "Basic"),
    ("Proxy-Authorization", "Basic eA=="),
    ("TE", "trailers"),
    ("Trailer", "X"),
    ("Transfer-Encoding", "chunked"),
    ("Upgrade", "h2c"),
    ("HTTP2-Settings", "AAMAAABkAAQ"),
];

#[test]
fn keeps_what_is_for_karbor() {
    check_towards_karbor(&[], &[]);
    let fields = [
        ("accept", "*/*"),
        ("accept", "text/html"),
        ("authorization", "Bearer x"),
        ("content-encoding", "gzip"),
        ("content-type", "Application/JSON ; x=y"),
        ("cookie", "a=b"),
        ("user-agent", "python-karborclient"),
        ("x-auth-token", "t"),
        ("x-odd", "\u{e9}\t "),
    ];
    check_towards_karbor(&fields, &fields);
}

#[test]
fn removes_hop_by_hop_fields_towards_karbor() {
    for field in HOP_BY_HOP {
        check_towards_karbor(&[field, ("x", "y")], &[("x", "y")]);
        check_towards_karbor(&[field, ("x", "y"), field], &[("x", "y")]);
    }
    for field in [("content-length", "5"), ("expect", "100-continue")] {
        check_towards_karbor(&[field], &[]);
    }
}

#[test]
fn removes_what_connection_names() {
    let hop = [("X-Hop", "1"), ("X-Hop", "2"), ("X-Other", "3"), ("X-Kept", "4")];
    let kept = [("x-kept", "4")];
    for connection in [
        &[("Connection", "X-Hop, X-Other")][..],
        &[("Connection", "x-hop,x-other")],
        &[("Connection", " ,, X-HOP\t,close,\tx-other ,")],
        &[("Connection", "X-Hop"), ("Connection", "keep-alive, X-Other")],
        &[("Connection", "X-Hop, not a name, \"X\", X-Other")],
        &[("Connection", "X-Hop, \u{e9}, X-Other")],
    ] {
        check_towards_karbor(&[connection, &hop].concat(), &kept);
        let mut answer = header_map(&[connection, &hop].concat());
        headers::towards_client(&mut answer);
        assert_eq!(listed(&answer), owned(&kept), "{connection:?}");
    }
    let lower = hop.map(|(name, value)| (name.to_ascii_lowercase(), value));
    let lower: Vec<_> = lower.iter().map(|(name, value)| (&**name, *value)).collect();
    let mut unnamed = lower.clone();
    unnamed.sort_unstable();
    check_towards_karbor(&[&[("Connection", "close")], &lower[..]].concat(), &unnamed);
}

/// Not even a client that names them removes what we say of it.
#[test]
fn keeps_its_own_fields_whatever_connection_names() {
    let names = "Host, Via, Forwarded, X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, Connection";
    check_towards_karbor(&[("Connection", names)], &[]);
    check_towards_karbor(&[("Connection", names), ("x-forwarded-for", "10.9.9.9"), ("via", "1.0 x")], &[]);
}

#[test]
fn forgets_what_an_untrusted_client_says_of_others() {
    for name in [
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "X-Forwarded-Server",
        "X-Forwarded",
        "X-Real-IP",
    ] {
        check_towards_karbor(&[(name, "forged"), (name, "twice")], &[]);
    }
    for name in ["x-forward", "x-real-ip-2", "forwarded-for"] {
        check_towards_karbor(&[(name, "v")], &[(name, "v")]);
    }
}

#[test]
fn passes_on_what_a_trusted_peer_says() {
    let balancer = peer("10.1.2.3:5", &["10.0.0.0/8"]);
    let fields = [
        ("host", "karbor"),
        ("forwarded", "for=203.0.113.7"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-host", "public"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "443"),
        ("x-real-ip", "203.0.113.7"),
    ];
    let expected = [
        ("forwarded", "for=203.0.113.7"),
        ("forwarded", "for=10.1.2.3;host=\"karbor\";proto=http"),
        ("host", "karbor"),
        ("via", "1.1 karbor-admission"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-for", "10.1.2.3"),
        ("x-forwarded-host", "public"),
        ("x-forwarded-port", "443"),
        ("x-forwarded-proto", "https"),
        ("x-real-ip", "203.0.113.7"),
    ];
    assert_eq!(listed(&sent_by(&balancer, "/", &fields).headers), owned(&expected));
    let silent = sent_by(&balancer, "/", &[("host", "karbor")]).headers;
    assert_eq!(silent["x-forwarded-host"], "karbor");
    assert_eq!(silent["x-forwarded-proto"], "http");
}

/// K13 to K16: who a client is, Karbor learns from its token.
#[test]
fn forgets_what_any_client_says_of_itself() {
    let claims = [
        ("x-project-id", "p"),
        ("X-Roles", "admin"),
        ("x-roles", "twice"),
        ("openstack-system-scope", "all"),
        ("x-roles-2", "kept"),
    ];
    check_towards_karbor(&claims, &[("x-roles-2", "kept")]);
    check_towards_karbor(&[&[("connection", "x-roles-2")], &claims[..]].concat(), &[]);
    let balancer = peer("10.1.2.3:5", &["10.0.0.0/8"]);
    let headers = sent_by(&balancer, "/", &claims).headers;
    for name in IDENTITY {
        assert!(!headers.contains_key(&name), "{name}");
    }
    assert_eq!(headers["x-roles-2"], "kept");
}

#[test]
fn adds_itself_to_via() {
    check_towards_karbor(
        &[("via", "1.0 a"), ("via", "1.1 b")],
        &[("via", "1.0 a"), ("via", "1.1 b"), ("via", "1.1 karbor-admission")],
    );
}

#[test]
fn takes_the_host_of_an_absolute_target() {
    let client = peer("192.0.2.1:5", &[]);
    for (target, host) in
        [("/x", "named"), ("http://other:8799/x", "other:8799"), ("http://[::1]/x", "[::1]")]
    {
        let parts = sent_by(&client, target, &[("host", "named")]);
        assert_eq!(parts.uri, "/x");
        assert_eq!(parts.headers["host"], host);
        assert_eq!(parts.headers["x-forwarded-host"], host);
        let forwarded = format!("for=192.0.2.1;host=\"{host}\";proto=http");
        assert_eq!(parts.headers["forwarded"], forwarded);
        assert_eq!(parts.headers.get_all("host").iter().count(), 1);
    }
    // HTTP/1.0 may leave it out; `upstream` then names the endpoint.
    let parts = sent_by(&client, "/x", &[]);
    assert_eq!(parts.headers.get("host"), None);
    assert_eq!(parts.headers.get("x-forwarded-host"), None);
    assert_eq!(parts.headers["x-forwarded-for"], "192.0.2.1");
    assert_eq!(parts.headers["forwarded"], "for=192.0.2.1;proto=http");
}

#[test]
fn removes_hop_by_hop_fields_towards_the_client() {
    let kept =
        [("content-length", "5"), ("content-type", "application/json"), ("via", "1.1 k"), ("x-a", "b")];
    let mut answer = header_map(&[&HOP_BY_HOP[..], &kept].concat());
    headers::towards_client(&mut answer);
    // The length goes with the transfer coding beside it (RFC 9112, 6.3).
    assert_eq!(listed(&answer), owned(&kept[1..]));
    let mut answer = header_map(&kept);
    headers::towards_client(&mut answer);
    assert_eq!(listed(&answer), owned(&kept));
}

#[test]
fn refuses_tunnels_and_other_expectations() {
    #[track_caller]
    fn check(fields: Fields<'_>, expected: Result<(), Refusal>) {
        assert_eq!(headers::check(&header_map(fields)), expected, "{fields:?}");
    }
    check(&[("connection", "upgrade"), ("te", "trailers")], Ok(()));
    for value in ["websocket", "h2c", ""] {
        check(&[("upgrade", value), ("connection", "upgrade")], Err(Refusal::Upgrade));
    }
    for value in ["100-continue", "100-Continue"] {
        check(&[("expect", value)], Ok(()));
    }
    for value in ["", "200-ok", "100-continue, x", "100-continue;q=1", "100"] {
        check(&[("expect", value)], Err(Refusal::Expect));
    }
}

/// Facts, section 2, rows C01 to C42. Wider than Karbor in letter case and blanks, because a creation that is
/// admitted is sent on as `application/json`.
#[test]
fn knows_plain_json() {
    #[track_caller]
    fn check(fields: Fields<'_>, expected: bool) {
        assert_eq!(headers::is_plain_json(&header_map(fields)), expected, "{fields:?}");
    }
    for value in [
        "application/json",
        "application/json;",
        "application/json; charset=utf-8",
        "application/json; charset=utf-16",
        "application/json;charset=bogus",
        "application/json ;x=y",
        "application/json\t",
        "APPLICATION/JSON",
        "Application/Json",
    ] {
        check(&[("content-type", value)], true);
        for coding in ["", "identity", "Identity"] {
            check(&[("content-type", value), ("content-encoding", coding)], true);
        }
        for coding in ["gzip", "deflate", "x", "identity, gzip", "gzip, identity"] {
            check(&[("content-type", value), ("content-encoding", coding)], false);
            check(
                &[("content-type", value), ("content-encoding", "identity"), ("content-encoding", coding)],
                false,
            );
        }
    }
    for value in [
        "",
        ";",
        "; application/json",
        "text/plain",
        "text/json",
        "*/*",
        "application/*",
        "json",
        "application/vnd.openstack+json",
        "application/json-patch+json",
        "application/json+x",
        "application/jsonx",
        "application/x-json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json,text/plain",
        "text/plain, application/json",
        "application /json",
        "application/\u{a0}json",
    ] {
        check(&[("content-type", value)], false);
    }
    check(&[], false);
    check(&[("content-encoding", "identity")], false);
}
