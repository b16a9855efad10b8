//! Limits and streams to try requests on, and chunks that neither they nor answers may have.

use karbor_admission::wire::{Head, HeadLimits, Look, Refusal, Refused, RequestStream, read_head};

/// As shipped.
pub(crate) const LIMITS: HeadLimits =
    HeadLimits { request_line_bytes: 8192, head_bytes: 65_536, fields: 100 };

/// Chunks of which the last byte must not stand where it does.
pub(crate) const MALFORMED_CHUNKS: &[&str] = &[
    "\r",
    "\n",
    ";",
    " ",
    "g",
    "-",
    "+",
    "\"",
    "0x",
    "5 ",
    "5\t",
    "5_",
    "5\n",
    "5\rx",
    "5\r\r",
    "5,",
    "5\0",
    "1\r\nab",
    "1\r\na\n",
    "1\r\na\rx",
    "1\r\na\r\n\r",
    "1\r\na\r\n ",
    "5;\n",
    "5;\0",
    "5;\u{7f}",
    "5;a\rb",
    "0\r\n\n",
    "0\r\n\r\r",
    "0\r\n\r\0",
    "0\r\n ",
    "0\r\n\t",
    "0\r\n:",
    "0\r\nX ",
    "0\r\nX\r",
    "0\r\nX\n",
    "0\r\nX: \n",
    "0\r\nX: \0",
    "0\r\nX: y\rz",
    "0\r\nX: y\r\n ",
    "0\r\nX@",
    "0\r\n\rx",
    "0000000000000000",
    "fffffffffffffffF",
];

pub(crate) fn read(head: &[u8]) -> Result<Option<Head>, Refusal> {
    read_head(head, &LIMITS)
}

/// What became of everything that a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Bytes handed on.
    pub(crate) sound: usize,
    pub(crate) refusal: Option<Refused>,
    /// Heads handed on.
    pub(crate) requests: u64,
    /// Whether nothing of a body is outstanding.
    pub(crate) between_requests: bool,
}

/// Sends `parts` one after another, as a socket delivers them: what was not sound is shown again with more.
pub(crate) fn send<'a>(parts: impl IntoIterator<Item = &'a [u8]>, limits: HeadLimits) -> Sent {
    let mut stream = RequestStream::new(limits);
    let (mut held, mut total) = (Vec::new(), 0);
    for part in parts {
        held.extend_from_slice(part);
        let Look { sound, refusal } = stream.look(&held);
        assert!(sound <= held.len());
        held.drain(..sound);
        total += sound;
        if refusal.is_some() {
            assert_eq!(
                stream.look(&held),
                Look { sound: 0, refusal: None },
                "nothing goes on after a refusal"
            );
            return Sent {
                sound: total,
                refusal,
                requests: stream.requests(),
                between_requests: stream.between_requests(),
            };
        }
        let most = (limits.request_line_bytes + 3).max(limits.head_bytes);
        assert!(held.len() <= most, "{} bytes of an incomplete head are held", held.len());
    }
    Sent {
        sound: total,
        refusal: None,
        requests: stream.requests(),
        between_requests: stream.between_requests(),
    }
}
