//! Requests in a row: bodies by length and in chunks, and where the next head begins.

use karbor_admission::wire::{Refusal, Refused};

use crate::support::{LIMITS, MALFORMED_CHUNKS, Sent, send};

const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

fn with_length(length: usize) -> String {
    format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n")
}

/// Sent at once, and byte by byte.
#[track_caller]
fn check(bytes: &str, expected: &Sent) {
    assert_eq!(&send([bytes.as_bytes()], LIMITS), expected, "at once: {bytes:?}");
    assert_eq!(&send(bytes.as_bytes().chunks(1), LIMITS), expected, "byte by byte: {bytes:?}");
}

/// All of it is handed on, and it ends where a request ends.
#[track_caller]
fn check_whole(bytes: &str, requests: u64) {
    check(bytes, &Sent { sound: bytes.len(), refusal: None, requests, between_requests: true });
}

/// All of it is handed on, and more must come.
#[track_caller]
fn check_open(bytes: &str, requests: u64) {
    check(bytes, &Sent { sound: bytes.len(), refusal: None, requests, between_requests: false });
}

/// A chunked body that is refused for its last byte.
#[track_caller]
fn check_refused_at_end(body: &str) {
    let bytes = format!("{GET}{CHUNKED}{body}");
    let refusal = Some(Refused::Body(Refusal::Chunk));
    let sent = send(bytes.as_bytes().chunks(1), LIMITS);
    let expected = Sent { sound: bytes.len() - 1, refusal, requests: 2, between_requests: false };
    assert_eq!(sent, expected, "byte by byte: {body:?}");
    // Of a body that arrives with its fault in it, nothing need be handed on; of what came before, all.
    let sent = send([bytes.as_bytes()], LIMITS);
    assert_eq!((sent.refusal, sent.requests), (refusal, 2), "at once: {body:?}");
    assert!((GET.len() + CHUNKED.len()..bytes.len()).contains(&sent.sound), "at once: {body:?}");
}

#[test]
fn follows_requests_without_a_body() {
    check_whole("", 0);
    check_whole(GET, 1);
    check_whole(&GET.repeat(50), 50);
    check_whole(&format!("{GET}\r\n{GET}"), 2);
    check_whole(&format!("{}{GET}", with_length(0)), 2);
    let sound = GET.len();
    let half = Sent { sound, refusal: None, requests: 1, between_requests: true };
    check(&format!("{GET}GET / HTTP/1.1\r\nHost: h\r\n"), &half);
    check(&format!("{GET}\r\n"), &half);
}

#[test]
fn follows_bodies_by_length() {
    for length in [1, 2, 100] {
        let head = with_length(length);
        check_open(&head, 1);
        check_open(&format!("{head}{}", "b".repeat(length - 1)), 1);
        check_whole(&format!("{head}{}", "b".repeat(length)), 1);
        check_whole(&format!("{head}{}{GET}", "b".repeat(length)), 2);
    }
    // H74: what looks like a request is one only where the body has ended.
    check_whole(&format!("{}{GET}{GET}", with_length(GET.len())), 2);
    let longest = format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{GET}", u64::MAX >> 1);
    check_open(&longest, 1);
}

#[test]
fn follows_bodies_in_chunks() {
    for body in [
        "0\r\n\r\n",
        "5\r\nabcde\r\n0\r\n\r\n",
        "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
        "000\r\n\r\n",
        "00A\r\n0123456789\r\n0\r\n\r\n",
        "a\r\n0\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n",
        "c\r\nGET / HTTP/1\r\n0\r\n\r\n",
        "0;\r\n\r\n",
        "1;a;b=c;d=\"e\u{e9}f\t\"\r\na\r\n0;x\r\n\r\n",
        "0\r\nX: y\r\n\r\n",
        "0\r\nX:\r\nExpires-X_!#$%&'*+.^`|~: a b\t\r\n\r\n",
    ] {
        check_whole(&format!("{CHUNKED}{body}"), 1);
        check_whole(&format!("{CHUNKED}{body}{GET}{CHUNKED}{body}"), 3);
        for end in 0..body.len() {
            if body.is_char_boundary(end) {
                check_open(&format!("{CHUNKED}{}", &body[..end]), 1);
            }
        }
    }
}

/// H01 to H20, and what differs between readers: bare line ends, white space, signs, prefixes.
#[test]
fn refuses_malformed_chunks() {
    for body in MALFORMED_CHUNKS {
        check_refused_at_end(body);
    }
}

#[test]
fn bounds_the_digits_of_a_size() {
    check_open(&format!("{CHUNKED}{}", "f".repeat(15)), 1);
    check_open(&format!("{CHUNKED}{}\r\nabc", "f".repeat(15)), 1);
    check_whole(&format!("{CHUNKED}000000000000001\r\na\r\n000000000000000\r\n\r\n"), 1);
    check_refused_at_end(&"0".repeat(16));
    check_refused_at_end(&"f".repeat(16));
}

/// The first bound is on each chunk, `;` apart.
#[test]
fn bounds_extensions() {
    for bytes in [255, 256] {
        let chunk = format!("1;{}\r\na\r\n", "x".repeat(bytes));
        check_whole(&format!("{CHUNKED}{}0\r\n\r\n", chunk.repeat(3)), 1);
    }
    check_refused_at_end(&format!("1;{}", "x".repeat(257)));
}

/// The second is on all of a body, `;` included: hyper has one, and ends the connection without a fault.
#[test]
fn bounds_all_extensions_of_a_body() {
    let chunks = format!("1;{}\r\na\r\n", "x".repeat(127)).repeat(63);
    for bytes in [126, 127] {
        let body = format!("{chunks}1;{}\r\na\r\n0\r\n\r\n", "x".repeat(bytes));
        check_whole(&format!("{CHUNKED}{body}{CHUNKED}{body}"), 2);
    }
    check_refused_at_end(&format!("{chunks}1;{}", "x".repeat(128)));
    check_refused_at_end(&format!("{chunks}1;{}\r\na\r\n1;", "x".repeat(127)));
}

/// As many as there may be fields: hyper counts them so.
#[test]
fn bounds_the_number_of_trailers() {
    for trailers in [99, 100] {
        check_whole(&format!("{CHUNKED}0\r\n{}\r\n", "A: b\r\n".repeat(trailers)), 1);
    }
    check_refused_at_end(&format!("0\r\n{}A", "A: b\r\n".repeat(100)));
}

/// The bound is on all trailers together, line ends apart.
#[test]
fn bounds_trailers() {
    let trailers =
        |bytes: usize| format!("0\r\nA: {}\r\nB: {}", "x".repeat(1000), "y".repeat(bytes - 1000 - 6));
    for bytes in [8191, 8192] {
        check_whole(&format!("{CHUNKED}{}\r\n\r\n", trailers(bytes)), 1);
    }
    check_refused_at_end(&trailers(8193));
    check_refused_at_end(&format!("0\r\n{}", "n".repeat(8193)));
}

#[test]
fn refuses_a_head_after_sound_requests() {
    for (head, refusal) in [
        ("GET / HTTP/1.1\nHost: h\r\n\r\n", Refusal::RequestLine),
        ("GET / HTTP/1.1\r\nX_Y: z\r\n\r\n", Refusal::FieldName),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            Refusal::LengthAndChunked,
        ),
    ] {
        for before in [String::new(), GET.repeat(3), format!("{CHUNKED}0\r\n\r\n{}ab", with_length(2))] {
            let requests = before.matches("HTTP/1.1").count() as u64;
            let refusal = Some(Refused::Head(refusal));
            let sound = before.len();
            let expected = Sent { sound, refusal, requests, between_requests: false };
            check(&format!("{before}{head}"), &expected);
            check(&format!("{before}{head}{GET}"), &expected);
        }
    }
    // D1: with the underscore refused there is no second request to see.
    let smuggled =
        format!("GET / HTTP/1.1\r\nTransfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{GET}");
    let refusal = Some(Refused::Head(Refusal::FieldName));
    check(&smuggled, &Sent { sound: 0, refusal, requests: 0, between_requests: false });
}
