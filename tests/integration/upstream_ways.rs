//! The ways to Karbor beside plain TCP to an address: TLS, a unix socket, a name.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::support::{PROJECT, Request, Scripted, TestApp, body_of, checkpoints, json_answer};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn get() -> Request {
    Request::new("GET", "/v1/p/plans")
}

fn creation() -> Request {
    Request::new("POST", &checkpoints(PROJECT)).json(body_of("p", "null"))
}

/// A folder of one test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("ka-ways-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for that name, and its key.
fn issue(authority: &Authority, name: &str) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (params.signed_by(&key, authority).unwrap(), key)
}

/// An HTTPS server that says `ok` to everything, on connections that it keeps; ends with the process.
struct Secure {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Secure {
    /// With a certificate of that authority for `name`; clients need one of `asked` if there is such.
    fn new(authority: &Authority, name: &str, asked: Option<&Authority>) -> Self {
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = match asked {
            None => builder.with_no_client_auth(),
            Some(asked) => {
                let mut store = RootCertStore::empty();
                store.add(asked.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(store.into(), provider).build();
                builder.with_client_cert_verifier(verifier.unwrap())
            }
        };
        let (certificate, key) = issue(authority, name);
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = Arc::new(builder.with_single_cert(vec![certificate.der().clone()], key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (config, counting) = (Arc::clone(&config), Arc::clone(&counting));
                std::thread::spawn(move || serve(stream.unwrap(), config, &counting));
            }
        });
        Self { address, requests }
    }
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, requests: &AtomicUsize) {
    let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
    let (mut read, mut room) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut room) {
        read.extend_from_slice(&room[..count]);
        // The bodies of these tests come with their heads or right after, and end like this.
        let text = String::from_utf8_lossy(&read);
        if text.starts_with("GET") && text.ends_with("\r\n\r\n") || text.ends_with("}}") {
            read.clear();
            requests.fetch_add(1, Ordering::AcqRel);
            if stream.write_all(OK.as_bytes()).and_then(|()| stream.flush()).is_err() {
                return;
            }
        }
    }
}

/// Before that server, under `localhost` so that the host is a name, with these settings.
fn before(secure: &Secure, settings: &str) -> TestApp {
    let endpoint = format!("https://localhost:{}", secure.address.port());
    TestApp::before(secure.address, &format!("[upstream]\nendpoints = [\"{endpoint}\"]\n{settings}"))
}

#[test]
fn tls_to_a_certificate_of_our_own_authority() {
    let (folder, authority) = (Folder::new(), authority());
    let ca = folder.write("ca.pem", &authority.pem());
    let secure = Secure::new(&authority, "localhost", None);
    let app = before(&secure, &format!("ca_file = \"{ca}\""));
    for _ in 0..3 {
        assert_eq!(app.client().ask(&get()).text(), "ok");
        assert_eq!(app.client().ask(&creation()).text(), "ok");
    }
    assert_eq!(secure.requests.load(Ordering::Acquire), 6);
    app.until_counted("upstream_failures_total", &[], 0.0);
    let addresses = app.metrics().sum("upstream_addresses", &[("state", "up")]);
    assert!(app.metrics().sum("connections_total", &[("side", "upstream")]) <= addresses, "they are kept");
}

/// No request goes out, none comes through, and the failure says that it was TLS.
#[track_caller]
fn check_distrusted(secure: &Secure, settings: &str) {
    let app = before(secure, settings);
    app.client().ask(&get()).own_fault(502);
    let fault = app.client().ask(&creation()).own_fault(502);
    assert!(fault.message.contains("can be repeated"), "{}", fault.message);
    app.until_counted("upstream_requests_total", &[], 0.0);
    assert_eq!(secure.requests.load(Ordering::Acquire), 0);
}

#[test]
fn a_certificate_that_is_not_to_be_trusted_ends_it() {
    let (folder, authority, stranger) = (Folder::new(), authority(), authority());
    let ca = folder.write("ca.pem", &authority.pem());
    let ours = format!("ca_file = \"{ca}\"");
    check_distrusted(&Secure::new(&stranger, "localhost", None), &ours);
    check_distrusted(&Secure::new(&authority, "other.example", None), &ours);
    check_distrusted(
        &Secure::new(&authority, "localhost", None),
        &format!("{ours}\nserver_name = \"other.example\""),
    );
}

#[test]
fn tls_under_another_name_than_the_endpoints() {
    let (folder, authority) = (Folder::new(), authority());
    let ca = folder.write("ca.pem", &authority.pem());
    let secure = Secure::new(&authority, "karbor.example", None);
    let app = before(&secure, &format!("ca_file = \"{ca}\"\nserver_name = \"karbor.example\""));
    assert_eq!(app.client().ask(&get()).text(), "ok");
}

#[test]
fn a_certificate_of_ours_where_karbor_asks_for_one() {
    let (folder, authority, clients) = (Folder::new(), authority(), authority());
    let ca = folder.write("ca.pem", &authority.pem());
    let secure = Secure::new(&authority, "localhost", Some(&clients));
    let identity = |of: &Authority, name: &str| {
        let (certificate, key) = issue(of, "proxy");
        let certificate = folder.write(&format!("{name}.pem"), &certificate.pem());
        let key = folder.write(&format!("{name}.key"), &key.serialize_pem());
        format!("ca_file = \"{ca}\"\ncertificate_file = \"{certificate}\"\nkey_file = \"{key}\"")
    };
    let app = before(&secure, &identity(&clients, "right"));
    assert_eq!(app.client().ask(&get()).text(), "ok");
    for wrong in [format!("ca_file = \"{ca}\""), identity(&authority, "wrong")] {
        let app = before(&secure, &wrong);
        app.client().ask(&get()).own_fault(502);
        app.client().ask(&creation()).own_fault(502);
    }
    assert_eq!(secure.requests.load(Ordering::Acquire), 1);
}

#[test]
fn a_unix_socket() {
    let folder = Folder::new();
    let path = folder.0.join("karbor.sock");
    let settings = format!("[upstream]\nendpoints = [\"unix:{}\"]", path.display());
    let app = TestApp::before(SocketAddr::from(([127, 0, 0, 1], 9)), &settings);
    app.client().ask(&get()).own_fault(502);
    let listener = UnixListener::bind(&path).unwrap();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut read, mut room) = (Vec::new(), [0; 4096]);
        let answer = json_answer(r#"{"checkpoint": {"id": "c"}}"#);
        for _ in 0..2 {
            while !(read.ends_with(b"}}") || read.starts_with(b"GET") && read.ends_with(b"\r\n\r\n")) {
                let count = stream.read(&mut room).unwrap();
                read.extend_from_slice(&room[..count]);
            }
            read.clear();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    assert_eq!(app.client().ask(&get()).status, 200);
    assert_eq!(app.client().ask(&creation()).json()["checkpoint"]["id"], "c");
    serving.join().unwrap();
    app.until_counted("connections_total", &[("side", "upstream")], 1.0);
}

#[test]
fn a_name() {
    let karbor = Scripted::answering(OK);
    let settings = format!("[upstream]\nendpoints = [\"http://localhost:{}\"]", karbor.address.port());
    let app = TestApp::before(karbor.address, &settings);
    for _ in 0..5 {
        assert_eq!(app.client().ask(&get()).text(), "ok");
    }
    assert_eq!(karbor.seen().len(), 5);
}

/// Nothing was sent, whatever it is that the system says of the name.
#[test]
fn a_name_without_an_address() {
    let settings = "[upstream]\nendpoints = [\"http://karbor.invalid\"]";
    let app = TestApp::before(SocketAddr::from(([127, 0, 0, 1], 9)), settings);
    let reply = app.client().ask(&creation());
    assert!(reply.status == 502 || reply.status == 504, "{reply:?}");
    assert!(reply.own_fault(reply.status).message.contains("can be repeated"));
}
