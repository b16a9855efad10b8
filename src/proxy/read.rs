//! Show and list: forward, and put the kept maps into the answer.
//!
//! A reader gets a map only inside an answer that Karbor itself gave that reader, and only where the checkpoint's
//! project, as Karbor answers it, is the one the map was kept for. What cannot be filled passes as it came.
//! Leaves filtered lists to `search`, the rewriting to `karbor::answer`.

use std::rc::Rc;

use bytes::Bytes;
use http::header::HeaderMap;
use http::request::Parts;
use http::{Response, StatusCode, response};
use hyper::body::Incoming;

use super::budget::Share;
use super::caller::Caller;
use super::collect::{Collected, collect_to_fill};
use super::fill::kept_for;
use super::peer::Peer;
use super::question::UNREADABLE;
use super::{AnswerBody, Proxy, forward, headers, request_id, respond};
use crate::karbor::answer::{Seen, read_list, read_one};
use crate::karbor::route::{Collection, Member};
use crate::karbor::target::{Target, decode_segment};
use crate::karbor::{CheckpointId, ProviderId, TenantId};
use crate::telemetry::exchange::{Exchange, Subject};
use crate::telemetry::metrics::Unfilled;
use crate::upstream::Answer;
use crate::wire::Refusal;

/// The checkpoints that a path names, as Karbor reads it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) tenant: TenantId,
    pub(super) provider: ProviderId,
    /// None for all of them.
    pub(super) checkpoint: Option<CheckpointId>,
}

impl Place {
    pub(super) fn of(collection: Collection<'_>) -> Self {
        Self {
            tenant: TenantId::new(decode_segment(collection.tenant)),
            provider: ProviderId::new(decode_segment(collection.provider)),
            checkpoint: None,
        }
    }

    pub(super) fn member(member: Member<'_>) -> Self {
        let Member { tenant, provider, checkpoint } = member;
        let checkpoint = Some(CheckpointId::new(decode_segment(checkpoint)));
        Self { checkpoint, ..Self::of(Collection { tenant, provider }) }
    }

    pub(super) fn subject(&self, proxy: &Proxy) -> Rc<Subject> {
        let policy = proxy.policy.clone();
        Rc::new(Subject { tenant: self.tenant.clone(), provider: Some(self.provider.clone()), policy })
    }
}

/// Forwards a show or a list, and fills the answer.
pub(super) async fn read(
    proxy: &Proxy,
    mut exchange: Box<Exchange>,
    peer: &Peer,
    parts: Parts,
    target: Target,
    body: Incoming,
    place: Place,
) -> Response<AnswerBody> {
    let caller = Caller::of(&parts);
    let mut head = forward::head(proxy, peer, parts, target);
    ask_for_readable(&mut head.headers);
    match forward::send_on(proxy, &mut exchange, head, body).await {
        Ok(answer) => answer_of(proxy, exchange, answer, &place, &caller).await,
        Err(failure) => caller.fail(proxy, exchange, &failure),
    }
}

/// There is no seat for an answer that would be filled.
pub(super) fn put_off(
    proxy: &Proxy,
    mut exchange: Box<Exchange>,
    caller: &Caller,
    place: &Place,
) -> Response<AnswerBody> {
    let request_id = request_id::fresh();
    exchange.judge(request_id, caller.method(), Some(place.subject(proxy)));
    let answer = if caller.streams_body() { respond::refusal } else { respond::put_off };
    answer(exchange, Refusal::NoRoom, request_id)
}

/// Karbor itself never codes or cuts its answers; what stands between may, if it is asked to.
pub(super) fn ask_for_readable(headers: &mut HeaderMap) {
    for name in UNREADABLE {
        headers.remove(name);
    }
}

/// Whether the answer is one that can hold checkpoints: not an error, and plain JSON.
pub(super) fn is_readable(answer: &Answer) -> bool {
    answer.status() == StatusCode::OK && headers::is_plain_json(answer.headers())
}

async fn answer_of(
    proxy: &Proxy,
    mut exchange: Box<Exchange>,
    answer: Answer,
    place: &Place,
    caller: &Caller,
) -> Response<AnswerBody> {
    if !is_readable(&answer) {
        if answer.status() == StatusCode::OK {
            proxy.desk.metrics.unfilled(Unfilled::Unreadable);
        }
        return forward::stream(proxy, exchange, answer);
    }
    let (parts, incoming) = forward::note_answer(&mut exchange, answer);
    let mut share = proxy.budget.answer_share();
    let most = proxy.options.ledger.max_answer;
    match collect_to_fill(incoming, most, proxy.stall_timeout, &mut share).await {
        Ok(Collected::Whole(body)) => {
            exchange.came_whole(body.len() as u64);
            fill_whole(proxy, exchange, parts, (body, share), place, caller).await
        }
        Ok(Collected::TooLarge(prefix, rest) | Collected::NoRoom(prefix, rest)) => {
            proxy.desk.metrics.unfilled(Unfilled::TooLarge);
            exchange.reads_no_more();
            forward::stream_rest(proxy, exchange, parts, prefix, rest)
        }
        Err(failure) => caller.fail(proxy, exchange, &failure),
    }
}

async fn fill_whole(
    proxy: &Proxy,
    mut exchange: Box<Exchange>,
    parts: response::Parts,
    (body, mut share): (Bytes, Share),
    place: &Place,
    caller: &Caller,
) -> Response<AnswerBody> {
    let sketch = if place.checkpoint.is_some() { read_one(&body) } else { read_list(&body) };
    let filled = match sketch {
        None => Err(Unfilled::Unreadable),
        Some(sketch) => {
            let checkpoints: Vec<&Seen> = sketch.checkpoints.iter().collect();
            match kept_for(proxy, place, &checkpoints).await {
                Ok(kept) => Ok(kept.fill(&body, &sketch)),
                Err(_told) => Err(Unfilled::Ledger),
            }
        }
    };
    // Maps may be many times as long as what Karbor said.
    let filled = filled.and_then(|filled| {
        let fits = filled.body.as_ref().is_none_or(|body| share.hold(body.len() as u64));
        if fits { Ok(filled) } else { Err(Unfilled::TooLarge) }
    });
    let unfilled = filled.as_ref().err().copied();
    if let Some(reason) = unfilled {
        proxy.desk.metrics.unfilled(reason);
    }
    let body = match filled {
        Ok(filled) => {
            filled.note(&mut exchange, caller, &parts.headers, || place.subject(proxy));
            filled.body.unwrap_or(body)
        }
        Err(_told) => body,
    };
    let mut answer = forward::whole(exchange, parts, share.attach(body));
    let warned = unfilled == Some(Unfilled::Ledger);
    respond::add_warning(&mut answer, warned.then_some(respond::UNFILLED));
    answer
}
