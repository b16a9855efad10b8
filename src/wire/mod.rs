//! HTTP/1.1 as bytes, judged strictly. Pure.
//!
//! What a request may look like before anybody asks what it means. Leaves the meaning to `karbor`, the
//! sockets to `server`.

mod chunked;
mod head;
mod refusal;
mod stream;

pub use head::{Framing, Head, HeadLimits, read_head};
pub use refusal::Refusal;
pub use stream::{Look, Refused, RequestStream};
