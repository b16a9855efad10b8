//! Strict JSON: vectors of our own for every class of document, and a whole suite where there is one.
//!
//! `JSON_TEST_SUITE` may name a folder of documents called `y_….json` (must be read), `n_….json` (must
//! not) and `i_….json` (either, without a panic). Each is read alone and in the places of a creation.

use std::collections::BTreeMap;
use std::path::Path;

use karbor_admission::karbor::request::{
    CreateRead, Finding, MAX_DEPTH, Shape, read_create, read_update, wrap_flat,
};
use serde_json::Value;

/// What is expected of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Expected {
    Read,
    ReadButRepeated,
    Malformed,
    Either,
}

use Expected::{Either, Malformed, Read, ReadButRepeated};

/// Where a document may stand: alone, as the map, as an entry's value, as an unknown member.
const PLACES: [(&str, &str); 4] = [
    ("", ""),
    (r#"{"checkpoint":{"plan_id":"p","extra-info":"#, "}}"),
    (r#"{"checkpoint":{"extra-info":{"x-a--b":"#, "}}}"),
    (r#"{"checkpoint":{},"unknown":"#, "}"),
];

fn is_malformed(findings: &[Finding<'_>]) -> bool {
    findings.iter().any(|finding| matches!(finding, Finding::Malformed { position: Some(_), .. }))
}

fn is_repeated(findings: &[Finding<'_>]) -> bool {
    findings.iter().any(|finding| matches!(finding, Finding::DuplicateMember { .. }))
}

#[track_caller]
fn check(name: &str, document: &[u8], expected: Expected) {
    for (before, after) in PLACES {
        let body = [before.as_bytes(), document, after.as_bytes()].concat();
        for shape in [Shape::Wrapped, Shape::Either] {
            let CreateRead { findings, request } = read_create(&body, shape, MAX_DEPTH);
            let malformed = is_malformed(&findings);
            assert!(expected == Either || malformed == (expected == Malformed), "{name} after {before}");
            assert!(!malformed || request.is_none(), "{name}: nothing of a malformed body is taken");
            if matches!(expected, Read | ReadButRepeated) {
                assert_eq!(is_repeated(&findings), expected == ReadButRepeated, "{name} after {before}");
            }
            let serde_json_reads = serde_json::from_slice::<Value>(&body).is_ok();
            assert_eq!(!malformed, serde_json_reads, "{name} after {before}: as serde_json by itself");
        }
        let update = read_update(&body, MAX_DEPTH);
        assert_eq!(
            is_malformed(&update),
            !body.is_empty() && serde_json::from_slice::<Value>(&body).is_err()
        );
    }
    let _ = read_create(&wrap_flat(document), Shape::Wrapped, MAX_DEPTH);
    check_as_map(name, document, expected);
}

/// A document that is read is a map just if it is an object or null.
#[track_caller]
fn check_as_map(name: &str, document: &[u8], expected: Expected) {
    if !matches!(expected, Read | ReadButRepeated) {
        return;
    }
    let Ok(value) = serde_json::from_slice::<Value>(document) else { return };
    let body = [PLACES[1].0.as_bytes(), document, PLACES[1].1.as_bytes()].concat();
    let findings = read_create(&body, Shape::Wrapped, MAX_DEPTH).findings;
    let no_map = findings.iter().any(|finding| matches!(finding, Finding::NotAMap { .. }));
    assert_eq!(no_map, !value.is_object() && !value.is_null(), "{name}");
}

#[track_caller]
fn check_each(documents: &[&str], expected: Expected) {
    for document in documents {
        check(document, document.as_bytes(), expected);
    }
}

#[test]
fn reads_documents_of_every_class() {
    check_each(&["null", "true", "false", "0", "\"\"", "[]", "{}", " [ ] ", "\t{\r\n}\n", "7 "], Read);
    check_each(&["[0]", "[null,[],{}]", "[ 1 , 2 ]", "[[[[]]]]", "[\"\",false]", "[1\n]"], Read);
    check_each(
        &[
            "-0",
            "10",
            "-12",
            "0.5",
            "-0.0",
            "1e5",
            "1E+05",
            "2.5e-3",
            "0e9",
            "1e-999",
            "123456789012345678901234567890",
        ],
        Read,
    );
    check_each(
        &[
            r#""plain""#,
            r#""\"\\\/\b\f\n\r\t""#,
            r#""\u0041\u00DF\u2028""#,
            r#""\uD83D\uDE00""#,
            r#""\u0000""#,
            r#""\\u0041""#,
            r#""\uFFFE\uFDD0""#,
            r#""\uDBFF\uDFFF""#,
            "\"\u{7f}\u{80}\u{e9}\u{20ac}\u{2029}\u{feff}\u{ffff}\u{10ffff}\"",
            r#""// /* # */""#,
        ],
        Read,
    );
    check_each(
        &[
            r#"{"":0}"#,
            r#"{"a":{"a":{"a":1}}}"#,
            r#"{"a":1,"b":1}"#,
            r#"{"\u0000":1}"#,
            "{\n\"a\"\t:\r1 }",
            r#"{"a":[{"b":1},{"b":1}]}"#,
        ],
        Read,
    );
}

#[test]
fn reads_but_tells_repeated_keys() {
    check_each(
        &[
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":2,"\u0061":3}"#,
            r#"{"":1,"":2}"#,
            r#"[{"z":[{"a":1,"a":2}]}]"#,
            r#"{"\ud83d\ude00":1,"😀":2}"#,
            r#"{"a\/b":1,"a/b":2}"#,
        ],
        ReadButRepeated,
    );
}

#[test]
fn finds_malformed_structure() {
    check_each(
        &["", " ", "\n\t", "{", "[", "]", "}", "{}}", "[]]", "{}{}", "[] []", "1 2", "null,"],
        Malformed,
    );
    check_each(
        &["\u{feff}{}", "\u{feff}", "\u{a0}{}", "{}\u{2060}", "\u{c}{}", "{}\u{b}", "{}\0", "\0"],
        Malformed,
    );
    check_each(&["/**/{}", "{}//", "{}#", "[1]x", "<a>", "*", "@", "a", "ı", "é"], Malformed);
    check_each(
        &["[", "[1", "[1,", "[[1]", "[1,]", "[,1]", "[,]", "[1,,2]", "[1 2]", "[1;2]", "[1:2]", "[1}"],
        Malformed,
    );
    check("deep", "[".repeat(100_000).as_bytes(), Malformed);
    check("deep", r#"{"a":"#.repeat(100_000).as_bytes(), Malformed);
}

#[test]
fn finds_malformed_literals_and_numbers() {
    check_each(
        &["True", "NULL", "nul", "nulll", "tru", "fals", "undefined", "nan", "NaN", "-NaN"],
        Malformed,
    );
    check_each(&["Infinity", "-Infinity", "+Inf", "inf", "1e400", "-1e400"], Malformed);
    check_each(
        &[
            "+1", "-", "--1", "- 1", "01", "-01", "00", "1.", ".1", "-.1", "1.e1", "1e", "1e+", "1E-",
            "1ee1", "1.2.3", "0x1", "0b1", "1_0", "1+1", "1a", "-a", "\u{ff11}", "\u{661}",
        ],
        Malformed,
    );
    check("byte in a number", b"1\xe5", Malformed);
    check("byte in an exponent", b"1e1\xe5", Malformed);
}

#[test]
fn finds_malformed_objects() {
    check_each(
        &[
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,",
            "{\"a\":1,}",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{:1}",
            "{\"a\" 1}",
            "{\"a\"::1}",
            "{\"a\",1}",
            "{\"a\":1 \"b\":2}",
            "{\"a\":1,,\"b\":2}",
            "{a:1}",
            "{'a':1}",
            "{1:1}",
            "{null:1}",
            "{[]:1}",
            "{\"a\":1]",
            "{\"a\":1/**/}",
            "{\"a\":1}//",
        ],
        Malformed,
    );
}

#[test]
fn finds_malformed_strings() {
    check_each(
        &[
            "\"",
            "\"a",
            "'a'",
            "\"\\\"",
            "\"\\",
            "\"\\x41\"",
            "\"\\a\"",
            "\"\\'\"",
            "\"\\U0041\"",
            "\"\\u\"",
            "\"\\u004\"",
            "\"\\u00G1\"",
            "\"\\u{41}\"",
            "\"\\0\"",
            "\"\\\u{1f600}\"",
            "\"\n\"",
            "\"\t\"",
            "\"\0\"",
            "\"\u{1f}\"",
            "\\u0020\"a\"",
        ],
        Malformed,
    );
    check_each(
        &[
            r#""\uD800""#,
            r#""\uDBFFx""#,
            r#""\uDC00""#,
            r#""\uD800\n""#,
            r#""\uD800\u""#,
            r#""\uD800\uD800""#,
            r#""\uD800\u0041""#,
            r#""\uDE00\uD83D""#,
            r#"{"\uD800":1}"#,
            r#"["\uDFFF"]"#,
        ],
        Malformed,
    );
    for (name, bytes) in [
        ("lone continuation", &b"\"\x81\""[..]),
        ("truncated", b"\"\xe2\x82\""),
        ("overlong", b"\"\xc0\xaf\""),
        ("overlong, six bytes", b"\"\xfc\x80\x80\x80\x80\xaf\""),
        ("surrogate", b"\"\xed\xa0\x80\""),
        ("beyond Unicode", b"\"\xf4\x90\x80\x80\""),
        ("Latin-1", b"\"\xe9\""),
        ("in a key", b"{\"\xff\":1}"),
        ("after an escape", b"\"\\u0041\xff\""),
        ("in an escape", b"\"\\\xff\""),
        ("UTF-16, marked", b"\xff\xfe[\0]\0"),
        ("UTF-16LE", b"[\0\"\0\xe9\0\"\0]\0"),
        ("UTF-16BE", b"\0[\0\"\0\xe9\0\"\0]"),
    ] {
        check(name, bytes, Malformed);
    }
}

#[test]
fn keeps_to_the_suite() {
    // clippy keeps `var` for the configuration, where a variable that is not UTF-8 must be told.
    let Some(folder) = std::env::var_os("JSON_TEST_SUITE") else {
        println!("not run: JSON_TEST_SUITE names no folder of documents");
        return;
    };
    let mut counts = BTreeMap::new();
    for entry in Path::new(&folder).read_dir().unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let expected = match name.get(..2) {
            _ if !name.ends_with(".json") => continue,
            Some("y_") if name.contains("duplicated_key") => ReadButRepeated,
            Some("y_") => Read,
            Some("n_") => Malformed,
            Some("i_") => Either,
            _ => continue,
        };
        check(name, &std::fs::read(&path).unwrap(), expected);
        *counts.entry(expected).or_insert(0) += 1;
    }
    println!("{counts:?}");
    assert_eq!(counts.len(), 4, "documents of every class in {}", folder.display());
}
