//! TLS towards clients: what is configured, what was loaded, and the handshake.
//!
//! rustls with ring, 1.2 and 1.3. Loading has no effect, and what was loaded cannot fail to come into force; so a
//! reload is all or nothing. Connections keep what they began with. Leaves certificates as bytes to `certificate`, the files
//! to `load`.

mod certificate;
mod load;
mod names;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::Error;
use tokio_rustls::server::TlsStream;

pub use load::{Certificates, TlsError};

use super::socket::Stream;
use crate::telemetry::metrics::Handshake;

/// Whether clients show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are not asked.
    Off,
    /// They may; one that is shown must be sound.
    Optional,
    /// Without a sound one there is no connection.
    Required,
}

/// What the server side is told of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// Files of certificate chains, PEM. The first answers clients that name no host, or an unknown one.
    pub certificates: Vec<PathBuf>,
    /// Files of their keys, in the same order.
    pub keys: Vec<PathBuf>,
    /// Whether clients show a certificate.
    pub client_certificates: ClientCertificates,
    /// The certificates that those of clients must lead to.
    pub client_ca: Option<PathBuf>,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
    /// From the first byte of a connection to the end of its handshake.
    pub handshake_timeout: Duration,
    /// What was read of the files; see [`Self::open`].
    pub loaded: Option<Certificates>,
}

impl TlsOptions {
    /// Reads the files, unless that was done. Without effect where it fails.
    ///
    /// # Errors
    /// The first that cannot be used.
    pub fn open(&mut self) -> Result<(), TlsError> {
        if self.loaded.is_none() {
            self.loaded = Some(Certificates::load(self)?);
        }
        Ok(())
    }
}

/// The handshake with a client, with these certificates.
pub(super) async fn accept(
    certificates: &Certificates,
    stream: Stream,
    most: Duration,
) -> Result<Box<TlsStream<Stream>>, Handshake> {
    let acceptor = TlsAcceptor::from(certificates.config.clone());
    let shaken = acceptor.accept_with(stream, |connection| {
        connection.set_buffer_limit(Some(BUFFER_BYTES));
    });
    match timeout(most, shaken).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            Err(outcome_of(&error))
        }
        Err(_elapsed) => Err(Handshake::Late),
    }
}

/// The most plaintext that waits to be encrypted and taken.
const BUFFER_BYTES: usize = 32 * 1024;

fn outcome_of(error: &std::io::Error) -> Handshake {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match tls {
        Some(Error::NoCertificatesPresented | Error::InvalidCertificate(_)) => Handshake::ClientCertificate,
        Some(_) => Handshake::Failed,
        None => Handshake::Left,
    }
}

/// The subject of the certificate that the client showed, where it showed one.
pub(super) fn subject_of(stream: &TlsStream<Stream>) -> Option<Rc<str>> {
    let (_, connection) = stream.get_ref();
    let shown = connection.peer_certificates()?.first()?;
    Some(certificate::read(shown)?.subject.into())
}
