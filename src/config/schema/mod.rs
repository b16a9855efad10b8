//! Every setting there is: its key, what it may be, what it is as shipped, and what it means.
//!
//! The one table that unknown keys, values, defaults and the documentation are held against. In a key,
//! `NAME`, `ID`, `RULE`, `KEY` and `APPLICATION` stand for the name of a group, a tenant, a rule, a recognised
//! key, an application.

mod admin;
mod ledger;
mod parts;
mod policy;
mod tls;
mod traces;
mod upstream;

use std::time::Duration;

use super::kind::Kind;
use super::names;
use super::problem::Wrong;

/// One setting.
#[derive(Debug)]
pub(super) struct Setting {
    /// Its key, dotted.
    pub(super) key: &'static str,
    /// What it may be.
    pub(super) kind: Kind,
    /// What it is as shipped, as TOML. None: it inherits, or there is nothing.
    pub(super) default: Option<&'static str>,
    /// What it means, in a line.
    pub(super) doc: &'static str,
    /// Whether only a start takes it: a reload that changes it is refused.
    pub(super) at_start: bool,
}

impl Setting {
    /// The name at that depth of its key.
    pub(super) fn name(&self, depth: usize) -> Option<&'static str> {
        self.key.split('.').nth(depth)
    }

    /// Whether the name at that depth is one that the operator chooses.
    pub(super) fn is_of_any_name(&self, depth: usize) -> bool {
        self.name(depth).and_then(Placeholder::of).is_some()
    }

    /// How many names its key has.
    pub(super) fn depth(&self) -> usize {
        self.key.split('.').count()
    }
}

/// The recognised keys as shipped; naming any in a file replaces them.
pub(super) const SHIPPED_KARBOR_KEYS: [&str; 3] =
    ["karbor-created-by", "karbor-trigger-id", "karbor-scheduled-operation-id"];

const MIB: u64 = 1 << 20;
/// The largest body that is ever held in memory for a review, in bytes.
const MOST_BODY: u64 = MIB;
/// What most durations may be.
const TIME: Kind = Kind::Duration(Duration::from_millis(1), Duration::from_secs(3600));

const fn set(key: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Setting {
    Setting { key, kind, default: Some(default), doc, at_start: false }
}

const fn inherit(key: &'static str, kind: Kind, doc: &'static str) -> Setting {
    Setting { key, kind, default: None, doc, at_start: false }
}

impl Setting {
    /// The same, taken by a start alone.
    const fn at_start(self) -> Self {
        Self { at_start: true, ..self }
    }
}

/// Every setting, in the order of the documentation.
pub(super) fn settings() -> impl Iterator<Item = &'static Setting> {
    let parts: [&[Setting]; 10] = [
        parts::SERVER_SETTINGS,
        tls::SETTINGS,
        admin::SETTINGS,
        parts::SETTINGS,
        traces::SETTINGS,
        upstream::SETTINGS,
        ledger::SETTINGS,
        policy::SETTINGS,
        policy::GROUP_SETTINGS,
        policy::TENANT_SETTINGS,
    ];
    parts.into_iter().flatten()
}

/// What a capital name of a key stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placeholder {
    /// A group or a tenant.
    Name,
    /// A rule.
    Rule,
    /// A recognised key.
    KarborKey,
    /// An application, or `*`.
    Application,
}

impl Placeholder {
    /// The placeholder of that spelling.
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "NAME" | "ID" => Some(Self::Name),
            "RULE" => Some(Self::Rule),
            "KEY" => Some(Self::KarborKey),
            "APPLICATION" => Some(Self::Application),
            _ => None,
        }
    }

    /// Judges a name that stands in its place.
    pub(super) fn judge(self, name: &str) -> Result<(), Wrong> {
        match self {
            Self::Name => names::name(name).map(drop),
            Self::Rule => names::rule(name).map(drop),
            Self::KarborKey => names::karbor_key(name).map(drop),
            Self::Application => names::one_application(name).map(drop),
        }
    }
}

/// The settings of `among` whose key has `name`, or a placeholder for it, at that depth.
pub(super) fn below(among: &[&'static Setting], depth: usize, name: &str) -> Vec<&'static Setting> {
    let fits = |setting: &Setting| {
        setting.name(depth).is_some_and(|own| own == name || Placeholder::of(own).is_some())
    };
    among.iter().copied().filter(|setting| fits(setting)).collect()
}

/// Whether all of `among` have, at that depth, a name that the operator chooses. Below each such name they are the same
/// then, and there may be many names.
pub(super) fn are_of_any_name(among: &[&'static Setting], depth: usize) -> bool {
    among.iter().all(|setting| setting.is_of_any_name(depth))
}

/// The defaults, as a file would have them.
pub(super) fn shipped() -> String {
    let mut text = String::new();
    for setting in settings() {
        if let Some(default) = setting.default {
            text.push_str(&format!("{} = {default}\n", setting.key));
        }
    }
    for key in SHIPPED_KARBOR_KEYS {
        text.push_str(&format!("policy.karbor_keys.{key} = {{}}\n"));
    }
    text
}

/// Every setting in a Markdown table: key, default, what it may be, what it means.
pub(super) fn reference() -> String {
    let mut text = "| setting | default | may be | meaning |\n|---|---|---|---|\n".to_owned();
    for setting in settings() {
        let default = setting.default.map_or_else(String::new, |default| format!("`{default}`"));
        let expected = setting.kind.expected();
        let only = if setting.at_start { "; a change needs a restart" } else { "" };
        text.push_str(&format!("| `{}` | {default} | {expected} | {}{only} |\n", setting.key, setting.doc));
    }
    text
}
