//! The socket of a client, of whichever kind.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use crate::wire::{Joint, write_joined};

/// A client's socket, of whichever kind.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A client's socket, and what was read of it too early.
#[derive(Debug)]
pub(super) struct Stream {
    socket: Socket,
    ahead: Vec<u8>,
}

impl From<Socket> for Stream {
    fn from(socket: Socket) -> Self {
        Self { socket, ahead: Vec::new() }
    }
}

impl Stream {
    /// Set up as a proxy needs it.
    pub(super) fn prepare(&self) {
        if let Socket::Tcp(socket) = &self.socket {
            // Without it a head and a body written apart wait 40 ms for the client's acknowledgement.
            let _ = socket.set_nodelay(true);
        }
    }

    pub(super) const fn is_unix(&self) -> bool {
        matches!(self.socket, Socket::Unix(_))
    }

    /// These bytes are read again, before all others.
    pub(super) fn put_back(&mut self, mut bytes: Vec<u8>) {
        bytes.append(&mut self.ahead);
        self.ahead = bytes;
    }

    /// Ready once there is something to read, or an end.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.ahead.is_empty() {
            return Poll::Ready(());
        }
        // Who reads then meets the error too.
        match &self.socket {
            Socket::Tcp(socket) => socket.poll_read_ready(cx).map(drop),
            Socket::Unix(socket) => socket.poll_read_ready(cx).map(drop),
        }
    }

    /// One attempt to write, and no waiting.
    pub(super) fn write_once(&self, bytes: &[u8]) {
        let _ = match &self.socket {
            Socket::Tcp(socket) => socket.try_write(bytes),
            Socket::Unix(socket) => socket.try_write(bytes),
        };
    }

    /// Ends with a reset when dropped: an orderly end would keep in the system's memory what the client
    /// does not take. A unix socket keeps nothing.
    pub(super) fn cut(&self) {
        if let Socket::Tcp(socket) = &self.socket {
            let _ = socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
    }
}

/// The same call on either.
macro_rules! either {
    ($stream:expr, $socket:ident => $call:expr) => {
        match $stream {
            Socket::Tcp($socket) => $call,
            Socket::Unix($socket) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let step = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead[..step]);
            self.ahead.drain(..step);
            if self.ahead.is_empty() {
                self.ahead = Vec::new();
            }
            return Poll::Ready(Ok(()));
        }
        either!(&mut self.socket, socket => Pin::new(socket).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(&mut self.socket, socket => Pin::new(socket).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Tcp(socket) => write_joined(parts, |joint| match joint {
                Joint::Whole(bytes) => Pin::new(socket).poll_write(cx, bytes),
                Joint::Apart(parts) => Pin::new(socket).poll_write_vectored(cx, parts),
            }),
            Socket::Unix(socket) => Pin::new(socket).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        either!(&self.socket, socket => socket.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(&mut self.socket, socket => Pin::new(socket).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(&mut self.socket, socket => Pin::new(socket).poll_shutdown(cx))
    }
}

/// A client's socket, and what is spoken on it.
#[derive(Debug)]
pub(super) enum Channel {
    Plain(Stream),
    Tls(Box<TlsStream<Stream>>),
}

impl Channel {
    /// Whether that was agreed on in the handshake.
    pub(super) fn speaks_http2(&self) -> bool {
        matches!(self, Self::Tls(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2"))
    }

    pub(super) const fn is_encrypted(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Ready once there is something to read, or an end. What is decrypted already does not count.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Plain(stream) => stream.poll_readable(cx),
            Self::Tls(stream) => stream.get_ref().0.poll_readable(cx),
        }
    }

    /// These bytes are read again. They come from where nothing is encrypted.
    pub(super) fn put_back(&mut self, bytes: Vec<u8>) {
        if let Self::Plain(stream) = self {
            stream.put_back(bytes);
        }
    }

    /// Ends with a reset when dropped.
    pub(super) fn cut(&self) {
        match self {
            Self::Plain(stream) => stream.cut(),
            Self::Tls(stream) => stream.get_ref().0.cut(),
        }
    }

    /// Says that nothing follows, where there is a way to say so beside the end itself.
    pub(super) async fn say_end(&mut self) {
        if let Self::Tls(stream) = self {
            // One that does not take even that is not waited for.
            let _ = timeout(FAREWELL, stream.shutdown()).await;
        }
    }
}

/// How long a client may take to take our farewell.
const FAREWELL: Duration = Duration::from_secs(2);

/// The same call on either.
macro_rules! any {
    ($channel:expr, $socket:ident => $call:expr) => {
        match $channel {
            Channel::Plain($socket) => $call,
            Channel::Tls($socket) => $call,
        }
    };
}

impl AsyncRead for Channel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        any!(&mut *self, socket => Pin::new(socket).poll_read(cx, buf))
    }
}

impl AsyncWrite for Channel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        any!(&mut *self, socket => Pin::new(socket).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        any!(&mut *self, socket => Pin::new(socket).poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        any!(self, socket => socket.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        any!(&mut *self, socket => Pin::new(socket).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        any!(&mut *self, socket => Pin::new(socket).poll_shutdown(cx))
    }
}
