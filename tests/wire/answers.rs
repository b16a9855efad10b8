//! The head of an answer: what `AnswerReader` takes and what it refuses, and whether another answer may follow.

use http::{HeaderMap, Method, StatusCode};
use httparse::Error;
use karbor_admission::wire::BadAnswer;

use crate::received::{HEAD_BYTES, receive_either_way};

/// The head that is read of `bytes`, which end with it.
#[track_caller]
fn head(bytes: &[u8]) -> Result<(StatusCode, HeaderMap), BadAnswer> {
    let received = receive_either_way(&Method::GET, bytes);
    match received.error {
        Some(error) => Err(error),
        None => {
            assert_eq!(received.rest, b"", "{}", bytes.escape_ascii());
            Ok(received.head.expect("a head"))
        }
    }
}

#[track_caller]
fn check_line(line: &[u8], expected: Result<u16, Error>) {
    let bytes = [line, b"\r\nContent-Length: 0\r\n\r\n"].concat();
    let status = head(&bytes).map(|(status, _)| status.as_u16());
    assert_eq!(status, expected.map_err(BadAnswer::Head), "{}", line.escape_ascii());
}

#[track_caller]
fn check_fields(fields: &[u8], expected: Result<&[(&str, &[u8])], Error>) {
    let read = head(&[b"HTTP/1.1 200 OK\r\n", fields, b"\r\n"].concat()).map(|(_, headers)| headers);
    let as_pairs = |headers: &HeaderMap| -> Vec<(String, Vec<u8>)> {
        headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
    };
    let expected = expected.map_err(BadAnswer::Head).map(|pairs| {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_vec())).collect::<Vec<_>>()
    });
    assert_eq!(read.as_ref().map(as_pairs).map_err(|&error| error), expected, "{}", fields.escape_ascii());
}

/// Refused with its last byte, and not before.
#[track_caller]
fn check_refused_at_once(bytes: &[u8], error: BadAnswer) {
    let text = bytes.escape_ascii();
    assert_eq!(receive_either_way(&Method::GET, bytes).error, Some(error), "{text}");
    let before = receive_either_way(&Method::GET, &bytes[..bytes.len() - 1]);
    assert_eq!(before.error, Some(BadAnswer::Closed), "too early: {text}");
}

/// What follows an answer without a body whose head has these lines: whether it may be another.
#[track_caller]
fn check_follows(version: &str, fields: &str, expected: bool) {
    for (length, method) in [("Content-Length: 0\r\n", Method::GET), ("", Method::HEAD)] {
        let bytes = format!("{version} 200 OK\r\n{fields}{length}\r\nHTTP/1.1 404");
        let received = receive_either_way(&method, bytes.as_bytes());
        assert_eq!((received.error, &received.rest[..]), (None, &b"HTTP/1.1 404"[..]), "{bytes:?}");
        assert_eq!(received.is_open, expected, "{bytes:?}");
    }
}

#[test]
fn refuses_another_protocol_at_its_first_byte() {
    let version = BadAnswer::Head(Error::Version);
    for bytes in [
        &b"\0"[..],
        b"\r",
        b"\n",
        b" ",
        b"h",
        b"<",
        b"{",
        b"\x15",
        b"\xff",
        b"GET",
        b"Hh",
        b"HTTP ",
        b"HTTP/2",
        b"HTTP/0",
        b"HTTP/1,",
        b"HTTP/1\r",
        b"HTTP/11",
        b"SSH-2.0",
        b"220 mail",
    ] {
        let odd = bytes.iter().zip(b"HTTP/1.").position(|(byte, due)| byte != due).unwrap();
        check_refused_at_once(&bytes[..=odd], version);
        assert_eq!(head(bytes), Err(version), "{}", bytes.escape_ascii());
    }
    // The same after an interim answer.
    check_refused_at_once(b"HTTP/1.1 100 Continue\r\n\r\n\r", version);
    check_refused_at_once(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/2", version);
}

#[test]
fn takes_two_versions() {
    check_line(b"HTTP/1.0 200 OK", Ok(200));
    check_line(b"HTTP/1.1 200 OK", Ok(200));
    for line in [
        &b"HTTP/1.2 200 OK"[..],
        b"HTTP/1.9 200 OK",
        b"HTTP/1. 200 OK",
        b"HTTP/1.10 200 OK",
        b"HTTP/1.1\t200 OK",
        b"HTTP/1.1",
        b"HTTP/1.x",
    ] {
        check_line(line, Err(Error::Version));
    }
}

#[test]
fn takes_statuses_of_three_digits() {
    for status in 200..1000 {
        check_line(format!("HTTP/1.1 {status} x").as_bytes(), Ok(status));
    }
    check_line(b"HTTP/1.1 101 Switching Protocols", Ok(101));
    for status in [
        "000", "001", "099", "20", "2", "", "2000", "0200", "+20", "-20", "2 0", "2x0", "20\u{b2}", " 200",
        "1e2", "0x1",
    ] {
        check_line(format!("HTTP/1.1 {status} OK").as_bytes(), Err(Error::Status));
    }
}

#[test]
fn reads_over_the_reason() {
    for reason in
        [&b""[..], b" ", b" OK", b"  OK ", b" Not\tFound", b" \xe9\xff", b" ~!:;{}", b" HTTP/1.1 404"]
    {
        check_line(&[b"HTTP/1.1 200", reason].concat(), Ok(200));
    }
    for reason in [&b"OK"[..], b"\tOK", b" O\0K", b" O\x7fK", b" O\x1bK", b" O\rK", b" OK\r", b":"] {
        check_line(&[b"HTTP/1.1 200", reason].concat(), Err(Error::Status));
    }
}

#[test]
fn reads_over_interim_answers() {
    let answer = "HTTP/1.1 200 OK\r\nX: y\r\n\r\n";
    for interim in [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 100\r\n\r\nHTTP/1.1 102 x\r\nA: b\r\n\r\nHTTP/1.0 199 x\r\n\r\n",
        // Nothing of theirs is held against the answer.
        "HTTP/1.1 103 x\r\nContent-Length: 5\r\nTransfer-Encoding: gzip\r\nConnection: close\r\n\r\n",
    ] {
        let (status, headers) = head(format!("{interim}{answer}").as_bytes()).unwrap();
        assert_eq!((status, headers.len()), (StatusCode::OK, 1));
        assert_eq!(head(interim.as_bytes()), Err(BadAnswer::Closed), "more must come");
        let received = receive_either_way(&Method::HEAD, format!("{interim}{answer}").as_bytes());
        assert!(received.is_open && received.ended_by_itself);
    }
    assert_eq!(head(b"HTTP/1.1 100 C\r\nX\r\n\r\n"), Err(BadAnswer::Head(Error::HeaderName)));
    // Another protocol would follow: whatever it is, it is the last.
    let received =
        receive_either_way(&Method::GET, b"HTTP/1.1 101 x\r\nContent-Length: 3\r\nUpgrade: y\r\n\r\nabc");
    assert_eq!((received.error, received.is_open, &received.rest[..]), (None, false, &b"abc"[..]));
    assert_eq!(received.head.unwrap().0, StatusCode::SWITCHING_PROTOCOLS);
}

#[test]
fn bounds_interim_answers() {
    let answer = "HTTP/1.1 200 OK\r\n\r\n";
    let interim = "HTTP/1.1 100\r\nX: 0123456789a\r\n\r\n";
    assert_eq!(HEAD_BYTES % interim.len(), 0);
    let many = interim.repeat(HEAD_BYTES / interim.len());
    assert!(head(format!("{many}{answer}").as_bytes()).is_ok());
    check_refused_at_once(format!("{many}HTTP/1.1 100\r\n\r\n").as_bytes(), BadAnswer::TooLong);
    // What they took is not taken from the head's own bound.
    let long = with_bytes(HEAD_BYTES);
    assert!(head(format!("{many}{long}").as_bytes()).is_ok());
}

/// A head of so many bytes.
fn with_bytes(bytes: usize) -> String {
    let (start, end) = ("HTTP/1.1 200 OK\r\nX: ", "\r\n\r\n");
    format!("{start}{}{end}", "y".repeat(bytes - start.len() - end.len()))
}

#[test]
fn bounds_the_head() {
    for bytes in [HEAD_BYTES - 1, HEAD_BYTES] {
        assert!(head(with_bytes(bytes).as_bytes()).is_ok(), "{bytes}");
    }
    let long = with_bytes(HEAD_BYTES + 1);
    check_refused_at_once(long.as_bytes(), BadAnswer::TooLong);
    check_refused_at_once(&with_bytes(2 * HEAD_BYTES).as_bytes()[..=HEAD_BYTES], BadAnswer::TooLong);
    // Beyond the bound nothing is judged.
    assert_eq!(head(format!("{}\n\n", &long[..HEAD_BYTES]).as_bytes()), Err(BadAnswer::TooLong));
}

#[test]
fn bounds_the_number_of_fields() {
    let fields = |count: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(count));
    for count in [0, 1, 99, 100] {
        assert_eq!(head(fields(count).as_bytes()).unwrap().1.len(), count);
    }
    assert_eq!(head(fields(101).as_bytes()), Err(BadAnswer::TooLong));
}

#[test]
fn takes_fields() {
    check_fields(b"", Ok(&[]));
    check_fields(
        b"Content-Type: application/json\r\nX: 1\r\n",
        Ok(&[("content-type", b"application/json"), ("x", b"1")]),
    );
    check_fields(b"X: 1\r\nx: 2\r\nX:3\r\n", Ok(&[("x", b"1"), ("x", b"2"), ("x", b"3")]));
    check_fields(b"A:\r\nB: \r\nC:\t \r\n", Ok(&[("a", b""), ("b", b""), ("c", b"")]));
    check_fields(b"X:\t a\tb  \xe9\xff:; \t\r\n", Ok(&[("x", b"a\tb  \xe9\xff:;")]));
    check_fields(b"!#$%&'*+-.^_`|~0aZ: y\r\n", Ok(&[("!#$%&'*+-.^_`|~0az", b"y")]));
}

#[test]
fn refuses_fields() {
    for fields in [
        &b"X\r\n"[..],
        b": y\r\n",
        b"X : y\r\n",
        b"X y: z\r\n",
        b"X\t: y\r\n",
        b"X@: y\r\n",
        b"\xe9: y\r\n",
        b"X\0: y\r\n",
        b"(: y\r\n",
        b"\"X\": y\r\n",
    ] {
        check_fields(fields, Err(Error::HeaderName));
    }
    // A line that goes on the one before it.
    for fields in [&b"X: y\r\n z\r\n"[..], b"X: y\r\n\tz\r\n", b"X:\r\n y\r\n", b" X: y\r\n", b"\tX: y\r\n"] {
        check_fields(fields, Err(Error::HeaderName));
    }
    for fields in [
        &b"X: \0\r\n"[..],
        b"X: a\x01\r\n",
        b"X: \x7f\r\n",
        b"X: \x0b\r\n",
        b"X: a\rb\r\n",
        b"X: a\r\r\n",
        b"X:\rY: z\r\n",
    ] {
        check_fields(fields, Err(Error::HeaderValue));
    }
    check_fields(b"X: y\r\n\rz\r\n", Err(Error::NewLine));
}

#[test]
fn takes_crlf_and_nothing_else_for_a_line_end() {
    let error = BadAnswer::Head(Error::NewLine);
    for bytes in [
        &b"HTTP/1.1 200 OK\n"[..],
        b"HTTP/1.1 200\n",
        b"HTTP/1.1 200 OK\r\nX: y\n",
        b"HTTP/1.1 200 OK\r\nX:\n",
        b"HTTP/1.1 200 OK\r\nX: y\r\n\n",
        b"HTTP/1.1 200 OK\r\n\n",
        b"HTTP/1.1 100 Continue\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\n",
    ] {
        check_refused_at_once(bytes, error);
        // Whatever follows, and whatever else is wrong.
        for more in [
            &b"\n"[..],
            b"\r\n",
            b"\r\n\r\n",
            b"\0\r\n\r\n",
            b"X: y\n\nabc\r\n\r\n",
            b"Content-Length: 0\r\n\r\n",
            with_bytes(HEAD_BYTES).as_bytes(),
        ] {
            assert_eq!(head(&[bytes, more].concat()), Err(error), "{}", bytes.escape_ascii());
        }
    }
    // Nothing is wrong with these yet.
    let whole = b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 0\r\n\r\n";
    for end in 0..whole.len() {
        assert_eq!(head(&whole[..end]), Err(BadAnswer::Closed), "{}", whole[..end].escape_ascii());
    }
    assert!(head(whole).is_ok());
}

#[test]
fn leaves_the_connection_open_where_that_is_said() {
    let (new, old) = ("HTTP/1.1", "HTTP/1.0");
    check_follows(new, "", true);
    check_follows(old, "", false);
    for (fields, of_new, of_old) in [
        ("Connection: close\r\n", false, false),
        ("connection: CLOSE\r\n", false, false),
        ("Connection:\tclose \r\n", false, false),
        ("Connection: x, close\r\n", false, false),
        ("Connection: x ,\tClose\t, y\r\n", false, false),
        ("Connection: x\r\nConnection: close\r\n", false, false),
        ("Connection: keep-alive\r\n", true, true),
        ("Connection: Keep-Alive\r\n", true, true),
        ("Connection: x,keep-alive,\r\n", true, true),
        ("Connection: keep-alive, close\r\n", false, false),
        ("Connection: close, keep-alive\r\n", false, false),
        ("Connection: close\r\nConnection: keep-alive\r\n", false, false),
        ("Connection: keep-alive\r\nConnection: close\r\n", false, false),
        ("Connection: closed\r\n", true, false),
        ("Connection: \"close\"\r\n", true, false),
        ("Connection: keep alive\r\n", true, false),
        ("Connection:\r\n", true, false),
        ("Connection: ,\r\n", true, false),
        ("Connection: x-close, not-keep-alive\r\n", true, false),
        ("Proxy-Connection: close\r\nKeep-Alive: timeout=5\r\n", true, false),
        ("Connection: \u{e9}, close\r\n", false, false),
    ] {
        check_follows(new, fields, of_new);
        check_follows(old, fields, of_old);
    }
}
