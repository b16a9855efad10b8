//! What was found, as lines for an operator: a table for eyes, JSON for programs.

use std::time::{Duration, UNIX_EPOCH};

use serde::{Serialize, Serializer};

use super::map::Map;
use super::record::{Kept, Millis};
use super::usage::TenantUsage;
use crate::policy::{Bound, Quota};

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Columns under a heading. What would steer a terminal is escaped.
    Table,
    /// An object on each line.
    Json,
}

impl Form {
    /// The line above what a search finds; none for JSON.
    #[must_use]
    pub fn kept_heading(self) -> Option<String> {
        (self == Self::Table).then(|| {
            let names = ["TENANT", "PROVIDER", "CHECKPOINT", "STATE", "CREATED (UTC)", "EXTRA-INFO"];
            kept_row(names)
        })
    }

    /// What was found.
    #[must_use]
    pub fn kept(self, kept: &Kept) -> String {
        let created = moment(kept.reserved_at);
        match self {
            Self::Json => json(&KeptLine {
                tenant: kept.tenant.as_str(),
                provider: kept.provider.as_str(),
                plan: &kept.plan,
                checkpoint: kept.checkpoint.as_str(),
                state: kept.state.as_str(),
                created_at: &created,
                request_id: &kept.request_id,
                extra_info: &kept.map,
            }),
            Self::Table => {
                let map = super::map::write(&kept.map).unwrap_or_default();
                let (tenant, provider) = (kept.tenant.as_str(), kept.provider.as_str());
                kept_row([tenant, provider, kept.checkpoint.as_str(), kept.state.as_str(), &created, &map])
            }
        }
    }

    /// The line above what tenants hold; none for JSON.
    #[must_use]
    pub fn usage_heading(self) -> Option<String> {
        (self == Self::Table)
            .then(|| usage_row(["TENANT", "APPLICATION", "CHECKPOINTS", "ENTRIES", "BYTES"].map(Into::into)))
    }

    /// What a tenant holds, and what it may.
    #[must_use]
    pub fn usage(self, row: &TenantUsage, quota: &Quota) -> String {
        let usage = &row.usage;
        match self {
            Self::Json => json(&UsageLine {
                tenant: row.tenant.as_str(),
                application: row.application.as_deref(),
                checkpoints: usage.checkpoints,
                checkpoints_allowed: quota.checkpoints.number(),
                stored_entries: usage.entries,
                stored_entries_allowed: quota.stored_entries.number(),
                stored_bytes: usage.bytes,
                stored_bytes_allowed: quota.stored_bytes.number(),
            }),
            Self::Table => {
                let of = |used: u64, bound: Bound| match bound {
                    Bound::AtMost(most) => format!("{used} of {most}"),
                    Bound::Unlimited => used.to_string(),
                };
                usage_row([
                    row.tenant.to_string(),
                    row.application.as_deref().unwrap_or("(all)").to_owned(),
                    of(usage.checkpoints, quota.checkpoints),
                    of(usage.entries, quota.stored_entries),
                    of(usage.bytes, quota.stored_bytes),
                ])
            }
        }
    }
}

fn kept_row(cells: [&str; 6]) -> String {
    let [tenant, provider, checkpoint, state, created, map] = cells;
    let row = format!("{tenant:<32}  {provider:<36}  {checkpoint:<36}  {state:<8}  {created:<20}  {map}");
    harmless(&row)
}

fn usage_row(cells: [String; 5]) -> String {
    let [tenant, application, checkpoints, entries, bytes] = cells;
    harmless(&format!("{tenant:<32}  {application:<24}  {checkpoints:>18}  {entries:>18}  {bytes:>22}"))
}

/// The names and values are others'.
fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        // Controls, and what turns the direction of a line.
        if letter.is_control()
            || matches!(letter, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    shown
}

fn moment(at: Millis) -> String {
    let since = Duration::from_millis(u64::try_from(at).unwrap_or(0));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}

#[derive(Serialize)]
struct KeptLine<'k> {
    tenant: &'k str,
    provider: &'k str,
    plan: &'k str,
    checkpoint: &'k str,
    state: &'k str,
    created_at: &'k str,
    request_id: &'k str,
    #[serde(serialize_with = "object")]
    extra_info: &'k Map,
}

fn object<S: Serializer>(map: &Map, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(map.iter().map(|(key, value)| (key, value)))
}

#[derive(Serialize)]
struct UsageLine<'u> {
    tenant: &'u str,
    application: Option<&'u str>,
    checkpoints: u64,
    checkpoints_allowed: Option<u64>,
    stored_entries: u64,
    stored_entries_allowed: Option<u64>,
    stored_bytes: u64,
    stored_bytes_allowed: Option<u64>,
}

fn json(line: &impl Serialize) -> String {
    // Strings and numbers: it cannot fail.
    serde_json::to_string(line).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::karbor::{CheckpointId, ProviderId, TenantId};
    use crate::ledger::State;
    use crate::policy::Usage;

    fn kept() -> Kept {
        Kept {
            tenant: TenantId::new("t"),
            provider: ProviderId::new("p"),
            plan: "plan".into(),
            checkpoint: CheckpointId::new("c"),
            state: State::Kept,
            map: vec![("x-a--k".into(), "\u{1b}[2J\u{202e}\u{9b}é".into())],
            reserved_at: 1_700_000_000_123,
            request_id: "req".into(),
        }
    }

    #[test]
    fn a_table_steers_no_terminal() {
        let line = Form::Table.kept(&kept());
        assert!(line.is_char_boundary(0) && !line.chars().any(char::is_control), "{line}");
        assert!(line.ends_with(r#"{"x-a--k":"\u001b[2J\u{202e}\u{9b}é"}"#), "{line}");
        let heading = Form::Table.kept_heading().unwrap_or_default();
        assert_eq!(heading.find("EXTRA-INFO"), line.find('{'));
        assert_eq!(heading.find("CHECKPOINT"), line.find("c  "));
    }

    #[test]
    fn json_has_no_heading() {
        assert_eq!(Form::Json.kept_heading(), None);
        assert_eq!(Form::Json.usage_heading(), None);
        let line = Form::Json.kept(&kept());
        assert!(
            line.starts_with(
                r#"{"tenant":"t","provider":"p","plan":"plan","checkpoint":"c","state":"kept","#
            )
        );
        assert!(line.contains(r#""created_at":"2023-11-14T22:13:20Z","#), "{line}");
    }

    #[test]
    fn usage_says_what_is_allowed() {
        let usage = Usage { checkpoints: 1, entries: 2, bytes: 3 };
        let quota = Quota { checkpoints: Bound::AtMost(10), ..Quota::UNLIMITED };
        let row = TenantUsage { tenant: TenantId::new("t"), application: None, usage };
        let line = Form::Table.usage(&row, &quota);
        let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        assert_eq!(cells, ["t", "(all)", "1 of 10", "2", "3"]);
        let line = Form::Json.usage(&row, &quota);
        assert!(line.contains(r#""application":null,"checkpoints":1,"checkpoints_allowed":10,"#), "{line}");
        assert!(line.contains(r#""stored_bytes":3,"stored_bytes_allowed":null"#), "{line}");
    }
}
