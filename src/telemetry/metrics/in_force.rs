//! The policy in force as series: its revision, and limits and quotas of each tenant.
//!
//! Written out of the policy itself whenever somebody asks: nine series for each of many tenants, kept as the
//! library keeps them, would be much of what the process holds.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::family::{self, Family};
use super::tenants;
use crate::karbor::TenantId;
use crate::policy::{Bound, Limits, PolicySpec, Quota, TenantRules};

/// What of a policy is shown.
pub(super) struct InForce {
    revision: Box<str>,
    default: Arc<TenantRules>,
    tenants: Arc<HashMap<TenantId, Arc<TenantRules>>>,
}

impl InForce {
    pub(super) fn of(policy: &PolicySpec) -> Self {
        Self {
            revision: policy.revision.clone(),
            default: Arc::clone(&policy.default),
            tenants: Arc::clone(&policy.tenants),
        }
    }

    /// Appends the family of that name; nothing if it is none of these.
    pub(super) fn write(&self, name: &str, text: &mut String) {
        if name == family::POLICY.name {
            head(&family::POLICY, text);
            series(&family::POLICY, &[&self.revision], 1.0, text);
        } else if name == family::LIMIT.name {
            self.of_tenants(&family::LIMIT, |rules| limits(&rules.limits), text);
        } else if name == family::QUOTA.name {
            let most =
                |(name, most): (_, Option<u64>)| (name, most.map_or(f64::INFINITY, |most| most as f64));
            self.of_tenants(&family::QUOTA, |rules| quotas(&rules.quotas.whole).map(most), text);
        }
    }

    /// In the order of the library: by the label that comes first in the alphabet, then by tenant.
    fn of_tenants<const N: usize>(
        &self,
        family: &Family,
        measures: impl Fn(&TenantRules) -> [(&'static str, f64); N],
        text: &mut String,
    ) {
        head(family, text);
        let own = self.tenants.iter().map(|(tenant, rules)| (tenants::spell(tenant), rules));
        let mut all: Vec<_> = own.chain([(tenants::DEFAULT.into(), &self.default)]).collect();
        all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let mut order = measures(&self.default).map(|(name, _)| name);
        order.sort_unstable();
        for measure in order {
            for (tenant, rules) in &all {
                let most = measures(rules).into_iter().find(|(name, _)| *name == measure);
                series(family, &[tenant, measure], most.map_or(f64::INFINITY, |(_, most)| most), text);
            }
        }
    }
}

/// The families that are written here.
pub(super) const SHOWN: [&Family; 3] = [&family::POLICY, &family::LIMIT, &family::QUOTA];

/// Each limit, with infinity for none.
pub(super) fn limits(limits: &Limits) -> [(&'static str, f64); 5] {
    let most = |bound: Bound| bound.number().map_or(f64::INFINITY, |most| most as f64);
    [
        ("entries", most(limits.entries)),
        ("key_bytes", most(limits.key_bytes)),
        ("value_bytes", most(limits.value_bytes)),
        ("total_bytes", most(limits.total_bytes)),
        ("body_bytes", most(Bound::AtMost(limits.body_bytes))),
    ]
}

/// Each quota on a tenant as a whole; none for no bound.
pub(super) fn quotas(quota: &Quota) -> [(&'static str, Option<u64>); 4] {
    [
        ("checkpoints", quota.checkpoints.number()),
        ("stored_bytes", quota.stored_bytes.number()),
        ("stored_entries", quota.stored_entries.number()),
        ("creations", quota.creations.map(|rate| rate.count)),
    ]
}

// Writing to a string cannot fail.
fn head(family: &Family, text: &mut String) {
    let _ = write!(text, "# HELP {0} {1}\n# TYPE {0} gauge\n", family.name, family.help);
}

/// One line. `values` are in the order of the family's labels, which are written in that of the alphabet.
fn series(family: &Family, values: &[&str], value: f64, text: &mut String) {
    let mut labels: Vec<_> = family.labels.iter().zip(values).collect();
    labels.sort_unstable();
    text.push_str(family.name);
    for (at, (label, value)) in labels.into_iter().enumerate() {
        let _ = write!(text, "{}{label}=\"", if at == 0 { '{' } else { ',' });
        for char in value.chars() {
            match char {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                char => text.push(char),
            }
        }
        text.push('"');
    }
    let _ = if value.is_infinite() { writeln!(text, "}} +Inf") } else { writeln!(text, "}} {value}") };
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus::{GaugeVec, Registry};

    use super::super::scrape;
    use super::*;
    use crate::policy::{Applications, Enforcement, Quotas, Rate, Stances};

    fn rules(limits: Limits, whole: Quota) -> Arc<TenantRules> {
        let (applications, stances) = (Applications::every(), Stances::all(Enforcement::Enforce));
        let quotas = Quotas { whole, ..Quotas::UNLIMITED };
        Arc::new(TenantRules { limits, quotas, applications, stances })
    }

    fn in_force() -> InForce {
        let wide =
            Limits { entries: Bound::Unlimited, total_bytes: Bound::AtMost(1 << 50), ..Limits::SHIPPED };
        let creations = Some(Rate { count: 3, window: Duration::from_secs(60) });
        let low = Quota { checkpoints: Bound::AtMost(0), creations, ..Quota::UNLIMITED };
        let names = ["z", "default", "quote\"back\\slash", "line\nend", "tenant:x", "B", "a"];
        let tenants = names.map(|name| (TenantId::new(name), rules(wide, low)));
        let default = rules(Limits::SHIPPED, Quota::UNLIMITED);
        InForce { revision: "r\"1".into(), default, tenants: Arc::new(tenants.into()) }
    }

    /// What the library makes of the same series.
    fn by_library(family: &Family, fill: impl FnOnce(&GaugeVec)) -> String {
        let (gauge, registry) = (family.loose_gauge().unwrap(), Registry::new());
        fill(&gauge);
        registry.register(Box::new(gauge)).unwrap();
        let mut text = String::new();
        registry.gather().iter().for_each(|family| scrape::write(&mut text, family));
        text.replace(" inf\n", " +Inf\n")
    }

    #[track_caller]
    fn check(family: &Family, fill: impl FnOnce(&GaugeVec)) {
        let mut text = String::new();
        in_force().write(family.name, &mut text);
        assert_eq!(text, by_library(family, fill));
    }

    #[test]
    fn it_is_what_the_library_would_write() {
        let shown = in_force();
        let own = shown.tenants.iter().map(|(tenant, rules)| (tenants::spell(tenant), rules));
        let all: Vec<_> = own.chain([(tenants::DEFAULT.into(), &shown.default)]).collect();
        check(&family::POLICY, |gauge| gauge.with_label_values(&["r\"1"]).set(1.0));
        check(&family::LIMIT, |gauge| {
            for (tenant, rules) in &all {
                for (name, most) in limits(&rules.limits) {
                    gauge.with_label_values(&[tenant, name]).set(most);
                }
            }
        });
        check(&family::QUOTA, |gauge| {
            for (tenant, rules) in &all {
                for (name, most) in quotas(&rules.quotas.whole) {
                    let most = most.map_or(f64::INFINITY, |most| most as f64);
                    gauge.with_label_values(&[tenant, name]).set(most);
                }
            }
        });
    }
}
