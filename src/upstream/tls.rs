//! TLS to Karbor: whom to believe, who we are, and under which name.
//!
//! There is no way to turn verification off: who has no authority names Karbor's own certificate as one.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore};

/// What TLS to Karbor needs. Files are PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authorities that Karbor's certificate must lead to; those of the system if none.
    pub authorities: Option<PathBuf>,
    /// Our own certificate, with those between it and its authority; and its key.
    pub identity: Option<Identity>,
    /// The name that Karbor's certificate must be for; that of the endpoint if none.
    pub server_name: Option<Box<str>>,
}

/// By what Karbor knows us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificates.
    pub certificates: PathBuf,
    /// The key of the first.
    pub key: PathBuf,
}

/// What was read of [`TlsFiles`]. Cheap to clone; equal only to its clones.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM.
    #[error("cannot read {}", file.display())]
    File {
        /// The setting that names it.
        setting: &'static str,
        /// Which.
        file: PathBuf,
        /// Why not.
        #[source]
        source: pem::Error,
    },
    /// A file has nothing of what it is for.
    #[error("there is no certificate in {}", file.display())]
    Empty {
        /// The setting that names it.
        setting: &'static str,
        /// Which.
        file: PathBuf,
    },
    /// The system has no certificates.
    #[error("this system has no certificates of authorities")]
    NoAuthority,
    /// What was read is not usable.
    #[error("not usable for TLS")]
    Unusable {
        /// The setting behind it.
        setting: &'static str,
        /// Why not.
        #[source]
        source: Error,
    },
    /// No certificate can be for that name.
    #[error("no certificate can be for that name")]
    Name,
}

const AUTHORITIES: &str = "upstream.ca_file";
const CERTIFICATES: &str = "upstream.certificate_file";
const KEY: &str = "upstream.key_file";

impl TlsError {
    /// The setting that is at fault.
    #[must_use]
    pub const fn setting(&self) -> &'static str {
        match self {
            Self::File { setting, .. } | Self::Empty { setting, .. } | Self::Unusable { setting, .. } => {
                setting
            }
            Self::NoAuthority => AUTHORITIES,
            Self::Name => "upstream.server_name",
        }
    }

    /// What an operator may do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::File { .. } => "a PEM file that the user of the service may read",
            Self::Empty { .. } => "PEM: a part from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----",
            Self::NoAuthority => "name the authority of Karbor's certificate in upstream.ca_file",
            Self::Unusable { .. } => {
                "is the key that of the first certificate, and are the files the right way round?"
            }
            Self::Name => "a host name or an address",
        }
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be read, or is not what it should be.
    pub fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let unusable = |setting| move |source| TlsError::Unusable { setting, source };
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable(AUTHORITIES))?
            .with_root_certificates(authorities(files.authorities.as_deref())?);
        let mut config = match &files.identity {
            None => builder.with_no_client_auth(),
            Some(Identity { certificates, key }) => {
                let chain = certificates_in(certificates, CERTIFICATES)?;
                let key = PrivateKeyDer::from_pem_file(key).map_err(|source| TlsError::File {
                    setting: KEY,
                    file: key.clone(),
                    source,
                })?;
                builder.with_client_auth_cert(chain, key).map_err(unusable(KEY))?
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = |name: &str| ServerName::try_from(name.to_owned()).map_err(|_unusable| TlsError::Name);
        Ok(Self {
            config: Arc::new(config),
            server_name: files.server_name.as_deref().map(name).transpose()?,
        })
    }

    /// What makes TLS of a connection.
    pub(super) fn connector(&self) -> TlsConnector {
        TlsConnector::from(self.config.clone())
    }

    /// The name that the certificate of `host` must be for; none if none can be.
    pub(super) fn name_of(&self, host: &str) -> Option<ServerName<'static>> {
        self.server_name.clone().or_else(|| ServerName::try_from(host.to_owned()).ok())
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config)
    }
}

impl Eq for Tls {}

/// Without the key.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

fn authorities(file: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    match file {
        Some(file) => {
            for certificate in certificates_in(file, AUTHORITIES)? {
                store
                    .add(certificate)
                    .map_err(|source| TlsError::Unusable { setting: AUTHORITIES, source })?;
            }
        }
        None => {
            // Among those of a system there are always some that are too old to be read.
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if store.is_empty() {
                return Err(TlsError::NoAuthority);
            }
        }
    }
    Ok(store)
}

fn certificates_in(file: &Path, setting: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |source| TlsError::File { setting, file: file.to_owned(), source };
    let found: Vec<_> =
        CertificateDer::pem_file_iter(file).map_err(wrong)?.collect::<Result<_, _>>().map_err(wrong)?;
    if found.is_empty() { Err(TlsError::Empty { setting, file: file.to_owned() }) } else { Ok(found) }
}
