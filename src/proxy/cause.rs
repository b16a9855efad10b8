//! What is behind an error of a client's body: a refusal, or the client's leaving.
//!
//! hyper wraps what the server and the bodies say; this finds it again. Leaves the answer to `respond`.

use std::error::Error;
use std::io;

use super::body::BodyFault;
use crate::server::InBody;
use crate::wire::Refusal;

/// The refusal behind an error of a client's body, whatever hyper wrapped around it: the server's own, that
/// the body stood still, or that hyper found fault with what the server let pass.
pub(super) fn refusal_in(error: &(dyn Error + 'static)) -> Option<Refusal> {
    match fault_in(error)? {
        BodyFault::Stalled => Some(Refusal::BodyTimeout),
        BodyFault::Broken(error) if breaks_http2(error) => Some(Refusal::ContentLength),
        BodyFault::Broken(error) => refusal_of(error).or((!is_departure(error)).then_some(Refusal::Chunk)),
    }
}

/// Whether the client left in the middle of its body.
pub(super) fn broke_off(error: &(dyn Error + 'static)) -> bool {
    matches!(fault_in(error), Some(BodyFault::Broken(error)) if refusal_of(error).is_none() && is_departure(error))
}

fn fault_in<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a BodyFault<hyper::Error>> {
    causes(error).find_map(|error| error.downcast_ref())
}

fn refusal_of(error: &hyper::Error) -> Option<Refusal> {
    causes(error)
        .filter_map(|error| error.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref())
        .map(|InBody(refusal)| *refusal)
        .next()
}

fn is_departure(error: &hyper::Error) -> bool {
    let left = |error: &io::Error| {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
    };
    // In HTTP/2 whatever is no fault of the frames: the stream is reset, or the connection is gone.
    http2_cause(error).is_some_and(|error| !error.is_library())
        || error.is_incomplete_message()
        || error.is_closed()
        || error.is_canceled()
        || causes(error).filter_map(|error| error.downcast_ref()).any(left)
}

/// Whether the frames of an HTTP/2 body contradict its head: a length that is not theirs.
fn breaks_http2(error: &hyper::Error) -> bool {
    http2_cause(error).is_some_and(h2::Error::is_library)
}

fn http2_cause(error: &hyper::Error) -> Option<&h2::Error> {
    causes(error).find_map(|error| error.downcast_ref())
}

/// An error, and what caused it.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
