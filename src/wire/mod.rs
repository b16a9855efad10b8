//! HTTP/1.1 as bytes, heads of HTTP/2, PROXY headers and `traceparent`, judged strictly. Pure.
//!
//! What a request may look like before anybody asks what it means. Leaves the meaning to `karbor`, the
//! sockets to `server`.

mod chunked;
mod head;
mod http2;
mod joint;
mod origin;
mod preamble;
mod refusal;
mod stream;
mod trace_parent;

pub use head::{Framing, Head, HeadLimits, read_head};
pub use http2::{as_in_http1, check_http2};
pub use joint::{Joint, write_joined};
pub use origin::Origin;
pub use preamble::{BINARY_BYTES, BadPreamble, Preamble, read_preamble};
pub use refusal::Refusal;
pub use stream::{Look, Refused, RequestStream};
pub use trace_parent::{SpanId, TraceId, TraceParent};
