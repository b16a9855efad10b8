//! Quotas, held in the transaction that charges them: also by many at once, and by two proxies.

use std::sync::Arc;
use std::time::Duration;

use karbor_admission::ledger::{Outcome, Reservation};
use karbor_admission::policy::{Bound, Policy, Quota, Quotas, Rate, Rule};

use crate::stage::{Open, PROVIDER, Stage, TENANT, claim, on_each, on_the_whole, policy};
use karbor_admission::karbor::{CheckpointId, TenantId};

const MAP: &[(&str, &str)] = &[("x-a--k", "1234")];

/// The rule that leaves no room, or none.
async fn check(
    open: &Open,
    policy: &Arc<Policy>,
    map: &[(&str, &str)],
    expected: Option<Rule>,
) -> Option<Reservation> {
    match open.claim(policy, TENANT, map).await {
        Outcome::Held { reservation, .. } => {
            assert_eq!(expected, None, "{map:?}");
            Some(reservation)
        }
        Outcome::Over(over) => {
            assert_eq!(over.broken().map(|(rule, _)| rule).next(), expected, "{map:?}: {over:?}");
            None
        }
    }
}

#[test]
fn denies_what_has_no_room() {
    let bounds = [
        Quota { checkpoints: Bound::AtMost(2), ..Quota::UNLIMITED },
        Quota { stored_entries: Bound::AtMost(2), ..Quota::UNLIMITED },
        Quota { stored_bytes: Bound::AtMost(20), ..Quota::UNLIMITED },
    ];
    let applications = |quota| Quotas { applications: [("a".into(), quota)].into(), ..Quotas::UNLIMITED };
    let quotas = bounds.iter().flat_map(|&quota| {
        [on_the_whole(quota), Quotas { each: quota, ..Quotas::UNLIMITED }, applications(quota)]
    });
    for quotas in quotas {
        let policy = policy(quotas);
        on_each(|stage| {
            let policy = policy.clone();
            async move {
                let open = stage.open();
                let first = check(&open, &policy, MAP, None).await.unwrap();
                let second = check(&open, &policy, MAP, None).await.unwrap();
                assert!(check(&open, &policy, MAP, Some(Rule::QuotaExceeded)).await.is_none());
                stage.check_books().await;
                first.roll_back().await.unwrap();
                let third = check(&open, &policy, MAP, None).await.unwrap();
                for (at, held) in [second, third].into_iter().enumerate() {
                    held.commit(&crate::stage::provider(), &CheckpointId::new(format!("c{at}")))
                        .await
                        .unwrap();
                }
                check(&open, &policy, MAP, Some(Rule::QuotaExceeded)).await;
                assert!(open.forget(TENANT, "c0").await);
                drop(check(&open, &policy, MAP, None).await);
            }
        });
    }
}

#[test]
fn says_what_is_used_and_asked() {
    on_each(|stage| async move {
        let open = stage.open();
        open.keep(TENANT, "c1", MAP).await;
        let policy = policy(on_the_whole(Quota { stored_bytes: Bound::AtMost(15), ..Quota::UNLIMITED }));
        let Outcome::Over(over) = open.claim(&policy, TENANT, &[("x-b--k", "12")]).await else { panic!() };
        assert_eq!((over.list[0].measured, over.list[0].allowed), (Some(18), Some(15)));
        assert_eq!(over.list[0].hint.as_deref(), Some("10 used, 8 asked"));
    });
}

#[test]
fn denies_what_comes_too_fast() {
    let rate = Rate { count: 2, window: Duration::from_secs(60) };
    let policy = policy(on_the_whole(Quota { creations: Some(rate), ..Quota::UNLIMITED }));
    on_each(|stage| {
        let policy = policy.clone();
        async move {
            let open = stage.open();
            check(&open, &policy, MAP, None)
                .await
                .unwrap()
                .commit(&crate::stage::provider(), &CheckpointId::new("c1"))
                .await
                .unwrap();
            stage.wait(20_000);
            let second = check(&open, &policy, MAP, None).await.unwrap();
            // Neither deletion nor a copy is one more or less.
            assert!(open.forget(TENANT, "c1").await);
            let pair = [(CheckpointId::new("c1"), CheckpointId::new("d1"))];
            open.ledger
                .copied(&TenantId::new(TENANT), &crate::stage::provider(), "p", &pair, "r")
                .await
                .unwrap();
            let Outcome::Over(over) = open.claim(&policy, TENANT, MAP).await else { panic!() };
            assert_eq!(over.retry_after(), Some(Duration::from_secs(40)));
            second.roll_back().await.unwrap();
            let second = check(&open, &policy, MAP, None).await.unwrap();
            check(&open, &policy, MAP, Some(Rule::RateExceeded)).await;
            stage.wait(39_999);
            check(&open, &policy, MAP, Some(Rule::RateExceeded)).await;
            stage.wait(1);
            drop(check(&open, &policy, MAP, None).await);
            second.roll_back().await.unwrap();
        }
    });
}

/// So many at once, taking turns among these ledgers; how many were admitted.
async fn storm(opens: &[&Open], policy: &Arc<Policy>, tenant: &'static str, many: usize) -> Vec<Reservation> {
    let mut claims = tokio::task::JoinSet::new();
    for at in 0..many {
        let (ledger, policy) = (opens[at % opens.len()].ledger.clone(), policy.clone());
        claims.spawn(async move { ledger.reserve(claim(&policy, tenant, MAP)).await.unwrap() });
    }
    let outcomes = claims.join_all().await;
    outcomes
        .into_iter()
        .filter_map(|outcome| match outcome {
            Outcome::Held { reservation, .. } => Some(reservation),
            Outcome::Over(_) => None,
        })
        .collect()
}

async fn check_storm(stage: &Stage, opens: &[&Open]) {
    let policy = policy(on_the_whole(Quota { checkpoints: Bound::AtMost(5), ..Quota::UNLIMITED }));
    let mut held = storm(opens, &policy, TENANT, 32).await;
    assert_eq!(held.len(), 5);
    stage.check_books().await;
    held.pop().unwrap().roll_back().await.unwrap();
    held.pop().unwrap().roll_back().await.unwrap();
    held.extend(storm(opens, &policy, TENANT, 32).await);
    assert_eq!(held.len(), 5);
    for (at, held) in held.into_iter().enumerate() {
        held.commit(&crate::stage::provider(), &CheckpointId::new(format!("c{at}"))).await.unwrap();
    }
    assert_eq!(storm(opens, &policy, TENANT, 32).await.len(), 0);
    opens[0].check_usage(TENANT, &["all 5/5/50", "a 5/5/50"]).await;
    stage.check_books().await;
}

#[test]
fn admits_exactly_as_many_as_there_is_room_for() {
    on_each(|stage| async move {
        let open = stage.open();
        check_storm(&stage, &[&open]).await;
    });
}

#[test]
fn admits_exactly_as_many_through_two_proxies() {
    on_each(|stage| async move {
        let (one, other) = (stage.open(), stage.open_elsewhere());
        check_storm(&stage, &[&one, &other]).await;
    });
}

/// In its first transactions a connection prepares its statements. Galera may end a transaction then and not say so.
#[test]
fn admits_exactly_as_many_over_new_connections() {
    on_each(|stage| async move {
        let policy = policy(on_the_whole(Quota { checkpoints: Bound::AtMost(5), ..Quota::UNLIMITED }));
        for tenant in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            let (one, other) = (stage.open(), stage.open_elsewhere());
            let held = storm(&[&one, &other], &policy, tenant, 16).await;
            assert_eq!(held.len(), 5, "{tenant}");
            stage.check_books().await;
        }
    });
}

#[test]
fn tenants_do_not_share_their_room() {
    on_each(|stage| async move {
        let open = stage.open();
        let policy = policy(on_the_whole(Quota { checkpoints: Bound::AtMost(1), ..Quota::UNLIMITED }));
        let mut held = Vec::new();
        for tenant in ["a", "A", "a ", PROVIDER] {
            match open.claim(&policy, tenant, MAP).await {
                Outcome::Held { reservation, .. } => held.push(reservation),
                Outcome::Over(over) => panic!("{tenant:?}: {over:?}"),
            }
        }
        stage.check_books().await;
    });
}
