//! An admitted creation under way: hold, send, settle.
//!
//! Leaves the review to `create`, and what the ledger is told to `keep`.

use std::rc::Rc;

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode, Uri};

use super::budget::{Seat, Share};
use super::keep::{self, Draft, Fate, Hold, NotHeld};
use super::plan::{self, Provider};
use super::proof::{Digest, Proof, prove};
use super::read::ask_for_readable;
use super::{AnswerBody, Proxy, RequestBody, fill, forward, request_id, respond};
use crate::karbor::ProviderId;
use crate::karbor::answer::created_checkpoint;
use crate::policy::Violations;
use crate::telemetry::exchange::{Exchange, Subject};
use crate::upstream::{Answer, Failure};
use crate::wire::Refusal;

/// A creation that was admitted, ready to be sent.
pub(super) struct Admitted {
    pub(super) body: RequestBody,
    /// Whether it was reviewed as JSON, and is sent as such.
    pub(super) as_json: bool,
    /// The plan to ask for its provider: the short form.
    pub(super) plan: Option<Box<str>>,
    pub(super) noted: Violations,
    pub(super) share: Share,
    /// What the ledger is to keep.
    pub(super) draft: Option<Draft>,
}

/// An admitted creation under way.
pub(super) struct Order {
    pub(super) proxy: Rc<Proxy>,
    pub(super) exchange: Exchange,
    /// As it stands in the path.
    pub(super) tenant: Box<str>,
    pub(super) subject: Subject,
    pub(super) request_id: String,
    /// Kept to its end, whether its client is there or not.
    pub(super) _seat: Seat,
}

impl Order {
    /// Carries it out. `parts` are on their way to Karbor already.
    pub(super) async fn carry_out(
        mut self,
        mut parts: Parts,
        mut admitted: Admitted,
    ) -> Response<AnswerBody> {
        let plan = admitted.plan.take();
        let proven = plan.is_some();
        if let Some(plan) = plan {
            self.exchange.hands_over();
            // In a box, as the other questions below: most creations ask none, and would carry its size about.
            match Box::pin(plan::provider_of(&self.proxy, &parts, &self.tenant, &plan)).await {
                Ok(Provider::Found(provider)) => {
                    self.exchange.takes_back();
                    parts.uri = creation_of(&self.proxy, &self.tenant, &provider);
                    self.subject.provider = Some(provider.clone());
                    self.exchange.names_provider(provider);
                }
                Ok(Provider::Answer(answer)) => return self.pass_on(admitted.noted, *answer),
                Err(failure) => return self.fail(&failure),
            }
        }
        self.hold(parts, admitted, proven).await
    }

    /// Has the ledger hold what the map will use, and sends. `proven` says that Karbor has seen the token.
    async fn hold(mut self, parts: Parts, mut admitted: Admitted, proven: bool) -> Response<AnswerBody> {
        let draft = admitted.draft.take();
        if !proven && draft.as_ref().is_some_and(Draft::has_map) {
            self.exchange.hands_over();
            match Box::pin(prove(&self.proxy, &parts.headers, &self.tenant)).await {
                Ok(Proof::Accepted) => self.exchange.takes_back(),
                Ok(Proof::Answer(answer)) => return self.pass_on(admitted.noted, *answer),
                Err(failure) => return self.fail(&failure),
            }
        }
        let lasting = request_id::lasting(self.exchange.lineage(), &self.request_id);
        match keep::reserve(&self.proxy, &self.subject, &lasting, draft).await {
            Ok((hold, over)) => {
                self.exchange.notes(over.clone());
                admitted.noted.absorb(over);
                self.send(parts, admitted, hold).await
            }
            Err(NotHeld::Over(mut violations)) => {
                violations.absorb(admitted.noted);
                respond::denial(self.exchange, violations, &self.request_id)
            }
            Err(NotHeld::Down) => respond::refusal(self.exchange, Refusal::Ledger, &self.request_id),
        }
    }

    async fn send(mut self, mut parts: Parts, admitted: Admitted, mut hold: Hold) -> Response<AnswerBody> {
        let Admitted { body, as_json, noted, share, .. } = admitted;
        if as_json {
            let json = HeaderValue::from_static("application/json");
            parts.headers.insert(header::CONTENT_TYPE, json);
            parts.headers.remove(header::CONTENT_ENCODING);
        }
        if self.proxy.ledger.is_some() {
            ask_for_readable(&mut parts.headers);
        }
        let warning = respond::warning(&noted, self.proxy.options.enforced_from.as_deref());
        let token =
            self.proxy.ledger.as_ref().and_then(|_| self.proxy.proofs.digest(&parts.headers, &self.tenant));
        self.exchange.dispatched();
        hold.dispatched();
        let request = Request::from_parts(parts, body);
        let sent = forward::send(&self.proxy, request).await;
        drop(share);
        let mut answer = match sent {
            Ok(answer) => self.settle(hold, answer, token).await,
            Err(failure) => {
                let fate = if failure.was_sent() { Fate::Unknown } else { Fate::Refused };
                hold.settle(&self.proxy, &mut self.exchange, &self.subject, fate).await;
                self.fail(&failure)
            }
        };
        respond::add_warning(&mut answer, warning);
        answer
    }

    /// Settles with the ledger by Karbor's answer, and puts the map into it.
    async fn settle(
        mut self,
        hold: Hold,
        answer: Answer<RequestBody>,
        token: Option<Digest>,
    ) -> Response<AnswerBody> {
        let status = answer.response.status();
        match token {
            Some(token) if status == StatusCode::OK => self.proxy.proofs.add(token),
            Some(token) if status == StatusCode::UNAUTHORIZED => self.proxy.proofs.remove(token),
            _ => {}
        }
        let tells = status.is_success() || (hold.is_held() && status == StatusCode::BAD_REQUEST);
        if !tells {
            let fate = keep::fate(status, &[], None);
            hold.settle(&self.proxy, &mut self.exchange, &self.subject, fate).await;
            return forward::stream(&self.proxy, self.exchange, answer);
        }
        let Answer { response, lease } = answer;
        let (mut parts, incoming) = response.into_parts();
        forward::note_answer(&mut self.exchange, &mut parts, &lease);
        let body = match forward::read_whole(&self.proxy, incoming, lease).await {
            Ok(body) => body,
            Err(failure) => {
                hold.settle(&self.proxy, &mut self.exchange, &self.subject, Fate::Unknown).await;
                return self.fail(&failure);
            }
        };
        self.exchange.came_whole(body.len() as u64);
        let made = created_checkpoint(&body);
        let fate = keep::fate(status, &body, made.as_ref());
        let map = hold.settle(&self.proxy, &mut self.exchange, &self.subject, fate).await;
        let body = match &map {
            Some(map) => fill::created(&mut self.exchange, body, map),
            None => body,
        };
        if let Some(made) = made.filter(|_| status.is_success()) {
            self.exchange.names_checkpoint(made);
        }
        let unkept = self.exchange.is_kept() == Some(false);
        let mut answer = forward::whole(self.exchange, parts, body);
        respond::add_warning(&mut answer, unkept.then_some(respond::UNKEPT));
        answer
    }

    /// What Karbor said before anything was created. Whatever the status: without a token, noauth answers 204.
    fn pass_on(mut self, noted: Violations, answer: Answer<RequestBody>) -> Response<AnswerBody> {
        let warning = respond::warning(&noted, self.proxy.options.enforced_from.as_deref());
        self.exchange.admitted(None, noted);
        let mut answer = forward::stream(&self.proxy, self.exchange, answer);
        respond::add_warning(&mut answer, warning);
        answer
    }

    fn fail(self, failure: &Failure) -> Response<AnswerBody> {
        forward::fail(&self.proxy, self.exchange, failure, &Method::POST, &self.request_id)
    }
}

/// The path of a creation at `provider`. Its parts are canonical segments, so it is one too.
fn creation_of(proxy: &Proxy, tenant: &str, provider: &ProviderId) -> Uri {
    let path = format!("{}/v1/{tenant}/providers/{provider}/checkpoints", proxy.options.path_prefix);
    PathAndQuery::try_from(path).map(Uri::from).unwrap_or_default()
}
