//! What holds for any bytes of Karbor's, and however they arrive; and that our own reader takes the requests we write.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri};
use karbor_admission::wire::{BadAnswer, Framing, Head, write_field, write_request_head};
use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::{Index, select};

use crate::properties::cut;
use crate::received::receive;
use crate::support::{LIMITS, read, send};

/// What answers are made of, and what they must not be made of.
const TOKENS: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 404\r\n",
    b"HTTP/1.0 200 OK\r\n",
    b"HTTP/1.1 204 x\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 x\r\n\r\n",
    b"Content-Length: 3\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"X:\t a b \xff\t\r\n",
    b"\r\n",
    b"\r\n",
    b"\r",
    b"\n",
    b" ",
    b":",
    b"abc",
    b"3\r\nabc\r\n",
    b"1;x=y\r\nz\r\n",
    b"0\r\n\r\n",
    b"0\r\nA: b\r\n\r\n",
    b"\0",
];

fn near_answers() -> impl Strategy<Value = Vec<u8>> {
    let tokens = |most| proptest::collection::vec(select(TOKENS), 0..most).prop_map(|tokens| tokens.concat());
    let framing = select(&["", "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n"][..]);
    let near = (framing, tokens(8))
        .prop_map(|(framing, rest)| [b"HTTP/1.1 200 OK\r\n", framing.as_bytes(), b"\r\n", &rest].concat());
    prop_oneof![tokens(16), near]
}

/// The same head, data and error, and the same left over; but where chunks are refused, what is left is nobody's.
#[track_caller]
fn check_parts(bytes: &[u8], cuts: &[Index]) {
    for method in [Method::GET, Method::HEAD] {
        let parts = [vec![bytes], cut(bytes, cuts), bytes.chunks(1).collect()];
        let [whole, parted, single] = parts.map(|parts| {
            let mut received = receive(&method, parts);
            if received.error == Some(BadAnswer::Chunk) {
                received.rest.clear();
            }
            received
        });
        assert_eq!(whole, parted, "{method}, in parts: {}", bytes.escape_ascii());
        assert_eq!(whole, single, "{method}, byte by byte: {}", bytes.escape_ascii());
    }
}

/// A request, written as `upstream` does.
#[derive(Debug)]
struct Written {
    method: Method,
    target: Uri,
    headers: HeaderMap,
    framing: Option<Framing>,
}

impl Written {
    fn head(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write_request_head(&self.method, &self.target, &self.headers, self.framing, &mut out);
        write_field("host", b"karbor.test:8799", &mut out);
        out.extend_from_slice(b"\r\n");
        out
    }

    /// Of a body of `a`, in chunks of these sizes.
    fn body(&self, chunks: &[u8]) -> Vec<u8> {
        match self.framing {
            None => Vec::new(),
            Some(Framing::Length(length)) => vec![b'a'; usize::try_from(length).unwrap()],
            Some(Framing::Chunked) => {
                let chunks =
                    chunks.iter().map(|&size| format!("{size:x}\r\n{}\r\n", "a".repeat(size.into())));
                format!("{}0\r\n\r\n", chunks.collect::<String>()).into_bytes()
            }
        }
    }
}

fn written() -> impl Strategy<Value = Written> {
    let method = prop_oneof![
        select(&["GET", "HEAD", "POST", "PUT", "DELETE"][..]).prop_map(str::to_owned),
        "[A-Z!#$.^`|~-]{1,6}"
    ];
    let method = method.prop_map(|method| Method::from_bytes(method.as_bytes()).unwrap());
    let target = "/[a-z0-9/?=&%.~!$'()*+,;:@-]{0,30}".prop_map(|target| Uri::try_from(target).unwrap());
    // What a client says of framing is not what is sent.
    let name = prop_oneof![8 => "[a-z0-9-]{1,10}".prop_filter("once", |name| name != "host" && name != "expect"), 1 => Just("content-length".to_owned()), 1 => Just("transfer-encoding".to_owned())];
    let name = name.prop_map(|name| HeaderName::from_bytes(name.as_bytes()).unwrap());
    let value = proptest::collection::vec(
        prop_oneof![4 => 0x20_u8..0x7f, 1 => Just(b'\t'), 1 => 0x80..=0xff_u8],
        0..20,
    );
    let value = value.prop_map(|value| HeaderValue::from_bytes(&value).unwrap());
    let headers =
        proptest::collection::vec((name, value), 0..20).prop_map(|fields| fields.into_iter().collect());
    let framing = prop_oneof![
        Just(None),
        (0..300_u64).prop_map(|length| Some(Framing::Length(length))),
        Just(Some(Framing::Chunked))
    ];
    (method, target, headers, framing).prop_map(|(method, target, headers, framing)| Written {
        method,
        target,
        headers,
        framing,
    })
}

proptest! {
    #[test]
    fn parts_do_not_matter(bytes in near_answers(), cuts in proptest::collection::vec(any::<Index>(), 0..6), at in any::<Index>(), byte in any::<u8>()) {
        check_parts(&bytes, &cuts);
        let mut changed = bytes;
        if !changed.is_empty() {
            let at = at.index(changed.len());
            changed[at] = byte;
            check_parts(&changed, &cuts);
        }
    }

    #[test]
    fn reads_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..100), cuts in proptest::collection::vec(any::<Index>(), 0..6)) {
        check_parts(&bytes, &cuts);
        for head in [&b"HTTP/1.1 200 OK\r\n"[..], b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"] {
            check_parts(&[head, &bytes].concat(), &cuts);
        }
    }

    #[test]
    fn our_own_reader_takes_the_requests_we_write(request in written(), chunks in proptest::collection::vec(1_u8.., 0..4)) {
        let head = request.head();
        let framing = request.framing.unwrap_or(Framing::Length(0));
        prop_assert_eq!(read(&head), Ok(Some(Head { bytes: head.len(), framing })), "{}", head.escape_ascii());
        // One behind the other, each begins where the one before it ends.
        let whole = [head, request.body(&chunks)].concat().repeat(2);
        let sent = send([&whole[..]], LIMITS);
        prop_assert_eq!((sent.sound, sent.refusal, sent.requests, sent.between_requests), (whole.len(), None, 2, true));
    }

    /// The fields that arrive are those that were given, and one that frames.
    #[test]
    fn another_reader_finds_the_fields_we_write(request in written()) {
        let head = request.head();
        let mut fields = [httparse::EMPTY_HEADER; 100];
        let mut read = httparse::Request::new(&mut fields);
        prop_assert_eq!(read.parse(&head), Ok(httparse::Status::Complete(head.len())));
        let framing = |name: &str| name == "content-length" || name == "transfer-encoding";
        let given = request.headers.iter().filter(|(name, _)| !framing(name.as_str()));
        let given: Vec<_> = given.map(|(name, value)| (name.as_str(), value.as_bytes().trim_ascii())).collect();
        let (framed, others): (Vec<_>, Vec<_>) = read.headers.iter().map(|field| (field.name, field.value)).partition(|(name, _)| framing(name));
        prop_assert_eq!(&others[..given.len()], &given[..]);
        prop_assert_eq!(&others[given.len()..], &[("host", &b"karbor.test:8799"[..])]);
        prop_assert_eq!(framed.len(), usize::from(request.framing.is_some()));
    }
}
