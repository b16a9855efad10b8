//! The pages and what stands on them. Leaves connections to `mod`.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;

use super::Sources;
use crate::telemetry::metrics;

const TEXT: &str = "text/plain; charset=utf-8";

const PAGES: &str = "\
/         this list
/config   the configuration in force, and where each value came from
/livez    whether the process answers
/metrics  metrics, for Prometheus
/readyz   whether it takes requests, and what it waits for if not
";

pub(super) fn answer<B>(request: &Request<B>, sources: &Sources) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let text = format!("only GET and HEAD are answered here\n\n{PAGES}");
        let mut refusal = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, text);
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    match request.uri().path() {
        "/" => page(StatusCode::OK, TEXT, format!("karbor-admission, admin side\n\n{PAGES}")),
        "/livez" => page(StatusCode::OK, TEXT, "live\n".to_owned()),
        "/readyz" => ready(&sources.readiness.reasons()),
        "/config" => page(StatusCode::OK, TEXT, (sources.config)()),
        "/metrics" => page(StatusCode::OK, metrics::CONTENT_TYPE, sources.hub.encode()),
        _ => page(StatusCode::NOT_FOUND, TEXT, format!("no such page\n\n{PAGES}")),
    }
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
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
