//! An answer as a client gets it. Every one is looked over: framing, fields, the shape of faults.

use serde_json::Value;

use super::client::BrokenOff;
use super::message::{Fields, Framing, Head, Wire};

/// What may come through; fields of scripted upstreams begin with `x-test-`.
const ALLOWED: [&str; 18] = [
    "allow",
    "cache-control",
    "connection",
    "content-length",
    "content-security-policy",
    "content-type",
    "date",
    "etag",
    "referrer-policy",
    "retry-after",
    "server",
    "transfer-encoding",
    "vary",
    "warning",
    "www-authenticate",
    "x-content-type-options",
    "x-compute-request-id",
    "x-openstack-request-id",
];

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) fields: Fields,
    pub(crate) body: Vec<u8>,
    /// The statuses that came before.
    pub(crate) interim: Vec<u16>,
    /// Whether the body came in chunks.
    pub(crate) chunked: bool,
}

/// What the official client would print of a fault, and what programs read.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) name: String,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// The code of each detail.
    pub(crate) codes: Vec<String>,
    pub(crate) details: Value,
}

impl Reply {
    #[track_caller]
    pub(super) fn read(wire: &mut Wire, to_head: bool) -> Result<Self, BrokenOff> {
        let mut interim = Vec::new();
        let mut body = Vec::new();
        let (status, head) = loop {
            let head = match wire.head() {
                Ok(Some(head)) => head,
                Ok(None) => return Err(broken(None, body, std::io::ErrorKind::ConnectionAborted.into())),
                Err(error) => return Err(broken(None, body, error)),
            };
            let status = status_of(&head);
            if status >= 200 {
                break (status, head);
            }
            interim.push(status);
        };
        let framing = if to_head || matches!(status, 204 | 304) { None } else { head.framing() };
        let read = match framing {
            Some(framing) => wire.body(framing, &mut body),
            None if to_head || matches!(status, 204 | 304) => Ok(()),
            None => wire.rest().map(|rest| body = rest),
        };
        if let Err(error) = read {
            return Err(broken(Some(status), body, error));
        }
        let reply =
            Self { status, fields: head.fields, body, interim, chunked: framing == Some(Framing::Chunked) };
        reply.look_over();
        Ok(reply)
    }

    /// What holds for every answer.
    #[track_caller]
    fn look_over(&self) {
        for (name, value) in &self.fields.0 {
            let known = ALLOWED.contains(&name.as_str()) || name.starts_with("x-test-");
            assert!(known, "{name} must not come through: {self:?}");
            assert!(value.is_ascii(), "{name}: {value:?}");
        }
        for single in ["content-length", "transfer-encoding", "content-type", "date", "connection"] {
            self.fields.one(single);
        }
        if let Some(connection) = self.fields.one("connection") {
            assert!(matches!(connection, "close" | "keep-alive"), "{self:?}");
        }
        if self.status == 204 {
            assert!(self.fields.values("content-length").is_empty() && !self.chunked, "{self:?}");
        }
        let is_json = self.fields.one("content-type") == Some("application/json");
        if self.status >= 400 && is_json && !self.body.is_empty() {
            self.fault();
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The request id, which stands in both fields.
    #[track_caller]
    pub(crate) fn request_id(&self) -> &str {
        let id = self.fields.one("x-openstack-request-id").unwrap_or_else(|| panic!("{self:?}"));
        assert!(id.starts_with("req-") && id.len() == 40, "{id}");
        id
    }

    /// The fault, in the one form that the official client reads (facts, section 9).
    #[track_caller]
    pub(crate) fn fault(&self) -> Fault {
        assert!(self.status >= 400, "{self:?}");
        assert_eq!(self.fields.one("content-type"), Some("application/json"), "{self:?}");
        self.request_id();
        assert!(self.fields.one("x-compute-request-id").is_some(), "{self:?}");
        assert!(self.body.is_ascii() && !self.body.contains(&b'\n'), "{}", self.text());
        let document = self.json();
        let top = document.as_object().unwrap();
        assert_eq!(top.len(), 1, "the client takes the first of the top-level keys: {document}");
        let (name, fault) = top.iter().next().unwrap();
        assert_eq!(fault["code"], self.status, "{document}");
        let message = fault["message"].as_str().unwrap();
        assert!(!message.is_empty() && message.chars().all(|c| matches!(c, ' '..='~')), "{message:?}");
        let details = fault["details"].clone();
        let codes = details.as_array().into_iter().flatten();
        Fault {
            name: name.clone(),
            message: message.to_owned(),
            hint: fault["hint"].as_str().map(str::to_owned),
            codes: codes.map(|detail| detail["rule"].as_str().unwrap().to_owned()).collect(),
            details,
        }
    }

    /// As [`Reply::fault`], and of our own making: both ids are the same, and Karbor's names are used.
    #[track_caller]
    pub(crate) fn own_fault(&self, status: u16) -> Fault {
        assert_eq!(self.status, status, "{}", self.text());
        let fault = self.fault();
        assert_eq!(self.fields.one("x-compute-request-id"), Some(self.request_id()), "{self:?}");
        let name = match status {
            400 => "badRequest",
            403 => "forbidden",
            405 => "badMethod",
            413 | 429 => "overLimit",
            415 => "badMediaType",
            503 => "serviceUnavailable",
            _ => "computeFault",
        };
        assert_eq!(fault.name, name);
        fault
    }
}

#[track_caller]
fn status_of(head: &Head) -> u16 {
    let mut words = head.line.splitn(3, ' ');
    let (version, status) = (words.next(), words.next());
    assert!(matches!(version, Some("HTTP/1.1" | "HTTP/1.0")), "{head:?}");
    status.and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{head:?}"))
}

fn broken(status: Option<u16>, body: Vec<u8>, error: std::io::Error) -> BrokenOff {
    BrokenOff { status, body, kind: error.kind() }
}
