//! HTTP/1.1 as bytes, heads of HTTP/2, PROXY headers and `traceparent`, judged strictly. Pure.
//!
//! What a request may look like before anybody asks what it means, and where an answer ends. Leaves the meaning to
//! `karbor`, the sockets to `server` and `upstream`.

mod answer;
mod chunked;
mod head;
mod http2;
mod joint;
mod origin;
mod preamble;
mod refusal;
mod request_head;
mod stream;
mod trace_parent;

pub use answer::{AnswerHead, AnswerReader, BadAnswer};
pub use head::{Framing, Head, HeadLimits, read_head};
pub use http2::{as_in_http1, check_http2};
pub use joint::{Joint, write_joined};
pub use origin::Origin;
pub use preamble::{BINARY_BYTES, BadPreamble, Preamble, read_preamble};
pub use refusal::Refusal;
pub use request_head::{write_field, write_request_head};
pub use stream::{Look, Refused, RequestStream};
pub use trace_parent::{SpanId, TraceId, TraceParent};
