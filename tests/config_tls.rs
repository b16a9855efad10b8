//! The section `[server.tls]`: what cannot be meant together.

#![cfg(test)]

use karbor_admission::config::{self, Config, File};
use karbor_admission::server::ClientCertificates;

fn load(text: &str) -> Result<Config, String> {
    let file = File { name: "k.toml".into(), text: format!("[server.tls]\n{text}") };
    config::parse(&[file], []).map(|loaded| loaded.config).map_err(|errors| errors.to_string())
}

/// One problem, whose text after the name of the file is `expected`.
#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(load(text).err().as_deref(), Some(expected), "{text}");
}

#[test]
fn as_shipped_there_is_none() {
    assert_eq!(load("").unwrap().server.tls, None);
    assert_eq!(load("handshake_timeout = '1s'").unwrap().server.tls, None);
}

#[test]
fn certificates_with_their_keys() {
    let tls = load("certificates = ['/a', '/b']\nkeys = ['/c', '/b']").unwrap().server.tls.unwrap();
    assert_eq!(tls.certificates, ["/a", "/b"].map(std::path::PathBuf::from));
    assert_eq!(tls.keys, ["/c", "/b"].map(std::path::PathBuf::from));
    assert_eq!(tls.client_certificates, ClientCertificates::Off);
    check(
        "certificates = ['/a', '/b']\nkeys = ['/c']",
        "k.toml:3: `server.tls.keys` is [\"/c\"]: expected as many as `server.tls.certificates` has: 2\n  hint: a file that holds both is named in both",
    );
    check(
        "certificates = ['/a']",
        "default: `server.tls.keys` is []: expected as many as `server.tls.certificates` has: 1\n  hint: a file that holds both is named in both",
    );
    check(
        "certificates = ['']\nkeys = ['']",
        "k.toml:2: `server.tls.certificates` has \"\": expected a path that is not empty\nk.toml:3: `server.tls.keys` has \"\": expected a path that is not empty",
    );
}

#[test]
fn certificates_of_clients_need_an_authority() {
    let server = "certificates = ['/a']\nkeys = ['/b']\n";
    let tls =
        load(&format!("{server}client_certificates = 'required'\nclient_ca = '/ca'")).unwrap().server.tls;
    assert_eq!(tls.unwrap().client_ca.unwrap().to_str(), Some("/ca"));
    check(
        &format!("{server}client_certificates = 'optional'"),
        "k.toml:4: `server.tls.client_certificates` is \"optional\": expected `server.tls.client_ca` beside it",
    );
    check(
        &format!("{server}client_ca = '/ca'"),
        "k.toml:4: `server.tls.client_ca` is \"/ca\": nobody is asked: `server.tls.client_certificates` is \"off\"",
    );
    check(
        "client_certificates = 'required'\nclient_ca = '/ca'",
        "k.toml:2: `server.tls.client_certificates` is \"required\": expected \"off\": there are no `server.tls.certificates`",
    );
}
