//! Sights that settle leases, and when they do not.

use karbor_admission::karbor::{CheckpointId, ProviderId, TenantId};
use karbor_admission::ledger::Sight;

use crate::stage::{LEASE, OTHER, Open, PLAN, TENANT, on_each, outline, provider};

const MAP: &[(&str, &str)] = &[("x-a--k", "v")];
const DAY: i64 = 86_400_000;
/// The day after the ledger was made.
const TODAY: &str = "2023-11-15";

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
        stage.wait(DAY);
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
    check(&[Sight { created_on: Some("2023-11-16".into()), ..sight("c1") }], &["c1"]);
    check(&[sight("c1"), Sight { plan: "another".into(), ..sight("c2") }], &["c1"]);
}

#[test]
fn ties_nothing_that_may_be_another() {
    check(&[], &[]);
    check(&[sight("known")], &[]);
    check(&[sight("c1"), sight("c2")], &[]);
    check(&[Sight { created_on: Some("2023-11-14".into()), ..sight("c1") }], &[]);
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
        stage.wait(DAY);
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

/// What is tied to a creation of this moment, by the days of what is seen. Moments are from when the ledger was made,
/// 1 h 46 min before midnight.
#[track_caller]
fn check_days(hours: i64, expected: &[(&str, bool)]) {
    for (day, is_tied) in expected {
        on_each(|stage| async move {
            let open = stage.open();
            stage.wait(hours * 3_600_000);
            lease(&open, TENANT).await;
            let seen = Sight { created_on: Some((*day).into()), ..sight("c1") };
            let tied = open.ledger.sighted(vec![seen]).await.unwrap();
            assert_eq!(!tied.is_empty(), *is_tied, "{day}, {hours} h");
        });
    }
}

/// They may be of before its time.
#[test]
fn ties_nothing_of_the_ledgers_first_day() {
    check_days(0, &[("2023-11-13", false), ("2023-11-14", false), ("2023-11-15", true)]);
    check_days(2, &[("2023-11-14", false), ("2023-11-15", true)]);
}

#[test]
fn ties_nothing_of_the_days_before_a_reservation() {
    check_days(24 + 2, &[("2023-11-14", false), ("2023-11-15", true), ("2023-11-16", true)]);
    check_days(24 + 3, &[("2023-11-15", false), ("2023-11-16", true), ("2023-11-17", true)]);
}

/// Made at 23:13, by a clock that may be an hour behind Karbor's.
#[test]
fn the_first_day_is_karbors_too() {
    on_each(|stage| async move {
        stage.wait(3_600_000);
        let open = stage.open();
        lease(&open, TENANT).await;
        for (day, is_tied) in [("2023-11-15", 0), ("2023-11-16", 1)] {
            let seen = Sight { created_on: Some(day.into()), ..sight("c1") };
            assert_eq!(open.ledger.sighted(vec![seen]).await.unwrap().len(), is_tied, "{day}");
        }
    });
}

/// A list came between Karbor's answer and the commit.
#[test]
fn a_commit_after_a_sight_changes_nothing_or_corrects_it() {
    on_each(|stage| async move {
        stage.open().close();
        stage.wait(DAY);
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
