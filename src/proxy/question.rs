//! A question of the proxy's own, asked with the caller's token.

use http::header::{self, HeaderName};
use http::{Method, Uri};

use super::RequestBody;
use crate::upstream::{Head, Outgoing};

/// What speaks of the caller's body, or of an answer that we could not read.
const NOT_ASKED: [HeaderName; 11] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LOCATION,
    header::ACCEPT_ENCODING,
    header::RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    header::IF_RANGE,
];

/// Whatever would make of Karbor's answer one that we cannot read.
pub(super) const UNREADABLE: [HeaderName; 3] = [header::ACCEPT_ENCODING, header::RANGE, header::IF_RANGE];

/// A GET of `uri`, with the fields of a request on its way to Karbor.
pub(super) fn question(request: &Head, uri: Uri) -> Box<Outgoing<RequestBody>> {
    let mut headers = request.headers.clone();
    for name in NOT_ASKED {
        headers.remove(name);
    }
    let head = Head { method: Method::GET, uri, headers, lines: request.lines.clone() };
    Outgoing::of(&head, RequestBody::Empty)
}
