//! What the upstream side is told: where Karbor listens, how long to wait, when to leave an endpoint alone.
//!
//! Leaves reading certificates to `tls`, how all this is written to `config`.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;
use http::uri::PathAndQuery;

use super::tls::{Tls, TlsError, TlsFiles};

/// Where one Karbor API listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Plain HTTP.
    Http {
        /// A name or an address, without brackets. A name may have several addresses.
        host: Box<str>,
        /// The port.
        port: u16,
    },
    /// HTTP over TLS.
    Https {
        /// As of `Http`; the certificate must be for it, unless another name is given.
        host: Box<str>,
        /// The port.
        port: u16,
    },
    /// Plain HTTP over a socket of this machine: an absolute path.
    Unix(PathBuf),
}

impl Endpoint {
    /// The host and the port, where there are such.
    #[must_use]
    pub fn authority(&self) -> Option<(&str, u16)> {
        match self {
            Self::Http { host, port } | Self::Https { host, port } => Some((host, *port)),
            Self::Unix(_) => None,
        }
    }

    /// Whether it is reached over TLS.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        matches!(self, Self::Https { .. })
    }

    /// What stands in `Host` where the client said nothing.
    #[must_use]
    pub fn host_header(&self) -> HeaderValue {
        let usual = if self.is_secure() { 443 } else { 80 };
        let text = match self.authority() {
            Some((host, port)) if port == usual => bracketed(host),
            Some((host, port)) => format!("{}:{port}", bracketed(host)),
            None => "localhost".to_owned(),
        };
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("karbor"))
    }
}

/// Plain HTTP.
impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::Http { host: address.ip().to_string().into(), port: address.port() }
    }
}

/// As it is configured, with its port.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { host, port } => write!(f, "http://{}:{port}", bracketed(host)),
            Self::Https { host, port } => write!(f, "https://{}:{port}", bracketed(host)),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// When an address is left alone, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EjectionRules {
    /// After so many failures in a row: no connection, or none of the answer.
    pub after_failures: u32,
    /// After so many answers of 502, 503 or 504 in a row; none for never.
    pub after_gateway_errors: Option<u32>,
    /// For how long at first. It doubles with each trial that fails.
    pub first: Duration,
    /// The longest.
    pub most: Duration,
}

/// A request of our own that an address must answer, from time to time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeOptions {
    /// What is asked for, with GET. Any status will do.
    pub target: PathAndQuery,
    /// Between two.
    pub period: Duration,
}

/// How many requests may be under way to Karbor, for each worker, and how many may wait to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// Under way at once; at least one.
    pub most: usize,
    /// Waiting for that.
    pub queue: usize,
    /// How long they wait.
    pub patience: Duration,
}

/// What the upstream side is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamOptions {
    /// At least one.
    pub endpoints: Vec<Endpoint>,
    /// What TLS needs.
    pub tls_files: TlsFiles,
    /// What was read of that; see [`Self::opened`].
    pub tls: Option<Tls>,
    /// To connect, name resolution and TLS included.
    pub connect_timeout: Duration,
    /// From the last byte of the request to the head of the answer.
    pub first_byte_timeout: Duration,
    /// Without any progress of a body, either way.
    pub idle_timeout: Duration,
    /// How long an idle connection is kept. Karbor's own server closes after 900 s.
    pub pool_idle_timeout: Duration,
    /// The most idle connections a worker keeps.
    pub pool_idle_per_worker: usize,
    /// Between two looks at the addresses of a name.
    pub resolve_period: Duration,
    /// When an address is left alone.
    pub ejection: EjectionRules,
    /// Whether addresses are asked without a request.
    pub probe: Option<ProbeOptions>,
    /// How many requests at once.
    pub places: Places,
}

impl UpstreamOptions {
    /// The same, with the certificates read if there is an endpoint that needs them. To be called once, before
    /// workers have them: without it, no connection to an `https://` endpoint can be made.
    ///
    /// # Errors
    /// When a file cannot be read, or is not what it should be.
    pub fn opened(mut self) -> Result<Self, TlsError> {
        if self.endpoints.iter().any(Endpoint::is_secure) {
            self.tls = Some(Tls::read(&self.tls_files)?);
        }
        Ok(self)
    }
}
