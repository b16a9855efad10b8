//! TLS towards clients: versions, names, certificates of both sides, what ends a handshake, what a start says.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use karbor_admission::app::{App, AppError, Launch};
use rcgen::{DnType, date_time_ymd};
use tempfile::TempDir;
use tokio_rustls::rustls::{ClientConfig, version};

use crate::support::{
    Authority, Issued, PATIENCE, Request, Scripted, TestApp, Tunnel, body_of, checkpoints, config,
    json_answer, speaking, trusting,
};

/// A proxy with TLS, and what its clients need.
struct Secured {
    app: TestApp,
    karbor: Scripted,
    authority: Authority,
    _folder: TempDir,
}

fn karbor() -> Scripted {
    Scripted::new(|mut link| {
        while link.request().is_some() {
            link.send(json_answer("{}"));
        }
    })
}

fn in_toml(path: &Path) -> String {
    format!("{:?}", path.to_str().unwrap())
}

fn section(certificate: &Path, key: &Path) -> String {
    format!("[server.tls]\ncertificates = [{}]\nkeys = [{}]\n", in_toml(certificate), in_toml(key))
}

/// With a certificate for `one.test`, and these settings of `[server.tls]`; `CA` in them is the authority's file.
fn secured(settings: &str) -> Secured {
    let (karbor, authority, folder) = (karbor(), Authority::new(), tempfile::tempdir().unwrap());
    let (certificate, key) = authority.issue(&["one.test"]).write(folder.path(), "one");
    let ca = folder.path().join("ca");
    std::fs::write(&ca, &authority.pem).unwrap();
    let settings = section(&certificate, &key) + &settings.replace("CA", &in_toml(&ca));
    let app = TestApp::before(karbor.address, &settings);
    Secured { app, karbor, authority, _folder: folder }
}

impl Secured {
    fn tunnel(&self, config: &Arc<ClientConfig>) -> Tunnel {
        Tunnel::to_tls(self.app.address, "one.test", config)
    }

    fn until_ended(&self, outcome: &str, count: f64) {
        self.app.until_counted("tls_handshakes_total", &[("outcome", outcome)], count);
    }
}

fn get() -> Request {
    Request::new("GET", "/v1/p/plans")
}

fn denied() -> Request {
    Request::new("POST", &checkpoints("p")).json(body_of("p", r#"{"no prefix": ""}"#))
}

#[test]
fn both_versions_are_spoken() {
    let secured = secured("");
    for version in [&version::TLS12, &version::TLS13] {
        let tunnel = secured.tunnel(&speaking(version, &secured.authority));
        let mut client = tunnel.client();
        for _ in 0..3 {
            assert_eq!(client.ask(&get()).status, 200);
        }
    }
    let seen = &secured.karbor.seen()[0];
    assert_eq!(seen.fields.values("x-forwarded-proto"), ["https"]);
    assert_eq!(seen.fields.values("forwarded"), ["for=127.0.0.1;host=\"karbor.test\";proto=https"]);
    secured.until_ended("done", 2.0);
    secured.app.stop();
}

#[test]
fn a_refused_head_is_answered_and_the_end_is_said() {
    let secured = secured("");
    let tunnel = secured.tunnel(&trusting(&secured.authority, None, &[]));
    let mut client = tunnel.client();
    client.send(b"GET / HTTP/1.1\r\nBad_Name: x\r\n\r\n");
    assert_eq!(client.reply().status, 400);
    client.expect_end();
    secured.app.stop();
}

#[test]
fn certificates_of_clients() {
    let required = "client_certificates = \"required\"\nclient_ca = CA\n";
    let optional = "client_certificates = \"optional\"\nclient_ca = CA\n";
    let off = "";
    let stranger = Authority::new();
    // What the client shows, and whether it is taken; its subject stands in the audit line.
    for (settings, shows, taken) in [
        (required, Some(true), true),
        (required, Some(false), false),
        (required, None, false),
        (optional, Some(true), true),
        (optional, Some(false), false),
        (optional, None, true),
        (off, Some(true), true),
        (off, None, true),
    ] {
        let secured = secured(settings);
        let named = |params: &mut rcgen::CertificateParams| {
            params.distinguished_name.push(DnType::CommonName, "backup\n\"tool\"");
            params.distinguished_name.push(DnType::OrganizationName, "Acme");
        };
        let shown: Option<Issued> = shows.map(|ours| {
            let authority = if ours { &secured.authority } else { &stranger };
            authority.issue_with(&[], named)
        });
        let tunnel = secured.tunnel(&trusting(&secured.authority, shown.as_ref(), &[]));
        let reply = tunnel.client().try_reply_to(&denied());
        if taken {
            let line = secured.app.audit_of(&reply.unwrap());
            let subject =
                (!settings.is_empty() && shows.is_some()).then_some("O=Acme,CN=backup\\0A\\\"tool\\\"");
            assert_eq!(line.get("client_certificate").and_then(|subject| subject.as_str()), subject);
        } else {
            assert!(reply.is_err(), "{settings} {shows:?}");
            secured.until_ended("client-certificate", 1.0);
        }
        secured.app.stop();
    }
}

#[test]
fn whoever_does_not_shake_hands_is_let_go() {
    let secured = secured("handshake_timeout = \"200ms\"\n");
    let (mut silent, mut plain) =
        (TcpStream::connect(secured.app.address).unwrap(), TcpStream::connect(secured.app.address).unwrap());
    for socket in [&silent, &plain] {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    plain.write_all(&get().bytes()).unwrap();
    for socket in [&mut silent, &mut plain] {
        let mut rest = Vec::new();
        let _ = socket.read_to_end(&mut rest);
        assert!(!rest.starts_with(b"HTTP"), "{rest:?}");
    }
    secured.until_ended("timeout", 1.0);
    secured.until_ended("failed", 1.0);
    assert_eq!(secured.karbor.seen().len(), 0);
    secured.app.stop();
}

#[test]
fn a_handshake_takes_a_place_and_holds_no_drain_up() {
    let (karbor, authority, folder) = (karbor(), Authority::new(), tempfile::tempdir().unwrap());
    let (certificate, key) = authority.issue(&["one.test"]).write(folder.path(), "one");
    let settings = format!("[server]\nmax_connections = 1\n{}", section(&certificate, &key));
    let app = TestApp::before(karbor.address, &settings);
    let silent = TcpStream::connect(app.address).unwrap();
    let mut second = TcpStream::connect(app.address).unwrap();
    second.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = Vec::new();
    let _ = second.read_to_end(&mut rest);
    assert!(rest.is_empty(), "{rest:?}");
    app.until_counted("connections_refused_total", &[("reason", "at-limit")], 1.0);
    app.stop();
    drop(silent);
}

#[test]
fn until_when_certificates_hold_is_shown() {
    let (karbor, authority, folder) = (karbor(), Authority::new(), tempfile::tempdir().unwrap());
    let issued = authority.issue_with(&["one.test"], |params| params.not_after = date_time_ymd(2100, 3, 1));
    let (certificate, key) = issued.write(folder.path(), "one");
    let app = TestApp::before(karbor.address, &section(&certificate, &key));
    let labels = [("file", certificate.to_str().unwrap())];
    let shown = app.metrics().sum("tls_certificate_expiry_timestamp_seconds", &labels);
    assert!((shown - 4_107_542_400.0).abs() < 1.0, "{shown}");
    app.stop();
}

#[test]
fn a_start_says_which_file_is_wrong() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let (one, one_key) = authority.issue(&["one.test"]).write(folder.path(), "one");
    let (_, other_key) = authority.issue(&["two.test"]).write(folder.path(), "two");
    let old = authority.issue_with(&["old.test"], |params| {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
    });
    let (old, old_key) = old.write(folder.path(), "old");
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    let missing = folder.path().join("missing");
    let (karbor, shown) = (karbor(), |path: &Path| path.display().to_string());
    for (certificate, key, more, expected) in [
        (&missing, &one_key, "", format!("cannot read {}", shown(&missing))),
        (&one, &missing, "", format!("cannot read {}", shown(&missing))),
        (&empty, &one_key, "", format!("{} holds no certificate that can be read", shown(&empty))),
        (&one_key, &one_key, "", format!("{} holds no certificate that can be read", shown(&one_key))),
        (&one, &one, "", format!("{} holds no private key that can be used", shown(&one))),
        (
            &one,
            &other_key,
            "",
            format!("the key in {} is not that of the certificate in {}", shown(&other_key), shown(&one)),
        ),
        (&old, &old_key, "", format!("the certificate in {} expired at 2020-01-01T00:00:00Z", shown(&old))),
        (
            &one,
            &one_key,
            "client_certificates = \"required\"\nclient_ca = EMPTY\n",
            format!("{} holds no certificate that can be read", shown(&empty)),
        ),
    ] {
        let settings = section(certificate, key) + &more.replace("EMPTY", &in_toml(&empty));
        match App::bind(config(&[karbor.address], "", &settings), Launch::default()) {
            Err(AppError::Tls(error)) => {
                assert_eq!(error.to_string(), expected);
                assert!(error.hint().is_some(), "{expected}");
            }
            Err(other) => panic!("{other}, not {expected}"),
            Ok(_) => panic!("it starts: {expected}"),
        }
    }
}

#[test]
fn a_reload_takes_certificates_anew_or_not_at_all() {
    let (karbor, authority, folder) = (karbor(), Authority::new(), tempfile::tempdir().unwrap());
    let (certificate, key) = authority.issue(&["one.test"]).write(folder.path(), "api");
    let app = TestApp::of_file(karbor.address, &section(&certificate, &key));
    let config = speaking(&version::TLS13, &authority);
    let answers = |name: &str| Tunnel::to_tls(app.address, name, &config).client().ask(&get()).status == 200;
    let before = Tunnel::to_tls(app.address, "one.test", &config);
    let mut before = before.client();
    assert_eq!(before.ask(&get()).status, 200);
    authority.issue(&["two.test"]).write(folder.path(), "api");
    app.reload();
    assert!(answers("two.test"));
    assert_eq!(before.ask(&get()).status, 200, "it keeps what it began with");
    assert_eq!(app.metrics().sum("config_reloads_total", &[("outcome", "applied")]), 1.0);
    app.reload();
    assert_eq!(app.metrics().sum("config_reloads_total", &[("outcome", "unchanged")]), 1.0);
    std::fs::write(&key, "").unwrap();
    app.reload();
    assert_eq!(app.metrics().sum("config_reloads_total", &[("outcome", "invalid")]), 1.0);
    assert!(answers("two.test"));
    app.rewrite("");
    app.reload();
    assert_eq!(app.client().ask(&get()).status, 200, "plain HTTP from now on");
    app.stop();
}

/// As certificates are rolled out: the configuration is there before they are.
#[test]
fn a_certificate_that_a_refused_configuration_names_is_looked_for() {
    let (karbor, authority, folder) = (karbor(), Authority::new(), tempfile::tempdir().unwrap());
    let app = TestApp::watching(karbor.address, "");
    let [certificate, key] = ["api.crt", "api.key"].map(|name| folder.path().join("later").join(name));
    app.rewrite(&section(&certificate, &key));
    app.until_counted("config_reloads_total", &[("outcome", "invalid")], 1.0);
    let (made, made_key) = authority.issue(&["one.test"]).write(folder.path(), "made");
    let ready = folder.path().join("ready");
    std::fs::create_dir(&ready).unwrap();
    std::fs::rename(made, ready.join("api.crt")).unwrap();
    std::fs::rename(made_key, ready.join("api.key")).unwrap();
    std::fs::rename(&ready, folder.path().join("later")).unwrap();
    app.until_counted("config_reloads_total", &[("outcome", "applied")], 1.0);
    app.stop();
}
