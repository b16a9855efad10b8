//! Every limit at n−1, n and n+1, at 0, and unlimited. Bytes are of UTF-8 after unescaping.

use karbor_admission::policy::{Bound, Breach, Charge, Limits, Rule, TenantRules, Verdict};

use crate::support::{TENANT, boundless, creation, is_denial, outline, policy, policy_for, review, rules};

#[derive(Clone, Copy)]
enum Measure {
    Entries,
    KeyBytes,
    ValueBytes,
    TotalBytes,
}

use Measure::{Entries, KeyBytes, TotalBytes, ValueBytes};

/// Nothing but this limit.
fn only(measure: Measure, bound: Bound) -> TenantRules {
    let mut rules = boundless();
    let limits = &mut rules.limits;
    *match measure {
        Entries => &mut limits.entries,
        KeyBytes => &mut limits.key_bytes,
        ValueBytes => &mut limits.value_bytes,
        TotalBytes => &mut limits.total_bytes,
    } = bound;
    rules
}

/// A map that measures so much. The shortest key is 6 bytes long.
fn map(measure: Measure, amount: usize) -> String {
    match measure {
        Entries => {
            let entries: Vec<_> = (0..amount).map(|number| format!(r#""x-a--{number}":"""#)).collect();
            format!("{{{}}}", entries.join(","))
        }
        KeyBytes => format!(r#"{{"x-a--{}":""}}"#, "k".repeat(amount - 5)),
        ValueBytes => format!(r#"{{"x-a--k":"{}"}}"#, "v".repeat(amount)),
        TotalBytes if amount == 0 => "{}".to_owned(),
        TotalBytes => format!(r#"{{"x-a--k":"{}","x-b--k":""}}"#, "v".repeat(amount - 12)),
    }
}

#[track_caller]
fn check(measure: Measure, bound: Bound, amount: usize) {
    let verdict = review(&policy(only(measure, bound)), creation(&map(measure, amount)).as_bytes());
    match bound {
        Bound::AtMost(most) if amount as u64 > most => {
            let key = map(measure, amount).split('"').nth(1).unwrap_or_default().to_owned();
            let word = match measure {
                Entries => format!("too-many-entries {amount}/{most}"),
                KeyBytes if amount > 96 => format!("key-too-long {}... {amount}/{most}", &key[..93]),
                KeyBytes => format!("key-too-long {key} {amount}/{most}"),
                ValueBytes => format!("value-too-long {key} {amount}/{most}"),
                TotalBytes => format!("extra-info-too-large {amount}/{most}"),
            };
            assert_eq!(outline(&verdict), ["deny".to_owned(), word]);
        }
        _ => assert_eq!(outline(&verdict), ["admit"], "{amount} within {bound}"),
    }
}

#[test]
fn admits_up_to_the_bound_and_denies_beyond() {
    for (measure, bounds) in [
        (Entries, &[1, 2, 8, 9, 64, 1000][..]),
        (KeyBytes, &[7, 95, 96, 97, 255, 4096]),
        (ValueBytes, &[1, 2, 1024, 65536]),
        (TotalBytes, &[13, 14, 16384]),
    ] {
        for &bound in bounds {
            let at_most = Bound::AtMost(bound as u64);
            for amount in [bound - 1, bound, bound + 1] {
                check(measure, at_most, amount);
            }
        }
    }
}

#[test]
fn none_means_none() {
    for (measure, least) in [(Entries, 1), (KeyBytes, 6), (ValueBytes, 1), (TotalBytes, 12)] {
        check(measure, Bound::AtMost(0), least);
    }
    check(Entries, Bound::AtMost(0), 0);
    check(ValueBytes, Bound::AtMost(0), 0);
    check(TotalBytes, Bound::AtMost(0), 0);
    let verdict = review(&policy(only(Entries, Bound::AtMost(0))), creation("null").as_bytes());
    assert_eq!(outline(&verdict), ["admit"]);
}

#[test]
fn unlimited_is_unlimited() {
    for (measure, amount) in
        [(Entries, 20_000), (KeyBytes, 100_000), (ValueBytes, 1 << 20), (TotalBytes, 1 << 20)]
    {
        check(measure, Bound::Unlimited, amount);
        check(measure, Bound::AtMost(u64::MAX), amount);
    }
}

#[test]
fn measures_bytes_after_unescaping() {
    #[track_caller]
    fn check(value: &str, bytes: u64) {
        let body = creation(&format!(r#"{{"x-a--k":"{value}"}}"#));
        for (bound, denied) in [(bytes, false), (bytes - 1, true)] {
            let rules = only(ValueBytes, Bound::AtMost(bound));
            assert_eq!(is_denial(&review(&policy(rules), body.as_bytes())), denied, "{value}");
        }
    }
    check("a", 1);
    check("\u{e9}", 2);
    check(r"\u00e9", 2);
    check(r"\u0061", 1);
    check(r"\n\\", 2);
    check(r"\u0000", 1);
    check("\u{1d11e}", 4);
    check(r"\ud834\udd1e", 4);
}

#[test]
fn counts_every_entry_whatever_is_wrong_with_it() {
    let two = policy(only(Entries, Bound::AtMost(2)));
    let body = creation(r#"{"bad":"v","x-a--n":null,"x-a--k":"v"}"#);
    let words = outline(&review(&two, body.as_bytes()));
    assert_eq!(words, ["deny", "value-not-a-string x-a--n", "malformed-key bad", "too-many-entries 3/2"]);
    let bytes = policy(only(TotalBytes, Bound::AtMost(16)));
    let words = outline(&review(&bytes, body.as_bytes()));
    assert_eq!(
        words,
        ["deny", "value-not-a-string x-a--n", "malformed-key bad", "extra-info-too-large 17/16"]
    );
}

#[test]
fn charges_what_was_measured() {
    let body = creation(r#"{"x-a--k":"\u00e9","created_by":"e"}"#);
    let charge = Charge { entries: 2, bytes: 6 + 2 + 10 + 1, bridged: vec![0] };
    match review(&policy(rules()), body.as_bytes()) {
        Verdict::Admit { charge: measured, .. } => assert_eq!(measured, charge),
        Verdict::Deny(violations) => panic!("{violations}"),
    }
}

#[test]
fn holds_each_tenant_to_its_own_limits() {
    let tight = Limits { entries: Bound::AtMost(0), ..Limits::SHIPPED };
    let policy = policy_for("tight", TenantRules { limits: tight, ..rules() });
    let body = creation(r#"{"x-a--k":"v"}"#);
    for (tenant, denied) in [("tight", true), ("Tight", false), ("tigh", false), ("", false), (TENANT, false)]
    {
        let review =
            policy.review_create(tenant, karbor_admission::karbor::request::Shape::Wrapped, body.as_bytes());
        assert_eq!(is_denial(&review.verdict), denied, "{tenant}");
    }
    assert_eq!(policy.rules_of("tight").limits, tight);
    assert_eq!(policy.rules_of(TENANT).limits, Limits::SHIPPED);
}

#[test]
fn judges_what_was_measured_outside_the_body() {
    let breach = Breach::of(Rule::BodyTooLarge).measured(Some(131_073)).allowed(Some(131_072));
    assert_eq!(outline(&policy(rules()).judge(TENANT, breach)), ["deny", "body-too-large 131073/131072"]);
    let unmeasured = Breach::of(Rule::BodyTooLarge).measured(None).allowed(Some(131_072));
    assert_eq!(outline(&policy(rules()).judge(TENANT, unmeasured)), ["deny", "body-too-large"]);
}
