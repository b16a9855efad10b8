//! The effective configuration as a TOML file that says where each value came from.

use figment::value::{Dict, Value};

use super::Config;
use super::kind::Kind;
use super::memory;
use super::schema::{Placeholder, below, settings};
use super::settings::Settings;
use super::written::{KeyPath, as_toml};

/// The longest list, in bytes, that stands on one line.
const LINE_BYTES: usize = 100;

/// The settings as TOML that means the same when loaded, under the revision of the policy in them.
pub(super) fn write(settings: &Settings, config: &Config) -> String {
    let mut text = format!("# policy revision {}\n# memory: {}\n", config.policy.revision, config.memory);
    table((settings, config), settings.values(), &KeyPath::default(), &mut text);
    text
}

fn table(all: (&Settings, &Config), values: &Dict, path: &KeyPath, text: &mut String) {
    let (settings, config) = all;
    let mut children: Vec<(usize, KeyPath, &Value)> = Vec::new();
    for (name, value) in values {
        let path = path.child(name);
        children.push((rank(&path), path, value));
    }
    // In the order of the documentation; names that operators chose stay in order of name.
    children.sort_by_key(|(rank, ..)| *rank);
    let (tables, plain): (Vec<_>, Vec<_>) =
        children.into_iter().partition(|(_, _, value)| matches!(value, Value::Dict(..)));
    let named = is_named(path);
    if named || (!plain.is_empty() && !path.names().is_empty()) {
        text.push_str(&format!("\n[{path}]"));
        // A name alone means something too: a recognised key, a tenant with a label of its own.
        let origin = if named { format!("  # {}", settings.origin(path, None)) } else { String::new() };
        text.push_str(&format!("{origin}\n"));
    }
    for (_, path, value) in plain {
        let name = path.names().last().map(|name| super::written::name_as_toml(name)).unwrap_or_default();
        let value = if is_secret(&path) { "\"***\"".to_owned() } else { wrapped(value) };
        let found = memory::fitted(settings, config, &path.to_string());
        let found = found.map(|found| format!(", found to be {found}")).unwrap_or_default();
        text.push_str(&format!("{name} = {value}  # {}{found}\n", settings.origin(&path, None)));
    }
    for (_, path, value) in tables {
        if let Value::Dict(_, values) = value {
            table(all, values, &path, text);
        }
    }
}

fn is_secret(path: &KeyPath) -> bool {
    let key = path.to_string();
    settings().any(|setting| setting.key == key && matches!(setting.kind, Kind::Secret))
}

/// Where a key stands among the settings.
fn rank(path: &KeyPath) -> usize {
    let fits = |key: &str| {
        let mut own = key.split('.');
        path.names()
            .iter()
            .all(|name| own.next().is_some_and(|own| own == name || Placeholder::of(own).is_some()))
    };
    settings().position(|setting| fits(setting.key)).unwrap_or(usize::MAX)
}

/// Whether the operator chose the last name.
fn is_named(path: &KeyPath) -> bool {
    let Some(depth) = path.names().len().checked_sub(1) else { return false };
    let all: Vec<_> = settings().collect();
    let fitting =
        path.names().iter().enumerate().fold(all, |among, (depth, name)| below(&among, depth, name));
    fitting.first().and_then(|setting| setting.name(depth)).is_some_and(|own| Placeholder::of(own).is_some())
}

fn wrapped(value: &Value) -> String {
    let line = as_toml(value);
    match value {
        Value::Array(_, items) if line.len() > LINE_BYTES => {
            let items: String = items.iter().map(|item| format!("    {},\n", as_toml(item))).collect();
            format!("[\n{items}]")
        }
        _ => line,
    }
}
