//! One new connection to an address of an endpoint.
//!
//! Leaves finding the addresses of a name to `resolve`, what follows from a failure to `journey`.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::stream::Stream;
use super::{Endpoint, Failure, Tls, resolve};

/// What the system may hold for a connection in each direction: see `server`. Karbor is near, so this is no brake.
const SOCKET_BUFFER_BYTES: u32 = 128 * 1024;

/// Where a connection goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Dial {
    Tcp(SocketAddr),
    Unix(Arc<Path>),
}

impl Dial {
    /// Where an endpoint is, if that needs no lookup.
    pub(super) fn fixed(endpoint: &Endpoint) -> Option<Self> {
        match endpoint {
            Endpoint::Unix(path) => Some(Self::Unix(path.as_path().into())),
            Endpoint::Http { host, port } | Endpoint::Https { host, port } => {
                host.parse().ok().map(|address| Self::Tcp(SocketAddr::new(address, *port)))
            }
        }
    }
}

impl fmt::Display for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// TLS, and the name that the other side must prove.
#[derive(Clone)]
pub(super) struct Secure {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Secure {
    /// What connections to `endpoint` need.
    ///
    /// # Errors
    /// When the certificates were not read, or none can be for the endpoint's name.
    pub(super) fn of(endpoint: &Endpoint, tls: Option<&Tls>) -> io::Result<Option<Self>> {
        let Some((host, _)) = endpoint.authority().filter(|_| endpoint.is_secure()) else { return Ok(None) };
        let tls = tls.ok_or_else(|| io::Error::other("the certificates were not read"))?;
        let name =
            tls.name_of(host).ok_or_else(|| io::Error::other("no certificate can be for that name"))?;
        Ok(Some(Self { connector: tls.connector(), name }))
    }
}

impl fmt::Debug for Secure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secure").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A new connection to an endpoint, for whoever asks now and then: to the first of its addresses that takes one, each
/// within `most`.
///
/// # Errors
/// When none does, or TLS is not agreed on.
pub(super) async fn reach(endpoint: &Endpoint, tls: Option<&Tls>, most: Duration) -> Result<Stream, Failure> {
    let address = || endpoint.to_string();
    let secure = Secure::of(endpoint, tls).map_err(|source| Failure::Tls { address: address(), source })?;
    let dials = match (Dial::fixed(endpoint), endpoint.authority()) {
        (None, Some(authority)) => resolve::addresses_of(authority)
            .await
            .map_err(|source| Failure::Connect { address: address(), source })?
            .into_iter()
            .map(Dial::Tcp)
            .collect(),
        (dial, _) => Vec::from_iter(dial),
    };
    let mut last = Failure::ConnectTimeout { address: address() };
    for to in dials {
        match dial(&to, secure.as_ref(), most).await {
            Ok(stream) => return Ok(stream),
            Err(failure) => last = failure,
        }
    }
    Err(last)
}

/// Connects, within `most`.
///
/// # Errors
/// When there is no connection, none in time, or TLS is not agreed on.
pub(super) async fn dial(dial: &Dial, secure: Option<&Secure>, most: Duration) -> Result<Stream, Failure> {
    match timeout(most, connect(dial, secure)).await {
        Ok(connected) => connected,
        Err(_elapsed) => Err(Failure::ConnectTimeout { address: dial.to_string() }),
    }
}

async fn connect(dial: &Dial, secure: Option<&Secure>) -> Result<Stream, Failure> {
    let refused = |source| Failure::Connect { address: dial.to_string(), source };
    let socket = match dial {
        Dial::Tcp(address) => TcpStream::connect(address).await.map_err(refused)?,
        Dial::Unix(path) => return UnixStream::connect(path).await.map(Stream::Unix).map_err(refused),
    };
    bound_buffers(&SockRef::from(&socket));
    // A head and a body written apart would otherwise wait for the acknowledgement of the first.
    let _ = socket.set_nodelay(true);
    let Some(Secure { connector, name }) = secure else { return Ok(Stream::Tcp(socket)) };
    match connector.connect(name.clone(), socket).await {
        Ok(socket) => Ok(Stream::Tls(Box::new(socket))),
        Err(source) => Err(Failure::Tls { address: dial.to_string(), source }),
    }
}

/// Where the system does not take it, it holds more.
fn bound_buffers(socket: &SockRef<'_>) {
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES as usize);
    let _ = socket.set_tcp_notsent_lowat(SOCKET_BUFFER_BYTES);
}
