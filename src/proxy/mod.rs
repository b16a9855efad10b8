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
mod open;
mod order;
mod ours;
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
use http::Response;
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use hyper::body::Incoming;

pub use body::{AnswerBody, BodyFault, RequestBody};
pub use budget::Budget;
pub use front::Front;
pub use ledger_use::{LedgerUse, WhenDown};
pub use peer::Peer;

use body::Pace;
use caller::Caller;
use headers::Identity;
use open::{Care, Case, Opened, Task};
use proof::Proofs;

use crate::drain::Trigger;
use crate::karbor::target::Target;
use crate::ledger::Ledger;
use crate::policy::Policy;
use crate::telemetry::exchange::{Desk, Exchange};
use crate::telemetry::log::Throttle;
use crate::upstream::{Upstream, give_way};

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
    /// Headers that Karbor's own middleware sets, and no client may: taken from every request.
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
    identity: Identity,
    policy: Arc<Policy>,
    budget: Budget,
    upstream: Rc<Upstream>,
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
    pub upstream: Rc<Upstream>,
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
    pub fn under(&self, terms: Terms, upstream: Rc<Upstream>) -> Rc<Self> {
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
    pub fn upstream(&self) -> Rc<Upstream> {
        self.upstream.clone()
    }

    fn with(terms: Terms, neighbours: Neighbours, proofs: Rc<Proofs>) -> Rc<Self> {
        let Terms { policy, options, stall_timeout } = terms;
        let Neighbours { budget, upstream, ledger, desk, drain } = neighbours;
        Rc::new(Self {
            identity: Identity::of(&options.identity_headers),
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

    async fn answer(self: Rc<Self>, peer: Rc<Peer>, opened: Opened) -> Response<AnswerBody> {
        let Opened { exchange, is_head, breaks_on_retry_after, task } = opened;
        let is_waited_for = task.waits();
        let mut answer = match task {
            Task::Pass(caller, request) => forward::pass(&self, exchange, caller, request).await,
            Task::Refuse(refusal, request_id) => respond::refusal(exchange, refusal, request_id),
            // Rarer, and larger: in boxes.
            Task::Tend(given, work) => {
                let (care, target) = *work;
                Box::pin(self.tend(exchange, peer, given.parts, given.body, (care, target))).await
            }
            Task::Create(creation, body) => create::create(self, exchange, peer, creation, body).await,
            Task::Write(given, work) => {
                let (write, case) = *work;
                Box::pin(update::update(self, exchange, peer, given.parts, given.body, write, case)).await
            }
        };
        if is_waited_for {
            // What costs time is done: the answers of many are sent one right after the other.
            give_way().await;
        }
        if is_head && let Some(bytes) = answer.body_mut().leave_out() {
            answer.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
        }
        if breaks_on_retry_after {
            respond::leave_out_wait(&mut answer);
        }
        answer
    }

    /// Answers what the ledger has a part in.
    async fn tend(
        self: Rc<Self>,
        mut exchange: Box<Exchange>,
        peer: Rc<Peer>,
        parts: Parts,
        body: Incoming,
        (care, target): (Care, Target),
    ) -> Response<AnswerBody> {
        match care {
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
                exchange.judge(request_id, parts.method.as_str(), Some(place.subject(&self)));
                respond::filter(exchange, error, request_id)
            }
            Care::After(deed, place) => {
                after::carry_out(self, exchange, peer, parts, target, body, (deed, place)).await
            }
            Care::Limits(tenant) => limits::limits(&self, exchange, &peer, parts, target, &tenant).await,
        }
    }
}
