//! The connection to a server secured: the authorities that are believed, and what it means when it fails.
//!
//! The handshake is the library's. It believes the system's authorities beside those of the options, and it
//! never goes on without TLS where that was asked for.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, InvalidDnsNameError};
use tokio_rustls::rustls::{CertificateError, Error, RootCertStore};

use super::error::LedgerError;

/// Why a connection could not be secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFlaw {
    /// The server does not offer TLS.
    NotOffered,
    /// Nobody who is believed signed its certificate.
    Authority,
    /// Its certificate is for other hosts.
    Name,
    /// Its certificate is not valid yet, or no more.
    Time,
    /// Its certificate is wrong in another way.
    Certificate,
    /// The two do not agree on how to do it.
    Handshake,
}

impl TlsFlaw {
    /// What an operator may do about it.
    pub(super) const fn hint(self) -> &'static str {
        match self {
            Self::NotOffered => {
                "set up TLS at the server; as ledger.tls asks for it, nothing is sent without"
            }
            Self::Authority => {
                "ledger.ca_file must hold the authority that signed the server's certificate, if the system does not"
            }
            Self::Name => "the host in ledger.url must be one of the certificate's subjectAltName",
            Self::Time => "renew the server's certificate, or set the clocks right",
            Self::Certificate => {
                "it must be of X.509 version 3, not the authority's own, and name the host in its subjectAltName"
            }
            Self::Handshake => "the server must speak TLS 1.2 or later",
        }
    }

    /// What it is if the connection, or its handshake, ended with this; none where TLS is not why.
    pub(super) fn of(error: &sqlx::Error) -> Option<Self> {
        let source = match error {
            sqlx::Error::Io(error) => return error.get_ref()?.downcast_ref().and_then(Self::of_handshake),
            sqlx::Error::Tls(source) => source,
            _ => return None,
        };
        if source.is::<InvalidDnsNameError>() {
            return Some(Self::Name);
        }
        Some(source.downcast_ref().and_then(Self::of_handshake).unwrap_or(Self::NotOffered))
    }

    fn of_handshake(error: &Error) -> Option<Self> {
        match error {
            Error::InvalidCertificate(flaw) => Some(match flaw {
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::Authority,
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    Self::Name
                }
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Self::Time,
                _ => Self::Certificate,
            }),
            Error::PeerIncompatible(_) | Error::AlertReceived(_) | Error::NoApplicationProtocol => {
                Some(Self::Handshake)
            }
            // A record that cannot be read says nothing of how the next connection will fare.
            _ => None,
        }
    }
}

/// The authorities in a file, in PEM, each looked at: the library would pass over a file that has none.
pub(super) fn authorities(path: &Path) -> Result<Vec<u8>, LedgerError> {
    let unusable =
        |source: io::Error| LedgerError::CaFile { path: path.to_owned(), source: Arc::new(source) };
    let wrong = |text: String| unusable(io::Error::new(io::ErrorKind::InvalidData, text));
    let pem = fs::read(path).map_err(unusable)?;
    let mut number = 0;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        number += 1;
        let unread = |why: String| wrong(format!("certificate {number} in it cannot be read: {why}"));
        let certificate = certificate.map_err(|error| unread(error.to_string()))?;
        RootCertStore::empty().add(certificate).map_err(|error| unread(error.to_string()))?;
    }
    if number == 0 {
        return Err(wrong("there is no certificate in it".to_owned()));
    }
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio_rustls::rustls::pki_types::UnixTime;
    use tokio_rustls::rustls::{AlertDescription, PeerIncompatible};

    use super::*;

    #[track_caller]
    fn check(error: Error, expected: Option<TlsFlaw>) {
        let error = sqlx::Error::Io(io::Error::new(io::ErrorKind::InvalidData, error));
        assert_eq!(TlsFlaw::of(&error), expected, "{error}");
    }

    #[test]
    fn tells_what_is_wrong_with_a_certificate() {
        let day = |day: u64| UnixTime::since_unix_epoch(Duration::from_secs(day * 86_400));
        for (flaw, expected) in [
            (CertificateError::UnknownIssuer, TlsFlaw::Authority),
            (CertificateError::NotValidForName, TlsFlaw::Name),
            (CertificateError::Expired, TlsFlaw::Time),
            (CertificateError::ExpiredContext { time: day(2), not_after: day(1) }, TlsFlaw::Time),
            (CertificateError::NotValidYetContext { time: day(1), not_before: day(2) }, TlsFlaw::Time),
            (CertificateError::BadEncoding, TlsFlaw::Certificate),
            (CertificateError::InvalidPurpose, TlsFlaw::Certificate),
        ] {
            check(Error::InvalidCertificate(flaw), Some(expected));
        }
        check(Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon), Some(TlsFlaw::Handshake));
        check(Error::AlertReceived(AlertDescription::ProtocolVersion), Some(TlsFlaw::Handshake));
    }

    #[test]
    fn a_connection_that_breaks_is_not_insecure() {
        check(Error::DecryptError, None);
        for error in [
            sqlx::Error::Io(io::Error::from(io::ErrorKind::UnexpectedEof)),
            sqlx::Error::Io(io::Error::other("something else")),
            sqlx::Error::WorkerCrashed,
        ] {
            assert_eq!(TlsFlaw::of(&error), None, "{error}");
        }
    }
}
