//! How much of their quotas the configured tenants use, for the metrics.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::ledger::Ledger;
use crate::policy::Policy;
use crate::telemetry::metrics::MetricsHub;

/// Between two looks at what tenants use.
const USAGE_PERIOD: Duration = Duration::from_secs(30);

/// Shows, from time to time, how much of their quotas the configured tenants use.
pub(super) async fn watch_usage(ledger: Ledger, hub: MetricsHub, policy: Arc<ArcSwap<Policy>>) {
    loop {
        let policy = policy.load_full();
        let mut used = Vec::new();
        for tenant in policy.tenants() {
            let quotas = &policy.rules_of(tenant.as_str()).quotas;
            // What cannot be read now is read next time.
            let Ok(holdings) = ledger.usage(tenant, quotas).await else { continue };
            let whole = holdings.into_iter().find(|holding| holding.application.is_none());
            used.extend(whole.map(|whole| (tenant.clone(), quotas.whole, whole.standing)));
        }
        if let Err(error) = hub.set_usage(&used) {
            tracing::error!(%error, "usage cannot be shown");
        }
        tokio::time::sleep(USAGE_PERIOD).await;
    }
}
