//! Holds one layer against the table of settings: unknown keys, wrong values, wrong names.
//!
//! Each layer by itself, so that a wrong value is found also where a later layer replaces it. Leaves what
//! depends on several settings to `compile`.

use std::borrow::Cow;
use std::collections::HashMap;

use figment::value::{Dict, Value};

use super::hint;
use super::kind::Kind;
use super::problem::{Found, Origin, Problem, Wrong};
use super::schema::{Placeholder, Setting, are_of_any_name, below, settings};
use super::settings::Layer;
use super::written::{KeyPath, found, shown};

/// Everything that is wrong with the layer itself.
pub(super) fn problems(layer: &Layer) -> Vec<Problem> {
    let mut walk = Walk { layer, problems: Vec::new() };
    let all: Vec<&'static Setting> = settings().collect();
    walk.table(&layer.values, &KeyPath::default(), &all);
    walk.problems
}

struct Walk<'l> {
    layer: &'l Layer,
    problems: Vec<Problem>,
}

impl Walk<'_> {
    fn table(&mut self, table: &Dict, path: &KeyPath, settings: &[&'static Setting]) {
        let depth = path.names().len();
        let of_any = are_of_any_name(settings, depth).then(|| below(settings, depth, ""));
        for (name, value) in table {
            let path = path.child(name);
            let within =
                of_any.as_deref().map_or_else(|| Cow::Owned(below(settings, depth, name)), Cow::Borrowed);
            let Some(first) = within.first() else {
                self.unknown(&path, value, settings, depth);
                continue;
            };
            if !self.name(&path, value, first.name(depth).unwrap_or_default(), name) {
                continue;
            }
            match value {
                _ if first.depth() == depth + 1 => self.setting(&path, value, first.kind),
                Value::Dict(_, table) => self.table(table, &path, &within),
                _ => self.not_a_table(&path, value),
            }
        }
    }

    /// Whether `name` may stand in the place of `own`.
    fn name(&mut self, path: &KeyPath, value: &Value, own: &str, name: &str) -> bool {
        let Some(wrong) = Placeholder::of(own).and_then(|placeholder| placeholder.judge(name).err()) else {
            return true;
        };
        let hint = match (own, value) {
            ("RULE", Value::Dict(..)) => hint::for_unknown(path, value, &[]),
            _ => wrong.hint,
        };
        let problem =
            Problem::at(self.layer.origin(path, None), path, format!("expected {}", wrong.expected));
        self.problems.push(problem.hint(hint));
        false
    }

    fn setting(&mut self, path: &KeyPath, value: &Value, kind: Kind) {
        if let Err(wrong) = kind.judge(value) {
            let shown = if matches!(kind, Kind::Secret) { Found::Nothing } else { found(value) };
            self.wrong(path, None, shown, wrong);
            return;
        }
        let Value::Array(_, items) = value else { return };
        if !kind.is_list() {
            return;
        }
        let mut seen = HashMap::new();
        for (index, item) in items.iter().enumerate() {
            let shown = Found::Item(shown(item).into());
            if let Err(wrong) = kind.judge_item(item) {
                self.wrong(path, Some(index), shown, wrong);
            } else if let Some(first) = seen.insert(item.as_str(), index) {
                let wrong = Wrong::expected("each item only once");
                let hint = format!("item {} of the list is the same", first + 1);
                self.wrong(path, Some(index), shown, wrong.with_hint(hint));
            }
        }
    }

    fn wrong(&mut self, path: &KeyPath, index: Option<usize>, found: Found, wrong: Wrong) {
        let origin = self.layer.origin(path, index);
        let problem = Problem::at(origin, path, format!("expected {}", wrong.expected));
        self.problems.push(problem.found(found).hint(wrong.hint));
    }

    fn unknown(&mut self, path: &KeyPath, value: &Value, settings: &[&'static Setting], depth: usize) {
        let mut siblings: Vec<&'static str> =
            settings.iter().filter_map(|setting| setting.name(depth)).collect();
        siblings.dedup();
        let origin = self.layer.origin(path, None);
        let mut hint = hint::for_unknown(path, value, &siblings);
        if depth == 0 && matches!(origin, Origin::Variable(_)) && !matches!(value, Value::Dict(..)) {
            hint = Some(hint::for_variable(hint));
        }
        self.problems.push(Problem::at(origin, path, "no such setting").hint(hint));
    }

    fn not_a_table(&mut self, path: &KeyPath, value: &Value) {
        let problem = Problem::at(self.layer.origin(path, None), path, "expected a table");
        self.problems.push(problem.found(found(value)).hint(Some(format!("`[{path}]`"))));
    }
}
