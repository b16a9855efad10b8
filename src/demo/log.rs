//! What the stand-in received: a bounded record, so that a test can hold it against what was sent.

use std::collections::VecDeque;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue};

/// The most requests kept; of more, the oldest go.
pub const MAX_RECORDS: usize = 1024;
/// The most bytes kept of one body; of more, the beginning.
pub const MAX_KEPT_BODY_BYTES: usize = 256 * 1024;
/// The most bytes kept of all bodies together; of more, the oldest records go.
const MAX_KEPT_BYTES: usize = 8 * 1024 * 1024;

/// One request as it reached the stand-in.
#[derive(Clone, Debug)]
pub struct Record {
    /// The method of the request line.
    pub method: String,
    /// The target of the request line, but for a fragment, which the HTTP library drops.
    pub target: String,
    /// The fields in the order they came, fields of one name together.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body without its framing, up to [`MAX_KEPT_BODY_BYTES`]; nothing of the blob route's.
    pub body: Vec<u8>,
    /// How long the body was, in bytes, as far as it has been read.
    pub body_bytes: u64,
    /// The status of the answer; nothing while the request is being read, or if its body never ended.
    pub status: Option<u16>,
    /// Ids of the checkpoints that were made for it.
    pub checkpoints: Vec<String>,
    number: u64,
}

impl Record {
    /// The values of a field, in order. The name is in lower case.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        self.headers
            .iter()
            .filter(|(key, _)| key.as_str() == name)
            .map(|(_, value)| value.as_bytes())
            .collect()
    }
}

/// The records, and how many there ever were.
#[derive(Debug, Default)]
pub(super) struct Log {
    records: VecDeque<Record>,
    kept_bytes: usize,
    opened: u64,
}

impl Log {
    /// Begins a record; the number names it from then on.
    pub(super) fn open(&mut self, head: &Parts) -> u64 {
        self.opened += 1;
        self.records.push_back(Record {
            method: head.method.to_string(),
            target: head.uri.to_string(),
            headers: head.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            body: Vec::new(),
            body_bytes: 0,
            status: None,
            checkpoints: Vec::new(),
            number: self.opened,
        });
        self.drop_oldest();
        self.opened
    }

    /// Notes a piece of a body; `keep` says whether more than its length.
    pub(super) fn add_body(&mut self, number: u64, piece: &Bytes, keep: bool) {
        let Some(record) = self.find(number) else { return };
        record.body_bytes += piece.len() as u64;
        let room = if keep { MAX_KEPT_BODY_BYTES - record.body.len() } else { 0 };
        let kept = &piece[..piece.len().min(room)];
        record.body.extend_from_slice(kept);
        self.kept_bytes += kept.len();
        self.drop_oldest();
    }

    /// Notes the answer.
    pub(super) fn close(&mut self, number: u64, status: u16, checkpoints: Vec<String>) {
        if let Some(record) = self.find(number) {
            record.status = Some(status);
            record.checkpoints = checkpoints;
        }
    }

    pub(super) fn records(&mut self) -> &[Record] {
        self.records.make_contiguous()
    }

    fn find(&mut self, number: u64) -> Option<&mut Record> {
        self.records.iter_mut().rfind(|record| record.number == number)
    }

    fn drop_oldest(&mut self) {
        while self.records.len() > MAX_RECORDS || self.kept_bytes > MAX_KEPT_BYTES {
            let Some(oldest) = self.records.pop_front() else { return };
            self.kept_bytes -= oldest.body.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Log, MAX_KEPT_BODY_BYTES, MAX_KEPT_BYTES, MAX_RECORDS};

    fn open(log: &mut Log) -> u64 {
        log.open(&http::Request::new(()).into_parts().0)
    }

    #[test]
    fn keeps_the_beginning_of_a_body_and_the_length_of_all() {
        let mut log = Log::default();
        let number = open(&mut log);
        let piece = Bytes::from(vec![7; MAX_KEPT_BODY_BYTES - 1]);
        log.add_body(number, &piece, true);
        log.add_body(number, &piece, true);
        log.add_body(number, &piece, false);
        let record = &log.records()[0];
        assert_eq!((record.body.len(), record.body_bytes), (MAX_KEPT_BODY_BYTES, piece.len() as u64 * 3));
    }

    #[test]
    fn of_too_many_the_oldest_go() {
        let mut log = Log::default();
        let first = open(&mut log);
        for _ in 0..MAX_RECORDS {
            open(&mut log);
        }
        log.close(first, 200, Vec::new());
        let records = log.records();
        assert_eq!((records.len(), records[0].number, records[0].status), (MAX_RECORDS, first + 1, None));

        for _ in 0..=MAX_KEPT_BYTES / MAX_KEPT_BODY_BYTES {
            let number = open(&mut log);
            log.add_body(number, &Bytes::from(vec![0; MAX_KEPT_BODY_BYTES]), true);
        }
        assert!(log.kept_bytes <= MAX_KEPT_BYTES && log.records.len() <= MAX_RECORDS);
    }
}
