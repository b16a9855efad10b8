//! Settings of the ledger.

use super::{MIB, Setting, TIME, inherit, set};
use crate::config::kind::Kind;
use crate::config::ledger::{self, Tls};
use crate::config::names;
use crate::proxy::WhenDown;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

const URL: Kind = Kind::Text("\"off\", \"sqlite:PATH\" or \"mysql://USER@HOST[:PORT]/DATABASE\"", |text| {
    ledger::place(text).map(drop)
});
const FILE: Kind = Kind::Text("a path", |text| names::file(text).map(drop));

pub(super) const SETTINGS: &[Setting] = &[
    set(
        "ledger.url",
        URL,
        "\"sqlite:/var/lib/karbor-admission/ledger.sqlite\"",
        "where admitted maps are kept; `off` for nowhere: nothing is brought back, found or counted",
    )
    .at_start(),
    inherit(
        "ledger.password",
        Kind::Secret,
        "the password of `mysql://`; better in a file of its own, or in the environment",
    )
    .at_start(),
    inherit("ledger.password_file", FILE, "the file that holds the password of `mysql://`; read at start")
        .at_start(),
    set(
        "ledger.tls",
        Kind::word::<Tls>(),
        "\"auto\"",
        "how the connection to `mysql://` is secured; `auto` is `off` on loopback, `verify` elsewhere",
    )
    .at_start(),
    inherit(
        "ledger.ca_file",
        FILE,
        "PEM certificates of authorities that are believed beside those of the system",
    )
    .at_start(),
    set("ledger.connections", Kind::Number(1, 1000), "4", "connections of this process to `mysql://`")
        .at_start(),
    set("ledger.timeout", TIME, "\"2s\"", "for one call of the ledger, waiting included").at_start(),
    set(
        "ledger.lease",
        Kind::Duration(Duration::from_secs(1), DAY),
        "\"15m\"",
        "how long a creation counts whose outcome is unknown",
    )
    .at_start(),
    set(
        "ledger.keep_deleted",
        Kind::Duration(Duration::from_secs(60), Duration::from_secs(3650 * 86_400)),
        "\"30d\"",
        "how long the map of a deleted checkpoint is kept",
    )
    .at_start(),
    set(
        "ledger.queue",
        Kind::Number(1, 1_000_000),
        "1024",
        "calls that may wait for the ledger, all workers together; further ones fail at once",
    )
    .at_start(),
    set(
        "ledger.migrate",
        Kind::Flag,
        "true",
        "whether an older schema is brought up to date at start; otherwise it is refused",
    )
    .at_start(),
    set(
        "ledger.when_down",
        Kind::word::<WhenDown>(),
        "\"closed\"",
        "what becomes of a creation with a map while the ledger does not answer: `closed` is 503, `open` is \
         forwarded and not kept",
    ),
    set(
        "ledger.max_answer",
        Kind::Size(1024, 256 * MIB),
        "\"8 MiB\"",
        "the largest answer of Karbor's that maps are put into; larger ones pass as they are",
    ),
    set(
        "ledger.filter_pages",
        Kind::Number(1, 10_000),
        "20",
        "the most pages of Karbor's list that are read for one page of a search",
    ),
    set("ledger.filter_timeout", TIME, "\"10s\"", "how long Karbor is asked for further pages of one search"),
    set(
        "ledger.proof",
        TIME,
        "\"60s\"",
        "how long a token that Karbor accepted for a project counts as accepted",
    ),
];
