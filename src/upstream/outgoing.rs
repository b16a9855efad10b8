//! A request on its way to Karbor: what was written of it, and what comes next.
//!
//! Leaves connections to `line`, and when it may be sent again to `journey`.

use std::io::IoSlice;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use http_body::Body;
use tokio::io::{AsyncWrite, AsyncWriteExt as _, WriteHalf};

use super::failure::Broken;
use super::line::Line;
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
    /// A request, not sent yet.
    #[must_use]
    pub fn of(head: &Head, body: B) -> Self {
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
        Self {
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
        }
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

    /// Writes what can be written now; ready when that was all.
    pub(super) fn poll_send(&mut self, line: &mut Line, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        loop {
            // The head and the first part go together.
            let comes = self.poll_part(cx)?;
            if self.is_done() {
                return line.poll_flush(cx).map_err(Broken::Connection);
            }
            let [head, parts @ ..] = self.slices();
            if head.is_empty() && parts.iter().all(|part| part.is_empty()) {
                // It must not wait for what is not there yet.
                let _flushed = line.poll_flush(cx).map_err(Broken::Connection)?;
                ready!(comes);
                continue;
            }
            let slices = [head, parts[0], parts[1], parts[2]];
            let first = slices.iter().position(|part| !part.is_empty()).unwrap_or_default();
            let last = slices.iter().rposition(|part| !part.is_empty()).unwrap_or_default();
            let bytes = ready!(line.poll_send(cx, &slices[first..=last])).map_err(Broken::Connection)?;
            self.advance(bytes);
        }
    }

    /// Writes the rest to half a connection, which somebody else reads on, and no longer than that and a while after.
    pub(super) async fn finish(mut self, mut out: WriteHalf<Stream>, heard: impl Future<Output = ()>) {
        /// How long a client's body is taken when its answer is over.
        const LAST_WORDS: Duration = Duration::from_secs(5);
        let patience = async {
            heard.await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        let rest = async {
            while !self.is_done() {
                let Ok(()) = std::future::poll_fn(|cx| self.poll_part(cx)).await else { return };
                let slices = self.slices();
                match std::future::poll_fn(|cx| Pin::new(&mut out).poll_write_vectored(cx, &slices)).await {
                    Ok(bytes @ 1..) => self.advance(bytes),
                    _ => return,
                }
            }
            let _flushed = out.flush().await;
        };
        tokio::select! {
            () = rest => {}
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
