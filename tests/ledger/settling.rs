//! The life of a reservation: bound, rolled back, dropped, bound twice or late.

use karbor_admission::karbor::{CheckpointId, TenantId};
use karbor_admission::ledger::Reservation;

use crate::stage::{LEASE, OTHER, READABLE, Stage, TENANT, on_each, provider};

const MAP: &[(&str, &str)] = &[("x-b--k", "2"), ("x-a--k", "é \0\""), ("karbor-k", "")];
const LINE: &str = "x-b--k=2,x-a--k=é \0\",karbor-k=";

async fn commit(reservation: Reservation, checkpoint: &str) {
    reservation.commit(&provider(), &CheckpointId::new(checkpoint)).await.unwrap();
}

/// Settles what was dropped: what is asked later is carried out later.
async fn settled(stage: &Stage, open: &crate::stage::Open) {
    open.hold("nobody", &[]).await.roll_back().await.unwrap();
    stage.check_books().await;
}

#[test]
fn keeps_what_is_committed() {
    on_each(|stage| async move {
        let open = stage.open();
        open.keep(TENANT, "c1", MAP).await;
        let line = format!("{TENANT}/c1 kept {LINE}");
        open.check_read(&["c1", "c2"], &[&line]).await;
        open.check_usage(TENANT, &["all 1/3/26", "a 1/1/11", "b 1/1/7"]).await;
        open.check_usage(OTHER, &["all 0/0/0"]).await;
        stage.check_books().await;
        open.close();
        stage.open().check_read(&["c1"], &[&line]).await;
    });
}

#[test]
fn charges_what_is_reserved_and_shows_it_to_nobody() {
    on_each(|stage| async move {
        let open = stage.open();
        let held = open.hold(TENANT, MAP).await;
        open.check_usage(TENANT, &["all 1/3/26", "a 1/1/11", "b 1/1/7"]).await;
        open.check_read(&[""], &[]).await;
        stage.check_books().await;
        held.roll_back().await.unwrap();
        open.check_usage(TENANT, &["all 0/0/0"]).await;
        for table in ["entry", "share", "holding", "term"] {
            assert_eq!(stage.sql(&format!("SELECT COUNT(*) FROM {table}")).await, [["0"]], "{table}");
        }
    });
}

#[test]
fn rolls_back_what_is_dropped_before_it_was_dispatched() {
    on_each(|mut stage| async move {
        stage.options.connections = 1;
        let open = stage.open();
        drop(open.hold(TENANT, MAP).await);
        settled(&stage, &open).await;
        open.check_usage(TENANT, &["all 0/0/0"]).await;
    });
}

#[test]
fn leases_what_is_dropped_after_it_was_dispatched() {
    on_each(|mut stage| async move {
        stage.options.connections = 1;
        let open = stage.open();
        let mut held = open.hold(TENANT, MAP).await;
        held.dispatched();
        drop(held);
        settled(&stage, &open).await;
        open.check_usage(TENANT, &["all 1/3/26", "a 1/1/11", "b 1/1/7"]).await;
        stage.wait(LEASE - 1);
        assert_eq!(open.ledger.sweep().await.unwrap().lapsed, 0);
        stage.wait(1);
        assert_eq!(open.ledger.sweep().await.unwrap().lapsed, 1);
        open.check_usage(TENANT, &["all 0/0/0"]).await;
        stage.check_books().await;
        stage.wait(READABLE);
        assert_eq!(open.ledger.sweep().await.unwrap().purged, 1);
        assert_eq!(stage.sql("SELECT COUNT(*) FROM share").await, [["0"]]);
    });
}

#[test]
fn commits_after_the_lease_has_ended() {
    on_each(|stage| async move {
        let open = stage.open();
        // Lapsed; lapsed and purged.
        for (checkpoint, wait) in [("c1", 0), ("c2", READABLE)] {
            let mut held = open.hold(TENANT, MAP).await;
            held.dispatched();
            stage.wait(LEASE);
            assert_eq!(open.ledger.sweep().await.unwrap().lapsed, 1);
            open.check_usage(
                TENANT,
                if wait == 0 { &["all 0/0/0"] } else { &["all 1/3/26", "a 1/1/11", "b 1/1/7"] },
            )
            .await;
            stage.wait(wait);
            assert_eq!(open.ledger.sweep().await.unwrap().purged, u64::from(wait > 0));
            commit(held, checkpoint).await;
            stage.check_books().await;
        }
        open.check_usage(TENANT, &["all 2/6/52", "a 2/2/22", "b 2/2/14"]).await;
        let lines = ["c1", "c2"].map(|id| format!("{TENANT}/{id} kept {LINE}"));
        open.check_read(&["c1", "c2"], &[&lines[0], &lines[1]]).await;
        stage.wait(10 * READABLE);
        assert_eq!(open.ledger.sweep().await.unwrap().purged, 0);
    });
}

#[test]
fn karbors_word_stands_above_another_entry_of_the_checkpoint() {
    on_each(|stage| async move {
        let open = stage.open();
        open.keep(TENANT, "c1", &[("x-wrong--k", "v")]).await;
        open.keep(TENANT, "c1", MAP).await;
        let line = format!("{TENANT}/c1 kept {LINE}");
        open.check_read(&["c1"], &[&line]).await;
        open.check_usage(TENANT, &["all 1/3/26", "a 1/1/11", "b 1/1/7"]).await;
        stage.check_books().await;
    });
}

#[test]
fn forgets_at_once_and_stays_readable_for_a_while() {
    on_each(|stage| async move {
        let open = stage.open();
        open.keep(TENANT, "c1", MAP).await;
        open.keep(OTHER, "c1", MAP).await;
        assert!(!open.forget("third", "c1").await);
        assert!(!open.forget(TENANT, "c2").await);
        assert!(open.forget(TENANT, "c1").await);
        assert!(!open.forget(TENANT, "c1").await);
        open.check_usage(TENANT, &["all 0/0/0"]).await;
        open.check_usage(OTHER, &["all 1/3/26", "a 1/1/11", "b 1/1/7"]).await;
        stage.check_books().await;
        let lines = [format!("{TENANT}/c1 deleted {LINE}"), format!("{OTHER}/c1 kept {LINE}")];
        open.check_read(&["c1"], &[&lines[0], &lines[1]]).await;
        stage.wait(READABLE - 1);
        assert_eq!(open.ledger.sweep().await.unwrap().purged, 0);
        stage.wait(1);
        assert_eq!(open.ledger.sweep().await.unwrap().purged, 1);
        open.check_read(&["c1"], &[&lines[1]]).await;
        stage.check_books().await;
    });
}

#[test]
fn copies_get_the_originals_map() {
    on_each(|stage| async move {
        let open = stage.open();
        open.keep(TENANT, "c1", MAP).await;
        let pair = |original: &str, copy: &str| (CheckpointId::new(original), CheckpointId::new(copy));
        let pairs = [pair("c1", "d1"), pair("unknown", "d2"), pair("c1", "d1"), pair("c1", "c1")];
        let (tenant, other) = (TenantId::new(TENANT), TenantId::new(OTHER));
        let copied = open.ledger.copied(&other, &provider(), "p", &pairs, "req-2").await.unwrap();
        assert_eq!(copied, 0);
        for new in [1, 0] {
            let copied = open.ledger.copied(&tenant, &provider(), "p", &pairs, "req-2").await.unwrap();
            assert_eq!(copied, new);
        }
        let lines = ["c1", "d1"].map(|id| format!("{TENANT}/{id} kept {LINE}"));
        open.check_read(&["c1", "d1", "d2"], &[&lines[0], &lines[1]]).await;
        open.check_usage(TENANT, &["all 2/6/52", "a 2/2/22", "b 2/2/14"]).await;
        stage.check_books().await;
    });
}

#[test]
fn notes_charge_nothing_and_give_way_to_a_commit() {
    on_each(|mut stage| async move {
        stage.options.connections = 1;
        let open = stage.open();
        let tenant = TenantId::new(TENANT);
        for checkpoint in ["c1", "c1", "c2"] {
            open.ledger.note(&tenant, &provider(), "p", &CheckpointId::new(checkpoint), "req-3");
        }
        settled(&stage, &open).await;
        let noted = ["c1", "c2"].map(|id| format!("{TENANT}/{id} kept"));
        open.check_read(&["c1", "c2"], &[&noted[0], &noted[1]]).await;
        open.check_usage(TENANT, &["all 0/0/0"]).await;
        open.keep(TENANT, "c1", MAP).await;
        let kept = format!("{TENANT}/c1 kept {LINE}");
        open.check_read(&["c1"], &[&kept]).await;
        stage.check_books().await;
        assert!(open.forget(TENANT, "c2").await);
        stage.check_books().await;
    });
}
