//! What is seen in answers, and what becomes of them.

use proptest::collection::{btree_map, vec};
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use serde_json::{Value, json};

use super::*;

const CREATED: &str = r#"{"checkpoint": {"id": "c-1", "project_id": "t", "status": "protecting", "protection_plan": {"id": "p-1", "name": "n", "resources": [{"id": "i", "type": "OS::Glance::Image", "name": "\ud800 \"extra_info\": 1", "extra_info": null}]}, "resource_graph": null, "created_at": null, "extra_info": "{\"created_by\": \"manual\"}"}}"#;

const LISTED: &str = r#"{"checkpoints": [{"id": "c-1", "project_id": "t", "status": "available", "protection_plan": {"id": "p-1", "provider_id": "v-1", "resources": []}, "resource_graph": "[{\"0x0\": 1e999}]", "created_at": "2026-11-23", "extra_info": "{\"created_by\": \"manual\"}"}, {"id": "c-2", "project_id": "t", "status": "wait_copying", "protection_plan": null, "created_at": 5, "extra_info": {}}, {"id": "c-3", "project_id": "u.v", "extra_info": null}, {"id": "c-4", "project_id": "t"}], "checkpoints_links": [{"rel": "next", "href": "http://h/v1/t/checkpoints?limit=4&marker=c-4"}]}"#;

#[test]
fn reads_the_checkpoint() {
    let id = |body: &str| created_checkpoint(body.as_bytes()).map(|id| id.to_string());
    assert_eq!(id(r#" {"checkpoint": {"x": [1], "id": "a-1"}, "y": 1}"#).as_deref(), Some("a-1"));
    for body in [
        "",
        "{}",
        r#"{"checkpoint": {}}"#,
        r#"{"checkpoint": {"id": 1}}"#,
        r#"{"checkpoint": {"id": "../x"}}"#,
        r#"{"checkpoint": {"id": "a", "id": "a"}}"#,
        r#"{"checkpoint": ["a"]}"#,
        r#"[{"id": "a"}]"#,
        r#"[["a"]]"#,
    ] {
        assert_eq!(id(body), None, "{body}");
    }
}

#[test]
fn reads_the_provider() {
    let id = |body: &str| provider_of_plan(body.as_bytes()).map(|id| id.to_string());
    assert_eq!(id(r#"{"plan": {"provider_id": "\u0061b"}}"#).as_deref(), Some("ab"));
    for body in [
        "[]",
        r#"{"plan": null}"#,
        r#"{"plan": {"provider_id": ""}}"#,
        r#"{"plan": {"provider_id": "a/b"}}"#,
        r#"{"plan": ["a"]}"#,
        r#"[["a"]]"#,
    ] {
        assert_eq!(id(body), None, "{body}");
    }
}

#[test]
fn sees_a_created_checkpoint() {
    let sketch = read_one(CREATED.as_bytes()).unwrap();
    let seen = &sketch.checkpoints[0];
    assert_eq!((seen.id.as_str(), seen.project.as_str()), ("c-1", "t"));
    assert_eq!((seen.plan.as_deref(), seen.provider.as_ref()), (Some("p-1"), None));
    assert_eq!((seen.status, seen.created_on.as_deref()), (Status::Protecting, None));
    assert_eq!(seen.bytes(CREATED.as_bytes()), &CREATED.as_bytes()[15..CREATED.len() - 1]);
    assert_eq!(&CREATED[seen.extra_info.clone().unwrap()], r#""{\"created_by\": \"manual\"}""#);
}

#[test]
fn sees_a_list() {
    let sketch = read_list(LISTED.as_bytes()).unwrap();
    let ids: Vec<&str> = sketch.checkpoints.iter().map(|seen| seen.id.as_str()).collect();
    assert_eq!(ids, ["c-1", "c-2", "c-3", "c-4"]);
    assert_eq!(
        (sketch.unread, sketch.next.as_deref()),
        (0, Some("http://h/v1/t/checkpoints?limit=4&marker=c-4"))
    );
    let first = &sketch.checkpoints[0];
    assert_eq!((first.plan.as_deref(), first.created_on.as_deref()), (Some("p-1"), Some("2026-11-23")));
    assert_eq!(first.provider.as_ref().map(ProviderId::as_str), Some("v-1"));
    let second = &sketch.checkpoints[1];
    assert_eq!((&second.plan, &second.created_on, second.status), (&None, &None, Status::WaitCopying));
    assert_eq!(sketch.checkpoints[2].project.as_str(), "u.v");
    let values: Vec<Option<&str>> =
        sketch.checkpoints.iter().map(|seen| seen.extra_info.clone().map(|range| &LISTED[range])).collect();
    assert_eq!(values, [Some(r#""{\"created_by\": \"manual\"}""#), Some("{}"), Some("null"), None]);
}

#[test]
fn is_not_deceived() {
    let unread = |checkpoint: &str| {
        let sketch = read_one(format!(r#"{{"checkpoint": {checkpoint}}}"#).as_bytes()).unwrap();
        assert_eq!(sketch.checkpoints.len() + sketch.unread, 1);
        sketch.unread == 1
    };
    let good = r#""id": "c", "project_id": "t""#;
    assert!(!unread(&format!(r#"{{{good}}}"#)));
    for member in [
        r#""id": "c""#,
        r#""\u0069d": "d""#,
        r#""project_id": "t""#,
        r#""extra_info": null, "extra_info": null"#,
        r#""extra_info": null, "extr\u0061_info": "{}""#,
        r#""status": "error", "status": 1"#,
        r#""created_at": null, "created_at": null"#,
        r#""protection_plan": {}, "protection_plan": {}"#,
        r#""protection_plan": {"id": "p", "id": "q"}"#,
        r#""protection_plan": {"provider_id": "p", "provider_id": "p"}"#,
    ] {
        assert!(unread(&format!(r#"{{{good}, {member}}}"#)), "{member}");
    }
    for checkpoint in [
        "null",
        "[]",
        r#"["c", "t"]"#,
        r#"{"id": "c"}"#,
        r#"{"project_id": "t"}"#,
        r#"{"id": "c", "project_id": ""}"#,
        r#"{"id": "c/d", "project_id": "t"}"#,
        r#"{"id": "\ud800", "project_id": "t"}"#,
    ] {
        assert!(unread(checkpoint), "{checkpoint}");
    }
}

#[test]
fn sees_nothing_where_an_answer_is_something_else() {
    for body in [
        "",
        "[]",
        "null",
        "{}",
        r#"{"badRequest": {"code": 400, "message": "m"}}"#,
        r#"{"checkpoint": {}, "checkpoint": {}, "checkpoints": [], "checkpoints": []}"#,
        r#"{"checkpoint": {}, "checkpoints": {}"#,
        r#"{"checkpoint": {}, "checkpoints": []} x"#,
        r#"{"checkpoint": {"a": "tab	"}, "checkpoints": ["tab	"]}"#,
        "\u{feff}{\"checkpoint\": {}, \"checkpoints\": []}",
    ] {
        assert_eq!((read_one(body.as_bytes()), read_list(body.as_bytes())), (None, None), "{body}");
    }
    assert_eq!(read_list(br#"{"checkpoints": {}}"#), None);
    assert_eq!(read_one(b"{\"checkpoint\": {\"x\": \"\xff\"}}"), None);
    let deep = format!(
        r#"{{"checkpoint": {{"id": "c", "project_id": "t", "x": {}{}}}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert_eq!(read_one(deep.as_bytes()).unwrap().checkpoints.len(), 1);
}

/// What becomes of an `extra_info` of this text when this map was kept.
#[track_caller]
fn check(own: &str, kept: &[(&str, &str)], filling: Filling, expected: &str) {
    let body = format!(r#"{{"checkpoint": {{"id": "c", "extra_info": {own}, "project_id": "t"}}}}"#);
    let sketch = read_one(body.as_bytes()).unwrap();
    let filled = fill(body.as_bytes(), &sketch, |_| Some(kept));
    assert_eq!(filled.results, [filling], "{own}");
    let expected = body.replace(own, expected);
    let found = filled.body.map(|body| String::from_utf8(body).unwrap());
    assert_eq!(found, (expected != body).then_some(expected));
}

#[test]
fn puts_back_what_karbor_lost() {
    let kept = [("x-a--b", "c"), ("karbor-d", "e")];
    for own in ["null", "{}", r#""{}""#, r#""""#, r#""null""#, r#"" { } ""#] {
        check(own, &kept, Filling::Restored, r#""{\"x-a--b\": \"c\", \"karbor-d\": \"e\"}""#);
    }
    let own = r#""{\"created_by\": \"manual\",\"n\": [1.0, 1e999]}""#;
    let all =
        r#""{\"created_by\": \"manual\", \"n\": [1.0, 1e999], \"x-a--b\": \"c\", \"karbor-d\": \"e\"}""#;
    check(own, &kept, Filling::Restored, all);
    check(
        r#"{"copy_status": "finished"}"#,
        &kept[..1],
        Filling::Restored,
        r#""{\"copy_status\": \"finished\", \"x-a--b\": \"c\"}""#,
    );
    check(
        r#""{\"x-a--b\": \"c\"}""#,
        &kept,
        Filling::Restored,
        r#""{\"x-a--b\": \"c\", \"karbor-d\": \"e\"}""#,
    );
    check(r#""{}""#, &[], Filling::Unchanged, r#""{}""#);
    // Karbor says so of every checkpoint, whoever made it.
    let (kept, won) = ([("created_by", "engine")], r#""{\"created_by\": \"engine\"}""#);
    check(r#""{\"created_by\": \"manual\"}""#, &kept, Filling::Restored, won);
    check(r#""{\"created_by\": \"manual\", \"created_by\": \"engine\"}""#, &kept, Filling::Altered, won);
    check(r#""{\"created_by\": \"Manual\"}""#, &kept, Filling::Altered, won);
}

#[test]
fn leaves_what_karbor_kept() {
    let kept = [("x-a--b", "\u{e9}"), ("d", "")];
    for own in [
        r#""{\"d\":\"\",\"created_by\": \"manual\", \"x-a--b\": \"\\u00e9\"}""#,
        r#""{\"d\":\"\", \"x-\\u0061--b\": \"é\"}""#,
        r#"{"d": "", "x-a--b": "\u00e9"}"#,
    ] {
        check(own, &kept, Filling::Same, own);
    }
}

#[test]
fn the_kept_map_wins() {
    let kept = [("a", "1"), ("b", "2")];
    let won = r#""{\"a\": \"1\", \"b\": \"2\"}""#;
    for own in [
        r#""{\"a\": \"2\", \"b\": \"2\"}""#,
        r#""{\"a\": 1, \"b\": \"2\"}""#,
        r#""{\"\\u0061\": null}""#,
        r#""{\"a\": \"1\", \"a\": \"1\", \"b\": \"2\"}""#,
        r#""{\"a\": \"\\ud800\", \"b\": \"2\"}""#,
        r#""[1]""#,
        r#""text""#,
        r#""{\"a\": \"1\"""#,
        r#""\ud800""#,
        r#""{\"k\": \"v\", \"a\": \"1\", \"b\": \"2\"} x""#,
        "[]",
        "5",
        "true",
    ] {
        check(own, &kept, Filling::Altered, won);
    }
    check(
        r#""{\"k\": \"v\", \"a\": \"\"}""#,
        &kept[..1],
        Filling::Altered,
        r#""{\"k\": \"v\", \"a\": \"1\"}""#,
    );
}

/// As Python's `json.dumps` of `json.dumps` writes it.
#[test]
fn escapes_twice() {
    let map = r#""{\"x-a--b\": \"\\u00e9\\ud834\\udd1e \\\" \\\\ \\n / \\u0000\"}""#;
    check("null", &[("x-a--b", "\u{e9}\u{1d11e} \" \\ \n / \0")], Filling::Restored, map);
    check(
        r#""{\"é\": \"\\u00e9\"}""#,
        &[("a", "")],
        Filling::Restored,
        r#""{\"\u00e9\": \"\\u00e9\", \"a\": \"\"}""#,
    );
}

#[test]
fn fills_a_list_in_one_go() {
    let sketch = read_list(LISTED.as_bytes()).unwrap();
    let kept = [("k", "v")];
    let filled = fill(LISTED.as_bytes(), &sketch, |seen| (seen.id.as_str() != "c-2").then_some(&kept[..]));
    assert_eq!(filled.results, [Filling::Restored, Filling::Unchanged, Filling::Restored, Filling::Restored]);
    let expected = LISTED
        .replace(r#"\"manual\"}"}"#, r#"\"manual\", \"k\": \"v\"}"}"#)
        .replace(r#""extra_info": null}"#, r#""extra_info": "{\"k\": \"v\"}"}"#)
        .replace(r#"{"id": "c-4""#, r#"{"extra_info": "{\"k\": \"v\"}", "id": "c-4""#);
    assert_eq!(String::from_utf8(filled.body.unwrap()).unwrap(), expected);
}

#[test]
fn a_sketch_of_another_answer_does_no_harm() {
    let sketch = read_list(LISTED.as_bytes()).unwrap();
    for body in [&LISTED.as_bytes()[..200], b"", "\u{e9}".repeat(500).as_bytes()] {
        let filled = fill(body, &sketch, |_| Some(&[("k", "v")]));
        assert_eq!(filled.results.len(), 4);
        let _ = keep(body, &sketch, &[], None);
        let _ = sketch.checkpoints[0].bytes(body);
    }
}

#[test]
fn keeps_only_these_checkpoints() {
    let sketch = read_list(LISTED.as_bytes()).unwrap();
    let items: Vec<&[u8]> = sketch.checkpoints.iter().map(|seen| seen.bytes(LISTED.as_bytes())).collect();
    let keep = |items: &[&[u8]], next| {
        String::from_utf8(keep(LISTED.as_bytes(), &sketch, items, next).unwrap()).unwrap()
    };
    let href = "http://h/v1/t/checkpoints?limit=4&marker=c-4";
    assert_eq!(keep(&items, Some(href)), LISTED);
    assert_eq!(
        keep(&items[2..], None),
        r#"{"checkpoints": [{"id": "c-3", "project_id": "u.v", "extra_info": null}, {"id": "c-4", "project_id": "t"}]}"#
    );
    assert_eq!(
        keep(&[], Some("/a?b=\"\u{e9}")),
        r#"{"checkpoints": [], "checkpoints_links": [{"rel": "next", "href": "/a?b=\"\u00e9"}]}"#
    );
}

#[test]
fn keeps_the_rest_of_a_list() {
    for (body, none, some) in [
        (
            r#"{"checkpoints": []}"#,
            r#"{"checkpoints": [1]}"#,
            r#"{"checkpoints": [1], "checkpoints_links": N}"#,
        ),
        (
            "{ \"a\":1.0 ,\"checkpoints\" : [ ] , \"checkpoints_links\" : [ 1 ] ,\"b\": 2 }",
            "{ \"a\":1.0 ,\"checkpoints\" : [1]  ,\"b\": 2 }",
            "{ \"a\":1.0 ,\"checkpoints\" : [1] , \"checkpoints_links\" : N ,\"b\": 2 }",
        ),
        (
            r#"{"checkpoints_links": null, "checkpoints": []}"#,
            r#"{"checkpoints_links": [], "checkpoints": [1]}"#,
            r#"{"checkpoints_links": N, "checkpoints": [1]}"#,
        ),
    ] {
        let sketch = read_list(body.as_bytes()).unwrap();
        let keep = |next| String::from_utf8(keep(body.as_bytes(), &sketch, &[b"1"], next).unwrap()).unwrap();
        assert_eq!(keep(None), none);
        assert_eq!(keep(Some("h")), some.replace('N', r#"[{"rel": "next", "href": "h"}]"#));
    }
    assert_eq!(keep(CREATED.as_bytes(), &read_one(CREATED.as_bytes()).unwrap(), &[], None), None);
}

#[test]
fn reads_what_was_copied() {
    let body = r#"{"copy": {"project_id": "t", "provider_id": "v", "plan_id": "p", "checkpoint_id": [{"checkpoint_protect_id": "a", "checkpoint_copy_id": "b"}, {"checkpoint_protect_id": "c"}, ["d", "e"], {"checkpoint_copy_id": "g", "checkpoint_protect_id": "f", "x": 1}], "parameters": null}}"#;
    let copied = copied_pairs(body.as_bytes()).unwrap();
    let pairs: Vec<_> = copied.pairs.iter().map(|(one, other)| (one.as_str(), other.as_str())).collect();
    assert_eq!(pairs, [("a", "b"), ("f", "g")]);
    assert_eq!((copied.plan.as_deref(), copied.provider), (Some("p"), Some(ProviderId::new("v"))));
    for body in ["{}", r#"{"copy": {"checkpoint_id": []}}"#, r#"{"copy": ["v", "p", []]}"#] {
        assert_eq!(copied_pairs(body.as_bytes()), None, "{body}");
    }
}

fn extra_info() -> impl Strategy<Value = Value> {
    let entries = btree_map(
        "[a-e]",
        prop_oneof!["[a-c\u{e9}\\\\\"]{0,2}".prop_map(Value::from), any::<i8>().prop_map(Value::from)],
        0..5,
    );
    let object = entries.prop_map(|entries| Value::Object(entries.into_iter().collect()));
    object.prop_flat_map(|object| {
        let odd = [object.clone(), json!(object.to_string()), json!(null), json!(""), json!("x"), json!([1])];
        proptest::sample::select(odd.to_vec())
    })
}

fn list() -> impl Strategy<Value = Value> {
    vec((proptest::option::of(extra_info()), any::<f64>(), ".{0,4}"), 0..5).prop_map(|checkpoints| {
        let checkpoint = |(index, (extra_info, number, text)): (usize, (Option<Value>, f64, String))| {
            let mut checkpoint = json!({"id": format!("c-{index}"), "project_id": "t", "a": number, "z": text});
            if let Some(extra_info) = extra_info {
                checkpoint["extra_info"] = extra_info;
            }
            checkpoint
        };
        json!({"checkpoints": checkpoints.into_iter().enumerate().map(checkpoint).collect::<Vec<_>>(), "x": [{}]})
    })
}

proptest! {
    #[test]
    fn only_the_map_changes(
        list in list(),
        kept in btree_map("[a-e]", "[a-c\u{e9}\\\\\"]{0,2}", 1..5),
        pretty: bool,
    ) {
        let body = if pretty { serde_json::to_vec_pretty(&list) } else { serde_json::to_vec(&list) }.unwrap();
        // A number's last digit is not what it was, once it was parsed.
        let list: Value = serde_json::from_slice(&body).unwrap();
        let kept: Vec<(String, String)> = kept.into_iter().collect();
        let sketch = read_list(&body).unwrap();
        let filled = fill(&body, &sketch, |_| Some(&kept));
        let new = filled.body.unwrap_or_else(|| body.clone());
        let mut parsed: Value = serde_json::from_slice(&new).unwrap();
        let without = |list: &mut Value| {
            for checkpoint in list["checkpoints"].as_array_mut().unwrap() {
                checkpoint.as_object_mut().unwrap().remove("extra_info");
            }
        };
        for checkpoint in parsed["checkpoints"].as_array().unwrap() {
            let map = match &checkpoint["extra_info"] {
                Value::String(text) => serde_json::from_str(text).unwrap(),
                map => map.clone(),
            };
            for (key, value) in &kept {
                prop_assert_eq!(&map[key], value);
            }
        }
        let mut before = list.clone();
        without(&mut before);
        without(&mut parsed);
        prop_assert_eq!(before, parsed);

        let again = fill(&new, &read_list(&new).unwrap(), |_| Some(&kept));
        prop_assert_eq!(&again.body, &None);
        prop_assert!(again.results.iter().all(|result| *result == Filling::Same));

        let items: Vec<&[u8]> = sketch.checkpoints.iter().map(|seen| seen.bytes(&body)).collect();
        let kept = keep(&body, &sketch, &items, None).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Value>(&kept).unwrap(), list);
    }

    #[test]
    fn any_bytes_are_read(bytes in vec(any::<u8>(), 0..64), text in "[\\[\\]{}\",:a-c0-9 ]{0,40}") {
        for body in [&bytes[..], text.as_bytes(), format!(r#"{{"checkpoints": [{text}]}}"#).as_bytes()] {
            if let Some(sketch) = read_list(body) {
                fill(body, &sketch, |_| Some(&[("k", "v")]));
            }
            let _ = read_one(body);
            let _ = copied_pairs(body);
        }
    }
}
