//! A request before its body: its head as bytes, its target, its route, its header fields.

use std::cell::Cell;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Uri};
use karbor_admission::karbor::route::{Route, RouteKind};
use karbor_admission::karbor::target::Target;
use karbor_admission::wire::{HeadLimits, read_head};

use crate::proxy::peer::Peer;
use crate::proxy::{Identity, towards_client, towards_karbor};

const LIMITS: HeadLimits = HeadLimits { request_line_bytes: 8192, head_bytes: 65_536, fields: 94 };
const CHECKPOINTS: &str =
    "/v1/9a3cfd1e0f9f4b3b8d0f8f0f3a1b2c3d/providers/cf56bd3e-97a7-4078-b6d5-f36246333fd9/checkpoints";
/// What a client of Karbor's sends, and as many further fields as there may be.
const FIELDS: [usize; 2] = [0, 88];

/// Names and values of a creation's fields.
fn fields(further: usize) -> Vec<(String, String)> {
    let token = format!("gAAAAA{}", "b".repeat(178));
    let usual = [
        ("host", "karbor.example:8799"),
        ("accept", "application/json"),
        ("user-agent", "python-karborclient"),
        ("x-auth-token", &token),
        ("content-type", "application/json"),
        ("content-length", "276"),
    ];
    let further = (0..further).map(|at| (format!("x-further-{at}"), "some value of a field".to_owned()));
    usual.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().chain(further).collect()
}

fn map(fields: &[(String, String)]) -> HeaderMap {
    let pair = |(name, value): &(String, String)| {
        (HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap())
    };
    fields.iter().map(pair).collect()
}

#[divan::bench(args = FIELDS)]
fn reads_head(bencher: Bencher<'_, '_>, further: usize) {
    let lines: Vec<String> =
        fields(further).iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("POST {CHECKPOINTS} HTTP/1.1\r\n{}\r\n", lines.concat());
    let read = || read_head(black_box(head.as_bytes()), &LIMITS);
    assert_eq!(read().unwrap().unwrap().bytes, head.len());
    bencher.counter(BytesCount::of_str(&head)).bench_local(read);
}

/// Times the canonical form and the route of a target, once the route is known to be this one.
#[track_caller]
fn time_route(bencher: Bencher<'_, '_>, method: &Method, text: &str, kind: RouteKind) {
    let uri = Uri::try_from(text).unwrap();
    let route = |uri: Uri| Target::of(uri).map(|target| Route::of(method, &target, "").kind());
    assert_eq!(route(uri.clone()), Ok(kind));
    bencher.with_inputs(|| uri.clone()).bench_local_values(route);
}

#[divan::bench]
fn routes_creation(bencher: Bencher<'_, '_>) {
    time_route(bencher, &Method::POST, CHECKPOINTS, RouteKind::Create);
}

#[divan::bench]
fn routes_passed(bencher: Bencher<'_, '_>) {
    time_route(bencher, &Method::GET, "/v1/9a3cfd1e0f9f4b3b8d0f8f0f3a1b2c3d/plans?limit=10", RouteKind::Pass);
}

/// Not canonical: it is written anew.
#[divan::bench]
fn routes_encoded(bencher: Bencher<'_, '_>) {
    let text = CHECKPOINTS.replace('-', "%2d").replace('/', "//");
    time_route(bencher, &Method::POST, &text, RouteKind::Create);
}

/// As long as a target may be, all of it slashes but for a creation at its end.
#[divan::bench]
fn routes_longest(bencher: Bencher<'_, '_>) {
    let text = "/".repeat(8000) + CHECKPOINTS;
    time_route(bencher, &Method::POST, &text, RouteKind::Create);
}

#[divan::bench(args = FIELDS)]
fn passes_fields_to_karbor(bencher: Bencher<'_, '_>, further: usize) {
    let peer = Peer {
        trusted: Cell::new(false),
        lines: b"forwarded: for=192.0.2.1;host=\"karbor.example:8799\";proto=http\r\n".as_slice().into(),
    };
    let identity = ["x-user-id", "x-project-id", "x-roles", "x-identity-status"].map(HeaderName::from_static);
    let identity = Identity::of(&identity);
    let mut given: Parts = Request::post(CHECKPOINTS).body(()).unwrap().into_parts().0;
    given.headers = map(&fields(further));
    let target = Target::of(given.uri.clone()).unwrap();
    bencher.with_inputs(|| (given.clone(), target.clone())).bench_local_values(|(mut parts, target)| {
        let lines = towards_karbor(&mut parts, target, &peer, &identity);
        (parts, lines)
    });
}

#[divan::bench]
fn passes_fields_to_client(bencher: Bencher<'_, '_>) {
    let of_karbor = [
        ("content-type", "application/json"),
        ("content-length", "700"),
        ("x-openstack-request-id", "req-2a9ce1f3-cc1a-4516-9435-0ebb13caa398"),
        ("date", "Thu, 01 Jan 2026 00:00:00 GMT"),
        ("connection", "keep-alive"),
    ];
    let given = map(&of_karbor.map(|(name, value)| (name.to_owned(), value.to_owned())));
    bencher.with_inputs(|| given.clone()).bench_local_values(|mut fields| {
        towards_client(&mut fields);
        fields
    });
}
