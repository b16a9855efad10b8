//! Where an answer ends: framing, bodies by length, in chunks and up to the end, and a connection that breaks off.

use bytes::BytesMut;
use http::Method;
use karbor_admission::wire::{AnswerReader, BadAnswer};

use crate::received::{receive, receive_either_way};
use crate::support::MALFORMED_CHUNKS;

/// Another answer, or whatever comes behind.
const NEXT: &str = "HTTP/1.1 404 x\r\n\r\n";

/// What is read of `body` after a head with these lines: data, and what is left for the next.
#[track_caller]
fn check(method: &Method, head: &str, body: &str, expected: Result<(&str, &str), BadAnswer>) {
    let bytes = format!("{head}\r\n\r\n{body}");
    let received = receive_either_way(method, bytes.as_bytes());
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let read = received.error.map_or(Ok((text(&received.data), text(&received.rest))), Err);
    assert_eq!(read, expected.map(|(data, rest)| (data.to_owned(), rest.to_owned())), "{method} {bytes:?}");
}

/// The same body, which is one to GET and none to HEAD, nor with a status that has none.
#[track_caller]
fn check_framing(
    version: &str,
    fields: &str,
    body: &str,
    to_get: Result<(&str, &str), BadAnswer>,
    without: Result<(), BadAnswer>,
) {
    check(&Method::GET, &format!("{version} 200 OK{fields}"), body, to_get);
    let without = without.map(|()| ("", body));
    check(&Method::HEAD, &format!("{version} 200 OK{fields}"), body, without);
    for status in [204, 304] {
        check(&Method::GET, &format!("{version} {status} x{fields}"), body, without);
    }
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked";

#[track_caller]
fn check_chunks(body: &str, data: &str) {
    for next in ["", NEXT, "\r\n"] {
        check(&Method::GET, CHUNKED, &format!("{body}{next}"), Ok((data, next)));
    }
    // Before its last byte it has not ended.
    for end in 0..body.len() {
        let bytes = [CHUNKED.as_bytes(), b"\r\n\r\n", &body.as_bytes()[..end]].concat();
        let received = receive_either_way(&Method::GET, &bytes);
        assert_eq!(received.error, Some(BadAnswer::Closed), "{:?}", &bytes.escape_ascii().to_string());
        assert!(data.as_bytes().starts_with(&received.data));
    }
}

/// Refused for its last byte.
#[track_caller]
fn check_bad_chunks(body: &str) {
    for more in ["", "x", "\r\n\r\n", "0\r\n\r\n"] {
        check(&Method::GET, CHUNKED, &format!("{body}{more}"), Err(BadAnswer::Chunk));
    }
    let bytes = [CHUNKED.as_bytes(), b"\r\n\r\n", body.as_bytes()].concat();
    let before = receive(&Method::GET, [&bytes[..bytes.len() - 1]]);
    assert_eq!(before.error, Some(BadAnswer::Closed), "too early: {body:?}");
}

#[test]
fn reads_as_much_as_the_length_says() {
    for (length, data, rest) in [
        ("0", "", "abcHTTP/1.1 404 x\r\n\r\n"),
        ("1", "a", "bcHTTP/1.1 404 x\r\n\r\n"),
        ("3", "abc", NEXT),
        ("003", "abc", NEXT),
        ("  3\t", "abc", NEXT),
    ] {
        let fields = format!("\r\nContent-Length:{length}");
        for version in ["HTTP/1.1", "HTTP/1.0"] {
            check_framing(version, &fields, &format!("abc{NEXT}"), Ok((data, rest)), Ok(()));
        }
    }
    let whole = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", NEXT.len(), NEXT);
    let received = receive_either_way(&Method::GET, whole.as_bytes());
    assert!(received.ended_by_itself && received.is_open && received.data == NEXT.as_bytes());
    for end in 0..whole.len() {
        let received = receive_either_way(&Method::GET, &whole.as_bytes()[..end]);
        assert_eq!(received.error, Some(BadAnswer::Closed), "{end}");
    }
}

/// Whatever two readers may read otherwise. Where there is no body, only what is said twice is one too many.
#[test]
fn refuses_to_guess_a_length() {
    let bad = Err(BadAnswer::Framing);
    for length in [
        "",
        "+3",
        "-3",
        "3.0",
        "3 3",
        "3,3",
        "3, 3",
        "3,",
        "0x3",
        "3a",
        "a",
        "\"3\"",
        "3;",
        "\u{b3}",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "18446744073709551619",
        "99999999999999999999999",
    ] {
        check_framing("HTTP/1.1", &format!("\r\nContent-Length: {length}"), "abc", bad, Ok(()));
    }
    for second in ["3", "4", "", "0"] {
        let fields = format!("\r\nContent-Length: 3\r\nX: y\r\ncontent-length: {second}");
        check_framing("HTTP/1.1", &fields, "abc", bad, Err(BadAnswer::Framing));
    }
    // The largest that is one.
    check(
        &Method::GET,
        "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807",
        "abc",
        Err(BadAnswer::Closed),
    );
}

#[test]
fn takes_one_coding() {
    let (chunks, bad) = ("3\r\nabc\r\n0\r\n\r\n", Err(BadAnswer::Framing));
    for coding in ["chunked", "Chunked", "CHUNKED", "\tchunked "] {
        let fields = format!("\r\nTransfer-Encoding:{coding}");
        check_framing("HTTP/1.1", &fields, chunks, Ok(("abc", "")), Ok(()));
        // HTTP/1.0 has no codings.
        check_framing("HTTP/1.0", &fields, chunks, bad, Ok(()));
        check_framing("HTTP/1.1", &format!("{fields}\r\nContent-Length: 3"), chunks, bad, Ok(()));
        check_framing("HTTP/1.1", &format!("\r\nContent-Length: 0{fields}"), chunks, bad, Ok(()));
        check_framing("HTTP/1.1", &format!("{fields}{fields}"), chunks, bad, Err(BadAnswer::Framing));
        check_framing(
            "HTTP/1.1",
            &format!("{fields}\r\nTransfer-Encoding: gzip"),
            chunks,
            bad,
            Err(BadAnswer::Framing),
        );
    }
    for coding in [
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        "chunked,",
        ",chunked",
        "gzip",
        "identity",
        "",
        "xchunked",
        "chunkedx",
        "chunked;q=1",
        "\"chunked\"",
        "chun ked",
        "chunked\u{a0}",
    ] {
        let fields = format!("\r\nTransfer-Encoding: {coding}");
        check_framing("HTTP/1.1", &fields, chunks, bad, Ok(()));
        check_framing("HTTP/1.0", &fields, chunks, bad, Ok(()));
    }
    // What only looks like one.
    check_framing(
        "HTTP/1.1",
        "\r\nTransfer_Encoding: chunked\r\nContent-Length: 1",
        chunks,
        Ok(("3", &chunks[1..])),
        Ok(()),
    );
    check_framing(
        "HTTP/1.1",
        "\r\nX-Transfer-Encoding: chunked\r\nContent-Length: 1",
        chunks,
        Ok(("3", &chunks[1..])),
        Ok(()),
    );
}

/// Nothing says where it ends: the end of the connection does, and there is no next.
#[test]
fn reads_to_the_end_where_nothing_else_is_said() {
    for version in ["HTTP/1.1", "HTTP/1.0"] {
        for body in ["", "a", NEXT, "0\r\n\r\n"] {
            check_framing(version, "\r\nConnection: keep-alive", body, Ok((body, "")), Ok(()));
            let bytes = format!("{version} 200 OK\r\nConnection: keep-alive\r\n\r\n{body}");
            let received = receive_either_way(&Method::GET, bytes.as_bytes());
            assert!(!received.is_open && !received.ended_by_itself);
        }
    }
}

#[test]
fn nothing_follows_where_a_body_is_named_that_must_not_be() {
    for (status, field, expected) in [
        (204, "X: y", true),
        (204, "Content-Length: 0", true),
        (204, "Content-Length: 5", false),
        (204, "Content-Length: x", false),
        (204, "Transfer-Encoding: chunked", false),
        (304, "Content-Length: 5", true),
        (304, "Transfer-Encoding: chunked", true),
        (101, "Connection: keep-alive", false),
    ] {
        let bytes = format!("HTTP/1.1 {status} x\r\n{field}\r\n\r\n");
        let received = receive_either_way(&Method::GET, bytes.as_bytes());
        assert_eq!((received.error, received.is_open), (None, expected), "{bytes:?}");
    }
}

#[test]
fn reads_chunks() {
    for (body, data) in [
        ("0\r\n\r\n", ""),
        ("000\r\n\r\n", ""),
        ("5\r\nabcde\r\n0\r\n\r\n", "abcde"),
        ("1\r\na\r\n2\r\nbc\r\n00\r\n\r\n", "abc"),
        ("A\r\n0123456789\r\n0b\r\nabcdefghijk\r\n0\r\n\r\n", "0123456789abcdefghijk"),
        // Data is not looked at.
        ("a\r\n0\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n0\r\n\r\n"),
        ("2\r\n\r\n\r\n1\r\n\n\r\n0\r\n\r\n", "\r\n\n"),
        ("1;\r\na\r\n0;x=y\r\n\r\n", "a"),
        ("1;a;b=c;d=\"e\u{e9}f\t\"\r\na\r\n0\r\n\r\n", "a"),
        ("1\r\na\r\n0\r\nX: y\r\nZ:\r\n\r\n", "a"),
        ("0\r\nContent-Length: 5\r\nTransfer-Encoding: gzip\r\n\r\n", ""),
        ("000000000000001\r\na\r\n000000000000000\r\n\r\n", "a"),
    ] {
        check_chunks(body, data);
    }
}

#[test]
fn refuses_malformed_chunks() {
    for body in MALFORMED_CHUNKS {
        check_bad_chunks(body);
        check_bad_chunks(&format!("2\r\nab\r\n{body}"));
    }
    // What came before the fault has come.
    let bytes = format!("{CHUNKED}\r\n\r\n2\r\nab\r\n1\r\nc\r\nx");
    assert_eq!(receive_either_way(&Method::GET, bytes.as_bytes()).data, b"abc");
}

#[test]
fn bounds_what_is_read_over_in_chunks() {
    check_chunks(&format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(256)), "a");
    check_bad_chunks(&format!("1;{}", "x".repeat(257)));
    check_chunks(&format!("0\r\n{}\r\n", "A: b\r\n".repeat(100)), "");
    check_bad_chunks(&format!("0\r\n{}A", "A: b\r\n".repeat(100)));
    check_bad_chunks(&format!("0\r\nA:{}", "x".repeat(8191)));
}

/// What is to come, after the head and after some of the body.
#[test]
fn knows_what_is_left() {
    for (fields, body, at_first, then) in [
        ("Content-Length: 5", "ab", Some(5), Some(3)),
        ("Content-Length: 5", "abcdefg", Some(5), Some(0)),
        ("Content-Length: 0", "ab", Some(0), Some(0)),
        ("Transfer-Encoding: chunked", "5\r\nab", None, None),
        ("Transfer-Encoding: chunked", "0\r\n\r\n", None, Some(0)),
        ("X: y", "ab", None, None),
    ] {
        let mut reader = AnswerReader::to(&Method::GET);
        let mut input = BytesMut::from(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n").as_bytes());
        assert_eq!((reader.left(), reader.is_ended()), (None, false));
        assert!(reader.head(&mut input).unwrap().is_some());
        assert_eq!((reader.left(), input.len()), (at_first, 0), "{fields}");
        assert_eq!(reader.data(&mut input), Ok(None), "nothing is there");
        input.extend_from_slice(body.as_bytes());
        while reader.data(&mut input).unwrap().is_some() {}
        assert_eq!(reader.left(), then, "{fields}");
        assert_eq!(
            (reader.is_ended(), reader.leaves_it_open()),
            (then == Some(0), then == Some(0)),
            "{fields}"
        );
        let is_known = then == Some(0) || fields == "X: y";
        assert_eq!(reader.close(), if is_known { Ok(()) } else { Err(BadAnswer::Closed) }, "{fields}");
        assert!(!reader.leaves_it_open());
    }
}
