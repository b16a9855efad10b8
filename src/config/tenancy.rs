//! Who inherits what: defaults ← `[policy]`, `[limits]` and `[quotas]` ← group ← tenant, field by field.
//!
//! Of the stances the most specific wins: tenant's rule, tenant, group's rule, group, rule, policy.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use figment::value::Value;

use super::problem::{Found, Origin, Problem, Wrong};
use super::settings::Settings;
use super::written::{KeyPath, found, name_as_toml, shown};
use super::{hint, kind, names, revision};
use crate::karbor::TenantId;
use crate::policy::{
    Applications, Bound, Enforcement, Limits, PolicySpec, Quota, Quotas, Rule, Stances, TenantRules,
};

/// The policy these settings mean.
pub(super) fn policy(settings: &Settings) -> Result<PolicySpec, Problem> {
    let quotas = [KeyPath::of("quotas")];
    let default = Arc::new(rules(settings, &KeyPath::of("policy"), &KeyPath::of("limits"), &quotas, None)?);
    let tenants = Arc::new(tenants(settings, &default)?);
    let policy = PolicySpec {
        revision: Box::default(),
        default,
        tenants,
        bridged_keys: settings.list("policy.bridged_keys", |key| names::bridged_key(key).map(Box::from))?,
        karbor_keys: karbor_keys(settings)?,
        violations_reported: settings.read("policy.violations_reported", kind::count)?,
        max_depth: settings.read("policy.max_depth", kind::count)?,
    };
    let date = settings.text("policy.enforced_from", names::date)?.unwrap_or_default();
    let short_form = settings.read("policy.short_form", kind::flag)?;
    let revision = revision::of(&policy, date, short_form);
    Ok(PolicySpec { revision, ..policy })
}

/// A recognised key and the values it may have.
type KarborKey = (Box<str>, Vec<Box<str>>);

fn karbor_keys(settings: &Settings) -> Result<Vec<KarborKey>, Problem> {
    let path = KeyPath::of("policy.karbor_keys");
    settings
        .table(&path)
        .map(|(key, _)| {
            let values = path.child(key).child("values");
            let values = settings.optional(&values, |value| kind::list(value, |value| Ok(value.into())))?;
            Ok((key.into(), values.unwrap_or_default()))
        })
        .collect()
}

fn tenants(
    settings: &Settings,
    default: &Arc<TenantRules>,
) -> Result<HashMap<TenantId, Arc<TenantRules>>, Problem> {
    let mut groups = HashMap::new();
    let path = KeyPath::of("groups");
    for (name, _) in settings.table(&path) {
        let at = path.child(name);
        let quotas = [at.child("quotas"), KeyPath::of("quotas")];
        let rules = rules(settings, &at, &at.child("limits"), &quotas, Some(default))?;
        groups.insert(name, Arc::new(rules));
    }
    let (members, _) = members(settings);
    // Equal rules are kept once: a thousand tenants often differ in a few ways only.
    let mut kept: HashSet<Arc<TenantRules>> = HashSet::new();
    let mut tenants = HashMap::new();
    let path = KeyPath::of("tenants");
    for (id, table) in settings.table(&path) {
        let group = members.get(id);
        let base = group.and_then(|group| groups.get(group)).unwrap_or(default);
        let at = path.child(id);
        let rules = if has_own_rules(table) {
            let of_group = group.map(|group| KeyPath::of("groups").child(group).child("quotas"));
            let quotas = [Some(at.child("quotas")), of_group, Some(KeyPath::of("quotas"))];
            let quotas: Vec<KeyPath> = quotas.into_iter().flatten().collect();
            let rules = rules(settings, &at, &at.child("limits"), &quotas, Some(base))?;
            match kept.get(&rules) {
                Some(equal) => Arc::clone(equal),
                None => {
                    let rules = Arc::new(rules);
                    kept.insert(Arc::clone(&rules));
                    rules
                }
            }
        } else {
            Arc::clone(base)
        };
        tenants.insert(TenantId::new(id), rules);
    }
    for (id, group) in members {
        let base = groups.get(group).unwrap_or(default);
        tenants.entry(TenantId::new(id)).or_insert_with(|| Arc::clone(base));
    }
    Ok(tenants)
}

fn has_own_rules(table: &Value) -> bool {
    matches!(table, Value::Dict(_, table) if table.keys().any(|name| name != "group"))
}

/// Where a tenant is said to be in a group.
struct Membership<'s> {
    tenant: &'s str,
    group: &'s str,
    path: KeyPath,
    index: Option<usize>,
    found: Found,
}

/// The group of each tenant that has one, and what is wrong with that.
pub(super) fn members(settings: &Settings) -> (BTreeMap<&str, &str>, Vec<Problem>) {
    let groups: BTreeSet<&str> = settings.table(&KeyPath::of("groups")).map(|(name, _)| name).collect();
    let mut problems = Vec::new();
    let mut members: BTreeMap<&str, Membership<'_>> = BTreeMap::new();
    for new in memberships(settings) {
        let origin = settings.origin(&new.path, new.index);
        match members.get(new.tenant) {
            _ if !groups.contains(new.group) => {
                let near = hint::nearest(new.group, groups.iter().copied());
                let hint = match near {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => format!("`[groups.{}]` makes it", name_as_toml(new.group)),
                };
                problems
                    .push(Problem::at(origin, &new.path, "no such group").found(new.found).hint(Some(hint)));
            }
            Some(first) if first.group != new.group => {
                let at = settings.origin(&first.path, first.index);
                let text =
                    format!("expected one group for a tenant, but it is in `{}` too ({at})", first.group);
                let own = KeyPath::of("tenants").child(new.tenant);
                let hint = format!("leave it in one; what differs can stand in `[{own}]`");
                problems.push(Problem::at(origin, &new.path, text).found(new.found).hint(Some(hint)));
            }
            Some(_) => {}
            None => {
                members.insert(new.tenant, new);
            }
        }
    }
    (members.into_iter().map(|(tenant, membership)| (tenant, membership.group)).collect(), problems)
}

/// What the lists of the groups say, then what the tenants say themselves.
fn memberships(settings: &Settings) -> Vec<Membership<'_>> {
    let mut memberships = Vec::new();
    let path = KeyPath::of("groups");
    for (group, _) in settings.table(&path) {
        let path = path.child(group).child("tenants");
        let Some(Value::Array(_, ids)) = path.find(settings.values()) else { continue };
        for (index, id) in ids.iter().enumerate() {
            let Some(tenant) = id.as_str() else { continue };
            let (path, index, found) = (path.clone(), Some(index), Found::Item(shown(id).into()));
            memberships.push(Membership { tenant, group, path, index, found });
        }
    }
    let path = KeyPath::of("tenants");
    for (tenant, _) in settings.table(&path) {
        let path = path.child(tenant).child("group");
        let Some(value) = path.find(settings.values()) else { continue };
        let Some(group) = value.as_str() else { continue };
        memberships.push(Membership { tenant, group, path, index: None, found: found(value) });
    }
    memberships
}

/// What stands at `own` and `limits`; what does not, from `base`. Without a base, all of it has a default.
/// `quotas` are their places, the most specific first.
fn rules(
    settings: &Settings,
    own: &KeyPath,
    limits: &KeyPath,
    quotas: &[KeyPath],
    base: Option<&TenantRules>,
) -> Result<TenantRules, Problem> {
    let applications = |value| kind::list(value, names::application).map(Applications::of);
    // Where a tenant has no quota of its own, the other places were gone through for its base.
    let inherited = base.filter(|_| quotas.first().is_some_and(|own| own.find(settings.values()).is_none()));
    Ok(TenantRules {
        limits: inherit_limits(settings, limits, base.map(|base| base.limits))?,
        quotas: match inherited {
            Some(base) => base.quotas.clone(),
            None => inherit_quotas(settings, quotas)?,
        },
        applications: inherit(settings, &own.child("applications"), applications, || {
            base.map(|base| base.applications.clone())
        })?,
        stances: inherit_stances(settings, own, base)?,
    })
}

/// What `read` makes of the value at `path`, or else what `base` has.
fn inherit<'s, T>(
    settings: &'s Settings,
    path: &KeyPath,
    read: impl FnOnce(&'s Value) -> Result<T, Wrong>,
    base: impl FnOnce() -> Option<T>,
) -> Result<T, Problem> {
    let missing = || Problem::at(Origin::Default, path, "expected a value");
    settings.optional(path, read)?.or_else(base).ok_or_else(missing)
}

fn inherit_limits(settings: &Settings, at: &KeyPath, base: Option<Limits>) -> Result<Limits, Problem> {
    let bound = |name: &str, measure, base: Option<Bound>| {
        inherit(settings, &at.child(name), |value| kind::bound(value, measure), || base)
    };
    Ok(Limits {
        entries: bound("entries", kind::number, base.map(|base| base.entries))?,
        key_bytes: bound("key_bytes", kind::size, base.map(|base| base.key_bytes))?,
        value_bytes: bound("value_bytes", kind::size, base.map(|base| base.value_bytes))?,
        total_bytes: bound("total_bytes", kind::size, base.map(|base| base.total_bytes))?,
        body_bytes: inherit(settings, &at.child("body_bytes"), kind::size, || {
            base.map(|base| base.body_bytes)
        })?,
    })
}

/// Each setting by itself, from the first of these places that has it. An application that any of them names
/// takes what it has nowhere from `*`, so that naming it lifts no bound.
fn inherit_quotas(settings: &Settings, places: &[KeyPath]) -> Result<Quotas, Problem> {
    const EACH: &str = "*";
    let whole = inherit_quota(settings, places, Quota::UNLIMITED)?;
    let applications: Vec<KeyPath> = places.iter().map(|at| at.child("applications")).collect();
    let of = |application: &str, base| {
        let places: Vec<KeyPath> = applications.iter().map(|at| at.child(application)).collect();
        inherit_quota(settings, &places, base)
    };
    let each = of(EACH, Quota::UNLIMITED)?;
    let named = applications.iter().flat_map(|at| settings.table(at)).map(|(name, _)| name);
    let mut quotas = Quotas { whole, each, applications: BTreeMap::new() };
    for application in named.filter(|name| *name != EACH).collect::<BTreeSet<_>>() {
        let own = of(application, each)?;
        if own != each {
            quotas.applications.insert(application.into(), own);
        }
    }
    Ok(quotas)
}

fn inherit_quota(settings: &Settings, places: &[KeyPath], base: Quota) -> Result<Quota, Problem> {
    let bound =
        |name, measure, base| first(settings, places, name, |value| kind::bound(value, measure), base);
    Ok(Quota {
        checkpoints: bound("checkpoints", kind::number, base.checkpoints)?,
        stored_bytes: bound("stored_bytes", kind::size, base.stored_bytes)?,
        stored_entries: bound("stored_entries", kind::number, base.stored_entries)?,
        creations: first(settings, places, "creations", kind::rate, base.creations)?,
    })
}

/// What `read` makes of the value of that name at the first place that has one, or else `base`.
fn first<T>(
    settings: &Settings,
    places: &[KeyPath],
    name: &str,
    read: impl Fn(&Value) -> Result<T, Wrong>,
    base: T,
) -> Result<T, Problem> {
    for place in places {
        if let Some(own) = settings.optional(&place.child(name), &read)? {
            return Ok(own);
        }
    }
    Ok(base)
}

/// A stance for everything here outweighs each rule's stance further out.
fn inherit_stances(
    settings: &Settings,
    own: &KeyPath,
    base: Option<&TenantRules>,
) -> Result<Stances, Problem> {
    let stance = |value| names::word::<Enforcement>(kind::text(value)?);
    let general = |value| stance(value).map(Stances::all);
    let mut stances =
        inherit(settings, &own.child("enforcement"), general, || base.map(|base| base.stances.clone()))?;
    let rules = own.child("rules");
    for (code, _) in settings.table(&rules) {
        let rule = Rule::from_code(code);
        if let (Some(rule), Some(own)) = (rule, settings.optional(&rules.child(code), stance)?) {
            stances = stances.with(rule, own);
        }
    }
    Ok(stances)
}
