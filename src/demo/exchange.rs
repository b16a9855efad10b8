//! One HTTP exchange: record the request, read its body, have it carried out, frame the answer.
//!
//! Bodies are read whole only up to a bound, blobs not at all. Leaves what an answer says to `controller`.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;

use super::answers::{Answer, Fault, Manner};
use super::blob::{Blob, Checksum};
use super::controller::{Outcome, Request, carry_out, fresh_id, refuse_early, token_project};
use super::json::Json;
use super::log::Log;
use super::query::Query;
use super::routes::{Call, Place, locate};
use super::store::Store;

/// The largest body that is read as a document. Karbor has no bound; the facts' largest is 20 MiB.
const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;
/// How long a client may be silent: Karbor's `client_socket_timeout`.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(900);

const JSON: &str = "application/json";

/// What the exchanges share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    store: Mutex<Store>,
    log: Mutex<Log>,
    /// Told whenever the log changes.
    pub(super) changed: Condvar,
}

/// A whole answer, or a blob.
pub(super) type AnswerBody = Either<Full<Bytes>, Blob>;

impl Shared {
    /// The panic of one exchange does not end the others, so a poisoned lock is taken as it is.
    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note<T>(&self, change: impl FnOnce(&mut Log) -> T) -> T {
        let noted = change(&mut self.log());
        self.changed.notify_all();
        noted
    }
}

/// Answers one request.
///
/// # Errors
///
/// A body that breaks off or stays silent: the connection is then closed without an answer.
pub(super) async fn answer(
    shared: Arc<Shared>,
    request: http::Request<Incoming>,
) -> Result<Response<AnswerBody>, std::io::Error> {
    let (head, body) = request.into_parts();
    let number = shared.note(|log| log.open(&head));
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let place = locate(head.method.as_str(), target);
    let call = match &place {
        Place::At { call, .. } => Some(call),
        _ => None,
    };
    let received = receive(&shared, number, body, call == Some(&Call::PutBlob)).await?;

    let token = joined(&head.headers, "x-auth-token");
    let host = host(&head.headers);
    let today = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let request = Request {
        target,
        token: &token,
        content_type: first(&head.headers, CONTENT_TYPE.as_str()).unwrap_or_default(),
        accept: first(&head.headers, "accept"),
        host: &host,
        // Karbor's server reads a chunked body and hands none on (facts, section 5).
        body: if head.headers.contains_key(TRANSFER_ENCODING) { &[] } else { &received.bytes },
        today: today.split('T').next().unwrap_or_default(),
    };
    let response = match blob(&place, &request, &received) {
        Some(response) => response,
        None if received.bytes.len() > MAX_BODY_BYTES => {
            frame(Fault::too_large(MAX_BODY_BYTES).into(), &head)
        }
        None => {
            let Outcome { answer, made } = carry_out(&mut shared.store(), &place, &request);
            shared.note(|log| log.close(number, answer.status, made));
            return Ok(frame(answer, &head));
        }
    };
    shared.note(|log| log.close(number, response.status().as_u16(), Vec::new()));
    Ok(response)
}

/// A body as far as it is kept.
#[derive(Debug, Default)]
struct Received {
    /// One byte more than the bound where it was over it.
    bytes: Vec<u8>,
    length: u64,
    sum: Checksum,
}

async fn receive(shared: &Shared, number: u64, mut body: Incoming, blob: bool) -> std::io::Result<Received> {
    let mut received = Received::default();
    while let Some(frame) = tokio::time::timeout(IDLE_TIMEOUT, body.frame()).await? {
        let Ok(piece) = frame.map_err(std::io::Error::other)?.into_data() else { continue };
        received.length += piece.len() as u64;
        if blob {
            received.sum.add(&piece);
        } else {
            let room = (MAX_BODY_BYTES + 1).saturating_sub(received.bytes.len());
            received.bytes.extend_from_slice(&piece[..piece.len().min(room)]);
        }
        shared.note(|log| log.add_body(number, &piece, !blob));
    }
    Ok(received)
}

/// The answer of the blob routes: `PUT` counts and sums, `GET` with `bytes=N` sends as many, chunked if the
/// query says `chunked`.
fn blob(place: &Place, request: &Request<'_>, received: &Received) -> Option<Response<AnswerBody>> {
    let Place::At { project, call, query } = place else { return None };
    if refuse_early(place, request).is_some() || token_project(request.token) != Some(project) {
        return None;
    }
    let mut response = match call {
        Call::PutBlob => {
            let length = Json::Integer(received.length.to_string().into());
            let document = Json::map([("bytes", length), ("fnv", Json::text(&received.sum.hex()))]);
            Response::new(Either::Left(Full::from(document.dump())))
        }
        Call::GetBlob => {
            let asked = |name| query.as_ref().and_then(|query: &Query| query.first(name));
            let bytes = asked("bytes").and_then(|text| text.parse().ok()).unwrap_or(0);
            Response::new(Either::Right(Blob::new(bytes, asked("chunked").is_none())))
        }
        _ => return None,
    };
    let kind = if *call == Call::PutBlob { JSON } else { "application/octet-stream" };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Some(response)
}

/// Puts an answer into a response, its fields in Karbor's order.
fn frame(answer: Answer, head: &Parts) -> Response<AnswerBody> {
    // Karbor's server counts the body it sends, and none goes with HEAD.
    let body = if head.method == Method::HEAD { String::new() } else { answer.body };
    let length = ("content-length", body.len().to_string());
    let compute = ("x-compute-request-id", format!("req-{}", fresh_id()));
    let openstack = ("x-openstack-request-id", format!("req-{}", fresh_id()));
    let kind = |kind: &str| (CONTENT_TYPE.as_str(), kind.to_owned());
    let fields = match answer.manner {
        Manner::Done => vec![compute, kind(JSON), length, openstack],
        Manner::Fault => vec![length, kind(JSON), compute, openstack],
        Manner::Unrouted(text) => vec![length, kind(text), openstack],
        Manner::Outside => vec![kind("text/plain"), length, (CONNECTION.as_str(), "close".to_owned())],
        Manner::Offered { token, place } => vec![
            ("x-auth-token", token),
            ("x-server-management-url", place),
            kind("text/plain; charset=UTF-8"),
            openstack,
        ],
    };
    let mut response = Response::new(Either::Left(Full::from(body)));
    *response.status_mut() = http::StatusCode::from_u16(answer.status).unwrap_or_default();
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn first<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn joined(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    values.collect::<Vec<_>>().join(",")
}

/// What links begin with: the last `X-Forwarded-Host`, else `Host` (facts, section 8).
fn host(headers: &HeaderMap) -> String {
    let forwarded = joined(headers, "x-forwarded-host");
    match forwarded.rsplit(',').next() {
        Some(last) if !forwarded.is_empty() => last.trim_start().to_owned(),
        _ => first(headers, HOST.as_str()).unwrap_or("localhost").to_owned(),
    }
}
