//! What comes on a connection in answer to one request: interim answers, a head, a body.
//!
//! RFC 9112. Strict about where an answer ends, because the next one on the connection begins there: one
//! `Content-Length`, or one `Transfer-Encoding` that is `chunked`, never both; neither is a body up to the end of the
//! connection. Lines end in CRLF, and are read by `httparse`, as by hyper. Leaves reading and waiting to `upstream`.

use std::fmt;
use std::mem::MaybeUninit;

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};

use super::chunked::{Chunked, Piece};
use super::head::{read_length, trim};

/// The most bytes of a head, and of all interim ones before it.
const HEAD_BYTES: usize = 32 * 1024;
/// The most fields of a head, and trailers of a body.
const FIELDS: usize = 100;

/// An answer that cannot be read with certainty, or broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadAnswer {
    /// Its head is none of HTTP/1.
    Head(httparse::Error),
    /// A head, or the interim ones, are over 32 KiB, or over 100 fields.
    TooLong,
    /// Two lengths, a length that is none, one beside a transfer coding, or another coding than `chunked`.
    Framing,
    /// Its chunks are malformed.
    Chunk,
    /// The connection ended before it did.
    Closed,
}

impl fmt::Display for BadAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(error) => write!(f, "the head of the answer is malformed: {error}"),
            Self::TooLong => f.write_str("too much came before the head of the answer was whole"),
            Self::Framing => f.write_str("the answer does not say for certain where it ends"),
            Self::Chunk => f.write_str("the chunks of the answer are malformed"),
            Self::Closed => f.write_str("the connection ended before the answer did"),
        }
    }
}

impl std::error::Error for BadAnswer {}

/// The head of an answer.
#[derive(Debug)]
pub struct AnswerHead {
    /// Its status: not an interim one, but for 101.
    pub status: StatusCode,
    /// Its fields.
    pub headers: HeaderMap,
}

/// Reads one answer.
#[derive(Debug)]
pub struct AnswerReader {
    place: Place,
    /// Whether it answers a HEAD: then there is no body, whatever is said of it.
    to_head: bool,
    /// Whether another answer may follow.
    keeps: bool,
    /// Bytes of interim answers so far.
    interim_bytes: usize,
}

#[derive(Debug)]
enum Place {
    Head,
    Length(u64),
    Chunked(Chunked),
    ToTheEnd,
    Ended,
}

impl AnswerReader {
    /// Before the answer to a request by this method.
    #[must_use]
    pub fn to(method: &Method) -> Self {
        Self { place: Place::Head, to_head: *method == Method::HEAD, keeps: false, interim_bytes: 0 }
    }

    /// The head, once it is whole; what belongs to it and before it is taken from `input`.
    ///
    /// # Errors
    /// When it is none, too long, or leaves open where the answer ends.
    pub fn head(&mut self, input: &mut BytesMut) -> Result<Option<AnswerHead>, BadAnswer> {
        loop {
            let Some(bytes) = head_bytes(input)? else { return Ok(None) };
            let text = input.split_to(bytes).freeze();
            let mut fields = [const { MaybeUninit::uninit() }; FIELDS];
            let mut read = httparse::Response::new(&mut []);
            let whole = httparse::ParserConfig::default().parse_response_with_uninit_headers(
                &mut read,
                &text,
                &mut fields,
            );
            match whole {
                Ok(httparse::Status::Complete(end)) if end == bytes => {}
                Err(httparse::Error::TooManyHeaders) => return Err(BadAnswer::TooLong),
                Err(error) => return Err(BadAnswer::Head(error)),
                // Two readers of lines, two ends.
                Ok(_) => return Err(BadAnswer::Head(httparse::Error::NewLine)),
            }
            let status = read.code.and_then(|code| StatusCode::from_u16(code).ok());
            let status = status.ok_or(BadAnswer::Head(httparse::Error::Status))?;
            if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
                self.interim_bytes += bytes;
                if self.interim_bytes > HEAD_BYTES {
                    return Err(BadAnswer::TooLong);
                }
                continue;
            }
            let headers = fields_of(read.headers, &text)?;
            self.place = self.framing(status, read.version == Some(1), &headers)?;
            return Ok(Some(AnswerHead { status, headers }));
        }
    }

    /// The next part of the body, taken from `input`. None: there is no more in it, or the body has ended.
    ///
    /// # Errors
    /// When its chunks are malformed.
    pub fn data(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>, BadAnswer> {
        match &mut self.place {
            Place::Head | Place::Ended => Ok(None),
            Place::Length(_) | Place::ToTheEnd if input.is_empty() => Ok(None),
            Place::ToTheEnd => Ok(Some(input.split().freeze())),
            Place::Length(left) => {
                let bytes = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= bytes as u64;
                if *left == 0 {
                    self.place = Place::Ended;
                }
                Ok(Some(input.split_to(bytes).freeze()))
            }
            Place::Chunked(chunked) => match chunked.step(input).map_err(|_refusal| BadAnswer::Chunk)? {
                Piece::Data(data) => {
                    input.advance(data.start);
                    Ok(Some(input.split_to(data.len()).freeze()))
                }
                Piece::End(bytes) => {
                    input.advance(bytes);
                    self.place = Place::Ended;
                    Ok(None)
                }
                Piece::Framing => {
                    input.clear();
                    Ok(None)
                }
            },
        }
    }

    /// The connection ended, and all that came on it was read.
    ///
    /// # Errors
    /// [`BadAnswer::Closed`], unless that is how the answer ends.
    pub fn close(&mut self) -> Result<(), BadAnswer> {
        self.keeps = false;
        match self.place {
            Place::ToTheEnd | Place::Ended => {
                self.place = Place::Ended;
                Ok(())
            }
            Place::Head | Place::Length(_) | Place::Chunked(_) => Err(BadAnswer::Closed),
        }
    }

    /// Whether all of it was read.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        matches!(self.place, Place::Ended)
    }

    /// Whether it was read to its end, and another may follow on the connection.
    #[must_use]
    pub const fn leaves_it_open(&self) -> bool {
        self.is_ended() && self.keeps
    }

    /// Bytes of the body that are to come, where that is known.
    #[must_use]
    pub const fn left(&self) -> Option<u64> {
        match self.place {
            Place::Ended => Some(0),
            Place::Length(left) => Some(left),
            Place::Head | Place::Chunked(_) | Place::ToTheEnd => None,
        }
    }

    /// RFC 9112, 6.3 and 9.3.
    fn framing(&mut self, status: StatusCode, is_1_1: bool, headers: &HeaderMap) -> Result<Place, BadAnswer> {
        let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
        let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
        let place = match (lengths.next(), codings.next()) {
            _ if self.to_head || has_no_body(status) => Place::Ended,
            (Some(length), None) => match read_length(length.as_bytes()) {
                Ok(0) => Place::Ended,
                Ok(length) => Place::Length(length),
                Err(_refusal) => return Err(BadAnswer::Framing),
            },
            (None, Some(coding)) if is_1_1 && trim(coding.as_bytes()).eq_ignore_ascii_case(b"chunked") => {
                Place::Chunked(Chunked::start(FIELDS))
            }
            (None, None) => Place::ToTheEnd,
            _ => return Err(BadAnswer::Framing),
        };
        if lengths.next().is_some() || codings.next().is_some() {
            return Err(BadAnswer::Framing);
        }
        self.keeps = keeps_open(is_1_1, headers) && !says_too_much(status, headers);
        Ok(place)
    }
}

/// Where the head at the start of `input` ends; none while it is incomplete.
fn head_bytes(input: &[u8]) -> Result<Option<usize>, BadAnswer> {
    const START: &[u8] = b"HTTP/1.";
    let start = input.len().min(START.len());
    // Nobody need wait for the end of what is no such head.
    if input[..start] != START[..start] {
        return Err(BadAnswer::Head(httparse::Error::Version));
    }
    let within = &input[..input.len().min(HEAD_BYTES)];
    let mut line = 0;
    for end in memchr::memchr_iter(b'\n', within) {
        // Another reader may end this line, or the head, elsewhere.
        if !within[line..end].ends_with(b"\r") {
            return Err(BadAnswer::Head(httparse::Error::NewLine));
        }
        if end == line + 1 {
            return Ok(Some(end + 1));
        }
        line = end + 1;
    }
    if input.len() > HEAD_BYTES { Err(BadAnswer::TooLong) } else { Ok(None) }
}

/// The fields, their values as parts of `text`.
fn fields_of(fields: &[httparse::Header<'_>], text: &Bytes) -> Result<HeaderMap, BadAnswer> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let name = name.map_err(|_invalid| BadAnswer::Head(httparse::Error::HeaderName))?;
        let value = HeaderValue::from_maybe_shared(text.slice_ref(field.value));
        let value = value.map_err(|_invalid| BadAnswer::Head(httparse::Error::HeaderValue))?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn has_no_body(status: StatusCode) -> bool {
    status == StatusCode::SWITCHING_PROTOCOLS
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
}

/// Whether bytes may follow that are no answer: a body that must not be, or another protocol.
fn says_too_much(status: StatusCode, headers: &HeaderMap) -> bool {
    let names_body = || {
        headers.contains_key(header::TRANSFER_ENCODING)
            || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
    };
    status == StatusCode::SWITCHING_PROTOCOLS || (status == StatusCode::NO_CONTENT && names_body())
}

/// Whether the connection stays open: in HTTP/1.1 unless `close` is said, in HTTP/1.0 only if `keep-alive` is.
fn keeps_open(is_1_1: bool, headers: &HeaderMap) -> bool {
    let (mut closes, mut keeps) = (false, is_1_1);
    for value in headers.get_all(header::CONNECTION) {
        for option in value.as_bytes().split(|&byte| byte == b',') {
            closes |= trim(option).eq_ignore_ascii_case(b"close");
            keeps |= trim(option).eq_ignore_ascii_case(b"keep-alive");
        }
    }
    keeps && !closes
}
