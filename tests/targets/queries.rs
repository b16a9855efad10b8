//! Method overrides (facts, section 2, rows M13 to M84; D3 and D4 of section 4).

use karbor_admission::karbor::route::RouteKind;
use karbor_admission::wire::Refusal;

use crate::support::{judge, spelled};

const METHODS: [&str; 9] = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "FOO", "get", "POST"];

/// Refused whatever the method and the path: what Karbor would run depends on its libraries.
#[track_caller]
fn check_refusal(query: &str) {
    for path in
        ["CP", "CP/ID", "CP/action", "//v1/PJ/providers/PR/checkpoints", "/v1/PJ/plans", "/", "http://h/v1"]
    {
        for method in METHODS {
            let target = format!("{}?{query}", spelled(path));
            assert_eq!(
                judge(method, target.as_bytes(), ""),
                Err(Refusal::MethodOverride),
                "{method} {target}"
            );
        }
    }
}

/// No override to Karbor either; travels as it came.
#[track_caller]
fn check_pass(query: &str) {
    for (method, kind) in [("POST", RouteKind::Create), ("GET", RouteKind::List)] {
        let target = format!("{}?{query}", spelled("CP"));
        let judged =
            judge(method, target.as_bytes(), "").unwrap_or_else(|refusal| panic!("{target}: {refusal}"));
        assert_eq!(judged.kind, kind, "{target}");
        assert_eq!(judged.forwarded, target);
    }
}

#[test]
fn refuses_overrides_that_karbor_obeys() {
    for query in [
        "_method=POST",
        "_method=post",
        "_method=PoSt",
        "_method=%50OST",
        "_method=PUT",
        "_method=DELETE",
        "_method=GET&_method=POST",
        "_method=POST&_method=GET",
        "x=1;_method=POST",
        "_method=POST;x=1",
        "&&_method=POST",
        "x=_method&%5Fmethod=POST",
        "x_method=1&%5fmethod=POST",
    ] {
        check_refusal(query);
    }
}

/// M45 to M57: some releases obey, some give up, some fail.
#[test]
fn refuses_overrides_that_depend_on_the_release() {
    for query in [
        "_method=",
        "_method",
        "_method=GET",
        "_method=GET&_method=",
        "_method=GET&x=%ff",
        "_method=%ff",
        "_method=POST&x=%ff",
        "x=%ff&_method=POST",
    ] {
        check_refusal(query);
    }
}

/// Karbor obeys none of these, but the next reader may; no client of Karbor's sends them.
#[test]
fn refuses_what_holds_the_word() {
    for query in [
        "%5Fmethod=POST",
        "%5fmethod=POST",
        "_metho%64=POST",
        "%5F%6D%65%74%68%6F%64=POST",
        "+_method=POST",
        "a_method=POST",
        "?_method=POST",
        "x=a_methodical",
        "_method=POST%20",
        "x=%ff%5Fmethod",
        "x?y=1&_method",
        "/_method",
    ] {
        check_refusal(query);
    }
}

#[test]
fn passes_what_only_resembles_it() {
    for query in [
        "_METHOD=POST",
        "_Method=POST",
        "method=POST",
        "_methoD=POST",
        "%5FMETHOD=POST",
        "__meth=od",
        "_+method=POST",
        "%255Fmethod=POST",
        "_%6Dethoe=1",
        "x=_&method=POST",
        "",
        "limit=10&sort=id%3Aasc&plan_id=PL",
    ] {
        check_pass(query);
    }
}

#[test]
fn passes_the_word_in_a_path() {
    for path in ["/v1/_method/plans", "/v1/PJ/%5Fmethod=POST"] {
        assert_eq!(
            judge("GET", path.as_bytes(), "").map(|judged| judged.kind),
            Ok(RouteKind::Pass),
            "{path}"
        );
    }
}
