//! The settings of the admin side, and what only several of them together show: who else than this machine may read.
//!
//! Reads no file: that is for the admin side itself.

use std::path::PathBuf;
use std::time::Duration;

use super::kind;
use super::names;
use super::network;
use super::problem::{Found, Problem};
use super::settings::Settings;
use super::written::KeyPath;
use crate::admin::{AdminOptions, GuardError, Token, TokenSource};
use crate::server::{ClientCertificates, Listen, TlsOptions};

const LISTEN: &str = "admin.listen";
const TOKEN: &str = "admin.token";
const TOKEN_FILE: &str = "admin.token_file";
const CERTIFICATE: &str = "admin.tls.certificate_file";
const KEY: &str = "admin.tls.key_file";

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// What the admin side is told.
pub(super) fn options(settings: &Settings) -> Result<AdminOptions, Problem> {
    // Not as other values are read: a message would show it.
    let given = settings.optional(&KeyPath::of(TOKEN), kind::text)?;
    let token = given.map(|text| Token::new(text).ok_or_else(|| unfit(settings))).transpose()?;
    Ok(AdminOptions {
        listen: settings.text(LISTEN, network::admin_listen)?,
        unix_mode: settings.text("admin.unix_mode", network::mode)?,
        token: match (token, file(settings, TOKEN_FILE)?) {
            (Some(token), _) => TokenSource::Given(token),
            (None, Some(file)) => TokenSource::File(file),
            (None, None) => TokenSource::None,
        },
        tls: tls(settings)?,
    })
}

fn tls(settings: &Settings) -> Result<Option<TlsOptions>, Problem> {
    let files = file(settings, CERTIFICATE)?.zip(file(settings, KEY)?);
    Ok(files.map(|(certificate, key)| TlsOptions {
        certificates: vec![certificate],
        keys: vec![key],
        client_certificates: ClientCertificates::Off,
        client_ca: None,
        http2: false,
        handshake_timeout: HANDSHAKE,
        loaded: None,
    }))
}

fn file(settings: &Settings, key: &str) -> Result<Option<PathBuf>, Problem> {
    settings.optional(&KeyPath::of(key), |value| names::file(kind::text(value)?).map(PathBuf::from))
}

fn is_set(settings: &Settings, key: &str) -> bool {
    KeyPath::of(key).find(settings.values()).is_some()
}

/// What cannot be meant. Values that are wrong by themselves are passed over.
pub(super) fn problems(settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    let given = KeyPath::of(TOKEN).find(settings.values()).and_then(|token| kind::text(token).ok());
    if given.is_some_and(|token| !token.is_empty() && Token::new(token).is_none()) {
        problems.push(unfit(settings));
    }
    if is_set(settings, TOKEN) && is_set(settings, TOKEN_FILE) {
        let text = format!("expected one token, but `{TOKEN}` is set too");
        problems.push(at(settings, TOKEN_FILE, text));
    }
    for (one, other) in [(CERTIFICATE, KEY), (KEY, CERTIFICATE)] {
        if is_set(settings, one) && !is_set(settings, other) {
            problems.push(at(settings, one, format!("expected `{other}` too")));
        }
    }
    problems.extend(exposed(settings));
    problems
}

fn unfit(settings: &Settings) -> Problem {
    at(settings, TOKEN, format!("expected {}", Token::FORM))
}

/// Everybody on the network could read, or could read along.
fn exposed(settings: &Settings) -> Option<Problem> {
    if settings.text(LISTEN, network::admin_listen).ok()?.is_local() {
        return None;
    }
    let has_token = is_set(settings, TOKEN) || is_set(settings, TOKEN_FILE);
    let has_tls = is_set(settings, CERTIFICATE) || is_set(settings, KEY);
    let lacks = match (has_token, has_tls) {
        (true, true) => return None,
        (true, false) => format!("`{CERTIFICATE}` and `{KEY}`"),
        (false, true) => format!("`{TOKEN_FILE}`"),
        (false, false) => format!("`{TOKEN_FILE}`, `{CERTIFICATE}` and `{KEY}`"),
    };
    let text = format!("expected {lacks} too, as others than this machine get there");
    let hint = "or a loopback address such as \"127.0.0.1:9799\", or a unix socket";
    Some(at(settings, LISTEN, text).hint(Some(hint.to_owned())))
}

/// What is allowed, but hardly meant.
pub(super) fn warnings(settings: &Settings) -> Option<Problem> {
    let listen = settings.text(LISTEN, network::admin_listen).ok()?;
    (matches!(listen, Listen::Unix(_)) && is_set(settings, CERTIFICATE))
        .then(|| at(settings, CERTIFICATE, "has no effect, as `admin.listen` is a unix socket".to_owned()))
}

/// The problem with a file that the admin side would need.
pub(super) fn unusable(settings: &Settings, options: &AdminOptions, error: &GuardError) -> Problem {
    let source = match error {
        GuardError::Tls(error) => std::error::Error::source(error),
        GuardError::Read { .. } | GuardError::Unfit { .. } => std::error::Error::source(error),
    };
    let reason = source.map_or_else(String::new, |source| format!(": {source}"));
    let key = match error {
        GuardError::Read { .. } | GuardError::Unfit { .. } => TOKEN_FILE,
        GuardError::Tls(error) => {
            let certificates = options.tls.iter().flat_map(|tls| &tls.certificates);
            match error.file() {
                Some(file) if !certificates.into_iter().any(|own| own == file) => KEY,
                _ => CERTIFICATE,
            }
        }
    };
    at(settings, key, format!("{error}{reason}")).hint(error.hint().map(str::to_owned))
}

/// A problem with a setting, showing what stands there unless that is a secret.
fn at(settings: &Settings, key: &str, text: String) -> Problem {
    let problem = settings.problem(key, text);
    if key == TOKEN { problem.found(Found::Nothing) } else { problem }
}
