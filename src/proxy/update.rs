//! Later mutation: what was set at creation is read-only.
//!
//! Reads PUT, PATCH and POST on a checkpoint or below it, and denies what names the map. A reset of the
//! state passes, the same bytes; copies and deletions are not read at all.

use std::rc::Rc;
use std::sync::Arc;

use http::Response;
use http::request::Parts;
use http_body::Body as _;
use hyper::body::Incoming;

use super::budget::{Seat, Share};
use super::collect::Collected;
use super::peer::Peer;
use super::review::{self, Read, Stop};
use super::{AnswerBody, Case, Proxy, RequestBody, forward, respond};
use crate::karbor::route::Member;
use crate::karbor::target::decode_segment;
use crate::karbor::{CheckpointId, ProviderId, TenantId};
use crate::policy::{Breach, Policy, Rule, Verdict, Violations};
use crate::telemetry::exchange::{Exchange, Subject};
use crate::upstream::Outgoing;

/// What the path of a write to an existing checkpoint says.
pub(super) struct Write {
    tenant: TenantId,
    provider: ProviderId,
    checkpoint: CheckpointId,
    /// Whether it goes to the map itself, and not to the checkpoint.
    to_extra_info: bool,
}

impl Write {
    pub(super) fn to(member: Member<'_>, to_extra_info: bool) -> Self {
        Self {
            tenant: TenantId::new(decode_segment(member.tenant)),
            provider: ProviderId::new(decode_segment(member.provider)),
            checkpoint: CheckpointId::new(decode_segment(member.checkpoint)),
            to_extra_info,
        }
    }

    pub(super) fn subject(&self, policy: Arc<Policy>) -> Rc<Subject> {
        Rc::new(Subject { tenant: self.tenant.clone(), provider: Some(self.provider.clone()), policy })
    }
}

/// Reviews and forwards a write to an existing checkpoint.
pub(super) async fn update(
    proxy: Rc<Proxy>,
    mut exchange: Box<Exchange>,
    peer: Rc<Peer>,
    parts: Parts,
    body: Incoming,
    write: Write,
    case: Case,
) -> Response<AnswerBody> {
    let Case { target, request_id, subject } = case;
    let method = parts.method.clone();
    let Write { checkpoint, to_extra_info, .. } = write;
    exchange.names_checkpoint(checkpoint);
    let (body, held, warning) = match review(&proxy, &mut exchange, &subject, to_extra_info, body).await {
        Ok((body, noted, held)) => {
            let warning = respond::warning(&noted, proxy.options.enforced_from.as_deref());
            exchange.admitted(None, noted);
            (body, held, warning)
        }
        Err(stop) => return stop.answer(exchange, request_id),
    };
    let request = Outgoing::of(&forward::head(&proxy, &peer, parts, target), body);
    exchange.dispatched();
    let sent = forward::send(&proxy, request).await;
    drop(held);
    let mut answer = match sent {
        Ok(answer) => forward::stream(&proxy, exchange, answer),
        Err(failure) => forward::fail(&proxy, exchange, &failure, &method, request_id),
    };
    respond::add_warning(&mut answer, warning);
    answer
}

async fn review(
    proxy: &Proxy,
    exchange: &mut Exchange,
    subject: &Subject,
    to_extra_info: bool,
    body: Incoming,
) -> Result<(RequestBody, Violations, Option<(Share, Seat)>), Stop> {
    let mut noted = Violations::default();
    if to_extra_info {
        let hint = "extra-info is set when the checkpoint is created, and stays as it is";
        review::judge(subject, Breach::of(Rule::ReadOnly).hint(hint), &mut noted)?;
    }
    if body.is_end_stream() {
        return Ok((RequestBody::Empty, noted, None));
    }
    let Read { collected, share, seat } = review::read(proxy, exchange, subject, body, &mut noted).await?;
    let body = match collected {
        Collected::TooLarge(prefix, rest) | Collected::NoRoom(prefix, rest) => proxy.stream(prefix, rest),
        Collected::Whole(bytes) => {
            match subject.policy.review_update(subject.tenant.as_str(), &bytes).with_noted(noted) {
                Verdict::Deny(violations) => return Err(Stop::Deny(violations)),
                Verdict::Admit { noted: all, .. } => noted = all,
            }
            RequestBody::whole(bytes)
        }
    };
    Ok((body, noted, Some((share, seat))))
}
