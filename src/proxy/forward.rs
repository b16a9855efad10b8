//! Streaming pass-through: both ways, with bounded memory, whatever the size.

use bytes::Bytes;
use http::header;
use http::request::Parts;
use http::response;
use http::{Method, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use tracing::field;

use super::caller::Caller;
use super::cause::{broke_off, refusal_in};
use super::collect::collect_answer;
use super::peer::Peer;
use super::{AnswerBody, Proxy, RequestBody, headers, request_id, respond};
use crate::karbor::request_id::RequestId;
use crate::karbor::target::Target;
use crate::telemetry::exchange::Exchange;
use crate::telemetry::metrics::{Direction, Side};
use crate::upstream::{Answer, Failure, Head, KarborBody, Outgoing};
use crate::wire::Refusal;

/// A request whose body goes on as it comes.
pub(super) fn outgoing(
    proxy: &Proxy,
    peer: &Peer,
    parts: Parts,
    target: Target,
    body: Incoming,
) -> Box<Outgoing<RequestBody>> {
    Outgoing::of(&head(proxy, peer, parts, target), body_of(proxy, body))
}

/// The head that is sent to Karbor of a client's request.
pub(super) fn head(proxy: &Proxy, peer: &Peer, mut parts: Parts, target: Target) -> Head {
    let lines = headers::towards_karbor(&mut parts, target, peer, &proxy.identity);
    let Parts { method, uri, headers, .. } = parts;
    Head { method, uri, headers, lines }
}

/// Forwards a request whose body is not reviewed.
pub(super) async fn pass(
    proxy: &Proxy,
    mut exchange: Box<Exchange>,
    caller: Caller,
    request: Box<Outgoing<RequestBody>>,
) -> Response<AnswerBody> {
    exchange.dispatched();
    match send(proxy, request).await {
        Ok(answer) => stream(proxy, exchange, answer),
        Err(failure) => caller.fail(proxy, exchange, &failure),
    }
}

/// Sends a request whose body goes on as it comes. No `async fn`, as [`send`] is none.
pub(super) fn send_on(
    proxy: &Proxy,
    exchange: &mut Exchange,
    head: Head,
    body: Incoming,
) -> impl Future<Output = Result<Answer, Failure>> {
    let request = Outgoing::of(&head, body_of(proxy, body));
    exchange.dispatched();
    send(proxy, request)
}

fn body_of(proxy: &Proxy, body: Incoming) -> RequestBody {
    if body.is_end_stream() { RequestBody::Empty } else { proxy.stream(Bytes::new(), body) }
}

/// Sends a request, and turns down answers that would change the protocol. No `async fn`: the request would be kept
/// in its future once more.
pub(super) fn send(
    proxy: &Proxy,
    request: Box<Outgoing<RequestBody>>,
) -> impl Future<Output = Result<Answer, Failure>> {
    if let RequestBody::Whole(Some(bytes)) = request.body() {
        proxy.desk.metrics.body_bytes(Side::Upstream, Direction::Sent, bytes.len() as u64);
    }
    let flow = request.body().flow();
    async move {
        let answer = proxy.upstream.send(request, &flow).await?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Failure::Answer("it switches protocols, and nobody asked for that"));
        }
        Ok(answer)
    }
}

/// Karbor's answer, as it comes.
pub(super) fn stream(proxy: &Proxy, mut exchange: Box<Exchange>, answer: Answer) -> Response<AnswerBody> {
    let (parts, body) = note_answer(&mut exchange, answer);
    stream_rest(proxy, exchange, parts, Bytes::new(), body)
}

/// Karbor's answer, of which `prefix` was read already.
pub(super) fn stream_rest(
    proxy: &Proxy,
    mut exchange: Box<Exchange>,
    parts: response::Parts,
    prefix: Bytes,
    rest: KarborBody,
) -> Response<AnswerBody> {
    exchange.answers(parts.status.as_u16());
    Response::from_parts(parts, AnswerBody::stream(prefix, rest, proxy.stall_timeout, exchange))
}

/// Reads an answer that nobody needs, so that its connection can be used again.
pub(super) async fn discard(proxy: &Proxy, answer: Answer) {
    // If that fails, the connection goes with it.
    let (_, body) = answer.into_parts();
    let _failed = read_whole(proxy, body).await;
}

/// Reads an answer that the proxy needs itself. Its connection can be used again then.
pub(super) async fn read_whole(proxy: &Proxy, body: KarborBody) -> Result<Bytes, Failure> {
    collect_answer(body, proxy.stall_timeout, &proxy.budget).await
}

/// An answer of Karbor's that was read whole, with `body` in place of its own.
pub(super) fn whole(
    mut exchange: Box<Exchange>,
    mut parts: response::Parts,
    body: Bytes,
) -> Response<AnswerBody> {
    exchange.answers(parts.status.as_u16());
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, AnswerBody::whole(body, exchange))
}

/// Notes Karbor's answer down, and makes its head one for the client.
pub(super) fn note_answer(exchange: &mut Exchange, answer: Answer) -> (response::Parts, KarborBody) {
    exchange.karbor_answered(answer.status().as_u16(), answer.address(), answer.began().into_std());
    exchange.names_request(|| request_id::answered(answer.headers()));
    let (mut parts, body) = answer.into_parts();
    headers::towards_client(&mut parts.headers);
    (parts, body)
}

/// No answer: the client's own fault if its body was malformed or late, otherwise Karbor's.
pub(super) fn fail(
    proxy: &Proxy,
    mut exchange: Box<Exchange>,
    failure: &Failure,
    method: &Method,
    request_id: RequestId,
) -> Response<AnswerBody> {
    if client_broke_off(failure) {
        return respond::to_nobody(exchange);
    }
    if let Some(refusal) = refusal_behind(failure) {
        exchange.judge_late(request_id, method.as_str());
        return respond::refusal(exchange, refusal, request_id);
    }
    if let Some(held_back) = proxy.failures.admit() {
        let lineage = exchange.lineage();
        tracing::warn!(
            error = %chain(failure),
            hint = failure.hint(),
            %request_id,
            global_request_id = lineage.global_request_id.map(field::display),
            trace_id = exchange.part_of().map(|own| field::display(own.trace_id)),
            span_id = exchange.recorded_as().map(|own| field::display(own.span_id)),
            parent_span_id = lineage.parent.map(|parent| field::display(parent.span_id)),
            outcome_unknown = failure.was_sent(),
            held_back,
            "karbor gave no answer"
        );
    }
    exchange.explains(|| chain(failure));
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
