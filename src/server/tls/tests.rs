//! Which certificate a client gets.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::generate_simple_self_signed;
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::*;
use crate::server::socket::Socket;

/// Takes whatever it is shown.
#[derive(Debug)]
struct Anything;

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

fn write(folder: &Path, names: &[&str]) -> (PathBuf, PathBuf) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let own = names.concat().replace('*', "any");
    let made = generate_simple_self_signed(names).unwrap();
    let paths = (folder.join(format!("{own}.crt")), folder.join(format!("{own}.key")));
    std::fs::write(&paths.0, made.cert.pem()).unwrap();
    std::fs::write(&paths.1, made.signing_key.serialize_pem()).unwrap();
    paths
}

fn load(folder: &Path, all: &[&[&str]]) -> Certificates {
    let (certificates, keys) = all.iter().map(|names| write(folder, names)).unzip();
    let options = TlsOptions {
        certificates,
        keys,
        client_certificates: ClientCertificates::Off,
        client_ca: None,
        http2: true,
        handshake_timeout: Duration::from_secs(10),
        loaded: None,
    };
    Certificates::load(&options).unwrap()
}

/// Both ends of a connection to that host, and the first name of the certificate that it shows.
async fn connect(
    certificates: &Certificates,
    host: &str,
) -> (Box<TlsStream<Stream>>, client::TlsStream<UnixStream>, String) {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anything))
        .with_no_client_auth();
    let (near, far) = UnixStream::pair().unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let (server, client) = tokio::join!(
        accept(certificates, Socket::Unix(far).into(), Duration::from_secs(10)),
        connector.connect(name, near)
    );
    let client = client.unwrap();
    let shown = client.get_ref().1.peer_certificates().unwrap()[0].clone();
    let name = certificate::read(&shown).unwrap().names.remove(0);
    (server.unwrap(), client, name)
}

#[tokio::test]
async fn the_certificate_is_that_of_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = load(
        folder.path(),
        &[&["one.test", "shared.test"], &["Two.test", "shared.test"], &["*.wild.test"], &["a.wild.test"]],
    );
    for (host, expected) in [
        ("one.test", "one.test"),
        ("ONE.test", "one.test"),
        ("two.test", "two.test"),
        ("shared.test", "one.test"),
        ("a.wild.test", "a.wild.test"),
        ("b.wild.test", "*.wild.test"),
        ("a.b.wild.test", "one.test"),
        ("wild.test", "one.test"),
        ("unknown.test", "one.test"),
        // No name at all.
        ("127.0.0.1", "one.test"),
    ] {
        assert_eq!(connect(&certificates, host).await.2, expected, "{host}");
    }
}
