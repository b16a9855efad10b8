//! One listener apart from those of the workers, for a side that serves few: bound or handed over, plain or TLS.
//!
//! Leaves bounds, time limits but that of the handshake, and what is spoken to whoever opens it.

use std::future::poll_fn;
use std::io;
use std::net::TcpListener;

use tokio::io::{AsyncRead, AsyncWrite};

use super::doors::Doors;
use super::listener::{Listen, Listener, Site, Takeover};
use super::socket::{Channel, Stream};
use super::tls::{self, TlsOptions};

/// Bound, and not yet open.
#[derive(Debug)]
pub struct SideDoor {
    listeners: Vec<Listener>,
    listen: Listen,
}

/// Accepts, within a runtime.
pub struct OpenSideDoor(Doors);

/// Who came, and has said nothing yet.
pub struct Visitor(Stream);

impl SideDoor {
    /// Binds it; `beside` another instance's if need be. A unix socket gets `unix_mode`. A socket that was handed over
    /// is taken instead, wherever it is. Needs no runtime.
    ///
    /// # Errors
    /// When the place is taken or not ours.
    pub fn bind(
        listen: &Listen,
        unix_mode: u32,
        beside: Option<&Takeover>,
        handed: Option<TcpListener>,
    ) -> io::Result<Self> {
        let there = handed.as_ref().map(TcpListener::local_addr).transpose()?.map(Listen::Tcp);
        let listen = there.as_ref().unwrap_or(listen);
        let (listeners, listen) = Site { listen, unix_mode, beside }.bind(1, handed)?;
        Ok(Self { listeners, listen })
    }

    /// Where it in fact is.
    #[must_use]
    pub fn listen(&self) -> &Listen {
        &self.listen
    }

    /// Opens it on the runtime of the calling thread.
    ///
    /// # Errors
    /// When the runtime cannot take it.
    pub fn open(self) -> io::Result<OpenSideDoor> {
        Doors::open(self.listeners).map(OpenSideDoor)
    }
}

impl OpenSideDoor {
    /// The next visitor.
    ///
    /// # Errors
    /// When the system cannot accept one, for want of descriptors for example.
    pub async fn accept(&mut self) -> io::Result<Visitor> {
        let (stream, _origin) = poll_fn(|cx| self.0.poll_accept(cx)).await?;
        stream.prepare();
        Ok(Visitor(stream))
    }
}

impl Visitor {
    /// What is spoken with the visitor: by TLS where there is any, but plain on a unix socket. Nothing if the
    /// handshake fails, takes too long, or the certificates were never read.
    pub async fn receive(
        self,
        tls: Option<TlsOptions>,
    ) -> Option<impl AsyncRead + AsyncWrite + Unpin + Send + 'static> {
        let Some(options) = tls.filter(|_| !self.0.is_unix()) else { return Some(Channel::Plain(self.0)) };
        let shaken = tls::accept(options.loaded.as_ref()?, self.0, options.handshake_timeout).await;
        shaken.ok().map(Channel::Tls)
    }
}
