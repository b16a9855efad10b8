//! Quotas: how they are written, and who inherits what.

#![cfg(test)]

use std::time::Duration;

use karbor_admission::config::{self, File};
use karbor_admission::policy::{Bound, PolicySpec, Quota, Quotas, Rate};

fn load(text: &str) -> Result<PolicySpec, String> {
    let file = File { name: "k.toml".into(), text: text.into() };
    config::parse(&[file], []).map(|loaded| loaded.config.policy).map_err(|errors| errors.to_string())
}

#[track_caller]
fn policy(text: &str) -> PolicySpec {
    load(text).unwrap()
}

/// One problem, whose text after the name of the file is `expected`.
#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(load(text).err().as_deref(), Some(&*format!("k.toml:1: {expected}")), "{text}");
}

fn rate(count: u64, seconds: u64) -> Rate {
    Rate { count, window: Duration::from_secs(seconds) }
}

#[test]
fn as_shipped_nothing_is_bounded() {
    assert_eq!(policy("").default.quotas, Quotas::UNLIMITED);
    assert_eq!(policy("[quotas.applications]\nacme = {}\n'*' = {}").default.quotas, Quotas::UNLIMITED);
}

#[test]
fn rates() {
    for (written, expected) in [
        ("100 / 1h", Some(rate(100, 3600))),
        ("100/1h", Some(rate(100, 3600))),
        (" 5 /  30 s ", Some(rate(5, 30))),
        ("0 / 1s", Some(rate(0, 1))),
        ("1000000 / 7d", Some(rate(1_000_000, 7 * 86_400))),
        ("unlimited", None),
    ] {
        let policy = policy(&format!("quotas.creations = '{written}'"));
        assert_eq!(policy.default.quotas.whole.creations, expected, "{written}");
    }
    let form = "a rate such as \"100 / 1h\", or \"unlimited\"";
    let hint = "\n  hint: a whole number, a slash and a window: \"100 / 1h\"";
    let wrong = |written: &str, expected: &str| {
        check(
            &format!("quotas.creations = {written}"),
            &format!("`quotas.creations` is {written}: expected {expected}"),
        );
    };
    for text in ["100", "\"100\"", "\"\"", "\"many / 1h\"", "\"-1 / 1h\"", "\"1.5 / 1h\"", "\"/ 1h\""] {
        wrong(text, &format!("{form}{hint}"));
    }
    wrong("true", form);
    wrong("\"100 / 1\"", &format!("{form}\n  hint: with a unit: \"1s\", \"1ms\""));
    wrong("\"100 / 1w\"", &format!("{form}\n  hint: units are ms, s, m, h, d"));
    wrong("\"100 / 8d\"", "a window from \"1s\" to \"7d\"");
    wrong("\"100 / 999ms\"", "a window from \"1s\" to \"7d\"");
    wrong("\"1000001 / 1h\"", "at most 1000000 in a window, or \"unlimited\"");
}

#[test]
fn sizes_and_numbers() {
    let quota = policy("[quotas]\ncheckpoints = 0\nstored_bytes = '2 GiB'\nstored_entries = 1_000_000_000");
    let expected = Quota {
        checkpoints: Bound::AtMost(0),
        stored_bytes: Bound::AtMost(2 << 30),
        stored_entries: Bound::AtMost(1_000_000_000),
        creations: None,
    };
    assert_eq!(quota.default.quotas.whole, expected);
    check(
        "quotas.checkpoints = 1000000001",
        "`quotas.checkpoints` is 1000000001: expected at most 1000000000, or \"unlimited\"",
    );
    check(
        "quotas.stored_bytes = '1048577 GiB'",
        "`quotas.stored_bytes` is \"1048577 GiB\": expected at most \"1048576 GiB\", or \"unlimited\"",
    );
    check(
        "quotas.stored_entries = 'many'",
        "`quotas.stored_entries` is \"many\": expected a whole number or \"unlimited\"\n  hint: 0 means none",
    );
}

#[test]
fn names_of_applications() {
    let expected = "expected the name of an application, or `*` for each that is not named";
    for (wrong, hint) in [
        ("acme-*", "one name; `*` stands alone"),
        ("Acme", "lower-case letters and digits in groups joined by single - . _"),
        ("a--b", "lower-case letters and digits in groups joined by single - . _"),
        ("", "lower-case letters and digits in groups joined by single - . _"),
    ] {
        let shown =
            if wrong == "Acme" || wrong == "a--b" { wrong.to_owned() } else { format!("\"{wrong}\"") };
        check(
            &format!("quotas.applications.'{wrong}'.checkpoints = 1"),
            &format!("`quotas.applications.{shown}`: {expected}\n  hint: {hint}"),
        );
    }
    check(
        "quotas.applications.acme.checkpoint = 1",
        "`quotas.applications.acme.checkpoint`: no such setting\n  hint: did you mean `quotas.applications.acme.checkpoints`?",
    );
    check(
        "quotas.application.acme.checkpoints = 1",
        "`quotas.application`: no such setting\n  hint: did you mean `quotas.applications`?",
    );
    check(
        "quotas.applications.acme = 5",
        "`quotas.applications.acme` is 5: expected a table\n  hint: `[quotas.applications.acme]`",
    );
}

/// What `at` of tenant `t`'s quotas allows of checkpoints where these are set.
#[track_caller]
fn check_bound(set: &[String], application: Option<&str>, expected: Bound) {
    let file = |name: &str, text: String| File { name: name.into(), text };
    let files =
        [file("names.toml", "[tenants.t]\ngroup = 'g'\n[groups.g]".into()), file("set.toml", set.join("\n"))];
    let policy = config::parse(&files, []).unwrap().config.policy;
    assert_eq!(policy.tenants["t"].quotas.of(application).checkpoints, expected, "{set:?}");
}

/// From the least to the most specific, each beats all before it.
#[track_caller]
fn check_order(application: Option<&str>, places: &[&str]) {
    check_bound(&[], application, Bound::Unlimited);
    let mut set = Vec::new();
    for (number, place) in (1..).zip(places) {
        let own = format!("{place}.checkpoints = {number}");
        check_bound(std::slice::from_ref(&own), application, Bound::AtMost(number));
        set.push(own);
        check_bound(&set, application, Bound::AtMost(number));
    }
    let last = places.last().unwrap();
    let unlimited: Vec<_> =
        set[..set.len() - 1].iter().cloned().chain([format!("{last}.checkpoints = 'unlimited'")]).collect();
    check_bound(&unlimited, application, Bound::Unlimited);
}

#[test]
fn the_most_specific_quota_wins() {
    check_order(None, &["quotas", "groups.g.quotas", "tenants.t.quotas"]);
    check_order(
        Some("acme"),
        &[
            "quotas.applications.'*'",
            "groups.g.quotas.applications.'*'",
            "tenants.t.quotas.applications.'*'",
            "quotas.applications.acme",
            "groups.g.quotas.applications.acme",
            "tenants.t.quotas.applications.acme",
        ],
    );
    for place in ["quotas", "groups.g.quotas", "tenants.t.quotas"] {
        check_bound(&[format!("{place}.applications.acme.checkpoints = 1")], Some("other"), Bound::Unlimited);
        check_bound(&[format!("{place}.applications.acme.checkpoints = 1")], None, Bound::Unlimited);
        check_bound(&[format!("{place}.checkpoints = 1")], Some("acme"), Bound::Unlimited);
    }
}

#[test]
fn quotas_are_inherited_field_by_field() {
    let policy = policy(
        "[quotas]\ncheckpoints = 9\ncreations = '9 / 1h'\n\
         [quotas.applications]\n'*' = { checkpoints = 5, stored_entries = 6 }\nacme = { creations = '1 / 1m' }\n\
         [groups.g.quotas]\ncreations = 'unlimited'\nstored_bytes = 7\n\
         [groups.g.quotas.applications]\nacme = { checkpoints = 'unlimited' }\n\
         [tenants.t]\ngroup = 'g'\n[tenants.t.quotas.applications]\n'*' = { stored_entries = 2 }\nown = { checkpoints = 1 }\n\
         [tenants.u]\n[tenants.v]\ngroup = 'g'\nenforcement = 'warn'",
    );
    let most = Bound::AtMost;
    let whole = Quota { checkpoints: most(9), stored_bytes: most(7), ..Quota::UNLIMITED };
    let each = Quota { checkpoints: most(5), stored_entries: most(2), ..Quota::UNLIMITED };
    let acme = Quota { stored_entries: most(2), creations: Some(rate(1, 60)), ..Quota::UNLIMITED };
    let own = Quota { checkpoints: most(1), ..each };
    let quotas = &policy.tenants["t"].quotas;
    assert_eq!((quotas.whole, quotas.each), (whole, each));
    let named: Vec<_> = quotas.applications.iter().map(|(name, quota)| (&**name, *quota)).collect();
    assert_eq!(named, [("acme", acme), ("own", own)]);
    assert_eq!(policy.tenants["u"].quotas, policy.default.quotas);
    assert_eq!(policy.tenants["v"].quotas.of(Some("acme")).stored_entries, most(6));
    assert_eq!(policy.tenants["v"].quotas.whole, whole);
}

#[test]
fn the_environment_names_an_application_of_the_files() {
    let file = File { name: "k.toml".into(), text: "[quotas.applications.trigger-master]".into() };
    let variable = |name: &str, value: &str| (format!("KARBOR_ADMISSION_{name}"), value.to_owned());
    let variables = [
        variable("QUOTAS__APPLICATIONS__TRIGGER_MASTER__CHECKPOINTS", "3"),
        variable("QUOTAS__APPLICATIONS__ACME__CREATIONS", "4 / 1h"),
        variable("QUOTAS__CREATIONS", "5/1h"),
    ];
    let quotas = config::parse(&[file], variables).unwrap().config.policy.default.quotas.clone();
    assert_eq!(quotas.of(Some("trigger-master")).checkpoints, Bound::AtMost(3));
    assert_eq!(quotas.of(Some("acme")).creations, Some(rate(4, 3600)));
    assert_eq!(quotas.of(None).creations, Some(rate(5, 3600)));
}
