//! What people and programs are told of a violation.

use karbor_admission::karbor::fault::{Detail, Fault};
use karbor_admission::policy::{
    Applications, Bound, Breach, Enforcement, Limits, Policy, PolicySpec, Rule, Stances, TenantRules,
    Verdict, Violation,
};

use crate::support::{TENANT, creation, policy, review, rules, spec};

#[track_caller]
fn check_verdict(verdict: &Verdict, expected: &str) {
    let text = verdict.violations().to_string();
    assert_eq!(text, expected);
    assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
}

#[track_caller]
fn check(extra_info: &str, expected: &str) {
    check_verdict(&review(&policy(rules()), creation(extra_info).as_bytes()), expected);
}

#[track_caller]
fn check_body(body: &[u8], expected: &str) {
    check_verdict(&review(&policy(rules()), body), expected);
}

#[test]
fn names_key_rule_measured_allowed_and_hint() {
    check(
        &format!(r#"{{"x-app--k":"{}"}}"#, "v".repeat(2000)),
        "key 'x-app--k' has a value of 2000 bytes, 1024 are allowed (value-too-long)",
    );
    check(
        r#"{"x-app--k":null}"#,
        "key 'x-app--k' has a value that is not a string: found null, which the client sends for \
         --extra_info KEY without =VALUE (value-not-a-string)",
    );
    check(
        r#"{"x-app--k":1}"#,
        "key 'x-app--k' has a value that is not a string: found a number (value-not-a-string)",
    );
    check("[]", "'extra-info' is not a map of strings: found a list (not-a-map)");
    check(
        r#"{"env":"prod"}"#,
        "key 'env' is neither karbor-NAME nor x-APPLICATION--NAME: for example 'x-myapp--env' (malformed-key)",
    );
    check(
        r#"{"karbor-created_by":"v"}"#,
        "key 'karbor-created_by' is not a recognised karbor- key: did you mean 'karbor-created-by'? \
         (unknown-karbor-key)",
    );
    check(
        r#"{"karbor-k":"v"}"#,
        "key 'karbor-k' is not a recognised karbor- key: recognised: 'karbor-created-by', 'karbor-trigger-id', \
         'karbor-scheduled-operation-id' (unknown-karbor-key)",
    );
    check(
        r#"{"karbor-created-by":"v"}"#,
        "key 'karbor-created-by' has a value that is not among those allowed: allowed: 'manual', \
         'operation-engine' (karbor-key-value)",
    );
    check_body(b"{", "the body is malformed at byte 1: the document ends too early (malformed-body)");
    check_body(b"{}", "the body is malformed: 'checkpoint' is missing (malformed-body)");
    check_body(
        b"\xef\xbb\xbf{}",
        "the body is malformed at byte 1: a byte order mark stands before the document (malformed-body)",
    );
    check_body(
        br#"{"checkpoint":{"extra_info":null}}"#,
        "'extra_info' is not a member of a checkpoint creation: requests spell it 'extra-info' (unknown-member)",
    );
    check_body(
        br#"{"checkpoint":{"plan_id":"p","plan_id":"p"}}"#,
        "'plan_id' stands more than once in its object (duplicate-member)",
    );
}

#[test]
fn names_what_the_tenant_may_do() {
    let some = TenantRules { applications: Applications::of(["trigger-master", "acme-*"]), ..rules() };
    for (rules, hint) in [
        (some, "it may write 'trigger-master', 'acme-*'"),
        (TenantRules { applications: Applications::of([""; 0]), ..rules() }, "it may write none"),
    ] {
        let verdict = review(&policy(rules), creation(r#"{"x-app--k":"v"}"#).as_bytes());
        let text = format!(
            "key 'x-app--k' is of an application that this project may not write: {hint} (application-not-allowed)"
        );
        check_verdict(&verdict, &text);
    }
}

#[test]
fn names_what_was_seen_outside_a_body() {
    let policy = policy(rules());
    for (breach, expected) in [
        (
            Breach::of(Rule::BodyTooLarge).measured(Some(3)).allowed(Some(2)),
            "the body has 3 bytes, 2 are allowed (body-too-large)",
        ),
        (
            Breach::of(Rule::BodyTooLarge).allowed(Some(2)),
            "the body has too many bytes, 2 are allowed (body-too-large)",
        ),
        (
            Breach::of(Rule::UnsupportedMediaType).hint("found text/plain\r\n\u{e9}"),
            r"the body must be application/json without a content coding: found text/plain\u{d}\u{a}\u{e9} (unsupported-media-type)",
        ),
        (Breach::of(Rule::ReadOnly), "'extra-info' cannot be changed once the checkpoint exists (read-only)"),
        (
            Breach::of(Rule::TooManyEntries).measured(Some(1)).allowed(Some(0)),
            "extra-info has 1 entry, 0 are allowed (too-many-entries)",
        ),
        (
            Breach::of(Rule::ExtraInfoTooLarge).measured(Some(2)).allowed(Some(1)),
            "extra-info has 2 bytes in all keys and values, 1 is allowed (extra-info-too-large)",
        ),
    ] {
        check_verdict(&policy.judge(TENANT, breach), expected);
    }
}

#[test]
fn escapes_and_cuts_what_the_client_sent() {
    #[track_caller]
    fn check(key: &str, quoted: &str) {
        let verdict = policy(rules()).judge(TENANT, Breach::of(Rule::DuplicateMember).key(key));
        check_verdict(
            &verdict,
            &format!("'{quoted}' stands more than once in its object (duplicate-member)"),
        );
        let kept = verdict.violations().list[0].key.as_deref().unwrap();
        assert!(kept.len() <= Violation::KEY_BYTES && quoted.len() <= Violation::KEY_BYTES);
    }
    check("a\r\nb", r"a\u{d}\u{a}b");
    check("\u{1b}[31m", r"\u{1b}[31m");
    check("it's \\ \"q\"", r#"it\'s \\ "q""#);
    check("é\u{202e}𝄞", r"\u{e9}\u{202e}\u{1d11e}");
    check("", "");
    check(&"k".repeat(96), &"k".repeat(96));
    check(&"k".repeat(97), &format!("{}...", "k".repeat(93)));
    check(&"é".repeat(48), &format!("{}...", r"\u{e9}".repeat(15)));
    check(&"𝄞".repeat(100_000), &format!("{}...", r"\u{1d11e}".repeat(10)));
}

#[test]
fn names_several_in_one_bounded_line() {
    check(
        r#"{"x-a--k":1,"x-a--l":true}"#,
        "key 'x-a--k' has a value that is not a string: found a number (value-not-a-string); \
         key 'x-a--l' has a value that is not a string: found a boolean (value-not-a-string)",
    );
    for entries in [7, 30, 64, 3000] {
        let list: Vec<_> = (0..entries).map(|number| format!(r#""k{number}":[]"#)).collect();
        let verdict = review(&policy(rules()), creation(&format!("{{{}}}", list.join(","))).as_bytes());
        let violations = verdict.violations();
        let text = violations.to_string();
        let named = text.matches(" (").count() as u64;
        let more = violations.list.len() as u64 + violations.left_out - named;
        assert!(text.len() < 640 && named > 2, "{text}");
        assert!(text.ends_with(&format!("; and {more} more")), "{text}");
    }
}

#[test]
fn names_every_enforced_rule_even_where_the_line_is_full() {
    let key = |start: &str| format!("{start}{}", "k".repeat(90));
    let map = [
        format!(r#""{}":1"#, key("x-a--")),
        format!(r#""{}/":"""#, key("x-b--")),
        format!(r#""{}":"""#, key("karbor-")),
        r#""karbor-created-by":"nobody""#.to_owned(),
        format!(r#""{}":"""#, key("x-c--").repeat(3)),
        format!(r#""x-a--l":"{}""#, "v".repeat(2000)),
    ];
    let limits = Limits { entries: Bound::AtMost(3), total_bytes: Bound::AtMost(3), ..Limits::SHIPPED };
    let rules = TenantRules { limits, applications: Applications::of(["a"]), ..rules() };
    let verdict = review(&policy(rules), creation(&format!("{{{}}}", map.join(","))).as_bytes());
    let text = verdict.violations().to_string();
    assert!(text.len() < 1000, "{text}");
    for (rule, _) in verdict.violations().broken() {
        assert!(text.contains(rule.code()), "{rule} is not in {text}");
    }
    assert!(text.contains(" more ("), "{text}");
}

#[test]
fn a_denial_names_only_what_is_enforced() {
    let stances = Stances::all(Enforcement::Observe).with(Rule::NotAMap, Enforcement::Enforce);
    let verdict =
        review(&policy(TenantRules { stances, ..rules() }), br#"{"a":1,"checkpoint":{"extra-info":1}}"#);
    assert_eq!(verdict.violations().list.len(), 2);
    check_verdict(&verdict, "'extra-info' is not a map of strings: found a number (not-a-map)");
}

#[test]
fn bounds_hints_of_long_lists() {
    let values = (0..1000).map(|number| format!("value-{number}").into()).collect();
    let karbor_keys = vec![("karbor-k".into(), values)];
    let policy = Policy::new(PolicySpec { karbor_keys, ..spec(rules()) });
    let verdict = review(&policy, creation(r#"{"karbor-k":"v"}"#).as_bytes());
    let hint = verdict.violations().list[0].hint.as_deref().unwrap();
    assert!(hint.len() <= Violation::HINT_BYTES && hint.ends_with(" more"), "{hint}");
}

#[test]
fn shows_a_key_that_would_be_right() {
    #[track_caller]
    fn check(key: &str, expected: &str) {
        let verdict = review(&policy(rules()), creation(&format!(r#"{{"{key}":"v"}}"#)).as_bytes());
        let [violation] = &*verdict.violations().list else { panic!("{key}: {verdict:?}") };
        assert_eq!(
            (violation.rule, violation.hint.as_deref()),
            (Rule::MalformedKey, Some(expected)),
            "{key}"
        );
    }
    check("note", "for example 'x-myapp--note'");
    check("Some Note #1", "for example 'x-myapp--Some Note #1'");
    check("", "for example 'x-myapp--note'");
    check(" a", "for example 'x-myapp--note'");
    check("a/b", "for example 'x-myapp--note'");
    check("n\u{f6}te", "for example 'x-myapp--note'");
    check(&"k".repeat(64), &format!("for example 'x-myapp--{}'", "k".repeat(64)));
    check(&"k".repeat(65), "for example 'x-myapp--note'");
    check("karbor_trigger_id", "did you mean 'karbor-trigger-id'?");
    // As far away as may be, with three letters that it has nowhere else.
    check("qarbur-created-bz", "did you mean 'karbor-created-by'?");
    check("Karbor-Created-By", "did you mean 'karbor-created-by'?");
    check("Karbor-site", "did you mean 'karbor-site'?");
    check("X-Acme--Tier", "did you mean 'x-acme--tier'?");
    check("x-acme-tier", "no '--' stands between application and name");
    check("karbor-a ", "the name begins or ends with a space");
}

#[test]
fn becomes_the_details_of_a_fault() {
    let verdict = review(&policy(rules()), creation(r#"{"x-a--é":""}"#).as_bytes());
    let violations = verdict.violations();
    let message = violations.to_string();
    let fault = Fault {
        details: violations.list.iter().map(Detail::from).collect(),
        left_out: violations.left_out,
        ..Fault::new(400, &message)
    };
    let body: serde_json::Value = serde_json::from_slice(&fault.to_body()).unwrap();
    let object = &body["badRequest"];
    assert_eq!(object["message"], message);
    assert_eq!(object["details"][0]["rule"], "malformed-key");
    assert_eq!(object["details"][0]["key"], "x-a--é");
    assert_eq!(object["details"][0]["enforcement"], "enforced");
    let hint = "the name may have only letters, digits, '-', '_', ':', '.', '#' and spaces";
    assert_eq!(object["details"][0]["hint"], hint);
    let without_hint = message.replace(&format!(": {hint}"), "");
    assert_ne!(message, without_hint);
    assert_eq!(object["details"][0]["message"], without_hint);
    assert_eq!(object["left_out"], 0);
}
