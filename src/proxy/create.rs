//! Checkpoint creation: read and review.
//!
//! Nothing is sent to Karbor before the whole body is reviewed, and then exactly what was reviewed. From
//! there on the work (`order`) goes on whether its client waits or not, and the shutdown waits for it: a client
//! that hangs up strands nothing.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use hyper::body::Incoming;

use super::budget::Seat;
use super::collect::Collected;
use super::keep::Draft;
use super::order::{Admitted, Order};
use super::owed::{Begun, Owed};
use super::peer::Peer;
use super::review::{self, Read, Stop};
use super::{AnswerBody, Case, ExtraInfoField, Proxy, RequestBody, forward, headers};
use crate::karbor::request::{CreateRequest, Form, Shape, wrap_flat};
use crate::karbor::target::decode_segment;
use crate::karbor::{ProviderId, TenantId, is_plain_id};
use crate::policy::{Breach, CreateReview, Policy, Rule, Verdict, Violations};
use crate::telemetry::exchange::{Exchange, Subject};

/// A creation to be reviewed, but for its body.
pub(super) struct Creation {
    pub(super) parts: Parts,
    pub(super) case: Case,
    /// As it stands in the path.
    pub(super) tenant: Box<str>,
}

/// Whose creation it is, as its path says: in the short form without a provider, which the plan knows.
pub(super) fn subject(tenant: &str, provider: Option<&str>, policy: Arc<Policy>) -> Rc<Subject> {
    let tenant = TenantId::new(decode_segment(tenant));
    let provider = provider.map(|provider| ProviderId::new(decode_segment(provider)));
    Rc::new(Subject { tenant, provider, policy })
}

/// Reviews and carries out a creation. In a box, which goes on without its client once it is owed.
pub(super) fn create(
    proxy: Rc<Proxy>,
    mut exchange: Box<Exchange>,
    peer: Rc<Peer>,
    creation: Box<Creation>,
    body: Incoming,
) -> Owed<impl Future<Output = Response<AnswerBody>>> {
    let (own, client, request_id, begun) =
        (proxy.clone(), peer.clone(), creation.case.request_id, Begun::default());
    let is_owed = begun.clone();
    Owed::new(own, client, request_id, begun, async move {
        let (admitted, seat) = match review(&proxy, &mut exchange, &creation, body).await {
            Ok(admitted) => admitted,
            Err(stop) => return stop.answer(exchange, request_id),
        };
        is_owed.set();
        let Creation { parts, case: Case { target, subject, .. }, tenant } = *creation;
        let head = forward::head(&proxy, &peer, parts, target);
        Order { proxy, exchange, tenant, subject, request_id, _seat: seat }.carry_out(head, admitted).await
    })
}

async fn review(
    proxy: &Proxy,
    exchange: &mut Exchange,
    creation: &Creation,
    body: Incoming,
) -> Result<(Admitted, Seat), Stop> {
    let subject = &creation.case.subject;
    let shape = if subject.provider.is_some() { Shape::Wrapped } else { Shape::Either };
    let mut noted = Violations::default();
    let as_json = headers::is_plain_json(&creation.parts.headers);
    if !as_json {
        let hint = "send Content-Type: application/json without a Content-Encoding";
        review::judge(subject, Breach::of(Rule::UnsupportedMediaType).hint(hint), &mut noted)?;
    }
    let Read { collected, share, seat } = review::read(proxy, exchange, subject, body, &mut noted).await?;
    let bytes = match collected {
        Collected::Whole(bytes) => bytes,
        Collected::TooLarge(prefix, rest) | Collected::NoRoom(prefix, rest) => {
            exchange.admitted(None, noted.clone());
            let body = proxy.stream(prefix, rest);
            return Ok((Admitted { body, as_json: false, plan: None, noted, share, draft: None }, seat));
        }
    };
    let CreateReview { verdict, request } =
        subject.policy.review_create(subject.tenant.as_str(), shape, &bytes);
    let (charge, noted) = match verdict.with_noted(noted) {
        Verdict::Admit { charge, noted } => (charge, noted),
        Verdict::Deny(violations) => return Err(Stop::Deny(violations)),
    };
    exchange.admitted(Some(charge), noted.clone());
    let plan = match (shape, &request) {
        // Without a usable plan, which only a softened rule lets through, Karbor is asked as it stands.
        (Shape::Either, Some(request)) => {
            request.plan_id.as_deref().filter(|plan| is_plain_id(plan)).map(Into::into)
        }
        _ => None,
    };
    let draft = request.as_ref().filter(|_| proxy.ledger.is_some()).and_then(Draft::of);
    let body = RequestBody::whole(what_karbor_gets(proxy.options.extra_info_field, request, &bytes));
    Ok((Admitted { body, as_json, plan, noted, share, draft }, seat))
}

/// The very bytes that were reviewed; wrapped or renamed where this Karbor could not read them otherwise.
fn what_karbor_gets(field: ExtraInfoField, request: Option<CreateRequest<'_>>, reviewed: &Bytes) -> Bytes {
    let Some(request) = request else { return reviewed.clone() };
    let renamed = match field {
        ExtraInfoField::Hyphen => None,
        ExtraInfoField::Underscore => request.with_underscore(),
    };
    match (renamed, request.form) {
        (Some(renamed), _) => renamed.into(),
        (None, Form::Flat) => wrap_flat(reviewed).into(),
        (None, Form::Wrapped) => reviewed.clone(),
    }
}
