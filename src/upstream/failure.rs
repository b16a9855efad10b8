//! Why Karbor gave no answer, and whether it may have seen the request.

use std::io;

use super::prelude::was_too_long;
use crate::telemetry::metrics::UpstreamFailure;

/// Karbor gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No connection could be made; nothing was sent.
    #[error("cannot connect to {endpoint}")]
    Connect {
        /// Where to.
        endpoint: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The connection was not there in time; nothing was sent.
    #[error("no connection to {endpoint} in time")]
    ConnectTimeout {
        /// Where to.
        endpoint: String,
    },
    /// No endpoint is configured; nothing was sent.
    #[error("no endpoint is configured")]
    NoEndpoint,
    /// The connection ended before the head of the answer.
    #[error("the exchange with karbor failed")]
    Exchange {
        /// What happened to it.
        #[source]
        source: hyper::Error,
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
    pub(super) fn of_exchange(source: hyper::Error, sent: bool) -> Self {
        Self::Exchange { source, sent }
    }

    /// An answer that was read, not streamed, broke off.
    #[must_use]
    pub fn broke_off(source: hyper::Error) -> Self {
        Self::of_exchange(source, true)
    }

    /// Whether Karbor may have seen the request, and carried it out.
    #[must_use]
    pub const fn was_sent(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::ConnectTimeout { .. } | Self::NoEndpoint | Self::Question(_) => {
                false
            }
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

    /// The kind, for metrics.
    #[must_use]
    pub fn kind(&self) -> UpstreamFailure {
        match self {
            Self::Connect { .. } | Self::NoEndpoint => UpstreamFailure::Connect,
            Self::ConnectTimeout { .. } => UpstreamFailure::ConnectTimeout,
            Self::Exchange { source, .. } if source.is_parse() || was_too_long(source) => {
                UpstreamFailure::Protocol
            }
            Self::Exchange { source, .. } if source.is_incomplete_message() => UpstreamFailure::Closed,
            Self::Exchange { .. } => UpstreamFailure::Reset,
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
            Self::Connect { .. } | Self::NoEndpoint => {
                "is karbor-api running, and is upstream.endpoints its address?"
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
