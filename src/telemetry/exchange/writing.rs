//! What becomes of a record when it ends: counts, an audit line, a line of the log. Leaves its span to `recording`.

use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

use tracing::field;

use super::{Course, Exchange, Judged};
use crate::karbor::route::RouteKind;
use crate::telemetry::audit::{AuditLine, AuditVerdict};
use crate::telemetry::metrics::{Direction, Outcome, Side};
use crate::wire::TraceParent;

impl Exchange {
    pub(super) fn outcome(&self) -> Outcome {
        match self.course {
            Course::Refused(_) => Outcome::Refused,
            Course::Denied => Outcome::Denied,
            Course::Failed { .. } => Outcome::UpstreamFailed,
            Course::Open | Course::Dispatched => Outcome::Abandoned,
            Course::Answered if self.client_left => Outcome::Abandoned,
            Course::Answered => Outcome::Forwarded,
        }
    }

    pub(super) fn verdict(&self, judged: &Judged) -> AuditVerdict {
        match self.course {
            Course::Open | Course::Dispatched => AuditVerdict::Abandoned,
            Course::Refused(_) => AuditVerdict::Refused,
            Course::Denied => AuditVerdict::Denied,
            Course::Failed { .. } => AuditVerdict::UpstreamFailed,
            Course::Answered if !judged.reviewed => AuditVerdict::Passed,
            Course::Answered => AuditVerdict::of_forwarded(&judged.violations),
        }
    }

    fn count(&self) {
        let metrics = &self.desk.metrics;
        metrics.in_flight_finished();
        metrics.request(self.route.unwrap_or(RouteKind::Pass), self.method, self.outcome());
        metrics.body_bytes(Side::Downstream, Direction::Sent, self.sent);
        if self.upstream_status.is_some() {
            metrics.body_bytes(Side::Upstream, Direction::Received, self.received.unwrap_or(self.sent));
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

    /// Its part of the trace that it is part of, or begins; its caller's, where it is not recorded.
    #[must_use]
    pub fn part_of(&self) -> Option<TraceParent> {
        self.recorded_as().or(self.lineage.parent)
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
            request_id = judged.map(|judged| field::display(judged.request_id)),
            global_request_id = self.lineage.global_request_id.map(field::display),
            trace_id = self.part_of().map(|own| field::display(own.trace_id)),
            span_id = self.recorded_as().map(|own| field::display(own.span_id)),
            parent_span_id = self.lineage.parent.map(|parent| field::display(parent.span_id)),
            peer = %self.peer,
            "exchange"
        );
    }

    fn write_audit_line(&self, judged: &Judged) {
        let verdict = self.verdict(judged);
        if !self.desk.audit.wants(verdict) {
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
            request_id: judged.request_id,
            global_request_id: self.lineage.global_request_id,
            trace_id: self.part_of().map(|own| own.trace_id),
            span_id: self.recorded_as().map(|own| own.span_id),
            parent_span_id: self.lineage.parent.map(|parent| parent.span_id),
            peer: self.peer,
            certificate: self.certificate.as_deref(),
            tenant: subject.map(|subject| &subject.tenant),
            provider: subject.and_then(|subject| subject.provider.as_ref()),
            checkpoint: judged.checkpoint.as_ref(),
            route: self.route,
            method: Some(&*judged.method).filter(|method| !method.is_empty()),
            verdict,
            refusal: match self.course {
                Course::Refused(refusal) => Some(refusal),
                _ => None,
            },
            violations: Some(&judged.violations).filter(|violations| !violations.list.is_empty()),
            charge: judged.charge.as_ref(),
            kept: judged.kept,
            restored: judged.restored,
            altered: judged.altered,
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
        self.write_span();
    }
}
