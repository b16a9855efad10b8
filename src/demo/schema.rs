//! The shape Karbor asks of a body, and its words when a body is otherwise.
//!
//! The first problem is reported, in the order of Karbor's validator: kind, members, required members,
//! members too many. Leaves statuses to `controller`.

use super::json::Json;

/// What a value must be.
pub(super) enum Shape {
    /// One of these kinds.
    Kinds(&'static [&'static str]),
    /// Text that reads as a UUID.
    Uuid,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of objects.
    Objects,
    /// An object with these members and no others.
    Members(&'static [(&'static str, Shape)], Required),
    /// An object, or one of these kinds, with keys of Karbor's characters and values of one shape.
    Entries(&'static [&'static str], &'static Shape),
}

type Required = &'static [&'static str];

const TEXT_OR_NULL: Shape = Shape::Kinds(&["string", "null"]);
const SCALARS: Shape = Shape::Entries(&["object", "null"], &Shape::Kinds(&["boolean", "string", "integer"]));
const PARAMETERS: Shape = Shape::Entries(&["object"], &SCALARS);

/// The map is `extra-info` here, although Karbor's controller looks for `extra_info` (facts, section 1).
pub(super) static CHECKPOINT: Shape = Shape::Members(
    &[("checkpoint", Shape::Members(&[("plan_id", Shape::Uuid), ("extra-info", SCALARS)], &["plan_id"]))],
    &["checkpoint"],
);
pub(super) static RESET: Shape = Shape::Members(
    &[("os-resetState", Shape::Members(&[("state", Shape::Word(&["available", "error"]))], &["state"]))],
    &["os-resetState"],
);
pub(super) static COPY: Shape = Shape::Members(
    &[("copy", Shape::Members(&[("plan_id", Shape::Uuid), ("parameters", PARAMETERS)], &["plan_id"]))],
    &["copy"],
);
pub(super) static NEW_PLAN: Shape = Shape::Members(
    &[(
        "plan",
        Shape::Members(
            &[
                ("name", TEXT_OR_NULL),
                ("description", TEXT_OR_NULL),
                ("provider_id", Shape::Uuid),
                ("parameters", PARAMETERS),
                ("resources", Shape::Objects),
            ],
            &["provider_id", "parameters"],
        ),
    )],
    &["plan"],
);
pub(super) static PLAN_CHANGE: Shape = Shape::Members(
    &[(
        "plan",
        Shape::Members(
            &[
                ("name", TEXT_OR_NULL),
                ("status", TEXT_OR_NULL),
                ("resources", Shape::Objects),
                ("description", TEXT_OR_NULL),
            ],
            &[],
        ),
    )],
    &["plan"],
);

/// Karbor's sentence about the first problem of a body.
pub(super) fn first_problem(body: &Json, shape: &Shape) -> Option<String> {
    examine(None, body, shape).err()
}

/// What Karbor takes for a UUID: hyphens, braces, case and `urn:uuid:` do not matter.
pub(super) fn is_uuid(text: &str) -> bool {
    let bare = text.replace("urn:", "").replace("uuid:", "");
    let digits = bare.trim_matches(['{', '}']).replace('-', "");
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn examine(name: Option<&str>, value: &Json, shape: &Shape) -> Result<(), String> {
    let kinds = match shape {
        Shape::Kinds(kinds) | Shape::Entries(kinds, _) => *kinds,
        Shape::Uuid | Shape::Word(_) => &["string"],
        Shape::Objects => &["array"],
        Shape::Members(..) => &["object"],
    };
    let problem = |text: String| Err(sentence(name, value, &text));
    if !kinds.contains(&kind_of(value)) {
        let kinds: Vec<String> = kinds.iter().map(|kind| format!("'{kind}'")).collect();
        return problem(format!("{} is not of type {}", value.repr(), kinds.join(", ")));
    }
    match (shape, value) {
        (Shape::Uuid, Json::Text(text)) if !is_uuid(text) => {
            problem(format!("{} is not a 'uuid'", value.repr()))
        }
        (Shape::Word(words), Json::Text(text)) if !words.contains(&&**text) => {
            let words = Json::List(words.iter().map(|word| Json::text(word)).collect());
            problem(format!("{} is not one of {}", value.repr(), words.repr()))
        }
        (Shape::Objects, Json::List(items)) => items.iter().enumerate().try_for_each(|(place, item)| {
            examine(Some(&place.to_string()), item, &Shape::Kinds(&["object"]))
        }),
        (Shape::Members(members, required), Json::Map(given)) => {
            for (member, shape) in *members {
                if let Some(value) = value.get(member) {
                    examine(Some(member), value, shape)?;
                }
            }
            if let Some(missing) = required.iter().find(|name| value.get(name).is_none()) {
                return problem(format!("'{missing}' is a required property"));
            }
            let extra = quote_sorted(given, |key| !members.iter().any(|(member, _)| *member == key));
            match extra.len() {
                0 => Ok(()),
                1 => problem(format!("Additional properties are not allowed ({} was unexpected)", extra[0])),
                _ => problem(format!(
                    "Additional properties are not allowed ({} were unexpected)",
                    extra.join(", ")
                )),
            }
        }
        (Shape::Entries(_, shape), Json::Map(given)) => {
            for (key, value) in given.iter().filter(|(key, _)| is_key(key)) {
                examine(Some(key), value, shape)?;
            }
            let verb = |count| if count == 1 { "does" } else { "do" };
            let extra = quote_sorted(given, |key| !is_key(key));
            match extra.len() {
                0 => Ok(()),
                count => problem(format!(
                    "{} {} not match any of the regexes: '^[a-zA-Z0-9-_:.# ]{{1,255}}$'",
                    extra.join(", "),
                    verb(count)
                )),
            }
        }
        _ => Ok(()),
    }
}

/// Karbor's frame around the validator's sentence; the body itself has no name.
fn sentence(name: Option<&str>, value: &Json, text: &str) -> String {
    let Some(name) = name else { return text.to_owned() };
    let value = value.as_text().map_or_else(|| value.repr(), str::to_owned);
    format!("Invalid input for field/attribute {name}. Value: {value}. {text}")
}

fn quote_sorted(given: &[(Box<str>, Json)], extra: impl Fn(&str) -> bool) -> Vec<String> {
    let mut keys: Vec<&str> = given.iter().map(|(key, _)| &**key).filter(|key| extra(key)).collect();
    keys.sort_unstable();
    keys.into_iter().map(|key| Json::text(key).repr()).collect()
}

/// Python's `$` lets one newline at the end pass (facts, row I32).
fn is_key(key: &str) -> bool {
    let key = key.strip_suffix('\n').unwrap_or(key);
    (1..=255).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_:.# ".contains(&byte))
}

fn kind_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Integer(_) => "integer",
        Json::Float(_) => "number",
        Json::Text(_) => "string",
        Json::List(_) => "array",
        Json::Map(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::super::json::parse;
    use super::{CHECKPOINT, COPY, NEW_PLAN, RESET, Shape, first_problem, is_uuid};

    const PLAN: &str = r#""plan_id": "00000000-0000-4000-8000-000000000000""#;

    #[track_caller]
    fn check(shape: &Shape, body: &str, expected: Option<&str>) {
        let body = body.replace("PLAN", PLAN);
        let problem = parse(body.as_bytes()).map(|body| first_problem(&body, shape)).unwrap();
        let expected = expected.map(|text| match text.strip_prefix("@ ") {
            Some(rest) => format!("Invalid input for field/attribute {rest}"),
            None => text.to_owned(),
        });
        assert_eq!(problem, expected, "{body}");
    }

    /// Rows I01 to I59 of the facts.
    #[test]
    fn a_checkpoint_body_is_judged_in_karbors_words() {
        for body in [
            r#"{"checkpoint": {PLAN}}"#,
            r#"{"checkpoint": {PLAN, "extra-info": null}}"#,
            r#"{"checkpoint": {PLAN, "extra-info": {"a": "", "b": 1, "c": true, "A-_:.# 9": "x", "n\n": "x"}}}"#,
            r#"{"checkpoint": {"extra-info": 5, PLAN, "extra-info": {}}}"#,
        ] {
            check(&CHECKPOINT, body, None);
        }
        for (body, problem) in [
            ("[]", "[] is not of type 'object'"),
            ("null", "None is not of type 'object'"),
            ("{}", "'checkpoint' is a required property"),
            (r#"{"y": 4}"#, "'checkpoint' is a required property"),
            (
                r#"{"checkpoint": {PLAN}, "x": 1}"#,
                "Additional properties are not allowed ('x' was unexpected)",
            ),
            (r#"{"checkpoint": null}"#, "@ checkpoint. Value: None. None is not of type 'object'"),
            (r#"{"checkpoint": {}}"#, "@ checkpoint. Value: {}. 'plan_id' is a required property"),
            (
                r#"{"checkpoint": {"x": 5}, "y": 4}"#,
                "@ checkpoint. Value: {'x': 5}. 'plan_id' is a required property",
            ),
            (r#"{"checkpoint": {"plan_id": "zz"}}"#, "@ plan_id. Value: zz. 'zz' is not a 'uuid'"),
            (r#"{"checkpoint": {"plan_id": 5}}"#, "@ plan_id. Value: 5. 5 is not of type 'string'"),
            (
                r#"{"checkpoint": {PLAN, "extra-info": "x"}}"#,
                "@ extra-info. Value: x. 'x' is not of type 'object', 'null'",
            ),
            (
                r#"{"checkpoint": {PLAN, "extra-info": {"a/": "x", "b": null}}}"#,
                "@ b. Value: None. None is not of type 'boolean', 'string', 'integer'",
            ),
            (
                r#"{"checkpoint": {PLAN, "extra-info": {"b/": "x", "a/": "y"}}}"#,
                "@ extra-info. Value: {'b/': 'x', 'a/': 'y'}. 'a/', 'b/' do not match any of the regexes: \
                 '^[a-zA-Z0-9-_:.# ]{1,255}$'",
            ),
            (
                r#"{"checkpoint": {PLAN, "foo": 1, "bar": 2}}"#,
                "@ checkpoint. Value: {'plan_id': '00000000-0000-4000-8000-000000000000', 'foo': 1, 'bar': 2}. \
                 Additional properties are not allowed ('bar', 'foo' were unexpected)",
            ),
        ] {
            check(&CHECKPOINT, body, Some(problem));
        }
    }

    #[test]
    fn the_other_bodies_are_judged_in_karbors_words() {
        check(&RESET, r#"{"os-resetState": {"state": "error"}}"#, None);
        check(
            &RESET,
            r#"{"os-resetState": {"state": "bad"}}"#,
            Some("@ state. Value: bad. 'bad' is not one of ['available', 'error']"),
        );
        check(&COPY, r#"{"copy": {PLAN, "parameters": {"OS::Glance::Image": {"a": "b"}}}}"#, None);
        check(
            &COPY,
            r#"{"copy": {PLAN, "parameters": {"a": "b"}}}"#,
            Some("@ a. Value: b. 'b' is not of type 'object', 'null'"),
        );
        check(
            &NEW_PLAN,
            r#"{"plan": {"provider_id": "x"}}"#,
            Some("@ provider_id. Value: x. 'x' is not a 'uuid'"),
        );
        check(
            &NEW_PLAN,
            r#"{"plan": {"resources": [{}, 5]}}"#,
            Some("@ 1. Value: 5. 5 is not of type 'object'"),
        );
    }

    #[test]
    fn knows_what_karbor_takes_for_a_uuid() {
        let id = "6f1ad2a4-4f0c-4f2b-9a55-0d6c4d9f0001";
        for text in
            [id, &id.to_uppercase(), &id.replace('-', ""), &format!("{{{id}}}"), &format!("urn:uuid:{id}")]
        {
            assert!(is_uuid(text), "{text}");
        }
        for text in ["", "zzz", &id[1..], &format!(" {id}"), &format!("0{id}")] {
            assert!(!is_uuid(text), "{text}");
        }
    }
}
