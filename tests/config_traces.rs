//! Where traces go, as configured, in builds that can export them and in others.

#![cfg(test)]

use karbor_admission::config::{self, Config, File};

fn load(text: &str) -> Result<Config, String> {
    let file = File { name: "k".to_owned(), text: text.to_owned() };
    config::parse(&[file], []).map(|loaded| loaded.config).map_err(|errors| errors.to_string())
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let found = load(text).unwrap_err();
    assert_eq!(found, format!("k:1: {expected}"), "{text}");
}

#[test]
fn nothing_is_exported_as_shipped() {
    assert!(load("").unwrap().otlp.is_none());
    assert!(load("traces.endpoint = ''").unwrap().otlp.is_none());
}

#[cfg(feature = "otlp")]
#[test]
fn a_collector_is_an_address_with_or_without_a_path() {
    for (text, endpoint, target) in [
        ("http://c", "http://c:80", "/v1/traces"),
        ("http://127.0.0.1:4318/", "http://127.0.0.1:4318", "/v1/traces"),
        ("HTTPS://c:4318/a/b?c=d", "https://c:4318", "/a/b?c=d"),
        ("http://[::1]:4318/v1/traces", "http://[::1]:4318", "/v1/traces"),
    ] {
        let options = load(&format!("traces.endpoint = '{text}'")).unwrap().otlp.unwrap();
        assert_eq!((options.endpoint.to_string().as_str(), options.target.as_str()), (endpoint, target));
        assert_eq!((options.ratio, options.queue_spans, options.authorities), (1.0, 2048, None));
    }
    for (text, ratio) in [("0", 0.0), ("1", 1.0), ("0.25", 0.25), ("1e-3", 0.001)] {
        let options = load(&format!("traces.endpoint = 'http://c'\ntraces.ratio = {text}")).unwrap().otlp;
        assert_eq!(options.unwrap().ratio, ratio);
    }
}

#[cfg(not(feature = "otlp"))]
#[test]
fn a_build_that_cannot_export_refuses_a_collector() {
    check(
        "traces.endpoint = 'http://127.0.0.1:4318'",
        "`traces.endpoint` is \"http://127.0.0.1:4318\": expected \"\": this build exports no traces\n  hint: build it with \
         `cargo build --release --features otlp`",
    );
}

#[test]
fn says_what_is_wrong() {
    const FORM: &str = "expected \"\", or http://HOST[:PORT][/PATH] or https://HOST[:PORT][/PATH]";
    for (text, shown, expected) in [
        ("collector:4318", "collector:4318", "FORM\n  hint: \"http://127.0.0.1:4318\""),
        ("ftp://c", "ftp://c", "expected an http:// or https:// address"),
        ("unix:/c", "unix:/c", "FORM\n  hint: \"http://127.0.0.1:4318\""),
        ("http://u:secret@c", "http://…@c", "expected no user information"),
        ("http://", "http://", "expected a host name or an address"),
        ("http://c/ü", "http://c/ü", "FORM\n  hint: printable ASCII; anything else percent-encoded"),
    ] {
        let expected = expected.replace("FORM", FORM);
        check(
            &format!("traces.endpoint = '{text}'"),
            &format!("`traces.endpoint` is \"{shown}\": {expected}"),
        );
    }
    for (text, hint) in [
        ("1.5", "\n  hint: all is 1, a tenth 0.1"),
        ("-1", ""),
        ("nan", "\n  hint: all is 1, a tenth 0.1"),
        ("\"0.5\"", ""),
        ("true", ""),
    ] {
        let shown = if text == "nan" { "NaN" } else { text };
        check(
            &format!("traces.ratio = {text}"),
            &format!("`traces.ratio` is {shown}: expected a number from 0 to 1{hint}"),
        );
    }
}

#[test]
fn warns_of_an_authority_that_nobody_needs() {
    let warnings = load("traces.ca_file = '/c'").unwrap().warnings;
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    let expected = "k:1: `traces.ca_file` is \"/c\": has no effect, as `traces.endpoint` is not https://";
    assert_eq!(warnings, [expected]);
}
