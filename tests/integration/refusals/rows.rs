//! The requests that are refused: each would be a creation at Karbor, or could be taken for one.

use karbor_admission::wire::Refusal;

use crate::support::TOKEN;

pub(super) const CP: &str = "/v1/p/providers/q/checkpoints";
pub(super) const BODY: &str = r#"{"checkpoint": {"plan_id": "p"}}"#;

/// One of them, and what becomes of it.
pub(super) struct Row {
    pub(super) bytes: Vec<u8>,
    pub(super) status: u16,
    pub(super) refusal: Refusal,
}

/// All of them.
pub(super) fn rows() -> Vec<Row> {
    [request_lines(), targets(), names_and_values(), framings(), others(), large(), chunks()]
        .into_iter()
        .flatten()
        .collect()
}

/// A creation by its request line, and fields beside the usual ones.
fn raw(line: &str, fields: &str, body: &str) -> Vec<u8> {
    format!(
        "{line}\r\nHost: karbor.test\r\nX-Auth-Token: {TOKEN}\r\nContent-Type: application/json\r\n\
         {fields}\r\n{body}"
    )
    .into_bytes()
}

/// Sound but for its request line, in which `CP` stands for the path.
fn line(line: &str) -> Vec<u8> {
    raw(&line.replace("CP", CP), &format!("Content-Length: {}\r\n", BODY.len()), BODY)
}

fn target(target: &str) -> Vec<u8> {
    line(&format!("POST {target} HTTP/1.1"))
}

/// Sound but for one more field.
fn field(field: &str) -> Vec<u8> {
    framed(&format!("{field}\r\nContent-Length: {}\r\n", BODY.len()), BODY)
}

/// Without the usual length.
pub(super) fn framed(fields: &str, body: &str) -> Vec<u8> {
    raw(&format!("POST {CP} HTTP/1.1"), fields, body)
}

pub(super) fn chunked(body: &str) -> Vec<u8> {
    framed("Transfer-Encoding: chunked\r\n", body)
}

fn of(refusal: Refusal, status: u16, make: impl Fn(&str) -> Vec<u8>, texts: &[&str]) -> Vec<Row> {
    texts.iter().map(|text| Row { bytes: make(text), status, refusal }).collect()
}

fn request_lines() -> Vec<Row> {
    let lines = [
        "POST CP",
        "POST CP HTTP/1.2",
        "POST CP http/1.1",
        "POST CP HTTP/2.0",
        "POST CP HTTP/1.1 ",
        " POST CP HTTP/1.1",
        "P(ST CP HTTP/1.1",
        "POST\tCP\tHTTP/1.1",
        "POST CP HTTP/1.1\n",
        "PRI * HTTP/2.0",
        "",
        "\r\n\r\nPOST CP HTTP/1.1",
    ];
    let mut rows = of(Refusal::RequestLine, 400, line, &lines);
    let override_of = ["GET CP?_method=POST HTTP/1.1", "DELETE CP?_method=post HTTP/1.1"];
    rows.extend(of(Refusal::MethodOverride, 400, line, &override_of));
    rows.extend(of(Refusal::Connect, 405, line, &["CONNECT karbor.test:80 HTTP/1.1", "CONNECT CP HTTP/1.1"]));
    rows
}

fn targets() -> Vec<Row> {
    let table: &[(Refusal, &[&str])] = &[
        (Refusal::TargetByte, &["CP#f", "CP\"", "CP<", "CP\\x", "CP^", "CP{", " CP", "CP x", "CP\t"]),
        (Refusal::TargetByte, &["CP?x=\u{e9}", "CP\u{a0}", "CP\u{85}", "CP\u{1c}", "CP\u{b}", "CP\0"]),
        (Refusal::TargetPercent, &["CP%", "CP%4", "CP%zz", "CP%u0063", "CP?x=%zz", "CP?%"]),
        (Refusal::TargetControl, &["CP%00", "CP%0A", "CP%0d%0a", "CP%7f", "/%09CP"]),
        (Refusal::TargetSlash, &["CP%2f", "/%2FCP", "/v1%2Fp/providers/q/checkpoints", "CP%5cx"]),
        (Refusal::TargetDots, &["/x/..CP", "/.CP", "CP/..", "/%2eCP", "/x/%2E%2eCP", "/x/.%2eCP"]),
        (Refusal::TargetForm, &["*", "v1/p", "http://user:pw@h.testCP", "ftp://h.testCP", "http:///v1/p"]),
        (Refusal::TargetForm, &["h.test:80", "http://h.test@CP"]),
        (Refusal::MethodOverride, &["CP?_method=GET", "CP?x=1;_method=POST", "CP?%5Fmethod=POST"]),
        (Refusal::MethodOverride, &["CP?x=_%6Dethod", "CP?a_method_b", "CP?x=%ff&_method=GET"]),
    ];
    table.iter().flat_map(|(refusal, targets)| of(*refusal, 400, target, targets)).collect()
}

fn names_and_values() -> Vec<Row> {
    let table: &[(Refusal, &[&str])] = &[
        (Refusal::FieldName, &["X_Auth_Token: a", "Transfer_Encoding: chunked", "Content_Length: 0"]),
        (Refusal::FieldName, &["no colon", ": b", "X-A : b", "X(A: b", "X\u{e9}: b", "X\0: b"]),
        (Refusal::FieldValue, &["X-A: b\r\n folded", "X-A: b\r\n\tfolded", "X-A: b\nX-B: c", "X-A: b\n"]),
        (Refusal::FieldValue, &["X-A: b\rX-B: c", "X-A: b\0", "X-A: b\u{b}", "X-A: b\u{7f}"]),
        (Refusal::FieldRepeated, &["Content-Length: 32", "content-length: 0", "Host: karbor.test"]),
        (Refusal::FieldRepeated, &["host: other.test", "Content-Type: application/json", "x-auth-token: t"]),
        (Refusal::FieldRepeated, &["Expect: 100-continue\r\nExpect: 100-continue"]),
        (Refusal::Upgrade, &["Upgrade: h2c", "Connection: Upgrade\r\nUpgrade: websocket", "Upgrade:"]),
    ];
    let mut rows: Vec<_> =
        table.iter().flat_map(|(refusal, fields)| of(*refusal, 400, field, fields)).collect();
    let expectations = ["Expect: 200-ok", "Expect: 100-continue, 200-ok", "Expect:"];
    rows.extend(of(Refusal::Expect, 417, field, &expectations));
    rows
}

fn framings() -> Vec<Row> {
    let length = |value: &str| framed(&format!("Content-Length: {value}\r\n"), BODY);
    let coding = |value: &str| framed(&format!("Transfer-Encoding: {value}\r\n"), "0\r\n\r\n");
    let lengths = [
        "32, 32",
        "+32",
        "-1",
        "",
        "0x20",
        "3_2",
        "3 2",
        "32;",
        "184467440737095516160",
        "9223372036854775808",
    ];
    let codings =
        ["gzip, chunked", "identity", "chunked, chunked", "chunked, identity", "chunked;x=y", "", "xchunked"];
    let both = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "transfer-encoding: Chunked\r\nX-A: b\r\ncontent-length: 0\r\n",
    ];
    let either = |fields: &str| framed(fields, "0\r\n\r\n");
    let mut rows = of(Refusal::ContentLength, 400, length, &lengths);
    rows.extend(of(Refusal::TransferEncoding, 400, coding, &codings));
    rows.extend(of(Refusal::LengthAndChunked, 400, either, &both));
    let repeated = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n";
    rows.extend(of(Refusal::FieldRepeated, 400, either, &[repeated]));
    let old = |line: &str| raw(&line.replace("CP", CP), "Transfer-Encoding: chunked\r\n", "0\r\n\r\n");
    rows.extend(of(Refusal::TransferEncoding, 400, old, &["POST CP HTTP/1.0"]));
    rows
}

fn others() -> Vec<Row> {
    let host = |field: &str| format!("POST {CP} HTTP/1.1\r\n{field}Content-Length: 0\r\n\r\n").into_bytes();
    let hosts = ["", "Host:\r\n", "Host: a b\r\n", "Host: a/b\r\n", "Host: user@h.test\r\n", "Host: a,b\r\n"];
    of(Refusal::Host, 400, host, &hosts)
}

fn large() -> Vec<Row> {
    let long = format!("CP?{}", "x".repeat(8200));
    let endless = |text: &str| text.repeat(4000).into_bytes();
    let many = "X-A: b\r\n".repeat(101);
    let one = format!("X-A: {}", "b".repeat(70_000));
    let all = format!("X-A: {}\r\n", "b".repeat(1000)).repeat(70);
    let mut rows = of(Refusal::RequestLineTooLong, 414, target, &[&long]);
    rows.extend(of(Refusal::RequestLineTooLong, 414, endless, &["POST /"]));
    rows.extend(of(Refusal::HeadTooLarge, 431, field, &[many.trim_end(), &one, all.trim_end()]));
    rows
}

fn chunks() -> Vec<Row> {
    let extension = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(257));
    let trailers = format!("0\r\nX-A: {}\r\n\r\n", "b".repeat(8200));
    let bodies = [
        extension.as_str(),
        trailers.as_str(),
        "zz\r\n",
        "-1\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "\r\n",
        ";x\r\n",
        "0000000000000005\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffff1\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "0\r\nno colon\r\n\r\n",
        "0\r\n folded: x\r\n\r\n",
        "0\n\n",
    ];
    of(Refusal::Chunk, 400, chunked, &bodies)
}
