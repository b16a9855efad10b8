//! What is to be done with a request, found out before anything is waited for.
//!
//! Leaves doing it to `Proxy::answer`.

use std::rc::Rc;

use http::request::Parts;
use http::{Method, Request};
use hyper::body::Incoming;

use super::after::Deed;
use super::caller::Caller;
use super::create::{self, Creation};
use super::peer::Peer;
use super::read::Place;
use super::update::Write;
use super::{Proxy, RequestBody, forward, headers, lineage, request_id, respond};
use crate::karbor::filter::{FilterError, ListQuery, read_query};
use crate::karbor::request_id::RequestId;
use crate::karbor::route::Route;
use crate::karbor::target::Target;
use crate::telemetry::exchange::{Exchange, Subject};
use crate::upstream::Outgoing;
use crate::wire::Refusal;

impl Proxy {
    /// Opens the record and says what is to be done. Not async: hyper may drop an answer's future without
    /// ever polling it, and the record must stand before that.
    pub(super) fn open(&self, peer: &Peer, request: Request<Incoming>) -> Opened {
        peer.stay.begin();
        let lineage = lineage::of(request.headers());
        let mut exchange =
            Exchange::open(self.desk.clone(), &peer.client, request.method().as_str(), lineage);
        let (mut parts, body) = request.into_parts();
        lineage::hand_on(&mut parts.headers, &exchange);
        let is_head = parts.method == Method::HEAD;
        let breaks_on_retry_after = respond::breaks_on_retry_after(&parts.headers);
        let target = headers::check(&parts.headers).and_then(|()| Target::of(std::mem::take(&mut parts.uri)));
        let task = match target {
            Ok(target) => self.plan(peer, &mut exchange, target, Given { parts, body }),
            Err(refusal) => {
                let request_id = request_id::fresh();
                exchange.judge(request_id, parts.method.as_str(), None);
                Task::Refuse(refusal, request_id)
            }
        };
        Opened { exchange, is_head, breaks_on_retry_after, task }
    }

    fn plan(&self, peer: &Peer, exchange: &mut Exchange, target: Target, given: Given) -> Task {
        let route = Route::of(&given.parts.method, &target, &self.options.path_prefix);
        exchange.routed(route.kind());
        exchange.asks_for(target.path());
        match route {
            Route::Create(at) => {
                let subject = create::subject(at.tenant, Some(at.provider), self.policy.clone());
                self.creation(peer, exchange, (at.tenant.into(), subject), target, given)
            }
            Route::CreateShort { tenant } if self.options.short_form => {
                let subject = create::subject(tenant, None, self.policy.clone());
                self.creation(peer, exchange, (tenant.into(), subject), target, given)
            }
            Route::Update(member) => self.write(exchange, Write::to(member, false), target, given),
            Route::ExtraInfoWrite(member) => self.write(exchange, Write::to(member, true), target, given),
            other => match self.unjudged(other, &target) {
                Some(care) => Task::Tend(Box::new(given), Box::new((care, target))),
                None => {
                    let caller = Caller::of(&given.parts);
                    Task::Pass(caller, forward::outgoing(self, peer, given.parts, target, given.body))
                }
            },
        }
    }

    fn creation(
        &self,
        peer: &Peer,
        exchange: &mut Exchange,
        (tenant, subject): (Box<str>, Rc<Subject>),
        target: Target,
        given: Given,
    ) -> Task {
        // Now, as its client may have closed its side together with the last byte.
        peer.stay.owe();
        let case = Case::of(exchange, &given, target, subject);
        Task::Create(Box::new(Creation { parts: given.parts, case, tenant }), given.body)
    }

    fn write(&self, exchange: &mut Exchange, write: Write, target: Target, given: Given) -> Task {
        let case = Case::of(exchange, &given, target, write.subject(self.policy.clone()));
        Task::Write(Box::new(given), Box::new((write, case)))
    }

    /// What a request that no rule is about needs, if anything. Without a ledger it passes.
    fn unjudged(&self, route: Route<'_>, target: &Target) -> Option<Care> {
        Some(match route {
            Route::Limits { tenant } => Care::Limits(tenant.into()),
            _ if self.ledger.is_none() => return None,
            Route::Show(member) => Care::Read(Place::member(member)),
            Route::List(collection) => match read_query(target.path_and_query().query()) {
                Ok(None) => Care::Read(Place::of(collection)),
                Ok(Some(query)) => Care::Search(query, Place::of(collection)),
                Err(error) => Care::Malformed(error, Place::of(collection)),
            },
            Route::Delete(member) => Care::After(Deed::Delete, Place::member(member)),
            Route::Copy(collection) => Care::After(Deed::Copy, Place::of(collection)),
            _ => return None,
        })
    }
}

/// A request with its record, and what is to be done with it.
pub(super) struct Opened {
    pub(super) exchange: Box<Exchange>,
    pub(super) is_head: bool,
    pub(super) breaks_on_retry_after: bool,
    pub(super) task: Task,
}

pub(super) enum Task {
    /// Sending it on, and its answer back, as they are.
    Pass(Caller, Box<Outgoing<RequestBody>>),
    Refuse(Refusal, RequestId),
    Tend(Box<Given>, Box<(Care, Target)>),
    Create(Box<Creation>, Incoming),
    Write(Box<Given>, Box<(Write, Case)>),
}

impl Task {
    /// Whether something is waited for. An answer that is there at once is sent at once: its client may close its side
    /// meanwhile.
    pub(super) fn waits(&self) -> bool {
        match self {
            Self::Pass(..) | Self::Create(..) => true,
            Self::Tend(_, work) => !matches!(work.0, Care::Malformed(..)),
            Self::Refuse(..) | Self::Write(..) => false,
        }
    }
}

/// A request as it came, its target apart.
pub(super) struct Given {
    pub(super) parts: Parts,
    pub(super) body: Incoming,
}

/// What a request that is not judged needs beside being forwarded.
pub(super) enum Care {
    /// The kept maps, in the answer to a show or a list.
    Read(Place),
    /// The kept maps, and only those checkpoints that match.
    Search(ListQuery, Place),
    /// A filter that cannot be understood.
    Malformed(FilterError, Place),
    /// The ledger learns what Karbor carried out.
    After(Deed, Place),
    /// Ours alone: what this tenant may store, and how much of it is used.
    Limits(Box<str>),
}

/// What judging needs beside the request.
pub(super) struct Case {
    pub(super) target: Target,
    pub(super) request_id: RequestId,
    pub(super) subject: Rc<Subject>,
}

impl Case {
    /// From here on there will be an audit line.
    fn of(exchange: &mut Exchange, given: &Given, target: Target, subject: Rc<Subject>) -> Self {
        let request_id = request_id::fresh();
        exchange.judge(request_id, given.parts.method.as_str(), Some(subject.clone()));
        Self { target, request_id, subject }
    }
}
