//! What the admin side is told: where to listen, and who may read.
//!
//! Files are read by [`AdminOptions::open`] alone, before any of it comes into force. Leaves what the settings are
//! called to `config`, holding requests against it to `guard`.

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;

use subtle::ConstantTimeEq as _;

use crate::server::{Listen, TlsError, TlsOptions};

/// What the admin side is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminOptions {
    /// Where to listen; loopback as shipped.
    pub listen: Listen,
    /// The mode of its unix socket.
    pub unix_mode: u32,
    /// What readers must show.
    pub token: TokenSource,
    /// TLS; none for plain HTTP. A unix socket speaks plain HTTP always.
    pub tls: Option<TlsOptions>,
}

/// Where the token comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// There is none: everybody who can connect may read.
    None,
    /// It is this one.
    Given(Token),
    /// It stands in this file, and was not read yet.
    File(PathBuf),
}

/// What a reader must show. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Box<str>);

/// What guards the admin side cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The file of the token cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// What stands in it is no token.
    #[error("{path} holds no token that can be used")]
    Unfit {
        /// Which.
        path: PathBuf,
    },
    /// A certificate or its key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl GuardError {
    /// What an operator may do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Read { .. } => Some("the file must exist, and the service must be able to read it"),
            Self::Unfit { .. } => Some(Token::FORM),
            Self::Tls(TlsError::OtherKey { .. }) => {
                Some("of a chain, the certificate of the server stands first")
            }
            Self::Tls(error) => error.hint(),
        }
    }
}

impl Token {
    /// The fewest characters: so many that guessing is hopeless.
    const LEAST: usize = 16;
    const MOST: usize = 1024;
    /// What a token looks like.
    pub const FORM: &str =
        "one line of 16 to 1024 visible ASCII characters, such as `openssl rand -hex 32` writes";

    /// The token of that text; none where it is too short, or no field of a request can hold it.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits = (Self::LEAST..=Self::MOST).contains(&text.len());
        (fits && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| Self(text.into()))
    }

    /// Whether `shown` is it, in a time that tells nothing but the length.
    #[must_use]
    pub fn is(&self, shown: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(shown).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl AdminOptions {
    /// Reads the token and the certificates, unless that was done.
    ///
    /// # Errors
    /// The first that cannot be used.
    pub fn open(&mut self) -> Result<(), GuardError> {
        if let TokenSource::File(path) = &self.token {
            let path = path.clone();
            match fs::read_to_string(&path) {
                Ok(text) => {
                    let token = Token::new(text.trim_ascii_end()).ok_or(GuardError::Unfit { path })?;
                    self.token = TokenSource::Given(token);
                }
                // Not UTF-8: no token either.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return Err(GuardError::Unfit { path });
                }
                Err(source) => return Err(GuardError::Read { path, source }),
            }
        }
        self.tls.as_mut().map_or(Ok(()), TlsOptions::open)?;
        Ok(())
    }

    /// Whether it may listen there: elsewhere than on this machine only with a token, and with TLS so that nobody
    /// on the way can read it.
    #[must_use]
    pub fn may_be_at(&self, listen: &Listen) -> bool {
        listen.is_local() || (self.token != TokenSource::None && self.tls.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens() {
        let token = Token::new("0123456789abcdef").unwrap();
        for (shown, is_it) in [
            ("0123456789abcdef", true),
            ("0123456789abcdeF", false),
            ("1123456789abcdef", false),
            ("0123456789abcde", false),
            ("0123456789abcdef0", false),
            ("", false),
        ] {
            assert_eq!(token.is(shown.as_bytes()), is_it, "{shown}");
        }
        assert_eq!(format!("{token:?}"), "***");
        for unfit in ["", "0123456789abcde", "0123456789 abcdef", "0123456789abcdef\n", "0123456789abcdeé"] {
            assert_eq!(Token::new(unfit), None, "{unfit:?}");
        }
        assert!(Token::new(&"x".repeat(1024)).is_some() && Token::new(&"x".repeat(1025)).is_none());
    }

    fn of(token: TokenSource) -> AdminOptions {
        let listen = Listen::Tcp("127.0.0.1:0".parse().unwrap());
        AdminOptions { listen, unix_mode: 0o660, token, tls: None }
    }

    #[test]
    fn a_token_is_read_from_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        for (text, expected) in [
            (&b"0123456789abcdef"[..], Ok("0123456789abcdef")),
            (b"0123456789abcdef\r\n", Ok("0123456789abcdef")),
            (b"0123456789abcdef\nmore", Err("holds no token")),
            (b"short\n", Err("holds no token")),
            (b"0123456789abcdef\xff", Err("holds no token")),
        ] {
            fs::write(&path, text).unwrap();
            let mut options = of(TokenSource::File(path.clone()));
            match (options.open(), expected) {
                (Ok(()), Ok(token)) => assert_eq!(options.token, TokenSource::Given(Token(token.into()))),
                (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
                (opened, _) => panic!("{opened:?} of {text:?}"),
            }
        }
        let missing = of(TokenSource::File(folder.path().join("none"))).open();
        assert!(matches!(missing, Err(GuardError::Read { .. })), "{missing:?}");
    }
}
