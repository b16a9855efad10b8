//! Checkpoint creation: read, review, forward, settle.
//!
//! Nothing is sent to Karbor before the whole body is reviewed, and then exactly what was reviewed. From
//! there on the work is a task of its own, which the shutdown waits for: a client that hangs up strands
//! nothing.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, Response, Uri};
use hyper::body::Incoming;
use tokio::sync::oneshot;

use super::budget::Share;
use super::collect::Collected;
use super::peer::Peer;
use super::plan::{self, Provider};
use super::review::{self, Stop};
use super::{AnswerBody, Case, ExtraInfoField, Proxy, RequestBody, forward, headers, respond};
use crate::drain;
use crate::karbor::request::{CreateRequest, Form, Shape, wrap_flat};
use crate::karbor::target::{Target, decode_segment};
use crate::karbor::{ProviderId, TenantId, is_plain_id};
use crate::policy::{Breach, CreateReview, Policy, Rule, Verdict, Violations};
use crate::telemetry::exchange::{Exchange, Subject};

/// A creation that was admitted, ready to be sent.
struct Admitted {
    body: RequestBody,
    /// Whether it was reviewed as JSON, and is sent as such.
    as_json: bool,
    /// The plan to ask for its provider: the short form.
    plan: Option<Box<str>>,
    noted: Violations,
    share: Share,
}

/// What the path of a creation says.
pub(super) struct Creation {
    /// As it stands in the path.
    tenant: Box<str>,
    /// None in the short form: the plan knows it.
    provider: Option<ProviderId>,
}

impl Creation {
    pub(super) fn at(tenant: &str, provider: Option<&str>) -> Self {
        let provider = provider.map(|provider| ProviderId::new(decode_segment(provider)));
        Self { tenant: tenant.into(), provider }
    }

    pub(super) fn subject(&self, policy: Arc<Policy>) -> Subject {
        let tenant = TenantId::new(decode_segment(&self.tenant));
        Subject { tenant, provider: self.provider.clone(), policy }
    }
}

/// Reviews and carries out a creation.
pub(super) async fn create(
    proxy: Rc<Proxy>,
    mut exchange: Exchange,
    peer: Rc<Peer>,
    parts: Parts,
    body: Incoming,
    creation: Creation,
    case: Case,
) -> Response<AnswerBody> {
    let Case { target, request_id, subject } = case;
    let Creation { tenant, provider } = creation;
    let shape = if provider.is_some() { Shape::Wrapped } else { Shape::Either };
    let admitted = match review(&proxy, &mut exchange, &subject, shape, &parts, body).await {
        Ok(admitted) => admitted,
        Err(stop) => return stop.answer(exchange, &request_id),
    };
    // What is carried out is answered to whoever may still listen.
    peer.stay.owe();
    let stay = peer.stay.clone();
    let (answer, answered) = oneshot::channel();
    let told = request_id.clone();
    drain::spawn_awaited(proxy.drain.watcher(), |watcher| async move {
        let order = Order { proxy, exchange, peer, parts, target, tenant, request_id };
        if let Err(mut unheard) = answer.send(order.carry_out(admitted).await) {
            unheard.body_mut().client_left();
        }
        drop(watcher);
    });
    // The task is only gone without an answer if it ended badly.
    let mut answer = answered.await.unwrap_or_else(|_gone| respond::ended_badly(&told));
    if stay.is_closed() {
        answer.body_mut().client_left();
    }
    answer
}

async fn review(
    proxy: &Proxy,
    exchange: &mut Exchange,
    subject: &Subject,
    shape: Shape,
    parts: &Parts,
    body: Incoming,
) -> Result<Admitted, Stop> {
    let mut noted = Violations::default();
    let as_json = headers::is_plain_json(&parts.headers);
    if !as_json {
        let hint = "send Content-Type: application/json without a Content-Encoding";
        review::judge(subject, Breach::of(Rule::UnsupportedMediaType).hint(hint), &mut noted)?;
    }
    let (collected, share) = review::read(proxy, exchange, subject, body, &mut noted).await?;
    let bytes = match collected {
        Collected::Whole(bytes) => bytes,
        Collected::TooLarge(prefix, rest) => {
            exchange.admitted(None, noted.clone());
            let body = proxy.stream(prefix, rest);
            return Ok(Admitted { body, as_json: false, plan: None, noted, share });
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
    let body = RequestBody::whole(what_karbor_gets(proxy.options.extra_info_field, request, &bytes));
    Ok(Admitted { body, as_json, plan, noted, share })
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

/// An admitted creation under way.
struct Order {
    proxy: Rc<Proxy>,
    exchange: Exchange,
    peer: Rc<Peer>,
    parts: Parts,
    target: Target,
    /// As it stands in the path.
    tenant: Box<str>,
    request_id: String,
}

impl Order {
    async fn carry_out(mut self, admitted: Admitted) -> Response<AnswerBody> {
        let identity = &self.proxy.options.identity_headers;
        headers::towards_karbor(&mut self.parts, self.target, &self.peer, identity);
        let warning = respond::warning(&admitted.noted, self.proxy.options.enforced_from.as_deref());
        self.exchange.hands_over();
        if let Some(plan) = &admitted.plan {
            match plan::provider_of(&self.proxy, &self.parts, &self.tenant, plan).await {
                Ok(Provider::Found(provider)) => {
                    self.parts.uri = creation_of(&self.proxy, &self.tenant, &provider);
                    self.exchange.names_provider(provider);
                }
                Ok(Provider::Answer(answer)) => {
                    // Nothing was created, whatever the status: without a token, noauth answers 204.
                    self.exchange.admitted(None, admitted.noted);
                    let mut answer = forward::stream(&self.proxy, self.exchange, *answer);
                    respond::add_warning(&mut answer, warning);
                    return answer;
                }
                Err(failure) => {
                    return forward::fail(
                        &self.proxy,
                        self.exchange,
                        &failure,
                        &Method::POST,
                        &self.request_id,
                    );
                }
            }
        }
        if admitted.as_json {
            let json = HeaderValue::from_static("application/json");
            self.parts.headers.insert(header::CONTENT_TYPE, json);
            self.parts.headers.remove(header::CONTENT_ENCODING);
        }
        self.exchange.dispatched();
        let request = Request::from_parts(self.parts, admitted.body);
        let sent = forward::send(&self.proxy, request).await;
        drop(admitted.share);
        let mut answer = match sent {
            Ok(answer) => {
                forward::settle(&self.proxy, self.exchange, answer, &Method::POST, &self.request_id).await
            }
            Err(failure) => {
                forward::fail(&self.proxy, self.exchange, &failure, &Method::POST, &self.request_id)
            }
        };
        respond::add_warning(&mut answer, warning);
        answer
    }
}

/// The path of a creation at `provider`. Its parts are canonical segments, so it is one too.
fn creation_of(proxy: &Proxy, tenant: &str, provider: &ProviderId) -> Uri {
    let path = format!("{}/v1/{tenant}/providers/{provider}/checkpoints", proxy.options.path_prefix);
    PathAndQuery::try_from(path).map(Uri::from).unwrap_or_default()
}
