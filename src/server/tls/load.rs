//! Certificates and keys from their files, and what is wrong with them.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{NoClientAuth, VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error, InconsistentKeys, RootCertStore, ServerConfig, version};

use super::certificate::{self, Facts};
use super::names::ByName;
use super::{ClientCertificates, TlsOptions};

/// Certificates that were loaded. Equal only to its clones.
#[derive(Clone, Debug)]
pub struct Certificates {
    pub(super) config: Arc<ServerConfig>,
    expiries: Vec<(PathBuf, i64)>,
}

impl PartialEq for Certificates {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config)
    }
}

impl Eq for Certificates {}

/// A certificate or a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file holds no certificate in PEM.
    #[error("{0} holds no certificate that can be read")]
    NoCertificate(PathBuf),
    /// A file holds no key in PEM, or one we cannot use.
    #[error("{0} holds no private key that can be used")]
    NoKey(PathBuf),
    /// A key is another certificate's.
    #[error("the key in {key} is not that of the certificate in {certificate}")]
    OtherKey {
        /// The file of the key.
        key: PathBuf,
        /// The file of the certificate.
        certificate: PathBuf,
    },
    /// A certificate holds no longer.
    #[error("the certificate in {path} expired at {at}")]
    Expired {
        /// The file.
        path: PathBuf,
        /// When: UTC.
        at: String,
    },
    /// The authority for clients' certificates cannot be used.
    #[error("{path} cannot be used to verify the certificates of clients")]
    ClientCa {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: VerifierBuilderError,
    },
    /// The library refuses what it was told.
    #[error("TLS cannot be set up")]
    Library(#[from] Error),
}

impl TlsError {
    /// The file that it is about.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Read { path, .. } | Self::Expired { path, .. } | Self::ClientCa { path, .. } => Some(path),
            Self::NoCertificate(path) | Self::NoKey(path) | Self::OtherKey { key: path, .. } => Some(path),
            Self::Library(_) => None,
        }
    }

    /// What an operator may do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Read { .. } => "the file must exist, and the service must be able to read it",
            Self::NoCertificate(_) => {
                "a certificate begins with -----BEGIN CERTIFICATE-----, those of its authorities follow it"
            }
            Self::NoKey(_) => {
                "a key begins with -----BEGIN PRIVATE KEY-----, is RSA, ECDSA or Ed25519, and has no password"
            }
            Self::OtherKey { .. } => {
                "server.tls.certificates and server.tls.keys are in the same order; of a chain, the certificate of the server stands first"
            }
            Self::Expired { .. } => "renew it; the clock of this machine counts",
            Self::ClientCa { .. } => "server.tls.client_ca holds the certificates of authorities, in PEM",
            Self::Library(_) => return None,
        })
    }
}

impl Certificates {
    /// Reads every file and puts them together. Has no effect by itself.
    ///
    /// # Errors
    /// The first that cannot be used.
    pub fn load(options: &TlsOptions) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let mut by_name: Option<ByName> = None;
        let mut expiries = Vec::new();
        for (path, key) in options.certificates.iter().zip(&options.keys) {
            let (certified, facts) = certificate_and_key(path, key, &provider)?;
            let among = by_name.get_or_insert_with(|| ByName::new(certified.clone()));
            for name in facts.names {
                among.add(name, &certified);
            }
            expiries.push((path.clone(), facts.not_after));
        }
        let Some(by_name) = by_name else {
            return Err(Error::General("no certificate is configured".to_owned()).into());
        };
        let mut config = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
            .with_client_cert_verifier(client_verifier(options, provider)?)
            .with_cert_resolver(Arc::new(by_name));
        let offered: &[&[u8]] = if options.http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
        Ok(Self { config: Arc::new(config), expiries })
    }

    /// Until when each holds, by its file, in seconds since 1970.
    #[must_use]
    pub fn expiries(&self) -> &[(PathBuf, i64)] {
        &self.expiries
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(path)?;
    let chain: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(&pem).collect();
    chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| TlsError::NoCertificate(path.to_owned()))
}

fn certificate_and_key(
    path: &Path,
    key_path: &Path,
    provider: &CryptoProvider,
) -> Result<(Arc<CertifiedKey>, Facts), TlsError> {
    let chain = chain(path)?;
    let facts = chain.first().and_then(|first| certificate::read(first));
    let facts = facts.ok_or_else(|| TlsError::NoCertificate(path.to_owned()))?;
    check_validity(path, &facts)?;
    let unusable = || TlsError::NoKey(key_path.to_owned());
    let key = PrivateKeyDer::from_pem_slice(&read(key_path)?).map_err(|_not_a_key| unusable())?;
    warn_of_readers(key_path);
    let key = provider.key_provider.load_private_key(key).map_err(|_unknown| unusable())?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok((Arc::new(certified), facts)),
        Err(Error::InconsistentKeys(_)) => {
            Err(TlsError::OtherKey { key: key_path.to_owned(), certificate: path.to_owned() })
        }
        Err(_malformed) => Err(TlsError::NoCertificate(path.to_owned())),
    }
}

fn check_validity(path: &Path, facts: &Facts) -> Result<(), TlsError> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if facts.not_after < now {
        let at = u64::try_from(facts.not_after).unwrap_or_default();
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(at);
        let at = humantime::format_rfc3339_seconds(at).to_string();
        return Err(TlsError::Expired { path: path.to_owned(), at });
    }
    if facts.not_before > now {
        tracing::warn!(path = %path.display(), "the certificate does not hold yet; clients will refuse it");
    }
    Ok(())
}

fn warn_of_readers(path: &Path) {
    let mode = fs::metadata(path).map_or(0, |file| file.permissions().mode());
    if mode & 0o004 != 0 {
        let hint = "chmod o-r, and give the service's group the right to read";
        tracing::warn!(path = %path.display(), hint, "everybody on this machine may read the private key");
    }
}

fn client_verifier(
    options: &TlsOptions,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let path = match (&options.client_ca, options.client_certificates) {
        (_, ClientCertificates::Off) => return Ok(Arc::new(NoClientAuth)),
        (Some(path), _) => path,
        (None, _) => {
            return Err(
                Error::General("no authority for certificates of clients is configured".to_owned()).into()
            );
        }
    };
    let mut roots = RootCertStore::empty();
    for authority in chain(path)? {
        roots.add(authority).map_err(|_unusable| TlsError::NoCertificate(path.clone()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match options.client_certificates {
        ClientCertificates::Optional => builder.allow_unauthenticated(),
        _ => builder,
    };
    builder.build().map_err(|source| TlsError::ClientCa { path: path.clone(), source })
}
