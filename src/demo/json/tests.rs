//! What Python reads and writes, row by row.

use super::{Json, Unreadable, parse};

const MALFORMED: Result<&str, Unreadable> = Err(Unreadable::Malformed);

#[track_caller]
fn check(body: &[u8], expected: Result<&str, Unreadable>) {
    let read = parse(body).map(|value| value.dump());
    assert_eq!(read, expected.map(str::to_owned), "{}", String::from_utf8_lossy(body));
}

#[test]
fn the_last_of_equal_keys_wins_in_the_first_ones_place() {
    check(br#"{"a": 1, "b": 2, "a": 3}"#, Ok(r#"{"a": 3, "b": 2}"#));
    check(br#"{"checkpoint": 1, "\u0063heckpoint": 2}"#, Ok(r#"{"checkpoint": 2}"#));
    check(br#"{"a": {"b": 1}, "a": {"c": NaN}, "a": {}}"#, Ok(r#"{"a": {}}"#));
}

#[test]
fn reads_what_python_reads() {
    for (body, expected) in [
        (" \t\r\n[1 , -0, 12345678901234567890123]\n", "[1, 0, 12345678901234567890123]"),
        ("[1.50, 1e2, -1E+20, 1e-7, 0.0001]", "[1.5, 100.0, -1e+20, 1e-07, 0.0001]"),
        ("[NaN, Infinity, -Infinity]", "[NaN, Infinity, -Infinity]"),
        ("[null, true, false, {}, []]", "[null, true, false, {}, []]"),
        ("\"é\u{7f}\\/\\b\\f\\n\\r\\t\\u0001\\\"\\\\\"", "\"\\u00e9\u{7f}/\\b\\f\\n\\r\\t\\u0001\\\"\\\\\""),
        ("\"\\ud83d\\ude00\"", "\"\\ud83d\\ude00\""),
        ("\"\\ud800\"", "\"\\ufffd\""),
        ("\"\\ud800\\u0041\"", "\"\\ufffdA\""),
    ] {
        check(body.as_bytes(), Ok(expected));
    }
}

#[test]
fn refuses_what_python_refuses() {
    for body in [
        "",
        " ",
        "{",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "[1,]",
        "[1",
        "{a:1}",
        "{'a':1}",
        "1 2",
        "{}x",
        "{}\0",
        "+1",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "nul",
        "\"\n\"",
        "\"a",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u+123\"",
        "\u{feff}{}",
        "// c\n{}",
        "\u{a0}{}",
    ] {
        check(body.as_bytes(), MALFORMED);
    }
    check(b"\"\xff\"", MALFORMED);
    check(b"\"\xed\xa0\x80\"", MALFORMED);
}

#[test]
fn reads_to_pythons_depth_and_no_further() {
    let nested = |levels: usize| [b"[".repeat(levels), b"]".repeat(levels)].concat();
    assert!(parse(&nested(900)).is_ok());
    check(&nested(2000), Err(Unreadable::TooDeep));
    check(&nested(100_000), Err(Unreadable::TooDeep));
}

#[test]
fn quotes_values_as_python_does() {
    for (body, expected) in [
        (r#"{"a": [1, 1.0, true, null, "x"]}"#, "{'a': [1, 1.0, True, None, 'x']}"),
        (r#""k'q""#, r#""k'q""#),
        (r#""k'\"q""#, r#"'k\'"q'"#),
        (r#""é\n\u0007\\""#, r"'é\n\x07\\'"),
        ("[NaN, -Infinity]", "[nan, -inf]"),
    ] {
        assert_eq!(parse(body.as_bytes()).map(|value| value.repr()), Ok(expected.to_owned()), "{body}");
    }
    assert_eq!(Json::text("").repr(), "''");
}
