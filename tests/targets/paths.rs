//! Spellings of the path of a creation (facts, section 2, and D5 to D10 of section 4).

use http::Uri;
use karbor_admission::karbor::route::RouteKind;
use karbor_admission::wire::Refusal;

use crate::support::{CP, judge, judge_uri, spelled};

/// A `POST` is taken for a creation by PJ at PR, and `forwarded` is what Karbor gets.
#[track_caller]
fn check_creation(row: &str, forwarded: &str) {
    let judged =
        judge("POST", spelled(row).as_bytes(), "").unwrap_or_else(|refusal| panic!("{row}: {refusal}"));
    assert_eq!(judged.kind, RouteKind::Create, "{row}");
    assert_eq!(judged.names, ["PJ", "PR"], "{row}");
    assert_eq!(judged.forwarded, spelled(forwarded), "{row}");
}

/// A `POST` is refused.
#[track_caller]
fn check_refusal(row: &[u8], refusal: Refusal) {
    let text = String::from_utf8_lossy(row).into_owned();
    let target = row.strip_prefix(b"CP").map_or(row.to_vec(), |rest| [CP.as_bytes(), rest].concat());
    assert_eq!(judge("POST", &target, ""), Err(refusal), "{text}");
}

/// A `POST` goes to Karbor unreviewed, which answers 404.
#[track_caller]
fn check_pass(row: &str, forwarded: &str) {
    let judged =
        judge("POST", spelled(row).as_bytes(), "").unwrap_or_else(|refusal| panic!("{row}: {refusal}"));
    assert_eq!(judged.kind, RouteKind::Pass, "{row}");
    assert_eq!(judged.forwarded, spelled(forwarded), "{row}");
}

#[test]
fn guards_the_plain_path_with_any_query() {
    for row in ["CP", "CP?", "CP??", "CP?x=1", "CP?x=%ff", "CP?/../%2F%0a", "CP?_METHOD=GET"] {
        check_creation(row, row);
    }
}

/// P35 to P41, P150; D6.
#[test]
fn guards_doubled_slashes() {
    for row in [
        "//v1/PJ/providers/PR/checkpoints",
        "/v1//PJ/providers/PR/checkpoints",
        "/v1/PJ//providers/PR/checkpoints",
        "/v1/PJ/providers//PR/checkpoints",
        "/v1/PJ/providers/PR//checkpoints",
        "//v1//PJ//providers//PR//checkpoints",
        "///v1////PJ/////providers//PR///checkpoints",
    ] {
        check_creation(row, "CP");
    }
    check_creation(&format!("{}v1/PJ/providers/PR/checkpoints", "/".repeat(2000)), "CP");
    check_creation("//v1/PJ/providers/PR/checkpoints?a//b", "CP?a//b");
}

/// P48 to P56; D7.
#[test]
fn guards_encoded_letters() {
    for row in [
        "/v1/PJ/providers/PR/%63heckpoints",
        "/v1/PJ/providers/PR/check%70oint%73",
        "/v1/PJ/%70roviders/PR/checkpoints",
        "/%761/PJ/providers/PR/checkpoints",
        "/v%31/PJ/providers/PR/checkpoints",
        "/v1/%50J/providers/PR/checkpoints",
        "/v1/PJ/providers/P%52/checkpoints",
        "//%76%31//PJ/providers/PR/checkpoints",
    ] {
        check_creation(row, "CP");
    }
    let encode = |format: fn(u8) -> String| {
        CP.bytes().map(|byte| if byte == b'/' { "/".to_owned() } else { format(byte) }).collect::<String>()
    };
    check_creation(&encode(|byte| format!("%{byte:02x}")), "CP");
    check_creation(&encode(|byte| format!("%{byte:02X}")), "CP");
}

/// P55 to P61.
#[test]
fn refuses_encoded_slashes() {
    for row in [
        "/v1%2FPJ/providers/PR/checkpoints",
        "/v1%2fPJ/providers/PR/checkpoints",
        "/v1/PJ%2Fproviders%2fPR/%63heckpoints",
        "/v1/PJ/providers/PR%2fcheckpoints",
        "/%2Fv1/PJ/providers/PR/checkpoints",
        "CP%2F",
        "/v1/PJ/providers/PR%5Ccheckpoints",
        "/v1/PJ/providers/PR%5ccheckpoints",
    ] {
        check_refusal(row.as_bytes(), Refusal::TargetSlash);
    }
    check_refusal(b"%2Fv1/PJ/providers/PR/checkpoints", Refusal::TargetForm);
}

/// P05 to P16; D5.
#[test]
fn refuses_encoded_control_characters() {
    for code in (0..0x20).chain([0x7f]) {
        check_refusal(format!("CP%{code:02X}").as_bytes(), Refusal::TargetControl);
        check_refusal(format!("CP%{code:02x}").as_bytes(), Refusal::TargetControl);
    }
    for row in ["CP/%0A", "CP%0A%0A", "CP%0D%0A", "/v1%0A/PJ/providers/PR/checkpoints", "/v1/PJ%0A/x", "/%00"]
    {
        check_refusal(row.as_bytes(), Refusal::TargetControl);
    }
}

/// P62 to P65.
#[test]
fn refuses_broken_encoding() {
    for row in
        ["CP%", "CP%4", "CP%%63", "CP%u0063", "CP%g0", "CP%0g", "CP%-1", "CP%+1", "CP?x%", "CP?%4", "CP?%zz"]
    {
        check_refusal(row.as_bytes(), Refusal::TargetPercent);
    }
    check_refusal(b"/v1/PJ/providers/PR/%%63heckpoints", Refusal::TargetPercent);
}

/// P42 to P47; D9.
#[test]
fn refuses_dot_segments() {
    for row in [
        "/./v1/PJ/providers/PR/checkpoints",
        "/x/../v1/PJ/providers/PR/checkpoints",
        "/../v1/PJ/providers/PR/checkpoints",
        "/v1/PJ/providers/PR/x/../checkpoints",
        "/v1/PJ/providers/PR/./checkpoints",
        "/v1/PJ/providers/PR/%2e/checkpoints",
        "/v1/PJ/providers/PR/x/%2e%2E/checkpoints",
        "/v1/PJ/providers/PR/x/.%2e/checkpoints",
        "/x//..//v1/PJ/providers/PR/checkpoints",
        "CP/.",
        "CP/..",
        "/.",
        "/%2E%2e",
        "http://h/x/../v1/PJ",
    ] {
        check_refusal(row.as_bytes(), Refusal::TargetDots);
    }
}

/// P26, P27, P92 to P99, P131 to P135: what no URI holds, and a fragment, which uWSGI cuts off (D9).
#[test]
fn refuses_bytes_that_no_target_may_hold() {
    for row in ["CP#f", "CP?x#f", "CP#", "#", "CP\\", "/v1/{PJ}/x", "CP\"", "CP|", "CP^", "CP`", "CP<", "CP>"]
    {
        check_refusal(row.as_bytes(), Refusal::TargetByte);
    }
    for byte in (0..=0x20).chain(0x7f..=0xff).filter(|byte| !b"\r\n".contains(byte)) {
        for (before, after) in [("CP", ""), ("CP?", ""), ("/", "/v1/PJ/providers/PR/checkpoints")] {
            check_refusal(&[before.as_bytes(), &[byte], after.as_bytes()].concat(), Refusal::TargetByte);
        }
    }
}

/// P128 to P130, P138, P143; D10: eventlet takes these bytes for white space.
#[test]
fn refuses_bytes_beside_the_target() {
    for byte in [0x85, 0xa0, 0x0b, 0x0c, 0x1c, 0x1f] {
        check_refusal(&[&[byte], CP.as_bytes()].concat(), Refusal::TargetByte);
        check_refusal(&[CP.as_bytes(), &[byte]].concat(), Refusal::TargetByte);
    }
    // Glued to the method, as `judge` writes one space after it.
    for method in ["POST\u{a0}", "POST\t", "\u{a0}POST", "POST ", " POST", "PO ST"] {
        let refused = judge(method, CP.as_bytes(), "");
        assert!(
            matches!(refused, Err(Refusal::RequestLine | Refusal::TargetByte)),
            "{method:?}: {refused:?}"
        );
    }
}

/// P02, P03, P17 to P22, P28 to P30: Karbor knows no such path, and it must stay one that it does not know.
#[test]
fn passes_what_karbor_does_not_know() {
    for row in [
        "CP/",
        "CP.json",
        "CP.xml",
        "CP.",
        "CP;x",
        "CP%3Bx",
        "CP%23",
        "CP%3F",
        "CP%3Fx=1",
        "CP%20",
        "CP%85",
        "CP%A0",
        "CP%E2%80%A8",
        "CP+",
        "/v1/PJ/providers/PR/%2563heckpoints",
        "/v1/PJ/providers/PR/checkp%D0%BEints",
    ] {
        check_pass(row, row);
    }
    check_pass("CP//", "CP/");
    check_pass("CP%e2%80%a8", "CP%E2%80%A8");
    check_pass("CP%252f", "CP%252f");
}

/// Only what RFC 3986 calls unreserved means the same encoded and plain.
#[test]
fn decodes_unreserved_characters_only() {
    for byte in (0x20..0x7f).filter(|byte| !b"/\\".contains(byte)) {
        let encoded = format!("CP-%{byte:02X}-");
        let letter = char::from(byte);
        if letter.is_ascii_alphanumeric() || "-._~".contains(letter) {
            check_pass(&encoded, &format!("CP-{letter}-"));
        } else {
            check_pass(&encoded, &encoded);
        }
    }
}

/// P66 to P78.
#[test]
fn passes_other_letters_and_other_segments() {
    for row in [
        "/v1/PJ/providers/PR/Checkpoints",
        "/V1/PJ/providers/PR/checkpoints",
        "/v1/PJ/Providers/PR/checkpoints",
        "/v1.0/PJ/providers/PR/checkpoints",
        "/v2/PJ/providers/PR/checkpoints",
        "/v1;x/PJ/providers/PR/checkpoints",
        "/v1%20/PJ/providers/PR/checkpoints",
        "/PJ/providers/PR/checkpoints",
        "/v1/providers/PR/checkpoints",
        "/v1/PJ/providers/checkpoints",
        "/v1/PJ/providers",
        "/v1/PJ/providers/PR",
        "/v1",
        "/",
        "/checkpoints",
        "/xv1/PJ/providers/PR/checkpoints",
        "/v1x/PJ/providers/PR/checkpoints",
    ] {
        check_pass(row, row);
    }
    check_pass("/v1//providers/PR/checkpoints", "/v1/providers/PR/checkpoints");
    check_pass("/v1/PJ/providers//checkpoints", "/v1/PJ/providers/checkpoints");
}

/// P79 to P89: Karbor calls the controller, and the tenant charged is the one it reads.
#[test]
fn guards_ids_in_other_forms() {
    for (tenant, provider, names) in [
        ("pj", "pr", ["pj", "pr"]),
        ("PJ;x", "PR", ["PJ;x", "PR"]),
        ("PJ%3Bx", "PR", ["PJ;x", "PR"]),
        ("P%20J", "%7BPR%7D", ["P J", "{PR}"]),
        ("%C3%A9", "P%25R", ["é", "P%R"]),
        ("%FF", "PR", ["%FF", "PR"]),
        ("...", "..PR", ["...", "..PR"]),
        ("providers", "checkpoints", ["providers", "checkpoints"]),
        ("v1", "v1", ["v1", "v1"]),
        ("a:b@c", "x,y=z", ["a:b@c", "x,y=z"]),
    ] {
        let path = format!("/v1/{tenant}/providers/{provider}/checkpoints");
        let judged = judge("POST", path.as_bytes(), "").unwrap_or_else(|refusal| panic!("{path}: {refusal}"));
        assert_eq!(judged.kind, RouteKind::Create, "{path}");
        assert_eq!(judged.names, names, "{path}");
        assert_eq!(judged.forwarded, path, "{path}");
    }
}

/// P105 to P111, P120; D8.
#[test]
fn guards_absolute_form_in_origin_form() {
    for (target, authority) in [
        ("http://any.host/v1/PJ/providers/PR/checkpoints", "any.host"),
        ("https://any.host/v1/PJ/providers/PR/checkpoints", "any.host"),
        ("HTTP://any.host/v1/PJ/providers/PR/checkpoints", "any.host"),
        ("http://x:8799///v1/PJ//providers/PR/%63heckpoints", "x:8799"),
        ("http://[::1]:8799/v1/PJ/providers/PR/checkpoints", "[::1]:8799"),
    ] {
        check_creation(target, "CP");
        let judged = judge("POST", target.as_bytes(), "").unwrap();
        assert_eq!(judged.authority.as_deref(), Some(authority), "{target}");
    }
    assert_eq!(judge("POST", CP.as_bytes(), "").unwrap().authority, None);
    for (target, forwarded) in [
        ("http://h", "/"),
        ("http://h/", "/"),
        ("http://h?x=1", "/?x=1"),
        ("http://h/?x", "/?x"),
        ("http://h//", "/"),
    ] {
        check_pass(target, forwarded);
    }
}

/// P102 to P118.
#[test]
fn refuses_other_forms() {
    for row in [
        "http://user:pw@h/v1/PJ/providers/PR/checkpoints",
        "http://user@h/v1",
        "http:///v1/PJ/providers/PR/checkpoints",
        "http%3a//h/v1/PJ/providers/PR/checkpoints",
        "http%3A%2F%2Fx/v1/PJ/providers/PR/checkpoints",
        "http://x%2fv1/PJ/providers/PR/checkpoints",
        "ftp://h/v1/PJ/providers/PR/checkpoints",
        "http:/v1/PJ/providers/PR/checkpoints",
        "http:",
        "http://",
        "v1/PJ/providers/PR/checkpoints",
        "h:8799",
        "h",
        "*",
        "?x=1",
    ] {
        check_refusal(row.as_bytes(), Refusal::TargetForm);
    }
}

/// The core by itself, should another reader of heads ever stand before it.
#[test]
fn refuses_without_the_reader_of_heads() {
    for (row, refusal) in [
        ("CP\\", Refusal::TargetSlash),
        ("/v1\\PJ/providers/PR/checkpoints", Refusal::TargetSlash),
        ("CP\u{a0}", Refusal::TargetByte),
        ("CP?\u{85}", Refusal::TargetByte),
        ("*", Refusal::TargetForm),
        ("h:8799", Refusal::TargetForm),
    ] {
        let uri = Uri::try_from(spelled(row)).unwrap_or_else(|error| panic!("{row}: {error}"));
        assert_eq!(judge_uri("POST", uri, ""), Err(refusal), "{row}");
    }
}

/// P112 to P115: no authority, but segments, which Karbor does not know; recognised all the same.
#[test]
fn guards_what_only_looks_absolute() {
    check_creation("//host/v1/PJ/providers/PR/checkpoints", "/host/v1/PJ/providers/PR/checkpoints");
    check_creation(
        "/http://host/v1/PJ/providers/PR/checkpoints",
        "/http:/host/v1/PJ/providers/PR/checkpoints",
    );
}
