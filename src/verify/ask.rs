//! Karbor, asked with a token by a command: one GET on a connection of its own each, bounded in time and size.
//!
//! Leaves what to ask, and what the answers mean, to the parent.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

/// For one question, the whole answer included.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most bytes of an answer. A list of 1000 checkpoints of large plans is far below.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Karbor could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The address is none.
    #[error("'{0}' is no address of Karbor's: http://HOST:PORT, and a path before /v1 if there is one")]
    Address(String),
    /// The token is none.
    #[error("the token cannot stand in a header")]
    Token,
    /// An id is none.
    #[error("'{0}' cannot stand in a path")]
    Path(String),
    /// The runtime, the connection or the exchange failed.
    #[error("cannot ask Karbor at {0}")]
    Exchange(String, #[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Karbor at an address, and a token for it.
pub struct Karbor {
    authority: String,
    prefix: String,
    token: HeaderValue,
    runtime: Runtime,
}

impl Karbor {
    /// Karbor at `url`, `http://HOST:PORT` with or without a path before `/v1`. Nothing is asked yet.
    ///
    /// # Errors
    /// When the address or the token cannot be used.
    pub fn at(url: &str, token: &str) -> Result<Self, AskError> {
        let wrong = || AskError::Address(url.to_owned());
        let uri: Uri = url.parse().map_err(|_unusable| wrong())?;
        let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http") && uri.query().is_none());
        let authority = authority.ok_or_else(wrong)?;
        let port = authority.port_u16().unwrap_or(80);
        let mut token = HeaderValue::from_str(token.trim()).map_err(|_unusable| AskError::Token)?;
        token.set_sensitive(true);
        let runtime = Builder::new_current_thread().enable_all().build();
        let authority = format!("{}:{port}", authority.host());
        Ok(Self {
            runtime: runtime.map_err(|error| AskError::Exchange(authority.clone(), error.into()))?,
            authority,
            prefix: uri.path().trim_end_matches('/').to_owned(),
            token,
        })
    }

    /// Its answer to a GET of `path`, which begins with `/v1`.
    ///
    /// # Errors
    /// When there is none in time, or it is too large.
    pub fn get(&self, path: &str) -> Result<(StatusCode, Bytes), AskError> {
        let uri: Uri =
            format!("{}{path}", self.prefix).parse().map_err(|_unusable| AskError::Path(path.to_owned()))?;
        let request = Request::get(uri)
            .header(header::HOST, &self.authority)
            .header("x-auth-token", self.token.clone())
            .header(header::ACCEPT, "application/json")
            .body(Empty::new())
            .map_err(|_unusable| AskError::Path(path.to_owned()))?;
        let late = || Err(io::Error::from(io::ErrorKind::TimedOut).into());
        let asked = async { tokio::time::timeout(PATIENCE, exchange(&self.authority, request)).await };
        let answer = self.runtime.block_on(asked).unwrap_or_else(|_elapsed| late());
        answer.map_err(|error| AskError::Exchange(self.authority.clone(), error))
    }
}

type Exchanged = Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>>;

async fn exchange(authority: &str, request: Request<Empty<Bytes>>) -> Exchanged {
    let socket = TcpStream::connect(authority).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    let answered = async {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MOST_BYTES).collect().await?.to_bytes();
        Ok((parts.status, body))
    };
    tokio::pin!(answered);
    tokio::select! {
        answer = &mut answered => answer,
        ended = connection => {
            ended?;
            // What was read before the end is still to be had.
            answered.await
        }
    }
}
