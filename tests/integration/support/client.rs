//! A client: sends any bytes, reads whole answers, and looks each of them over.

use std::io;
use std::net::{SocketAddr, TcpStream};

use super::message::Wire;
use super::{PATIENCE, Reply, Request};

/// One connection of a client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) wire: Wire,
}

/// An answer that did not come to its end.
#[derive(Debug)]
pub(crate) struct BrokenOff {
    /// The status, if there was one.
    pub(crate) status: Option<u16>,
    /// What came of the body.
    pub(crate) body: Vec<u8>,
    /// How.
    pub(crate) kind: io::ErrorKind,
}

impl Client {
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self { wire: Wire::new(TcpStream::connect_timeout(&address, PATIENCE).unwrap()) }
    }

    /// On a connection that is there.
    pub(crate) fn on(stream: TcpStream) -> Self {
        Self { wire: Wire::new(stream) }
    }

    /// Nothing where nobody listens.
    pub(crate) fn try_to(address: SocketAddr) -> Option<Self> {
        TcpStream::connect_timeout(&address, PATIENCE).ok().map(|stream| Self { wire: Wire::new(stream) })
    }

    /// Sends; whether the other side still reads shows in what comes back.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.wire.write(bytes);
    }

    /// One request, one answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: &Request) -> Reply {
        self.send(&request.bytes());
        self.try_reply(request.method == "HEAD").unwrap_or_else(|broken| panic!("{request:?}: {broken:?}"))
    }

    /// The same where it may fail.
    pub(crate) fn try_reply_to(&mut self, request: &Request) -> Result<Reply, BrokenOff> {
        self.send(&request.bytes());
        self.try_reply(request.method == "HEAD")
    }

    /// The next answer.
    #[track_caller]
    pub(crate) fn reply(&mut self) -> Reply {
        self.try_reply(false).unwrap_or_else(|broken| panic!("{broken:?}"))
    }

    /// The next answer, looked over; or how it broke off. `to_head`: it has no body, whatever it says.
    #[track_caller]
    pub(crate) fn try_reply(&mut self, to_head: bool) -> Result<Reply, BrokenOff> {
        Reply::read(&mut self.wire, to_head)
    }

    /// The connection ends here, in an orderly way, with nothing more to read.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        let rest = self.wire.rest().unwrap();
        assert!(rest.is_empty(), "more came: {:?}", String::from_utf8_lossy(&rest));
    }

    /// Leaves with a reset in place of an orderly end.
    pub(crate) fn reset(self) {
        let socket = socket2::SockRef::from(&self.wire.stream);
        socket.set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }
}
