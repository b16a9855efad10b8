//! One record per request: one count, and one audit line if it was judged or refused. Always.
//!
//! Whoever holds the record tells it what happens; when it is dropped, it is written. So a client that
//! leaves, or a task that ends badly, leaves a trace like any other. Decides nothing.

use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::audit::{AuditLine, AuditLog, AuditVerdict};
use super::metrics::{Direction, MethodClass, Outcome, Side, UpstreamFailure, WorkerMetrics};
use crate::karbor::route::RouteKind;
use crate::karbor::{CheckpointId, ProviderId, TenantId};
use crate::policy::{Charge, Policy, Violations};
use crate::wire::Refusal;

/// Where the exchanges of one worker are written down.
pub struct Desk {
    /// Its metrics.
    pub metrics: Rc<WorkerMetrics>,
    /// The audit log.
    pub audit: AuditLog,
    /// Set when the drain is over and what is left is cut: from then on no client leaves by itself.
    pub cut: Arc<AtomicBool>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

/// The record of one request.
#[derive(Debug)]
pub struct Exchange {
    desk: Rc<Desk>,
    peer: IpAddr,
    method: MethodClass,
    route: Option<RouteKind>,
    started: Instant,
    /// Time spent waiting for the client.
    waited: Duration,
    handed_over: Option<Instant>,
    /// Whether Karbor may have seen a part of the request.
    reached_karbor: bool,
    answered: Option<Instant>,
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
    request_id: Box<str>,
    method: Box<str>,
    subject: Option<Subject>,
    checkpoint: Option<CheckpointId>,
    violations: Violations,
    charge: Option<Charge>,
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
    /// A request has begun.
    #[must_use]
    pub fn open(desk: Rc<Desk>, peer: IpAddr, method: &str) -> Self {
        desk.metrics.in_flight_started();
        Self {
            desk,
            peer,
            method: MethodClass::of(method),
            route: None,
            started: Instant::now(),
            waited: Duration::ZERO,
            handed_over: None,
            reached_karbor: false,
            answered: None,
            course: Course::Open,
            status: None,
            upstream_status: None,
            sent: 0,
            client_left: false,
            judged: None,
        }
    }

    /// What Karbor would make of it is known.
    pub fn routed(&mut self, route: RouteKind) {
        self.route = Some(route);
    }

    /// From here on there will be an audit line. Without a subject for what is refused before it is routed.
    pub fn judge(&mut self, request_id: &str, method: &str, subject: Option<Subject>) {
        self.judged = Some(Box::new(Judged {
            request_id: request_id.into(),
            method: method.into(),
            subject,
            checkpoint: None,
            violations: Violations::default(),
            charge: None,
        }));
    }

    /// [`Exchange::judge`] for what turned out only while it was forwarded; nothing if that was called.
    pub fn judge_late(&mut self, request_id: &str, method: &str) {
        if self.judged.is_none() {
            self.judge(request_id, method, None);
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
            subject.provider = Some(provider);
        }
    }

    /// Karbor gave the request an id of its own.
    pub fn names_request(&mut self, request_id: &str) {
        if let Some(judged) = &mut self.judged {
            judged.request_id = request_id.into();
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

    /// The request itself goes to Karbor.
    pub fn dispatched(&mut self) {
        self.hands_over();
        self.course = Course::Dispatched;
        self.reached_karbor = true;
    }

    /// Karbor's answer has begun.
    pub fn karbor_answered(&mut self, status: u16, first_byte: Duration) {
        self.course = Course::Answered;
        self.answered = Some(Instant::now());
        self.upstream_status = Some(status);
        self.desk.metrics.upstream_answered(status, first_byte);
    }

    /// Karbor gave no whole answer.
    pub fn karbor_failed(&mut self, kind: UpstreamFailure, outcome_unknown: bool) {
        self.course = Course::Failed { outcome_unknown };
        self.answered.get_or_insert_with(Instant::now);
        self.desk.metrics.upstream_failed(kind);
    }

    /// The head of the answer goes to the client.
    pub fn answers(&mut self, status: u16) {
        self.status = Some(status);
        let now = Instant::now();
        let before = self.handed_over.unwrap_or(now).duration_since(self.started);
        let after = self.answered.map_or(Duration::ZERO, |answered| now.duration_since(answered));
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
    pub fn finish(self) {
        drop(self);
    }

    fn outcome(&self) -> Outcome {
        match self.course {
            Course::Refused(_) => Outcome::Refused,
            Course::Denied => Outcome::Denied,
            Course::Failed { .. } => Outcome::UpstreamFailed,
            Course::Open | Course::Dispatched => Outcome::Abandoned,
            Course::Answered if self.client_left => Outcome::Abandoned,
            Course::Answered => Outcome::Forwarded,
        }
    }

    fn verdict(&self, judged: &Judged) -> AuditVerdict {
        match self.course {
            Course::Open | Course::Dispatched => AuditVerdict::Abandoned,
            Course::Refused(_) => AuditVerdict::Refused,
            Course::Denied => AuditVerdict::Denied,
            Course::Failed { .. } => AuditVerdict::UpstreamFailed,
            Course::Answered => AuditVerdict::of_forwarded(&judged.violations),
        }
    }

    fn count(&self) {
        let metrics = &self.desk.metrics;
        metrics.in_flight_finished();
        metrics.request(self.route.unwrap_or(RouteKind::Pass), self.method, self.outcome());
        metrics.body_bytes(Side::Downstream, Direction::Sent, self.sent);
        if self.upstream_status.is_some() {
            metrics.body_bytes(Side::Upstream, Direction::Received, self.sent);
        }
        if let Course::Refused(refusal) = self.course {
            metrics.refused(refusal);
        }
        if let Some(judged) = &self.judged {
            self.count_judged(judged);
        }
    }

    fn count_judged(&self, judged: &Judged) {
        let Some(subject) = &judged.subject else { return };
        let metrics = &self.desk.metrics;
        let carried_out = self.upstream_status.is_some_and(|status| (200..300).contains(&status));
        if carried_out {
            metrics.tenant_confirmed(&subject.tenant);
        }
        metrics.rejections(&subject.tenant, &judged.violations);
        if let Some(charge) = judged.charge.as_ref().filter(|_| carried_out) {
            metrics.admitted(
                &subject.tenant,
                charge,
                &subject.policy.rules_of(subject.tenant.as_str()).limits,
            );
            for key in charge.bridged.iter().filter_map(|&at| subject.policy.bridged_keys().get(at)) {
                metrics.bridged(key);
            }
        }
    }

    fn write_log_line(&self) {
        let judged = self.judged.as_deref();
        let subject = judged.and_then(|judged| judged.subject.as_ref());
        let broken = judged.iter().flat_map(|judged| judged.violations.broken());
        let rules: Vec<&str> = broken.map(|(rule, _)| rule.code()).collect();
        let milliseconds = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(
            outcome = self.outcome().name(),
            verdict = judged.map(|judged| self.verdict(judged).word()),
            rules = (!rules.is_empty()).then(|| rules.join(",")),
            route = self.route.map(RouteKind::name),
            method = judged.map(|judged| &*judged.method).unwrap_or(self.method.name()),
            status = self.status,
            karbor_status = self.upstream_status,
            milliseconds,
            tenant = subject.map(|subject| subject.tenant.as_str()),
            request_id = judged.map(|judged| &*judged.request_id),
            peer = %self.peer,
            "exchange"
        );
    }

    fn write_audit_line(&self, judged: &Judged) {
        if !self.desk.audit.is_on() {
            return;
        }
        let duration = self.started.elapsed();
        let subject = judged.subject.as_ref();
        let unknown = match self.course {
            Course::Dispatched | Course::Refused(_) => self.reached_karbor,
            Course::Failed { outcome_unknown } => outcome_unknown,
            _ => false,
        };
        self.desk.audit.record(&AuditLine {
            time: SystemTime::now().checked_sub(duration).unwrap_or(SystemTime::UNIX_EPOCH),
            request_id: &judged.request_id,
            peer: self.peer,
            tenant: subject.map(|subject| &subject.tenant),
            provider: subject.and_then(|subject| subject.provider.as_ref()),
            checkpoint: judged.checkpoint.as_ref(),
            route: self.route,
            method: Some(&*judged.method).filter(|method| !method.is_empty()),
            verdict: self.verdict(judged),
            refusal: match self.course {
                Course::Refused(refusal) => Some(refusal),
                _ => None,
            },
            violations: Some(&judged.violations).filter(|violations| !violations.list.is_empty()),
            charge: judged.charge.as_ref(),
            policy: subject.map(|subject| subject.policy.revision()),
            status: self.status,
            upstream_status: self.upstream_status,
            outcome_unknown: unknown,
            client_left: (self.client_left || matches!(self.course, Course::Open | Course::Dispatched))
                && !self.desk.cut.load(Ordering::Acquire),
            duration,
            upstream: self.handed_over.map(|from| self.answered.unwrap_or_else(Instant::now) - from),
        });
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.count();
        if let Some(judged) = &self.judged {
            self.write_audit_line(judged);
        }
        if tracing::enabled!(tracing::Level::DEBUG) {
            self.write_log_line();
        }
    }
}
