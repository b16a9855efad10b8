//! Where clients connect: addresses and unix sockets, bound by us or handed to us, once for each worker.
//!
//! Leaves accepting, and leaving without losing a connection, to `doors`.

use std::cell::RefCell;
use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::ServerOptions;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Listen {
    /// An address with a port; port 0 takes a free one. `[::]` is IPv6 alone.
    Tcp(SocketAddr),
    /// A unix socket, at an absolute path.
    Unix(PathBuf),
}

/// As it is written in the configuration.
impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Listen {
    /// Whether two of them would take the same connections.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(one), Self::Tcp(other)) => {
                let everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
                one.port() != 0
                    && one.port() == other.port()
                    && one.is_ipv4() == other.is_ipv4()
                    && (one.ip() == other.ip() || everywhere)
            }
            (Self::Unix(one), Self::Unix(other)) => one == other,
            _ => false,
        }
    }

    /// Whether only this machine gets there.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

/// A bound socket that accepts.
#[derive(Debug)]
pub enum Listener {
    /// On an address.
    Tcp {
        /// What listens.
        socket: TcpListener,
        /// Whether others have it too, who will accept what is left waiting.
        is_shared: bool,
    },
    /// On a path.
    Unix(UnixListener),
}

/// An address cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {listen}")]
pub struct BindError {
    /// Which.
    pub listen: Listen,
    /// Why not.
    #[source]
    pub source: io::Error,
}

/// What is bound: every listener, once for each worker.
#[derive(Debug)]
pub struct Bound {
    /// Where, with the ports in fact taken.
    pub addresses: Vec<Listen>,
    /// For each worker, one listener on each of them.
    pub workers: Vec<Vec<Listener>>,
}

/// The unix sockets that another instance still has, and this one is to have in its place once nothing can keep it
/// from serving any more.
#[derive(Debug, Default)]
pub struct Takeover(RefCell<Vec<(PathBuf, PathBuf)>>);

impl Takeover {
    /// From now on whoever connects comes to this instance. Who has connected already stays with the other.
    ///
    /// # Errors
    /// When a socket cannot be put in the place of the other.
    pub fn complete(self) -> io::Result<()> {
        self.0.into_inner().into_iter().try_for_each(|(ready, path)| fs::rename(ready, path))
    }
}

/// Binds every address for every worker; `beside` another instance's if need be. What `handed` has for an address,
/// in the order of the addresses, is taken in place of binding it.
///
/// # Errors
/// When one is taken or not ours.
pub fn bind(
    options: &ServerOptions,
    beside: Option<&Takeover>,
    handed: Vec<Option<TcpListener>>,
) -> Result<Bound, BindError> {
    let workers = options.workers.get();
    let mut bound = Bound { addresses: Vec::new(), workers: Vec::new() };
    bound.workers.resize_with(workers, Vec::new);
    let handed = handed.into_iter().chain(std::iter::repeat_with(|| None));
    for (listen, handed) in options.listen.iter().zip(handed) {
        let site = Site { listen, unix_mode: options.unix_mode, beside };
        let bound_here = site.bind(workers, handed);
        let (listeners, address) =
            bound_here.map_err(|source| BindError { listen: listen.clone(), source })?;
        bound.addresses.push(address);
        for (worker, listener) in bound.workers.iter_mut().zip(listeners) {
            worker.push(listener);
        }
    }
    Ok(bound)
}

/// One place to listen, and how to come by it.
pub(super) struct Site<'o> {
    pub(super) listen: &'o Listen,
    pub(super) unix_mode: u32,
    pub(super) beside: Option<&'o Takeover>,
}

impl Site<'_> {
    /// So many listeners there, and where that is. What was handed over is taken in place of binding it, unless this
    /// is a unix socket.
    pub(super) fn bind(
        &self,
        count: usize,
        handed: Option<TcpListener>,
    ) -> io::Result<(Vec<Listener>, Listen)> {
        let listeners = match (self.listen, handed) {
            (Listen::Tcp(_), Some(socket)) => adopt(&socket, count),
            (Listen::Tcp(address), None) => bind_tcp(*address, count, self.beside.is_some()),
            (Listen::Unix(path), _) => bind_unix(path, self.unix_mode, count, self.beside),
        }?;
        let listen = listeners.first().map_or(Ok(self.listen.clone()), |first| first.listen(self.listen))?;
        Ok((listeners, listen))
    }
}

impl Listener {
    fn listen(&self, asked: &Listen) -> io::Result<Listen> {
        match self {
            Self::Tcp { socket, .. } => socket.local_addr().map(Listen::Tcp),
            Self::Unix(_) => Ok(asked.clone()),
        }
    }
}

fn bind_tcp(address: SocketAddr, workers: usize, beside: bool) -> io::Result<Vec<Listener>> {
    if address.port() != 0 && !beside {
        // With SO_REUSEPORT a second instance would silently share the port; without it, it is refused.
        drop(listen(address, false)?);
    }
    let first = listen(address, true)?;
    let address = first.local_addr()?;
    let others = (1..workers).map(|_| listen(address, true));
    let own = |socket| Listener::Tcp { socket, is_shared: false };
    std::iter::once(Ok(first)).chain(others).map(|socket| socket.map(own)).collect()
}

/// A socket that whoever started us has bound, once for each worker.
fn adopt(socket: &TcpListener, workers: usize) -> io::Result<Vec<Listener>> {
    socket.set_nonblocking(true)?;
    bound_buffers(&SockRef::from(socket))?;
    let own = |_| Ok(Listener::Tcp { socket: socket.try_clone()?, is_shared: true });
    (0..workers).map(own).collect()
}

pub(super) fn listen(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        // Otherwise the system's setting decides whether `0.0.0.0` can be bound beside it. What was mapped
        // explicitly is IPv4.
        socket.set_only_v6(!is_mapped(address.ip()))?;
    }
    // What is accepted inherits them.
    bound_buffers(&socket)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if Ipv6Addr::to_ipv4_mapped(&address).is_some())
}

/// Connections that may wait to be accepted, for each listener.
const BACKLOG: i32 = 1024;

/// What the system may hold for a connection in each direction. Left to itself it takes megabytes for every
/// client that does not read, until the machine has no memory for any socket.
const SOCKET_BUFFER_BYTES: u32 = 128 * 1024;

fn bound_buffers(socket: &Socket) -> io::Result<()> {
    socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES as usize)?;
    // Not the send buffer: what is under way may be as much as the way takes.
    socket.set_tcp_notsent_lowat(SOCKET_BUFFER_BYTES)
}

/// A unix socket has no SO_REUSEPORT: the workers share one queue. A path leads to one socket alone, so another
/// instance on the same is not joined but followed: it keeps who has connected by then.
fn bind_unix(path: &Path, mode: u32, workers: usize, beside: Option<&Takeover>) -> io::Result<Vec<Listener>> {
    let is_there = || fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let first = if let Some(takeover) = beside.filter(|_| is_there()) {
        let mut other = path.as_os_str().to_owned();
        other.push("~");
        let other = PathBuf::from(other);
        remove_stale(&other)?;
        let socket = listen_at(&other, mode)?;
        takeover.0.borrow_mut().push((other, path.to_owned()));
        socket
    } else {
        remove_stale(path)?;
        listen_at(path, mode)?
    };
    let others: Vec<_> = (1..workers).map(|_| first.try_clone()).collect();
    std::iter::once(Ok(first)).chain(others).map(|listener| listener.map(Listener::Unix)).collect()
}

fn listen_at(path: &Path, mode: u32) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // Before it listens: until then nobody can connect, whatever the umask left open.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Removes the socket of a process that is gone; nothing else, and not where somebody listens.
fn remove_stale(path: &Path) -> io::Result<()> {
    let file = match fs::symlink_metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !file.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"));
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A full queue is somebody who listens, and no reason to wait.
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}
