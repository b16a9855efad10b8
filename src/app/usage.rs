//! What tenants use of their quotas, asked of the ledger from time to time: the configured ones for the metrics, the
//! fullest of all for `/status`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::live::Live;
use super::status::{LedgerUse, Seen};
use crate::admin::{QuotaUsage, TenantUsage, UsageReport};
use crate::karbor::TenantId;
use crate::ledger::{Ledger, LedgerError};
use crate::policy::{Policy, Quota, Recent, Standing, Usage};
use crate::telemetry::metrics::MetricsHub;

/// Between two looks at what tenants use.
const USAGE_PERIOD: Duration = Duration::from_secs(30);
/// The most tenants that `/status` shows.
const MOST_SHOWN: usize = 20;
/// The most tenants that are looked at for it, and how many of them by one question.
const MOST_LOOKED_AT: usize = 20_000;
const PAGE: usize = 1000;

/// Shows it from time to time, and anew with each reload.
pub(super) async fn watch_usage(
    ledger: Ledger,
    hub: MetricsHub,
    mut live: watch::Receiver<Arc<Live>>,
    ledger_use: LedgerUse,
) {
    loop {
        let policy = live.borrow_and_update().policy.clone();
        let used = of_configured(&ledger, &policy).await;
        let shown: Vec<_> =
            used.iter().map(|used| (used.tenant.clone(), used.quota, used.standing)).collect();
        if let Err(error) = hub.set_usage(&shown) {
            tracing::error!(%error, "usage cannot be shown");
        }
        // What cannot be read now is read next time; until then what was seen stands.
        if let Ok(usage) = fullest(&ledger, &policy, used).await {
            ledger_use.replace(Seen { usage, size_bytes: ledger.size().await.ok() });
        }
        if let Ok(Err(_gone)) = tokio::time::timeout(USAGE_PERIOD, live.changed()).await {
            return;
        }
    }
}

/// A tenant as a whole, and where it stands against its quota.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Used {
    tenant: TenantId,
    quota: Quota,
    standing: Standing,
}

async fn of_configured(ledger: &Ledger, policy: &Policy) -> Vec<Used> {
    let mut used = Vec::new();
    for tenant in policy.tenants() {
        // What cannot be read now is read next time.
        used.extend(standing(ledger, policy, tenant).await.ok().flatten());
    }
    used
}

async fn standing(ledger: &Ledger, policy: &Policy, tenant: &TenantId) -> Result<Option<Used>, LedgerError> {
    let quotas = &policy.rules_of(tenant.as_str()).quotas;
    let holdings = ledger.usage(tenant, quotas).await?;
    let whole = holdings.into_iter().find(|holding| holding.application.is_none());
    Ok(whole.map(|whole| Used { tenant: tenant.clone(), quota: quotas.whole, standing: whole.standing }))
}

/// The fullest of all tenants. What the others than those configured created of late costs a question each, so it
/// is asked of those alone that are shown.
async fn fullest(
    ledger: &Ledger,
    policy: &Policy,
    configured: Vec<Used>,
) -> Result<UsageReport, LedgerError> {
    let at = SystemTime::now();
    let known: HashSet<TenantId> = configured.iter().map(|used| used.tenant.clone()).collect();
    let is_new = |used: &Used| !known.contains(&used.tenant);
    let (mut looked_at, mut after) = (configured.len(), None);
    let mut found = configured;
    let is_of_all = loop {
        let page = ledger.wholes(PAGE, after.as_ref()).await?;
        let (is_last, last) = (page.len() < PAGE, page.last().map(|(tenant, _)| tenant.clone()));
        let before = found.len();
        let page = page.into_iter().filter(|(_, usage)| *usage != Usage::default());
        found.extend(page.map(|page| of_page(policy, page)).filter(|used| is_new(used)));
        looked_at += found.len() - before;
        keep_fullest(&mut found);
        if is_last || looked_at >= MOST_LOOKED_AT {
            break is_last;
        }
        after = last;
    };
    for used in found.iter_mut().filter(|used| used.quota.creations.is_some() && is_new(used)) {
        if let Some(asked) = standing(ledger, policy, &used.tenant).await? {
            *used = asked;
        }
    }
    keep_fullest(&mut found);
    let not_shown = (looked_at - found.len()) as u64;
    Ok(UsageReport { at: Some(at), tenants: found.iter().map(told).collect(), not_shown, is_of_all })
}

fn of_page(policy: &Policy, (tenant, usage): (TenantId, Usage)) -> Used {
    let quota = policy.rules_of(tenant.as_str()).quotas.whole;
    Used { tenant, quota, standing: Standing { usage, recent: Recent::default() } }
}

/// The fullest first, and no more than are shown; of those without a quota, those that hold the most.
fn keep_fullest(found: &mut Vec<Used>) {
    found.sort_by(|one, other| {
        let by_share = other.fullness().total_cmp(&one.fullness());
        by_share
            .then_with(|| other.standing.usage.bytes.cmp(&one.standing.usage.bytes))
            .then_with(|| one.tenant.as_str().cmp(other.tenant.as_str()))
    });
    found.truncate(MOST_SHOWN);
}

impl Used {
    /// How much of the quota that is used most: 1 is all of it.
    fn fullness(&self) -> f64 {
        let shares = self.measures().into_iter().filter_map(|(_, used, allowed, _)| match allowed? {
            0 => Some(if used > 0 { 1.0 } else { 0.0 }),
            allowed => Some(used as f64 / allowed as f64),
        });
        shares.fold(0.0, f64::max)
    }

    /// What is bounded, how much is used, how much may be, and within how many seconds.
    fn measures(&self) -> [(&'static str, u64, Option<u64>, Option<u64>); 4] {
        let (quota, Standing { usage, recent }) = (&self.quota, &self.standing);
        let rate = quota.creations;
        [
            ("checkpoints", usage.checkpoints, quota.checkpoints.number(), None),
            ("stored_bytes", usage.bytes, quota.stored_bytes.number(), None),
            ("stored_entries", usage.entries, quota.stored_entries.number(), None),
            ("creations", recent.count, rate.map(|rate| rate.count), rate.map(|rate| rate.window.as_secs())),
        ]
    }
}

/// As it is shown. What was created is only counted where there is a rate.
fn told(used: &Used) -> TenantUsage {
    let measures = used.measures().into_iter();
    let measures = measures.filter(|(name, _, allowed, _)| *name != "creations" || allowed.is_some());
    let told = |(quota, used, allowed, window_seconds)| QuotaUsage { quota, used, allowed, window_seconds };
    TenantUsage { tenant: used.tenant.as_str().to_owned(), quotas: measures.map(told).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Bound, Rate};

    fn used(tenant: &str, checkpoints: (u64, Option<u64>), bytes: u64, created: (u64, Option<u64>)) -> Used {
        let bound = checkpoints.1.map_or(Bound::Unlimited, Bound::AtMost);
        let creations = created.1.map(|count| Rate { count, window: Duration::from_secs(3600) });
        let quota = Quota { checkpoints: bound, creations, ..Quota::UNLIMITED };
        let usage = Usage { checkpoints: checkpoints.0, entries: 0, bytes };
        let recent = Recent { count: created.0, ..Recent::default() };
        Used { tenant: TenantId::new(tenant), quota, standing: Standing { usage, recent } }
    }

    #[test]
    fn the_fullest_stand_first() {
        let mut found = vec![
            used("no quota, little", (5, None), 1, (0, None)),
            used("no quota, much", (1, None), 100, (0, None)),
            used("half", (5, Some(10)), 1, (1, Some(10))),
            used("over", (11, Some(10)), 1, (0, None)),
            used("by rate", (1, Some(10)), 1, (9, Some(10))),
            used("none allowed, none used", (0, Some(0)), 0, (0, None)),
            used("none allowed", (1, Some(0)), 0, (0, None)),
        ];
        keep_fullest(&mut found);
        let order: Vec<_> = found.iter().map(|used| used.tenant.as_str()).collect();
        let expected = [
            "over",
            "none allowed",
            "by rate",
            "half",
            "no quota, much",
            "no quota, little",
            "none allowed, none used",
        ];
        assert_eq!(order, expected);
        found.extend((0..100).map(|number| used(&number.to_string(), (number, Some(50)), 0, (0, None))));
        keep_fullest(&mut found);
        assert_eq!((found.len(), found[0].tenant.as_str()), (MOST_SHOWN, "99"));
    }

    #[test]
    fn creations_are_told_where_there_is_a_rate() {
        let names = |used: &Used| told(used).quotas.iter().map(|quota| quota.quota).collect::<Vec<_>>();
        let without = used("t", (1, None), 1, (0, None));
        assert_eq!(names(&without), ["checkpoints", "stored_bytes", "stored_entries"]);
        let with = told(&used("t", (1, None), 1, (3, Some(7))));
        let rate = &with.quotas[3];
        assert_eq!(
            (rate.quota, rate.used, rate.allowed, rate.window_seconds),
            ("creations", 3, Some(7), Some(3600))
        );
    }
}
