//! Answers to read: fed as the connection delivers them, and what became of them.

use bytes::BytesMut;
use http::{HeaderMap, Method, StatusCode};
use karbor_admission::wire::{AnswerReader, BadAnswer};

/// The most of a head that is held.
pub(crate) const HEAD_BYTES: usize = 32 * 1024;

/// What became of the bytes after one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) head: Option<(StatusCode, HeaderMap)>,
    pub(crate) data: Vec<u8>,
    /// What belongs to no answer, or was not looked at.
    pub(crate) rest: Vec<u8>,
    /// Whether another answer may follow.
    pub(crate) is_open: bool,
    pub(crate) error: Option<BadAnswer>,
    /// Whether the answer was whole before the connection ended.
    pub(crate) ended_by_itself: bool,
}

/// Feeds `parts` one after another, then ends the connection where the answer did not end before.
pub(crate) fn receive<'a>(method: &Method, parts: impl IntoIterator<Item = &'a [u8]>) -> Received {
    let mut reading =
        Reading { reader: AnswerReader::to(method), input: BytesMut::new(), head: None, data: Vec::new() };
    let mut error = None;
    for part in parts {
        reading.input.extend_from_slice(part);
        if error.is_none() && !reading.reader.is_ended() {
            error = reading.go_on().err();
        }
    }
    let ended_by_itself = reading.reader.is_ended();
    if error.is_none() && !ended_by_itself {
        error = reading.reader.close().err();
        assert!(!reading.reader.leaves_it_open(), "nothing follows on what is closed");
        assert_eq!(reading.reader.is_ended(), error.is_none());
    }
    let is_open = reading.reader.leaves_it_open();
    let Reading { head, data, input, .. } = reading;
    Received { head, data, rest: input.into(), is_open, error, ended_by_itself }
}

/// At once and byte by byte, which must come to the same. Of chunks that are refused, it depends on the parts what is left.
#[track_caller]
pub(crate) fn receive_either_way(method: &Method, bytes: &[u8]) -> Received {
    // The long ones are about bounds, and in single bytes would take minutes.
    let (most, last) = bytes.split_at(bytes.len() - bytes.len().min(1000));
    let parts = most.chunks(1000).chain(last.chunks(1));
    let (mut whole, mut single) = (receive(method, [bytes]), receive(method, parts));
    let received = whole.clone();
    for received in [&mut whole, &mut single] {
        if received.error == Some(BadAnswer::Chunk) {
            received.rest.clear();
        }
    }
    assert_eq!(whole, single, "at once, byte by byte: {}", bytes.escape_ascii());
    received
}

struct Reading {
    reader: AnswerReader,
    input: BytesMut,
    head: Option<(StatusCode, HeaderMap)>,
    data: Vec<u8>,
}

impl Reading {
    /// Reads what there is, as `upstream` does.
    fn go_on(&mut self) -> Result<(), BadAnswer> {
        if self.head.is_none() {
            assert_eq!(self.reader.left(), None);
            let Some(head) = self.reader.head(&mut self.input)? else {
                assert!(
                    self.input.len() <= HEAD_BYTES,
                    "{} bytes of an incomplete head are held",
                    self.input.len()
                );
                return Ok(());
            };
            self.head = Some((head.status, head.headers));
        }
        loop {
            let (left, held) = (self.reader.left(), self.input.len());
            assert_eq!(left == Some(0), self.reader.is_ended());
            let Some(data) = self.reader.data(&mut self.input)? else { break };
            assert!(!data.is_empty() && held >= self.input.len() + data.len(), "it goes on");
            if let Some(left) = left {
                assert_eq!(self.reader.left(), Some(left - data.len() as u64));
            }
            self.data.extend_from_slice(&data);
        }
        assert!(self.input.is_empty() || self.reader.is_ended(), "nothing of a body is held");
        Ok(())
    }
}
