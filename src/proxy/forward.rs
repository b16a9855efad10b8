//! Streaming pass-through: both ways, with bounded memory, whatever the size.

use std::time::Duration;

use bytes::Bytes;
use http::header;
use http::request::Parts;
use http::response;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;

use super::cause::{broke_off, refusal_in};
use super::collect::collect_answer;
use super::peer::Peer;
use super::{AnswerBody, Proxy, RequestBody, headers, request_id, respond};
use crate::karbor::answer::created_checkpoint;
use crate::karbor::target::Target;
use crate::telemetry::exchange::Exchange;
use crate::telemetry::metrics::{Direction, Side};
use crate::upstream::{Answer, Failure};
use crate::wire::Refusal;

/// Forwards a request whose body is not reviewed.
pub(super) async fn pass(
    proxy: &Proxy,
    mut exchange: Exchange,
    peer: &Peer,
    mut parts: Parts,
    target: Target,
    body: Incoming,
) -> Response<AnswerBody> {
    let method = parts.method.clone();
    let given_id = request_id::given(&parts.headers).map(str::to_owned);
    headers::towards_karbor(&mut parts, target, peer, &proxy.options.identity_headers);
    if !body.is_end_stream() && body.size_hint().exact().is_none() {
        // Without it hyper sends no body of unknown length with a GET.
        parts.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    let body = if body.is_end_stream() { RequestBody::Empty } else { proxy.stream(Bytes::new(), body) };
    exchange.dispatched();
    match send(proxy, Request::from_parts(parts, body)).await {
        Ok(answer) => stream(proxy, exchange, answer),
        Err(failure) => {
            let request_id = given_id.unwrap_or_else(request_id::fresh);
            fail(proxy, exchange, &failure, &method, &request_id)
        }
    }
}

/// Sends a request, and turns down answers that would change the protocol.
pub(super) async fn send(
    proxy: &Proxy,
    request: Request<RequestBody>,
) -> Result<Answer<RequestBody>, Failure> {
    if let RequestBody::Whole(Some(bytes)) = request.body() {
        proxy.desk.metrics.body_bytes(Side::Upstream, Direction::Sent, bytes.len() as u64);
    }
    let flow = request.body().flow();
    let answer = proxy.upstream.send(request, &flow).await?;
    if answer.response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Failure::Answer("it switches protocols, and nobody asked for that"));
    }
    Ok(answer)
}

/// Karbor's answer, as it comes.
pub(super) fn stream(
    proxy: &Proxy,
    mut exchange: Exchange,
    answer: Answer<RequestBody>,
) -> Response<AnswerBody> {
    let Answer { response, lease, first_byte } = answer;
    let (mut parts, incoming) = response.into_parts();
    note_answer(&mut exchange, &mut parts, first_byte);
    exchange.answers(parts.status.as_u16());
    Response::from_parts(parts, AnswerBody::stream(incoming, lease, proxy.stall_timeout, exchange))
}

/// Karbor's answer to a creation: read whole where it was carried out, so that the record knows the
/// checkpoint.
pub(super) async fn settle(
    proxy: &Proxy,
    mut exchange: Exchange,
    answer: Answer<RequestBody>,
    method: &Method,
    request_id: &str,
) -> Response<AnswerBody> {
    if !answer.response.status().is_success() {
        return stream(proxy, exchange, answer);
    }
    let Answer { response, lease, first_byte } = answer;
    let (mut parts, incoming) = response.into_parts();
    note_answer(&mut exchange, &mut parts, first_byte);
    let body = match collect_answer(incoming, proxy.stall_timeout, &proxy.budget).await {
        Ok(body) => body,
        Err(failure) => return fail(proxy, exchange, &failure, method, request_id),
    };
    lease.give_back();
    if let Some(checkpoint) = created_checkpoint(&body) {
        exchange.names_checkpoint(checkpoint);
    }
    exchange.answers(parts.status.as_u16());
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, AnswerBody::whole(body, exchange))
}

fn note_answer(exchange: &mut Exchange, parts: &mut response::Parts, first_byte: Duration) {
    exchange.karbor_answered(parts.status.as_u16(), first_byte);
    if let Some(request_id) = request_id::given(&parts.headers) {
        exchange.names_request(request_id);
    }
    headers::towards_client(&mut parts.headers);
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
}

/// No answer: the client's own fault if its body was malformed or late, otherwise Karbor's.
pub(super) fn fail(
    proxy: &Proxy,
    mut exchange: Exchange,
    failure: &Failure,
    method: &Method,
    request_id: &str,
) -> Response<AnswerBody> {
    if client_broke_off(failure) {
        return respond::to_nobody(exchange);
    }
    if let Some(refusal) = refusal_behind(failure) {
        exchange.judge_late(request_id, method.as_str());
        return respond::refusal(exchange, refusal, request_id);
    }
    if let Some(held_back) = proxy.failures.admit() {
        tracing::warn!(
            error = %chain(failure),
            hint = failure.hint(),
            request_id,
            outcome_unknown = failure.was_sent(),
            held_back,
            "karbor gave no answer"
        );
    }
    respond::failure(exchange, failure, request_id)
}

fn client_broke_off(failure: &Failure) -> bool {
    matches!(failure, Failure::Exchange { source, .. } if broke_off(source))
}

fn refusal_behind(failure: &Failure) -> Option<Refusal> {
    match failure {
        Failure::Exchange { source, .. } => refusal_in(source),
        _ => None,
    }
}

/// An error and its causes, each once.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
