//! The last words of a connection: a refusal that its client can read. Leaves what it says to the handler.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::super::socket::Channel;

/// How long a client may take to read a refusal before the connection is closed under it.
const LINGER: Duration = Duration::from_secs(2);
/// How much of what it still sends is read away meanwhile.
const LINGER_BYTES: usize = 4 * 1024 * 1024;

/// Says why, and lets the client read it: closing on unread bytes would take the answer back.
pub(super) async fn refuse(mut socket: Channel, answer: &[u8]) {
    if let Ok(Ok(())) = timeout(LINGER, socket.write_all(answer)).await {
        linger(socket).await;
    }
}

/// Reads away what the client still sends, for a while.
pub(super) async fn linger(mut socket: Channel) {
    let reading = async {
        socket.shutdown().await?;
        let mut away = [0_u8; 2048];
        let mut left = LINGER_BYTES;
        while left > 0 {
            match socket.read(&mut away).await? {
                0 => break,
                read => left = left.saturating_sub(read),
            }
        }
        Ok::<_, std::io::Error>(())
    };
    // The client has had its time; what it does not read now is its own loss.
    let _ = timeout(LINGER, reading).await;
}
