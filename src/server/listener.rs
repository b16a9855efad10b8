//! Sockets that listen: bound by us, or handed to us; and how each is left without losing a connection.
//!
//! Leaves what is accepted to `mod`.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::time::Duration;

use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};
use tokio::net::TcpStream;

use super::ServerOptions;

/// How long a client may take to answer our side of the handshake that was begun before we left. Its next attempt
/// to connect, if that was not begun, comes after a second.
const HANDSHAKE: Duration = Duration::from_millis(300);
/// Connections that may wait to be accepted, for each listener.
const BACKLOG: i32 = 1024;

/// A socket that listens.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    /// Whether others have it too, who will accept what is left waiting.
    is_shared: bool,
}

impl Listener {
    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// One bound listener for each worker, all on the same address; `beside` those of another instance if need be.
///
/// # Errors
/// When the address is taken or not ours.
pub fn bind(options: &ServerOptions, beside: bool) -> io::Result<Vec<Listener>> {
    if options.listen.port() != 0 && !beside {
        // With SO_REUSEPORT a second instance would silently share the port; without it, it is refused.
        drop(listen(options.listen, false)?);
    }
    let first = listen(options.listen, true)?;
    let address = first.address()?;
    let others = (1..options.workers.get()).map(|_| listen(address, true));
    std::iter::once(Ok(first)).chain(others).collect()
}

/// A socket that whoever started us has bound, once for each worker.
///
/// # Errors
/// When it cannot be had so often.
pub fn adopt(socket: TcpListener, workers: NonZeroUsize) -> io::Result<Vec<Listener>> {
    socket.set_nonblocking(true)?;
    bound_buffers(&SockRef::from(&socket))?;
    let own = |_| Ok(Listener { socket: socket.try_clone()?, is_shared: true });
    (0..workers.get()).map(own).collect()
}

fn listen(address: SocketAddr, shared: bool) -> io::Result<Listener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    // What is accepted inherits them.
    bound_buffers(&socket)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(Listener { socket: socket.into(), is_shared: false })
}

/// What the system may hold for a connection in each direction. Left to itself it takes megabytes for every
/// client that does not read, until the machine has no memory for any socket.
const SOCKET_BUFFER_BYTES: u32 = 128 * 1024;

fn bound_buffers(socket: &Socket) -> io::Result<()> {
    socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES as usize)?;
    // Not the send buffer: what is under way may be as much as the way takes.
    socket.set_tcp_notsent_lowat(SOCKET_BUFFER_BYTES)
}

/// A listener within the runtime of its worker.
pub(super) struct Accepting {
    socket: tokio::net::TcpListener,
    is_shared: bool,
}

impl Accepting {
    pub(super) fn on(listener: Listener) -> io::Result<Self> {
        let Listener { socket, is_shared } = listener;
        Ok(Self { socket: tokio::net::TcpListener::from_std(socket)?, is_shared })
    }

    pub(super) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.socket.accept().await
    }

    /// Closes it, when everybody is welcome who had connected before. Waits at most `most` for handshakes that
    /// were begun.
    ///
    /// The system resets what waits in the queue of a listener that is closed, so the queue must be empty by
    /// then. It can only be seen to be empty while nobody can join it: new attempts are kept away first. Their
    /// clients try again after a second, and meet whoever listens then.
    pub(super) async fn leave(self, most: Duration, mut welcome: impl FnMut(TcpStream, SocketAddr)) {
        if self.is_shared {
            return;
        }
        if keep_newcomers_away(&self.socket).is_ok() {
            let handshakes = tokio::time::sleep(most.min(HANDSHAKE));
            tokio::pin!(handshakes);
            loop {
                tokio::select! {
                    () = &mut handshakes => break,
                    Ok((socket, address)) = self.socket.accept() => welcome(socket, address),
                }
            }
        }
        // The runtime may not know yet of who has just come.
        let Ok(listener) = self.socket.into_std() else { return };
        while let Ok((socket, address)) = listener.accept() {
            if socket.set_nonblocking(true).is_ok()
                && let Ok(socket) = TcpStream::from_std(socket)
            {
                welcome(socket, address);
            }
        }
    }
}

/// From now on the system drops what would open a connection to the listener, and completes what was begun.
fn keep_newcomers_away(listener: &tokio::net::TcpListener) -> io::Result<()> {
    const FLAGS_AT: u32 = 13;
    const SYN_AND_ACK: u32 = 0x12;
    const SYN: u32 = 0x02;
    // Classic BPF on what begins with the TCP header: flags; of them SYN and ACK; SYN alone is dropped.
    const LOAD_BYTE: u16 = 0x30;
    const AND: u16 = 0x54;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    SockRef::from(listener).attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS_AT),
        SockFilter::new(AND, 0, 0, SYN_AND_ACK),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ])
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream as Client;
    use std::thread;

    use super::*;

    fn listening() -> Listener {
        listen("127.0.0.1:0".parse().unwrap(), true).unwrap()
    }

    fn within_a_runtime<T>(test: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
    }

    #[test]
    fn whoever_connected_before_is_welcome() {
        let listener = listening();
        let address = listener.address().unwrap();
        let clients: Vec<_> = (0..20).map(|_| Client::connect(address).unwrap()).collect();
        let mut met = Vec::new();
        within_a_runtime(async {
            Accepting::on(listener).unwrap().leave(Duration::ZERO, |_, address| met.push(address)).await;
        });
        let expected: Vec<_> = clients.iter().map(|client| client.local_addr().unwrap()).collect();
        assert_eq!(met, expected);
    }

    #[test]
    fn newcomers_meet_whoever_listens_then() {
        let old = listening();
        let address = old.address().unwrap();
        within_a_runtime(async {
            let old = Accepting::on(old).unwrap();
            keep_newcomers_away(&old.socket).unwrap();
            let other = listen(address, true).unwrap();
            // Some of them are sent to the old listener, which does not see them.
            let clients: Vec<_> = (0..16)
                .map(|_| thread::spawn(move || Client::connect_timeout(&address, Duration::from_secs(10))))
                .collect();
            let mut met = 0;
            old.leave(HANDSHAKE, |_, _| met += 1).await;
            let clients: Vec<_> = clients.into_iter().map(|client| client.join().unwrap().unwrap()).collect();
            assert_eq!(met, 0);
            for _ in &clients {
                other.socket.accept().unwrap();
            }
        });
    }
}
