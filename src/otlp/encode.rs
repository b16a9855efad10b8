//! OTLP 1.x in JSON: ids in hexadecimal, names in camel case, 64-bit numbers as texts, enumerations as numbers.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Serialize, Serializer};

use crate::telemetry::metrics::BuildInfo;
use crate::telemetry::spans::{Attribute, Span};
use crate::wire::{SpanId, TraceId};

const SERVICE: &str = "karbor-admission";
const SERVER: u8 = 2;
const FAILED: u8 = 2;
/// Among a span's flags, beside those of `traceparent`: it is known whether the parent is of another process, and it is.
const HAS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// The document that says so.
pub(super) fn encode(spans: &[Span]) -> serde_json::Result<Vec<u8>> {
    let build = BuildInfo::CURRENT;
    let resource = [("service.name", SERVICE), ("service.version", build.version)];
    let attributes = resource.map(|(key, value)| KeyValue { key, value: Value::String(value) }).to_vec();
    serde_json::to_vec(&Export {
        resource_spans: [ResourceSpans {
            resource: Resource { attributes },
            scope_spans: [ScopeSpans {
                scope: Scope { name: SERVICE, version: build.version },
                spans: spans.iter().map(Form::of).collect(),
            }],
        }],
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Export<'a> {
    resource_spans: [ResourceSpans<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    resource: Resource<'a>,
    scope_spans: [ScopeSpans<'a>; 1],
}

#[derive(Serialize)]
struct Resource<'a> {
    attributes: Vec<KeyValue<'a>>,
}

#[derive(Serialize)]
struct ScopeSpans<'a> {
    scope: Scope,
    spans: Vec<Form<'a>>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

/// A span as written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Form<'a> {
    trace_id: TraceId,
    span_id: SpanId,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<SpanId>,
    flags: u32,
    name: &'a str,
    kind: u8,
    start_time_unix_nano: Text<u128>,
    end_time_unix_nano: Text<u128>,
    attributes: Vec<KeyValue<'a>>,
    status: Status<'a>,
}

#[derive(Serialize)]
struct Status<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

impl<'a> Form<'a> {
    fn of(span: &'a Span) -> Self {
        let started = span.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        let nanos = |since: Duration| Text(since.as_nanos());
        let remote = if span.parent.is_some() { IS_REMOTE } else { 0 };
        Self {
            trace_id: span.context.trace_id,
            span_id: span.context.span_id,
            parent_span_id: span.parent,
            flags: u32::from(span.context.flags()) | HAS_REMOTE | remote,
            name: &span.name,
            kind: SERVER,
            start_time_unix_nano: nanos(started),
            end_time_unix_nano: nanos(started.saturating_add(span.duration)),
            attributes: span
                .attributes
                .iter()
                .map(|(key, value)| KeyValue { key, value: Value::of(value) })
                .collect(),
            status: Status {
                code: span.failed.then_some(FAILED),
                message: span.error.as_deref().filter(|_| span.failed),
            },
        }
    }
}

#[derive(Clone, Serialize)]
struct KeyValue<'a> {
    key: &'a str,
    value: Value<'a>,
}

#[derive(Clone, Serialize)]
enum Value<'a> {
    #[serde(rename = "stringValue")]
    String(&'a str),
    #[serde(rename = "intValue")]
    Int(Text<u32>),
    #[serde(rename = "doubleValue")]
    Double(f64),
    #[serde(rename = "arrayValue")]
    Array { values: Vec<Value<'a>> },
}

impl<'a> Value<'a> {
    fn of(attribute: &'a Attribute) -> Self {
        match attribute {
            Attribute::Text(text) => Self::String(text),
            Attribute::Number(number) => Self::Int(Text(*number)),
            Attribute::Seconds(seconds) => Self::Double(*seconds),
            Attribute::Texts(texts) => {
                Self::Array { values: texts.iter().map(|text| Self::String(text)).collect() }
            }
        }
    }
}

/// A number that stands as a text.
#[derive(Clone, Copy)]
struct Text<N>(N);

impl<N: fmt::Display> Serialize for Text<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::TraceParent;

    fn child() -> Span {
        let parent = TraceParent::read(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
        Span {
            context: parent.of_child(SpanId::of(0xa).unwrap()),
            parent: Some(parent.span_id),
            name: "POST create".into(),
            started: UNIX_EPOCH + Duration::new(1_700_000_000, 5),
            duration: Duration::from_micros(1500),
            attributes: vec![
                ("a", Attribute::Text("text \u{e9}".into())),
                ("b", Attribute::Texts(vec!["one", "two"])),
                ("c", Attribute::Number(u32::MAX)),
                ("d", Attribute::Seconds(0.25)),
            ],
            failed: true,
            error: Some("because".into()),
        }
    }

    #[test]
    fn writes_what_the_protocol_wants() {
        let span = child();
        let root = Span {
            context: TraceParent::root(TraceId::of(1).unwrap(), SpanId::of(2).unwrap()),
            parent: None,
            attributes: Vec::new(),
            failed: false,
            ..span.clone()
        };
        let written: serde_json::Value = serde_json::from_slice(&encode(&[span, root]).unwrap()).unwrap();
        let version = env!("CARGO_PKG_VERSION");
        let expected = json!({"resourceSpans": [{
            "resource": {"attributes": [
                {"key": "service.name", "value": {"stringValue": "karbor-admission"}},
                {"key": "service.version", "value": {"stringValue": version}},
            ]},
            "scopeSpans": [{"scope": {"name": "karbor-admission", "version": version}, "spans": [
                {
                    "traceId": "0af7651916cd43dd8448eb211c80319c",
                    "spanId": "000000000000000a",
                    "parentSpanId": "b7ad6b7169203331",
                    "flags": 0x301,
                    "name": "POST create",
                    "kind": 2,
                    "startTimeUnixNano": "1700000000000000005",
                    "endTimeUnixNano": "1700000000001500005",
                    "attributes": [
                        {"key": "a", "value": {"stringValue": "text \u{e9}"}},
                        {"key": "b", "value": {"arrayValue": {"values": [
                            {"stringValue": "one"}, {"stringValue": "two"},
                        ]}}},
                        {"key": "c", "value": {"intValue": "4294967295"}},
                        {"key": "d", "value": {"doubleValue": 0.25}},
                    ],
                    "status": {"code": 2, "message": "because"},
                },
                {
                    "traceId": "00000000000000000000000000000001",
                    "spanId": "0000000000000002",
                    "flags": 0x103,
                    "name": "POST create",
                    "kind": 2,
                    "startTimeUnixNano": "1700000000000000005",
                    "endTimeUnixNano": "1700000000001500005",
                    "attributes": [],
                    "status": {},
                },
            ]}],
        }]});
        assert_eq!(written, expected, "{written:#}");
    }
}
