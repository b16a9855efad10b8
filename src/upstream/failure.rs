//! Why Karbor gave no answer, and whether it may have seen the request.

use std::io;
use std::time::Duration;

use crate::telemetry::metrics::UpstreamFailure;
use crate::wire::BadAnswer;

/// An exchange that began, and broke.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The connection failed.
    #[error("the connection failed")]
    Connection(#[source] io::Error),
    /// What came is no answer, or no whole one.
    #[error(transparent)]
    Answer(#[from] BadAnswer),
    /// The request's own body failed, for the reason that it gave.
    #[error("the body of the request failed")]
    Request(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Karbor gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No connection could be made; nothing was sent.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where to: an address, or an endpoint whose name has none.
        address: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The connection was not there in time; nothing was sent.
    #[error("no connection to {address} in time")]
    ConnectTimeout {
        /// Where to.
        address: String,
    },
    /// TLS was not agreed on; nothing was sent.
    #[error("cannot speak TLS with {address}")]
    Tls {
        /// With whom.
        address: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Every address failed again and again, and is left alone for a while; nothing was sent.
    #[error("karbor is down, as far as is known")]
    AllEjected {
        /// When the next request will be let through.
        retry_after: Duration,
    },
    /// As many requests as may be were under way, and waiting; nothing was sent.
    #[error("too many requests wait for karbor")]
    QueueFull,
    /// As many requests as may be were under way for too long; nothing was sent.
    #[error("too many requests are under way to karbor")]
    QueueTimeout,
    /// The connection ended before the head of the answer.
    #[error("the exchange with karbor failed")]
    Exchange {
        /// What happened to it.
        #[source]
        source: Broken,
        /// Whether a byte of the request may have been sent.
        sent: bool,
    },
    /// The head of the answer did not come in time.
    #[error("karbor did not answer in time")]
    FirstByteTimeout,
    /// The answer began, and then stood still. Only where it is read, not streamed.
    #[error("karbor's answer stopped midway")]
    AnswerStalled,
    /// What had to be asked first was not answered; the request itself was not sent.
    #[error("karbor did not answer a question that comes before the request")]
    Question(#[source] Box<Failure>),
    /// An answer that must not be passed on.
    #[error("karbor gave an answer that cannot be passed on: {0}")]
    Answer(&'static str),
}

impl Failure {
    pub(super) fn of_exchange(source: Broken, sent: bool) -> Self {
        Self::Exchange { source, sent }
    }

    /// An answer that was read, not streamed, broke off.
    #[must_use]
    pub fn broke_off(source: Broken) -> Self {
        Self::of_exchange(source, true)
    }

    /// Whether Karbor may have seen the request, and carried it out.
    #[must_use]
    pub const fn was_sent(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::Tls { .. }
            | Self::AllEjected { .. }
            | Self::QueueFull
            | Self::QueueTimeout
            | Self::Question(_) => false,
            Self::Exchange { sent, .. } => *sent,
            Self::FirstByteTimeout | Self::AnswerStalled | Self::Answer(_) => true,
        }
    }

    /// Whether it was a matter of time.
    #[must_use]
    pub fn was_late(&self) -> bool {
        match self {
            Self::Question(failure) => failure.was_late(),
            _ => matches!(self, Self::ConnectTimeout { .. } | Self::FirstByteTimeout | Self::AnswerStalled),
        }
    }

    /// When the client may try again, where Karbor was not even tried.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::AllEjected { retry_after } => Some(*retry_after),
            Self::QueueFull | Self::QueueTimeout => Some(Duration::from_secs(1)),
            Self::Question(failure) => failure.retry_after(),
            _ => None,
        }
    }

    /// Whether the address is to blame, that had the request on a new connection: not the client, whose body may
    /// have broken off.
    pub(super) fn is_of_address(&self) -> bool {
        matches!(self, Self::Exchange { source, .. } if !matches!(source, Broken::Request(_)))
    }

    /// The kind, for metrics.
    #[must_use]
    pub fn kind(&self) -> UpstreamFailure {
        match self {
            Self::Connect { .. } => UpstreamFailure::Connect,
            Self::Tls { .. } => UpstreamFailure::Tls,
            Self::AllEjected { .. } => UpstreamFailure::AllEjected,
            Self::QueueFull => UpstreamFailure::QueueFull,
            Self::QueueTimeout => UpstreamFailure::QueueTimeout,
            Self::ConnectTimeout { .. } => UpstreamFailure::ConnectTimeout,
            Self::Exchange { source: Broken::Answer(BadAnswer::Closed), .. } => UpstreamFailure::Closed,
            Self::Exchange { source: Broken::Answer(_), .. } => UpstreamFailure::Protocol,
            Self::Exchange { source: Broken::Connection(_) | Broken::Request(_), .. } => {
                UpstreamFailure::Reset
            }
            Self::FirstByteTimeout => UpstreamFailure::FirstByteTimeout,
            Self::AnswerStalled => UpstreamFailure::IdleTimeout,
            Self::Question(failure) => failure.kind(),
            Self::Answer(_) => UpstreamFailure::Protocol,
        }
    }

    /// What an operator may look at.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Connect { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "this user must be able to write to the socket and to enter its folder"
            }
            Self::Connect { .. } => "is karbor-api running, and is upstream.endpoints its address?",
            Self::Tls { .. } => {
                "must its certificate lead to upstream.ca_file, or be for upstream.server_name, or does it ask for ours?"
            }
            Self::AllEjected { .. } => "the log says why each address of upstream.endpoints is left alone",
            Self::QueueFull | Self::QueueTimeout => {
                "karbor-api is too slow for so many requests, or upstream.max_requests_per_worker is too low"
            }
            Self::ConnectTimeout { .. } => "a firewall that drops, or upstream.connect_timeout is too short",
            Self::Exchange { .. } => "karbor-api closed the connection: look into its log, was it restarted?",
            Self::FirstByteTimeout => {
                "karbor-api is slow, often its message bus: look there, or raise upstream.first_byte_timeout"
            }
            Self::AnswerStalled => "karbor-api hung while it answered, or upstream.idle_timeout is too short",
            Self::Question(failure) => failure.hint(),
            Self::Answer(_) => "is upstream.endpoints a Karbor API?",
        }
    }
}
