//! The ledger's settings: where it is, how to log in, and what only several of them together show.
//!
//! Reads no file: a password's is read by the ledger.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use figment::value::Value;

use super::names::{self, Word};
use super::problem::{Found, Problem, Wrong};
use super::settings::Settings;
use super::written::KeyPath;
use super::{kind, network};
use crate::ledger::{Engine, LedgerOptions, MysqlOptions, MysqlTls, Password, PasswordSource};
use crate::proxy::LedgerUse;

/// The port of MariaDB and MySQL.
const MYSQL_PORT: u16 = 3306;
/// The longest name of a user or a database: MySQL's is 64 for a database, MariaDB's 128 for a user.
const NAME_BYTES: usize = 128;

/// What `ledger.url` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere.
    Off,
    /// In this file.
    Sqlite(PathBuf),
    /// On this server.
    Mysql(Server),
}

/// What a `mysql://` address says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    user: Box<str>,
    host: Box<str>,
    port: u16,
    database: Box<str>,
}

impl Server {
    /// Whether nothing on the way can listen in.
    fn is_loopback(&self) -> bool {
        match &*self.host {
            "localhost" => true,
            host => host.parse().is_ok_and(|address: IpAddr| address.is_loopback()),
        }
    }
}

/// `ledger.tls` as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tls {
    /// As the host needs it.
    Auto,
    /// This.
    Fixed(MysqlTls),
}

impl Word for Tls {
    const ALL: &[Self] = &[
        Self::Auto,
        Self::Fixed(MysqlTls::Off),
        Self::Fixed(MysqlTls::Require),
        Self::Fixed(MysqlTls::Verify),
    ];
    const HINT: Option<&str> =
        Some("\"verify\" holds the server's certificate against its name; \"require\" only encrypts");

    fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Fixed(MysqlTls::Off) => "off",
            Self::Fixed(MysqlTls::Require) => "require",
            Self::Fixed(MysqlTls::Verify) => "verify",
        }
    }
}

impl Tls {
    /// What it amounts to for that server.
    fn towards(self, server: &Server) -> MysqlTls {
        match self {
            Self::Fixed(tls) => tls,
            Self::Auto if server.is_loopback() => MysqlTls::Off,
            Self::Auto => MysqlTls::Verify,
        }
    }
}

/// Where the ledger is.
pub(super) fn place(text: &str) -> Result<Place, Wrong> {
    if text == "off" {
        return Ok(Place::Off);
    }
    if let Some(path) = text.strip_prefix("sqlite:") {
        return sqlite(path).map(Place::Sqlite);
    }
    match text.split_once("://") {
        Some(("mysql", rest)) => mysql(rest).map(Place::Mysql),
        Some(("mariadb", rest)) => {
            Err(mysql(rest).err().unwrap_or(Wrong::hint(format!("\"mysql://{rest}\" is for MariaDB too"))))
        }
        Some(_) => Err(Wrong::KIND),
        None if text.starts_with('/') && !text.contains('@') => {
            Err(Wrong::hint(format!("\"sqlite:{text}\"")))
        }
        None => Err(Wrong::KIND),
    }
}

fn sqlite(path: &str) -> Result<PathBuf, Wrong> {
    if path == ":memory:" {
        return Err(Wrong::expected("a file: a ledger in memory forgets")
            .with_hint("\"off\" for none; for a try, a file in a temporary folder"));
    }
    if let Some(path) = path.strip_prefix("//") {
        return Err(Wrong::expected("a path without slashes in front of it")
            .with_hint(format!("\"sqlite:/{}\"", path.trim_start_matches('/'))));
    }
    if path.contains('?') {
        return Err(Wrong::expected("a plain path, without parameters"));
    }
    // The working folder of a service is nobody's choice.
    if !path.starts_with('/') {
        return Err(Wrong::expected("a path that begins with a slash"));
    }
    names::file(path).map(PathBuf::from)
}

fn mysql(rest: &str) -> Result<Server, Wrong> {
    // From the last `@` on nothing is of a password; no message may show what stands before it.
    let Some((user, place)) = rest.rsplit_once('@') else {
        return Err(Wrong::expected("a user before the host")
            .with_hint("\"mysql://USER@HOST/DATABASE\"; the password has a setting of its own"));
    };
    if user.contains([':', '@', '/', '?', '#']) {
        return Err(Wrong::expected("no password in the address")
            .with_hint("`ledger.password_file`, or the variable KARBOR_ADMISSION_LEDGER__PASSWORD"));
    }
    let (authority, database) = place.split_once('/').unwrap_or((place, ""));
    if database.contains(['?', '#']) {
        return Err(Wrong::expected("no parameters").with_hint("`ledger.tls` is for TLS"));
    }
    let (host, port) = network::host_and_port(authority).map_err(|wrong| Wrong::expected(wrong.expected))?;
    Ok(Server {
        user: plain(user, "a user")?.into(),
        host: host.into(),
        port: network::port_or(port, MYSQL_PORT)?,
        database: plain(database, "a database after the host")?.into(),
    })
}

/// A name that needs no quotes anywhere.
fn plain<'t>(text: &'t str, what: &str) -> Result<&'t str, Wrong> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if (1..=NAME_BYTES).contains(&text.len()) && text.bytes().all(is_plain) {
        Ok(text)
    } else {
        Err(Wrong::expected(format!("{what}: letters, digits and - _ .")))
    }
}

/// What the ledger is told; none if there is to be none.
pub(super) fn options(settings: &Settings) -> Result<Option<LedgerOptions>, Problem> {
    let engine = match settings.text("ledger.url", place)? {
        Place::Off => return Ok(None),
        Place::Sqlite(path) => Engine::Sqlite(path),
        Place::Mysql(server) => Engine::Mysql(mysql_options(settings, server)?),
    };
    Ok(Some(LedgerOptions {
        engine,
        timeout: settings.read("ledger.timeout", kind::duration)?,
        lease: settings.read("ledger.lease", kind::duration)?,
        keep_deleted: settings.read("ledger.keep_deleted", kind::duration)?,
        queue: settings.read("ledger.queue", kind::count)?,
        connections: settings.read("ledger.connections", kind::count)?,
        migrate: settings.read("ledger.migrate", kind::flag)?,
    }))
}

fn mysql_options(settings: &Settings, server: Server) -> Result<MysqlOptions, Problem> {
    let path = |key: &str| {
        settings.optional(&KeyPath::of(key), |value| Ok(PathBuf::from(names::file(kind::text(value)?)?)))
    };
    let given = settings.optional(&KeyPath::of("ledger.password"), kind::text)?;
    let password = match (given, path("ledger.password_file")?) {
        (Some(given), _) => PasswordSource::Given(Password::new(given)),
        (None, Some(file)) => PasswordSource::File(file),
        (None, None) => PasswordSource::None,
    };
    let tls: Tls = settings.text("ledger.tls", names::word)?;
    Ok(MysqlOptions {
        password,
        tls: tls.towards(&server),
        ca_file: path("ledger.ca_file")?,
        host: server.host,
        port: server.port,
        user: server.user,
        database: server.database,
    })
}

/// How the proxy is to use it.
pub(super) fn usage(settings: &Settings) -> Result<LedgerUse, Problem> {
    Ok(LedgerUse {
        when_down: settings.text("ledger.when_down", names::word)?,
        max_answer: settings.read("ledger.max_answer", kind::size)?,
        filter_pages: settings.read("ledger.filter_pages", |value| {
            u32::try_from(kind::number(value)?).map_err(|_too_large| Wrong::KIND)
        })?,
        filter_timeout: settings.read("ledger.filter_timeout", kind::duration)?,
        proof: settings.read("ledger.proof", kind::duration)?,
    })
}

/// What cannot be meant. Values that are wrong by themselves are passed over, and so is all of it without a
/// ledger.
pub(super) fn problems(settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    if settings.text("ledger.url", place).is_ok_and(|place| place == Place::Off) {
        return problems;
    }
    if KeyPath::of("ledger.password").find(settings.values()).is_some()
        && KeyPath::of("ledger.password_file").find(settings.values()).is_some()
    {
        problems.push(at(
            settings,
            "ledger.password_file",
            "expected one password, but `ledger.password` is set too",
        ));
    }
    let duration = |key: &str| settings.read(key, kind::duration).ok();
    // What a creation waits for once it is held.
    let waits = ["upstream.queue_timeout", "upstream.first_byte_timeout", "upstream.idle_timeout"];
    let waits: Option<Duration> = waits.into_iter().map(duration).sum();
    if let (Some(lease), Some(waits)) = (duration("ledger.lease"), waits)
        && lease <= waits
    {
        let text = "expected more than `upstream.queue_timeout`, `upstream.first_byte_timeout` and \
                    `upstream.idle_timeout` together: what is still under way would be given up";
        problems.push(at(settings, "ledger.lease", text));
    }
    if let (Some(kept), Some((window, key))) = (duration("ledger.keep_deleted"), longest_window(settings))
        && kept < window
    {
        let text = format!("expected at least the window of `{key}`: what is forgotten is not counted");
        problems.push(at(settings, "ledger.keep_deleted", &text));
    }
    problems
}

/// What is allowed, but hardly meant, apart from what the quotas show.
pub(super) fn warnings(settings: &Settings) -> Vec<Problem> {
    let mut warnings = Vec::new();
    let Ok(place) = settings.text("ledger.url", place) else { return warnings };
    let Place::Mysql(server) = &place else {
        for key in ["ledger.password", "ledger.password_file", "ledger.ca_file"] {
            if KeyPath::of(key).find(settings.values()).is_some() {
                warnings.push(at(settings, key, "has no effect, as `ledger.url` is no mysql:// address"));
            }
        }
        return warnings;
    };
    let Ok(tls) = settings.text("ledger.tls", names::word::<Tls>) else { return warnings };
    let tls = tls.towards(server);
    if tls == MysqlTls::Off && !server.is_loopback() {
        warnings.push(at(settings, "ledger.tls", "maps cross the network for everybody to read"));
    }
    if tls != MysqlTls::Verify && KeyPath::of("ledger.ca_file").find(settings.values()).is_some() {
        let text = "has no effect, as no certificate is verified (`ledger.tls`)";
        warnings.push(at(settings, "ledger.ca_file", text));
    }
    warnings
}

/// The longest window of any rate, and its setting.
fn longest_window(settings: &Settings) -> Option<(Duration, KeyPath)> {
    let of = |at: KeyPath| {
        let path = at.child("creations");
        let rate = kind::rate(path.find(settings.values())?).ok()??;
        Some((rate.window, path))
    };
    let windows = quota_tables(settings).into_iter().flat_map(|at| {
        let applications = at.child("applications");
        let named: Vec<_> = settings.table(&applications).map(|(name, _)| applications.child(name)).collect();
        std::iter::once(at).chain(named).filter_map(of).collect::<Vec<_>>()
    });
    windows.max_by_key(|(window, _)| *window)
}

/// Where quotas may stand: for everybody, for each group, for each tenant.
fn quota_tables(settings: &Settings) -> Vec<KeyPath> {
    let mut tables = vec![KeyPath::of("quotas")];
    for part in ["groups", "tenants"] {
        let path = KeyPath::of(part);
        tables.extend(settings.table(&path).map(|(name, _)| path.child(name).child("quotas")));
    }
    tables
}

/// A problem with a setting, showing what stands there unless that is a secret.
fn at(settings: &Settings, key: &str, text: &str) -> Problem {
    let problem = settings.problem(key, text);
    let is_text = matches!(KeyPath::of(key).find(settings.values()), Some(Value::String(..)));
    if is_text && key == "ledger.password" { problem.found(Found::Nothing) } else { problem }
}
