//! Who may read the admin side: unix sockets, the token, TLS, and both taken anew by a reload.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

use crate::support::{Authority, Client, Reply, Request, Scripted, TestApp, Tunnel, json_answer, trusting};

const TOKEN: &str = "token-0123456789abcdef";
const OTHER: &str = "other-0123456789abcdef";

fn karbor() -> Scripted {
    Scripted::answering(&json_answer("{}"))
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn get(path: &str) -> Request {
    Request::new("GET", path)
}

fn with_token(request: Request, token: &str) -> Request {
    request.field("Authorization", &format!("Bearer {token}"))
}

fn token_file(folder: &Path) -> String {
    fs::write(folder.join("token"), format!("{TOKEN}\n")).unwrap();
    format!("token_file = {:?}\n", folder.join("token"))
}

/// What stands in answers that refuse is no page.
#[track_caller]
fn check_refused(reply: &Reply) {
    assert_eq!(reply.status, 401);
    assert_eq!(reply.fields.one("www-authenticate"), Some("Bearer realm=\"karbor-admission\""));
    assert!(reply.body.len() < 100, "{}", reply.text());
}

#[test]
fn only_reads_are_answered() {
    let karbor = karbor();
    let app = TestApp::before(karbor.address, "");
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"] {
        for path in ["/status", "/config", "/metrics", "/", "/readyz", "/nothing"] {
            let reply = Client::to(app.admin).ask(&Request::new(method, path));
            assert_eq!(reply.status, 405, "{method} {path}");
            assert_eq!(reply.fields.one("allow"), Some("GET, HEAD"));
        }
    }
    for path in ["/status", "/config", "/metrics", "/"] {
        let reply = Client::to(app.admin).ask(&Request::new("HEAD", path).with("Host", "127.0.0.1:9799"));
        assert_eq!((reply.status, reply.body.len()), (200, 0), "{path}");
    }
    assert!(karbor.seen().is_empty());
}

#[test]
fn a_unix_socket_is_for_whoever_may_write_to_it() {
    let (karbor, folder) = (karbor(), folder());
    let path = folder.path().join("admin.sock");
    let settings = format!("[admin]\nlisten = \"unix:{}\"\nunix_mode = \"0600\"\n", path.display());
    let app = TestApp::before(karbor.address, &settings);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let status = app.page("/status").unwrap();
    assert_eq!(status.status, 200);
    assert!(status.text().contains(&format!("unix:{}", path.display())));
    app.stop();
}

#[test]
fn a_token_is_asked_for_and_a_reload_takes_another() {
    let (karbor, folder) = (karbor(), folder());
    let settings = format!("[admin]\n{}", token_file(folder.path()));
    let app = TestApp::watching(karbor.address, &settings);
    let ask = |request: Request| Client::to(app.admin).ask(&request);
    for path in ["/", "/status", "/config", "/metrics", "/nothing"] {
        check_refused(&ask(get(path)));
        check_refused(&ask(with_token(get(path), OTHER)));
        check_refused(&ask(get(&format!("{path}?token={TOKEN}"))));
        let expected = if path == "/nothing" { 404 } else { 200 };
        assert_eq!(ask(with_token(get(path), TOKEN)).status, expected, "{path}");
    }
    assert_eq!((ask(get("/livez")).status, ask(get("/readyz")).status), (200, 200));
    let shown = ask(with_token(get("/config"), TOKEN)).text();
    assert!(!shown.contains(TOKEN) && shown.contains("token_file"), "{shown}");
    // The watch sees the file, and nobody need ask.
    fs::write(folder.path().join("next"), OTHER).unwrap();
    fs::rename(folder.path().join("next"), folder.path().join("token")).unwrap();
    crate::support::eventually("the other token is taken", || ask(with_token(get("/"), OTHER)).status == 200);
    check_refused(&ask(with_token(get("/"), TOKEN)));
}

#[test]
fn a_token_in_the_settings_is_shown_to_nobody() {
    let karbor = karbor();
    let app = TestApp::before(karbor.address, &format!("[admin]\ntoken = \"{TOKEN}\"\n"));
    let ask = |path| Client::to(app.admin).ask(&with_token(get(path), TOKEN)).text();
    assert!(ask("/config").contains("token = \"***\""));
    for path in ["/config", "/status", "/metrics"] {
        assert!(!ask(path).contains(TOKEN), "{path}");
    }
}

#[test]
fn by_tls_with_a_certificate_that_a_reload_takes_anew() {
    let (karbor, folder) = (karbor(), folder());
    let [old, new] = [Authority::new(), Authority::new()];
    let (certificate, key) = old.issue(&["admin.test"]).write(folder.path(), "admin");
    let tls = format!("[admin.tls]\ncertificate_file = {certificate:?}\nkey_file = {key:?}\n");
    // Where others than this machine get there, which is what both are for.
    let settings = format!("[admin]\nlisten = \"0.0.0.0:0\"\n{}{tls}", token_file(folder.path()));
    let app = TestApp::of_file(karbor.address, &settings);
    let address = ([127, 0, 0, 1], app.admin.port()).into();
    let by = |authority: &Authority| Tunnel::to_tls(address, "admin.test", &trusting(authority, None, &[]));
    let asked = |authority: &Authority, request: Request| by(authority).client().try_reply_to(&request).ok();
    check_refused(&asked(&old, get("/status")).unwrap());
    assert_eq!(asked(&old, get("/livez")).unwrap().status, 200);
    let page = asked(&old, with_token(get("/status"), TOKEN)).unwrap();
    assert!(page.status == 200 && page.text().contains("yes"), "{}", page.text());
    assert!(Client::to(address).try_reply_to(&get("/livez")).is_err(), "nobody is heard without TLS");
    assert!(asked(&new, get("/livez")).is_none());
    new.issue(&["admin.test"]).write(folder.path(), "admin");
    app.wish_reload();
    crate::support::eventually("the other certificate is shown", || asked(&new, get("/livez")).is_some());
    assert!(asked(&old, get("/livez")).is_none());
    // What would leave it open changes nothing.
    app.rewrite("[admin]\nlisten = \"0.0.0.0:0\"\n");
    app.wish_reload();
    crate::support::eventually("the reload is refused", || {
        let page = asked(&new, with_token(get("/status"), TOKEN)).unwrap();
        page.text().contains("others than this machine get there")
    });
    check_refused(&asked(&new, get("/status")).unwrap());
    app.stop();
}
