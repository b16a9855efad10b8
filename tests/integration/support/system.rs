//! What the system says of this process and its sockets (Linux): so that tests need not guess by time.

use std::fs;
use std::net::{SocketAddr, TcpStream};

use super::eventually;

/// Memory of this process that is resident, in bytes.
pub(crate) fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Waits until the server has read everything that was sent on `stream`.
#[track_caller]
pub(crate) fn until_read(stream: &TcpStream) {
    let (client, server) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
    eventually("the server reads what was sent", || {
        let [sending, receiving] = sockets(client, server);
        sending.is_none_or(|socket| socket.unsent == 0) && receiving.is_none_or(|socket| socket.unread == 0)
    });
}

/// Waits until the server has closed its side of the connection between these.
#[track_caller]
pub(crate) fn until_server_closed(server: SocketAddr, client: SocketAddr) {
    const ESTABLISHED: &str = "01";
    const CLOSE_WAIT: &str = "08";
    eventually("the server closes", || {
        // The table is not read in one piece and may miss a row that is there.
        (0..3).all(|_| {
            let [_, socket] = sockets(client, server);
            socket.is_none_or(|socket| ![ESTABLISHED, CLOSE_WAIT].contains(&socket.state.as_str()))
        })
    });
}

/// One end of a connection, as the system sees it.
struct Socket {
    state: String,
    unsent: u64,
    unread: u64,
}

/// Both ends of the connection between `one` and `other`.
fn sockets(one: SocketAddr, other: SocketAddr) -> [Option<Socket>; 2] {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let (one, other) = (hex(one), hex(other));
    [format!(" {one} {other} "), format!(" {other} {one} ")].map(|ends| {
        let row = &table[table.find(&ends)? + ends.len()..];
        let mut fields = row.split_whitespace();
        let state = fields.next()?.to_owned();
        let (unsent, unread) = fields.next()?.split_once(':')?;
        let bytes = |text| u64::from_str_radix(text, 16).ok();
        Some(Socket { state, unsent: bytes(unsent)?, unread: bytes(unread)? })
    })
}

fn hex(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else { panic!("{address} is not IPv4") };
    let ip = u32::from_ne_bytes(address.ip().octets());
    format!("{ip:08X}:{:04X}", address.port())
}
