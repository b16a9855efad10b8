//! The one table from what went wrong to a status and a fault.
//!
//! | what | status | what should the caller do |
//! |---|---|---|
//! | a refusal of target, header, framing | 400 | send a plain request |
//! | `head-timeout`, `body-timeout` | 408 | send faster |
//! | `expect` | 417 | leave the expectation out |
//! | `connect` | 405 | not ask for tunnels |
//! | `request-line-too-long`, `head-too-large` | 414, 431 | send less |
//! | a broken rule of form | 400 | mend what the message names |
//! | `application-not-allowed`, `read-only` | 403 | ask the operator; not change what is set |
//! | a broken limit on the whole | 413 | send less |
//! | `quota-exceeded` | 413 | delete what is not needed |
//! | `rate-exceeded` | 429 | try again when the message and `Retry-After` say |
//! | `unsupported-media-type` | 415 | send `application/json`, uncoded |
//! | Karbor cannot be reached, or breaks off | 502 | repeat if not sent; otherwise look first |
//! | Karbor is late | 504 | the same |
//! | no room for another connection, request (`no-room`) or body (`body-budget`); no `ledger` | 503 | try again later |
//! | Karbor is down as far as is known, or too busy to be asked | 503 | try again when `Retry-After` says |
//! | a malformed `filter` of a list | 400 | mend what the message names |
//!
//! Never 401 or 500: the official client hides the text of the one and breaks on the other (facts, section 9).

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use super::body::AnswerBody;
use crate::karbor::fault::{Detail, Fault};
use crate::karbor::filter::FilterError;
use crate::karbor::request_id::RequestId;
use crate::policy::{Enforcement, Rule, Violations};
use crate::telemetry::exchange::Exchange;
use crate::upstream::Failure;
use crate::wire::Refusal;

const REQUEST_ID: [HeaderName; 2] =
    [HeaderName::from_static("x-openstack-request-id"), HeaderName::from_static("x-compute-request-id")];
const JSON: HeaderValue = HeaderValue::from_static("application/json");

const fn status_of_refusal(refusal: Refusal) -> StatusCode {
    match refusal {
        Refusal::HeadTimeout | Refusal::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
        Refusal::RequestLineTooLong => StatusCode::URI_TOO_LONG,
        Refusal::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Refusal::Expect => StatusCode::EXPECTATION_FAILED,
        Refusal::Connect => StatusCode::METHOD_NOT_ALLOWED,
        Refusal::BodyBudget | Refusal::NoRoom | Refusal::Ledger => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    }
}

const fn status_of_rule(rule: Rule) -> StatusCode {
    match rule {
        Rule::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Rule::ApplicationNotAllowed | Rule::ReadOnly => StatusCode::FORBIDDEN,
        Rule::BodyTooLarge
        | Rule::TooManyEntries
        | Rule::ExtraInfoTooLarge
        // As Karbor's own quota on checkpoints (facts, section 8).
        | Rule::QuotaExceeded => StatusCode::PAYLOAD_TOO_LARGE,
        Rule::RateExceeded => StatusCode::TOO_MANY_REQUESTS,
        Rule::MalformedBody
        | Rule::DuplicateMember
        | Rule::UnknownMember
        | Rule::NotAMap
        | Rule::ValueNotAString
        | Rule::MalformedKey
        | Rule::UnknownKarborKey
        | Rule::KarborKeyValue
        | Rule::KeyTooLong
        | Rule::ValueTooLong => StatusCode::BAD_REQUEST,
    }
}

/// Refuses, and ends the connection where what follows on it may be part of what could not be read.
pub(super) fn refusal(
    exchange: Box<Exchange>,
    refusal: Refusal,
    request_id: RequestId,
) -> Response<AnswerBody> {
    let mut answer = put_off(exchange, refusal, request_id);
    // These are found in requests that were read to their end.
    if !matches!(refusal, Refusal::Ledger | Refusal::Filter) {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

/// Refuses what was read to its end. The connection goes on: those that are put off will be back, and another
/// one would cost more than the answer.
pub(super) fn put_off(
    mut exchange: Box<Exchange>,
    refusal: Refusal,
    request_id: RequestId,
) -> Response<AnswerBody> {
    exchange.refused(refusal);
    let status = status_of_refusal(refusal);
    let body = fault_of_refusal(refusal, &in_words(refusal)).to_body();
    let mut answer = with_body(exchange, status, body, request_id);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        ask_to_wait(&mut answer, HeaderValue::from_static("1"));
    }
    answer
}

fn fault_of_refusal(refusal: Refusal, message: &str) -> Fault<'_> {
    Fault {
        details: vec![Detail {
            rule: refusal.code(),
            enforcement: "enforced",
            key: None,
            measured: None,
            allowed: None,
            quota: None,
            hint: None,
            message: message.to_owned(),
        }],
        ..Fault::new(status_of_refusal(refusal).as_u16(), message)
    }
}

fn in_words(refusal: Refusal) -> String {
    format!("{} ({})", refusal.text(), refusal.code())
}

/// A refusal as the whole answer in bytes, for a request that hyper never saw.
pub(super) fn refusal_on_wire(refusal: Refusal, request_id: RequestId) -> (StatusCode, Bytes) {
    let status = status_of_refusal(refusal);
    (status, on_wire(status, &fault_of_refusal(refusal, &in_words(refusal)), request_id))
}

/// The answer to a connection that there is no room for.
pub(super) fn no_room_on_wire(request_id: RequestId) -> Bytes {
    let message = "too many connections are open, try again later";
    on_wire(StatusCode::SERVICE_UNAVAILABLE, &Fault::new(503, message), request_id)
}

fn on_wire(status: StatusCode, fault: &Fault<'_>, request_id: RequestId) -> Bytes {
    let body = fault.to_body();
    let extra = match status {
        StatusCode::SERVICE_UNAVAILABLE => "Retry-After: 1\r\n",
        StatusCode::METHOD_NOT_ALLOWED => "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n",
        _ => "",
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{extra}\
         X-Openstack-Request-Id: {request_id}\r\nX-Compute-Request-Id: {request_id}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat().into()
}

/// Denies: the status is that of the first enforced rule.
pub(super) fn denial(
    mut exchange: Box<Exchange>,
    violations: Violations,
    request_id: RequestId,
) -> Response<AnswerBody> {
    let first = violations.broken().find(|(_, enforcement)| *enforcement == Enforcement::Enforce);
    let rule = first.map_or(Rule::MalformedBody, |(rule, _)| rule);
    let status = status_of_rule(rule);
    let message = violations.to_string();
    let details = violations.list.iter().map(Detail::from).collect();
    let words = Fault { details, left_out: violations.left_out, ..Fault::new(status.as_u16(), &message) };
    let body = words.to_body();
    // These are judged before the body is read, and what is left of it ends the connection.
    let unread = [Rule::UnsupportedMediaType, Rule::BodyTooLarge].contains(&rule);
    // Waiting helps against the rate alone.
    let retry_after = violations.retry_after().filter(|_| status == StatusCode::TOO_MANY_REQUESTS);
    exchange.denied(violations);
    let mut answer = with_body(exchange, status, body, request_id);
    if unread {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(wait) = retry_after {
        ask_to_wait(&mut answer, whole_seconds(wait));
    }
    answer
}

/// Marks an answer whose `Retry-After` is ours.
#[derive(Clone, Copy)]
struct OwnWait;

fn ask_to_wait(answer: &mut Response<AnswerBody>, wait: HeaderValue) {
    answer.headers_mut().insert(header::RETRY_AFTER, wait);
    answer.extensions_mut().insert(OwnWait);
}

/// Whether the client is Karbor's official one. It raises the error of an answer with `Retry-After` in a way
/// that only its error for 413 can take, and of all others its user sees a complaint about an argument.
pub(super) fn breaks_on_retry_after(headers: &HeaderMap) -> bool {
    let agent = headers.get(header::USER_AGENT);
    agent.is_some_and(|agent| agent.as_bytes().starts_with(b"python-karborclient"))
}

/// Leaves the message alone to say when to try again.
pub(super) fn leave_out_wait(answer: &mut Response<AnswerBody>) {
    if answer.extensions_mut().remove::<OwnWait>().is_some() {
        answer.headers_mut().remove(header::RETRY_AFTER);
    }
}

/// Rounded up, and at least one, or the client would try in vain.
fn whole_seconds(wait: Duration) -> HeaderValue {
    let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
    HeaderValue::from(seconds.max(1))
}

/// Karbor gave no answer.
pub(super) fn failure(
    mut exchange: Box<Exchange>,
    failure: &Failure,
    request_id: RequestId,
) -> Response<AnswerBody> {
    let unknown = failure.was_sent();
    exchange.karbor_failed(failure.kind(), unknown);
    if let Some(wait) = failure.retry_after() {
        let message = "Karbor is down or too busy; the request was not carried out and can be repeated";
        let body = Fault::new(StatusCode::SERVICE_UNAVAILABLE.as_u16(), message).to_body();
        let mut answer = with_body(exchange, StatusCode::SERVICE_UNAVAILABLE, body, request_id);
        ask_to_wait(&mut answer, whole_seconds(wait));
        return answer;
    }
    let status = if failure.was_late() { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::BAD_GATEWAY };
    let message = match (failure.was_late(), unknown) {
        (false, false) => "Karbor cannot be reached; the request was not carried out and can be repeated",
        (true, false) => "Karbor did not answer in time; the request was not carried out and can be repeated",
        (false, true) => "the connection to Karbor broke; it is unknown whether the request was carried out",
        (true, true) => "Karbor did not answer in time; it is unknown whether the request was carried out",
    };
    let hint = unknown.then_some("look at what is there before repeating a request that changes something");
    let words = Fault { hint, ..Fault::new(status.as_u16(), message) };
    with_body(exchange, status, words.to_body(), request_id)
}

/// An answer for the record's sake: the client broke its request off.
pub(super) fn to_nobody(mut exchange: Box<Exchange>) -> Response<AnswerBody> {
    exchange.client_left();
    let mut answer = Response::new(AnswerBody::whole(Bytes::new(), exchange));
    *answer.status_mut() = StatusCode::BAD_REQUEST;
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// A document of our own, which Karbor's word on the caller has allowed.
pub(super) fn document(
    mut exchange: Box<Exchange>,
    body: Vec<u8>,
    request_id: RequestId,
) -> Response<AnswerBody> {
    exchange.answered_by_us();
    let mut answer = with_body(exchange, StatusCode::OK, body, request_id);
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// What was owed (`owed`) ended badly; its record is written.
pub(super) fn ended_badly(request_id: RequestId) -> Response<AnswerBody> {
    let message = "the request could not be finished; it is unknown whether it was carried out";
    let mut answer = Response::new(AnswerBody::unrecorded(Fault::new(502, message).to_body().into()));
    *answer.status_mut() = StatusCode::BAD_GATEWAY;
    put_headers(&mut answer, request_id);
    answer
}

fn put_headers(answer: &mut Response<AnswerBody>, request_id: RequestId) {
    answer.headers_mut().insert(header::CONTENT_TYPE, JSON);
    if let Ok(request_id) = HeaderValue::from_bytes(&request_id.text()) {
        for name in REQUEST_ID {
            answer.headers_mut().insert(name, request_id.clone());
        }
    }
}

fn with_body(
    mut exchange: Box<Exchange>,
    status: StatusCode,
    body: Vec<u8>,
    request_id: RequestId,
) -> Response<AnswerBody> {
    exchange.answers(status.as_u16());
    let mut answer = Response::new(AnswerBody::whole(body.into(), exchange));
    *answer.status_mut() = status;
    put_headers(&mut answer, request_id);
    answer
}

/// `Warning` for violations that were let through (RFC 9111, 5.5 in its older form; kubectl and others
/// show it). One line of ASCII.
pub(super) fn warning(noted: &Violations, enforced_from: Option<&str>) -> Option<HeaderValue> {
    let warned = noted.broken().filter(|(_, enforcement)| *enforcement == Enforcement::Warn);
    let rules: Vec<&str> = warned.map(|(rule, _)| rule.code()).collect();
    if rules.is_empty() {
        return None;
    }
    let when = enforced_from.map_or_else(|| "later".to_owned(), |date| format!("from {date}"));
    let text = format!(
        "299 karbor-admission \"extra-info breaks rules that will be enforced {when}: {}\"",
        rules.join(", ")
    );
    HeaderValue::try_from(text).ok()
}

/// `Warning` for maps that may be missing from the answer, or are not kept.
pub(super) const UNFILLED: HeaderValue = HeaderValue::from_static(
    "199 karbor-admission \"extra-info may be missing here: the ledger did not answer\"",
);
pub(super) const UNKEPT: HeaderValue =
    HeaderValue::from_static("199 karbor-admission \"extra-info is not known to be kept\"");

pub(super) const UNREAD_USAGE: HeaderValue =
    HeaderValue::from_static("199 karbor-admission \"usage is missing here: the ledger did not answer\"");

/// Refuses a filter of a list, in the words of what is wrong with it.
pub(super) fn filter(
    mut exchange: Box<Exchange>,
    error: FilterError,
    request_id: RequestId,
) -> Response<AnswerBody> {
    exchange.refused(Refusal::Filter);
    let message = format!("{error} ({})", Refusal::Filter.code());
    let mut fault = fault_of_refusal(Refusal::Filter, &message);
    fault.hint = Some(error.hint());
    let body = fault.to_body();
    with_body(exchange, StatusCode::BAD_REQUEST, body, request_id)
}

/// Adds [`warning`] to an answer, beside what Karbor may have put there.
pub(super) fn add_warning(answer: &mut Response<AnswerBody>, warning: Option<HeaderValue>) {
    if let Some(warning) = warning {
        answer.headers_mut().append(header::WARNING, warning);
    }
}
