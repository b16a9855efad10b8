//! What is read, and what `serde_json` reads: the same.

use super::*;

/// Whether the whole body was read as one value.
fn reads(body: &[u8]) -> bool {
    let mut scanner = Scanner::of(body);
    scanner.skip().and_then(|()| scanner.end()).is_ok()
}

/// Whether `serde_json` reads it, texts and numbers included.
fn library_reads(body: &[u8]) -> bool {
    let is_utf8 = std::str::from_utf8(body).is_ok();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = <serde_json::Value as serde::Deserialize>::deserialize(&mut deserializer);
    is_utf8 && value.is_ok() && deserializer.end().is_ok()
}

const SAMPLES: &[&str] = &[
    r#"{"checkpoint": {"plan_id": "p", "extra-info": {"karbor-created-by": "x", "x-a--b": "\u00e9\n\"\\"}}}"#,
    r#" [1, -2, 0, 0.5, -0, 1e3, 1E-3, 1.5e+300, 123456789012345678901234567890, null, true, false] "#,
    r#"{"":{"a":[{},[],[[]],{"b":{"c":null}}]},"d":"\ud834\udd1e","e":"é𝄞"}"#,
    "\t{\r\n\"a\" : [ ] , \"b\" : { } }\n",
    "\"\\ud800\"",
    "\"\\\\\\\"\"",
    "0",
    "1e999",
    "\"\u{7f}\u{80}\"",
];

#[track_caller]
fn check(body: &[u8]) {
    assert_eq!(reads(body), library_reads(body), "{:?}", String::from_utf8_lossy(body));
}

#[test]
fn finds_the_end_of_a_key_wherever_it_stands() {
    // Some differ from what is looked for in one bit, or by one.
    for fill in [b'a', b'#', b'!', b']', b'[', 0xa2, 0xdc, 0] {
        for (end, next) in [(b'"', b'\\'), (b'\\', b'"'), (b'"', b'#'), (b'\\', b']')] {
            for at in 0..50 {
                let mut text = vec![fill; 50];
                text[at] = end;
                text[at + 1..].fill(next);
                assert_eq!(soon(&text), Some(at), "{text:?}");
                assert_eq!(soon(&text[..at]), None, "{text:?}");
            }
        }
    }
}

#[test]
fn reads_what_the_library_reads() {
    for sample in SAMPLES {
        check(sample.as_bytes());
        for end in 0..sample.len() {
            check(&sample.as_bytes()[..end]);
        }
    }
    for text in [
        "",
        " ",
        "nul",
        "nulll",
        "tru",
        "+1",
        "01",
        "-",
        "-01",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "Infinity",
        "[1,]",
        "[,]",
        "[",
        "]",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{'a':1}",
        "{1:1}",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud800\\u0041\"",
        "\"\n\"",
        "\"\\",
        "\"\\\"",
        "// a",
        "1 2",
        "{} {}",
        "\u{feff}1",
        "[1 2]",
        "{\"a\" 1}",
        "[1}",
        "{\"a\":1]",
    ] {
        check(text.as_bytes());
    }
    check(b"\"\xff\"");
    check(b"\"\xed\xa0\x80\"");
    check(b"1\xff");
}

#[test]
fn reads_mutants_as_the_library_does() {
    const BYTES: &[u8] = b"\"\\{}[]:,0129eE+-.untfals \t\n\r\x00\x1f\x7f\x80\xc3\xa9\xff";
    let mut random = fastrand::Rng::with_seed(7);
    let mut read = 0;
    for _ in 0..60_000 {
        let mut body = SAMPLES[random.usize(..SAMPLES.len())].as_bytes().to_vec();
        for _ in 0..random.usize(1..4) {
            let (at, byte) = (random.usize(..=body.len()), BYTES[random.usize(..BYTES.len())]);
            match random.u8(..3) {
                0 => body.insert(at, byte),
                1 if at < body.len() => body[at] = byte,
                2 if at < body.len() => drop(body.remove(at)),
                _ => {}
            }
        }
        check(&body);
        read += usize::from(reads(&body));
    }
    assert!((1000..59_000).contains(&read), "{read} are JSON");
}

#[test]
fn strings_are_those_of_the_library() {
    for text in
        [r#""""#, r#""plain""#, r#""é𝄞""#, r#""\u0041\n\/\\\"""#, r#""\ud834\udd1e""#, r#""a\u0000b""#]
    {
        let string = Scanner::of(text.as_bytes()).string().unwrap();
        assert_eq!(string, serde_json::from_str::<String>(text).unwrap());
        assert_eq!(matches!(string, Cow::Borrowed(_)), !text.contains('\\'), "{text}");
    }
}

#[test]
fn any_depth_is_skipped() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(reads(deep.as_bytes()));
    assert!(!reads(&deep.as_bytes()[..deep.len() - 1]));
}
