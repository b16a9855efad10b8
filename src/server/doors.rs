//! The listeners of one worker within its runtime: accepting, and leaving without losing a connection.

use std::future;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockFilter, SockRef};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::listener::Listener;
use super::socket::{Socket, Stream};
use crate::wire::Origin;

/// How long a client may take to answer our side of the handshake that was begun before we left. Its next attempt
/// to connect, if that was not begun, comes after a second.
const HANDSHAKE: Duration = Duration::from_millis(300);

/// The listeners of one worker, within its runtime.
pub(super) struct Doors {
    doors: Vec<Door>,
    /// Who is asked first, so that none is starved.
    turn: usize,
}

enum Door {
    Tcp { socket: TcpListener, is_shared: bool },
    Unix(UnixListener),
}

impl Doors {
    pub(super) fn open(listeners: Vec<Listener>) -> io::Result<Self> {
        let open = |listener| {
            Ok(match listener {
                Listener::Tcp { socket, is_shared } => {
                    Door::Tcp { socket: TcpListener::from_std(socket)?, is_shared }
                }
                Listener::Unix(listener) => {
                    listener.set_nonblocking(true)?;
                    Door::Unix(UnixListener::from_std(listener)?)
                }
            })
        };
        let doors = listeners.into_iter().map(open).collect::<io::Result<_>>()?;
        Ok(Self { doors, turn: 0 })
    }

    /// The next connection, of whichever listener has one.
    pub(super) fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, Origin)>> {
        let count = self.doors.len();
        for step in 0..count {
            let at = (self.turn + step) % count;
            let accepted = match &self.doors[at] {
                Door::Tcp { socket, .. } => {
                    socket.poll_accept(cx).map_ok(|(socket, address)| of_tcp(socket, address))
                }
                Door::Unix(socket) => socket.poll_accept(cx).map_ok(|(socket, _)| of_unix(socket)),
            };
            if accepted.is_ready() {
                self.turn = at + 1;
                return accepted;
            }
        }
        Poll::Pending
    }

    /// Closes them, when everybody is welcome who had connected before. Waits at most `most` for handshakes that
    /// were begun. A listener that others have too is left to them.
    ///
    /// The system resets what waits in the queue of a listener that is closed, so the queue must be empty by
    /// then. It can only be seen to be empty while nobody can join it: new attempts are kept away first. Their
    /// clients try again after a second, and meet whoever listens then. A unix socket has no handshake, and no
    /// way to keep anybody away.
    pub(super) async fn leave(mut self, most: Duration, mut welcome: impl FnMut((Stream, Origin))) {
        self.doors.retain(|door| !matches!(door, Door::Tcp { is_shared: true, .. }));
        let mut waits = false;
        for door in &self.doors {
            waits |= matches!(door, Door::Tcp { socket, .. } if keep_newcomers_away(socket).is_ok());
        }
        if waits {
            let handshakes = tokio::time::sleep(most.min(HANDSHAKE));
            tokio::pin!(handshakes);
            loop {
                tokio::select! {
                    () = &mut handshakes => break,
                    Ok(accepted) = future::poll_fn(|cx| self.poll_accept(cx)) => welcome(accepted),
                }
            }
        }
        for door in self.doors {
            door.empty(&mut welcome);
        }
    }
}

impl Door {
    /// Welcomes who waits, and closes. The runtime may not know yet of who has just come.
    fn empty(self, welcome: &mut impl FnMut((Stream, Origin))) {
        match self {
            Self::Tcp { socket, .. } => {
                let Ok(listener) = socket.into_std() else { return };
                while let Ok((socket, address)) = listener.accept() {
                    let socket = socket.set_nonblocking(true).and_then(|()| TcpStream::from_std(socket));
                    if let Ok(socket) = socket {
                        welcome(of_tcp(socket, address));
                    }
                }
            }
            Self::Unix(socket) => {
                let Ok(listener) = socket.into_std() else { return };
                while let Ok((socket, _)) = listener.accept() {
                    let socket = socket.set_nonblocking(true).and_then(|()| UnixStream::from_std(socket));
                    if let Ok(socket) = socket {
                        welcome(of_unix(socket));
                    }
                }
            }
        }
    }
}

fn of_tcp(socket: TcpStream, address: SocketAddr) -> (Stream, Origin) {
    (Socket::Tcp(socket).into(), Origin::from(address.ip()))
}

fn of_unix(socket: UnixStream) -> (Stream, Origin) {
    (Socket::Unix(socket).into(), Origin::Unix)
}

/// From now on the system drops what would open a connection to the listener, and completes what was begun.
fn keep_newcomers_away(listener: &TcpListener) -> io::Result<()> {
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
    use std::os::unix::net::UnixStream as UnixClient;
    use std::thread;

    use super::super::listener::listen;
    use super::*;

    fn listening() -> (std::net::TcpListener, SocketAddr) {
        let socket = listen("127.0.0.1:0".parse().unwrap(), true).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    fn doors(socket: std::net::TcpListener, is_shared: bool) -> Doors {
        Doors::open(vec![Listener::Tcp { socket, is_shared }]).unwrap()
    }

    fn within_a_runtime<T>(test: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
    }

    #[test]
    fn whoever_connected_before_is_welcome() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k.sock");
        let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let (one, first) = listening();
        let (other, second) = listening();
        let clients: Vec<_> =
            (0..20).map(|at| Client::connect(if at % 2 == 0 { first } else { second }).unwrap()).collect();
        let by_path: Vec<_> = (0..5).map(|_| UnixClient::connect(&path).unwrap()).collect();
        let (mut tcp, mut by_unix) = (0, 0);
        within_a_runtime(async {
            let own = |socket| Listener::Tcp { socket, is_shared: false };
            let doors = Doors::open(vec![own(one), Listener::Unix(unix), own(other)]).unwrap();
            let count =
                |(stream, _): (Stream, Origin)| *if stream.is_unix() { &mut by_unix } else { &mut tcp } += 1;
            doors.leave(Duration::ZERO, count).await;
        });
        assert_eq!((tcp, by_unix), (clients.len(), by_path.len()));
    }

    #[test]
    fn what_others_have_too_is_left_to_them() {
        let (socket, address) = listening();
        let theirs = socket.try_clone().unwrap();
        let _client = Client::connect(address).unwrap();
        within_a_runtime(async {
            doors(socket, true).leave(HANDSHAKE, |_| panic!("it is theirs")).await;
        });
        theirs.accept().unwrap();
        let _later = Client::connect(address).unwrap();
    }

    #[test]
    fn newcomers_meet_whoever_listens_then() {
        let (old, address) = listening();
        within_a_runtime(async {
            let old = doors(old, false);
            let Door::Tcp { socket, .. } = &old.doors[0] else { panic!("another door") };
            keep_newcomers_away(socket).unwrap();
            let other = listen(address, true).unwrap();
            // Some of them are sent to the old listener, which does not see them.
            let clients: Vec<_> = (0..16)
                .map(|_| thread::spawn(move || Client::connect_timeout(&address, Duration::from_secs(10))))
                .collect();
            let mut met = 0;
            old.leave(HANDSHAKE, |_| met += 1).await;
            let clients: Vec<_> = clients.into_iter().map(|client| client.join().unwrap().unwrap()).collect();
            assert_eq!(met, 0);
            for _ in &clients {
                other.accept().unwrap();
            }
        });
    }
}
