//! Settings in environment variables: `KARBOR_ADMISSION_SERVER__LISTEN` for `server.listen`.
//!
//! The only reader of the environment. Leaves judging the values to `shape`.

use std::collections::BTreeSet;

use figment::value::{Dict, Value};

use super::hint::fold;
use super::kind::Kind;
use super::problem::{Origin, Problem};
use super::schema::{Placeholder, Setting, below, settings};
use super::settings::Layer;
use super::written::{KeyPath, NotATable};
use crate::policy::Rule;

/// What the names of our variables begin with.
pub const PREFIX: &str = "KARBOR_ADMISSION_";

/// Names of the build's own variables, which cargo also sets for what it runs.
const BUILD: [&str; 2] = ["COMMIT", "RUSTC"];

/// The variables of this process whose names begin with [`PREFIX`].
#[must_use]
pub fn variables() -> Vec<(String, String)> {
    // Not `vars`, which panics on text that is not UTF-8.
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with(PREFIX))
        .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
        .collect()
}

/// The layer of these variables; names not ours are left alone. The layers below it tell which names of tenants,
/// groups and keys there are.
pub(super) fn layer(
    variables: impl Iterator<Item = (String, String)>,
    earlier: &[Layer],
) -> (Layer, Vec<Problem>) {
    let mut ours: Vec<(String, String)> = variables
        .filter(|(name, _)| name.strip_prefix(PREFIX).is_some_and(|rest| !is_foreign(rest)))
        .collect();
    // Tables before what stands in them, and the same outcome whatever the order.
    ours.sort();
    let mut layer = Layer::empty(Origin::Default);
    let mut problems = Vec::new();
    for (name, text) in ours {
        if let Err(problem) = add(&mut layer, earlier, &name, &text) {
            problems.push(problem);
        }
    }
    (layer, problems)
}

/// Kubernetes sets `…_SERVICE_HOST` and `…_PORT…` for a service of our name; cargo sets the build's.
fn is_foreign(rest: &str) -> bool {
    let service =
        rest.strip_prefix("SERVICE_").is_some_and(|rest| rest == "HOST" || rest.starts_with("PORT"));
    BUILD.contains(&rest)
        || (!rest.contains("__") && (service || rest == "PORT" || rest.starts_with("PORT_")))
}

fn add(layer: &mut Layer, earlier: &[Layer], name: &str, text: &str) -> Result<(), Problem> {
    let origin = Origin::Variable(name.into());
    let (path, setting) = resolve(name, earlier, &origin)?;
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Err(Problem::at(origin, &path, "not UTF-8"));
    }
    let is_secret = setting.is_some_and(|setting| matches!(setting.kind, Kind::Secret));
    if !text.is_ascii() && text.contains('\\') && !is_secret {
        // figment counts characters where it means bytes: it would lose some, or panic.
        let hint = "set it in a file, or leave one of the two out".to_owned();
        let wrong = Problem::at(origin, &path, "cannot hold both a backslash and letters beyond ASCII");
        return Err(wrong.hint(Some(hint)));
    }
    if path.find(&layer.values).is_some() {
        let text = format!("also set by {}", layer.origin(&path, None));
        return Err(Problem::at(origin, &path, text));
    }
    // Not a letter of a password may be taken for syntax.
    let value = if is_secret { Value::from(text) } else { read(text, setting) };
    layer.insert(&path, value, origin);
    Ok(())
}

/// The path that a variable names, and its setting where there is one.
fn resolve(
    name: &str,
    earlier: &[Layer],
    origin: &Origin,
) -> Result<(KeyPath, Option<&'static Setting>), Problem> {
    let rest = name.strip_prefix(PREFIX).unwrap_or_default();
    if let Some(setting) = settings().find(|setting| fold(&setting.key.replace('.', "_")) == fold(rest)) {
        let spelled = setting.key.replace('.', "__").replace('-', "_").to_ascii_uppercase();
        let path = KeyPath::default().child(&lowered(rest));
        let problem = Problem::at(origin.clone(), &path, "no such setting");
        return Err(problem.hint(Some(format!("two underscores between levels: {PREFIX}{spelled}"))));
    }
    let mut path = KeyPath::default();
    let mut settings: Vec<&'static Setting> = settings().collect();
    for (depth, segment) in rest.split("__").enumerate() {
        let mut candidates: Vec<&str> = settings.iter().filter_map(|setting| setting.name(depth)).collect();
        candidates.dedup();
        let rules = candidates.contains(&"RULE");
        let open = !rules && candidates.iter().any(|own| Placeholder::of(own).is_some());
        if rules {
            candidates = Rule::ALL.iter().map(|rule| rule.code()).collect();
        } else if open {
            candidates = table_names(&path, earlier);
        }
        let same: Vec<&str> = match candidates.iter().find(|own| **own == segment) {
            Some(own) => vec![own],
            None => candidates.into_iter().filter(|own| fold(own) == fold(segment)).collect(),
        };
        let own = match same.as_slice() {
            [own] => (*own).to_owned(),
            [] if open && segment.contains('_') => {
                let hint = format!("name it in a file, or set the whole of `{path}` as {{ … }}");
                let path = path.child(&lowered(segment));
                return Err(Problem::at(origin.clone(), &path, UNCLEAR).hint(Some(hint)));
            }
            [] => lowered(segment),
            _ => {
                let hint = format!("one of {}", same.join(", "));
                let path = path.child(segment);
                return Err(Problem::at(origin.clone(), &path, "may be more than one name").hint(Some(hint)));
            }
        };
        settings = below(&settings, depth, &own);
        path = path.child(&own);
    }
    let depth = path.names().len();
    Ok((path, settings.first().copied().filter(|setting| setting.depth() == depth)))
}

const UNCLEAR: &str = "no file has this name, and `_` may stand for `-`";

/// The names in the table at `path` once the layers are merged, in order.
fn table_names<'l>(path: &KeyPath, layers: &'l [Layer]) -> Vec<&'l str> {
    let mut names = BTreeSet::new();
    for layer in layers {
        match path.find_table(&layer.values) {
            Ok(Some(table)) => names.extend(table.keys().map(String::as_str)),
            Ok(None) => {}
            // It replaces the tables of before.
            Err(NotATable) => names.clear(),
        }
    }
    names.into_iter().collect()
}

/// A name that no file has: variables are written in capitals, most names are not.
fn lowered(segment: &str) -> String {
    if segment.contains(|char: char| char.is_ascii_lowercase()) {
        segment.to_owned()
    } else {
        segment.to_ascii_lowercase()
    }
}

/// figment's reading of a variable, but a text stays a text.
fn read(text: &str, setting: Option<&'static Setting>) -> Value {
    let Ok(value) = text.parse::<Value>();
    match (plain(value), setting) {
        (value @ Value::String(..), _) => value,
        (value @ Value::Array(..), Some(setting)) if setting.kind.is_list() => value,
        (_, Some(setting)) if setting.kind.is_text() => Value::from(text.trim()),
        (value, _) => value,
    }
}

/// `'c'` is a string like any other.
fn plain(value: Value) -> Value {
    match value {
        Value::Char(_, char) => Value::from(char.to_string()),
        Value::Array(_, items) => Value::from(items.into_iter().map(plain).collect::<Vec<_>>()),
        Value::Dict(_, table) => {
            Value::from(table.into_iter().map(|(name, value)| (name, plain(value))).collect::<Dict>())
        }
        value => value,
    }
}
