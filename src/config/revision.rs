//! The revision of a policy: a short name that changes when the policy does, and only then.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use crate::policy::{Limits, PolicySpec, Quota, Quotas, Rate, Rule, TenantRules};

/// Hexadecimal digits of a revision.
const DIGITS: usize = 12;

/// The revision of `policy`. The order in which things were written makes no difference.
pub(super) fn of(policy: &PolicySpec, enforced_from: &str, short_form: bool) -> Box<str> {
    // In full, here and below: a field that is new and forgotten would change policies in silence.
    let PolicySpec {
        revision: _,
        default,
        tenants,
        bridged_keys,
        karbor_keys,
        violations_reported,
        max_depth,
    } = policy;
    let mut hash = Fnv::default();
    hash.take(&canonical(default));
    hash.take(&format!("{violations_reported} {max_depth} {short_form}"));
    hash.take(enforced_from);
    hash.take_sorted("bridged", bridged_keys.iter().map(AsRef::as_ref));
    let mut keys: Vec<_> = karbor_keys.iter().collect();
    keys.sort();
    for (key, values) in keys {
        hash.take_sorted(key, values.iter().map(AsRef::as_ref));
    }
    let mut tenants: Vec<_> = tenants.iter().collect();
    tenants.sort_by_key(|(id, _)| *id);
    // Many tenants share few rules.
    let mut texts: HashMap<*const TenantRules, String> = HashMap::new();
    for (id, rules) in tenants {
        hash.take(id.as_str());
        hash.take(texts.entry(Arc::as_ptr(rules)).or_insert_with(|| canonical(rules)));
    }
    let mut digits = format!("{:016x}", hash.0);
    digits.truncate(DIGITS);
    digits.into()
}

/// Rules as text: equal for equal rules, whatever the order of their applications.
fn canonical(rules: &TenantRules) -> String {
    let TenantRules { limits, quotas, applications, stances } = rules;
    let Limits { entries, key_bytes, value_bytes, total_bytes, body_bytes } = limits;
    let mut text = format!("{entries} {key_bytes} {value_bytes} {total_bytes} {body_bytes}");
    for rule in Rule::ALL {
        // Writing to a string cannot fail.
        let _ = write!(text, " {rule}={}", stances.of(rule).word());
    }
    let mut patterns: Vec<&str> = applications.patterns().collect();
    patterns.sort_unstable();
    text.push('\n');
    text.push_str(&patterns.join(" "));
    let Quotas { whole, each, applications } = quotas;
    let named = applications.iter().map(|(name, quota)| (&**name, quota));
    for (name, quota) in [("", whole), ("*", each)].into_iter().chain(named) {
        let Quota { checkpoints, stored_bytes, stored_entries, creations } = quota;
        let _ = write!(text, "\n{name} {checkpoints} {stored_bytes} {stored_entries}");
        if let Some(Rate { count, window }) = creations {
            let _ = write!(text, " {count}/{}", window.as_millis());
        }
    }
    text
}

/// FNV-1a, 64 bits: the same on every machine and in every release, unlike the standard library's.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    /// Takes a text and its end, so that two texts never read as one.
    fn take(&mut self, text: &str) {
        // 0xFF is in no UTF-8 text.
        for byte in text.bytes().chain([0xFF]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn take_sorted<'t>(&mut self, title: &str, texts: impl Iterator<Item = &'t str>) {
        let mut texts: Vec<&str> = texts.collect();
        texts.sort_unstable();
        self.take(title);
        self.take(&texts.len().to_string());
        for text in texts {
            self.take(text);
        }
    }
}
