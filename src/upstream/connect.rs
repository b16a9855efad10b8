//! One new connection to an endpoint.

use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::prelude::{Counted, Prelude};
use super::socket::{Socket, Written};
use super::{Endpoint, Failure};

/// Large answers are read in parts of this size: twice as fast as with larger ones, and a tenth of the
/// memory.
pub(super) const READ_BYTES: usize = 32 * 1024;

/// What the system may hold for a connection in each direction: see `server`. Karbor is near, so this is no brake.
const SOCKET_BUFFER_BYTES: u32 = 128 * 1024;
/// A connection, what drives it, and how much was written to it.
type Wire<B> = (SendRequest<B>, Connection<Socket, B>, Written);

/// Connects, within `most`; the socket counts by `prelude`.
pub(super) async fn connect<B>(
    endpoint: &Endpoint,
    most: Duration,
    prelude: Prelude,
) -> Result<Wire<B>, Failure>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let name = || format!("{}:{}", endpoint.host, endpoint.port);
    let connecting = TcpStream::connect((&*endpoint.host, endpoint.port));
    let socket = match timeout(most, connecting).await {
        Ok(Ok(socket)) => socket,
        Ok(Err(source)) => return Err(Failure::Connect { endpoint: name(), source }),
        Err(_elapsed) => return Err(Failure::ConnectTimeout { endpoint: name() }),
    };
    bound_buffers(&SockRef::from(&socket));
    // A head and a body written apart would otherwise wait for the acknowledgement of the first.
    let _ = socket.set_nodelay(true);
    let (socket, written) = Socket::new(TokioIo::new(Counted::new(socket, prelude)));
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(READ_BYTES)
        .handshake(socket)
        .await
        .map_err(|source| Failure::of_exchange(source, false))?;
    Ok((sender, connection, written))
}

/// Where the system does not take it, it holds more.
fn bound_buffers(socket: &SockRef<'_>) {
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES as usize);
    let _ = socket.set_tcp_notsent_lowat(SOCKET_BUFFER_BYTES);
}
