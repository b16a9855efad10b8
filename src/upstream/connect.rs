//! One new connection to an endpoint.

use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::socket::{Socket, Written};
use super::{Endpoint, Failure};

/// Large answers are read in parts of this size: twice as fast as with larger ones, and a tenth of the
/// memory.
const READ_BYTES: usize = 32 * 1024;

/// A connection, what drives it, and how much was written to it.
type Wire<B> = (SendRequest<B>, Connection<Socket, B>, Written);

/// Connects, within `most`.
pub(super) async fn connect<B>(endpoint: &Endpoint, most: Duration) -> Result<Wire<B>, Failure>
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
    // A head and a body written apart would otherwise wait for the acknowledgement of the first.
    let _ = socket.set_nodelay(true);
    let (socket, written) = Socket::new(TokioIo::new(socket));
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(READ_BYTES)
        .handshake(socket)
        .await
        .map_err(|source| Failure::of_exchange(source, false))?;
    Ok((sender, connection, written))
}
