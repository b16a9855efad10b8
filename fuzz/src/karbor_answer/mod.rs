//! Bytes of a connection to Karbor: never panics, does not depend on how they are cut, and where an answer is taken,
//! hyper's client reads the same and ends at the same byte.

mod hyper_client;

use bytes::BytesMut;
use http::{HeaderMap, Method, StatusCode, header};
use karbor_admission::wire::{AnswerReader, BadAnswer};

use hyper_client::HyperClient;

/// The most of a head that is held.
const HEAD_BYTES: usize = 32 * 1024;
/// What one byte stands for, where bounds are to be met.
const LONG: usize = 1024;

/// The first byte chooses the method, whether there are long runs, and whether the connection ends; the second where to
/// cut; the rest is what Karbor sends.
pub fn check(data: &[u8]) {
    let [choice, cuts, sent @ ..] = data else { return };
    let method = if choice & 1 == 0 { Method::GET } else { Method::HEAD };
    let sent = if choice & 2 == 0 { sent.to_vec() } else { stretch(sent) };
    let closes = choice & 4 == 0;
    let mut rest = &sent[..];
    let mut hyper = HyperClient::new();
    // One answer behind the other, as long as another may follow.
    for _ in 0..4 {
        let whole = Course::of(&method, [rest], closes);
        let parts = cut(rest, *cuts);
        check_cuts(&method, rest, &parts, closes, &whole);
        hyper.ask(&method);
        check_beside(&method, rest, &parts, closes, &whole, &mut hyper);
        if !whole.is_open || whole.taken == rest.len() {
            return;
        }
        // In HTTP/1.0 hyper does not see `keep-alive` beside what is no ASCII, and is done.
        if !hyper.may_ask() {
            assert!(whole.is_oddly_kept(), "hyper ends the connection: {}", rest.escape_ascii());
            return;
        }
        rest = &rest[whole.taken..];
    }
}

/// With a long run for each 0x01, which no head may have.
fn stretch(sent: &[u8]) -> Vec<u8> {
    let mut runs = 0;
    let mut stretched = Vec::new();
    for &byte in sent {
        if byte == 1 && runs < 40 {
            runs += 1;
            stretched.resize(stretched.len() + LONG, b'a');
        } else {
            stretched.push(byte);
        }
    }
    stretched
}

/// Pieces of random length, mostly short at first, and fewer than a hundred.
fn cut(sent: &[u8], cuts: u8) -> Vec<&[u8]> {
    let mut state = u32::from(cuts) | 0x9e00;
    let mut rest = sent;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let most = if state & 0x100 == 0 { 4 } else { 64 };
        let length = 1 + (state >> 16) as usize % most;
        let length = if pieces.len() < 60 { length } else { length.max(rest.len() / 30) };
        let (piece, tail) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        rest = tail;
    }
    pieces
}

fn check_cuts(method: &Method, sent: &[u8], parts: &[&[u8]], closes: bool, whole: &Course) {
    let cut = Course::of(method, parts.iter().copied(), closes);
    assert_eq!(&cut, whole, "in parts: {}", sent.escape_ascii());
    if sent.len() < LONG {
        let single = Course::of(method, sent.chunks(1), closes);
        assert_eq!(&single, whole, "byte by byte: {}", sent.escape_ascii());
    }
}

/// What became of the bytes after one request.
#[derive(Debug, PartialEq, Eq)]
struct Course {
    head: Option<(StatusCode, HeaderMap)>,
    data: Vec<u8>,
    ended: bool,
    is_open: bool,
    error: Option<BadAnswer>,
    /// Bytes of the answer; 0 where chunks are refused: then it depends on how they were cut.
    taken: usize,
}

impl Course {
    fn of<'s>(method: &Method, parts: impl IntoIterator<Item = &'s [u8]>, closes: bool) -> Self {
        let mut reading = Reading::of(method);
        let mut error = None;
        let mut sent = 0;
        for part in parts {
            sent += part.len();
            if error.is_none() && !reading.reader.is_ended() {
                error = reading.take(part).err();
            } else {
                reading.input.extend_from_slice(part);
            }
        }
        if closes && error.is_none() && !reading.reader.is_ended() {
            error = reading.reader.close().err();
        }
        Self {
            ended: reading.reader.is_ended(),
            is_open: reading.reader.leaves_it_open(),
            taken: if error == Some(BadAnswer::Chunk) { 0 } else { sent - reading.input.len() },
            error,
            head: reading.head,
            data: reading.data,
        }
    }

    fn is_oddly_kept(&self) -> bool {
        let (_, headers) = self.head.as_ref().expect("a head");
        headers.get_all(header::CONNECTION).iter().any(|value| value.to_str().is_err())
    }
}

/// An answer as far as it was read.
struct Reading {
    reader: AnswerReader,
    input: BytesMut,
    head: Option<(StatusCode, HeaderMap)>,
    data: Vec<u8>,
}

impl Reading {
    fn of(method: &Method) -> Self {
        Self { reader: AnswerReader::to(method), input: BytesMut::new(), head: None, data: Vec::new() }
    }

    /// As `upstream` does: each step takes something, and nothing is held that need not be.
    fn take(&mut self, part: &[u8]) -> Result<(), BadAnswer> {
        self.input.extend_from_slice(part);
        if self.head.is_none() {
            let Some(head) = self.reader.head(&mut self.input)? else {
                assert!(self.input.len() <= HEAD_BYTES, "{} bytes of a head are held", self.input.len());
                assert!(!self.reader.is_ended() && self.reader.left().is_none());
                return Ok(());
            };
            assert!(!head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS);
            assert!(head.headers.len() <= 100);
            self.head = Some((head.status, head.headers));
        }
        loop {
            let (left, held) = (self.reader.left(), self.input.len());
            assert_eq!(left == Some(0), self.reader.is_ended());
            let Some(data) = self.reader.data(&mut self.input)? else { break };
            assert!(!data.is_empty() && data.len() + self.input.len() <= held, "a step takes something");
            assert!(left.is_none() || self.reader.left() == left.map(|left| left - data.len() as u64));
            self.data.extend_from_slice(&data);
        }
        assert!(self.input.is_empty() || self.reader.is_ended(), "nothing of a body is held");
        Ok(())
    }
}

/// Gives the same bytes to both, those of one answer and no more: at each piece they have read the same, and neither
/// has ended before the other.
fn check_beside(
    method: &Method,
    sent: &[u8],
    parts: &[&[u8]],
    closes: bool,
    whole: &Course,
    hyper: &mut HyperClient,
) {
    let end = if whole.error.is_none() { whole.taken } else { sent.len() };
    let mut reading = Reading::of(method);
    let mut at = 0;
    for part in parts {
        let part = &part[..part.len().min(end - at)];
        at += part.len();
        // The last byte by itself, so that neither ends before it.
        let (most, last) = part.split_at(part.len() - usize::from(at == end && !part.is_empty()));
        for part in [most, last] {
            if part.is_empty() {
                continue;
            }
            if reading.take(part).is_err() {
                return;
            }
            hyper.receive(part);
            compare(&reading, hyper, sent);
        }
        if at == end {
            break;
        }
    }
    if closes && whole.error.is_none() && !reading.reader.is_ended() {
        assert_eq!(reading.reader.close(), Ok(()));
        hyper.close();
        compare(&reading, hyper, sent);
        assert!(hyper.has_ended(), "{}", sent.escape_ascii());
    }
}

fn compare(reading: &Reading, hyper: &HyperClient, sent: &[u8]) {
    let text = || sent.escape_ascii();
    let Some((status, headers)) = &reading.head else {
        // It may have found what is wrong with it before: then we find it too when the head is whole.
        assert!(hyper.head().is_none(), "hyper has a head before us: {}", text());
        return;
    };
    assert!(hyper.error().is_none(), "hyper refuses: {:?}: {}", hyper.error(), text());
    assert_eq!(hyper.head(), Some((*status, headers)), "{}", text());
    assert_eq!(
        hyper.data().escape_ascii().to_string(),
        reading.data.escape_ascii().to_string(),
        "{}",
        text()
    );
    assert_eq!(hyper.has_ended(), reading.reader.is_ended(), "{}", text());
}
