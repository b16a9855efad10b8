//! The rules applied to one body, by the numbers of `mod`.
//!
//! Leaves reading to `karbor::request`, stances and the cap to `tally`.

use super::key::{Flaw, Key, is_name};
use super::message::quoted_list;
use super::tally::Tally;
use super::verdict::{Charge, Rule, Verdict, Violation};
use super::{CreateReview, PolicySpec, TenantRules};
use crate::karbor::request::{CreateRead, Finding, Kind, Shape, read_create, read_update};

/// Names at most this many edits away are taken for a slip of the finger.
const NEAR: usize = 3;
/// Keys up to here are made into an example of a better one.
const EXAMPLE_BYTES: usize = 64;

/// Rules 3 to 15.
pub(super) fn create<'b>(
    spec: &PolicySpec,
    rules: &TenantRules,
    shape: Shape,
    body: &'b [u8],
) -> CreateReview<'b> {
    let CreateRead { findings, request } = read_create(body, shape, spec.max_depth);
    let mut review = Review::new(spec, rules);
    for finding in &findings {
        review.note_finding(finding);
    }
    if let Some(request) = &request {
        for (key, value) in request.extra_info.iter() {
            review.judge_entry(key, Some(value));
        }
        for entry in &request.set_aside {
            review.judge_entry(&entry.key, entry.value.as_deref());
        }
        review.judge_totals();
    }
    CreateReview { verdict: review.tally.conclude(review.charge), request }
}

/// Rules 3, 4 and 16.
pub(super) fn update(spec: &PolicySpec, rules: &TenantRules, body: &[u8]) -> Verdict {
    let mut review = Review::new(spec, rules);
    for finding in &read_update(body, spec.max_depth) {
        review.note_finding(finding);
    }
    review.tally.conclude(Charge::default())
}

struct Review<'p, 'k> {
    spec: &'p PolicySpec,
    rules: &'p TenantRules,
    tally: Tally<'p>,
    charge: Charge,
    /// What the last key of an application that may be written began with, up to its name. Most keys of a map are of
    /// the same one.
    admitted: Option<&'k str>,
}

impl<'p, 'k> Review<'p, 'k> {
    fn new(spec: &'p PolicySpec, rules: &'p TenantRules) -> Self {
        let tally = Tally::new(&rules.stances, spec.violations_reported);
        Self { spec, rules, tally, charge: Charge::default(), admitted: None }
    }

    /// Rules 3 to 7, and 16.
    fn note_finding(&mut self, finding: &Finding<'_>) {
        let tally = &mut self.tally;
        match finding {
            Finding::Malformed { position, reason } => {
                tally.note(Rule::MalformedBody, |breach| breach.measured(*position).hint(reason));
            }
            Finding::DuplicateMember { key } => tally.note(Rule::DuplicateMember, |breach| breach.key(key)),
            Finding::UnknownMember { key, hint } => tally.note(Rule::UnknownMember, |breach| {
                let breach = breach.key(key);
                if let Some(hint) = hint { breach.hint(hint) } else { breach }
            }),
            Finding::NotAMap { key, kind } => {
                tally.note(Rule::NotAMap, |breach| breach.key(key).hint(&format!("found {kind}")));
            }
            Finding::ValueNotAString { key, kind } => tally.note(Rule::ValueNotAString, |breach| {
                let hint = match kind {
                    Kind::Null => "found null, which the client sends for --extra_info KEY without =VALUE",
                    other => &format!("found {other}"),
                };
                breach.key(key).hint(hint)
            }),
            Finding::ExtraInfoMember { key } => tally.note(Rule::ReadOnly, |breach| breach.key(key)),
        }
    }

    /// Rules 8 to 13, and the sums for 14 and 15.
    fn judge_entry(&mut self, key: &'k str, value: Option<&str>) {
        let (key_bytes, value_bytes) = (key.len() as u64, value.map_or(0, |value| value.len() as u64));
        self.charge.entries += 1;
        self.charge.bytes += key_bytes + value_bytes;
        if let Some(index) = self.spec.bridged_keys.iter().position(|bridged| **bridged == *key) {
            self.charge.bridged.push(index);
        } else if !self.is_of_admitted(key) {
            match Key::of(key) {
                Key::Karbor(_) => self.judge_karbor_key(key, value),
                Key::Application { application, name } => {
                    if self.judge_application(key, application) {
                        self.admitted = key.strip_suffix(name);
                    }
                }
                Key::Malformed(flaw) => {
                    let known = self.spec.karbor_keys.iter().map(|(known, _)| &**known);
                    self.tally
                        .note(Rule::MalformedKey, |breach| breach.key(key).hint(&mended(key, flaw, known)));
                }
            }
        }
        let limits = &self.rules.limits;
        if !limits.key_bytes.admits(key_bytes) {
            self.tally.note(Rule::KeyTooLong, |breach| {
                breach.key(key).measured(Some(key_bytes)).allowed(limits.key_bytes.number())
            });
        }
        if !limits.value_bytes.admits(value_bytes) {
            self.tally.note(Rule::ValueTooLong, |breach| {
                breach.key(key).measured(Some(value_bytes)).allowed(limits.value_bytes.number())
            });
        }
    }

    /// Whether it is of the application that was admitted last. It ends at the first `--`: what follows the same
    /// beginning is the name.
    fn is_of_admitted(&self, key: &str) -> bool {
        self.admitted.and_then(|namespace| key.strip_prefix(namespace)).is_some_and(is_name)
    }

    /// Rules 9 and 10.
    fn judge_karbor_key(&mut self, key: &str, value: Option<&str>) {
        let Some((_, values)) = self.spec.karbor_keys.iter().find(|(known, _)| **known == *key) else {
            let known = self.spec.karbor_keys.iter().map(|(known, _)| &**known);
            self.tally.note(Rule::UnknownKarborKey, |breach| breach.key(key).hint(&recognised(key, known)));
            return;
        };
        // A value that is no string is rule 7's.
        let Some(value) = value else { return };
        if !values.is_empty() && !values.iter().any(|allowed| **allowed == *value) {
            self.tally.note(Rule::KarborKeyValue, |breach| {
                let allowed = quoted_list(values.iter().map(AsRef::as_ref));
                breach.key(key).hint(&format!("allowed: {allowed}"))
            });
        }
    }

    /// Rule 11. Whether the application may be written.
    fn judge_application(&mut self, key: &str, application: &str) -> bool {
        let applications = &self.rules.applications;
        let is_admitted = applications.admit(application);
        if !is_admitted {
            self.tally.note(Rule::ApplicationNotAllowed, |breach| {
                let allowed = quoted_list(applications.patterns());
                let hint = if allowed.is_empty() {
                    "it may write none".to_owned()
                } else {
                    format!("it may write {allowed}")
                };
                breach.key(key).hint(&hint)
            });
        }
        is_admitted
    }

    /// Rules 14 and 15.
    fn judge_totals(&mut self) {
        let limits = &self.rules.limits;
        let Charge { entries, bytes, .. } = self.charge;
        if !limits.entries.admits(entries) {
            self.tally.note(Rule::TooManyEntries, |breach| {
                breach.measured(Some(entries)).allowed(limits.entries.number())
            });
        }
        if !limits.total_bytes.admits(bytes) {
            self.tally.note(Rule::ExtraInfoTooLarge, |breach| {
                breach.measured(Some(bytes)).allowed(limits.total_bytes.number())
            });
        }
    }
}

/// What is wrong with a malformed key; where it has no namespace, a key that would be right.
fn mended<'s>(key: &str, flaw: Flaw, known: impl Iterator<Item = &'s str>) -> String {
    if flaw != Flaw::Namespace {
        return flaw.text().to_owned();
    }
    // A key that is cut is no example, and what is done with it should take no time.
    let plain = if key.len() <= EXAMPLE_BYTES { key } else { "" };
    let lower = plain.to_ascii_lowercase();
    if let Some(known) = nearest(&lower, known) {
        return did_you_mean(known);
    }
    if Key::of(&lower).is_well_formed() {
        return did_you_mean(&lower);
    }
    let example = format!("x-myapp--{plain}");
    let example = if Key::of(&example).is_well_formed() { &*example } else { "x-myapp--note" };
    format!("for example {}", quoted_list([example]))
}

/// The recognised key that was probably meant, or all of them.
fn recognised<'s>(key: &str, known: impl Iterator<Item = &'s str> + Clone) -> String {
    if let Some(nearest) = nearest(key, known.clone()) {
        return did_you_mean(nearest);
    }
    let list = quoted_list(known);
    if list.is_empty() { "none is recognised".to_owned() } else { format!("recognised: {list}") }
}

fn did_you_mean(key: &str) -> String {
    format!("did you mean {}?", quoted_list([key]))
}

fn nearest<'s>(key: &str, known: impl Iterator<Item = &'s str>) -> Option<&'s str> {
    let own = letters(key);
    known
        // The distance takes time by the product of the lengths, and the key is the client's.
        .filter(|known| key.len() <= Violation::KEY_BYTES && known.len().abs_diff(key.len()) <= NEAR)
        // To replace a character takes one letter away and adds another; no other change does as much.
        .filter(|known| (letters(known) ^ own).count_ones() as usize <= 2 * NEAR)
        .map(|known| (strsim::osa_distance(key, known), known))
        .min()
        .filter(|(distance, _)| *distance <= NEAR)
        .map(|(_, known)| known)
}

/// Which letters there are in a text, a bit each; some share one.
fn letters(text: &str) -> u64 {
    text.bytes().fold(0, |letters, byte| letters | 1 << (byte % 64))
}
