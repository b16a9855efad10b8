//! What holds for any bytes, and however they arrive.

use std::fmt::Debug;

use http::{HeaderName, HeaderValue, Method, Uri};
use karbor_admission::wire::{Framing, Head, HeadLimits, Refused, TraceParent, read_head};
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::{Index, select};

use crate::support::{LIMITS, read, send};

/// What heads and bodies are made of, and what they must not be made of.
const TOKENS: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"POST /x?y HTTP/1.1\r\nHost: h\r\n",
    b"GET http://h:1/x HTTP/1.0\r\n",
    b"Host: h\r\n",
    b"Content-Length: 3\r\n",
    b"Content-Length: 03\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"X-Auth-Token: t\r\n",
    b"X-Long: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n",
    b"X:\t a b \xff\t\r\n",
    b"\r\n",
    b"\r\n",
    b"\r",
    b"\n",
    b" ",
    b":",
    b"_",
    b"abc",
    b"0\r\n\r\n",
    b"3\r\nabc\r\n",
    b"1;x=y\r\nz\r\n",
    b"0\r\nA: b\r\n\r\n",
    b"fffffffffffffff\r\n",
    b"\0",
    b"\x80",
];

fn near_requests() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(select(TOKENS), 0..16).prop_map(|tokens| tokens.concat())
}

/// A head with nothing wrong in it, or next to nothing.
fn near_head() -> impl Strategy<Value = Vec<u8>> {
    let target = prop_oneof![
        4 => "/[!-~]{0,12}",
        2 => "/[a-z/?=&%.]{0,20}",
        1 => "https?://[a-z:.0-9\\[\\]]{0,8}[/?]?[a-z]{0,3}",
        1 => "[!-~]{0,6}",
        1 => "[a-z0-9:.\\[\\]]{1,8}",
    ];
    let value = prop_oneof![3 => "[ -~]{0,12}", 1 => "[ \t]{0,2}[!-~é]{0,4}[ \t]{0,2}"];
    let field = prop_oneof![
        6 => ("[A-Za-z0-9-]{1,10}", value).prop_map(|(name, value)| format!("{name}:{value}\r\n")),
        1 => select(&["Content-Length: 12\r\n", "content-length:\t0\r\n", "Transfer-Encoding: Chunked\r\n"][..])
            .prop_map(str::to_owned),
    ];
    let line = ("[A-Z!#$.^`|~-]{1,6}", target, select(&["HTTP/1.1", "HTTP/1.1", "HTTP/1.0"][..]));
    (line, "[a-z]{1,5}(:[0-9]{1,4})?", proptest::collection::vec(field, 0..6), select(&["", "\r\n"][..]))
        .prop_map(|((method, target, version), host, fields, before)| {
            format!("{before}{method} {target} {version}\r\nHost: {host}\r\n{}\r\n", fields.concat())
                .into_bytes()
        })
}

/// Limits so small that they are met.
fn limits() -> impl Strategy<Value = HeadLimits> {
    let small =
        (10_usize..60, 20_usize..200, 1_usize..6).prop_map(|(request_line_bytes, head_bytes, fields)| {
            HeadLimits { request_line_bytes, head_bytes, fields }
        });
    prop_oneof![Just(LIMITS), small]
}

pub(crate) fn cut<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> =
        cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([bytes.len()]).collect();
    ends.sort_unstable();
    let starts = [0].into_iter().chain(ends.iter().copied());
    starts.zip(ends.iter().copied()).map(|(start, end)| &bytes[start..end]).collect()
}

/// The same is handed on and the same refused, in however many parts it arrives. Of a body that is refused
/// some may be handed on before the fault arrives, and none of what follows.
#[track_caller]
fn check_parts(bytes: &[u8], parts: &[&[u8]], limits: HeadLimits) {
    let (whole, single) = (send([bytes], limits), send(bytes.chunks(1), limits));
    let sent = send(parts.iter().copied(), limits);
    let text = bytes.escape_ascii();
    assert_eq!((sent.refusal, sent.requests), (single.refusal, single.requests), "in parts: {text}");
    assert_eq!((whole.refusal, whole.requests), (single.refusal, single.requests), "at once: {text}");
    assert_eq!(whole.between_requests, single.between_requests, "{text}");
    if let Some(Refused::Body(_)) = single.refusal {
        assert!(whole.sound <= sent.sound && sent.sound <= single.sound, "{text}");
    } else {
        assert_eq!((sent.sound, whole.sound), (single.sound, single.sound), "{text}");
    }
}

/// A chunked body, read by line ends rather than by bytes: where it ends, if it is whole and sound. Bounds
/// are left out.
fn end_of_chunked(body: &[u8]) -> Option<usize> {
    let line_at = |at: usize| {
        let length = body.get(at..)?.windows(2).position(|pair| pair == b"\r\n")?;
        Some((std::str::from_utf8(&body[at..at + length]).ok()?, at + length + 2))
    };
    let plain = |text: &str| !text.chars().any(|letter| letter.is_control() && letter != '\t');
    let mut at = 0;
    loop {
        let (line, after) = line_at(at)?;
        let (size, extension) = line.split_once(';').unwrap_or((line, ""));
        if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_hexdigit()) || !plain(extension) {
            return None;
        }
        let size = usize::from_str_radix(size, 16).ok()?;
        at = after;
        if size == 0 {
            break;
        }
        let end = at.checked_add(size)?;
        if body.get(end..end.checked_add(2)?)? != b"\r\n" {
            return None;
        }
        at = end + 2;
    }
    loop {
        let (line, after) = line_at(at)?;
        at = after;
        if line.is_empty() {
            return Some(at);
        }
        let (name, value) = line.split_once(':')?;
        if HeaderName::from_bytes(name.as_bytes()).is_err() || !plain(value) {
            return None;
        }
    }
}

fn near_chunked() -> impl Strategy<Value = Vec<u8>> {
    let chunk = prop_oneof![
        ("[a-z\r\n]{1,20}", "(;[a-z=\"\t]{0,8})?", 0_usize..3).prop_map(|(data, extension, zeros)| {
            format!("{}{:x}{extension}\r\n{data}\r\n", "0".repeat(zeros), data.len())
        }),
        select(&["1\r\nab\r\n", "2\r\na\r\n", "g\r\n", "1 \r\na\r\n", "1\na\r\n", "\r\n", "0\r\n"][..])
            .prop_map(str::to_owned),
    ];
    let trailers = proptest::collection::vec("[A-Z_a-z]{1,5}:[ -~\t]{0,5}\r\n", 0..3);
    (proptest::collection::vec(chunk, 0..4), trailers, select(&["", "x", "\r\n"][..])).prop_map(
        |(chunks, trailers, after)| {
            format!("{}0\r\n{}\r\n{after}", chunks.concat(), trailers.concat()).into_bytes()
        },
    )
}

fn check_chunked(body: &[u8]) {
    let head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let ended = |end: usize| {
        let sent = send([&head[..], &body[..end]], LIMITS);
        sent.refusal.is_none() && sent.between_requests && sent.sound == head.len() + end
    };
    match end_of_chunked(body) {
        Some(end) => {
            assert!(ended(end), "{}", body.escape_ascii());
            assert!((0..end).all(|early| !ended(early)), "{}", body.escape_ascii());
        }
        None => assert!((0..=body.len()).all(|end| !ended(end)), "{}", body.escape_ascii()),
    }
}

/// hyper reads heads with httparse, and targets with `http`: what we take, they take, and alike.
fn check_agreement(bytes: &[u8]) {
    let Ok(Some(Head { bytes: end, framing })) = read(bytes) else { return };
    let text = bytes[..end].escape_ascii().to_string();
    let mut fields = [httparse::EMPTY_HEADER; 100];
    let mut request = httparse::Request::new(&mut fields);
    assert_eq!(request.parse(bytes), Ok(httparse::Status::Complete(end)), "{text}");
    // Read by eye: lines, and what stands between spaces.
    let lines: Vec<&[u8]> = split(bytes[..end].strip_prefix(b"\r\n").unwrap_or(&bytes[..end]), b"\r\n");
    let words: Vec<&[u8]> = lines[0].split(|&byte| byte == b' ').collect();
    assert_eq!(words.len(), 3, "{text}");
    assert_same(request.method.map(str::as_bytes), words[0], &text);
    assert_same(request.path.map(str::as_bytes), words[1], &text);
    assert_eq!(words[2], format!("HTTP/1.{}", request.version.unwrap()).as_bytes(), "{text}");
    assert!(Method::from_bytes(words[0]).is_ok(), "{text}");
    let uri = Uri::try_from(words[1]).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(uri.path_and_query().is_some(), "{text}");
    let mut expected = Framing::Length(0);
    assert_eq!(request.headers.len(), lines.len() - 3, "{text}");
    for (field, line) in request.headers.iter().zip(&lines[1..]) {
        let colon = line.iter().position(|&byte| byte == b':').unwrap();
        assert_same(Some(field.name.as_bytes()), &line[..colon], &text);
        assert_same(Some(field.value), line[colon + 1..].trim_ascii(), &text);
        assert!(HeaderName::from_bytes(field.name.as_bytes()).is_ok(), "{text}");
        assert!(HeaderValue::from_bytes(field.value).is_ok(), "{text}");
        if field.name.eq_ignore_ascii_case("transfer-encoding") {
            expected = Framing::Chunked;
        } else if field.name.eq_ignore_ascii_case("content-length") {
            expected = Framing::Length(std::str::from_utf8(field.value).unwrap().parse().unwrap());
        }
    }
    assert_eq!(framing, expected, "{text}");
}

#[track_caller]
fn assert_same<T: PartialEq + Debug>(one: Option<T>, other: T, text: &str) {
    assert_eq!(one, Some(other), "{text}");
}

fn split<'a>(bytes: &'a [u8], end: &[u8]) -> Vec<&'a [u8]> {
    let mut lines = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(end.len()).position(|window| window == end) {
        lines.push(&rest[..at]);
        rest = &rest[at + end.len()..];
    }
    lines.push(rest);
    lines
}

/// What is read of it reads the same again.
fn check_traceparent(value: &[u8]) {
    if let Some(read) = TraceParent::read(value) {
        let again = read.to_string();
        assert_eq!(TraceParent::read(again.as_bytes()), Some(read), "{value:?}");
        assert!(value[2..52].starts_with(&again.as_bytes()[2..52]), "{value:?}");
    }
}

proptest! {
    #[test]
    fn parts_do_not_matter(
        bytes in near_requests(), cuts in proptest::collection::vec(any::<Index>(), 0..6), limits in limits(),
    ) {
        check_parts(&bytes, &cut(&bytes, &cuts), limits);
    }

    #[test]
    fn parts_do_not_matter_for_one_head(
        head in near_head(), at in any::<Index>(), byte in any::<u8>(), cuts in proptest::collection::vec(any::<Index>(), 0..4),
        limits in limits(),
    ) {
        check_parts(&head, &cut(&head, &cuts), limits);
        let mut changed = head;
        let at = at.index(changed.len());
        changed[at] = byte;
        check_parts(&changed, &cut(&changed, &cuts), limits);
    }

    /// What is refused stays refused, for the same reason; what is whole was incomplete before.
    #[test]
    fn more_bytes_change_no_verdict(bytes in prop_oneof![near_requests(), near_head()], limits in limits()) {
        let whole = read_head(&bytes, &limits);
        for end in 0..bytes.len() {
            match read_head(&bytes[..end], &limits) {
                Ok(None) => {}
                Ok(Some(head)) => {
                    prop_assert!(head.bytes <= end);
                    prop_assert_eq!(whole, Ok(Some(head)));
                }
                Err(refusal) => prop_assert_eq!(whole, Err(refusal), "{} of {}", end, bytes.escape_ascii()),
            }
        }
    }

    #[test]
    fn the_library_takes_what_is_taken(head in near_head(), at in any::<Index>(), byte in any::<u8>()) {
        check_agreement(&head);
        let mut changed = head;
        let at = at.index(changed.len());
        changed[at] = byte;
        check_agreement(&changed);
    }

    #[test]
    fn the_library_takes_what_is_taken_of_tokens(bytes in near_requests()) {
        check_agreement(&bytes);
    }

    #[test]
    fn chunked_bodies_end_where_their_lines_say(body in near_chunked(), at in any::<Index>(), byte in 0_u8..0x80) {
        check_chunked(&body);
        let mut changed = body;
        let at = at.index(changed.len());
        changed[at] = byte;
        check_chunked(&changed);
    }

    #[test]
    fn answers_any_bytes(
        bytes in proptest::collection::vec(any::<u8>(), 0..200), cuts in proptest::collection::vec(any::<Index>(), 0..6),
        limits in limits(),
    ) {
        check_agreement(&bytes);
        check_parts(&bytes, &cut(&bytes, &cuts), limits);
    }

    #[test]
    fn a_traceparent_is_handed_on_as_it_was_read(
        bytes in proptest::collection::vec(any::<u8>(), 0..80), at in any::<Index>(), byte in any::<u8>(),
    ) {
        check_traceparent(&bytes);
        let mut near = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_vec();
        let at = at.index(near.len());
        near[at] = byte;
        check_traceparent(&near);
        check_traceparent(&[&near, &bytes[..]].concat());
    }

    #[test]
    fn answers_any_body(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        let all = [&head[..], &bytes].concat();
        check_parts(&all, &[&all], LIMITS);
    }
}
