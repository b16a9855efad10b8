//! Bodies of Karbor's answers: read without failing, to ids that are safe in a path; filled and cut as a
//! plain reading of the documents says, and nothing else of them changed.

use karbor_admission::karbor::answer::{
    Filling, Seen, Sketch, copied_pairs, created_checkpoint, fill, keep, provider_of_plan, read_list,
    read_one,
};
use serde_json::{Map, Value, json};

use crate::json::Census;

/// What was kept: for each checkpoint one of these.
const KEPT: &[Option<&[(&str, &str)]>] = &[
    Some(&[("x-a--b", "c")]),
    None,
    Some(&[("created_by", "\u{e9}\"\\\n"), ("x-a--b", "")]),
    Some(&[]),
    Some(&[("a", "\u{1d11e}\0"), ("x-a--b", "c"), ("\u{e9}", "a")]),
];

/// `data` is the body of an answer.
pub fn check(data: &[u8]) {
    let checkpoint = created_checkpoint(data).map(|id| id.as_str().to_owned());
    let provider = provider_of_plan(data).map(|id| id.as_str().to_owned());
    for id in [&checkpoint, &provider].into_iter().flatten() {
        assert!(is_plain(id), "{id:?}");
    }
    for (one, other) in copied_pairs(data).into_iter().flat_map(|copied| copied.pairs) {
        assert!(is_plain(one.as_str()) && is_plain(other.as_str()));
    }
    // Only where a plain reader sees every member.
    let document = serde_json::from_slice::<Value>(data).ok().zip(Census::of(data));
    let document = document.filter(|(document, census)| census.members == Census::of_value(document).members);
    let document = document.map(|(document, _)| document);
    if let Some(document) = &document {
        assert_eq!(checkpoint, named(document, "checkpoint", "id"), "the checkpoint");
        assert_eq!(provider, named(document, "plan", "provider_id"), "the provider");
    }
    let one = read_one(data);
    check_filling(data, one.as_ref(), document.as_ref().map(|document| &document["checkpoint"]), false);
    let list = read_list(data);
    check_filling(data, list.as_ref(), document.as_ref().map(|document| &document["checkpoints"]), true);
    if let Some(list) = list {
        check_keeping(data, &list, document);
    }
}

fn kept(seen: &Seen) -> Option<&'static [(&'static str, &'static str)]> {
    KEPT[seen.id.as_str().bytes().map(usize::from).sum::<usize>() % KEPT.len()]
}

fn check_filling(body: &[u8], sketch: Option<&Sketch>, value: Option<&Value>, is_list: bool) {
    let Some(sketch) = sketch else {
        let readable = |value: &&Value| if is_list { value.is_array() } else { !value.is_null() };
        assert!(value.filter(readable).is_none(), "an answer is seen");
        return;
    };
    let filled = fill(body, sketch, kept);
    assert_eq!(filled.results.len(), sketch.checkpoints.len());
    let new = filled.body.as_deref().unwrap_or(body);
    let again = if is_list { read_list(new) } else { read_one(new) }.expect("what was filled is an answer");
    only_the_map_changed(body, sketch, new, &again, &filled.results);
    let twice = fill(new, &again, kept);
    assert_eq!(twice.body, None, "filling twice is filling once");
    assert!(twice.results.iter().all(|result| matches!(result, Filling::Same | Filling::Unchanged)));

    let Some(value) = value else { return };
    let items: Vec<&Value> =
        if is_list { value.as_array().into_iter().flatten().collect() } else { vec![value] };
    let readable: Vec<&Value> = items.iter().copied().filter(|item| is_checkpoint(item)).collect();
    assert_eq!(
        (readable.len(), items.len()),
        (sketch.checkpoints.len(), sketch.checkpoints.len() + sketch.unread)
    );
    for (index, (item, seen)) in readable.iter().zip(&sketch.checkpoints).enumerate() {
        assert_eq!(
            (item["id"].as_str(), item["project_id"].as_str()),
            (Some(seen.id.as_str()), Some(seen.project.as_str()))
        );
        let plan = |name: &str| item["protection_plan"][name].as_str().filter(|id| is_plain(id));
        assert_eq!(plan("id"), seen.plan.as_deref());
        assert_eq!(plan("provider_id"), seen.provider.as_ref().map(|id| id.as_str()));
        let Some((result, map)) = merged(item.get("extra_info"), kept(seen)) else { continue };
        assert_eq!(filled.results[index], result, "{item}");
        let now = again.checkpoints[index].extra_info.clone().map(|range| &new[range]);
        if matches!(result, Filling::Restored | Filling::Altered) {
            let now: String = serde_json::from_slice(now.expect("a map")).expect("a string");
            assert!(now.is_ascii() || item.get("extra_info").is_some_and(|own| !own.to_string().is_ascii()));
            assert_eq!(serde_json::from_str::<Value>(&now).expect("JSON in it"), Value::Object(map));
        }
    }
}

/// The new body is the old one, with the new values where they belong.
fn only_the_map_changed(old: &[u8], before: &Sketch, new: &[u8], after: &Sketch, results: &[Filling]) {
    assert_eq!((before.checkpoints.len(), before.unread), (after.checkpoints.len(), after.unread));
    let mut expected = Vec::new();
    let mut copied = 0;
    for ((seen, now), result) in before.checkpoints.iter().zip(&after.checkpoints).zip(results) {
        if matches!(result, Filling::Unchanged | Filling::Same) {
            continue;
        }
        let value = &new[now.extra_info.clone().expect("it is there now")];
        let start = seen.extra_info.as_ref().map_or(seen.whole.start + 1, |range| range.start);
        expected.extend_from_slice(&old[copied..start]);
        match &seen.extra_info {
            Some(range) => {
                expected.extend_from_slice(value);
                copied = range.end;
            }
            None => {
                expected.extend([b"\"extra_info\": ", value, b", "].concat());
                copied = start;
            }
        }
    }
    expected.extend_from_slice(&old[copied..]);
    assert_eq!(expected, new);
}

/// What becomes of Karbor's own value, and the map then; none where a plain reader cannot say.
fn merged(own: Option<&Value>, kept: Option<&[(&str, &str)]>) -> Option<(Filling, Map<String, Value>)> {
    let kept = kept.unwrap_or_default();
    if kept.is_empty() {
        return Some((Filling::Unchanged, Map::new()));
    }
    let (mut map, readable) = match own {
        None | Some(Value::Null) => (Map::new(), true),
        Some(Value::Object(map)) => (map.clone(), true),
        Some(Value::String(text)) if text.is_empty() || text == "null" => (Map::new(), true),
        Some(Value::String(text)) => {
            let value: Value = serde_json::from_str(text).ok()?;
            if Census::of(text.as_bytes())?.members != Census::of_value(&value).members {
                return None;
            }
            match value {
                Value::Object(map) => (map, true),
                _ => (Map::new(), false),
            }
        }
        Some(_) => (Map::new(), false),
    };
    // What Karbor says of every checkpoint: then the kept entry was lost.
    let is_lost = |key: &str, value: &str| {
        key == "created_by" && value != "manual" && map.get(key).is_some_and(|own| own == "manual")
    };
    let missing = kept.iter().any(|(key, value)| !map.contains_key(*key) || is_lost(key, value));
    let differing =
        kept.iter().any(|(key, value)| map.get(*key).is_some_and(|own| own != value) && !is_lost(key, value));
    map.extend(kept.iter().map(|(key, value)| ((*key).to_owned(), json!(value))));
    let result = match (readable && !differing, missing) {
        (false, _) => Filling::Altered,
        (true, true) => Filling::Restored,
        (true, false) => Filling::Same,
    };
    Some((result, map))
}

fn check_keeping(body: &[u8], sketch: &Sketch, document: Option<Value>) {
    let next = (body.len() % 2 == 0).then_some("http://h/\u{e9}\"?a&b");
    let items: Vec<&[u8]> = sketch.checkpoints.iter().step_by(2).map(|seen| seen.bytes(body)).collect();
    let kept = keep(body, sketch, &items, next).expect("a list");
    let again = read_list(&kept).expect("still a list");
    assert_eq!((again.unread, again.next.as_deref()), (0, next));
    let found: Vec<&[u8]> = again.checkpoints.iter().map(|seen| seen.bytes(&kept)).collect();
    assert_eq!(found, items);
    let Some(mut expected) = document else { return };
    let mut found: Value = serde_json::from_slice(&kept).expect("JSON");
    if next.is_none() && found.get("checkpoints_links").is_some_and(|links| *links == json!([])) {
        found.as_object_mut().expect("an object").remove("checkpoints_links");
    }
    let members = expected.as_object_mut().expect("an object");
    members.insert("checkpoints".to_owned(), found["checkpoints"].clone());
    members.remove("checkpoints_links");
    if let Some(next) = next {
        members.insert("checkpoints_links".to_owned(), json!([{"rel": "next", "href": next}]));
    }
    assert_eq!(found, expected);
}

fn is_checkpoint(item: &Value) -> bool {
    let project = item["project_id"].as_str().unwrap_or_default();
    item["id"].as_str().is_some_and(is_plain) && (1..=255).contains(&project.len())
}

fn named(document: &Value, outer: &str, inner: &str) -> Option<String> {
    let id = document.get(outer)?.get(inner)?.as_str()?;
    is_plain(id).then(|| id.to_owned())
}

fn is_plain(id: &str) -> bool {
    !id.is_empty() && id.len() <= 64 && id.chars().all(|char| char.is_ascii_alphanumeric() || char == '-')
}
