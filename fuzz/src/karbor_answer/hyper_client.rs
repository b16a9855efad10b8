//! hyper's client on a connection in memory, driven by hand: it reads what it is given until it asks for more.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper::rt::{Read, ReadBufCursor, Write};

/// One connection, and what was read of the answer to the last request.
pub(super) struct HyperClient {
    pipe: Pipe,
    sender: SendRequest<String>,
    /// None once it is over.
    connection: Option<Connection<Pipe, String>>,
    woken: Arc<Woken>,
    answer: Answer,
}

#[derive(Default)]
struct Answer {
    coming: Option<Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>>>>>,
    head: Option<(StatusCode, HeaderMap)>,
    /// None before the head and after the end.
    body: Option<Incoming>,
    data: Vec<u8>,
    error: Option<String>,
}

impl HyperClient {
    pub(super) fn new() -> Self {
        let pipe = Pipe::default();
        let shaken = pin!(handshake(pipe.clone())).poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Ok((sender, connection))) = shaken else { panic!("it waits for nothing") };
        let woken = Arc::new(Woken::default());
        Self { pipe, sender, connection: Some(connection), woken, answer: Answer::default() }
    }

    /// Sends a request, which must be possible.
    pub(super) fn ask(&mut self, method: &Method) {
        let request = Request::builder().method(method).uri("/").header("host", "h").body(String::new());
        let coming = self.sender.send_request(request.expect("a request"));
        self.answer = Answer { coming: Some(Box::pin(coming)), ..Answer::default() };
        self.run();
        assert!(self.answer.error.is_none(), "{:?}", self.answer.error);
    }

    /// Whether it keeps the connection for another request.
    pub(super) fn may_ask(&mut self) -> bool {
        let waker = Waker::from(self.woken.clone());
        matches!(self.sender.poll_ready(&mut Context::from_waker(&waker)), Poll::Ready(Ok(())))
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) {
        self.pipe.0.borrow_mut().input.extend(bytes);
        self.run();
    }

    pub(super) fn close(&mut self) {
        self.pipe.0.borrow_mut().is_closed = true;
        self.run();
    }

    pub(super) fn head(&self) -> Option<(StatusCode, &HeaderMap)> {
        self.answer.head.as_ref().map(|(status, headers)| (*status, headers))
    }

    pub(super) fn data(&self) -> &[u8] {
        &self.answer.data
    }

    pub(super) fn has_ended(&self) -> bool {
        self.answer.head.is_some() && self.answer.body.is_none() && self.answer.error.is_none()
    }

    pub(super) fn error(&self) -> Option<&str> {
        self.answer.error.as_deref()
    }

    /// Until nothing moves any more. What comes is not waited for: who brings it calls again.
    fn run(&mut self) {
        let waker = Waker::from(self.woken.clone());
        let mut cx = Context::from_waker(&waker);
        // What was not woken for may still go on: each is asked once more than it says.
        let mut idle = 0;
        while idle < 2 {
            let before = (self.pipe.0.borrow().input.len(), self.answer.data.len());
            if let Some(connection) = &mut self.connection
                && Pin::new(connection).poll(&mut cx).is_ready()
            {
                self.connection = None;
            }
            self.answer.poll(&mut cx);
            let moved = before != (self.pipe.0.borrow().input.len(), self.answer.data.len());
            let woken = self.woken.0.swap(false, Ordering::Relaxed);
            idle = if woken || moved { 0 } else { idle + 1 };
        }
    }
}

impl Answer {
    fn poll(&mut self, cx: &mut Context<'_>) {
        if let Some(coming) = &mut self.coming
            && let Poll::Ready(came) = coming.as_mut().poll(cx)
        {
            self.coming = None;
            match came {
                Ok(answer) => {
                    let (parts, body) = answer.into_parts();
                    self.head = Some((parts.status, parts.headers));
                    self.body = Some(body);
                }
                Err(error) => self.error = Some(format!("{error:?}")),
            }
        }
        while let Some(body) = &mut self.body {
            match Pin::new(body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.data.extend(frame.into_data().unwrap_or_default());
                }
                Poll::Ready(Some(Err(error))) => {
                    self.error = Some(format!("{error:?}"));
                    self.body = None;
                }
                Poll::Ready(None) => self.body = None,
                Poll::Pending => return,
            }
        }
    }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What comes to the client. What it sends is let go.
#[derive(Clone, Default)]
struct Pipe(Rc<RefCell<Coming>>);

#[derive(Default)]
struct Coming {
    input: VecDeque<u8>,
    is_closed: bool,
}

impl Read for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut room: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut coming = self.0.borrow_mut();
        if coming.input.is_empty() && !coming.is_closed {
            return Poll::Pending;
        }
        let (first, _) = coming.input.as_slices();
        let bytes = first.len().min(room.remaining());
        room.put_slice(&first[..bytes]);
        coming.input.drain(..bytes);
        Poll::Ready(Ok(()))
    }
}

impl Write for Pipe {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
