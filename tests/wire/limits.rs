//! Bounds of a head at n−1, n and n+1, whether it is complete or not.

use karbor_admission::wire::{HeadLimits, Refusal, read_head};

use crate::support::LIMITS;

/// Whether a head that is short of nothing is taken, and why not.
#[track_caller]
fn check(head: &str, limits: HeadLimits, expected: Result<(), Refusal>) {
    let read = read_head(head.as_bytes(), &limits);
    assert_eq!(read.map(|head| assert!(head.is_some(), "complete")), expected, "{limits:?}");
    // Followed by more, it is the same.
    let more = read_head(format!("{head}GET /").as_bytes(), &limits);
    assert_eq!(more.map(|head| assert!(head.is_some(), "complete")), expected, "{limits:?}");
}

#[test]
fn bounds_the_request_line() {
    let line = "GET /abc HTTP/1.1";
    for start in ["", "\r\n"] {
        let head = format!("{start}{line}\r\nHost: h\r\n\r\n");
        for (most, expected) in [
            (line.len() - 1, Err(Refusal::RequestLineTooLong)),
            (line.len(), Ok(())),
            (line.len() + 1, Ok(())),
        ] {
            check(&head, HeadLimits { request_line_bytes: most, ..LIMITS }, expected);
        }
    }
}

/// Refused as soon as it is certain, not when its end arrives.
#[test]
fn bounds_an_incomplete_request_line() {
    for (bytes, expected) in [(9, Ok(None)), (10, Ok(None)), (11, Err(Refusal::RequestLineTooLong))] {
        let limits = HeadLimits { request_line_bytes: 10, ..LIMITS };
        assert_eq!(read_head("G".repeat(bytes).as_bytes(), &limits), expected, "{bytes}");
        assert_eq!(read_head(format!("\r\n{}", "G".repeat(bytes)).as_bytes(), &limits), expected, "{bytes}");
    }
    let limits = HeadLimits { request_line_bytes: 10, ..LIMITS };
    assert_eq!(read_head(b"GGGGGGGGGG\r", &limits), Ok(None));
    assert_eq!(read_head(b"GGGGGGGGGGG\r", &limits), Err(Refusal::RequestLineTooLong));
    // The bound comes before what stands in the line.
    assert_eq!(
        read_head(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", &limits),
        Err(Refusal::RequestLineTooLong)
    );
}

#[test]
fn bounds_the_head() {
    for start in ["", "\r\n"] {
        for fields in ["Host: h\r\n", "Host: h\r\nX: y\r\nLonger: value\r\n"] {
            let head = format!("{start}GET / HTTP/1.1\r\n{fields}\r\n");
            for (most, expected) in [
                (head.len() - 1, Err(Refusal::HeadTooLarge)),
                (head.len() - 2, Err(Refusal::HeadTooLarge)),
                (head.len(), Ok(())),
                (head.len() + 1, Ok(())),
            ] {
                check(&head, HeadLimits { head_bytes: most, ..LIMITS }, expected);
            }
        }
    }
}

#[test]
fn bounds_an_incomplete_head() {
    let head = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}", "y".repeat(100));
    let limits = HeadLimits { head_bytes: 60, ..LIMITS };
    for end in 0..=head.len() {
        let expected = if end <= 60 { Ok(None) } else { Err(Refusal::HeadTooLarge) };
        assert_eq!(read_head(&head.as_bytes()[..end], &limits), expected, "{end}");
    }
}

/// Beyond the bound nothing is judged, so that the refusal is the same however the bytes arrive.
#[test]
fn judges_nothing_beyond_the_bound() {
    let limits = HeadLimits { head_bytes: 40, ..LIMITS };
    for tail in ["\n", "\r", "\rx", "\n\r\n", "\r\n\r\n", "\u{b}\r\n", "_\r\n"] {
        let head = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}{tail}", "y".repeat(30));
        assert_eq!(read_head(head.as_bytes(), &limits), Err(Refusal::HeadTooLarge), "{tail:?}");
    }
}

#[test]
fn bounds_the_number_of_fields() {
    for (fields, expected) in [(9, Ok(())), (10, Ok(())), (11, Err(Refusal::HeadTooLarge))] {
        let head = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(fields - 1));
        check(&head, HeadLimits { fields: 10, ..LIMITS }, expected);
    }
}
