//! Whom an answer of our own goes to, once the request itself is under way.

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Response};

use super::{AnswerBody, Proxy, forward, request_id};
use crate::karbor::request_id::RequestId;
use crate::telemetry::exchange::Exchange;
use crate::upstream::Failure;

/// What an answer of our own needs of a request that was sent.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    method: Method,
    streams_body: bool,
}

impl Caller {
    pub(super) fn of(parts: &Parts) -> Self {
        let length = parts.headers.get(header::CONTENT_LENGTH);
        Self {
            method: parts.method.clone(),
            streams_body: parts.headers.contains_key(header::TRANSFER_ENCODING)
                || length.is_some_and(|length| length.as_bytes() != b"0"),
        }
    }

    /// Whether it has a body, which was not read.
    pub(super) const fn streams_body(&self) -> bool {
        self.streams_body
    }

    pub(super) fn method(&self) -> &str {
        self.method.as_str()
    }

    /// The id by which an answer of Karbor's names the request; ours, if it has none.
    pub(super) fn answered_id(&self, headers: &HeaderMap) -> RequestId {
        request_id::answered(headers).unwrap_or_else(request_id::fresh)
    }

    /// Karbor gave no answer. What is left of a body that streams ends the connection, so the client is told.
    pub(super) fn fail(
        &self,
        proxy: &Proxy,
        exchange: Box<Exchange>,
        failure: &Failure,
    ) -> Response<AnswerBody> {
        let mut answer = forward::fail(proxy, exchange, failure, &self.method, request_id::fresh());
        if self.streams_body {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}
