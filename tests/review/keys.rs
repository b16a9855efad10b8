//! Keys, namespaces and values. The grammar in full is beside `policy/key.rs`.

use karbor_admission::karbor::request::Shape;
use karbor_admission::policy::{Applications, Bound, Limits, Policy, PolicySpec, TenantRules, Verdict};

use crate::support::{TENANT, boundless, check_under, creation, is_denial, policy, review, rules, spec};

#[track_caller]
fn check(policy: &Policy, extra_info: &str, expected: &[&str]) {
    check_under(policy, creation(extra_info).as_bytes(), expected);
}

#[track_caller]
fn shipped(extra_info: &str, expected: &[&str]) {
    check(&policy(rules()), extra_info, expected);
}

#[test]
fn admits_keys_of_both_namespaces() {
    shipped(r#"{"karbor-trigger-id":"","karbor-scheduled-operation-id":"o"}"#, &["admit"]);
    shipped(r#"{"x-a--b":"","x-acme-1.2_3--Some Name:.#_-":"v","x-a---b":"v"}"#, &["admit"]);
    shipped(r#"{"\u0078-a-\u002db":""}"#, &["admit"]);
}

#[test]
fn denies_malformed_keys() {
    for key in ["", "env", "x-a-b", "X-a--b", "x-A--b", "karbor-", "Karbor-created-by", "x-a--", "x-a--b "] {
        shipped(&format!(r#"{{"{key}":"v"}}"#), &["deny", &format!("malformed-key {key}")]);
    }
}

#[test]
fn a_key_is_judged_by_itself_whatever_came_before_it() {
    let malformed = ["x-a--", "x-a--b ", "x-a-", "x-a-b", "x-a", "x-A--b", "x-a--é", "x-a.--b", "-a--b"];
    for key in malformed {
        let map = format!(r#"{{"x-a--a":"","x-a--c":"","{key}":"v","x-a--d":""}}"#);
        shipped(&map, &["deny", &format!("malformed-key {key}")]);
    }
    shipped(
        r#"{"x-a--a":"","x-a--a--b":"","x-a---b":"","x-a--b":"","x-ab--a":"","karbor-trigger-id":""}"#,
        &["admit"],
    );
    let applications = Applications::of(["a", "b*"]);
    let some = policy(TenantRules { applications, ..rules() });
    let denied = ["deny", "application-not-allowed x-c--a", "application-not-allowed x-c--b"];
    check(&some, r#"{"x-a--a":"","x-c--a":"","x-a--b":"","x-c--b":"","x-a--c":"","x-bc--a":""}"#, &denied);
}

#[test]
fn denies_a_trailing_newline_that_karbor_lets_pass() {
    shipped(r#"{"karbor-trigger-id\n":"v"}"#, &["deny", "malformed-key karbor-trigger-id\n"]);
    shipped(r#"{"x-a--b\u000a":"v"}"#, &["deny", "malformed-key x-a--b\n"]);
    shipped(r#"{"created_by\n":"v"}"#, &["deny", "malformed-key created_by\n"]);
}

#[test]
fn denies_karbor_keys_that_are_not_recognised() {
    for key in ["karbor-a", "karbor-created-bye", "karbor-created-BY", "karbor-x-a--b"] {
        shipped(&format!(r#"{{"{key}":"v"}}"#), &["deny", &format!("unknown-karbor-key {key}")]);
    }
    let none = Policy::new(PolicySpec { karbor_keys: Vec::new(), ..spec(rules()) });
    check(&none, r#"{"karbor-trigger-id":"v"}"#, &["deny", "unknown-karbor-key karbor-trigger-id"]);
}

#[test]
fn denies_values_beside_those_configured() {
    shipped(r#"{"karbor-created-by":"manual"}"#, &["admit"]);
    shipped(r#"{"karbor-created-by":"operation\u002dengine"}"#, &["admit"]);
    for value in ["", "Manual", "manual ", "manual\\n", "manua"] {
        let body = format!(r#"{{"karbor-created-by":"{value}"}}"#);
        shipped(&body, &["deny", "karbor-key-value karbor-created-by"]);
    }
    shipped(r#"{"karbor-created-by":null}"#, &["deny", "value-not-a-string karbor-created-by"]);
    shipped(r#"{"karbor-trigger-id":"anything"}"#, &["admit"]);
}

#[test]
fn denies_applications_that_the_tenant_may_not_write() {
    let some = Applications::of(["trigger-master", "acme-*", "b*"]);
    let some = policy(TenantRules { applications: some, ..rules() });
    for application in ["trigger-master", "acme-a", "acme-a.b", "b", "bc", "b-c"] {
        check(&some, &format!(r#"{{"x-{application}--k":"v"}}"#), &["admit"]);
    }
    for application in ["trigger-master2", "trigger", "acme", "a", "ab"] {
        let key = format!("x-{application}--k");
        check(&some, &format!(r#"{{"{key}":"v"}}"#), &["deny", &format!("application-not-allowed {key}")]);
    }
    // Karbor's own keys are no application's.
    check(&some, r#"{"karbor-trigger-id":"v","created_by":"v"}"#, &["admit"]);
    let none = policy(TenantRules { applications: Applications::of([""; 0]), ..rules() });
    check(&none, r#"{"x-a--k":"v"}"#, &["deny", "application-not-allowed x-a--k"]);
    check(&none, r#"{"karbor-trigger-id":"v"}"#, &["admit"]);
}

#[test]
fn admits_bridged_keys_as_they_are_and_counts_them() {
    #[track_caller]
    fn check_bridged(policy: &Policy, extra_info: &str, expected: &[usize]) {
        match review(policy, creation(extra_info).as_bytes()) {
            Verdict::Admit { charge, .. } => assert_eq!(charge.bridged, expected),
            Verdict::Deny(violations) => panic!("{violations}"),
        }
    }
    let engine = r#"{"created_by":"e","scheduled_operation_id":"o","x-a--b":"","trigger_id":"t"}"#;
    check_bridged(&policy(rules()), engine, &[0, 2, 1]);
    check_bridged(&policy(rules()), r#"{"x-a--b":""}"#, &[]);
    let own = Policy::new(PolicySpec { bridged_keys: vec!["Any key/\u{e9}".into()], ..spec(rules()) });
    check_bridged(&own, r#"{"Any key/\u00e9":"v"}"#, &[0]);
}

#[test]
fn an_empty_list_turns_the_bridge_off() {
    let off = Policy::new(PolicySpec { bridged_keys: Vec::new(), ..spec(rules()) });
    check(&off, r#"{"created_by":"operation-engine"}"#, &["deny", "malformed-key created_by"]);
}

#[test]
fn holds_bridged_keys_to_the_limits() {
    let limits = Limits { key_bytes: Bound::AtMost(9), value_bytes: Bound::AtMost(1), ..Limits::SHIPPED };
    let tight = policy(TenantRules { limits, ..rules() });
    check(
        &tight,
        r#"{"created_by":"ab"}"#,
        &["deny", "key-too-long created_by 10/9", "value-too-long created_by 2/1"],
    );
    shipped(r#"{"created_by":null}"#, &["deny", "value-not-a-string created_by"]);
}

#[test]
fn reports_every_violation_in_the_order_of_the_rules() {
    let limits = Limits {
        entries: Bound::AtMost(5),
        key_bytes: Bound::AtMost(20),
        value_bytes: Bound::AtMost(3),
        total_bytes: Bound::AtMost(78),
        ..Limits::SHIPPED
    };
    let strict = policy(TenantRules { limits, applications: Applications::of(["a"]), ..rules() });
    let map = concat!(
        r#"{"x-b--this-is-too-long":"v","karbor-created-by":"nobody","karbor-no":"v","bad":"v","x-a--n":null,"#,
        r#""x-a--d":"1","x-a--d":"2"}"#
    );
    let body = format!(r#"{{"checkpoint":{{"extra-info":{map},"name":""}}}}"#);
    let expected = [
        "deny",
        "duplicate-member x-a--d",
        "unknown-member name",
        "value-not-a-string x-a--n",
        "malformed-key bad",
        "unknown-karbor-key karbor-no",
        "karbor-key-value karbor-created-by",
        "application-not-allowed x-b--this-is-too-long",
        "key-too-long x-b--this-is-too-long 21/20",
        "value-too-long karbor-created-by 6/3",
        "too-many-entries 7/5",
        "extra-info-too-large 79/78",
    ];
    check_under(&strict, body.as_bytes(), &expected);
}

#[test]
fn gives_what_was_read_with_the_verdict() {
    let body = creation(r#"{"x-a--b":"\u00e9","bad":"v"}"#);
    let review = policy(boundless()).review_create(TENANT, Shape::Wrapped, body.as_bytes());
    assert!(is_denial(&review.verdict));
    let request = review.request.unwrap();
    assert_eq!(request.plan_id.as_deref(), Some("p"));
    assert_eq!(request.extra_info.iter().collect::<Vec<_>>(), [("x-a--b", "\u{e9}"), ("bad", "v")]);
}
