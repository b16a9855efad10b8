//! Sights that settle leases, and when they do not.

use karbor_admission::karbor::{CheckpointId, ProviderId, TenantId};
use karbor_admission::ledger::Sight;

use crate::stage::{LEASE, OTHER, Open, PLAN, TENANT, on_each, outline, provider};

const MAP: &[(&str, &str)] = &[("x-a--k", "v")];
const TODAY: &str = "2023-11-14";

fn sight(checkpoint: &str) -> Sight {
    Sight {
        tenant: TenantId::new(TENANT),
        provider: provider(),
        plan: PLAN.into(),
        checkpoint: CheckpointId::new(checkpoint),
        created_on: Some(TODAY.into()),
    }
}

async fn lease(open: &Open, tenant: &str) {
    let mut held = open.hold(tenant, MAP).await;
    held.dispatched();
}

/// What is tied when these are seen while one reservation is open, and the ledger knows `known`.
#[track_caller]
fn check(sights: &[Sight], expected: &[&str]) {
    on_each(|stage| async move {
        let open = stage.open();
        open.keep(TENANT, "known", MAP).await;
        lease(&open, TENANT).await;
        let mut tied: Vec<String> =
            open.ledger.sighted(sights.to_vec()).await.unwrap().iter().map(outline).collect();
        tied.sort();
        let expected: Vec<String> =
            expected.iter().map(|id| format!("{TENANT}/{id} kept x-a--k=v")).collect();
        assert_eq!(tied, expected, "{sights:?}");
        // Tied or not, it is charged once.
        open.check_usage(TENANT, &["all 2/2/14", "a 2/2/14"]).await;
        stage.check_books().await;
        stage.wait(LEASE);
        assert_eq!(open.ledger.sweep().await.unwrap().lapsed, u64::from(expected.is_empty()));
        stage.check_books().await;
    });
}

#[test]
fn ties_the_only_sight_to_the_only_reservation() {
    check(&[sight("c1")], &["c1"]);
    check(&[sight("c1"), sight("known"), sight("c1")], &["c1"]);
    check(&[Sight { created_on: Some("2023-11-13".into()), ..sight("c1") }], &["c1"]);
    check(&[sight("c1"), Sight { plan: "another".into(), ..sight("c2") }], &["c1"]);
}

#[test]
fn ties_nothing_that_may_be_another() {
    check(&[], &[]);
    check(&[sight("known")], &[]);
    check(&[sight("c1"), sight("c2")], &[]);
    check(&[Sight { created_on: Some("2023-11-12".into()), ..sight("c1") }], &[]);
    check(&[Sight { created_on: Some("yesterday".into()), ..sight("c1") }], &[]);
    check(&[Sight { created_on: None, ..sight("c1") }], &[]);
    check(&[Sight { plan: "another".into(), ..sight("c1") }], &[]);
    check(&[Sight { provider: ProviderId::new("else"), ..sight("c1") }], &[]);
    check(&[Sight { tenant: TenantId::new(OTHER), ..sight("c1") }], &[]);
}

#[test]
fn ties_nothing_between_two_reservations_or_after_the_lease() {
    on_each(|stage| async move {
        let open = stage.open();
        lease(&open, TENANT).await;
        stage.wait(1);
        lease(&open, TENANT).await;
        lease(&open, OTHER).await;
        assert_eq!(open.ledger.sighted(vec![sight("c1")]).await.unwrap(), []);
        // The lease of the first ends: it counts no more, though nothing was swept.
        stage.wait(LEASE - 1);
        assert_eq!(open.ledger.sighted(vec![sight("c1")]).await.unwrap().len(), 1);
        stage.wait(1);
        assert_eq!(open.ledger.sighted(vec![sight("c2")]).await.unwrap(), []);
        assert_eq!(open.ledger.sweep().await.unwrap().lapsed, 2);
        open.check_usage(TENANT, &["all 1/1/7", "a 1/1/7"]).await;
        stage.check_books().await;
    });
}

/// A list came between Karbor's answer and the commit.
#[test]
fn a_commit_after_a_sight_changes_nothing_or_corrects_it() {
    on_each(|stage| async move {
        for (seen, created) in [("c1", "c1"), ("c2", "c3")] {
            let open = stage.open();
            let mut held = open.hold(TENANT, MAP).await;
            held.dispatched();
            assert_eq!(open.ledger.sighted(vec![sight(seen)]).await.unwrap().len(), 1);
            held.commit(&provider(), &CheckpointId::new(created)).await.unwrap();
            let line = format!("{TENANT}/{created} kept x-a--k=v");
            open.check_read(&[created], &[&line]).await;
            stage.check_books().await;
            assert!(open.forget(TENANT, created).await);
        }
    });
}
