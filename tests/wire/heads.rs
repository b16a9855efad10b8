//! One head: each rule of `read_head`, what it takes and what it refuses. The numbers are the rules'.

use karbor_admission::wire::{Framing, Head, Refusal};

use crate::support::read;

#[track_caller]
fn check_taken(head: &[u8], framing: Framing) {
    let expected = Ok(Some(Head { bytes: head.len(), framing }));
    assert_eq!(read(head), expected, "{}", head.escape_ascii());
}

#[track_caller]
fn check_refused(head: &[u8], refusal: Refusal) {
    assert_eq!(read(head), Err(refusal), "{}", head.escape_ascii());
}

/// A head of HTTP/1.1 with a `Host`, and these bytes for its other fields.
fn with_fields(fields: &[u8]) -> Vec<u8> {
    [b"POST /x HTTP/1.1\r\nHost: h\r\n", fields, b"\r\n"].concat()
}

#[track_caller]
fn takes_fields(fields: &[u8], framing: Framing) {
    check_taken(&with_fields(fields), framing);
}

#[track_caller]
fn refuses_fields(fields: &[u8], refusal: Refusal) {
    check_refused(&with_fields(fields), refusal);
}

/// A request line without its end.
#[track_caller]
fn takes_line(line: &[u8]) {
    check_taken(&[line, b"\r\nHost: h\r\n\r\n"].concat(), Framing::Length(0));
}

#[track_caller]
fn refuses_line(line: &[u8], refusal: Refusal) {
    check_refused(&[line, b"\r\nHost: h\r\n\r\n"].concat(), refusal);
}

const NONE: Framing = Framing::Length(0);

/// Rule 1; H55, H56, C43, C46.
#[test]
fn takes_crlf_and_nothing_else_for_a_line_end() {
    check_taken(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", NONE);
    check_taken(b"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", NONE);
    for head in [
        &b"GET / HTTP/1.1\nHost: h\r\n\r\n"[..],
        b"GET / HTTP/1.1\rHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\r\nHost: h\r\n\r\n",
        b"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"\rGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"\r\n\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"\r\n\r\n",
        b"\n",
    ] {
        check_refused(head, Refusal::RequestLine);
    }
    for head in [
        &b"GET / HTTP/1.1\r\nHost: h\n\r\n"[..],
        b"GET / HTTP/1.1\r\nHost: h\r\n\n",
        b"GET / HTTP/1.1\r\nHost: h\r\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n\rX",
        b"GET / HTTP/1.1\r\nX: y\nTransfer-Encoding: chunked\r\nHost: h\r\n\r\n",
    ] {
        check_refused(head, Refusal::FieldValue);
    }
    // Nothing is wrong with these yet.
    let whole = b"\r\nGET /abc HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n";
    for end in 0..whole.len() {
        assert_eq!(read(&whole[..end]), Ok(None), "{}", whole[..end].escape_ascii());
    }
    // What follows is not looked at.
    assert_eq!(read(&[&whole[..], b"\n\0"].concat()), Ok(Some(Head { bytes: whole.len(), framing: NONE })));
}

/// Rule 2; M02, H46 to H52, H58, H59.
#[test]
fn takes_one_form_of_request_line() {
    for line in ["GET / HTTP/1.1", "get / HTTP/1.1", "GET / HTTP/1.0", "!#$%&'*+-.^_`|~09azAZ / HTTP/1.1"] {
        takes_line(line.as_bytes());
    }
    takes_line(format!("{} / HTTP/1.1", "M".repeat(32)).as_bytes());
    refuses_line(format!("{} / HTTP/1.1", "M".repeat(33)).as_bytes(), Refusal::RequestLine);
    for line in [
        &b""[..],
        b"GET",
        b"GET /",
        b"GET / ",
        b"GET  HTTP/1.1",
        b" GET / HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b"GET\t/\tHTTP/1.1",
        b"GET\t/ HTTP/1.1",
        b"GET / http/1.1",
        b"GET / HTTP/0.9",
        b"GET / HTTP/1.2",
        b"GET / HTTP/2.0",
        b"GET / HTTP/1.1x",
        b"GET / HTTP/1.10",
        b"GET / HTTP/01.1",
        b"GET / HTTP/1.1\t",
        b"GET / XTTP/1.1",
        b"G(T / HTTP/1.1",
        b"G\0T / HTTP/1.1",
        b"GET\xa0 / HTTP/1.1",
        b"\xa0GET / HTTP/1.1",
        b"/ HTTP/1.1",
        b"PRI * HTTP/2.0",
    ] {
        refuses_line(line, Refusal::RequestLine);
    }
    // More spaces than two belong to the target, which may not hold one.
    for line in ["GET  / HTTP/1.1", "GET /  HTTP/1.1", "GET / x HTTP/1.1"] {
        refuses_line(line.as_bytes(), Refusal::TargetByte);
    }
}

/// Rule 3. `tests/targets` has what the core makes of those that are taken.
#[test]
fn takes_targets_of_uri_characters() {
    let every = "/-._~!$&'()*+,;=:@/?%[]azAZ09";
    for target in [every, "//", "/?", "/%", "http://h", "https://h:1/x?y", "HTTPS://h/", "http://[::1]/"] {
        takes_line(format!("GET {target} HTTP/1.1").as_bytes());
    }
    for byte in (0..=u8::MAX).filter(|byte| !b"\r\n".contains(byte)) {
        let line = [b"GET /", &[byte][..], b" HTTP/1.1"].concat();
        if every.as_bytes().contains(&byte) || byte.is_ascii_alphanumeric() {
            takes_line(&line);
        } else {
            refuses_line(&line, Refusal::TargetByte);
        }
    }
    for target in [
        "x",
        "*",
        "?x",
        "h:80",
        "http:/x",
        "http://",
        "http:///x",
        "http://u@h/",
        "http://u:p@h/",
        "ftp://h/",
        "http:x",
        "://h",
        "http://h:1:2/",
        "http://[::1/",
        "http://::1/",
    ] {
        refuses_line(format!("GET {target} HTTP/1.1").as_bytes(), Refusal::TargetForm);
    }
    // Whatever it names: hyper could not even read some of these.
    for target in ["h:443", "h", "[::1]:443", "/x", "a:b:c", "[::1:443", "%", "a@", "a@b:443", "*"] {
        refuses_line(format!("CONNECT {target} HTTP/1.1").as_bytes(), Refusal::Connect);
    }
}

/// Rule 4; D1, D2, D17; H60, H61, H64.
#[test]
fn takes_field_names_of_letters_digits_and_hyphens() {
    for field in ["X:\r\n", "x-y-9: \r\n", "-: v\r\n", "9:v\r\n", "X: a:b\r\n"] {
        takes_fields(field.as_bytes(), NONE);
    }
    for byte in (0..=u8::MAX).filter(|byte| !b"\r\n:".contains(byte)) {
        let field = [b"X", &[byte][..], b"Y: v\r\n"].concat();
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            takes_fields(&field, NONE);
        } else {
            refuses_fields(&field, Refusal::FieldName);
        }
    }
    for field in [
        "Transfer_Encoding: chunked\r\n",
        "X_Auth_Token: t\r\n",
        "Content_Length: 1\r\n",
        "Content-Length : 1\r\n",
        "Content-Length\t: 1\r\n",
        "X\r\n",
        "no colon here\r\n",
        ":\r\n",
        ": v\r\n",
    ] {
        refuses_fields(field.as_bytes(), Refusal::FieldName);
    }
}

/// Rule 5; C41 to C46.
#[test]
fn takes_field_values_without_control_characters() {
    for byte in (0..=u8::MAX).filter(|byte| !b"\r\n".contains(byte)) {
        for field in [&[b"X: a", &[byte][..], b"b\r\n"].concat(), &[b"X:", &[byte][..], b"\r\n"].concat()] {
            if byte == b'\t' || (byte >= 0x20 && byte != 0x7f) {
                takes_fields(field, NONE);
            } else {
                refuses_fields(field, Refusal::FieldValue);
            }
        }
    }
    for field in [
        "X: a\r\n b\r\n",
        "X: a\r\n\tb\r\n",
        " X: a\r\n",
        "\tX: a\r\n",
        "X: a\r\n \r\n",
        "X: a\r\n ,chunked\r\n",
    ] {
        refuses_fields(field.as_bytes(), Refusal::FieldValue);
    }
    check_refused(b"GET / HTTP/1.1\r\n Host: h\r\n\r\n", Refusal::FieldValue);
}

/// Rule 6; D14 to D16.
#[test]
fn takes_some_fields_once() {
    for (name, value, framing) in [
        ("Host", "h", NONE),
        ("Content-Length", "7", Framing::Length(7)),
        ("Transfer-Encoding", "chunked", Framing::Chunked),
        ("Content-Type", "application/json", NONE),
        ("Expect", "100-continue", NONE),
        ("X-Auth-Token", "t", NONE),
    ] {
        let host = if name == "Host" { "" } else { "Host: h\r\n" };
        let head = |fields: &str| format!("POST / HTTP/1.1\r\n{host}{fields}\r\n").into_bytes();
        let upper = name.to_ascii_uppercase();
        check_taken(&head(&format!("{upper}: {value}\r\n")), framing);
        for again in [name.to_owned(), upper, name.to_ascii_lowercase()] {
            for between in ["", "X: y\r\n"] {
                let fields = format!("{name}: {value}\r\n{between}{again}: {value}\r\n");
                check_refused(&head(&fields), Refusal::FieldRepeated);
            }
        }
    }
    for field in
        ["Accept: a\r\n", "Via: a\r\n", "Cookie: a\r\n", "X-Forwarded-For: a\r\n", "Connection: a\r\n"]
    {
        takes_fields(field.repeat(3).as_bytes(), NONE);
    }
}

/// Rule 7; H22 to H29, D15.
#[test]
fn takes_lengths_of_digits() {
    for (value, length) in [
        ("0", 0),
        ("1", 1),
        ("000100", 100),
        ("  17\t ", 17),
        ("9223372036854775807", u64::MAX >> 1),
        ("00000000000000000000000000000000000000001", 1),
    ] {
        takes_fields(format!("Content-Length:{value}\r\n").as_bytes(), Framing::Length(length));
    }
    for value in [
        "",
        " ",
        "+1",
        "-1",
        "1_00",
        "0x1",
        "1.0",
        "1e2",
        "1,1",
        "1, 1",
        "1 1",
        "1;",
        "\u{661}",
        "a",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999999999",
    ] {
        refuses_fields(format!("Content-Length: {value}\r\n").as_bytes(), Refusal::ContentLength);
    }
    takes_fields(b"Content-Lengths: x\r\nX-Content-Length: y\r\n", NONE);
}

/// Rule 7; H11 to H20, D16.
#[test]
fn takes_chunked_alone() {
    for value in ["chunked", "Chunked", "CHUNKED", " chunked\t"] {
        takes_fields(format!("Transfer-Encoding:{value}\r\n").as_bytes(), Framing::Chunked);
    }
    for value in [
        "",
        "identity",
        "gzip",
        "gzip, chunked",
        "chunked, chunked",
        "chunked,",
        ",chunked",
        "chunked;x=y",
        "chunke",
        "chunkedd",
        "x-chunked",
        "\"chunked\"",
        "chunked\u{b}",
        "\u{a0}chunked",
    ] {
        let refusal = if value.contains('\u{b}') { Refusal::FieldValue } else { Refusal::TransferEncoding };
        refuses_fields(format!("Transfer-Encoding: {value}\r\n").as_bytes(), refusal);
    }
    for fields in [
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 0\r\nX: y\r\nTransfer-Encoding: chunked\r\n",
    ] {
        refuses_fields(fields.as_bytes(), Refusal::LengthAndChunked);
    }
    check_refused(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Refusal::TransferEncoding);
}

/// Rule 8; H53, H54.
#[test]
fn takes_one_host_that_is_one() {
    let head = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes();
    for host in
        ["h", "h:80", "H.Example-1:8799", "10.0.0.1", "10.0.0.1:1", "[::1]", "[fe80::1]:80", "a_b", "~", "h."]
    {
        check_taken(&head(host), NONE);
    }
    for host in [
        "", " ", "a b", "a,b", "h/", "h/x", "u@h", "h?x", "h#x", "http://h", "a:b:c", "::1", "[::1", "::1]",
        "h%41", "é", "a;b", "a=b", "\"h\"", "(h)", "a\tb",
    ] {
        check_refused(&head(host), Refusal::Host);
    }
    check_refused(b"GET / HTTP/1.1\r\n\r\n", Refusal::Host);
    check_refused(b"GET http://h/ HTTP/1.1\r\n\r\n", Refusal::Host);
    check_taken(b"GET / HTTP/1.0\r\n\r\n", NONE);
    check_taken(b"GET / HTTP/1.0\r\nHost: h\r\n\r\n", NONE);
    check_refused(b"GET / HTTP/1.0\r\nHost: a b\r\n\r\n", Refusal::Host);
}

/// A port is digits, a host is not empty (RFC 3986, 3.2), in the field and in a target that replaces it.
#[test]
fn refuses_hosts_that_are_none() {
    for host in
        [":", ":80", "h:x", "h:80a", "h:-1", "[]", "[x]", "[::1]x", "a[::1]", "[::1", "[::1]80", "[:g]"]
    {
        check_refused(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes(), Refusal::Host);
        refuses_line(format!("GET http://{host}/ HTTP/1.1").as_bytes(), Refusal::TargetForm);
    }
}

/// What rule 8 refuses in `Host` must not come in by a target that replaces it.
#[test]
fn refuses_authorities_that_host_may_not_be() {
    for host in ["a,b", "a;b", "a=b", "(h)", "a!b", "a$b", "a&b", "a'b", "a*b", "a+b"] {
        refuses_line(format!("GET http://{host}/ HTTP/1.1").as_bytes(), Refusal::TargetForm);
    }
}

/// The first rule broken, in reading order.
#[test]
fn names_the_first_rule_broken() {
    check_refused(b"GET /\xff HTTP/1.1\r\nX_Y: z\r\n", Refusal::TargetByte);
    check_refused(b"GET / HTTP/1.1\r\nX_Y: z\r\nHost: a b\r\n\r\n", Refusal::FieldName);
    check_refused(b"GET / HTTP/1.1\r\nContent-Length: x\r\n", Refusal::ContentLength);
    check_refused(b"GET / HTTP/9.9\r\n", Refusal::RequestLine);
}
