//! Karbor, asked with a token by a command: one GET on a connection of its own each, bounded in time and size.
//!
//! Leaves what to ask, and what the answers mean, to the parent.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Request, StatusCode, Uri};
use http_body_util::Empty;
use tokio::runtime::{Builder, Runtime};

use crate::upstream::{Endpoint, Patience, Tls, TlsError, TlsFiles, ask};

/// For one question. A list of 1000 checkpoints of large plans is far below so many bytes.
const PATIENCE: Patience = Patience {
    to_connect: Duration::from_secs(10),
    in_all: Duration::from_secs(60),
    most_bytes: 64 * 1024 * 1024,
};

/// Karbor could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The address is none.
    #[error(
        "'{0}' is no address of Karbor's: http://HOST:PORT or https://HOST:PORT, and a path before /v1 if there is \
         one; or unix:/PATH"
    )]
    Address(String),
    /// What TLS needs cannot be had.
    #[error("cannot set up TLS to Karbor")]
    Tls(#[from] TlsError),
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
    endpoint: Endpoint,
    tls: Option<Tls>,
    prefix: String,
    token: HeaderValue,
    runtime: Runtime,
}

impl Karbor {
    /// Karbor at `url`, `http://HOST:PORT` or `https://HOST:PORT` with or without a path before `/v1`, or
    /// `unix:/PATH`. Of the files, those are read that it takes. Nothing is asked yet.
    ///
    /// # Errors
    /// When the address, the token or a file cannot be used.
    pub fn at(url: &str, token: &str, tls: &TlsFiles) -> Result<Self, AskError> {
        let (endpoint, prefix) = place(url).ok_or_else(|| AskError::Address(url.to_owned()))?;
        let mut token = HeaderValue::from_str(token.trim()).map_err(|_unusable| AskError::Token)?;
        token.set_sensitive(true);
        let runtime = Builder::new_current_thread().enable_all().build();
        Ok(Self {
            runtime: runtime.map_err(|error| AskError::Exchange(endpoint.to_string(), error.into()))?,
            tls: endpoint.is_secure().then(|| Tls::read(tls)).transpose()?,
            endpoint,
            prefix,
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
            .header(header::HOST, self.endpoint.host_header())
            .header("x-auth-token", self.token.clone())
            .header(header::ACCEPT, "application/json")
            .body(Empty::<Bytes>::new())
            .map_err(|_unusable| AskError::Path(path.to_owned()))?;
        let answer = self.runtime.block_on(ask(&self.endpoint, self.tls.as_ref(), request, PATIENCE));
        answer.map_err(|error| AskError::Exchange(self.endpoint.to_string(), error))
    }
}

/// The endpoint of an address, and what stands before `/v1` in its paths.
fn place(url: &str) -> Option<(Endpoint, String)> {
    if let Some(path) = url.strip_prefix("unix:") {
        return path.starts_with('/').then(|| (Endpoint::Unix(Path::new(path).into()), String::new()));
    }
    let uri: Uri = url.parse().ok()?;
    let authority = uri.authority().filter(|_| uri.query().is_none())?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').into();
    let port = authority.port_u16();
    let endpoint = match uri.scheme_str()? {
        "http" => Endpoint::Http { host, port: port.unwrap_or(80) },
        "https" => Endpoint::Https { host, port: port.unwrap_or(443) },
        _ => return None,
    };
    Some((endpoint, uri.path().trim_end_matches('/').to_owned()))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::os::unix::net::UnixListener;

    use super::*;

    #[track_caller]
    fn check(url: &str, expected: Option<(&str, &str)>) {
        let read = place(url).map(|(endpoint, prefix)| (endpoint.to_string(), prefix));
        assert_eq!(read.as_ref().map(|(endpoint, prefix)| (&**endpoint, &**prefix)), expected, "{url}");
    }

    #[test]
    fn addresses_of_karbor() {
        check("http://k", Some(("http://k:80", "")));
        check("http://k:8799/", Some(("http://k:8799", "")));
        check("HTTP://[::1]:8799/data-protect/", Some(("http://[::1]:8799", "/data-protect")));
        check("https://k", Some(("https://k:443", "")));
        check("https://10.0.0.1:1/a/b", Some(("https://10.0.0.1:1", "/a/b")));
        check("unix:/run/karbor.sock", Some(("unix:/run/karbor.sock", "")));
        for wrong in ["", "k", "k:8799", "/v1", "ftp://k", "http://k?a=b", "http://", "unix:k", "unix:"] {
            check(wrong, None);
        }
    }

    #[test]
    fn asks_over_a_unix_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("karbor.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            stream.write_all(b"HTTP/1.1 203 Whatever\r\nContent-Length: 2\r\n\r\nok").unwrap();
            head
        });
        let url = format!("unix:{}", path.display());
        let karbor = Karbor::at(&url, "token\n", &TlsFiles::default()).unwrap();
        let (status, body) = karbor.get("/v1/p/plans").unwrap();
        assert_eq!((status.as_u16(), &*body), (203, &b"ok"[..]));
        let head = serving.join().unwrap();
        assert_eq!(head[0], "GET /v1/p/plans HTTP/1.1");
        assert!(head.contains(&"x-auth-token: token".to_owned()), "{head:?}");
    }
}
