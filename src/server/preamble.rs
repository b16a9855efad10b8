//! Reads what a balancer says of a connection before its first byte, and not a byte more than that is kept from
//! what follows. Leaves its form to `wire`, whom to believe to `receive`.

use std::io;

use tokio::io::AsyncReadExt as _;

use super::socket::Stream;
use crate::wire::{BINARY_BYTES, Origin, read_preamble};

/// Where the client connected from; none where the sender speaks for itself.
///
/// # Errors
/// When it is missing or malformed, or the connection ends.
pub(super) async fn read(stream: &mut Stream) -> io::Result<Option<Origin>> {
    // Both forms fit, so one that is incomplete in all this room is malformed.
    let mut held = Vec::with_capacity(256);
    loop {
        let read = stream.take((BINARY_BYTES - held.len()) as u64).read_buf(&mut held).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let preamble = read_preamble(&held).map_err(|bad| io::Error::new(io::ErrorKind::InvalidData, bad))?;
        if let Some(preamble) = preamble {
            stream.put_back(held.split_off(preamble.bytes));
            return Ok(preamble.source);
        }
    }
}
