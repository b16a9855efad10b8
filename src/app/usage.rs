//! How much of their quotas the configured tenants use, for the metrics.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::live::Live;
use crate::ledger::Ledger;
use crate::telemetry::metrics::MetricsHub;

/// Between two looks at what tenants use.
const USAGE_PERIOD: Duration = Duration::from_secs(30);

/// Shows it from time to time, and anew with each reload.
pub(super) async fn watch_usage(ledger: Ledger, hub: MetricsHub, mut live: watch::Receiver<Arc<Live>>) {
    loop {
        let policy = live.borrow_and_update().policy.clone();
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
        if let Ok(Err(_gone)) = tokio::time::timeout(USAGE_PERIOD, live.changed()).await {
            return;
        }
    }
}
