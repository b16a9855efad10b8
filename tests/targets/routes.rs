//! What a method makes of a path; members, copies, prefixes and the specification's short form.

use karbor_admission::karbor::route::RouteKind;
use karbor_admission::wire::Refusal;

use crate::support::{judge, spelled};

#[track_caller]
fn check(method: &str, row: &str, prefix: &str, kind: RouteKind, names: &[&str]) {
    let judged = judge(method, spelled(row).as_bytes(), prefix)
        .unwrap_or_else(|refusal| panic!("{method} {row}: {refusal}"));
    assert_eq!(judged.kind, kind, "{method} {row} under {prefix:?}");
    assert_eq!(judged.names, names, "{method} {row} under {prefix:?}");
}

#[test]
fn knows_every_method_on_the_collection() {
    check("POST", "CP", "", RouteKind::Create, &["PJ", "PR"]);
    check("GET", "CP", "", RouteKind::List, &["PJ", "PR"]);
    // A21, A22 and M02: routed nowhere, and no method name is folded.
    for method in ["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "post", "Post", "FOO", "get"] {
        check(method, "CP", "", RouteKind::Pass, &[]);
    }
}

#[test]
fn knows_every_method_on_a_checkpoint() {
    let member = &["PJ", "PR", "ID"];
    for method in ["PUT", "PATCH", "POST"] {
        check(method, "CP/ID", "", RouteKind::Update, member);
        check(method, "CP/ID/", "", RouteKind::Update, member);
        check(method, "CP/ID/x", "", RouteKind::Update, member);
        check(method, "CP/ID/x/extra-info", "", RouteKind::Update, member);
    }
    check("GET", "CP/ID", "", RouteKind::Show, member);
    check("DELETE", "CP/ID", "", RouteKind::Delete, member);
    for (method, row) in [
        ("GET", "CP/ID/"),
        ("GET", "CP/ID/x"),
        ("DELETE", "CP/ID/"),
        ("DELETE", "CP/ID/x"),
        ("HEAD", "CP/ID"),
        ("OPTIONS", "CP/ID"),
        ("put", "CP/ID"),
        ("FOO", "CP/ID"),
    ] {
        check(method, row, "", RouteKind::Pass, &[]);
    }
    for (row, id) in
        [("CP//ID", "ID"), ("CP/%49D", "ID"), ("CP/I;D", "I;D"), ("CP/I%20D", "I D"), ("CP/v1", "v1")]
    {
        check("PUT", row, "", RouteKind::Update, &["PJ", "PR", id]);
    }
    // A19.
    for method in ["GET", "PUT", "DELETE", "POST"] {
        assert_eq!(judge(method, spelled("CP/ID%0A").as_bytes(), ""), Err(Refusal::TargetControl));
    }
}

#[test]
fn knows_writes_to_the_map_itself() {
    for name in ["extra-info", "extra_info", "%65xtra%2Dinfo", "extra%5finfo"] {
        for method in ["PUT", "PATCH", "POST", "DELETE", "FOO", "get"] {
            for tail in ["", "/", "/karbor-a", "//karbor-a?x"] {
                let row = format!("CP/ID/{name}{tail}");
                check(method, &row, "", RouteKind::ExtraInfoWrite, &["PJ", "PR", "ID"]);
            }
        }
        for method in ["GET", "HEAD", "OPTIONS"] {
            check(method, &format!("CP/ID/{name}"), "", RouteKind::Pass, &[]);
        }
    }
    check("POST", "CP/action/extra-info", "", RouteKind::ExtraInfoWrite, &["PJ", "PR", "action"]);
    check("PUT", "CP/ID/Extra-Info", "", RouteKind::Update, &["PJ", "PR", "ID"]);
}

/// E01 to E12; D18.
#[test]
fn knows_copies() {
    for row in ["CP/action", "CP//action", "CP/%61ction", "CP/actio%6E", "CP/action?x"] {
        check("POST", row, "", RouteKind::Copy, &["PJ", "PR"]);
    }
    for (row, refusal) in [("CP%2faction", Refusal::TargetSlash), ("CP/action%0A", Refusal::TargetControl)] {
        assert_eq!(judge("POST", spelled(row).as_bytes(), ""), Err(refusal), "{row}");
    }
    // An id like any other to every other method.
    check("PUT", "CP/action", "", RouteKind::Update, &["PJ", "PR", "action"]);
    check("GET", "CP/action", "", RouteKind::Show, &["PJ", "PR", "action"]);
    check("POST", "CP/Action", "", RouteKind::Update, &["PJ", "PR", "Action"]);
    check("POST", "CP/action/", "", RouteKind::Update, &["PJ", "PR", "action"]);
}

/// P66 to P76 and the deployment behind Apache: a creation is one wherever Karbor may be mounted.
#[test]
fn guards_below_any_prefix() {
    for prefix in ["", "/data-protect", "/other"] {
        for row in [
            "CP",
            "/data-protect/v1/PJ/providers/PR/checkpoints",
            "/%64ata-protect//v1/PJ/providers/PR/checkpoints",
            "/v1/v1/PJ/providers/PR/checkpoints",
            "/v1/v1/v1/PJ/providers/PR/checkpoints",
            "/a/v1/b/v1/PJ/providers/PR/checkpoints",
            "/v1/x/providers/y/v1/PJ/providers/PR/checkpoints",
            "/v1/PJ/checkpoints/v1/PJ/providers/PR/checkpoints",
        ] {
            check("POST", row, prefix, RouteKind::Create, &["PJ", "PR"]);
        }
        check("PUT", "/p/v1/PJ/providers/PR/checkpoints/ID", prefix, RouteKind::Update, &["PJ", "PR", "ID"]);
        check("POST", "/p/v1/PJ/providers/PR/checkpoints/action", prefix, RouteKind::Copy, &["PJ", "PR"]);
        check("GET", "/p/v1/PJ/providers/PR/checkpoints", prefix, RouteKind::List, &["PJ", "PR"]);
    }
    check("POST", "/v1/v1/providers/PR/checkpoints", "", RouteKind::Create, &["v1", "PR"]);
}

#[test]
fn tells_limits_at_the_prefix_only() {
    check("GET", "/v1/PJ/extra-info-limits", "", RouteKind::Limits, &["PJ"]);
    check("GET", "//v1/P%20J//extra-info-limits?x", "", RouteKind::Limits, &["P J"]);
    check("GET", "/a/v1/PJ/extra-info-limits", "/a", RouteKind::Limits, &["PJ"]);
    for (method, row) in [
        ("POST", "/v1/PJ/extra-info-limits"),
        ("HEAD", "/v1/PJ/extra-info-limits"),
        ("GET", "/v1//extra-info-limits"),
        ("GET", "/v1/extra-info-limits"),
        ("GET", "/v1/PJ/x/extra-info-limits"),
        ("GET", "/v1/PJ/extra-info-limits/"),
        ("GET", "/a/v1/PJ/extra-info-limits"),
    ] {
        check(method, row, "", RouteKind::Pass, &[]);
    }
}

#[test]
fn offers_the_short_form_at_the_prefix_only() {
    for last in ["checkpoint", "checkpoints", "%63heckpoint", "checkpoints?x=1"] {
        check("POST", &format!("/v1/PJ/{last}"), "", RouteKind::CreateShort, &["PJ"]);
        check("POST", &format!("//v1//PJ//{last}"), "", RouteKind::CreateShort, &["PJ"]);
        check("POST", &format!("/a/b/v1/PJ/{last}"), "/a/b", RouteKind::CreateShort, &["PJ"]);
        check("POST", &format!("/%61/b/v1/P%20J/{last}"), "/a/b", RouteKind::CreateShort, &["P J"]);
        for prefix in ["/a", "/a/b/v1", "/b", "/a/b/v", "/A/b"] {
            check("POST", &format!("/a/b/v1/PJ/{last}"), prefix, RouteKind::Pass, &[]);
        }
        for method in ["GET", "PUT", "HEAD", "DELETE", "post"] {
            check(method, &format!("/v1/PJ/{last}"), "", RouteKind::Pass, &[]);
        }
    }
    for row in [
        "/v1/checkpoint",
        "/v1//checkpoint",
        "/v1/PJ/checkpoint/",
        "/v1/PJ/checkpoint/ID",
        "/v1/PJ/Checkpoint",
        "/v1/PJ/checkpointss",
        "/v1/PJ/x/checkpoint",
        "/v1/v1/PJ/checkpoint",
    ] {
        check("POST", row, "", RouteKind::Pass, &[]);
    }
}
