//! Policies to review under, and verdicts in few words.

use std::sync::Arc;

use karbor_admission::karbor::TenantId;
use karbor_admission::karbor::request::Shape;
use karbor_admission::policy::{
    Applications, Bound, Enforcement, Limits, Policy, PolicySpec, Quotas, Rule, Stances, TenantRules,
    Verdict, Violation,
};

/// A tenant that is not named, so that the default holds.
pub(crate) const TENANT: &str = "9a3cfd1e0f9f4b3b8d0f8f0f3a1b2c3d";

/// What is shipped, for every tenant.
pub(crate) fn rules() -> TenantRules {
    TenantRules {
        limits: Limits::SHIPPED,
        quotas: Quotas::UNLIMITED,
        applications: Applications::every(),
        stances: Stances::all(Enforcement::Enforce),
    }
}

/// Without any limit.
pub(crate) fn boundless() -> TenantRules {
    let limits = Limits {
        entries: Bound::Unlimited,
        key_bytes: Bound::Unlimited,
        value_bytes: Bound::Unlimited,
        total_bytes: Bound::Unlimited,
        body_bytes: u64::MAX,
    };
    TenantRules { limits, ..rules() }
}

/// The policy as shipped, with these rules for every tenant, and some values configured for one key.
pub(crate) fn spec(default: TenantRules) -> PolicySpec {
    let keys = [
        ("karbor-created-by", &["manual", "operation-engine"][..]),
        ("karbor-trigger-id", &[]),
        ("karbor-scheduled-operation-id", &[]),
    ];
    PolicySpec {
        revision: "r1".into(),
        default: Arc::new(default),
        tenants: Arc::default(),
        bridged_keys: ["created_by", "trigger_id", "scheduled_operation_id"].map(Into::into).into(),
        karbor_keys: keys
            .map(|(key, values)| (key.into(), values.iter().map(|value| (*value).into()).collect()))
            .into(),
        violations_reported: 16,
        max_depth: 32,
    }
}

pub(crate) fn policy(default: TenantRules) -> Policy {
    Policy::new(spec(default))
}

/// The policy with other rules for one tenant.
pub(crate) fn policy_for(tenant: &str, rules: TenantRules) -> Policy {
    let mut spec = spec(self::rules());
    Arc::make_mut(&mut spec.tenants).insert(TenantId::new(tenant), Arc::new(rules));
    Policy::new(spec)
}

/// A creation with this `extra-info`, as JSON.
pub(crate) fn creation(extra_info: &str) -> String {
    format!(r#"{{"checkpoint":{{"plan_id":"p","extra-info":{extra_info}}}}}"#)
}

pub(crate) fn review(policy: &Policy, body: &[u8]) -> Verdict {
    policy.review_create(TENANT, Shape::Wrapped, body).verdict
}

/// `code key measured/allowed`, as far as there is each.
pub(crate) fn word(violation: &Violation) -> String {
    let mut text = violation.rule.code().to_owned();
    if let Some(key) = &violation.key {
        text += &format!(" {key}");
    }
    match (violation.measured, violation.allowed) {
        (Some(measured), Some(allowed)) => text += &format!(" {measured}/{allowed}"),
        (Some(measured), None) => text += &format!(" {measured}"),
        _ => {}
    }
    text
}

pub(crate) const fn is_denial(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Deny(_))
}

/// `admit` or `deny`, then every violation.
pub(crate) fn outline(verdict: &Verdict) -> Vec<String> {
    let word_of_verdict = if is_denial(verdict) { "deny" } else { "admit" };
    let violations = verdict.violations();
    let mut words = vec![word_of_verdict.to_owned()];
    words.extend(violations.list.iter().map(word));
    if violations.left_out > 0 {
        words.push(format!("+{}", violations.left_out));
    }
    words
}

#[track_caller]
pub(crate) fn check_under(policy: &Policy, body: &[u8], expected: &[&str]) {
    assert_eq!(outline(&review(policy, body)), expected, "{}", String::from_utf8_lossy(body));
}

/// The verdict of the shipped policy on a whole body.
#[track_caller]
pub(crate) fn check_body(body: &[u8], expected: &[&str]) {
    check_under(&policy(rules()), body, expected);
}

/// The rules that the shipped policy finds broken, whatever the particulars.
#[track_caller]
pub(crate) fn check_rules(body: &[u8], expected: &[Rule]) {
    let verdict = review(&policy(rules()), body);
    let mut broken: Vec<Rule> = verdict.violations().list.iter().map(|violation| violation.rule).collect();
    broken.dedup();
    assert_eq!(broken, expected, "{}", String::from_utf8_lossy(body));
    assert_eq!(is_denial(&verdict), !expected.is_empty());
}
