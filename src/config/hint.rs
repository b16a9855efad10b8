//! What the operator may have meant.

use std::rc::Rc;

use figment::value::Value;

use super::environment::PREFIX;
use super::schema::{Placeholder, settings};
use super::written::{KeyPath, name_as_toml};

/// The candidate nearest to `name`, if one is near.
pub(super) fn nearest<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let folded = fold(name);
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(&folded, &fold(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(name.len()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A name as the environment may spell it: case and `-` or `_` make no difference.
pub(super) fn fold(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
}

/// A hint for `path`, whose last name no setting has, with `siblings` beside it.
pub(super) fn for_unknown(path: &KeyPath, value: &Value, siblings: &[&'static str]) -> Option<String> {
    let (name, parents) = path.names().split_last()?;
    let named = siblings.iter().copied().filter(|sibling| Placeholder::of(sibling).is_none());
    let near = nearest(name, named);
    if let (Value::Dict(..), Some(last)) = (value, parents.last())
        && matches!(&**last, "limits" | "quotas" | "rules")
        && near.is_none()
    {
        return Some(format!("for one tenant: `[tenants.{}.{last}]`", name_as_toml(name)));
    }
    if let Some(elsewhere) = elsewhere(name, parents) {
        return Some(format!("did you mean `{elsewhere}`?"));
    }
    if let Some(near) = near {
        let near = path.parent().unwrap_or_default().child(near);
        return Some(format!("did you mean `{near}`?"));
    }
    match (value, parents) {
        (Value::Dict(_, table), []) if table.keys().any(|own| is_of_tenant(own)) => {
            let name = name_as_toml(name);
            Some(format!("for one tenant: `[tenants.{name}]`; for a group: `[groups.{name}]`"))
        }
        _ if siblings.is_empty() => None,
        _ if siblings.iter().any(|sibling| Placeholder::of(sibling).is_some()) => None,
        _ => Some(format!("one of {}", siblings.join(", "))),
    }
}

/// The hint for a variable that names neither setting nor table: it may not be meant for us at all.
pub(super) fn for_variable(hint: Option<String>) -> String {
    let levels = format!("settings have two underscores between levels, as in {PREFIX}SERVER__LISTEN");
    hint.map_or_else(|| levels.clone(), |hint| format!("{levels}; {hint}"))
}

/// Whether a tenant has settings of that name.
fn is_of_tenant(name: &str) -> bool {
    settings().any(|setting| setting.name(0) == Some("tenants") && setting.name(2) == Some(name))
}

/// Where else a setting or table of that name stands: the place that shares most with `parents`.
fn elsewhere(name: &str, parents: &[Rc<str>]) -> Option<String> {
    let folded = fold(name);
    let places = settings().filter_map(|setting| {
        let own: Vec<&str> = setting.key.split('.').collect();
        let at = own.iter().position(|own| fold(own) == folded && Placeholder::of(own).is_none())?;
        let shared = own.iter().zip(parents).take_while(|(own, given)| fits(own, given)).count();
        let own: Vec<String> = own[..=at]
            .iter()
            .enumerate()
            .map(|(depth, own)| match parents.get(depth) {
                Some(given) if depth < shared => name_as_toml(given),
                _ => (*own).to_owned(),
            })
            .collect();
        Some((shared, own.join(".")))
    });
    // The first of those that share most: the general place before groups and tenants.
    places.reduce(|best, place| if place.0 > best.0 { place } else { best }).map(|(_, key)| key)
}

fn fits(own: &str, given: &str) -> bool {
    own == given || Placeholder::of(own).is_some()
}
