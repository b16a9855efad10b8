//! An admitted creation under way: hold, send, settle.
//!
//! Leaves the review to `create`, and what the ledger is told to `keep`.

use std::rc::Rc;

use http::header::{self, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Response, StatusCode, Uri};

use super::budget::{Seat, Share};
use super::keep::{self, Draft, Fate, Hold, NotHeld};
use super::plan::{self, Provider};
use super::proof::{Digest, Proof, prove};
use super::read::ask_for_readable;
use super::{AnswerBody, Proxy, RequestBody, fill, forward, request_id, respond};
use crate::karbor::ProviderId;
use crate::karbor::answer::created_checkpoint;
use crate::karbor::request_id::RequestId;
use crate::policy::Violations;
use crate::telemetry::exchange::{Exchange, Subject};
use crate::upstream::{Answer, Failure, Head, Outgoing};
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
    pub(super) exchange: Box<Exchange>,
    /// As it stands in the path.
    pub(super) tenant: Box<str>,
    pub(super) subject: Rc<Subject>,
    pub(super) request_id: RequestId,
    /// Kept to its end, whether its client is there or not.
    pub(super) _seat: Seat,
}

/// What ends a creation before it is sent.
enum End {
    /// Karbor's answer to a question of ours.
    Answer(Box<Answer>),
    /// Karbor gave no answer to it.
    Failure(Failure),
    /// What the ledger says.
    NotHeld(NotHeld),
}

impl Order {
    /// Carries it out. `head` is on its way to Karbor already.
    ///
    /// What is awaited borrows the order: handed on by value, each step would carry it, and be moved with it.
    pub(super) async fn carry_out(mut self, mut head: Head, mut admitted: Admitted) -> Response<AnswerBody> {
        let mut hold = match self.prepare(&mut head, &mut admitted).await {
            Ok(hold) => hold,
            Err(end) => return self.end(end, admitted.noted),
        };
        let Admitted { body, as_json, noted, share, .. } = admitted;
        if as_json {
            let json = HeaderValue::from_static("application/json");
            if head.headers.get(header::CONTENT_TYPE) != Some(&json) {
                head.headers.insert(header::CONTENT_TYPE, json);
            }
            head.headers.remove(header::CONTENT_ENCODING);
        }
        if self.proxy.ledger.is_some() {
            ask_for_readable(&mut head.headers);
        }
        let warning = respond::warning(&noted, self.proxy.options.enforced_from.as_deref());
        let token =
            self.proxy.ledger.as_ref().and_then(|_| self.proxy.proofs.digest(&head.headers, &self.tenant));
        self.exchange.dispatched();
        hold.dispatched();
        let request = Outgoing::of(&head, body);
        drop(head);
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

    /// Asks for what is missing, and has the ledger hold what the map will use. The questions are in boxes: most
    /// creations ask none, and would carry their size about.
    async fn prepare(&mut self, head: &mut Head, admitted: &mut Admitted) -> Result<Hold, End> {
        let plan = admitted.plan.take();
        // Karbor has seen the token then.
        let proven = plan.is_some();
        if let Some(plan) = plan {
            self.exchange.hands_over();
            match Box::pin(plan::provider_of(&self.proxy, head, &self.tenant, &plan)).await {
                Ok(Provider::Found(provider)) => {
                    self.exchange.takes_back();
                    head.uri = creation_of(&self.proxy, &self.tenant, &provider);
                    Rc::make_mut(&mut self.subject).provider = Some(provider.clone());
                    self.exchange.names_provider(provider);
                }
                Ok(Provider::Answer(answer)) => return Err(End::Answer(answer)),
                Err(failure) => return Err(End::Failure(failure)),
            }
        }
        let draft = admitted.draft.take();
        if !proven && draft.as_ref().is_some_and(Draft::has_map) {
            self.exchange.hands_over();
            match Box::pin(prove(&self.proxy, head, &self.tenant)).await {
                Ok(Proof::Accepted) => self.exchange.takes_back(),
                Ok(Proof::Answer(answer)) => return Err(End::Answer(answer)),
                Err(failure) => return Err(End::Failure(failure)),
            }
        }
        let lasting = request_id::lasting(self.exchange.lineage(), self.request_id);
        let reserved = keep::reserve(&self.proxy, &self.subject, lasting, draft).await;
        let (hold, over) = reserved.map_err(End::NotHeld)?;
        self.exchange.notes(over.clone());
        admitted.noted.absorb(over);
        Ok(hold)
    }

    fn end(self, end: End, noted: Violations) -> Response<AnswerBody> {
        match end {
            End::Answer(answer) => self.pass_on(noted, *answer),
            End::Failure(failure) => self.fail(&failure),
            End::NotHeld(NotHeld::Over(mut violations)) => {
                violations.absorb(noted);
                respond::denial(self.exchange, violations, self.request_id)
            }
            End::NotHeld(NotHeld::Down) => respond::refusal(self.exchange, Refusal::Ledger, self.request_id),
        }
    }

    /// Settles with the ledger by Karbor's answer, and puts the map into it.
    async fn settle(mut self, hold: Hold, answer: Answer, token: Option<Digest>) -> Response<AnswerBody> {
        let status = answer.status();
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
        let (parts, incoming) = forward::note_answer(&mut self.exchange, answer);
        let body = match forward::read_whole(&self.proxy, incoming).await {
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
    fn pass_on(mut self, noted: Violations, answer: Answer) -> Response<AnswerBody> {
        let warning = respond::warning(&noted, self.proxy.options.enforced_from.as_deref());
        self.exchange.admitted(None, noted);
        let mut answer = forward::stream(&self.proxy, self.exchange, answer);
        respond::add_warning(&mut answer, warning);
        answer
    }

    fn fail(self, failure: &Failure) -> Response<AnswerBody> {
        forward::fail(&self.proxy, self.exchange, failure, &Method::POST, self.request_id)
    }
}

/// The path of a creation at `provider`. Its parts are canonical segments, so it is one too.
fn creation_of(proxy: &Proxy, tenant: &str, provider: &ProviderId) -> Uri {
    let path = format!("{}/v1/{tenant}/providers/{provider}/checkpoints", proxy.options.path_prefix);
    PathAndQuery::try_from(path).map(Uri::from).unwrap_or_default()
}
