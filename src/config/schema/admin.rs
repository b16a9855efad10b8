//! Settings of the admin side.

use super::parts::MODE;
use super::{Setting, inherit, set};
use crate::config::kind::Kind;
use crate::config::{names, network};

const LISTEN: Kind = Kind::Text("an address with a port", |text| network::admin_listen(text).map(drop));
const FILE: Kind = Kind::Text("a path", |text| names::file(text).map(drop));

pub(super) const SETTINGS: &[Setting] = &[
    set(
        "admin.listen",
        LISTEN,
        "\"127.0.0.1:9799\"",
        "where `/status`, `/metrics`, `/livez`, `/readyz` and `/config` are served; `unix:/PATH` is a unix socket; \
         other than on loopback only with a token and TLS",
    )
    .at_start(),
    set("admin.unix_mode", MODE, "\"0660\"", "the mode of its unix socket; whoever may write may read the pages")
        .at_start(),
    inherit(
        "admin.token",
        Kind::Secret,
        "what readers show as `Authorization: Bearer`, but for `/livez` and `/readyz`; better in a file of its own",
    ),
    inherit("admin.token_file", FILE, "the file that holds the token; 16 visible characters at least"),
    inherit(
        "admin.tls.certificate_file",
        FILE,
        "the certificate chain of the admin side, PEM; without it plain HTTP",
    ),
    inherit("admin.tls.key_file", FILE, "its private key, PEM"),
];
