//! Request targets: the canonical form is a fixed point, routes the same, and means to Karbor what was sent.

use http::{Method, Uri};
use karbor_admission::karbor::route::{Route, RouteKind};
use karbor_admission::karbor::target::{Target, decode_segment};

const PREFIXES: [&str; 4] = ["", "/data-protect", "/a/v1", "/v1"];

fn methods() -> [Method; 7] {
    let other = Method::from_bytes(b"post").expect("a token");
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, other]
}

/// `data` is a target as it stands in a request line.
pub fn check(data: &[u8]) {
    // `wire` refuses fragments; the library drops them without a word.
    if data.contains(&b'#') {
        return;
    }
    let Ok(uri) = Uri::try_from(data) else { return };
    let Ok(target) = Target::of(uri) else { return };
    // As hyper writes it: `http://host?query` has no path, and gets its slash there.
    let forwarded = Uri::from(target.path_and_query().clone()).to_string();
    let again = Uri::try_from(&*forwarded).expect("what is forwarded is a target");
    let again = Target::of(again).expect("what is forwarded is not refused");
    assert_eq!(again.path_and_query().as_str(), forwarded, "canonical is a fixed point");

    let (path, query) = cut(forwarded.as_bytes());
    let (given_path, given_query) = cut(origin_form(data));
    assert_eq!(query, given_query, "the query travels as it came");
    assert_eq!(path, target.path().as_bytes());
    let read = karbor_reads(path);
    assert_eq!(read, karbor_reads(given_path), "forwarded means what was sent");
    check_plain(path, &read);
    if let Some(query) = query {
        check_query(query);
    }
    for prefix in PREFIXES {
        for method in methods() {
            let route = Route::of(&method, &target, prefix);
            assert_eq!(route, Route::of(&method, &again, prefix));
            check_route(&method, &route, &read, prefix);
        }
    }
}

/// The target without scheme and authority: Karbor ignores both.
fn origin_form(target: &[u8]) -> &[u8] {
    if target.starts_with(b"/") {
        return target;
    }
    let Some(scheme) = target.windows(3).position(|three| three == b"://") else { return target };
    let rest = &target[scheme + 3..];
    match rest.iter().position(|byte| b"/?".contains(byte)) {
        Some(at) => &rest[at..],
        None => b"/",
    }
}

/// Path and query. No path at all asks for `/`.
fn cut(target: &[u8]) -> (&[u8], Option<&[u8]>) {
    match target.iter().position(|&byte| byte == b'?') {
        Some(0) => (b"/", Some(&target[1..])),
        Some(at) => (&target[..at], Some(&target[at + 1..])),
        None => (target, None),
    }
}

/// What Karbor's router compares: decoded once, runs of slashes made one; nothing else.
fn karbor_reads(path: &[u8]) -> Vec<u8> {
    let mut read = Vec::new();
    for byte in decode(path) {
        if byte != b'/' || read.last() != Some(&b'/') {
            read.push(byte);
        }
    }
    read
}

fn decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let pair = text.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        let value = pair.filter(|_| text[at] == b'%' && text[at + 1] != b'+');
        match value.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(value) => {
                decoded.push(value);
                at += 3;
            }
            None => {
                decoded.push(text[at]);
                at += 1;
            }
        }
    }
    decoded
}

/// Nothing is left that another reader (uWSGI, Apache) could take otherwise.
fn check_plain(path: &[u8], read: &[u8]) {
    assert!(path.starts_with(b"/"));
    assert!(path.iter().all(u8::is_ascii_graphic));
    assert!(!read.iter().any(|byte| byte.is_ascii_control() || *byte == b'\\'));
    assert_eq!(slashes(path), slashes(read), "no encoded slash, no run");
    for segment in read.split(|&byte| byte == b'/') {
        assert!(segment != b"." && segment != b"..");
    }
}

fn slashes(text: &[u8]) -> usize {
    text.iter().filter(|&&byte| byte == b'/').count()
}

fn check_query(query: &[u8]) {
    let names_it = |text: &[u8]| text.windows(7).any(|seven| seven == b"_method");
    assert!(!names_it(query) && !names_it(&decode(query)), "the query overrides the method");
}

/// What Karbor, mounted at `prefix`, does with a decoded path.
fn karbor_does(method: &Method, read: &[u8], prefix: &str) -> Option<RouteKind> {
    let rest = read.strip_prefix(prefix.as_bytes())?;
    // `$` of the router's pattern matches before a newline at the end.
    let rest = rest.strip_suffix(b"\n").unwrap_or(rest);
    let segments: Vec<&[u8]> = rest.split(|&byte| byte == b'/').collect();
    if segments.iter().skip(1).any(|segment| segment.is_empty()) {
        return None;
    }
    Some(match (segments.as_slice(), method.as_str()) {
        ([b"", b"v1", _, b"providers", _, b"checkpoints"], "POST") => RouteKind::Create,
        ([b"", b"v1", _, b"providers", _, b"checkpoints"], "GET") => RouteKind::List,
        ([b"", b"v1", _, b"providers", _, b"checkpoints", b"action"], "POST") => RouteKind::Copy,
        ([b"", b"v1", _, b"providers", _, b"checkpoints", _], "PUT") => RouteKind::Update,
        ([b"", b"v1", _, b"providers", _, b"checkpoints", _], "GET") => RouteKind::Show,
        ([b"", b"v1", _, b"providers", _, b"checkpoints", _], "DELETE") => RouteKind::Delete,
        _ => return None,
    })
}

/// Whether a path ends like a creation, a copy or an update, whatever stands before.
fn looks_like_write(method: &Method, read: &[u8]) -> bool {
    let segments: Vec<&[u8]> = read.split(|&byte| byte == b'/').collect();
    let ends = |pattern: &[&[u8]]| {
        let Some(start) = segments.len().checked_sub(pattern.len()) else { return false };
        std::iter::zip(pattern, &segments[start..])
            .all(|(wanted, segment)| if wanted.is_empty() { !segment.is_empty() } else { wanted == segment })
    };
    match method.as_str() {
        "POST" => {
            ends(&[b"v1", b"", b"providers", b"", b"checkpoints"])
                || ends(&[b"v1", b"", b"providers", b"", b"checkpoints", b"action"])
        }
        "PUT" => ends(&[b"v1", b"", b"providers", b"", b"checkpoints", b""]),
        _ => false,
    }
}

fn check_route(method: &Method, route: &Route<'_>, read: &[u8], prefix: &str) {
    let kind = route.kind();
    if let Some(karbor) = karbor_does(method, read, prefix) {
        // A member that is called like the map is a stricter case of an update.
        let fits = kind == karbor || (karbor == RouteKind::Update && kind == RouteKind::ExtraInfoWrite);
        assert!(
            fits,
            "{method} {:?} at {prefix:?}: karbor does {karbor:?}, we take it for {kind:?}",
            String::from_utf8_lossy(read)
        );
    }
    assert!(kind != RouteKind::Pass || !looks_like_write(method, read), "{method} passes");
    let (tenant, provider) = match route {
        Route::Create(at) => (at.tenant, Some(at.provider)),
        Route::CreateShort { tenant } => (*tenant, None),
        Route::Update(member) | Route::ExtraInfoWrite(member) => (member.tenant, Some(member.provider)),
        _ => return,
    };
    for segment in [Some(tenant), provider].into_iter().flatten() {
        let decoded = decode(segment.as_bytes());
        if let Ok(decoded) = String::from_utf8(decoded) {
            assert_eq!(decode_segment(segment), decoded, "judged by the id that Karbor reads");
        }
        assert!(!segment.is_empty() && !segment.contains('/'));
    }
}
