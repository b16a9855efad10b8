//! Whether an address is fit for requests, judged by what came of those before. Pure: the time is handed in.
//!
//! A run of failures ejects it. When its back-off ends one request is let through on trial; each trial that fails
//! doubles the back-off. Silence is no failure here: one tenant's slow requests would take Karbor from all others,
//! and an address that hangs is avoided because its requests pile up.

use std::time::Duration;

use tokio::time::Instant;

use super::options::EjectionRules;

/// What speaks against an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// No connection to it.
    Connect,
    /// A new connection on which a request got no answer.
    Exchange,
    /// Answers of 502, 503 and 504.
    Status,
    /// It did not answer a probe.
    Probe,
}

impl Fault {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Connect => "no connection",
            Self::Exchange => "connections that end without an answer",
            Self::Status => "answers of 502, 503 or 504",
            Self::Probe => "no answer to the probe",
        }
    }
}

/// That an address is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ejection {
    /// Until then. Afterwards, one request at a time is let through.
    pub(super) until: Instant,
    pub(super) back_off: Duration,
    pub(super) fault: Fault,
}

/// What is known of one address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Health {
    failures: u32,
    gateway_errors: u32,
    ejection: Option<Ejection>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Ejected,
    Back,
}

impl Health {
    /// None while it is fit.
    pub(super) const fn ejection(&self) -> Option<Ejection> {
        self.ejection
    }

    /// Whether nothing at all speaks against it.
    pub(super) const fn is_spotless(&self) -> bool {
        self.failures == 0 && self.gateway_errors == 0 && self.ejection.is_none()
    }

    /// A request is let through on trial; the next one after another back-off.
    pub(super) fn begins_trial(&mut self, now: Instant) {
        if let Some(ejection) = &mut self.ejection {
            ejection.until = now + ejection.back_off;
        }
    }

    /// A request failed, on trial or not.
    pub(super) fn failed(
        &mut self,
        fault: Fault,
        on_trial: bool,
        now: Instant,
        rules: &EjectionRules,
    ) -> Change {
        if let Some(ejection) = &mut self.ejection {
            // What was under way before says nothing new.
            if on_trial {
                let back_off = ejection.back_off.saturating_mul(2).min(rules.most);
                *ejection = Ejection { until: now + back_off, back_off, fault };
            }
            return Change::None;
        }
        let run = match fault {
            Fault::Status => &mut self.gateway_errors,
            Fault::Connect | Fault::Exchange | Fault::Probe => &mut self.failures,
        };
        *run = run.saturating_add(1);
        let most = match fault {
            Fault::Status => rules.after_gateway_errors,
            _ => Some(rules.after_failures),
        };
        if most.is_none_or(|most| *run < most) {
            return Change::None;
        }
        let back_off = rules.first.min(rules.most);
        *self =
            Self { ejection: Some(Ejection { until: now + back_off, back_off, fault }), ..Self::default() };
        Change::Ejected
    }

    /// A connection was made. Where that had failed, it is back.
    pub(super) fn connected(&mut self, on_trial: bool) -> Change {
        match self.ejection {
            Some(Ejection { fault: Fault::Connect, .. }) if on_trial => self.comes_back(),
            _ => Change::None,
        }
    }

    /// It answered a request, with this status.
    pub(super) fn answered(
        &mut self,
        status: u16,
        on_trial: bool,
        now: Instant,
        rules: &EjectionRules,
    ) -> Change {
        self.failures = 0;
        if matches!(status, 502..=504) {
            return self.failed(Fault::Status, on_trial && rules.after_gateway_errors.is_some(), now, rules);
        }
        self.gateway_errors = 0;
        if on_trial && self.ejection.is_some() { self.comes_back() } else { Change::None }
    }

    /// It answered a probe. A fault that probes do not show is left to a trial, which may begin.
    pub(super) fn answered_probe(&mut self, now: Instant) -> Change {
        match &mut self.ejection {
            None => Change::None,
            Some(Ejection { fault: Fault::Connect | Fault::Probe, .. }) => self.comes_back(),
            Some(ejection) => {
                ejection.until = ejection.until.min(now);
                Change::None
            }
        }
    }

    fn comes_back(&mut self) -> Change {
        *self = Self::default();
        Change::Back
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: EjectionRules = EjectionRules {
        after_failures: 3,
        after_gateway_errors: Some(4),
        first: Duration::from_secs(1),
        most: Duration::from_secs(5),
    };

    /// What happens to an address, one after the other.
    #[derive(Clone, Copy, Debug)]
    enum Event {
        Fails(Fault),
        TrialFails(Fault),
        Connects,
        TrialConnects,
        Answers(u16),
        TrialAnswers(u16),
        AnswersProbe,
    }
    use Event::{Answers, AnswersProbe, Connects, Fails, TrialAnswers, TrialConnects, TrialFails};
    use Fault::{Connect, Exchange, Probe, Status};

    fn after(rules: &EjectionRules, now: Instant, events: &[Event]) -> Health {
        let mut health = Health::default();
        for event in events {
            match *event {
                Fails(fault) => health.failed(fault, false, now, rules),
                TrialFails(fault) => health.failed(fault, true, now, rules),
                Connects => health.connected(false),
                TrialConnects => health.connected(true),
                Answers(status) => health.answered(status, false, now, rules),
                TrialAnswers(status) => health.answered(status, true, now, rules),
                AnswersProbe => health.answered_probe(now),
            };
        }
        health
    }

    /// The seconds for which it is left alone after all that; none if it is fit.
    #[track_caller]
    fn check(events: &[Event], expected: Option<u64>) {
        let now = Instant::now();
        let ejection = after(&RULES, now, events).ejection();
        let seconds = ejection.map(|ejection| ejection.until.duration_since(now).as_secs());
        assert_eq!(seconds, expected, "{events:?}");
    }

    #[test]
    fn a_run_of_failures_ejects() {
        check(&[], None);
        check(&[Fails(Connect); 2], None);
        check(&[Fails(Connect); 3], Some(1));
        check(&[Fails(Connect), Fails(Exchange), Fails(Probe)], Some(1));
        check(&[Fails(Connect), Fails(Connect), Answers(200), Fails(Connect)], None);
        check(&[Fails(Exchange), Fails(Exchange), Connects, Fails(Exchange)], Some(1));
        check(&[Fails(Connect), Fails(Connect), AnswersProbe, Fails(Connect)], Some(1));
    }

    #[test]
    fn a_longer_run_of_gateway_errors_does_and_no_other_status() {
        check(&[Answers(502), Answers(503), Answers(504)], None);
        check(&[Answers(502), Answers(503), Answers(504), Answers(502)], Some(1));
        check(&[Answers(503), Answers(503), Answers(200), Answers(503), Answers(503)], None);
        check(&[Answers(503), Answers(503), Answers(500), Answers(503), Answers(503)], None);
        check(&[Answers(500); 100], None);
        check(&[Answers(501), Answers(505), Answers(401), Answers(404), Answers(413), Answers(429)], None);
        // It answers, so a run of the other kind ends.
        check(&[Fails(Exchange), Fails(Exchange), Answers(503), Fails(Exchange)], None);
    }

    #[test]
    fn gateway_errors_may_count_for_nothing() {
        let (now, rules) = (Instant::now(), EjectionRules { after_gateway_errors: None, ..RULES });
        assert_eq!(after(&rules, now, &[Answers(503); 1000]).ejection(), None);
        let events = [Fails(Exchange), Fails(Exchange), Fails(Exchange), TrialAnswers(503)];
        let ejection = after(&rules, now, &events).ejection().unwrap();
        assert_eq!(ejection.back_off, RULES.first, "neither back nor further away");
    }

    #[test]
    fn a_trial_brings_back_or_doubles_the_back_off() {
        let down = [Fails(Exchange); 3];
        let then = |more: &[Event]| [&down[..], more].concat();
        check(&then(&[TrialFails(Exchange)]), Some(2));
        check(&then(&[TrialFails(Exchange), TrialFails(Connect)]), Some(4));
        check(&then(&[TrialFails(Exchange); 10]), Some(5));
        check(&then(&[TrialAnswers(503)]), Some(2));
        check(&then(&[TrialAnswers(200)]), None);
        check(&then(&[TrialAnswers(404)]), None);
        check(&then(&[TrialAnswers(200), Fails(Exchange), Fails(Exchange)]), None);
        check(&then(&[TrialAnswers(200), Fails(Exchange), Fails(Exchange), Fails(Exchange)]), Some(1));
    }

    #[test]
    fn what_was_under_way_before_changes_nothing() {
        let down = [Fails(Connect); 3];
        for event in [Fails(Connect), Fails(Exchange), Fails(Status), Answers(200), Answers(503), Connects] {
            check(&[&down[..], &[event; 7]].concat(), Some(1));
        }
    }

    #[test]
    fn a_connection_is_enough_where_none_could_be_made() {
        check(&[Fails(Connect), Fails(Connect), Fails(Connect), TrialConnects], None);
        check(&[Fails(Exchange), Fails(Exchange), Fails(Exchange), TrialConnects], Some(1));
        check(
            &[Fails(Connect), Fails(Connect), Fails(Connect), TrialFails(Exchange), TrialConnects],
            Some(2),
        );
    }

    #[test]
    fn a_probe_brings_back_what_probes_show_and_else_allows_a_trial() {
        check(&[Fails(Connect), Fails(Connect), Fails(Connect), AnswersProbe], None);
        check(&[Fails(Probe), Fails(Probe), Fails(Probe), AnswersProbe], None);
        check(&[Fails(Exchange), Fails(Exchange), Fails(Exchange), AnswersProbe], Some(0));
        check(&[Answers(503), Answers(503), Answers(503), Answers(503), AnswersProbe], Some(0));
    }

    #[test]
    fn one_trial_for_each_back_off() {
        let start = Instant::now();
        let mut health = after(&RULES, start, &[Fails(Connect); 3]);
        let now = start + Duration::from_secs(1);
        assert!(health.ejection().unwrap().until <= now);
        health.begins_trial(now);
        assert_eq!(health.ejection().unwrap().until, now + Duration::from_secs(1));
    }

    #[test]
    fn the_first_back_off_is_no_longer_than_the_longest() {
        let (now, rules) = (Instant::now(), EjectionRules { first: Duration::from_secs(60), ..RULES });
        assert_eq!(after(&rules, now, &[Fails(Connect); 3]).ejection().unwrap().back_off, RULES.most);
    }
}
