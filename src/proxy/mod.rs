//! One HTTP exchange: classify, review, forward, answer.
//!
//! One `Proxy` for each worker. Leaves connections to `server`, rules to `policy`, the record to
//! `telemetry::exchange`.

mod after;
mod body;
mod budget;
mod caller;
mod cause;
mod collect;
mod create;
mod fill;
mod forward;
mod front;
mod headers;
mod keep;
mod ledger_use;
mod limits;
mod lineage;
mod order;
mod owed;
mod peer;
mod plan;
mod proof;
mod question;
mod read;
mod request_id;
mod respond;
mod review;
mod search;
#[cfg(test)]
mod tests;
mod update;

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response};
use hyper::body::Incoming;

pub use body::{AnswerBody, BodyFault, RequestBody};
pub use budget::Budget;
pub use front::Front;
pub use ledger_use::{LedgerUse, WhenDown};
pub use peer::Peer;

use after::Deed;
use body::Pace;
use caller::Caller;
use create::Creation;
use proof::Proofs;
use read::Place;
use update::Write;

use crate::drain::Trigger;
use crate::karbor::filter::{FilterError, ListQuery, read_query};
use crate::karbor::route::Route;
use crate::karbor::target::Target;
use crate::ledger::Ledger;
use crate::policy::Policy;
use crate::telemetry::exchange::{Desk, Exchange, Subject};
use crate::telemetry::log::Throttle;
use crate::upstream::Upstream;
use crate::wire::Refusal;

/// A range of addresses: an address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// The address.
    pub address: IpAddr,
    /// Leading bits that count; 0 to 32 or 128.
    pub bits: u8,
}

/// Whom the proxy trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustedPeer {
    /// Whoever connects from one of these addresses.
    Range(AddressRange),
    /// Whoever connects by a unix socket.
    Unix,
}

/// Under which name an admitted map is sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtraInfoField {
    /// `extra-info`: Karbor 1.0 and later; the very bytes that were reviewed.
    Hyphen,
    /// `extra_info`: Karbor before 1.0 (facts, section 12); the body is written anew.
    Underscore,
}

/// What the proxy is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyOptions {
    /// What stands before `/v1`; empty, or `/` and segments without a slash at the end.
    pub path_prefix: Box<str>,
    /// Whether the specification's short form is offered.
    pub short_form: bool,
    /// Under which name an admitted map is sent on.
    pub extra_info_field: ExtraInfoField,
    /// For the whole of a body that is reviewed.
    pub body_timeout: Duration,
    /// Bytes a second that a streamed body must bring while we wait for it; 0 for any.
    pub min_body_rate: u64,
    /// Bytes of all bodies under review together, all workers.
    pub body_budget_bytes: u64,
    /// Requests that take memory, reviewed or filled, at once in all workers.
    pub max_requests: u64,
    /// Headers that Karbor's own middleware sets, and no client may: taken from every request. In the order
    /// of their text.
    pub identity_headers: Vec<HeaderName>,
    /// Peers whose forwarding headers are passed on.
    pub trusted_peers: Vec<TrustedPeer>,
    /// The date in the `Warning` header from which warned rules will be enforced, `YYYY-MM-DD`.
    pub enforced_from: Option<Box<str>>,
    /// How the ledger is used, where there is one.
    pub ledger: LedgerUse,
}

/// What a request is answered by, from its beginning to its end. A reload makes another one.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The policy in force.
    pub policy: Arc<Policy>,
    /// What the proxy is told.
    pub options: Rc<ProxyOptions>,
    /// Bounds a body that makes no progress.
    pub stall_timeout: Duration,
}

/// What one worker needs to answer requests, under terms that do not change.
#[derive(Debug)]
pub struct Proxy {
    options: Rc<ProxyOptions>,
    policy: Arc<Policy>,
    budget: Budget,
    upstream: Rc<Upstream<RequestBody>>,
    stall_timeout: Duration,
    desk: Rc<Desk>,
    drain: Trigger,
    failures: Throttle,
    /// None where there is no memory.
    ledger: Option<Ledger>,
    ledger_failures: Throttle,
    proofs: Rc<Proofs>,
}

/// What one worker's proxy works with.
#[derive(Debug)]
pub struct Neighbours {
    /// The memory for bodies, of all workers.
    pub budget: Budget,
    /// The way to Karbor.
    pub upstream: Rc<Upstream<RequestBody>>,
    /// What was admitted; none to do without.
    pub ledger: Option<Ledger>,
    /// Where what happens is written down.
    pub desk: Rc<Desk>,
    /// What is under way holds up the shutdown with watchers of it.
    pub drain: Trigger,
}

impl Proxy {
    /// A proxy for one worker.
    #[must_use]
    pub fn new(terms: Terms, neighbours: Neighbours) -> Rc<Self> {
        let proofs = Rc::new(Proofs::lasting(terms.options.ledger.proof));
        Self::with(terms, neighbours, proofs)
    }

    /// The same worker's proxy under other terms, by way of `upstream`. Tokens that Karbor accepted stay accepted.
    #[must_use]
    pub fn under(&self, terms: Terms, upstream: Rc<Upstream<RequestBody>>) -> Rc<Self> {
        self.proofs.last(terms.options.ledger.proof);
        let neighbours = Neighbours {
            budget: self.budget.clone(),
            upstream,
            ledger: self.ledger.clone(),
            desk: self.desk.clone(),
            drain: self.drain.clone(),
        };
        Self::with(terms, neighbours, self.proofs.clone())
    }

    /// Its way to Karbor.
    #[must_use]
    pub fn upstream(&self) -> Rc<Upstream<RequestBody>> {
        self.upstream.clone()
    }

    fn with(terms: Terms, neighbours: Neighbours, proofs: Rc<Proofs>) -> Rc<Self> {
        let Terms { policy, options, stall_timeout } = terms;
        let Neighbours { budget, upstream, ledger, desk, drain } = neighbours;
        Rc::new(Self {
            options,
            policy,
            budget,
            upstream,
            stall_timeout,
            desk,
            drain,
            failures: Throttle::default(),
            ledger,
            ledger_failures: Throttle::default(),
            proofs,
        })
    }

    fn pace(&self) -> Pace {
        Pace { stall_timeout: self.stall_timeout, bytes_a_second: self.options.min_body_rate }
    }

    /// A body that is sent on as it comes, after what was already read of it.
    fn stream(&self, prefix: Bytes, rest: Incoming) -> RequestBody {
        let prefix = Some(prefix).filter(|prefix| !prefix.is_empty());
        RequestBody::stream(prefix, rest, self.pace(), self.desk.metrics.clone())
    }

    /// Opens the record and says what is to be done. Not async: hyper may drop an answer's future without
    /// ever polling it, and the record must stand before that.
    fn open(&self, peer: &Peer, request: Request<Incoming>) -> Opened {
        peer.stay.begin();
        let lineage = lineage::of(request.headers());
        let mut exchange =
            Exchange::open(self.desk.clone(), &peer.client, request.method().as_str(), lineage);
        let (mut parts, body) = request.into_parts();
        lineage::hand_on(&mut parts.headers, &exchange);
        let target =
            match headers::check(&parts.headers).and_then(|()| Target::of(std::mem::take(&mut parts.uri))) {
                Ok(target) => target,
                Err(refusal) => {
                    let request_id = request_id::fresh();
                    exchange.judge(&request_id, parts.method.as_str(), None);
                    return Opened { exchange, parts, body, task: Task::Refuse(refusal, request_id) };
                }
            };
        let route = Route::of(&parts.method, &target, &self.options.path_prefix);
        exchange.routed(route.kind());
        exchange.asks_for(target.path());
        let judged = match route {
            Route::Create(at) => Judged::Creation(Creation::at(at.tenant, Some(at.provider))),
            Route::CreateShort { tenant } if self.options.short_form => {
                Judged::Creation(Creation::at(tenant, None))
            }
            Route::Update(member) => Judged::Write(Write::to(member, false)),
            Route::ExtraInfoWrite(member) => Judged::Write(Write::to(member, true)),
            other => {
                let task = Task::Tend(self.unjudged(other, &target), target);
                return Opened { exchange, parts, body, task };
            }
        };
        if matches!(judged, Judged::Creation(_)) {
            // Now, as its client may have closed its side together with the last byte.
            peer.stay.owe();
        }
        let request_id = request_id::fresh();
        let subject = judged.subject(self.policy.clone());
        exchange.judge(&request_id, parts.method.as_str(), Some(subject.clone()));
        let case = Case { target, request_id, subject };
        Opened { exchange, parts, body, task: Task::Judge(judged, case) }
    }

    /// What is done with a request that no rule is about. Without a ledger it passes.
    fn unjudged(&self, route: Route<'_>, target: &Target) -> Care {
        match route {
            Route::Limits { tenant } => Care::Limits(tenant.into()),
            _ if self.ledger.is_none() => Care::Pass,
            Route::Show(member) => Care::Read(Place::member(member)),
            Route::List(collection) => match read_query(target.path_and_query().query()) {
                Ok(None) => Care::Read(Place::of(collection)),
                Ok(Some(query)) => Care::Search(query, Place::of(collection)),
                Err(error) => Care::Malformed(error, Place::of(collection)),
            },
            Route::Delete(member) => Care::After(Deed::Delete, Place::member(member)),
            Route::Copy(collection) => Care::After(Deed::Copy, Place::of(collection)),
            _ => Care::Pass,
        }
    }

    async fn answer(self: Rc<Self>, peer: Rc<Peer>, opened: Opened) -> Response<AnswerBody> {
        let Opened { exchange, parts, body, task } = opened;
        let is_head = parts.method == Method::HEAD;
        let breaks_on_retry_after = respond::breaks_on_retry_after(&parts.headers);
        let mut answer = match task {
            Task::Tend(Care::Pass, target) => {
                forward::pass(&self, exchange, &peer, parts, target, body).await
            }
            Task::Tend(care, target) => {
                Box::pin(self.tend(exchange, peer, parts, body, (care, target))).await
            }
            Task::Refuse(refusal, request_id) => respond::refusal(exchange, refusal, &request_id),
            Task::Judge(Judged::Creation(creation), case) => {
                Box::pin(create::create(self, exchange, peer, parts, body, creation, case)).await
            }
            Task::Judge(Judged::Write(write), case) => {
                Box::pin(update::update(self, exchange, peer, parts, body, write, case)).await
            }
        };
        if is_head && let Some(bytes) = answer.body_mut().leave_out() {
            answer.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
        }
        if breaks_on_retry_after {
            respond::leave_out_wait(&mut answer);
        }
        answer
    }
}

impl Proxy {
    /// Answers what the ledger has a part in.
    async fn tend(
        self: Rc<Self>,
        mut exchange: Exchange,
        peer: Rc<Peer>,
        parts: Parts,
        body: Incoming,
        (care, target): (Care, Target),
    ) -> Response<AnswerBody> {
        match care {
            Care::Pass => forward::pass(&self, exchange, &peer, parts, target, body).await,
            Care::Read(place) => match self.budget.seat() {
                Some(_seat) => read::read(&self, exchange, &peer, parts, target, body, place).await,
                None => read::put_off(&self, exchange, &Caller::of(&parts), &place),
            },
            Care::Search(query, place) => match self.budget.seat() {
                Some(_seat) => search::search(&self, exchange, &peer, parts, target, (query, place)).await,
                None => read::put_off(&self, exchange, &Caller::of(&parts), &place),
            },
            Care::Malformed(error, place) => {
                let request_id = request_id::fresh();
                exchange.judge(&request_id, parts.method.as_str(), Some(place.subject(&self)));
                respond::filter(exchange, error, &request_id)
            }
            Care::After(deed, place) => {
                after::carry_out(self, exchange, peer, parts, target, body, (deed, place)).await
            }
            Care::Limits(tenant) => limits::limits(&self, exchange, &peer, parts, target, &tenant).await,
        }
    }
}

/// A request with its record, and what is to be done with it.
struct Opened {
    exchange: Exchange,
    parts: Parts,
    body: Incoming,
    task: Task,
}

enum Task {
    Tend(Care, Target),
    Refuse(Refusal, String),
    Judge(Judged, Case),
}

/// What a request that is not judged needs beside being forwarded.
enum Care {
    Pass,
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

/// A request that is judged, with what its path says.
enum Judged {
    Creation(Creation),
    Write(Write),
}

impl Judged {
    fn subject(&self, policy: Arc<Policy>) -> Subject {
        match self {
            Self::Creation(creation) => creation.subject(policy),
            Self::Write(write) => write.subject(policy),
        }
    }
}

/// What judging needs beside the request.
struct Case {
    target: Target,
    request_id: String,
    subject: Subject,
}
