//! The way to Karbor as configured: TLS, when an address is left alone, probes, and what is wrong with them.

#![cfg(test)]

use std::fs;
use std::time::Duration;

use karbor_admission::config::{self, Config, File};

fn load(text: &str) -> Result<Config, String> {
    let file = File { name: "k".to_owned(), text: text.to_owned() };
    config::parse(&[file], []).map(|loaded| loaded.config).map_err(|errors| errors.to_string())
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(load(text).unwrap_err(), format!("k:{expected}"), "{text}");
}

#[track_caller]
fn check_warns(text: &str, expected: &[&str]) {
    let warnings: Vec<_> = load(text).unwrap().warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, expected.iter().map(|warning| format!("k:{warning}")).collect::<Vec<_>>(), "{text}");
}

const SECURE: &str = "upstream.endpoints = ['https://k']";

#[test]
fn a_certificate_needs_its_key() {
    check(
        &format!("{SECURE}\nupstream.certificate_file = '/c'"),
        "2: `upstream.certificate_file` is \"/c\": expected `upstream.key_file` too",
    );
    check(
        &format!("{SECURE}\nupstream.key_file = '/k'"),
        "2: `upstream.key_file` is \"/k\": expected `upstream.certificate_file` too",
    );
    let both = load(&format!("{SECURE}\nupstream.key_file = '/k'\nupstream.certificate_file = '/c'"));
    let identity = both.unwrap().upstream.tls_files.identity.unwrap();
    assert_eq!((identity.certificates.to_str(), identity.key.to_str()), (Some("/c"), Some("/k")));
}

#[test]
fn names_of_certificates() {
    for right in ["karbor", "karbor.example", "10.0.0.1", "fd00::1"] {
        load(&format!("{SECURE}\nupstream.server_name = '{right}'")).unwrap();
    }
    for (wrong, expected) in [
        ("karbor:443", "expected a name without a port\n  hint: \"karbor\""),
        ("https://karbor", "expected a host name or an address"),
        ("*.example", "expected a host name or an address"),
        ("", "expected a host name or an address"),
    ] {
        let text = format!("{SECURE}\nupstream.server_name = '{wrong}'");
        check(&text, &format!("2: `upstream.server_name` is \"{wrong}\": {expected}"));
    }
}

#[test]
fn what_tls_needs_is_of_no_use_to_plain_endpoints() {
    check_warns(
        "upstream.ca_file = '/c'",
        &["1: `upstream.ca_file` is \"/c\": has no effect, as no endpoint is https://"],
    );
    check_warns(&format!("{SECURE}\nupstream.ca_file = '/c'"), &[]);
}

#[test]
fn probes() {
    let of = |text: &str| load(text).unwrap().upstream.probe;
    assert_eq!(of(""), None);
    assert_eq!(of("upstream.probe_period = '2s'"), None);
    let probe = of("upstream.probe = '/v1/?a=b'\nupstream.probe_period = '2s'").unwrap();
    assert_eq!((probe.target.as_str(), probe.period), ("/v1/?a=b", Duration::from_secs(2)));
    for (wrong, hint) in [
        ("", "it begins with a slash"),
        ("v1", "it begins with a slash"),
        ("http://k/", "it begins with a slash"),
        ("/a b", "printable ASCII; anything else percent-encoded"),
        ("/ä", "printable ASCII; anything else percent-encoded"),
        ("/a#b", "printable ASCII; anything else percent-encoded"),
    ] {
        let expected = "expected a path such as \"/\", with or without a query";
        let expected = format!("1: `upstream.probe` is \"{wrong}\": {expected}\n  hint: {hint}");
        check(&format!("upstream.probe = '{wrong}'"), &expected);
    }
}

#[test]
fn when_an_address_is_left_alone() {
    let of = |text: &str| load(text).unwrap().upstream.ejection;
    assert_eq!(of("upstream.eject_after_gateway_errors = 'unlimited'").after_gateway_errors, None);
    assert_eq!(of("upstream.eject_after_gateway_errors = 0").after_gateway_errors, None);
    assert_eq!(of("upstream.eject_after_gateway_errors = 7").after_gateway_errors, Some(7));
    check_warns(
        "upstream.eject_for = '1m'",
        &["1: `upstream.eject_for` is \"1m\": never holds, as `upstream.eject_for_most` is shorter"],
    );
}

/// Certificates are read together with the configuration: a wrong file is found before anything is changed.
#[test]
fn certificates_are_read_with_the_configuration() {
    let folder =
        std::env::temp_dir().join(format!("karbor-admission-config-upstream-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let at = |name: &str| folder.join(name);
    let issued = rcgen::generate_simple_self_signed(["k".to_owned()]).unwrap();
    let other = rcgen::KeyPair::generate().unwrap();
    fs::write(at("good.pem"), issued.cert.pem()).unwrap();
    fs::write(at("good.key"), issued.signing_key.serialize_pem()).unwrap();
    fs::write(at("other.key"), other.serialize_pem()).unwrap();
    fs::write(at("empty.pem"), "no certificate").unwrap();
    let check = |settings: &str, expected: &str| {
        let name = |text: &str| text.replace("AT", folder.to_str().unwrap());
        let text = format!("[upstream]\nendpoints = ['https://k']\n{}", name(settings));
        fs::write(at("k.toml"), text).unwrap();
        match config::load(Some(&at("k.toml")), []) {
            Ok(config) => assert!(expected.is_empty() && config.upstream.tls.is_some(), "{settings}"),
            Err(problems) => {
                let problems = problems.to_string();
                assert!(!expected.is_empty() && problems.contains(&name(expected)), "{settings}: {problems}");
            }
        }
    };
    check("ca_file = 'AT/good.pem'", "");
    check(
        "ca_file = 'AT/none.pem'",
        "k.toml:3: `upstream.ca_file` is \"AT/none.pem\": cannot read AT/none.pem: ",
    );
    check("ca_file = 'AT/empty.pem'", "`upstream.ca_file` is \"AT/empty.pem\": there is no certificate in");
    check("ca_file = 'AT/good.key'", "`upstream.ca_file` is \"AT/good.key\": there is no certificate in");
    let files = |certificate: &str, key: &str| {
        format!("ca_file = 'AT/good.pem'\ncertificate_file = 'AT/{certificate}'\nkey_file = 'AT/{key}'")
    };
    check(&files("good.pem", "good.key"), "");
    check(&files("good.pem", "other.key"), "k.toml:5: `upstream.key_file` is");
    check(&files("good.key", "good.pem"), "k.toml:4: `upstream.certificate_file` is");
    check(&files("good.pem", "good.pem"), "k.toml:5: `upstream.key_file` is");
    fs::remove_dir_all(&folder).unwrap();
}
