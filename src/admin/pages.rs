//! The pages and what stands on them. Leaves connections to `mod`, who may read to `guard`, `/status` to `status`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;

use super::Sources;
use super::guard::Guard;
use super::status::{self, Numbers, Status, Trend};
use crate::telemetry::metrics;

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// How often a browser may be told to ask again, in seconds.
const REFRESH: std::ops::RangeInclusive<u32> = 2..=3600;

const PAGES: &[(&str, &str)] = &[
    ("status", "how everything stands, as a page or as JSON"),
    ("config", "the configuration in force, and where each value came from"),
    ("metrics", "metrics, for Prometheus"),
    ("livez", "whether the process answers"),
    ("readyz", "whether it takes requests, and what it waits for if not"),
];

/// What the pages are made of.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) sources: Sources,
    pub(super) trend: Arc<Mutex<Trend>>,
}

impl Desk {
    pub(super) fn new(sources: Sources) -> Self {
        Self { sources, trend: Arc::default() }
    }

    /// A minute is over.
    pub(super) fn close_minute(&self) {
        let tallies = self.sources.hub.tallies();
        self.trend.lock().unwrap_or_else(PoisonError::into_inner).close(&tallies);
    }

    fn status(&self) -> Status {
        let (reasons, hub) = (self.sources.readiness.reasons(), &self.sources.hub);
        let (glance, tallies) = (hub.glance(), hub.tallies());
        let report = (self.sources.report)();
        let trend = self.trend.lock().unwrap_or_else(PoisonError::into_inner);
        Status::of(report, Numbers { reasons, glance, tallies, trend: &trend }, SystemTime::now())
    }
}

pub(super) fn answer<B>(request: &Request<B>, desk: &Desk, guard: &Guard) -> Response<Full<Bytes>> {
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
    if !guard.is_meant(path, request.headers()) {
        let text = "ask for this by its address or as localhost, or set admin.token_file\n".to_owned();
        return page(StatusCode::MISDIRECTED_REQUEST, TEXT, text);
    }
    let sources = &desk.sources;
    match path {
        "/" => with(page(StatusCode::OK, HTML, start()), CONTENT_SECURITY_POLICY, NOTHING),
        "/livez" => page(StatusCode::OK, TEXT, "live\n".to_owned()),
        "/readyz" => ready(&sources.readiness.reasons()),
        "/config" => page(StatusCode::OK, TEXT, (sources.config)()),
        "/metrics" => page(StatusCode::OK, metrics::CONTENT_TYPE, sources.hub.encode()),
        "/status" => status_page(&desk.status(), request.headers(), request.uri()),
        _ => page(StatusCode::NOT_FOUND, TEXT, format!("no such page\n\n{}", list())),
    }
}

/// For pages without a style.
const NOTHING: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

fn status_page(status: &Status, headers: &HeaderMap, uri: &Uri) -> Response<Full<Bytes>> {
    let accept = headers.get_all(ACCEPT).into_iter().filter_map(|field| field.to_str().ok());
    let answer = if status::prefers_json(accept) {
        page(StatusCode::OK, JSON, status.to_json())
    } else {
        let html = page(StatusCode::OK, HTML, status.to_html(refresh(uri.query())));
        with(html, CONTENT_SECURITY_POLICY, status::CONTENT_SECURITY_POLICY)
    };
    with(answer, VARY, "accept")
}

/// After how many seconds the browser is to ask again, by the query; never where it does not say so.
fn refresh(query: Option<&str>) -> Option<u32> {
    let wanted = query?.split('&').find_map(|part| part.strip_prefix("refresh="))?;
    let seconds: u32 = wanted.parse().ok()?;
    Some(seconds.clamp(*REFRESH.start(), *REFRESH.end()))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refreshes_only_where_asked() {
        for (query, expected) in [
            (None, None),
            (Some(""), None),
            (Some("refresh"), None),
            (Some("refresh="), None),
            (Some("refresh=-1"), None),
            (Some("refresh=1e3"), None),
            (Some("refresh=10\"><script>"), None),
            (Some("x=1&refresh=10"), Some(10)),
            (Some("refresh=0"), Some(2)),
            (Some("refresh=4000000000"), Some(3600)),
            (Some("refresh=4294967296"), None),
        ] {
            assert_eq!(refresh(query), expected, "{query:?}");
        }
    }
}
