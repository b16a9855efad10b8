//! What a query asks for, and why it cannot be followed.

use super::*;

type Wanted<'t> = (&'t str, Option<&'t str>);

/// The terms of a query, and what of it is Karbor's.
#[track_caller]
fn check(query: &str, terms: &[Wanted<'_>], for_karbor: &str) {
    let read = read_query(Some(query)).unwrap_or_else(|error| panic!("{query}: {error}")).unwrap();
    let found: Vec<Wanted<'_>> = read.terms.iter().map(|term| (&*term.key, term.value.as_deref())).collect();
    assert_eq!(found, terms, "{query}");
    assert_eq!(read.for_karbor(7, None), for_karbor, "{query}");
}

#[track_caller]
fn check_error(query: &str, error: FilterError) {
    assert_eq!(read_query(Some(query)), Err(error), "{query}");
}

#[test]
fn reads_filters() {
    check("extra-info.a=b", &[("a", Some("b"))], "limit=7");
    check("extra-info.a", &[("a", None)], "limit=7");
    check("extra-info.a=", &[("a", Some(""))], "limit=7");
    check("extra-info.a=b=c", &[("a", Some("b=c"))], "limit=7");
    check("extra-info.x-t--id=42&extra-info.b", &[("x-t--id", Some("42")), ("b", None)], "limit=7");
    check("extra-info.a.b:#=%23", &[("a.b:#", Some("#"))], "limit=7");
}

/// As WebOb splits and decodes.
#[test]
fn reads_queries_as_karbor_does() {
    check("x=1;extra-info.a=b;y=2&&z", &[("a", Some("b"))], "x=1&y=2&z&limit=7");
    check("%65xtra%2dinfo%2Ea=b", &[("a", Some("b"))], "limit=7");
    check("extra-info.a+b=c+d%2B%20", &[("a b", Some("c d+ "))], "limit=7");
    check("extra-info.a=%C3%A9%26%3b%3D", &[("a", Some("\u{e9}&;="))], "limit=7");
    check("extra-info.a=%2541", &[("a", Some("%41"))], "limit=7");
    check("extra-info.a=%zz%", &[("a", Some("%zz%"))], "limit=7");
    check("a=extra-info.b&extra-info.c", &[("c", None)], "a=extra-info.b&limit=7");
}

#[test]
fn equal_filters_are_one() {
    check("extra-info.a=b&extra-info.%61=%62", &[("a", Some("b"))], "limit=7");
    check("extra-info.a&extra-info.a=b&extra-info.a", &[("a", Some("b"))], "limit=7");
    check_error("extra-info.a=b&extra-info.a=c", FilterError::Contradiction);
    check_error("extra-info.a=b&extra-info.a=", FilterError::Contradiction);
}

#[test]
fn leaves_alone_what_has_no_filter() {
    assert_eq!(read_query(None), Ok(None));
    for query in [
        "",
        "limit=0",
        "limit=x&marker=..",
        "x=%ff",
        "x=extra-info.a",
        "plan_id=1&sort=created_at%3Aasc",
        "an-extra-info.a=b",
    ] {
        assert_eq!(read_query(Some(query)), Ok(None), "{query}");
    }
}

#[test]
fn refuses_what_only_looks_like_a_filter() {
    for query in [
        "extra-info",
        "extra-info=a",
        "extra_info.a=b",
        "Extra-Info.a=b",
        "EXTRAINFO",
        "extra%5Finfo",
        "extra+info.a",
        "extra-info%5Ba%5D=b",
        "extra-info:a=b",
        "_extra-info.a=b",
        "extra-info.a=b&extra_info.c=d",
    ] {
        check_error(query, FilterError::Spelling);
    }
}

#[test]
fn refuses_filters_that_no_map_can_meet() {
    check_error("extra-info.=a", FilterError::NoKey);
    check_error("extra-info.", FilterError::NoKey);
    for key in ["a/b", "%C3%A9", "a%00", "a%0A", "a%22", &"a".repeat(256)] {
        check_error(&format!("extra-info.{key}=1"), FilterError::Key);
    }
    check(&format!("extra-info.{}", "a".repeat(255)), &[(&"a".repeat(255), None)], "limit=7");
    check_error(&format!("extra-info.a={}", "b".repeat(MAX_VALUE_BYTES + 1)), FilterError::Value);
    check(
        &format!("extra-info.a={}", "b".repeat(MAX_VALUE_BYTES)),
        &[("a", Some(&"b".repeat(MAX_VALUE_BYTES)))],
        "limit=7",
    );
    let many = |count| (0..count).map(|n| format!("extra-info.a{n}")).collect::<Vec<_>>().join("&");
    assert_eq!(
        read_query(Some(&many(MAX_TERMS))).map(|read| read.map(|read| read.terms.len())),
        Ok(Some(MAX_TERMS))
    );
    check_error(&many(MAX_TERMS + 1), FilterError::TooMany);
    for query in ["extra-info.a=%ff", "extra-info.%ff", "extra-info.a&x=%ff", "%ff=1&extra-info.a"] {
        check_error(query, FilterError::NotUtf8);
    }
}

#[test]
fn reads_the_page() {
    let page = |query: &str| {
        let read = read_query(Some(&format!("extra-info.a&{query}")));
        read.map(|read| read.map(|read| (read.limit, read.marker.map(|marker| marker.to_string()))))
    };
    let id = || Some("c-1".to_owned());
    for (query, limit, marker) in [
        ("", None, None),
        ("limit=1", Some(1), None),
        ("lim%69t=%31;marker=c%2D1", Some(1), id()),
        ("limit=2&limit=x&marker=c-1&marker=", Some(2), id()),
        ("limit=99999999999999999999", Some(u32::MAX), None),
    ] {
        assert_eq!(page(query), Ok(Some((limit, marker))), "{query}");
    }
    for limit in ["0", "00", "", "-1", "+1", "1_0", "x", "1.0", "%D9%A1"] {
        assert_eq!(page(&format!("limit={limit}")), Err(FilterError::Limit), "{limit}");
    }
    assert_eq!(page("limit"), Err(FilterError::Limit));
    for marker in ["", "a/b", "%ff", &"a".repeat(65)] {
        assert_eq!(page(&format!("marker={marker}")), Err(FilterError::Marker), "{marker}");
    }
}

#[test]
fn writes_the_queries_of_pages() {
    let marker = CheckpointId::new("c-9");
    let read =
        read_query(Some("plan_id=p&extra-info.a=%62&limit=2;marker=c-1&marker=c-2&x")).unwrap().unwrap();
    assert_eq!(read.for_karbor(1000, None), "plan_id=p&x&limit=1000");
    assert_eq!(read.for_karbor(2, Some(&marker)), "plan_id=p&x&limit=2&marker=c-9");
    assert_eq!(read.after(&marker), "plan_id=p&extra-info.a=%62&limit=2&x&marker=c-9");
    let next = read_query(Some(&read.after(&marker))).unwrap().unwrap();
    assert_eq!((next.terms, next.limit, next.marker), (read.terms, read.limit, Some(marker)));
}

#[test]
fn says_what_would_be_right() {
    let text = FilterError::NoKey.to_string();
    assert_eq!(
        text,
        "a filter by extra-info names no key: write extra-info.KEY=VALUE, or extra-info.KEY for any value"
    );
    assert_eq!(FilterError::Value.hint(), format!("at most {MAX_VALUE_BYTES} bytes"));
    assert_eq!(FilterError::TooMany.hint(), format!("at most {MAX_TERMS}"));
}
