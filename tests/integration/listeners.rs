//! Where clients connect: several addresses, IPv4 and IPv6, unix sockets.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;

use karbor_admission::app::{App, AppError, Launch};
use karbor_admission::server::{self, Listen, Takeover};
use tempfile::TempDir;

use crate::support::{
    Client, Reply, Request, Scripted, TestApp, Tunnel, body_of, checkpoints, config, json_answer,
};

fn karbor() -> Scripted {
    Scripted::new(|mut link| {
        while link.request().is_some() {
            link.send(json_answer("{}"));
        }
    })
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn listening(listen: &[&str]) -> String {
    format!("[server]\nlisten = {listen:?}\nworkers = 2\n")
}

fn in_words(path: &Path) -> String {
    format!("unix:{}", path.display())
}

fn refused_creation() -> Request {
    Request::new("POST", &checkpoints("p")).json(body_of("p", r#"{"no prefix": ""}"#))
}

#[track_caller]
fn check_peer(app: &TestApp, mut client: Client, peer: &str) {
    let reply: Reply = client.ask(&refused_creation());
    assert_eq!(reply.status, 400);
    assert_eq!(app.audit_of(&reply)["peer"], peer);
}

#[test]
fn every_listener_is_served() {
    let (karbor, folder) = (karbor(), folder());
    let path = folder.path().join("s");
    let app = TestApp::before(karbor.address, &listening(&["127.0.0.1:0", "[::1]:0", &in_words(&path)]));
    let [Listen::Tcp(four), Listen::Tcp(six), Listen::Unix(unix)] = &app.addresses[..] else {
        panic!("{:?}", app.addresses)
    };
    assert_eq!(unix, &path);
    let unix = Tunnel::to_unix(unix);
    // More than once each, so that both workers have had some.
    for _ in 0..8 {
        check_peer(&app, Client::to(*four), "127.0.0.1");
        check_peer(&app, Client::to(*six), "::1");
        check_peer(&app, unix.client(), "unix");
    }
    let get = Request::new("GET", "/v1/p/plans").field("X-Forwarded-For", "192.0.2.7");
    assert_eq!(unix.client().ask(&get).status, 200);
    let seen = karbor.seen().pop().unwrap();
    assert_eq!(seen.fields.values("x-forwarded-for"), ["unknown"]);
    assert_eq!(seen.fields.values("forwarded"), ["for=unknown;host=\"karbor.test\";proto=http"]);
    app.stop();
}

#[test]
fn whoever_connects_by_a_unix_socket_can_be_trusted() {
    let (karbor, folder) = (karbor(), folder());
    let path = folder.path().join("s");
    let settings = listening(&["127.0.0.1:0", &in_words(&path)])
        + "trusted_peers = [\"unix\"]\nmax_connections_per_address = 1\n";
    let app = TestApp::before(karbor.address, &settings);
    let unix = Tunnel::to_unix(&path);
    let mut clients: Vec<_> = (0..3).map(|_| unix.client()).collect();
    let get = Request::new("GET", "/v1/p/plans").field("X-Forwarded-For", "192.0.2.7");
    for client in &mut clients {
        assert_eq!(client.ask(&get).status, 200);
    }
    assert_eq!(karbor.seen()[0].fields.values("x-forwarded-for"), ["192.0.2.7", "unknown"]);
    app.stop();
}

#[test]
fn a_unix_socket_has_its_mode() {
    let (karbor, folder) = (karbor(), folder());
    let path = folder.path().join("s");
    let settings = listening(&["127.0.0.1:0", &in_words(&path)]) + "unix_mode = \"0600\"\n";
    let app = TestApp::before(karbor.address, &settings);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    app.stop();
}

#[test]
fn only_what_a_process_left_behind_is_replaced() {
    let (karbor, folder) = (karbor(), folder());
    let path = folder.path().join("s");
    let settings = listening(&["127.0.0.1:0", &in_words(&path)]);
    let refused = |hint: &str| match App::bind(config(&[karbor.address], "", &settings), Launch::default()) {
        Err(error @ AppError::Bind { .. }) => {
            assert_eq!(error.to_string(), format!("cannot listen on {} (server.listen)", in_words(&path)));
            assert_eq!(error.hint(), Some(hint));
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it listens"),
    };
    std::fs::write(&path, "a file").unwrap();
    refused("name another path, or move the file away");
    assert_eq!(std::fs::read(&path).unwrap(), b"a file");
    std::fs::remove_file(&path).unwrap();
    let living = UnixListener::bind(&path).unwrap();
    refused("another process listens there");
    drop(living);
    let app = TestApp::before(karbor.address, &settings);
    check_peer(&app, Tunnel::to_unix(&path).client(), "unix");
    app.stop();
}

#[test]
fn ipv4_and_ipv6_share_a_port() {
    let mut options = config(&[SocketAddr::from((Ipv4Addr::LOCALHOST, 1))], "", "").config.server;
    options.listen = vec![Listen::Tcp(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)))];
    // Somebody else may have taken the port of IPv4.
    for _ in 0..20 {
        let six = server::bind(&options, None, Vec::new()).unwrap();
        let [Listen::Tcp(address)] = six.addresses[..] else { panic!("{six:?}") };
        let four = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
        let both = server::ServerOptions { listen: vec![Listen::Tcp(four)], ..options.clone() };
        if server::bind(&both, None, Vec::new()).is_ok() {
            return;
        }
    }
    panic!("20 ports of IPv6 were taken in IPv4");
}

#[test]
fn a_unix_socket_passes_to_whoever_follows() {
    let (karbor, folder) = (karbor(), folder());
    let path = folder.path().join("s");
    let settings = listening(&["127.0.0.1:0", &in_words(&path)]);
    let old = TestApp::before(karbor.address, &settings);
    let stays = Tunnel::to_unix(&path);
    let mut stays = stays.client();
    stays.ask(&Request::new("GET", "/v1/p/plans"));
    let mut options = config(&[karbor.address], "", &settings).config.server;
    assert!(server::bind(&options, None, Vec::new()).is_err());
    options.listen.remove(0);
    let comes = || Tunnel::to_unix(&path).client().ask(&Request::new("GET", "/v1/p/plans")).status;
    let given_up = Takeover::default();
    drop(server::bind(&options, Some(&given_up), Vec::new()).unwrap());
    assert_eq!(comes(), 200, "a start that fails takes nothing");
    let takeover = Takeover::default();
    let bound = server::bind(&options, Some(&takeover), Vec::new()).unwrap();
    assert_eq!(comes(), 200);
    takeover.complete().unwrap();
    assert_eq!(stays.ask(&Request::new("GET", "/v1/p/plans")).status, 200);
    old.stop();
    std::os::unix::net::UnixStream::connect(&path).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    drop(bound);
}
