//! What the operator asked for: each source of settings as a layer, and all of them merged.
//!
//! figment merges the values. Which layer a value came from and its line are known here, because figment's
//! own reader of TOML drops the line. Leaves what it means to `compile`.

use std::cell::Cell;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use toml_edit::{ImDocument, Item, TableLike};

use super::kind;
use super::places::Place;
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
    pub(super) fn merge(mut layers: Vec<Layer>) -> Self {
        let contributions = layers.iter_mut().map(Contribution::of);
        let figment = contributions.fold(Figment::new(), |figment, layer| figment.merge(layer));
        // Our layers are values already, so reading them cannot fail.
        let mut profiles: Map<Profile, Dict> = figment.data().unwrap_or_default();
        Self { values: profiles.remove(&Profile::Default).unwrap_or_default(), layers }
    }

    /// The settings that are of no tenant or group.
    pub(super) fn without_names(mut self) -> Self {
        self.values.retain(|name, _| !BY_NAME.contains(&name.as_str()));
        self.layers = self.layers.into_iter().map(Layer::without_names).collect();
        self
    }

    /// Everything, merged.
    pub(super) fn values(&self) -> &Dict {
        &self.values
    }

    /// Where the value at `path`, or its item of that index, came from: the last layer that has it.
    pub(super) fn origin(&self, path: &KeyPath, index: Option<usize>) -> Origin {
        let layer = self.layers.iter().rev().find(|layer| layer.places.has(path));
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

/// The tables whose names the operator chooses, and of which there may be many.
const BY_NAME: [&str; 2] = ["groups", "tenants"];

/// One source of settings.
#[derive(Clone)]
pub(super) struct Layer {
    /// What stands in it; nothing any more once it is merged.
    pub(super) values: Dict,
    /// What is known of places further in falls back to what is known of the table around them.
    whole: Origin,
    places: Place,
    /// What the numbers of places mean where they are not lines.
    variables: Vec<Origin>,
}

impl Layer {
    /// A layer without a value.
    pub(super) fn empty(whole: Origin) -> Self {
        Self { values: Dict::new(), whole, places: Place::default(), variables: Vec::new() }
    }

    /// The layer of a TOML file. A syntax error is a problem with line and column.
    pub(super) fn from_toml(name: &str, text: &str) -> Result<Self, Problem> {
        let lines = Lines::of(name, text);
        let document = ImDocument::parse(text).map_err(|error| {
            let origin = lines.origin(error.span());
            let hint = if error.message().contains("duplicate key") {
                "in one file each table and each of its keys stands once; a drop-in may set it again"
            } else {
                "a line is `KEY = VALUE` or `[TABLE]`; texts stand in quotes, lists in brackets"
            };
            let text = format!("not TOML: {}", error.message().trim().replace('\n', ", "));
            Problem::whole(origin, text).hint(Some(hint.to_owned()))
        })?;
        let (values, places) = lines.read_table(document.as_table(), 0);
        Ok(Self { values, places, ..Self::empty(Origin::file(name)) })
    }

    /// The layer of the defaults.
    pub(super) fn shipped(text: &str) -> Result<Self, Problem> {
        let values = Self::from_toml("default", text)?.values;
        let places = Place::of_value(0, &Value::from(values.clone()));
        Ok(Self { values, places, ..Self::empty(Origin::Default) })
    }

    /// Where the value at `path` stands, or its item of that index.
    pub(super) fn origin(&self, path: &KeyPath, index: Option<usize>) -> Origin {
        let number = self.places.number(path, index) as usize;
        match (&self.whole, number.checked_sub(1)) {
            (_, None) => self.whole.clone(),
            (Origin::File { name, .. }, Some(_)) => Origin::place(name, number, None),
            (_, Some(at)) => self.variables.get(at).unwrap_or(&self.whole).clone(),
        }
    }

    /// Puts in what a variable says.
    pub(super) fn insert(&mut self, path: &KeyPath, value: Value, origin: Origin) {
        self.variables.push(origin);
        let number = u32::try_from(self.variables.len()).unwrap_or_default();
        let place = Place::of_value(number, &value);
        if insert(&mut self.values, path.names(), value) {
            self.places.insert(path.names(), place);
        }
    }

    /// The same with those settings alone that are of no tenant or group.
    pub(super) fn without_names(mut self) -> Self {
        for name in BY_NAME {
            self.values.remove(name);
            self.places.remove(name);
        }
        self
    }
}

/// Whether there was room for it: not below what is no table.
fn insert(values: &mut Dict, names: &[Rc<str>], value: Value) -> bool {
    match names {
        [] => false,
        [last] => {
            values.insert((**last).to_owned(), value);
            true
        }
        [first, rest @ ..] => {
            match values.entry((**first).to_owned()).or_insert_with(|| Value::from(Dict::new())) {
                Value::Dict(_, table) => insert(table, rest, value),
                _ => false,
            }
        }
    }
}

/// The values of a layer, on their way to be merged: figment takes them from here, so that they need not be copied.
struct Contribution {
    name: String,
    values: Cell<Dict>,
}

impl Contribution {
    fn of(layer: &mut Layer) -> Self {
        Self { name: layer.whole.to_string(), values: Cell::new(std::mem::take(&mut layer.values)) }
    }
}

impl Provider for Contribution {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.take()))
    }
}

/// A file as it is read: its name and line starts.
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

    /// The line of a place, from 1.
    fn line(&self, span: &Range<usize>) -> usize {
        self.starts.partition_point(|&start| start <= span.start)
    }

    fn number(&self, span: Option<Range<usize>>) -> u32 {
        span.and_then(|span| u32::try_from(self.line(&span)).ok()).unwrap_or_default()
    }

    fn origin(&self, span: Option<Range<usize>>) -> Origin {
        let Some(span) = span else { return Origin::file(self.name) };
        let line = self.line(&span);
        let start = line.checked_sub(1).and_then(|line| self.starts.get(line)).copied().unwrap_or(0);
        let before = self.text.get(start..span.start).unwrap_or_default();
        Origin::place(self.name, line, Some(before.chars().count() + 1))
    }

    fn read_table(&self, table: &dyn TableLike, number: u32) -> (Dict, Place) {
        let (mut values, mut places) = (Dict::new(), Vec::with_capacity(table.len()));
        for (name, item) in table.iter() {
            let span = table.get_key_value(name).and_then(|(key, _)| key.span()).or_else(|| item.span());
            if let Some((value, place)) = self.read_item(item, self.number(span)) {
                values.insert(name.to_owned(), value);
                places.push((name.into(), place));
            }
        }
        (values, Place::of_table(number, places))
    }

    fn read_item(&self, item: &Item, number: u32) -> Option<(Value, Place)> {
        match item {
            Item::None => None,
            Item::Value(value) => Some(self.read_value(value, number)),
            Item::Table(table) => {
                let (values, place) = self.read_table(table, number);
                Some((Value::from(values), place))
            }
            Item::ArrayOfTables(tables) => {
                let tables: Vec<Dict> = tables.iter().map(|table| self.read_table(table, number).0).collect();
                Some((Value::from(tables), Place::at(number)))
            }
        }
    }

    fn read_value(&self, value: &toml_edit::Value, number: u32) -> (Value, Place) {
        let value = match value {
            toml_edit::Value::String(text) => Value::from(text.value().as_str()),
            toml_edit::Value::Integer(number) => Value::from(*number.value()),
            toml_edit::Value::Float(number) => Value::from(*number.value()),
            toml_edit::Value::Boolean(flag) => Value::from(*flag.value()),
            // A date may stand without quotes.
            toml_edit::Value::Datetime(date) => Value::from(date.value().to_string()),
            toml_edit::Value::InlineTable(table) => {
                let (values, place) = self.read_table(table, number);
                return (Value::from(values), place);
            }
            toml_edit::Value::Array(items) => {
                let place = Place::of_list(number, items.iter().map(|item| self.number(item.span())));
                let values: Vec<Value> = items.iter().map(|item| self.read_value(item, number).0).collect();
                return (Value::from(values), place);
            }
        };
        (value, Place::at(number))
    }
}
