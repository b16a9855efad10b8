//! Queries of lists: read as a few lines after WebOb's read them, and written so that they read the same.

use std::collections::BTreeMap;

use karbor_admission::karbor::CheckpointId;
use karbor_admission::karbor::filter::{ListQuery, read_query};

/// A parameter, decoded: its name, and its value if there is a `=`.
type Pair = (Vec<u8>, Option<Vec<u8>>);

/// `data` is a query.
pub fn check(data: &[u8]) {
    let Ok(query) = std::str::from_utf8(data) else { return };
    let pairs = pairs(query);
    let found = read_query(Some(query));
    let expected = model(&pairs);
    match (&found, &expected) {
        (Err(error), Err(())) => assert!(error.to_string().is_ascii()),
        (Ok(None), Ok(None)) => {}
        (Ok(Some(found)), Ok(Some(expected))) => agrees(found, expected, &pairs),
        _ => panic!("{query:?}: {found:?}, not {expected:?}"),
    }
}

#[derive(Debug)]
struct Expected {
    terms: BTreeMap<String, Option<String>>,
    limit: Option<u32>,
    marker: Option<String>,
}

fn agrees(found: &ListQuery, expected: &Expected, pairs: &[Pair]) {
    assert_eq!(found.terms.len(), expected.terms.len());
    for term in &found.terms {
        assert_eq!(expected.terms[&*term.key].as_deref(), term.value.as_deref());
    }
    assert_eq!(
        (found.limit, found.marker.as_ref().map(CheckpointId::as_str)),
        (expected.limit, expected.marker.as_deref())
    );

    let marker = CheckpointId::new("c-1");
    let next = read_query(Some(&found.after(&marker))).expect("a query").expect("with filters");
    assert_eq!((&next.terms, next.limit, next.marker.as_ref()), (&found.terms, found.limit, Some(&marker)));
    assert_eq!(next.after(&marker), found.after(&marker));

    let asked = found.for_karbor(5, Some(&marker));
    let mut rest: Vec<Pair> = pairs.iter().filter(|(name, _)| !is_ours(name)).cloned().collect();
    rest.push((b"limit".to_vec(), Some(b"5".to_vec())));
    rest.push((b"marker".to_vec(), Some(b"c-1".to_vec())));
    assert_eq!(self::pairs(&asked), rest);
    assert_eq!(read_query(Some(&asked)), Ok(None), "Karbor sees no filter");
}

fn is_ours(name: &[u8]) -> bool {
    name == b"limit" || name == b"marker" || name.starts_with(b"extra-info.")
}

fn model(pairs: &[Pair]) -> Result<Option<Expected>, ()> {
    let similar = |name: &[u8]| {
        let name = String::from_utf8_lossy(name).to_lowercase().replace(['-', '_', ' '], "");
        name.starts_with("extrainfo")
    };
    if pairs.iter().any(|(name, _)| similar(name) && !name.starts_with(b"extra-info.")) {
        return Err(());
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(drop);
    let mut terms: BTreeMap<String, Option<String>> = BTreeMap::new();
    for (name, value) in pairs.iter().filter(|(name, _)| name.starts_with(b"extra-info.")) {
        let key = text(&name[b"extra-info.".len()..])?;
        let value = value.as_deref().map(text).transpose()?;
        let odd = |char: char| !char.is_ascii_alphanumeric() && !"-_:.# ".contains(char);
        if key.is_empty()
            || key.len() > 255
            || key.contains(odd)
            || value.as_ref().is_some_and(|value| value.len() > 4096)
        {
            return Err(());
        }
        let same = terms.entry(key).or_default();
        if same.is_some() && value.is_some() && *same != value {
            return Err(());
        }
        *same = same.take().or(value);
    }
    if terms.is_empty() {
        return Ok(None);
    }
    for (name, value) in pairs.iter().filter(|(name, _)| !is_ours(name)) {
        text(name)?;
        text(value.as_deref().unwrap_or_default())?;
    }
    let first = |wanted: &[u8]| {
        let pair = pairs.iter().find(|(name, _)| name == wanted);
        pair.map(|(_, value)| text(value.as_deref().unwrap_or_default())).transpose()
    };
    let limit = first(b"limit")?;
    if limit.as_ref().is_some_and(|limit| {
        limit.contains(|char: char| !char.is_ascii_digit()) || limit.trim_start_matches('0').is_empty()
    }) {
        return Err(());
    }
    let marker = first(b"marker")?;
    let plain = |id: &String| {
        (1..=64).contains(&id.len())
            && !id.contains(|char: char| !char.is_ascii_alphanumeric() && char != '-')
    };
    if terms.len() > 16 || marker.as_ref().is_some_and(|marker| !plain(marker)) {
        return Err(());
    }
    Ok(Some(Expected { terms, limit: limit.map(|limit| limit.parse().unwrap_or(u32::MAX)), marker }))
}

/// After `parse_qsl_text` of WebOb 1.8.
fn pairs(query: &str) -> Vec<Pair> {
    let query = query.replace('+', " ");
    let parts = query.split('&').flat_map(|part| part.split(';')).filter(|part| !part.is_empty());
    parts
        .map(|part| match part.find('=') {
            Some(at) => (unquote(&part[..at]), Some(unquote(&part[at + 1..]))),
            None => (unquote(part), None),
        })
        .collect()
}

fn unquote(text: &str) -> Vec<u8> {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.chars().all(|digit| digit.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                out.extend_from_slice(&part.as_bytes()[2..]);
            }
            None => {
                out.push(b'%');
                out.extend_from_slice(part.as_bytes());
            }
        }
    }
    out
}
