//! The pages and what stands on them. Leaves connections to `mod`, who may read to `guard`.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;

use super::Sources;
use super::guard::Guard;
use crate::telemetry::metrics;

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

const PAGES: &[(&str, &str)] = &[
    ("config", "the configuration in force, and where each value came from"),
    ("metrics", "metrics, for Prometheus"),
    ("livez", "whether the process answers"),
    ("readyz", "whether it takes requests, and what it waits for if not"),
];

pub(super) fn answer<B>(request: &Request<B>, sources: &Sources, guard: &Guard) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let refusal =
            page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD are answered here\n".to_owned());
        return with(refusal, ALLOW, "GET, HEAD");
    }
    let path = request.uri().path();
    if !guard.admits(path, request.headers()) {
        let refusal =
            page(StatusCode::UNAUTHORIZED, TEXT, "this needs the token of the admin side\n".to_owned());
        return with(refusal, WWW_AUTHENTICATE, "Bearer realm=\"karbor-admission\"");
    }
    match path {
        "/" => with(page(StatusCode::OK, HTML, start()), CONTENT_SECURITY_POLICY, NOTHING),
        "/livez" => page(StatusCode::OK, TEXT, "live\n".to_owned()),
        "/readyz" => ready(&sources.readiness.reasons()),
        "/config" => page(StatusCode::OK, TEXT, (sources.config)()),
        "/metrics" => page(StatusCode::OK, metrics::CONTENT_TYPE, sources.hub.encode()),
        _ => page(StatusCode::NOT_FOUND, TEXT, format!("no such page\n\n{}", list())),
    }
}

/// For pages without a style.
const NOTHING: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Where everything is, for a browser.
fn start() -> String {
    let links: String = PAGES
        .iter()
        .map(|(name, what)| format!("<li><a href=\"{name}\">/{name}</a>: {what}</li>\n"))
        .collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>karbor-admission</title>\n</head>\n\
         <body>\n<h1>karbor-admission, admin side</h1>\n<ul>\n{links}</ul>\n</body>\n</html>\n"
    )
}

/// The same, for a terminal.
fn list() -> String {
    PAGES.iter().map(|(name, what)| format!("/{name:<8} {what}\n")).collect()
}

fn ready(reasons: &[String]) -> Response<Full<Bytes>> {
    if reasons.is_empty() {
        page(StatusCode::OK, TEXT, "ready\n".to_owned())
    } else {
        page(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("not ready\n{}\n", reasons.join("\n")))
    }
}

fn page(status: StatusCode, content_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let response = with(response, CONTENT_TYPE, content_type);
    let response = with(response, CACHE_CONTROL, "no-store");
    let response = with(response, REFERRER_POLICY, "no-referrer");
    with(response, X_CONTENT_TYPE_OPTIONS, "nosniff")
}

fn with(mut response: Response<Full<Bytes>>, name: HeaderName, value: &'static str) -> Response<Full<Bytes>> {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response
}
