//! What the ledger is told: which engine, where, how long, how many.
//!
//! Leaves what the file calls it to `config`. A password never shows in `Debug`.

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// What the ledger is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerOptions {
    /// Where the entries are kept.
    pub engine: Engine,
    /// For one call, waiting in the queue included.
    pub timeout: Duration,
    /// How long a reservation whose outcome is unknown is charged.
    pub lease: Duration,
    /// How long the entry of a deleted checkpoint stays readable.
    pub keep_deleted: Duration,
    /// Calls that may wait, all workers together; at least 1. Further ones fail at once.
    pub queue: usize,
    /// Connections of this process to MariaDB or MySQL; at least 1. SQLite has its own way.
    pub connections: usize,
    /// Whether an older schema is migrated at start. Otherwise it is refused.
    pub migrate: bool,
}

/// Where the entries are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    /// A file of this machine; made with its folder if there is none. For one proxy.
    Sqlite(PathBuf),
    /// A MariaDB or MySQL server, Galera included. For several proxies before one Karbor.
    Mysql(MysqlOptions),
}

/// A MariaDB or MySQL server and how to log in to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MysqlOptions {
    /// A name or an address, without brackets.
    pub host: Box<str>,
    /// Its port.
    pub port: u16,
    /// Whom to log in as.
    pub user: Box<str>,
    /// Where the password comes from.
    pub password: PasswordSource,
    /// The database that holds our tables; it must exist.
    pub database: Box<str>,
    /// How the connection is secured.
    pub tls: MysqlTls,
    /// Authorities, as certificates in PEM, that are believed beside those of the system. Read at each login
    /// where the certificate is verified, and only there.
    pub ca_file: Option<PathBuf>,
}

/// How the connection to a MariaDB or MySQL server is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MysqlTls {
    /// Not at all.
    Off,
    /// Encrypted; whoever answers is believed.
    Require,
    /// Encrypted; the certificate must be sound and name the host.
    Verify,
}

/// Where a password comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSource {
    /// There is none.
    None,
    /// It is this one.
    Given(Password),
    /// It stands in this file.
    File(PathBuf),
}

impl PasswordSource {
    /// The password, without the newline at the end of its file. Reads the file anew each time.
    ///
    /// # Errors
    /// The file cannot be read, or is not UTF-8.
    pub fn read(&self) -> io::Result<Option<Password>> {
        match self {
            Self::None => Ok(None),
            Self::Given(password) => Ok(Some(password.clone())),
            Self::File(path) => {
                let text = fs::read_to_string(path)?;
                let text = text.strip_suffix('\n').unwrap_or(&text);
                Ok(Some(Password::new(text.strip_suffix('\r').unwrap_or(text))))
            }
        }
    }
}

/// A password. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<str>);

impl Password {
    /// The password of that text.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// Its text, for the one who logs in.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "that is how a test fails")]

    use super::*;

    #[test]
    fn debug_does_not_show_the_password() {
        let options = MysqlOptions {
            host: "db".into(),
            port: 3306,
            user: "karbor".into(),
            password: PasswordSource::Given(Password::new("hunter2")),
            database: "ledger".into(),
            tls: MysqlTls::Verify,
            ca_file: None,
        };
        let shown = format!("{options:?} {options:#?}");
        assert!(shown.contains("***") && !shown.contains("hunter2"), "{shown}");
    }

    #[track_caller]
    fn check(name: &str, text: &str, expected: &str) {
        let path = std::env::temp_dir().join(format!("karbor-password-{}-{name}", std::process::id()));
        fs::write(&path, text).unwrap();
        let read = PasswordSource::File(path.clone()).read();
        fs::remove_file(&path).unwrap();
        assert_eq!(read.unwrap().unwrap().reveal(), expected, "{text:?}");
    }

    #[test]
    fn drops_one_newline_at_the_end() {
        check("bare", "secret", "secret");
        check("newline", "secret\n", "secret");
        check("crlf", "secret\r\n", "secret");
        check("two", "secret\n\n", "secret\n");
        check("spaces", " se cret ", " se cret ");
        check("empty", "", "");
    }

    #[test]
    fn says_when_there_is_no_file() {
        let missing = PasswordSource::File("/nonexistent/password".into());
        assert_eq!(missing.read().unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(PasswordSource::None.read().unwrap(), None);
    }
}
