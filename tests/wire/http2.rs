//! Heads of HTTP/2, held to the rows of `heads`: whatever HTTP/1.1 refuses is refused under the same code.

use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Uri, Version};
use karbor_admission::wire::{HeadLimits, Look, Refusal, Refused, RequestStream, as_in_http1, check_http2};

use crate::support::LIMITS;

/// A head as the library hands it on: `:scheme`, `:authority` and `:path` as one URI.
fn head(method: &str, uri: &str, fields: &[(&str, &[u8])]) -> Parts {
    let mut request = Request::new(());
    *request.version_mut() = Version::HTTP_2;
    *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
    *request.uri_mut() = Uri::try_from(uri).unwrap();
    let field = |&(name, value): &(&str, &[u8])| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value).unwrap())
    };
    *request.headers_mut() = fields.iter().map(field).collect::<HeaderMap>();
    request.into_parts().0
}

fn get(fields: &[(&str, &[u8])]) -> Parts {
    head("GET", "https://h.test/x", fields)
}

#[track_caller]
fn takes(parts: &Parts) {
    assert_eq!(check_http2(parts, &LIMITS), Ok(()), "{parts:?}");
}

#[track_caller]
fn refuses(parts: &Parts, refusal: Refusal) {
    assert_eq!(check_http2(parts, &LIMITS), Err(refusal), "{parts:?}");
}

/// Rule 1.
#[test]
fn takes_methods_that_are_short_tokens() {
    for method in ["GET", "POST", "get", "M-SEARCH", "!#$%&'*+-.^_`|~", &"M".repeat(32)] {
        takes(&head(method, "https://h/", &[]));
    }
    refuses(&head(&"M".repeat(33), "https://h/", &[]), Refusal::RequestLine);
    refuses(&head("CONNECT", "h:443", &[]), Refusal::Connect);
    // Extended (RFC 8441).
    refuses(&head("CONNECT", "https://h/x", &[]), Refusal::Connect);
}

/// Rule 2. The library's own reader takes what we do not, and refuses the rest before us.
#[test]
fn takes_paths_of_uri_characters() {
    let every = "/-._~!$&'()*+,;=:@/?%[]azAZ09";
    for path in [every, "/", "//", "/?", "/%"] {
        takes(&head("GET", &format!("http://h{path}"), &[]));
    }
    for byte in (0x21..=u8::MAX).filter(|byte| *byte != b'#') {
        let uri = [b"http://h/", &[byte][..]].concat();
        let Ok(uri) = Uri::try_from(&uri[..]) else { continue };
        let mut parts = head("GET", "http://h/", &[]);
        parts.uri = uri;
        if every.as_bytes().contains(&byte) || byte.is_ascii_alphanumeric() {
            takes(&parts);
        } else {
            refuses(&parts, Refusal::TargetByte);
        }
    }
    for uri in ["ftp://h/x", "*", "h"] {
        refuses(&head("OPTIONS", uri, &[("host", b"h")]), Refusal::TargetForm);
    }
}

/// Rule 3; the same bounds as in `limits`.
#[test]
fn bounds_the_line_and_the_head() {
    let limits = HeadLimits { request_line_bytes: 40, head_bytes: 100, fields: 3 };
    let check = |parts: Parts, expected| assert_eq!(check_http2(&parts, &limits), expected, "{parts:?}");
    // `GET /xxx HTTP/1.1` is 40 bytes with a target of 27.
    let target = |bytes: usize| format!("http://h/{}", "x".repeat(bytes - 1));
    check(head("GET", &target(27), &[]), Ok(()));
    check(head("GET", &target(28), &[]), Err(Refusal::RequestLineTooLong));
    // `GET / HTTP/1.1`, `host: h` and the empty line are 27 bytes with their ends; `a: ` and its end 5.
    let value = [b'v'; 100];
    check(head("GET", "http://h/", &[("a", &value[..68])]), Ok(()));
    check(head("GET", "http://h/", &[("a", &value[..69])]), Err(Refusal::HeadTooLarge));
    let field = ("a", &b""[..]);
    check(head("GET", "http://h/", &[field; 2]), Ok(()));
    check(head("GET", "http://h/", &[field; 3]), Err(Refusal::HeadTooLarge));
    check(head("GET", "http://h/", &[("host", b"h"), field, field]), Ok(()));
}

/// Rule 4; D1, D2, D17.
#[test]
fn takes_field_names_of_letters_digits_and_hyphens() {
    for byte in 0..=u8::MAX {
        let Ok(name) = HeaderName::from_bytes(&[b'x', byte, b'y']) else { continue };
        let parts = get(&[(name.as_str(), b"v")]);
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            takes(&parts);
        } else {
            refuses(&parts, Refusal::FieldName);
        }
    }
    for name in ["transfer_encoding", "x_auth_token", "content_length", "x_project_id"] {
        refuses(&get(&[(name, b"1")]), Refusal::FieldName);
    }
}

/// Rule 4; C41 to C46.
#[test]
fn takes_field_values_without_control_characters() {
    for byte in 0..=u8::MAX {
        let Ok(value) = HeaderValue::from_bytes(&[b'a', byte, b'b']) else {
            assert!(byte != b'\t' && (byte < 0x20 || byte == 0x7f), "{byte}");
            continue;
        };
        takes(&get(&[("x", value.as_bytes())]));
    }
    takes(&get(&[("x", b"")]));
    for value in [&b" a"[..], b"a ", b"\ta", b"a\t", b" "] {
        refuses(&get(&[("x", value)]), Refusal::FieldValue);
    }
}

/// Rule 5; D14 to D16, H22 to H29.
#[test]
fn takes_some_fields_once() {
    for (name, value) in [
        ("host", &b"h.test"[..]),
        ("content-length", b"7"),
        ("content-type", b"application/json"),
        ("expect", b"100-continue"),
        ("x-auth-token", b"t"),
    ] {
        takes(&get(&[(name, value)]));
        refuses(&get(&[(name, value), (name, value)]), Refusal::FieldRepeated);
        refuses(&get(&[(name, value), ("x", b"y"), (name, value)]), Refusal::FieldRepeated);
    }
    for name in ["accept", "via", "cookie", "x-forwarded-for"] {
        takes(&get(&[(name, b"a"), (name, b"a"), (name, b"a")]));
    }
    for length in ["0", "1", "000100", "9223372036854775807"] {
        takes(&get(&[("content-length", length.as_bytes())]));
    }
    for length in
        ["", "+1", "-1", "1_00", "0x1", "1.0", "1e2", "1, 1", "1,1", "9223372036854775808", "1;1", "1 1"]
    {
        refuses(&get(&[("content-length", length.as_bytes())]), Refusal::ContentLength);
    }
}

/// Rule 6. The library refuses most of them before us; we do not rest on that.
#[test]
fn refuses_fields_about_the_connection() {
    for name in ["connection", "keep-alive", "proxy-connection", "http2-settings"] {
        refuses(&get(&[(name, b"x")]), Refusal::ConnectionField);
    }
    refuses(&get(&[("transfer-encoding", b"chunked")]), Refusal::TransferEncoding);
    refuses(&get(&[("upgrade", b"h2c")]), Refusal::Upgrade);
    takes(&get(&[("te", b"trailers")]));
    for other in [&b"gzip"[..], b"trailers, gzip", b"Trailers", b""] {
        refuses(&get(&[("te", other)]), Refusal::ConnectionField);
    }
}

/// Rule 7; H30 to H39.
#[test]
fn takes_one_host() {
    for host in ["h", "h.test", "h.test:80", "h:", "192.0.2.1:1", "[::1]", "[::1]:80", "a-b_c~d"] {
        takes(&head("GET", "/x", &[("host", host.as_bytes())]));
        if let Ok(uri) = Uri::try_from(format!("http://{host}/")) {
            let mut parts = get(&[]);
            parts.uri = uri;
            takes(&parts);
        }
    }
    for host in ["", "h h", "h/", "u@h", "h,h", "h:x", "[::1", "::1", "h%41", "[x]"] {
        refuses(&head("GET", "/x", &[("host", host.as_bytes())]), Refusal::Host);
    }
    for uri in ["http://u@h/", "http://u:p@h/", "http://h!/"] {
        refuses(&head("GET", uri, &[]), Refusal::Host);
    }
    takes(&get(&[("host", b"h.test")]));
    takes(&get(&[("host", b"H.TEST")]));
    for other in [&b"h"[..], b"h.test:443", b"other.test"] {
        refuses(&get(&[("host", other)]), Refusal::Host);
    }
}

#[test]
fn makes_of_it_what_http1_would_have() {
    let mut parts = get(&[("cookie", b"a=1"), ("x", b"y"), ("cookie", b"b=2")]);
    as_in_http1(&mut parts);
    assert_eq!(parts.uri, "/x");
    assert_eq!(parts.headers["host"], "h.test");
    assert_eq!(parts.headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2"]);
    assert_eq!(parts.headers["x"], "y");
    let mut parts = head("GET", "http://h.test/x?y=z", &[("host", b"H.test"), ("cookie", b"a=1")]);
    as_in_http1(&mut parts);
    assert_eq!(parts.uri, "/x?y=z");
    assert_eq!(parts.headers.get_all("host").iter().collect::<Vec<_>>(), ["h.test"]);
    assert_eq!(parts.headers["cookie"], "a=1");
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[test]
fn the_preface_is_known_where_it_may_stand() {
    let preface = Look { sound: 0, refusal: Some(Refused::Preface) };
    let waits = Look { sound: 0, refusal: None };
    for end in 1..PREFACE.len() {
        assert_eq!(RequestStream::or_http2(LIMITS).look(&PREFACE[..end]), waits, "{end}");
    }
    assert_eq!(RequestStream::or_http2(LIMITS).look(PREFACE), preface);
    assert_eq!(RequestStream::or_http2(LIMITS).look(&[PREFACE, b"more"].concat()), preface);
    let refused = Some(Refused::Head(Refusal::RequestLine));
    // Not asked for; not the preface; not at the beginning.
    assert_eq!(RequestStream::new(LIMITS).look(PREFACE).refusal, refused);
    let almost = [&PREFACE[..PREFACE.len() - 3], b"X\r\n"].concat();
    assert_eq!(RequestStream::or_http2(LIMITS).look(&almost).refusal, refused);
    let mut stream = RequestStream::or_http2(LIMITS);
    let get = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let look = stream.look(&[get, PREFACE].concat());
    assert_eq!((look.sound, look.refusal), (get.len(), refused));
}
