//! Bytes of a connection: never panics, does not depend on how they are cut, and reads what two others read.

use http::{HeaderName, HeaderValue, Method, Uri};
use karbor_admission::wire::{Framing, Head, HeadLimits, Refusal, Refused, RequestStream, read_head};

const SHIPPED: HeadLimits = HeadLimits { request_line_bytes: 8192, head_bytes: 65_536, fields: 100 };
const TIGHT: HeadLimits = HeadLimits { request_line_bytes: 64, head_bytes: 256, fields: 5 };

/// The first byte chooses limits, the second where to cut; the rest is what a client sends.
pub fn check(data: &[u8]) {
    let [choice, cuts, stream @ ..] = data else { return };
    let limits = if choice & 1 == 0 { SHIPPED } else { TIGHT };
    if let Ok(Some(head)) = read_head(stream, &limits) {
        check_head(stream, head, &limits);
    }
    let whole = Course::of(std::iter::once(stream), limits);
    let mut state = u32::from(*cuts) | 0x9e00;
    let cut = Course::of(pieces(stream, &mut state), limits);
    assert!(cut.is_like(&whole), "cut by {cuts}: {cut:?}, whole: {whole:?}");
    let cut = Course::of(stream.chunks(1), limits);
    assert!(cut.is_like(&whole), "byte by byte: {cut:?}, whole: {whole:?}");
    check_against_second_reader(stream, &whole);
}

/// Pieces of random length, mostly short.
fn pieces<'s>(stream: &'s [u8], state: &'s mut u32) -> impl Iterator<Item = &'s [u8]> {
    let mut rest = stream;
    std::iter::from_fn(move || {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let length = 1 + (*state >> 16) as usize % if *state & 0x100 == 0 { 4 } else { 64 };
        let (piece, tail) = rest.split_at(length.min(rest.len()));
        rest = tail;
        (!piece.is_empty()).then_some(piece)
    })
}

/// What became of a stream.
#[derive(Debug)]
struct Course {
    requests: u64,
    refused: Option<Refused>,
    between_requests: bool,
    /// Bytes handed on. None where a body is refused: then it depends on where the stream was cut.
    sound: Option<usize>,
}

impl Course {
    /// The same, but that a head may be found too large before it is found wrong.
    fn is_like(&self, other: &Self) -> bool {
        let too_large = Some(Refused::Head(Refusal::HeadTooLarge));
        let refused = match (self.refused, other.refused) {
            (Some(Refused::Head(_)), Some(Refused::Head(_))) => {
                self.refused == other.refused || self.refused == too_large || other.refused == too_large
            }
            (one, other) => one == other,
        };
        refused
            && self.requests == other.requests
            && self.between_requests == other.between_requests
            && self.sound == other.sound
    }

    /// As the socket's guard feeds it: what is not sound is shown again with more.
    fn of<'s>(pieces: impl Iterator<Item = &'s [u8]>, limits: HeadLimits) -> Self {
        let mut stream = RequestStream::new(limits);
        let mut held: Vec<u8> = Vec::new();
        let mut sound = 0;
        let mut refused = None;
        for piece in pieces {
            held.extend_from_slice(piece);
            let look = stream.look(&held);
            assert!(look.sound <= held.len());
            assert!(look.sound == held.len() || look.refusal.is_some() || stream.between_requests());
            held.drain(..look.sound);
            sound += look.sound;
            refused = look.refusal;
            if refused.is_some() {
                let after = stream.look(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
                assert_eq!(after.sound, 0, "nothing is handed on after a refusal");
                break;
            }
        }
        Self {
            requests: stream.requests(),
            refused,
            between_requests: stream.between_requests(),
            sound: (!matches!(refused, Some(Refused::Body(_)))).then_some(sound),
        }
    }
}

/// An accepted head is one to httparse and to the types of http, with the same parts.
fn check_head(stream: &[u8], head: Head, limits: &HeadLimits) {
    assert!(head.bytes <= limits.head_bytes);
    let bytes = &stream[..head.bytes];
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut fields);
    let status = request.parse(bytes).expect("httparse takes it");
    assert_eq!(status, httparse::Status::Complete(head.bytes));

    let text = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    let mut lines = split_lines(text);
    let line = lines.next().expect("a request line");
    let parts: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    let [method, target, version] = parts.as_slice() else { panic!("three parts") };
    assert_eq!(request.method.map(str::as_bytes), Some(*method));
    assert_eq!(request.path.map(str::as_bytes), Some(*target));
    assert_eq!(*version, if request.version == Some(1) { b"HTTP/1.1" } else { b"HTTP/1.0" });
    Method::from_bytes(method).expect("a method");
    // CONNECT is refused later, whatever its target is.
    assert!(*method == b"CONNECT" || Uri::try_from(*target).is_ok(), "a target");

    let mut fields = request.headers.iter();
    for line in lines.take_while(|line| !line.is_empty()) {
        let field = fields.next().expect("as many fields");
        let colon = line.iter().position(|&byte| byte == b':').expect("a colon");
        assert_eq!(field.name.as_bytes(), &line[..colon]);
        assert_eq!(field.value, line[colon + 1..].trim_ascii());
        assert!(!field.name.contains('_'));
        HeaderName::try_from(field.name).expect("a name");
        HeaderValue::from_bytes(field.value).expect("a value");
    }
    assert!(fields.next().is_none());
    assert_eq!(Some(head.framing), framing(request.headers), "framing");
}

fn split_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let line = &rest[..end];
        rest = &rest[end + 2..];
        Some(line)
    })
}

/// A second reading: the one framing field there is.
fn framing(fields: &[httparse::Header<'_>]) -> Option<Framing> {
    let of = |name: &str| -> Vec<&str> {
        let named = fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        named.map(|field| std::str::from_utf8(field.value).unwrap_or("?")).collect()
    };
    match (of("transfer-encoding").as_slice(), of("content-length").as_slice()) {
        ([], []) => Some(Framing::Length(0)),
        ([], [length]) => length.parse().ok().map(Framing::Length),
        ([coding], []) if coding.to_ascii_lowercase() == "chunked" => Some(Framing::Chunked),
        _ => None,
    }
}

/// Walks the stream with httparse and a plain reader of chunks: it must find the same requests.
fn check_against_second_reader(stream: &[u8], course: &Course) {
    let mut at = 0;
    for number in 1..=course.requests {
        let mut fields = [httparse::EMPTY_HEADER; 128];
        let mut request = httparse::Request::new(&mut fields);
        let Ok(httparse::Status::Complete(length)) = request.parse(&stream[at..]) else {
            panic!("httparse finds a head at {at}")
        };
        at += length;
        let rest = &stream[at..];
        let body = match framing(request.headers).expect("one framing") {
            Framing::Length(length) => usize::try_from(length).ok().filter(|end| *end <= rest.len()),
            Framing::Chunked => chunked(rest),
        };
        let Some(body) = body else {
            assert_eq!(number, course.requests, "an unfinished body is the last");
            assert!(!course.between_requests);
            return;
        };
        at += body;
    }
    match course.refused {
        // A plain reader of chunks takes what must not stand there.
        Some(Refused::Body(_)) => {}
        _ => assert_eq!(course.sound, Some(at), "both end there"),
    }
}

/// The bytes of a chunked body, if it is whole; sizes by httparse.
fn chunked(body: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let Ok(httparse::Status::Complete((line, size))) = httparse::parse_chunk_size(&body[at..]) else {
            return None;
        };
        at += line;
        if size == 0 {
            break;
        }
        at = at.checked_add(usize::try_from(size).ok()?)?;
        if body.get(at..at.checked_add(2)?)? != b"\r\n" {
            return None;
        }
        at += 2;
    }
    loop {
        let end = body[at..].windows(2).position(|two| two == b"\r\n")?;
        at += end + 2;
        if end == 0 {
            return Some(at);
        }
    }
}
