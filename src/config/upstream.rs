//! The way to Karbor, as written: endpoints, what TLS needs, when an address is left alone, how much at once.
//!
//! Leaves reading certificates to `upstream` itself.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use figment::value::Value;
use http::uri::PathAndQuery;

use super::network::{host_and_port, port_or};
use super::problem::{Found, Problem, Wrong};
use super::settings::Settings;
use super::written::{KeyPath, shown};
use super::{kind, names, network};
use crate::server::Listen;
use crate::upstream::{EjectionRules, Endpoint, Identity, Places, ProbeOptions, TlsFiles, UpstreamOptions};

/// The ports of endpoints that name none.
const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

/// Where Karbor listens: `http://HOST[:PORT]`, `https://HOST[:PORT]` or `unix:/PATH`.
pub(super) fn endpoint(text: &str) -> Result<Endpoint, Wrong> {
    if let Some(path) = text.strip_prefix("unix:") {
        return socket(path).map(Endpoint::Unix);
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        // Not repeated with an `@`: it may hold a password.
        return Err(match text {
            text if text.contains('@') => Wrong::KIND,
            text if socket(text).is_ok() => Wrong::hint(format!("\"unix:{text}\"")),
            text => Wrong::hint(with_scheme(text)),
        });
    };
    let scheme = scheme.to_ascii_lowercase();
    let usual = match scheme.as_str() {
        "http" => HTTP_PORT,
        "https" => HTTPS_PORT,
        _ => return Err(Wrong::expected("an http:// or https:// address")),
    };
    // First, and wherever it stands: no other message may show a part of a password.
    if let Some((_, host)) = rest.split_once('@') {
        let wrong = Wrong::expected("no user information");
        let bare = format!("{scheme}://{host}");
        return Err(match endpoint(&bare) {
            Ok(_) => wrong.with_hint(format!("\"{bare}\"; each request brings its own token")),
            Err(_) => wrong,
        });
    }
    let (authority, tail) = split_authority(rest);
    if tail.contains(['?', '#']) {
        return Err(Wrong::expected("no query and no fragment"));
    }
    if !matches!(tail, "" | "/") {
        let wrong = Wrong::expected("no path");
        return Err(match as_path_prefix(tail) {
            Some(prefix) => wrong.with_hint(prefix),
            None => wrong,
        });
    }
    let (host, port) = host_and_port(authority)?;
    let (host, port) = (host.into(), port_or(port, usual)?);
    Ok(if usual == HTTPS_PORT { Endpoint::Https { host, port } } else { Endpoint::Http { host, port } })
}

fn socket(path: &str) -> Result<PathBuf, Wrong> {
    if path.starts_with("//") {
        let path = path.trim_start_matches('/');
        return Err(Wrong::expected("a path with one slash in front").with_hint(format!("\"unix:/{path}\"")));
    }
    // The working folder of a service is nobody's choice.
    if !path.starts_with('/') {
        return Err(
            Wrong::expected("a path that begins with a slash").with_hint("\"unix:/run/karbor/api.sock\"")
        );
    }
    network::bound_socket_path(path)?;
    names::file(path).map(PathBuf::from)
}

/// The endpoint, and the path if there is one, that a text without a scheme seems to mean.
fn with_scheme(text: &str) -> String {
    let (authority, tail) = split_authority(text);
    let bare = format!("http://{authority}");
    match (endpoint(&bare), as_path_prefix(tail)) {
        (Ok(_), Some(prefix)) => format!("\"{bare}\" and {prefix}"),
        (Ok(_), None) => format!("\"{bare}\""),
        (Err(_), _) => "\"http://127.0.0.1:18799\"".to_owned(),
    }
}

fn split_authority(text: &str) -> (&str, &str) {
    text.split_at(text.find(['/', '?', '#']).unwrap_or(text.len()))
}

/// The setting that takes this path, if it is a right one.
fn as_path_prefix(path: &str) -> Option<String> {
    let path = path.trim_end_matches('/');
    (!path.is_empty() && path_prefix(path).is_ok()).then(|| format!("upstream.path_prefix = \"{path}\""))
}

/// What stands before `/v1`: empty, or `/` and segments.
pub(super) fn path_prefix(text: &str) -> Result<&str, Wrong> {
    if text.is_empty() {
        return Ok(text);
    }
    let Some(segments) = text.strip_prefix('/') else {
        return Err(Wrong::hint(format!("\"/{}\"", text.trim_end_matches('/'))));
    };
    if text.ends_with('/') {
        return Err(Wrong::hint(format!("without the slash at the end: \"{}\"", text.trim_end_matches('/'))));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let segment = |name: &str| !matches!(name, "" | "." | "..") && name.bytes().all(plain);
    if segments.split('/').all(segment) {
        Ok(text)
    } else {
        Err(Wrong::hint("segments of letters, digits and - . _ ~, not empty, not \".\" or \"..\""))
    }
}

/// A name that a certificate can be for.
pub(super) fn server_name(text: &str) -> Result<&str, Wrong> {
    match text.parse::<IpAddr>() {
        Ok(_) => Ok(text),
        Err(_) => match host_and_port(text)? {
            (host, None) => Ok(host),
            (_, Some(port)) if port.parse::<u16>().is_err() => Err(Wrong::KIND),
            (host, Some(_)) => Err(Wrong::expected("a name without a port").with_hint(format!("\"{host}\""))),
        },
    }
}

/// What a probe asks for.
pub(super) fn target(text: &str) -> Result<PathAndQuery, Wrong> {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    let target = PathAndQuery::try_from(text).ok().filter(|_| text.starts_with('/') && plain);
    target.ok_or_else(|| match text.starts_with('/') {
        true => Wrong::hint("printable ASCII; anything else percent-encoded"),
        false => Wrong::hint("it begins with a slash"),
    })
}

/// What the upstream side is told.
pub(super) fn options(settings: &Settings) -> Result<UpstreamOptions, Problem> {
    let duration = |key: &str| settings.read(key, kind::duration);
    let count = |key: &str| settings.read(key, kind::count);
    let number = |value: u64| u32::try_from(value).map_err(|_too_large| Wrong::KIND);
    let probe = settings.optional(&KeyPath::of("upstream.probe"), |value| target(kind::text(value)?))?;
    let probe_period = duration("upstream.probe_period")?;
    Ok(UpstreamOptions {
        endpoints: settings.list("upstream.endpoints", endpoint)?,
        tls_files: tls_files(settings)?,
        tls: None,
        connect_timeout: duration("upstream.connect_timeout")?,
        first_byte_timeout: duration("upstream.first_byte_timeout")?,
        idle_timeout: duration("upstream.idle_timeout")?,
        pool_idle_timeout: duration("upstream.pool_idle_timeout")?,
        pool_idle_per_worker: count("upstream.pool_idle_per_worker")?,
        resolve_period: duration("upstream.resolve_period")?,
        ejection: EjectionRules {
            after_failures: settings.read("upstream.eject_after", |value| number(kind::number(value)?))?,
            after_gateway_errors: settings.read("upstream.eject_after_gateway_errors", |value| {
                kind::bound(value, kind::number)?.number().filter(|&most| most > 0).map(number).transpose()
            })?,
            first: duration("upstream.eject_for")?,
            most: duration("upstream.eject_for_most")?,
        },
        probe: probe.map(|target| ProbeOptions { target, period: probe_period }),
        places: Places {
            most: count("upstream.max_requests_per_worker")?,
            queue: count("upstream.queue_per_worker")?,
            patience: duration("upstream.queue_timeout")?,
        },
    })
}

fn tls_files(settings: &Settings) -> Result<TlsFiles, Problem> {
    let file = |key: &str| {
        settings.optional(&KeyPath::of(key), |value| Ok(PathBuf::from(names::file(kind::text(value)?)?)))
    };
    let identity = (file("upstream.certificate_file")?, file("upstream.key_file")?);
    Ok(TlsFiles {
        authorities: file("upstream.ca_file")?,
        identity: match identity {
            (Some(certificates), Some(key)) => Some(Identity { certificates, key }),
            _ => None,
        },
        server_name: settings.optional(&KeyPath::of("upstream.server_name"), |value| {
            server_name(kind::text(value)?).map(Into::into)
        })?,
    })
}

/// What cannot be meant. Values that are wrong by themselves are passed over.
pub(super) fn problems(settings: &Settings) -> Vec<Problem> {
    let mut problems = collisions(settings);
    let is_set = |key: &str| KeyPath::of(key).find(settings.values()).is_some();
    for (one, other) in [
        ("upstream.certificate_file", "upstream.key_file"),
        ("upstream.key_file", "upstream.certificate_file"),
    ] {
        if is_set(one) && !is_set(other) {
            problems.push(settings.problem(one, format!("expected `{other}` too")));
        }
    }
    problems
}

/// What is allowed, but hardly meant.
pub(super) fn warnings(settings: &Settings, options: &UpstreamOptions) -> Vec<Problem> {
    let mut warnings = Vec::new();
    if !options.endpoints.iter().any(Endpoint::is_secure) {
        for key in
            ["upstream.ca_file", "upstream.certificate_file", "upstream.key_file", "upstream.server_name"]
        {
            if KeyPath::of(key).find(settings.values()).is_some() {
                warnings.push(settings.problem(key, "has no effect, as no endpoint is https://"));
            }
        }
    }
    if options.ejection.first > options.ejection.most {
        warnings.push(
            settings.problem("upstream.eject_for", "never holds, as `upstream.eject_for_most` is shorter"),
        );
    }
    warnings
}

/// The problem with what TLS needs, if there is one.
pub(super) fn unusable(settings: &Settings, error: &crate::upstream::TlsError) -> Problem {
    let reason = std::error::Error::source(error).map_or_else(String::new, |source| format!(": {source}"));
    settings.problem(error.setting(), format!("{error}{reason}")).hint(Some(error.hint().to_owned()))
}

/// Endpoints that are ours, or that stand there twice.
fn collisions(settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    let listen = settings.read("server.listen", |value| kind::one_or_more(value, network::listen));
    let listen = listen.unwrap_or_default();
    let path = KeyPath::of("upstream.endpoints");
    let Some(Value::Array(_, endpoints)) = path.find(settings.values()) else { return problems };
    let mut met = Vec::new();
    for (index, item) in endpoints.iter().enumerate() {
        let Ok(endpoint) = kind::text(item).and_then(endpoint) else { continue };
        let text = if listen.iter().any(|listen| reaches(&endpoint, listen)) {
            "expected another address than `server.listen`: requests would come back"
        } else if met.contains(&endpoint) {
            "expected each endpoint once"
        } else {
            met.push(endpoint);
            continue;
        };
        let problem = Problem::at(settings.origin(&path, Some(index)), &path, text);
        problems.push(problem.found(Found::Item(shown(item).into())));
    }
    problems
}

/// Whether a connection to the endpoint would surely reach `listen`.
fn reaches(endpoint: &Endpoint, listen: &Listen) -> bool {
    let listen = match (listen, endpoint) {
        (Listen::Tcp(address), _) => address,
        (Listen::Unix(own), Endpoint::Unix(path)) => return own == path,
        (Listen::Unix(_), _) => return false,
    };
    let Some((host, port)) = endpoint.authority() else { return false };
    let address: Option<IpAddr> =
        if host == "localhost" { Some(Ipv4Addr::LOCALHOST.into()) } else { host.parse().ok() };
    let meets = |address: IpAddr| {
        let everywhere = listen.ip().is_unspecified() && (address.is_loopback() || address.is_unspecified());
        listen.is_ipv4() == address.is_ipv4() && (listen.ip() == address || everywhere)
    };
    listen.port() == port && address.is_some_and(meets)
}
