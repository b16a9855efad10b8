//! A list answer with other checkpoints in it, and another link to the next page.
//!
//! Leaves to the callers which checkpoints, and where the link leads.

use std::ops::Range;

use super::Sketch;
use crate::karbor::ascii;

/// The list answer `body` with `items` in place of its checkpoints, each as it stood in an answer of
/// Karbor's, and with `next` as the link to the next page, or without one.
///
/// `sketch` is of this very `body`. Nothing else in it changes. None if it is no list.
#[must_use]
pub fn keep(body: &[u8], sketch: &Sketch, items: &[&[u8]], next: Option<&str>) -> Option<Vec<u8>> {
    let list = sketch.list.clone()?;
    let mut new_list = Vec::with_capacity(items.iter().map(|item| item.len() + 2).sum::<usize>() + 2);
    new_list.push(b'[');
    for (index, item) in items.iter().enumerate() {
        new_list.extend_from_slice(if index > 0 { b", " } else { b"" });
        new_list.extend_from_slice(item);
    }
    new_list.push(b']');
    let (links, new_links) = match (sketch.links.clone(), next) {
        (Some(links), Some(href)) => (links, link(href, "")?),
        (Some(links), None) => without(body, links)?,
        (None, Some(href)) => (list.end..list.end, link(href, MEMBER)?),
        (None, None) => (list.end..list.end, Vec::new()),
    };
    let mut edits = [(list, new_list), (links, new_links)];
    edits.sort_by_key(|(range, _)| range.start);
    let mut out = Vec::with_capacity(body.len());
    let mut copied = 0;
    for (range, new) in edits {
        out.extend_from_slice(body.get(copied..range.start)?);
        out.extend_from_slice(&new);
        copied = range.end;
    }
    out.extend_from_slice(body.get(copied..)?);
    Some(out)
}

/// What stands before the links when they follow the list.
const MEMBER: &str = r#", "checkpoints_links": "#;

fn link(href: &str, before: &str) -> Option<Vec<u8>> {
    let mut out = Vec::from(before);
    out.extend_from_slice(br#"[{"rel": "next", "href": "#);
    ascii::write(&mut out, &href).ok()?;
    out.extend_from_slice(b"}]");
    Some(out)
}

/// What to replace, and by what, to be rid of the links: the whole member where it stands behind another,
/// as Karbor writes it.
fn without(body: &[u8], links: Range<usize>) -> Option<(Range<usize>, Vec<u8>)> {
    let before = body.get(..links.start)?.trim_ascii_end().strip_suffix(b":");
    let before = before.and_then(|rest| rest.trim_ascii_end().strip_suffix(br#""checkpoints_links""#));
    let before = before.and_then(|rest| rest.trim_ascii_end().strip_suffix(b","));
    Some(match before {
        Some(before) => (before.len()..links.end, Vec::new()),
        None => (links, Vec::from(b"[]")),
    })
}
