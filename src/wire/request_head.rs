//! The head of a request, written: the request line and the fields, with framing of its own.
//!
//! Leaves `Host`, where there is none, and the empty line to `upstream`, which knows where the request goes.

use std::io::Write as _;

use http::header::{self, HeaderMap};
use http::{Method, Uri};

use super::head::Framing;

/// Appends the head of a request in origin form to `out`, up to the last field. Framing is `framing`, whatever the
/// fields say; none without a body.
pub fn write_request_head(
    method: &Method,
    target: &Uri,
    headers: &HeaderMap,
    framing: Option<Framing>,
    out: &mut Vec<u8>,
) {
    let target = target.path_and_query().map_or("/", |target| target.as_str());
    for part in [method.as_str(), " ", target, " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    for (name, value) in headers {
        if name != header::CONTENT_LENGTH && name != header::TRANSFER_ENCODING {
            write_field(name.as_str(), value.as_bytes(), out);
        }
    }
    match framing {
        Some(Framing::Length(length)) => {
            // It takes all that is written.
            let _written = write!(out, "content-length: {length}\r\n");
        }
        Some(Framing::Chunked) => write_field("transfer-encoding", b"chunked", out),
        None => {}
    }
}

/// Appends one field to `out`.
pub fn write_field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(fields: &[(&'static str, &'static str)], framing: Option<Framing>, expected: &str) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let mut out = Vec::new();
        write_request_head(&Method::POST, &Uri::from_static("/a/b?c=d"), &headers, framing, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("POST /a/b?c=d HTTP/1.1\r\n{expected}"));
    }

    #[test]
    fn writes_what_was_given_and_its_own_framing() {
        check(&[], None, "");
        check(&[("host", "h"), ("x-a", "1"), ("x-a", "2")], None, "host: h\r\nx-a: 1\r\nx-a: 2\r\n");
        check(&[("a", "")], Some(Framing::Length(0)), "a: \r\ncontent-length: 0\r\n");
        check(&[], Some(Framing::Length(u64::MAX)), "content-length: 18446744073709551615\r\n");
        check(
            &[("content-length", "7"), ("transfer-encoding", "gzip")],
            Some(Framing::Chunked),
            "transfer-encoding: chunked\r\n",
        );
        check(&[("content-length", "7")], None, "");
    }
}
