//! Settings of the way to Karbor.

use super::{Setting, TIME, inherit, set};
use crate::config::kind::Kind;
use crate::config::{names, upstream};
use crate::proxy::ExtraInfoField;

const ENDPOINTS: Kind = Kind::List(
    "http://HOST[:PORT], https://HOST[:PORT] or unix:/PATH",
    |text| upstream::endpoint(text).map(drop),
    1,
    100,
);
const PREFIX: Kind =
    Kind::Text("\"\", or a path such as \"/data-protect\"", |text| upstream::path_prefix(text).map(drop));
const FILE: Kind = Kind::Text("a path", |text| names::file(text).map(drop));
const NAME: Kind = Kind::Text("a host name or an address", |text| upstream::server_name(text).map(drop));
const TARGET: Kind =
    Kind::Text("a path such as \"/\", with or without a query", |text| upstream::target(text).map(drop));

pub(super) const SETTINGS: &[Setting] = &[
    set(
        "upstream.endpoints",
        ENDPOINTS,
        "[\"http://127.0.0.1:18799\"]",
        "where Karbor listens; ports 80 and 443 unless named. A name may have several addresses",
    ),
    inherit(
        "upstream.ca_file",
        FILE,
        "PEM certificates that those of `https://` endpoints must lead to; without it, those of the system",
    ),
    inherit(
        "upstream.certificate_file",
        FILE,
        "our own PEM certificate for `https://` endpoints that ask for one, and those between it and its authority",
    ),
    inherit("upstream.key_file", FILE, "the key of that certificate, PEM"),
    inherit(
        "upstream.server_name",
        NAME,
        "the name that the certificates of `https://` endpoints must be for; without it, the host of each",
    ),
    set("upstream.path_prefix", PREFIX, "\"\"", "what stands before `/v1` in every path"),
    set(
        "upstream.extra_info_field",
        Kind::word::<ExtraInfoField>(),
        "\"extra-info\"",
        "the name under which an admitted map is sent on; `extra_info` for Karbor before 1.0",
    ),
    set("upstream.connect_timeout", TIME, "\"3s\"", "to connect to Karbor, name resolution and TLS included"),
    set(
        "upstream.first_byte_timeout",
        TIME,
        "\"75s\"",
        "from the last byte of a request to the head of Karbor's answer",
    ),
    set("upstream.idle_timeout", TIME, "\"60s\"", "without any progress of a body, either way"),
    set("upstream.pool_idle_timeout", TIME, "\"60s\"", "how long an idle connection to Karbor is kept"),
    set(
        "upstream.pool_idle_per_worker",
        Kind::Number(0, 10_000),
        "64",
        "the most idle connections to Karbor a worker keeps",
    ),
    set("upstream.resolve_period", TIME, "\"30s\"", "between two lookups of an endpoint's name"),
    set(
        "upstream.eject_after",
        Kind::Number(1, 1000),
        "3",
        "failures in a row after which an address is left alone: no connection, or none of an answer on a new one",
    ),
    set(
        "upstream.eject_after_gateway_errors",
        Kind::Bound(1_000_000),
        "10",
        "answers of 502, 503 or 504 in a row after which an address is left alone",
    ),
    set(
        "upstream.eject_for",
        TIME,
        "\"1s\"",
        "for how long; then one request is let through. Doubles with each that fails",
    ),
    set("upstream.eject_for_most", TIME, "\"10s\"", "the longest that an address is left alone at a time"),
    inherit(
        "upstream.probe",
        TARGET,
        "what each address is asked for as a sign of life; without it, nothing",
    ),
    set("upstream.probe_period", TIME, "\"10s\"", "between two such questions of a worker"),
    set(
        "upstream.max_requests_per_worker",
        Kind::Number(1, 1_000_000),
        "1024",
        "requests under way to Karbor at once, for each worker",
    ),
    set(
        "upstream.queue_per_worker",
        Kind::Number(0, 1_000_000),
        "1024",
        "requests that may wait for that; beyond it, 503 at once",
    ),
    set("upstream.queue_timeout", TIME, "\"5s\"", "how long they wait; then 503"),
];
