//! HTTP/1.1 as bytes, judged strictly. Pure.
//!
//! What a request may look like before anybody asks what it means. Leaves the meaning to `karbor`, the
//! sockets to `server`.

mod refusal;

pub use refusal::Refusal;
