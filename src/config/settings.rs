//! What the operator asked for: each source of settings as a layer, and all of them merged.
//!
//! figment merges the values. Which layer a value came from and its line are known here, because figment's
//! own reader of TOML drops the line. Leaves what it means to `compile`.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use toml_edit::{ImDocument, Item, TableLike};

use super::kind;
use super::problem::{Found, Origin, Problem, Wrong};
use super::written::{KeyPath, found};

/// The merged settings.
#[derive(Clone)]
pub(super) struct Settings {
    values: Dict,
    layers: Vec<Layer>,
}

/// Without the values: a password may be among them.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").finish_non_exhaustive()
    }
}

impl Settings {
    /// Merges the layers, the later over the earlier.
    pub(super) fn merge(layers: Vec<Layer>) -> Self {
        let figment = layers.iter().fold(Figment::new(), |figment, layer| figment.merge(layer));
        // Our layers are values already, so reading them cannot fail.
        let mut profiles: Map<Profile, Dict> = figment.data().unwrap_or_default();
        Self { values: profiles.remove(&Profile::Default).unwrap_or_default(), layers }
    }

    /// Everything, merged.
    pub(super) fn values(&self) -> &Dict {
        &self.values
    }

    /// Where the value at `path`, or its item of that index, came from: the last layer that has it.
    pub(super) fn origin(&self, path: &KeyPath, index: Option<usize>) -> Origin {
        let layer = self.layers.iter().rev().find(|layer| path.find(&layer.values).is_some());
        layer.map_or(Origin::Default, |layer| layer.origin(path, index))
    }

    /// A problem with the setting of that key, showing what stands there.
    pub(super) fn problem(&self, key: &str, text: impl Into<Box<str>>) -> Problem {
        let path = KeyPath::of(key);
        let shown = path.find(&self.values).map_or(Found::Nothing, found);
        Problem::at(self.origin(&path, None), &path, text).found(shown)
    }

    /// What `read` makes of the value at `path`; none if there is none.
    pub(super) fn optional<'s, T>(
        &'s self,
        path: &KeyPath,
        read: impl FnOnce(&'s Value) -> Result<T, Wrong>,
    ) -> Result<Option<T>, Problem> {
        let Some(value) = path.find(&self.values) else { return Ok(None) };
        read(value).map(Some).map_err(|wrong| {
            let problem = Problem::at(self.origin(path, None), path, "expected another value");
            problem.found(found(value)).hint(wrong.hint)
        })
    }

    /// What `read` makes of the value of the setting of that key, which has a default.
    pub(super) fn read<'s, T>(
        &'s self,
        key: &str,
        read: impl FnOnce(&'s Value) -> Result<T, Wrong>,
    ) -> Result<T, Problem> {
        let path = KeyPath::of(key);
        self.optional(&path, read)?.ok_or_else(|| Problem::at(Origin::Default, &path, "expected a value"))
    }

    /// As `read`, of a text.
    pub(super) fn text<'s, T>(
        &'s self,
        key: &str,
        read: impl FnOnce(&'s str) -> Result<T, Wrong>,
    ) -> Result<T, Problem> {
        self.read(key, |value| read(kind::text(value)?))
    }

    /// As `read`, of a list, item by item.
    pub(super) fn list<'s, T>(
        &'s self,
        key: &str,
        read: impl Fn(&'s str) -> Result<T, Wrong>,
    ) -> Result<Vec<T>, Problem> {
        self.read(key, |value| kind::list(value, read))
    }

    /// The table at `path`; empty if there is none.
    pub(super) fn table(&self, path: &KeyPath) -> impl Iterator<Item = (&str, &Value)> {
        let table = match path.find(&self.values) {
            Some(Value::Dict(_, table)) => Some(table),
            _ => None,
        };
        table.into_iter().flatten().map(|(name, value)| (name.as_str(), value))
    }
}

/// One source of settings.
#[derive(Clone)]
pub(super) struct Layer {
    /// What stands in it.
    pub(super) values: Dict,
    /// What is known of places further in falls back to what is known of the table around them.
    whole: Origin,
    marks: HashMap<String, Origin>,
}

impl Layer {
    /// A layer without a value.
    pub(super) fn empty(whole: Origin) -> Self {
        Self { values: Dict::new(), whole, marks: HashMap::new() }
    }

    /// The layer of a TOML file. A syntax error is a problem with line and column.
    pub(super) fn from_toml(name: &str, text: &str) -> Result<Self, Problem> {
        let lines = Lines::of(name, text);
        let document = ImDocument::parse(text).map_err(|error| {
            let origin = lines.origin(error.span(), true);
            let hint = if error.message().contains("duplicate key") {
                "in one file each table and each of its keys stands once; a drop-in may set it again"
            } else {
                "a line is `KEY = VALUE` or `[TABLE]`; texts stand in quotes, lists in brackets"
            };
            let text = format!("not TOML: {}", error.message().trim().replace('\n', ", "));
            Problem::whole(origin, text).hint(Some(hint.to_owned()))
        })?;
        let mut layer = Self::empty(lines.origin(None, false));
        layer.values = layer.read_table(document.as_table(), &KeyPath::default(), &lines);
        Ok(layer)
    }

    /// The layer of the defaults.
    pub(super) fn shipped(text: &str) -> Result<Self, Problem> {
        Ok(Self { values: Self::from_toml("default", text)?.values, ..Self::empty(Origin::Default) })
    }

    /// Where the value at `path` stands, or its item of that index.
    pub(super) fn origin(&self, path: &KeyPath, index: Option<usize>) -> Origin {
        if let Some(origin) = index.and_then(|index| self.marks.get(&item_mark(path, index))) {
            return origin.clone();
        }
        let mut path = Some(path.clone());
        while let Some(at) = path {
            if let Some(origin) = self.marks.get(&at.to_string()) {
                return origin.clone();
            }
            path = at.parent();
        }
        self.whole.clone()
    }

    /// Remembers where the value at `path` stands.
    pub(super) fn mark(&mut self, path: &KeyPath, origin: Origin) {
        self.marks.insert(path.to_string(), origin);
    }

    fn read_table(&mut self, table: &dyn TableLike, path: &KeyPath, lines: &Lines<'_>) -> Dict {
        let mut values = Dict::new();
        for (name, item) in table.iter() {
            let path = path.child(name);
            let span = table.get_key_value(name).and_then(|(key, _)| key.span()).or_else(|| item.span());
            self.mark(&path, lines.origin(span, false));
            if let Some(value) = self.read_item(item, &path, lines) {
                values.insert(name.to_owned(), value);
            }
        }
        values
    }

    fn read_item(&mut self, item: &Item, path: &KeyPath, lines: &Lines<'_>) -> Option<Value> {
        match item {
            Item::None => None,
            Item::Value(value) => Some(self.read_value(value, path, lines)),
            Item::Table(table) => Some(Value::from(self.read_table(table, path, lines))),
            Item::ArrayOfTables(tables) => {
                let tables: Vec<Dict> =
                    tables.iter().map(|table| self.read_table(table, path, lines)).collect();
                Some(Value::from(tables))
            }
        }
    }

    fn read_value(&mut self, value: &toml_edit::Value, path: &KeyPath, lines: &Lines<'_>) -> Value {
        match value {
            toml_edit::Value::String(text) => Value::from(text.value().as_str()),
            toml_edit::Value::Integer(number) => Value::from(*number.value()),
            toml_edit::Value::Float(number) => Value::from(*number.value()),
            toml_edit::Value::Boolean(flag) => Value::from(*flag.value()),
            // A date may stand without quotes.
            toml_edit::Value::Datetime(date) => Value::from(date.value().to_string()),
            toml_edit::Value::InlineTable(table) => Value::from(self.read_table(table, path, lines)),
            toml_edit::Value::Array(items) => {
                let mut values = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    self.marks.insert(item_mark(path, index), lines.origin(item.span(), false));
                    values.push(self.read_value(item, path, lines));
                }
                Value::from(values)
            }
        }
    }
}

fn item_mark(path: &KeyPath, index: usize) -> String {
    format!("{path}[{index}]")
}

impl Provider for &Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.whole.to_string())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

/// The line starts of a file.
struct Lines<'a> {
    name: &'a str,
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(name: &'a str, text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { name, text, starts }
    }

    fn origin(&self, span: Option<Range<usize>>, with_column: bool) -> Origin {
        let Some(span) = span else { return Origin::file(self.name) };
        let line = self.starts.partition_point(|&start| start <= span.start);
        let start = line.checked_sub(1).and_then(|line| self.starts.get(line)).copied().unwrap_or(0);
        let before = self.text.get(start..span.start).unwrap_or_default();
        Origin::place(self.name, line, with_column.then(|| before.chars().count() + 1))
    }
}
