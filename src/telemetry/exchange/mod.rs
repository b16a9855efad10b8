//! One record per request: one count, and one audit line if it was judged or refused. Always.
//!
//! Whoever holds the record tells it what happens; when it is dropped, it is written. So a client that
//! leaves, or a task that ends badly, leaves a trace like any other. Decides nothing.

mod lineage;
#[cfg_attr(not(feature = "otlp"), path = "unrecorded.rs")]
mod recording;
mod writing;

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

pub use lineage::Lineage;
use recording::Recording;

use super::audit::AuditLog;
use super::metrics::{Direction, MethodClass, Side, UpstreamFailure, WorkerMetrics};
use super::spans::Spans;
use crate::karbor::request_id::RequestId;
use crate::karbor::route::RouteKind;
use crate::karbor::{CheckpointId, ProviderId, TenantId};
use crate::policy::{Charge, Policy, Violations};
use crate::wire::{Origin, Refusal, TraceParent};

/// Where the exchanges of one worker are written down.
pub struct Desk {
    /// Its metrics.
    pub metrics: Rc<WorkerMetrics>,
    /// The audit log.
    pub audit: AuditLog,
    /// The spans.
    pub spans: Spans,
    /// Set when the drain is over and what is left is cut: from then on no client leaves by itself.
    pub cut: Arc<AtomicBool>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

/// Who sends requests, as far as the connection says.
#[derive(Clone, Debug)]
pub struct Client {
    /// Where it comes from.
    pub origin: Origin,
    /// Whether the connection is encrypted.
    pub secure: bool,
    /// The subject of the certificate that it showed, and that was verified.
    pub certificate: Option<Rc<str>>,
}

/// The record of one request.
#[derive(Debug)]
pub struct Exchange {
    desk: Rc<Desk>,
    peer: Origin,
    certificate: Option<Rc<str>>,
    lineage: Lineage,
    recording: Recording,
    method: MethodClass,
    route: Option<RouteKind>,
    started: Instant,
    /// Time spent waiting for the client, or for what Karbor was asked first.
    waited: Duration,
    handed_over: Option<Instant>,
    /// Whether Karbor may have seen a part of the request.
    reached_karbor: bool,
    answered: Option<Instant>,
    /// When what we read of Karbor's answer ourselves was there.
    read: Option<Instant>,
    /// Bytes of answers that were read whole; none where they went on as they came.
    received: Option<u64>,
    course: Course,
    status: Option<u16>,
    upstream_status: Option<u16>,
    sent: u64,
    client_left: bool,
    judged: Option<Box<Judged>>,
}

/// How far an exchange has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Open,
    Refused(Refusal),
    Denied,
    Dispatched,
    Answered,
    Failed { outcome_unknown: bool },
}

/// What the audit line says beside what every record has.
#[derive(Debug)]
struct Judged {
    request_id: RequestId,
    method: Box<str>,
    subject: Option<Rc<Subject>>,
    checkpoint: Option<CheckpointId>,
    violations: Violations,
    charge: Option<Charge>,
    kept: Option<bool>,
    restored: u64,
    altered: u64,
    /// Whether the request itself was judged, and not only Karbor's answer looked at.
    reviewed: bool,
}

/// Whose request it is, and which policy judges it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Who is charged.
    pub tenant: TenantId,
    /// From the path or the plan.
    pub provider: Option<ProviderId>,
    /// The policy that judges it.
    pub policy: Arc<Policy>,
}

impl Exchange {
    /// A request has begun. In a box, because the record is moved often, and large.
    #[must_use]
    pub fn open(desk: Rc<Desk>, client: &Client, method: &str, lineage: Lineage) -> Box<Self> {
        desk.metrics.in_flight_started();
        let recording = Recording::begin(&desk, client, method, &lineage);
        Box::new(Self {
            desk,
            peer: client.origin,
            certificate: client.certificate.clone(),
            lineage,
            recording,
            method: MethodClass::of(method),
            route: None,
            started: Instant::now(),
            waited: Duration::ZERO,
            handed_over: None,
            reached_karbor: false,
            answered: None,
            read: None,
            received: None,
            course: Course::Open,
            status: None,
            upstream_status: None,
            sent: 0,
            client_left: false,
            judged: None,
        })
    }

    /// What it is part of.
    #[must_use]
    pub const fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// What it is recorded as; none if it is not. Karbor is asked as that.
    #[must_use]
    pub fn recorded_as(&self) -> Option<TraceParent> {
        self.recording.context()
    }

    /// It asks for this: a canonical path, without the query.
    pub fn asks_for(&mut self, path: &str) {
        self.recording.asks_for(path);
    }

    /// What Karbor would make of it is known.
    pub fn routed(&mut self, route: RouteKind) {
        self.route = Some(route);
    }

    /// From here on there will be an audit line. Without a subject for what is refused before it is routed.
    pub fn judge(&mut self, request_id: RequestId, method: &str, subject: Option<Rc<Subject>>) {
        self.judged = Some(Box::new(Judged {
            request_id,
            method: method.into(),
            subject,
            checkpoint: None,
            violations: Violations::default(),
            charge: None,
            kept: None,
            restored: 0,
            altered: 0,
            reviewed: true,
        }));
    }

    /// [`Exchange::judge`] for what turned out only while it was forwarded; nothing if that was called.
    pub fn judge_late(&mut self, request_id: RequestId, method: &str) {
        if self.judged.is_none() {
            self.judge(request_id, method, None);
        }
    }

    /// There will be an audit line for what stood in Karbor's answer; nothing if [`Exchange::judge`] was called.
    pub fn looks_at(&mut self, request_id: RequestId, method: &str, subject: Rc<Subject>) {
        if self.judged.is_none() {
            self.judge(request_id, method, Some(subject));
            if let Some(judged) = &mut self.judged {
                judged.reviewed = false;
            }
        }
    }

    /// Whether the ledger keeps the map that was admitted.
    pub fn keeps(&mut self, kept: bool) {
        if let Some(judged) = &mut self.judged {
            judged.kept = Some(kept);
        }
    }

    /// What [`Exchange::keeps`] was told.
    #[must_use]
    pub fn is_kept(&self) -> Option<bool> {
        self.judged.as_ref().and_then(|judged| judged.kept)
    }

    /// More was noted, after the review.
    pub fn notes(&mut self, more: Violations) {
        if let Some(judged) = &mut self.judged
            && !more.is_empty()
        {
            judged.violations.absorb(more);
        }
    }

    /// So many maps of the answer were put back, and so many set right.
    pub fn filled(&mut self, restored: u64, altered: u64) {
        self.desk.metrics.filled(restored, altered);
        if let Some(judged) = &mut self.judged {
            judged.restored = restored;
            judged.altered = altered;
        }
    }

    /// It cannot be reviewed with certainty. [`Exchange::judge`] comes first.
    pub fn refused(&mut self, refusal: Refusal) {
        self.course = Course::Refused(refusal);
    }

    /// It broke an enforced rule.
    pub fn denied(&mut self, violations: Violations) {
        self.course = Course::Denied;
        if let Some(judged) = &mut self.judged {
            judged.violations = violations;
            judged.charge = None;
        }
    }

    /// It may go on, in spite of what was noted.
    pub fn admitted(&mut self, charge: Option<Charge>, noted: Violations) {
        if let Some(judged) = &mut self.judged {
            judged.charge = charge;
            judged.violations = noted;
        }
    }

    /// The checkpoint is known: from the path, or Karbor's answer.
    pub fn names_checkpoint(&mut self, checkpoint: CheckpointId) {
        if let Some(judged) = &mut self.judged {
            judged.checkpoint = Some(checkpoint);
        }
    }

    /// The provider is known: from the plan.
    pub fn names_provider(&mut self, provider: ProviderId) {
        if let Some(subject) = self.judged.as_mut().and_then(|judged| judged.subject.as_mut()) {
            Rc::make_mut(subject).provider = Some(provider);
        }
    }

    /// Karbor may have given the request an id of its own; looked for where it will be written.
    pub fn names_request(&mut self, request_id: impl FnOnce() -> Option<RequestId>) {
        if let Some(judged) = &mut self.judged
            && let Some(request_id) = request_id()
        {
            judged.request_id = request_id;
        }
    }

    /// So long the client kept us waiting for its body.
    pub fn waited(&mut self, time: Duration) {
        self.waited += time;
    }

    /// From here on Karbor is waited for: for what has to be asked first, or for the answer.
    pub fn hands_over(&mut self) {
        self.handed_over.get_or_insert_with(Instant::now);
    }

    /// What had to be asked first is answered: until it is sent, the request is ours again.
    pub fn takes_back(&mut self) {
        if let Some(since) = self.handed_over.take() {
            self.waited += since.elapsed();
        }
    }

    /// The request itself goes to Karbor.
    pub fn dispatched(&mut self) {
        self.hands_over();
        self.course = Course::Dispatched;
        self.reached_karbor = true;
    }

    /// The answer is our own, made with Karbor's consent.
    pub fn answered_by_us(&mut self) {
        self.course = Course::Answered;
        self.answered = Some(Instant::now());
    }

    /// Karbor's answer has begun then, from that address.
    pub fn karbor_answered(&mut self, status: u16, from: impl fmt::Display, then: Instant) {
        self.recording.served_by(from);
        self.course = Course::Answered;
        self.answered = Some(then);
        self.upstream_status = Some(status);
    }

    /// As much of Karbor's answer is read as we need: from here on the time is our own.
    pub fn reads_no_more(&mut self) {
        self.read = Some(Instant::now());
    }

    /// An answer of so many bytes was read whole. What the client gets may be another.
    pub fn came_whole(&mut self, bytes: u64) {
        *self.received.get_or_insert(0) += bytes;
        self.reads_no_more();
    }

    /// Karbor gave no whole answer.
    pub fn karbor_failed(&mut self, kind: UpstreamFailure, outcome_unknown: bool) {
        self.course = Course::Failed { outcome_unknown };
        self.answered.get_or_insert_with(Instant::now);
        self.recording.fails(kind.name());
        self.desk.metrics.upstream_failed(kind);
    }

    /// Why Karbor gave none, for operators.
    pub fn explains(&mut self, words: impl FnOnce() -> String) {
        self.recording.explains(words);
    }

    /// The head of the answer goes to the client.
    pub fn answers(&mut self, status: u16) {
        self.status = Some(status);
        let now = Instant::now();
        let before = self.handed_over.unwrap_or(now).duration_since(self.started);
        let after =
            self.read.or(self.answered).map_or(Duration::ZERO, |answered| now.duration_since(answered));
        let added = before.saturating_sub(self.waited) + after;
        self.desk.metrics.added(self.route.unwrap_or(RouteKind::Pass), added);
    }

    /// Body bytes of the request were read for review.
    pub fn received(&self, bytes: u64) {
        self.desk.metrics.body_bytes(Side::Downstream, Direction::Received, bytes);
    }

    /// Body bytes of the answer go to the client.
    pub fn sent(&mut self, bytes: u64) {
        self.sent += bytes;
    }

    /// The client did not wait for the end.
    pub fn client_left(&mut self) {
        self.client_left = true;
    }

    /// Karbor's answer did not come to its end.
    pub fn answer_broke_off(&mut self, stalled: bool) {
        let kind = if stalled { UpstreamFailure::IdleTimeout } else { UpstreamFailure::Reset };
        self.karbor_failed(kind, false);
    }

    /// Writes the record. Dropping it does the same; this says that it is meant.
    pub fn finish(self: Box<Self>) {
        drop(self);
    }
}
