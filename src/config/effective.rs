//! The effective configuration as a TOML file that says where each value came from.

use std::rc::Rc;

use figment::value::{Dict, Value};

use super::Config;
use super::kind::Kind;
use super::memory;
use super::schema::{self, Setting, are_of_any_name, below};
use super::settings::Settings;
use super::written::{KeyPath, as_toml, name_as_toml};

/// The longest list, in bytes, that stands on one line.
const LINE_BYTES: usize = 100;

/// The settings as TOML that means the same when loaded, under the revision of the policy in them.
pub(super) fn write(settings: &Settings, config: &Config) -> String {
    let mut text = format!("# policy revision {}\n# memory: {}\n", config.policy.revision, config.memory);
    let all: Vec<&'static Setting> = schema::settings().collect();
    let mut writer = Writer { settings, config, text: &mut text };
    writer.table(settings.values(), &KeyPath::default(), false, &all);
    text
}

struct Writer<'w> {
    settings: &'w Settings,
    config: &'w Config,
    text: &'w mut String,
}

/// A value under a name, and the settings that may stand there or within.
struct Child<'v> {
    path: KeyPath,
    value: &'v Value,
    within: Rc<[&'static Setting]>,
}

impl Writer<'_> {
    /// `among` are the settings within, and `named` says that the operator chose the table's name.
    fn table(&mut self, values: &Dict, path: &KeyPath, named: bool, among: &[&'static Setting]) {
        let depth = path.names().len();
        let of_any: Option<Rc<[_]>> = are_of_any_name(among, depth).then(|| among.into());
        let child = |(name, value): (&String, _)| {
            let within = of_any.clone().unwrap_or_else(|| below(among, depth, name).into());
            Child { path: path.child(name), value, within }
        };
        let mut children: Vec<Child<'_>> = values.iter().map(child).collect();
        // In the order of the documentation; names that operators chose stay in order of name.
        children.sort_by_key(|child| rank(among, &child.within));
        let (tables, plain): (Vec<_>, Vec<_>) =
            children.into_iter().partition(|child| matches!(child.value, Value::Dict(..)));
        if named || (!plain.is_empty() && depth > 0) {
            // A name alone means something too: a recognised key, a tenant with a label of its own.
            let origin =
                if named { format!("  # {}", self.settings.origin(path, None)) } else { String::new() };
            self.text.push_str(&format!("\n[{path}]{origin}\n"));
        }
        for child in &plain {
            self.plain(child);
        }
        for Child { path, value, within } in tables {
            if let Value::Dict(_, values) = value {
                let named = within.first().is_some_and(|setting| setting.is_of_any_name(depth));
                self.table(values, &path, named, &within);
            }
        }
    }

    fn plain(&mut self, Child { path, value, within }: &Child<'_>) {
        let name = path.names().last().map(|name| name_as_toml(name)).unwrap_or_default();
        let is_secret = within.first().is_some_and(|setting| matches!(setting.kind, Kind::Secret));
        let value = if is_secret { "\"***\"".to_owned() } else { wrapped(value) };
        let found = memory::fitted(self.settings, self.config, &path.to_string());
        let found = found.map(|found| format!(", found to be {found}")).unwrap_or_default();
        let origin = self.settings.origin(path, None);
        self.text.push_str(&format!("{name} = {value}  # {origin}{found}\n"));
    }
}

/// Where the first of `within` stands in `among`.
fn rank(among: &[&'static Setting], within: &[&'static Setting]) -> usize {
    let of = |first: &&Setting| among.iter().position(|own| std::ptr::eq(*own, *first));
    within.first().and_then(of).unwrap_or(usize::MAX)
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
