//! Where spans of traces go, as written.
//!
//! The settings are there in every build, so that a file says the same to all; one that cannot export refuses an
//! address. Reads no file: that is for the exporter.

use std::path::PathBuf;

use http::uri::PathAndQuery;

use super::problem::{Problem, Wrong};
use super::settings::Settings;
use super::upstream::{endpoint, target};
use super::written::KeyPath;
use super::{kind, names};
use crate::otlp::{BUILT, OtlpOptions};
use crate::upstream::Endpoint;

const ENDPOINT: &str = "traces.endpoint";
const CA_FILE: &str = "traces.ca_file";
/// What the protocol posts spans to, where nothing else is said.
const USUAL_TARGET: &str = "/v1/traces";

/// A collector: `http://HOST[:PORT][/PATH]` or `https://…`; none for an empty text.
pub(super) fn collector(text: &str) -> Result<Option<(Endpoint, PathAndQuery)>, Wrong> {
    if text.is_empty() {
        return Ok(None);
    }
    // First: no other message may show a part of a password.
    if text.contains('@') {
        return Err(Wrong::expected("no user information"));
    }
    let example = || Wrong::hint("\"http://127.0.0.1:4318\"");
    let (_, rest) = text.split_once("://").ok_or_else(example)?;
    let at = text.len() - rest.len() + rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (place, path) = text.split_at(at);
    let path = if matches!(path, "" | "/") { USUAL_TARGET } else { path };
    Ok(Some((endpoint(place)?, target(path)?)))
}

/// What the exporter is told; none if there is to be none.
pub(super) fn options(settings: &Settings) -> Result<Option<OtlpOptions>, Problem> {
    let Some((endpoint, target)) = settings.text(ENDPOINT, collector)? else { return Ok(None) };
    Ok(Some(OtlpOptions {
        endpoint,
        target,
        authorities: settings
            .optional(&KeyPath::of(CA_FILE), |value| Ok(PathBuf::from(names::file(kind::text(value)?)?)))?,
        ratio: settings.read("traces.ratio", kind::ratio)?,
        queue_spans: settings.read("traces.queue_spans", kind::count)?,
    }))
}

/// What cannot be done.
pub(super) fn problems(settings: &Settings) -> Option<Problem> {
    let named = settings.text(ENDPOINT, collector).ok()?.is_some();
    (named && !BUILT).then(|| {
        settings
            .problem(ENDPOINT, "expected \"\": this build exports no traces")
            .hint(Some("build it with `cargo build --release --features otlp`".to_owned()))
    })
}

/// What is allowed, but hardly meant.
pub(super) fn warnings(settings: &Settings, options: Option<&OtlpOptions>) -> Option<Problem> {
    let used = options.is_some_and(|options| options.endpoint.is_secure());
    let named = KeyPath::of(CA_FILE).find(settings.values()).is_some();
    (named && !used).then(|| settings.problem(CA_FILE, "has no effect, as `traces.endpoint` is not https://"))
}
