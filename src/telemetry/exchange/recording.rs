//! The span of an exchange: what is kept for it while it lasts, and what is said of it at its end.
//!
//! Names are those of OpenTelemetry's conventions for HTTP servers where there is one, and our own words below
//! `karbor_admission.` otherwise. Nothing of a body, a query or a token; texts that a client chose are cut.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use super::{Client, Course, Desk, Exchange, Judged, Lineage};
use crate::karbor::route::RouteKind;
use crate::telemetry::spans::{Attribute, Span};
use crate::wire::TraceParent;

/// The most bytes of a text that a client chose, or that tells of a failure.
const TEXT_BYTES: usize = 256;

/// What is kept while the exchange lasts; nothing for one that is not recorded.
#[derive(Debug)]
pub(super) struct Recording(Option<Box<Kept>>);

#[derive(Debug)]
struct Kept {
    context: TraceParent,
    started: SystemTime,
    method: &'static str,
    scheme: &'static str,
    path: Option<Box<str>>,
    address: Option<Box<str>>,
    failure: Option<&'static str>,
    error: Option<Box<str>>,
}

impl Recording {
    pub(super) fn begin(desk: &Desk, client: &Client, method: &str, lineage: &Lineage) -> Self {
        Self(desk.spans.begin(lineage.parent).map(|context| {
            Box::new(Kept {
                context,
                started: SystemTime::now(),
                method: known_method(method),
                scheme: if client.secure { "https" } else { "http" },
                path: None,
                address: None,
                failure: None,
                error: None,
            })
        }))
    }

    /// What the exchange is recorded as.
    pub(super) fn context(&self) -> Option<TraceParent> {
        self.0.as_ref().map(|kept| kept.context)
    }

    pub(super) fn asks_for(&mut self, path: &str) {
        if let Some(kept) = &mut self.0 {
            kept.path = Some(cut(path).into());
        }
    }

    /// Where Karbor's answer came from.
    pub(super) fn served_by(&mut self, address: impl fmt::Display) {
        if let Some(kept) = &mut self.0 {
            kept.address = Some(address.to_string().into());
        }
    }

    pub(super) fn fails(&mut self, kind: &'static str) {
        if let Some(kept) = &mut self.0 {
            kept.failure = Some(kind);
        }
    }

    pub(super) fn explains(&mut self, words: impl FnOnce() -> String) {
        if let Some(kept) = &mut self.0 {
            kept.error = Some(cut(&words()).into());
        }
    }
}

impl Exchange {
    pub(super) fn write_span(&mut self) {
        let Some(kept) = self.recording.0.take() else { return };
        let failed = self.status.is_some_and(|status| status >= 500) || kept.failure.is_some();
        let route = self.route.map(RouteKind::name);
        let method = if kept.method == OTHER { "HTTP" } else { kept.method };
        let name = match route {
            Some(route) => format!("{method} {route}"),
            None => method.to_owned(),
        };
        let attributes = self.attributes(&kept);
        self.desk.spans.record(Span {
            context: kept.context,
            parent: self.lineage.parent.map(|parent| parent.span_id),
            name: name.into(),
            started: kept.started,
            duration: self.started.elapsed(),
            attributes,
            failed,
            error: kept.error,
        });
    }

    fn attributes(&self, kept: &Kept) -> Vec<(&'static str, Attribute)> {
        let text = |text: &str| Attribute::Text(Cow::Owned(cut(text).to_owned()));
        let word = |word: &'static str| Attribute::Text(Cow::Borrowed(word));
        let mut attributes = vec![
            ("http.request.method", word(kept.method)),
            ("url.scheme", word(kept.scheme)),
            ("client.address", text(&self.peer.to_string())),
            ("karbor_admission.outcome", word(self.outcome().name())),
        ];
        let mut add = |name, value: Option<Attribute>| attributes.extend(value.map(|value| (name, value)));
        let number = |status: Option<u16>| status.map(|status| Attribute::Number(status.into()));
        let global = self.lineage.global_request_id;
        let waited = self.handed_over.zip(self.answered).map(|(from, to)| (to - from).as_secs_f64());
        add("url.path", kept.path.as_deref().map(text));
        add("http.response.status_code", number(self.status));
        add("error.type", kept.failure.map(word).or_else(|| server_error(self.status)));
        add("karbor_admission.route", self.route.map(|route| word(route.name())));
        add("karbor_admission.global_request_id", global.map(|id| text(&id.to_string())));
        add("karbor_admission.upstream_address", kept.address.as_deref().map(text));
        add("karbor_admission.upstream_status", number(self.upstream_status));
        add("karbor_admission.upstream_seconds", waited.map(Attribute::Seconds));
        if let Some(judged) = &self.judged {
            self.add_judgement(judged, add);
        }
        attributes
    }

    fn add_judgement(&self, judged: &Judged, mut add: impl FnMut(&'static str, Option<Attribute>)) {
        let text = |text: &str| Some(Attribute::Text(Cow::Owned(cut(text).to_owned())));
        let word = |word: &'static str| Some(Attribute::Text(Cow::Borrowed(word)));
        let rules: Vec<&str> = judged.violations.broken().map(|(rule, _)| rule.code()).collect();
        add("karbor_admission.verdict", word(self.verdict(judged).word()));
        add("karbor_admission.rules", (!rules.is_empty()).then_some(Attribute::Texts(rules)));
        add("karbor_admission.request_id", text(&judged.request_id.to_string()));
        if let Course::Refused(refusal) = self.course {
            add("karbor_admission.refusal", word(refusal.code()));
        }
        if let Some(subject) = &judged.subject {
            add("karbor_admission.tenant", text(subject.tenant.as_str()));
            add("karbor_admission.policy", text(subject.policy.revision()));
        }
    }
}

/// What stands for a method that a client may have invented.
const OTHER: &str = "_OTHER";

fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or(OTHER)
}

/// The status, where it is the server's fault.
fn server_error(status: Option<u16>) -> Option<Attribute> {
    let status = status.filter(|status| *status >= 500)?;
    Some(Attribute::Text(Cow::Owned(status.to_string())))
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES)]
}
