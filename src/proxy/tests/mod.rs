//! What becomes of the headers of a request and its answer: `headers`; of their sender: `peers`; and what denials
//! by quota say: `denials`.

mod denials;
mod headers;
mod peers;

use std::net::SocketAddr;
use std::rc::Rc;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Request, Uri};

use super::headers::{Identity, towards_karbor};
use super::peer::Peer;
use super::{AddressRange, TrustedPeer};
use crate::karbor::target::Target;
use crate::telemetry::exchange::Client;
use crate::telemetry::metrics::MetricsHub;
use crate::wire::Origin;

type Fields<'a> = &'a [(&'a str, &'a str)];

fn header_map(fields: Fields<'_>) -> HeaderMap {
    let field = |&(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    fields.iter().map(field).collect()
}

fn peer(address: &str, trusted: &[&str]) -> Peer {
    let trusted: Vec<_> = trusted
        .iter()
        .map(|text| if *text == "unix" { TrustedPeer::Unix } else { TrustedPeer::Range(range(text)) })
        .collect();
    let origin = match address {
        "unix" => Origin::Unix,
        address => Origin::from(address.parse::<SocketAddr>().unwrap().ip()),
    };
    let metrics = Rc::new(MetricsHub::bare().worker().unwrap());
    Peer::new(Client { origin, secure: false, certificate: None }, Rc::default(), &trusted, metrics)
}

fn range(text: &str) -> AddressRange {
    let (address, bits) = text.split_once('/').unwrap();
    AddressRange { address: address.parse().unwrap(), bits: bits.parse().unwrap() }
}

const IDENTITY: [HeaderName; 3] = [
    HeaderName::from_static("openstack-system-scope"),
    HeaderName::from_static("x-project-id"),
    HeaderName::from_static("x-roles"),
];

/// A request as it goes to Karbor, our own fields with the others.
fn sent_by(peer: &Peer, target: &str, fields: Fields<'_>) -> Parts {
    let mut parts = Request::new(()).into_parts().0;
    parts.headers = header_map(fields);
    let target = Target::of(Uri::try_from(target).unwrap()).unwrap();
    let lines = towards_karbor(&mut parts, target, peer, &Identity::of(&IDENTITY));
    for line in std::str::from_utf8(&lines).unwrap().split_terminator("\r\n") {
        let (name, value) = line.split_once(": ").unwrap();
        parts.headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    parts
}
