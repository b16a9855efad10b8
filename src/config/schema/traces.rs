//! Settings of the export of traces. In every build; `traces.endpoint` takes an address only in one that can export.

use super::{Setting, inherit, set};
use crate::config::kind::Kind;
use crate::config::{names, traces};

const COLLECTOR: Kind =
    Kind::Text("\"\", or http://HOST[:PORT][/PATH] or https://HOST[:PORT][/PATH]", |text| {
        traces::collector(text).map(drop)
    });
const FILE: Kind = Kind::Text("a path", |text| names::file(text).map(drop));

pub(super) const SETTINGS: &[Setting] = &[
    set(
        "traces.endpoint",
        COLLECTOR,
        "\"\"",
        "where spans go, by OTLP/HTTP in JSON; `/v1/traces` unless a path is named; empty for nowhere. Only in a build with the feature `otlp`",
    )
    .at_start(),
    inherit(
        "traces.ca_file",
        FILE,
        "PEM certificates that the collector's must lead to; without it, those of the system",
    )
    .at_start(),
    set(
        "traces.ratio",
        Kind::Ratio,
        "1.0",
        "how many requests that are part of no trace begin one; where there is one, its caller decides",
    )
    .at_start(),
    set(
        "traces.queue_spans",
        Kind::Number(1, 100_000),
        "2048",
        "spans that may wait for the collector; further ones are dropped and counted",
    )
    .at_start(),
];
