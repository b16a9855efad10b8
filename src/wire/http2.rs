//! A request head of HTTP/2, held to the rules of `head` before anybody asks what it means.
//!
//! The frames and their coding are the library's business; what it hands on is a head that nobody has read
//! as strictly as ours. Whatever is refused in HTTP/1.1 is refused here, under the same code. In order:
//!
//! 1. The method is a token of at most 32 bytes; no CONNECT, extended or not.
//! 2. The scheme beside an authority is `http` or `https`; the path begins with `/` and has only characters of a URI. (The library
//!    drops a fragment; what is judged and forwarded has none.)
//! 3. The request line that this makes, and the head, are within their bounds, as HTTP/1.1 counts them.
//! 4. Field names are lower-case letters, digits and `-`; values have no control characters but tab, and
//!    neither begin nor end with a blank (RFC 9113, 8.2.1).
//! 5. `Host`, `Content-Length`, `Content-Type`, `Expect` and `X-Auth-Token` stand once; the length is digits.
//! 6. No field is about the connection (RFC 9113, 8.2.2).
//! 7. `:authority` or `Host` names the host, and where both do, the same one.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Uri};

use super::head::{HeadLimits, is_host, is_method, is_name, is_target, is_value, read_length};
use super::refusal::Refusal;

/// What a client sends first where it speaks HTTP/2 without asking (RFC 9113, 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What is left of `METHOD SP target SP HTTP/1.1`.
const REST_OF_LINE: usize = " ".len() + " HTTP/1.1".len();

/// Judges a head.
///
/// # Errors
/// The first rule broken.
pub fn check_http2(parts: &Parts, limits: &HeadLimits) -> Result<(), Refusal> {
    if parts.method == Method::CONNECT {
        return Err(Refusal::Connect);
    }
    if !is_method(parts.method.as_str().as_bytes()) {
        return Err(Refusal::RequestLine);
    }
    let target = check_target(&parts.uri)?;
    let line = parts.method.as_str().len() + target.len() + REST_OF_LINE;
    if line > limits.request_line_bytes {
        return Err(Refusal::RequestLineTooLong);
    }
    check_size(line, parts, limits)?;
    for (name, value) in &parts.headers {
        check_field(name, value)?;
    }
    for name in [header::HOST, header::CONTENT_LENGTH, header::CONTENT_TYPE, header::EXPECT, AUTH_TOKEN] {
        if parts.headers.get_all(name).iter().nth(1).is_some() {
            return Err(Refusal::FieldRepeated);
        }
    }
    if let Some(length) = parts.headers.get(header::CONTENT_LENGTH) {
        read_length(length.as_bytes())?;
    }
    check_connection(&parts.headers)?;
    check_authority(parts)
}

const AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

fn check_target(uri: &Uri) -> Result<&str, Refusal> {
    // Where `Host` stands in for the authority, the library drops the scheme.
    if !matches!((uri.scheme_str(), uri.authority()), (Some("http" | "https"), Some(_)) | (None, None)) {
        return Err(Refusal::TargetForm);
    }
    let target = uri.path_and_query().map(http::uri::PathAndQuery::as_str).unwrap_or_default();
    if !is_target(target.as_bytes()) {
        return Err(Refusal::TargetByte);
    }
    if target.starts_with('/') { Ok(target) } else { Err(Refusal::TargetForm) }
}

/// As the head would stand in HTTP/1.1, where the authority is a field.
fn check_size(line: usize, parts: &Parts, limits: &HeadLimits) -> Result<(), Refusal> {
    const AROUND_FIELD: usize = ": ".len() + "\r\n".len();
    let authority = parts.uri.authority().filter(|_| !parts.headers.contains_key(header::HOST));
    let fields = parts.headers.len() + usize::from(authority.is_some());
    let of_authority = authority.map_or(0, |host| header::HOST.as_str().len() + host.as_str().len());
    let of_fields: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let bytes = line + 2 + of_fields + of_authority + fields * AROUND_FIELD + 2;
    if fields > limits.fields || bytes > limits.head_bytes { Err(Refusal::HeadTooLarge) } else { Ok(()) }
}

fn check_field(name: &HeaderName, value: &HeaderValue) -> Result<(), Refusal> {
    if !is_name(name.as_str().as_bytes()) {
        return Err(Refusal::FieldName);
    }
    let value = value.as_bytes();
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    if blank(value.first()) || blank(value.last()) || !is_value(value) {
        return Err(Refusal::FieldValue);
    }
    Ok(())
}

fn check_connection(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Refusal::TransferEncoding);
    }
    if headers.contains_key(header::UPGRADE) {
        return Err(Refusal::Upgrade);
    }
    let about_it = ["connection", "keep-alive", "proxy-connection", "http2-settings"];
    let other_coding = headers.get_all(header::TE).iter().any(|coding| coding != "trailers");
    if other_coding || about_it.iter().any(|name| headers.contains_key(*name)) {
        return Err(Refusal::ConnectionField);
    }
    Ok(())
}

fn check_authority(parts: &Parts) -> Result<(), Refusal> {
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let host = parts.headers.get(header::HOST).map(HeaderValue::as_bytes);
    if authority.into_iter().chain(host).any(|named| !is_host(named)) {
        return Err(Refusal::Host);
    }
    match (authority, host) {
        (None, None) => Err(Refusal::Host),
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => Err(Refusal::Host),
        _ => Ok(()),
    }
}

/// Makes of a head that was found sound what its HTTP/1.1 would be: a path for a target, the authority in
/// `Host`, and one `Cookie` (RFC 9113, 8.2.3). The version stays.
pub fn as_in_http1(parts: &mut Parts) {
    let uri = std::mem::take(&mut parts.uri).into_parts();
    if let Some(authority) = uri.authority
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        parts.headers.insert(header::HOST, host);
    }
    parts.uri = uri.path_and_query.map(Uri::from).unwrap_or_default();
    let cookies: Vec<&[u8]> =
        parts.headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if cookies.len() > 1
        && let Ok(one) = HeaderValue::from_bytes(&cookies.join(&b"; "[..]))
    {
        parts.headers.insert(header::COOKIE, one);
    }
}
