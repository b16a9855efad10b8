//! The settings of TLS towards clients, and what only several of them together show.
//!
//! Reads no file: that is for the server.

use std::path::PathBuf;

use super::names::{self, Word};
use super::problem::Problem;
use super::settings::Settings;
use super::written::KeyPath;
use super::{kind, names::file};
use crate::server::{ClientCertificates, TlsError, TlsOptions};

impl Word for ClientCertificates {
    const ALL: &[Self] = &[Self::Off, Self::Optional, Self::Required];
    const HINT: Option<&str> = Some("\"required\" takes no connection without one");

    fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Optional => "optional",
            Self::Required => "required",
        }
    }
}

/// What the server is told; none for plain HTTP.
pub(super) fn options(settings: &Settings) -> Result<Option<TlsOptions>, Problem> {
    let options = TlsOptions {
        certificates: files(settings, "server.tls.certificates")?,
        keys: files(settings, "server.tls.keys")?,
        client_certificates: settings.text("server.tls.client_certificates", names::word)?,
        client_ca: settings.optional(&KeyPath::of("server.tls.client_ca"), |value| {
            file(kind::text(value)?).map(PathBuf::from)
        })?,
        http2: settings.read("server.http2", kind::flag)?,
        handshake_timeout: settings.read("server.tls.handshake_timeout", kind::duration)?,
        loaded: None,
    };
    Ok(Some(options).filter(|options| !options.certificates.is_empty()))
}

fn files(settings: &Settings, key: &str) -> Result<Vec<PathBuf>, Problem> {
    settings.list(key, |text| file(text).map(PathBuf::from))
}

/// What is wrong with them together. Values that are wrong by themselves are passed over.
pub(super) fn problems(settings: &Settings) -> Option<Problem> {
    let count = |key| files(settings, key).ok().map(|files| files.len());
    let (certificates, keys) = (count("server.tls.certificates")?, count("server.tls.keys")?);
    if certificates != keys {
        let text = format!("expected as many as `server.tls.certificates` has: {certificates}");
        let hint = "a file that holds both is named in both";
        return Some(settings.problem("server.tls.keys", text).hint(Some(hint.to_owned())));
    }
    let clients: ClientCertificates = settings.text("server.tls.client_certificates", names::word).ok()?;
    let has_ca = KeyPath::of("server.tls.client_ca").find(settings.values()).is_some();
    let (key, text) = match clients {
        ClientCertificates::Off if has_ca => {
            ("server.tls.client_ca", "nobody is asked: `server.tls.client_certificates` is \"off\"")
        }
        ClientCertificates::Off => return None,
        _ if certificates == 0 => {
            ("server.tls.client_certificates", "expected \"off\": there are no `server.tls.certificates`")
        }
        _ if !has_ca => ("server.tls.client_certificates", "expected `server.tls.client_ca` beside it"),
        _ => return None,
    };
    Some(settings.problem(key, text.to_owned()))
}

/// The problem with a file that the server would need.
pub(super) fn unusable(settings: &Settings, options: &TlsOptions, error: &TlsError) -> Problem {
    let reason = std::error::Error::source(error).map_or_else(String::new, |source| format!(": {source}"));
    let setting = match error.file() {
        Some(file) if options.client_ca.as_deref() == Some(file) => "server.tls.client_ca",
        Some(file) if options.certificates.iter().any(|own| own == file) => "server.tls.certificates",
        Some(_) => "server.tls.keys",
        None => "server.tls.certificates",
    };
    settings.problem(setting, format!("{error}{reason}")).hint(error.hint().map(str::to_owned))
}
