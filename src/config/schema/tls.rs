//! Settings of TLS towards clients.

use super::{Setting, TIME, inherit, set};
use crate::config::kind::Kind;
use crate::config::names;
use crate::server::ClientCertificates;

const FILE: Kind = Kind::Text("a path", |text| names::file(text).map(drop));
const FILES: Kind = Kind::List("paths", |text| names::file(text).map(drop), 0, 100);

pub(super) const SETTINGS: &[Setting] = &[
    set(
        "server.tls.certificates",
        FILES,
        "[]",
        "files of certificate chains, PEM; none for plain HTTP; the first answers clients that name no host",
    ),
    set("server.tls.keys", FILES, "[]", "files of their private keys, PEM, in the same order"),
    set(
        "server.tls.client_certificates",
        Kind::word::<ClientCertificates>(),
        "\"off\"",
        "whether clients show a certificate",
    ),
    inherit(
        "server.tls.client_ca",
        FILE,
        "PEM certificates of the authorities that those of clients must lead to",
    ),
    set(
        "server.tls.handshake_timeout",
        TIME,
        "\"10s\"",
        "from the beginning of a connection to the end of its handshake",
    ),
];
