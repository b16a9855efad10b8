//! Bodies and what is found in them, as tables.

use super::*;

const DEPTH: usize = 32;

/// A finding in few words.
fn word(finding: &Finding<'_>) -> String {
    match finding {
        Finding::Malformed { position: Some(position), .. } => format!("malformed at {position}"),
        Finding::Malformed { position: None, .. } => "malformed".to_owned(),
        Finding::DuplicateMember { key } => format!("duplicate {key}"),
        Finding::UnknownMember { key, .. } => format!("unknown {key}"),
        Finding::NotAMap { kind, .. } => format!("not a map: {kind}"),
        Finding::ValueNotAString { key, kind } => format!("not a string: {key}, {kind}"),
        Finding::ExtraInfoMember { key } => format!("extra-info: {key}"),
    }
}

fn words(findings: &[Finding<'_>]) -> Vec<String> {
    findings.iter().map(word).collect()
}

/// `form plan-id {key=value …} [set aside …]`, or `-`.
fn outline(request: Option<&CreateRequest<'_>>) -> String {
    let Some(request) = request else { return "-".to_owned() };
    let map: Vec<_> = request.extra_info.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let aside: Vec<_> = request.set_aside.iter().map(|entry| entry.key.to_string()).collect();
    let form = match request.form {
        Form::Wrapped => "wrapped",
        Form::Flat => "flat",
    };
    format!(
        "{form} {} {{{}}} [{}]",
        request.plan_id.as_deref().unwrap_or("-"),
        map.join(" "),
        aside.join(" ")
    )
}

#[track_caller]
fn check(body: &str, shape: Shape, findings: &[&str], request: &str) {
    let read = read_create(body.as_bytes(), shape, DEPTH);
    assert_eq!(words(&read.findings), findings, "{body}");
    assert_eq!(outline(read.request.as_ref()), request, "{body}");
}

#[track_caller]
fn wrapped(body: &str, findings: &[&str], request: &str) {
    check(body, Shape::Wrapped, findings, request);
}

#[track_caller]
fn either(body: &str, findings: &[&str], request: &str) {
    check(body, Shape::Either, findings, request);
}

#[test]
fn reads_a_creation_as_karbor_takes_it() {
    wrapped(r#"{"checkpoint":{"plan_id":"p","extra-info":{"a":"1","b":""}}}"#, &[], "wrapped p {a=1 b=} []");
    wrapped(r#"{"checkpoint":{"extra-info":{"a":"1"},"plan_id":"p"}}"#, &[], "wrapped p {a=1} []");
    wrapped(r#"{"checkpoint":{"plan_id":"p","extra-info":null}}"#, &[], "wrapped p {} []");
    wrapped(r#"{"checkpoint":{"plan_id":"p","extra-info":{}}}"#, &[], "wrapped p {} []");
    wrapped(r#"{"checkpoint":{"plan_id":"p"}}"#, &[], "wrapped p {} []");
    wrapped(r#"{"checkpoint":{}}"#, &[], "wrapped - {} []");
    wrapped(r#"{"checkpoint":{"plan_id":7}}"#, &[], "wrapped - {} []");
    wrapped(" \t\r\n{\"checkpoint\" : {\"plan_id\":\"p\"} }\n", &[], "wrapped p {} []");
    wrapped(
        r#"{"\u0063heckpoint":{"plan\u005fid":"\u0070","\u0065xtra-info":{"\u0061":"\n\ud834\udd1e"}}}"#,
        &[],
        "wrapped p {a=\n\u{1d11e}} []",
    );
}

#[test]
fn reads_the_short_form_flat_or_wrapped() {
    either(r#"{"plan_id":"p","extra-info":{"a":"1"}}"#, &[], "flat p {a=1} []");
    either(r#"{"extra-info":null,"plan_id":"p"}"#, &[], "flat p {} []");
    either(r#"{"checkpoint":{"plan_id":"p","extra-info":{"a":"1"}}}"#, &[], "wrapped p {a=1} []");
}

#[test]
fn the_short_form_needs_a_plan_id() {
    for plan_id in ["1".repeat(64), "A-z".to_owned(), "-".to_owned()] {
        either(&format!(r#"{{"plan_id":"{plan_id}"}}"#), &[], &format!("flat {plan_id} {{}} []"));
    }
    for plan_id in ["1".repeat(65), String::new(), "a/b".into(), "a b".into(), "..".into(), "\u{e9}".into()] {
        let request = format!("{plan_id} {{}} []");
        either(&format!(r#"{{"plan_id":"{plan_id}"}}"#), &["malformed"], &format!("flat {request}"));
        either(
            &format!(r#"{{"checkpoint":{{"plan_id":"{plan_id}"}}}}"#),
            &["malformed"],
            &format!("wrapped {request}"),
        );
    }
    either(r#"{"plan_id":"p\n"}"#, &["malformed"], "flat p\n {} []");
    either("{}", &["malformed"], "flat - {} []");
    either(r#"{"checkpoint":{}}"#, &["malformed"], "wrapped - {} []");
    either(r#"{"plan_id":null}"#, &["malformed"], "flat - {} []");
    either(r#"{"plan_id":1}"#, &["malformed"], "flat - {} []");
}

#[test]
fn finds_bodies_of_another_shape() {
    for body in ["null", "true", "1", "-0.5e3", r#""checkpoint""#, "[]", r#"[{"checkpoint":{}}]"#] {
        wrapped(body, &["malformed"], "-");
        either(body, &["malformed"], "-");
    }
    for checkpoint in ["null", "false", "1", r#""""#, "[]", "[{}]"] {
        wrapped(&format!(r#"{{"checkpoint":{checkpoint}}}"#), &["malformed"], "-");
        either(
            &format!(r#"{{"plan_id":"p","checkpoint":{checkpoint}}}"#),
            &["malformed", "unknown plan_id"],
            "-",
        );
    }
    wrapped("{}", &["malformed"], "-");
    wrapped(r#"{"Checkpoint":{}}"#, &["unknown Checkpoint", "malformed"], "-");
    wrapped(r#"{"plan_id":"p"}"#, &["unknown plan_id", "malformed"], "-");
}

#[test]
fn finds_unknown_members() {
    wrapped(r#"{"checkpoint":{},"type":1}"#, &["unknown type"], "wrapped - {} []");
    wrapped(r#"{"a":{"b":{"c":[]}},"checkpoint":{"d":0}}"#, &["unknown a", "unknown d"], "wrapped - {} []");
    wrapped(
        r#"{"checkpoint":{"":0,"extra-info ":{}}}"#,
        &["unknown ", "unknown extra-info "],
        "wrapped - {} []",
    );
    wrapped(r#"{"extra-info":{},"checkpoint":{}}"#, &["unknown extra-info"], "wrapped - {} []");
    wrapped(r#"{"checkpoint":{"checkpoint":{}}}"#, &["unknown checkpoint"], "wrapped - {} []");
    either(r#"{"plan_id":"p","name":"n"}"#, &["unknown name"], "flat p {} []");
    either(
        r#"{"plan_id":"q","extra-info":{"a":"1"},"checkpoint":{"plan_id":"p"}}"#,
        &["unknown plan_id", "unknown extra-info"],
        "wrapped p {} []",
    );
}

#[test]
fn entries_under_the_other_spelling_are_judged_too() {
    wrapped(r#"{"checkpoint":{"extra_info":{"a":"1"}}}"#, &["unknown extra_info"], "wrapped - {} [a]");
    wrapped(
        r#"{"checkpoint":{"extra_info":{"a":"1"},"extra-info":{"a":"2"}}}"#,
        &["unknown extra_info"],
        "wrapped - {a=2} [a]",
    );
    wrapped(
        r#"{"checkpoint":{"extra_info":1}}"#,
        &["unknown extra_info", "not a map: a number"],
        "wrapped - {} []",
    );
}

#[test]
fn finds_what_is_not_a_map_of_strings() {
    for (value, kind) in [
        ("false", "a boolean"),
        ("0", "a number"),
        ("1e2", "a number"),
        (r#""{}""#, "a string"),
        ("[]", "a list"),
        (r#"[{"a":"1"}]"#, "a list"),
    ] {
        let body = format!(r#"{{"checkpoint":{{"extra-info":{value}}}}}"#);
        wrapped(&body, &[&format!("not a map: {kind}")], "wrapped - {} []");
    }
    for (value, kind) in [
        ("null", "null"),
        ("true", "a boolean"),
        ("-1", "a number"),
        ("18446744073709551616", "a number"),
        ("1.5", "a number"),
        ("[]", "a list"),
        ("{}", "an object"),
        (r#"{"a":{"b":"c"}}"#, "an object"),
    ] {
        let body = format!(r#"{{"checkpoint":{{"extra-info":{{"k":{value},"l":""}}}}}}"#);
        wrapped(&body, &[&format!("not a string: k, {kind}")], "wrapped - {l=} [k]");
    }
}

#[test]
fn finds_repeated_keys_at_every_level() {
    wrapped(
        r#"{"checkpoint":{"extra-info":{"a":"1"}},"\u0063heckpoint":{"extra-info":{"a":"2"}}}"#,
        &["duplicate checkpoint"],
        "wrapped - {a=1} [a]",
    );
    wrapped(
        r#"{"checkpoint":{"extra-info":{"a":"1"},"\u0065xtra-info":{"b":"2"}}}"#,
        &["duplicate extra-info"],
        "wrapped - {a=1} [b]",
    );
    wrapped(
        r#"{"checkpoint":{"extra-info":null,"extra-info":{"b":"2"}}}"#,
        &["duplicate extra-info"],
        "wrapped - {} [b]",
    );
    wrapped(
        r#"{"checkpoint":{"plan_id":"p","plan\u005Fid":"q"}}"#,
        &["duplicate plan_id"],
        "wrapped q {} []",
    );
    wrapped(
        r#"{"checkpoint":{"extra-info":{"a":"1","\u0061":"2","a":"3"}}}"#,
        &["duplicate a", "duplicate a"],
        "wrapped - {a=1} [a a]",
    );
    wrapped(
        r#"{"x":1,"x":1,"checkpoint":{}}"#,
        &["unknown x", "duplicate x", "unknown x"],
        "wrapped - {} []",
    );
    wrapped(
        r#"{"checkpoint":{"extra-info":{"k":[{"\ud834\udd1e":1,"𝄞":2}]}}}"#,
        &["duplicate 𝄞", "not a string: k, a list"],
        "wrapped - {} [k]",
    );
    wrapped(
        r#"{"checkpoint":{"extra-info":[[{"":1,"":2}]]}}"#,
        &["duplicate ", "not a map: a list"],
        "wrapped - {} []",
    );
    // Unequal as sequences of characters, though they look alike.
    wrapped(
        r#"{"checkpoint":{"extra-info":{"\u00e9":"1","e\u0301":"2","A":"3","a":"4"}}}"#,
        &[],
        "wrapped - {\u{e9}=1 e\u{301}=2 A=3 a=4} []",
    );
}

#[test]
fn finds_repeated_keys_among_very_many() {
    let entries: Vec<_> = (0..20_000).map(|number| format!(r#""k{number}":"""#)).collect();
    let body = format!(r#"{{"checkpoint":{{"extra-info":{{{},"k0":"","k19999":""}}}}}}"#, entries.join(","));
    let read = read_create(body.as_bytes(), Shape::Wrapped, DEPTH);
    assert_eq!(words(&read.findings), ["duplicate k0", "duplicate k19999"]);
    assert_eq!(read.request.unwrap().extra_info.len(), 20_000);
}

#[test]
fn bounds_the_nesting() {
    #[track_caller]
    fn check(open: &str, close: &str, levels: usize, max_depth: usize, expected: bool) {
        let document = format!("{}0{}", open.repeat(levels), close.repeat(levels));
        assert_eq!(
            read_update(document.as_bytes(), max_depth).is_empty(),
            expected,
            "{levels} of {max_depth}"
        );
    }
    for max_depth in [0, 1, 2, 64, MAX_DEPTH - 1, MAX_DEPTH] {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            if max_depth > 0 {
                check(open, close, max_depth - 1, max_depth, true);
            }
            check(open, close, max_depth, max_depth, true);
            check(open, close, max_depth + 1, max_depth, false);
        }
    }
    check("[", "]", MAX_DEPTH + 1, usize::MAX, false);
    check("[", "]", 1_000_000, usize::MAX, false);
    let wide = format!("[{}]", vec!["[[]]"; 1000].join(","));
    assert!(read_update(wide.as_bytes(), 3).is_empty(), "depth is not width");
}

#[test]
fn finds_the_map_in_updates() {
    #[track_caller]
    fn check(body: &str, findings: &[&str]) {
        assert_eq!(words(&read_update(body.as_bytes(), DEPTH)), findings, "{body}");
    }
    check("", &[]);
    check(r#"{"os-resetState":{"state":"available"}}"#, &[]);
    check(r#"{"copy":{"plan_id":"p","parameters":{}}}"#, &[]);
    check(r#"["extra-info", {"a":"extra_info"}, {"extra-info ":1, "Extra-Info":1, "extrainfo":1}]"#, &[]);
    check(r#"{"extra-info":null}"#, &["extra-info: extra-info"]);
    check(r#"{"extra\u005finfo":{}}"#, &["extra-info: extra_info"]);
    check(r#"{"a":[1,{"b":{"extra-\u0069nfo":{}}}]}"#, &["extra-info: extra-info"]);
    check(
        r#"{"extra-info":{"extra_info":1},"extra-info":2}"#,
        &[
            "extra-info: extra-info",
            "extra-info: extra_info",
            "duplicate extra-info",
            "extra-info: extra-info",
        ],
    );
    check(" ", &["malformed at 1"]);
    check(r#"{"extra-info":"#, &["extra-info: extra-info", "malformed at 14"]);
    check("state=available", &["malformed at 1"]);
}

#[test]
fn writes_what_was_read_for_karbor_before_1_0() {
    #[track_caller]
    fn check(body: &str, expected: Option<&str>) {
        let request = read_create(body.as_bytes(), Shape::Either, DEPTH).request.unwrap();
        let written = request.with_underscore().map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(written.as_deref(), expected, "{body}");
    }
    let whole = r#"{"checkpoint":{"plan_id":"p","extra_info":{"b\n":"\"","a":"é"}}}"#;
    check(r#"{"plan_id":"p","extra-info":{"b\u000a":"\u0022","a":"\u00e9"}}"#, Some(whole));
    check(r#"{"checkpoint":{"extra-info":{"b\n":"\"","a":"é"},"plan_id":"p"}}"#, Some(whole));
    check(r#"{"plan_id":"p","extra-info":null}"#, Some(r#"{"checkpoint":{"plan_id":"p"}}"#));
    for not_whole in [
        r#"{"plan_id":"p","extra-info":{"a":1}}"#,
        r#"{"plan_id":"p","extra-info":{"a":"1","a":"2"}}"#,
        r#"{"plan_id":"p","name":"n"}"#,
        r#"{"plan_id":1}"#,
    ] {
        check(not_whole, None);
    }
}

#[test]
fn wraps_the_very_bytes() {
    let flat = br#" {"plan_id":"p", "extra-info":{"a":"\u0031"}} "#;
    let wrapped = wrap_flat(flat);
    assert_eq!(wrapped, br#"{"checkpoint": {"plan_id":"p", "extra-info":{"a":"\u0031"}} }"#);
    let read = read_create(&wrapped, Shape::Wrapped, DEPTH);
    assert_eq!(
        (words(&read.findings), outline(read.request.as_ref())),
        (vec![], "wrapped p {a=1} []".into())
    );
}
