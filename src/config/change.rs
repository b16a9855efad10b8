//! What a later configuration changes: what a running proxy cannot take, what differs in words, and which files
//! it all came from.
//!
//! Leaves the policy to `difference`.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};

use figment::value::Value;

use super::difference::{self, listed};
use super::kind::Kind;
use super::problem::Problem;
use super::schema::{Placeholder, Setting, settings};
use super::settings::Settings;
use super::written::{KeyPath, as_toml, found, shown};
use super::{Loaded, files};

/// The settings of one place each, apart from those that the policy's own words cover.
fn fixed() -> impl Iterator<Item = (&'static Setting, KeyPath)> {
    let covered = |key: &str| {
        let mut names = key.split('.');
        key == "policy.bridged_keys"
            || key == "policy.enforcement"
            || names.clone().next().is_some_and(|first| ["limits", "quotas"].contains(&first))
            || names.any(|name| Placeholder::of(name).is_some())
    };
    settings().filter(move |setting| !covered(setting.key)).map(|setting| (setting, KeyPath::of(setting.key)))
}

fn changed<'l>(
    running: &'l Loaded,
    wanted: &'l Loaded,
    path: &KeyPath,
) -> Option<(Option<&'l Value>, Option<&'l Value>)> {
    let (before, after) = (path.find(running.settings.values()), path.find(wanted.settings.values()));
    (before != after).then_some((before, after))
}

/// The settings of `wanted` that only a start takes, and that are others in `running`.
pub(super) fn refused(running: &Loaded, wanted: &Loaded) -> Vec<Problem> {
    let refused = |(setting, path): (&Setting, KeyPath)| {
        let (_, after) = changed(running, wanted, &path)?;
        let problem = Problem::at(wanted.settings.origin(&path, None), &path, "a change needs a restart");
        Some(match after {
            Some(value) if !matches!(setting.kind, Kind::Secret) => problem.found(found(value)),
            _ => problem,
        })
    };
    fixed().filter(|(setting, _)| setting.at_start).filter_map(refused).collect()
}

/// What `wanted` has over `running`, in words; nothing for the same.
pub(super) fn words(running: &Loaded, wanted: &Loaded) -> Vec<String> {
    let mut words = difference::words(&running.config.policy, &wanted.config.policy);
    words.extend(fixed().filter_map(|(setting, path)| {
        let (before, after) = changed(running, wanted, &path)?;
        Some(format!("{}: {}", setting.key, in_words(setting.kind, before, after)))
    }));
    words.extend(rewritten(running, wanted));
    // Without a change of any setting, `auto` may amount to something else.
    let (before, after) = (&running.config.memory, &wanted.config.memory);
    if before.limit != after.limit {
        words.push(format!("memory: {before} → {after}"));
    }
    words
}

fn in_words(kind: Kind, before: Option<&Value>, after: Option<&Value>) -> String {
    if let (Some(Value::Array(_, before)), Some(Value::Array(_, after))) = (before, after) {
        let text = |items: &[Value]| items.iter().map(as_toml).collect::<Vec<_>>();
        let (before, after) = (text(before), text(after));
        let changes = listed(before.iter().map(String::as_str), after.iter().map(String::as_str));
        return changes.unwrap_or_else(|| "in another order".to_owned());
    }
    let said = |value: Option<&Value>| match (kind, value) {
        (_, None) => "nothing".to_owned(),
        (Kind::Secret, Some(_)) => "***".to_owned(),
        (_, Some(value)) => shown(value),
    };
    format!("{} → {}", said(before), said(after))
}

/// The files a configuration comes from, there or not: its own, the folder of drop-ins and what is in it, and
/// every file that a setting names and a reload may take anew.
pub(super) fn files(path: Option<&Path>, loaded: &Loaded) -> Vec<PathBuf> {
    path.map(files::sources).unwrap_or_default().into_iter().chain(named(&loaded.settings)).collect()
}

/// The files that settings name and a reload may take anew.
pub(super) fn named(settings: &Settings) -> Vec<PathBuf> {
    named_files(settings).map(|(_, file)| file).collect()
}

/// What stands in the files that settings name, as one number each: certificates are renewed under one name.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents(BTreeMap<PathBuf, u64>);

impl Contents {
    /// As it stands now. What cannot be read is left out.
    pub(super) fn of(settings: &Settings) -> Self {
        let content = |(_, file): (_, PathBuf)| {
            let mut hasher = DefaultHasher::new();
            hasher.write(&fs::read(&file).ok()?);
            Some((file, hasher.finish()))
        };
        Self(named_files(settings).filter_map(content).collect())
    }
}

/// The files that both name, and that have another content in `wanted`.
fn rewritten(running: &Loaded, wanted: &Loaded) -> impl Iterator<Item = String> {
    let is_other = |file: &PathBuf| {
        running.contents.0.get(file).is_some_and(|before| wanted.contents.0.get(file) != Some(before))
    };
    named_files(&wanted.settings)
        .filter(move |(_, file)| is_other(file))
        .map(|(setting, file)| format!("{}: another content in {}", setting.key, file.display()))
}

/// The same, each with its setting.
fn named_files(settings: &Settings) -> impl Iterator<Item = (&'static Setting, PathBuf)> {
    let named = fixed().filter(|(setting, _)| setting.kind.names_files() && !setting.at_start);
    named.flat_map(|(setting, path)| {
        let texts = match path.find(settings.values()) {
            Some(Value::Array(_, items)) => items.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(_, text)) => vec![text.as_str()],
            _ => Vec::new(),
        };
        texts.into_iter().map(|text| (setting, PathBuf::from(text))).collect::<Vec<_>>()
    })
}
