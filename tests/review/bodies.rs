//! Which bodies are read: the rows on bodies in sections 1 to 4, 6 and 12 of the Karbor facts.

use karbor_admission::karbor::request::{MAX_DEPTH, Shape};
use karbor_admission::policy::{Charge, Policy, Rule, Verdict};

use crate::support::{TENANT, check_body, check_rules, creation, outline, policy, rules, spec};

const MALFORMED: &[Rule] = &[Rule::MalformedBody];
const DUPLICATE: &[Rule] = &[Rule::DuplicateMember];

#[track_caller]
fn check_map(extra_info: &str, expected: &[Rule]) {
    check_rules(creation(extra_info).as_bytes(), expected);
}

#[test]
fn admits_what_the_official_client_and_the_engine_send() {
    for extra_info in ["null", "{}", r#"{"karbor-trigger-id": "42", "x-app--key": "value"}"#] {
        check_map(extra_info, &[]);
    }
    check_body(br#"{"checkpoint": {"plan_id": "p"}}"#, &["admit"]);
    let engine =
        creation(r#"{"created_by":"operation-engine","trigger_id":"t","scheduled_operation_id":"o"}"#);
    check_body(engine.as_bytes(), &["admit"]);
}

#[test]
fn admits_any_text_as_value() {
    for value in [
        "",
        r"\u0000",
        r"\u0007\n\t\\\/\u0022",
        "\u{7f}",
        "\u{1d11e}",
        r"\ud834\udd1e",
        r"\uffff",
        r"\ufdd0",
        "\u{ffff}",
        "\u{2028}",
        "null",
        "{}",
    ] {
        check_map(&format!(r#"{{"x-a--b":"{value}"}}"#), &[]);
    }
}

#[test]
fn denies_equal_keys_at_every_level() {
    let (good, bad) = (r#"{"x-a--b":"1"}"#, r#"{"bad":"1"}"#);
    for body in [
        format!(r#"{{"checkpoint":{{"extra-info":{good}}},"checkpoint":{{"extra-info":{good}}}}}"#),
        format!(r#"{{"checkpoint":{{"extra-info":{good}}},"\u0063heckpoint":{{}}}}"#),
        format!(r#"{{"checkpoint":{{"extra-info":{good},"extra-info":{good}}}}}"#),
        format!(r#"{{"checkpoint":{{"extra-info":{good},"\u0065xtra\u002dinfo":null}}}}"#),
        r#"{"checkpoint":{"plan_id":"p","plan_id":"q"}}"#.to_owned(),
        creation(r#"{"x-a--b":"1","x-a--b":"1"}"#),
        creation(r#"{"x-a--b":"1","x-a-\u002Db":"2"}"#),
    ] {
        check_rules(body.as_bytes(), DUPLICATE);
    }
    check_map(r#"{"x-a--b":{"c":1,"\u0063":2}}"#, &[Rule::DuplicateMember, Rule::ValueNotAString]);
    check_map(r#"[[{"c":1,"c":2}]]"#, &[Rule::DuplicateMember, Rule::NotAMap]);
    // Karbor would take the last; the one that loses is judged all the same.
    for (first, last) in [(good, bad), (bad, good)] {
        let body = format!(r#"{{"checkpoint":{{"extra-info":{first},"extra-info":{last}}}}}"#);
        check_rules(body.as_bytes(), &[Rule::DuplicateMember, Rule::MalformedKey]);
    }
}

#[test]
fn denies_what_karbor_reads_but_not_everyone() {
    for extra_info in [
        r#"{"x-a--b":"\ud800"}"#,
        r#"{"x-a--b":"\udc00"}"#,
        r#"{"x-a--b":"\ud800\ud800"}"#,
        r#"{"x-a--b":"\udd1e\ud834"}"#,
        r#"{"x-a--b":"\ud834x"}"#,
        r#"{"x-a--b\ud800":"1"}"#,
        r#"{"x-a--b":NaN}"#,
        r#"{"x-a--b":Infinity}"#,
        r#"{"x-a--b":-Infinity}"#,
        r#"{"x-a--b":1e400}"#,
        "NaN",
        r#"NaN,"extra-info":{}"#,
    ] {
        check_map(extra_info, MALFORMED);
    }
    check_body(br#"{"checkpoint": NaN, "checkpoint": {}}"#, &["deny", "malformed-body 16"]);
}

#[test]
fn denies_other_encodings() {
    let body = creation(r#"{"x-a--b":"1"}"#);
    let utf16le: Vec<u8> = body.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16be: Vec<u8> = body.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let utf32le: Vec<u8> = body.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
    for bytes in [
        [b"\xef\xbb\xbf", body.as_bytes()].concat(),
        [b"\xff\xfe", &*utf16le].concat(),
        [b"\xfe\xff", &*utf16be].concat(),
        utf16le,
        utf16be,
        utf32le,
    ] {
        check_rules(&bytes, MALFORMED);
    }
    for invalid in [
        &b"\xff"[..],
        b"\x80",
        b"\xc3",
        b"\xe2\x82",
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xed\xa0\x80",
        b"\xed\xa0\xb4\xed\xb4\x9e",
        b"\xf4\x90\x80\x80",
        b"\xfc\x83\xbf\xbf\xbf\xbf",
        b"\xe9",
    ] {
        for (before, after) in [
            (&br#"{"checkpoint":{"extra-info":{"x-a--b":""#[..], &br#""}}}"#[..]),
            (br#"{"checkpoint":{"extra-info":{"x-a--b"#, br#"":"1"}}}"#),
            (br#"{"checkpoint":{"extra-info":["#, br#""]}}"#),
            (br#"{"checkpoint":{},"unknown":{"a":[""#, br#""]}}"#),
            (b"", br#"{"checkpoint":{}}"#),
            (br#"{"checkpoint":{}}"#, b""),
        ] {
            let body = [before, invalid, after].concat();
            let review = policy(rules()).review_create(TENANT, Shape::Wrapped, &body);
            let broken = review.verdict.violations().list.first().map(|violation| violation.rule);
            assert_eq!(broken, Some(Rule::MalformedBody), "{invalid:x?}");
            assert_eq!(review.request, None);
        }
    }
}

#[test]
fn denies_anything_but_blanks_around_the_document() {
    let body = br#"{"checkpoint":{}}"#;
    for blank in [&b" "[..], b"\t", b"\r", b"\n", b" \t\r\n \n"] {
        check_rules(&[blank, body, blank].concat(), &[]);
    }
    for other in
        [&b"\0"[..], b"\x0b", b"\x0c", b"\xc2\xa0", b"\xe2\x80\xa8", b"{}", b",", b"//", b"/**/", b"#", b"x"]
    {
        check_rules(&[body, other].concat(), MALFORMED);
        check_rules(&[other, body].concat(), MALFORMED);
    }
}

#[test]
fn denies_what_is_not_json() {
    for (body, position) in [
        ("", 1),
        (" ", 1),
        ("{", 1),
        (r#"{"checkpoint"}"#, 14),
        (r#"{"checkpoint":{},}"#, 18),
        ("{\n\"checkpoint\"\n:{}\n\n,}", 22),
        (r#"{'checkpoint':{}}"#, 2),
        (r#"{checkpoint:{}}"#, 2),
        ("{\"checkpoint\":{\"a\tb\":1}}", 18),
        (r#"{"checkpoint":{"\x":1}}"#, 18),
        ("plan_id=p", 1),
    ] {
        check_body(body.as_bytes(), &["deny", &format!("malformed-body {position}")]);
    }
}

#[test]
fn denies_other_shapes() {
    for body in ["[]", "null", "1", r#""checkpoint""#, "{}"] {
        check_body(body.as_bytes(), &["deny", "malformed-body"]);
    }
    for checkpoint in ["null", "[]", "1", r#""p""#] {
        check_body(format!(r#"{{"checkpoint":{checkpoint}}}"#).as_bytes(), &["deny", "malformed-body"]);
    }
    check_body(br#"{"checkpoint":{},"type":"t"}"#, &["deny", "unknown-member type"]);
    check_body(br#"{"checkpoint":{"extra_info":{}}}"#, &["deny", "unknown-member extra_info"]);
    check_body(
        br#"{"checkpoint":{"extra_info":{"a":"1"}}}"#,
        &["deny", "unknown-member extra_info", "malformed-key a"],
    );
    for extra_info in ["[]", r#""a=b""#, "1", "false"] {
        check_body(creation(extra_info).as_bytes(), &["deny", "not-a-map extra-info"]);
    }
    for value in ["1", "1.5", "1e2", "true", "null", "[]", "{}"] {
        let body = creation(&format!(r#"{{"x-a--b":{value}}}"#));
        check_body(body.as_bytes(), &["deny", "value-not-a-string x-a--b"]);
    }
}

#[test]
fn denies_nesting_beyond_the_bound() {
    for (max_depth, levels, expected) in [
        (2, 0, "admit"),
        (4, 2, "deny not-a-map"),
        (4, 3, "deny malformed-body"),
        (32, 31, "deny malformed-body"),
        (MAX_DEPTH, MAX_DEPTH - 2, "deny not-a-map"),
        (MAX_DEPTH, MAX_DEPTH - 1, "deny malformed-body"),
        (MAX_DEPTH + 1, MAX_DEPTH - 1, "deny malformed-body"),
        (usize::MAX, 100_000, "deny malformed-body"),
    ] {
        let policy = Policy::new(karbor_admission::policy::PolicySpec { max_depth, ..spec(rules()) });
        let extra_info = if levels == 0 { "null".into() } else { "[".repeat(levels) + &"]".repeat(levels) };
        let words =
            outline(&policy.review_create(TENANT, Shape::Wrapped, creation(&extra_info).as_bytes()).verdict);
        let codes: Vec<_> = words.iter().filter_map(|word| word.split(' ').next()).collect();
        assert_eq!(codes.join(" "), expected, "{levels} lists in two objects, {max_depth} allowed");
    }
}

#[test]
fn judges_the_short_form_like_the_long_one() {
    #[track_caller]
    fn check(body: &str, expected: &[&str]) {
        let review = policy(rules()).review_create(TENANT, Shape::Either, body.as_bytes());
        assert_eq!(outline(&review.verdict), expected, "{body}");
    }
    check(r#"{"plan_id":"p","extra-info":{"x-a--b":"1"}}"#, &["admit"]);
    check(r#"{"checkpoint":{"plan_id":"p","extra-info":{"x-a--b":"1"}}}"#, &["admit"]);
    check(r#"{"plan_id":"p","extra-info":{"a":"1"}}"#, &["deny", "malformed-key a"]);
    check(
        r#"{"extra-info":{"a":1}}"#,
        &["deny", "malformed-body", "value-not-a-string a", "malformed-key a"],
    );
    check(r#"{"plan_id":"../x"}"#, &["deny", "malformed-body"]);
    check(r#"{"plan_id":"p","plan_id":"p"}"#, &["deny", "duplicate-member plan_id"]);
}

#[test]
fn judges_updates() {
    #[track_caller]
    fn check(body: &[u8], expected: &[&str]) {
        let verdict = policy(rules()).review_update(TENANT, body);
        assert_eq!(outline(&verdict), expected, "{}", String::from_utf8_lossy(body));
        if let Verdict::Admit { charge, .. } = verdict {
            assert_eq!(charge, Charge::default());
        }
    }
    check(b"", &["admit"]);
    check(br#"{"os-resetState":{"state":"error"}}"#, &["admit"]);
    check(br#"[1, "extra-info"]"#, &["admit"]);
    check(br#"{"extra-info":{}}"#, &["deny", "read-only extra-info"]);
    check(br#"{"os-resetState":{"state":"error","extra_info":null}}"#, &["deny", "read-only extra_info"]);
    check(br#"{"a":[[{"\u0065xtra-info":1}]]}"#, &["deny", "read-only extra-info"]);
    check(br#"{"a":1,"a":{"extra-info":1}}"#, &["deny", "duplicate-member a", "read-only extra-info"]);
    check(br#"{"extra-info":{}"#, &["deny", "malformed-body 16", "read-only extra-info"]);
    check(b"\xff", &["deny", "malformed-body 1"]);
    check(b"{\"a\":NaN}", &["deny", "malformed-body 6"]);
}
