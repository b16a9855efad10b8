//! A request on its way to Karbor: what was written of it, and what comes next.
//!
//! Leaves connections to `line`, and when it may be sent again to `journey`.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use http_body::Body;
use tokio::io::{AsyncWrite, WriteHalf};

use super::failure::Broken;
use super::stream::Stream;
use crate::wire::{Framing, write_field, write_request_head};

/// Most heads, `Host` included.
const HEAD_BYTES: usize = 1024;

/// The head of a request, apart from its framing.
#[derive(Clone, Debug)]
pub struct Head {
    /// The method.
    pub method: Method,
    /// The target, in origin form.
    pub uri: Uri,
    /// The fields. Those that frame a body say nothing.
    pub headers: HeaderMap,
    /// Further fields, as they are sent: each with its line end.
    pub lines: Rc<[u8]>,
}

/// A request on its way to Karbor, as far as it was not written. Its head is text from the beginning: of what the
/// client's fields were read with, nothing is held.
#[derive(Debug)]
pub struct Outgoing<B> {
    method: Method,
    head: Vec<u8>,
    /// Of the head, what does not depend on where it goes.
    fixed: usize,
    names_host: bool,
    body: B,
    framing: Option<Framing>,
    /// Bytes of the head that were written.
    at: usize,
    /// A part of the body, what stands before it and behind.
    part: [Bytes; 3],
    /// Nothing more comes of the body.
    has_all: bool,
    is_repeatable: bool,
}

impl<B> Outgoing<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// A request, not sent yet. In a box, because it is moved often, and large.
    #[must_use]
    pub fn of(head: &Head, body: B) -> Box<Self> {
        let has_all = body.is_end_stream();
        let is_repeatable = has_all && matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS);
        let framing = match body.size_hint().exact() {
            // A server may wait for the body of such a one.
            Some(0) if has_all => matches!(head.method, Method::POST | Method::PUT | Method::PATCH)
                .then_some(Framing::Length(0)),
            Some(bytes) => Some(Framing::Length(bytes)),
            None => Some(Framing::Chunked),
        };
        let mut text = Vec::with_capacity(HEAD_BYTES);
        write_request_head(&head.method, &head.uri, &head.headers, framing, &mut text);
        text.extend_from_slice(&head.lines);
        Box::new(Self {
            fixed: text.len(),
            head: text,
            names_host: head.headers.contains_key(header::HOST),
            method: head.method.clone(),
            body,
            framing,
            at: 0,
            part: Default::default(),
            has_all,
            is_repeatable,
        })
    }

    /// Its body.
    #[must_use]
    pub const fn body(&self) -> &B {
        &self.body
    }

    pub(super) const fn method(&self) -> &Method {
        &self.method
    }

    /// Whether it can be sent as often as one likes: it changes nothing, and has no body.
    pub(super) const fn is_repeatable(&self) -> bool {
        self.is_repeatable
    }

    /// From the beginning, to an endpoint of that name.
    pub(super) fn begin(&mut self, host: &HeaderValue) {
        self.at = 0;
        self.head.truncate(self.fixed);
        if !self.names_host {
            write_field("host", host.as_bytes(), &mut self.head);
        }
        self.head.extend_from_slice(b"\r\n");
    }

    /// Whether all of it was written.
    pub(super) fn is_done(&self) -> bool {
        self.has_all && self.at == self.head.len() && !self.part.iter().any(Bytes::has_remaining)
    }

    /// Writes what can be written now; ready when that was all, and is on its way.
    pub(super) fn poll_send(
        &mut self,
        out: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        loop {
            // The head and the first part go together.
            let comes = self.poll_part(cx)?;
            let slices = self.slices();
            let Some(first) = slices.iter().position(|part| !part.is_empty()) else {
                // What was written must not wait for what is not there yet.
                let flushed = Pin::new(&mut *out).poll_flush(cx).map_err(Broken::Connection)?;
                if self.has_all {
                    return flushed.map(Ok);
                }
                ready!(comes);
                continue;
            };
            let last = slices.iter().rposition(|part| !part.is_empty()).unwrap_or(first);
            let written = Pin::new(&mut *out).poll_write_vectored(cx, &slices[first..=last]);
            match ready!(written).map_err(Broken::Connection)? {
                0 => return Poll::Ready(Err(Broken::Connection(io::ErrorKind::WriteZero.into()))),
                bytes => self.advance(bytes),
            }
        }
    }

    /// Writes the rest to half a connection, which somebody else reads on, and no longer than that and a while after.
    pub(super) async fn finish(
        mut self: Box<Self>,
        mut out: WriteHalf<Stream>,
        heard: impl Future<Output = ()>,
    ) {
        /// How long a client's body is taken when its answer is over.
        const LAST_WORDS: Duration = Duration::from_secs(5);
        let patience = async {
            heard.await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        tokio::select! {
            _ = poll_fn(|cx| self.poll_send(&mut out, cx)) => {}
            () = patience => {}
        }
    }

    fn slices(&self) -> [IoSlice<'_>; 4] {
        let [before, data, behind] = &self.part;
        [&self.head[self.at..], before, data, behind].map(IoSlice::new)
    }

    fn advance(&mut self, mut bytes: usize) {
        let of_head = bytes.min(self.head.len() - self.at);
        self.at += of_head;
        bytes -= of_head;
        for part in &mut self.part {
            let of_part = bytes.min(part.len());
            part.advance(of_part);
            bytes -= of_part;
        }
    }

    /// Has the next part of the body, where the last was written.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        while !self.has_all && !self.part.iter().any(Bytes::has_remaining) {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.take(data)?;
                    }
                }
                Some(Err(error)) => return Poll::Ready(Err(Broken::Request(error.into()))),
                None => self.end()?,
            }
            if self.body.is_end_stream() && !self.has_all {
                self.end()?;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn take(&mut self, data: Bytes) -> Result<(), Broken> {
        match &mut self.framing {
            _ if data.is_empty() => return Ok(()),
            Some(Framing::Chunked) => {
                self.part[0] = format!("{:x}\r\n", data.len()).into();
                self.part[2] = Bytes::from_static(b"\r\n");
            }
            Some(Framing::Length(left)) if *left >= data.len() as u64 => *left -= data.len() as u64,
            // More than it was said to have: another request would begin with it.
            Some(Framing::Length(_)) | None => return Err(Broken::Request(BadLength.into())),
        }
        self.part[1] = data;
        Ok(())
    }

    fn end(&mut self) -> Result<(), Broken> {
        self.has_all = true;
        match self.framing {
            Some(Framing::Length(1..)) => return Err(Broken::Request(BadLength.into())),
            Some(Framing::Chunked) if self.part[2].is_empty() => {
                self.part[2] = Bytes::from_static(b"0\r\n\r\n");
            }
            Some(Framing::Chunked) => self.part[2] = Bytes::from_static(b"\r\n0\r\n\r\n"),
            Some(Framing::Length(0)) | None => {}
        }
        Ok(())
    }
}

/// A body has another length than it said.
#[derive(Debug, thiserror::Error)]
#[error("the body of the request has another length than it said")]
struct BadLength;

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::task::Waker;

    use http_body::{Frame, SizeHint};

    use super::*;

    /// Parts, and where nothing is there yet.
    struct Parts {
        parts: VecDeque<Option<&'static str>>,
        length: Option<u64>,
    }

    impl Body for Parts {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.parts.front() {
                Some(None) => Poll::Pending,
                Some(Some(part)) => {
                    let part = Bytes::from_static(part.as_bytes());
                    self.parts.pop_front();
                    Poll::Ready(Some(Ok(Frame::data(part))))
                }
                None => Poll::Ready(None),
            }
        }

        fn is_end_stream(&self) -> bool {
            self.parts.is_empty()
        }

        fn size_hint(&self) -> SizeHint {
            self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
        }
    }

    /// Takes a few bytes at a time, and holds them back until it is flushed.
    #[derive(Default)]
    struct Wire {
        held: Vec<u8>,
        sent: Vec<u8>,
    }

    impl AsyncWrite for Wire {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let step = bytes.len().min(7);
            self.held.extend_from_slice(&bytes[..step]);
            Poll::Ready(Ok(step))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            let held = std::mem::take(&mut self.held);
            self.sent.extend(held);
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn outgoing(
        method: Method,
        parts: &[Option<&'static str>],
        length: Option<u64>,
        host: Option<&'static str>,
    ) -> Box<Outgoing<Parts>> {
        let mut headers = HeaderMap::new();
        headers.extend(host.map(|host| (header::HOST, HeaderValue::from_static(host))));
        let lines = b"via: x\r\n".as_slice().into();
        let head = Head { method, uri: Uri::from_static("/a"), headers, lines };
        Outgoing::of(&head, Parts { parts: parts.iter().copied().collect(), length })
    }

    /// What is on its way after each look at it, each as far as the one before; and how it ended.
    fn send(mut outgoing: Box<Outgoing<Parts>>) -> (Vec<String>, Result<(), String>) {
        outgoing.begin(&HeaderValue::from_static("endpoint"));
        let (mut wire, mut seen) = (Wire::default(), Vec::new());
        loop {
            let polled = outgoing.poll_send(&mut wire, &mut Context::from_waker(Waker::noop()));
            seen.push(String::from_utf8(std::mem::take(&mut wire.sent)).unwrap());
            match polled {
                Poll::Ready(Ok(())) => {
                    assert!(outgoing.is_done());
                    return (seen, Ok(()));
                }
                Poll::Ready(Err(error)) => return (seen, Err(error.to_string())),
                Poll::Pending => assert_eq!(wire.held, b"", "held back while nothing comes"),
            }
            if let Some(None) = outgoing.body.parts.front() {
                outgoing.body.parts.pop_front();
            }
        }
    }

    #[track_caller]
    fn check(parts: &[Option<&'static str>], length: Option<u64>, expected: &[&str]) {
        let (seen, ended) = send(outgoing(Method::PUT, parts, length, Some("h")));
        assert_eq!((seen.iter().map(String::as_str).collect::<Vec<_>>(), ended), (expected.to_vec(), Ok(())));
    }

    #[test]
    fn goes_as_far_as_there_is_something_to_send() {
        check(&[], Some(0), &["PUT /a HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\nvia: x\r\n\r\n"]);
        let head = "PUT /a HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\nvia: x\r\n\r\n";
        check(&[Some("123456789")], Some(9), &[&format!("{head}123456789")]);
        check(&[None, Some("1234"), None, Some(""), Some("56789")], Some(9), &[head, "1234", "56789"]);
        let head = "PUT /a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\nvia: x\r\n\r\n";
        check(&[Some("0123456789abcdef")], None, &[&format!("{head}10\r\n0123456789abcdef\r\n0\r\n\r\n")]);
        check(
            &[Some("a"), None, Some("bc"), None],
            None,
            &[&format!("{head}1\r\na\r\n"), "2\r\nbc\r\n", "0\r\n\r\n"],
        );
    }

    #[test]
    fn sends_neither_more_nor_less_than_it_said() {
        for (parts, length) in [(&[Some("123")][..], 2), (&[Some("12"), Some("3")], 2), (&[Some("1")], 2)] {
            let (seen, ended) = send(outgoing(Method::PUT, parts, Some(length), Some("h")));
            assert!(ended.is_err(), "{parts:?}");
            assert!(seen.iter().all(|text| !text.contains("123")), "{seen:?}");
        }
    }

    #[test]
    fn names_the_endpoint_where_the_client_named_none() {
        let (seen, _) = send(outgoing(Method::GET, &[], Some(0), None));
        assert_eq!(seen.concat(), "GET /a HTTP/1.1\r\nvia: x\r\nhost: endpoint\r\n\r\n");
    }

    #[test]
    fn only_what_changes_nothing_and_has_no_body_is_repeatable() {
        for (method, parts, expected) in [
            (Method::GET, &[][..], true),
            (Method::HEAD, &[], true),
            (Method::OPTIONS, &[], true),
            (Method::GET, &[Some("x")], false),
            (Method::DELETE, &[], false),
            (Method::POST, &[], false),
            (Method::PUT, &[], false),
        ] {
            assert_eq!(outgoing(method.clone(), parts, Some(0), None).is_repeatable(), expected, "{method}");
        }
    }
}
