//! What a request is part of, as its caller says: a request of OpenStack's, and a trace.
//!
//! The fields themselves go on to Karbor as they came, unsound ones too: a proxy that takes no part in a trace has
//! no better, and the next reader judges by the same rules. Where spans are exported it takes part, and the next one
//! is told of its own.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::request_id;
use crate::karbor::request_id::RequestId;
use crate::telemetry::exchange::{Exchange, Lineage};
use crate::wire::TraceParent;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What these fields say. One that stands there twice says nothing: which of the two is meant?
pub(super) fn of(headers: &HeaderMap) -> Lineage {
    Lineage {
        global_request_id: only(headers, &request_id::NAME).and_then(RequestId::read),
        parent: only(headers, &TRACEPARENT).and_then(TraceParent::read),
    }
}

/// Has Karbor take the exchange for the one that asks, where it is recorded.
pub(super) fn hand_on(headers: &mut HeaderMap, exchange: &Exchange) {
    let Some(own) = exchange.recorded_as() else { return };
    if exchange.lineage().parent.is_none() {
        // Of a trace that ends here, if of any.
        headers.remove(TRACESTATE);
    }
    if let Ok(value) = HeaderValue::try_from(own.to_string()) {
        headers.insert(TRACEPARENT, value);
    }
}

fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h [u8]> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then_some(first.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "req-0f8fad5b-d9cb-469f-a165-70867728950e";
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[track_caller]
    fn check(fields: &[(&'static str, &[u8])], id: Option<&str>, parent: Option<&str>) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
        }
        let lineage = of(&headers);
        assert_eq!(lineage.global_request_id.map(|id| id.to_string()).as_deref(), id, "{fields:?}");
        assert_eq!(lineage.parent.map(|parent| parent.to_string()).as_deref(), parent, "{fields:?}");
    }

    #[test]
    fn reads_each_field_by_itself() {
        let (id, parent) = (("x-openstack-request-id", ID.as_bytes()), ("traceparent", PARENT.as_bytes()));
        check(&[], None, None);
        check(&[id], Some(ID), None);
        check(&[parent], None, Some(PARENT));
        check(&[parent, id], Some(ID), Some(PARENT));
        check(&[("tracestate", b"a=b")], None, None);
    }

    #[test]
    fn reads_nothing_of_a_field_that_stands_there_twice() {
        let (id, parent) = (("x-openstack-request-id", ID.as_bytes()), ("traceparent", PARENT.as_bytes()));
        check(&[id, id], None, None);
        check(&[parent, parent, id], Some(ID), None);
        check(&[("traceparent", b""), parent], None, None);
    }

    #[test]
    fn reads_nothing_of_what_is_unsound() {
        check(&[("x-openstack-request-id", b"\xff\xfe"), ("traceparent", b"00-\xff")], None, None);
    }
}
