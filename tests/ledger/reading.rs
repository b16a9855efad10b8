//! Finding by checkpoint and by what is in the map.

use std::time::Duration;

use karbor_admission::karbor::{CheckpointId, ProviderId, TenantId};
use karbor_admission::ledger::{Search, Term};

use crate::stage::{OTHER, Open, Stage, TENANT, on_each, outline, provider, run};

fn term(text: &str) -> Term {
    match text.split_once('=') {
        Some((key, value)) => Term { key: key.into(), value: Some(value.into()) },
        None => Term { key: text.into(), value: None },
    }
}

/// The checkpoints that are found, page by page.
async fn find(open: &Open, tenant: Option<&str>, terms: &[&str], most: usize) -> Vec<String> {
    let mut search = Search {
        tenant: tenant.map(TenantId::new),
        terms: terms.iter().map(|text| term(text)).collect(),
        most,
        ..Search::default()
    };
    let mut found = Vec::new();
    loop {
        let page = open.ledger.matching(search.clone()).await.unwrap();
        assert!(page.kept.len() <= most);
        assert!(page.after.is_none() || page.kept.len() == most, "{page:?}");
        found.extend(page.kept.iter().map(|kept| kept.checkpoint.to_string()));
        match page.after {
            Some(after) => search.after = Some(after),
            None => return found,
        }
    }
}

/// The same in pages of any size.
async fn check(open: &Open, tenant: Option<&str>, terms: &[&str], expected: &[&str]) {
    for most in [1, 2, 3, 100] {
        assert_eq!(find(open, tenant, terms, most).await, expected, "{tenant:?} {terms:?} by {most}");
    }
}

async fn fill(stage: &Stage, open: &Open) {
    type Kept = (&'static str, &'static str, &'static [(&'static str, &'static str)]);
    let maps: [Kept; 7] = [
        (TENANT, "c1", &[("x-t--id", "42"), ("x-t--env", "prod")]),
        (TENANT, "c2", &[("x-t--id", "42"), ("x-t--env", "test")]),
        (TENANT, "c3", &[("x-t--id", "4"), ("x-t--env", "prod")]),
        (TENANT, "c4", &[("x-t--ID", "42"), ("x-t--env", "prod ")]),
        (OTHER, "d1", &[("x-t--id", "42"), ("x-t--env", "prod")]),
        (OTHER, "d2", &[("x-t--env", ""), ("x-t--wild", "a%_*'\"")]),
        (TENANT, "c5", &[("karbor-k", "42")]),
    ];
    for (tenant, checkpoint, map) in maps {
        stage.wait(1);
        open.keep(tenant, checkpoint, map).await;
    }
}

#[test]
fn finds_by_key_and_value() {
    on_each(|stage| async move {
        let open = stage.open();
        fill(&stage, &open).await;
        let ours = Some(TENANT);
        check(&open, ours, &["x-t--id=42"], &["c1", "c2"]).await;
        check(&open, ours, &["x-t--id"], &["c1", "c2", "c3"]).await;
        check(&open, ours, &["x-t--id=42", "x-t--env=prod"], &["c1"]).await;
        check(&open, ours, &["x-t--env=prod", "x-t--id=42", "x-t--id"], &["c1"]).await;
        check(&open, ours, &["x-t--id=42", "x-t--id=4"], &[]).await;
        check(&open, ours, &["x-t--id="], &[]).await;
        check(&open, ours, &["x-t--env=prod "], &["c4"]).await;
        check(&open, ours, &["x-t--env=prod", "karbor-k"], &[]).await;
        check(&open, ours, &["karbor-k=42"], &["c5"]).await;
        check(&open, ours, &["x-t--wild"], &[]).await;
        check(&open, Some(OTHER), &["x-t--env="], &["d2"]).await;
        check(&open, Some(OTHER), &["x-t--wild=a%_*'\""], &["d2"]).await;
        check(&open, Some("third"), &["x-t--id"], &[]).await;
        check(&open, None, &["x-t--id=42"], &["c1", "c2", "d1"]).await;
        check(&open, None, &["x-t--id=42", "x-t--env=prod"], &["c1", "d1"]).await;
        check(&open, ours, &[], &["c1", "c2", "c3", "c4", "c5"]).await;
        check(&open, None, &[], &["c1", "c2", "c3", "c4", "c5", "d1", "d2"]).await;
    });
}

#[test]
fn finds_by_provider() {
    on_each(|stage| async move {
        let open = stage.open();
        fill(&stage, &open).await;
        for (provider, number) in [(provider(), 2), (ProviderId::new("else"), 0)] {
            let search = Search {
                provider: Some(provider),
                tenant: Some(TenantId::new(TENANT)),
                terms: vec![term("x-t--id=42")],
                most: 10,
                after: None,
            };
            assert_eq!(open.ledger.matching(search).await.unwrap().kept.len(), number);
        }
    });
}

#[test]
fn finds_neither_reservations_nor_what_is_rolled_back() {
    on_each(|stage| async move {
        let open = stage.open();
        let held = open.hold(TENANT, &[("x-a--k", "v")]).await;
        check(&open, Some(TENANT), &["x-a--k=v"], &[]).await;
        held.roll_back().await.unwrap();
        check(&open, Some(TENANT), &["x-a--k=v"], &[]).await;
        open.keep(TENANT, "c1", &[("x-a--k", "v")]).await;
        check(&open, Some(TENANT), &["x-a--k=v"], &["c1"]).await;
        // Karbor shows it as deleted for a while.
        assert!(open.forget(TENANT, "c1").await);
        check(&open, Some(TENANT), &["x-a--k=v"], &["c1"]).await;
        stage.wait(crate::stage::READABLE);
        open.ledger.sweep().await.unwrap();
        check(&open, Some(TENANT), &["x-a--k=v"], &[]).await;
    });
}

#[test]
fn reads_many_at_once() {
    on_each(|stage| async move {
        let open = stage.open();
        fill(&stage, &open).await;
        let mut ids: Vec<String> = (0..1500).map(|at| format!("none-{at}")).collect();
        ids.extend(["c1", "d2", "c1"].map(String::from));
        let ids: Vec<&str> = ids.iter().map(|id| &**id).collect();
        let mut found: Vec<String> = open.read(&ids).await.iter().map(outline).collect();
        found.sort();
        let expected = [
            format!("{TENANT}/c1 kept x-t--id=42,x-t--env=prod"),
            format!("{OTHER}/d2 kept x-t--env=,x-t--wild=a%_*'\""),
        ];
        assert_eq!(found, expected);
        assert!(open.read(&[]).await.is_empty());
        let elsewhere = open.ledger.read(&ProviderId::new("else"), &[CheckpointId::new("c1")]).await.unwrap();
        assert!(elsewhere.is_empty());
    });
}

/// A ledger grows from nothing while its tables are open, and MariaDB's statistics are of their beginning.
#[test]
fn reads_many_without_walking_the_table() {
    let Some(stage) = Stage::mariadb() else { return };
    run(async {
        let open = stage.open();
        const ENTRIES: i64 = 400;
        for at in 0..ENTRIES {
            open.keep(TENANT, &format!("c{at}"), &[("x-t--id", "42")]).await;
        }
        stage.sql("SET GLOBAL userstat = 1").await;
        let ids: Vec<String> = (0..300).map(|at| format!("none-{at}")).collect();
        let ids: Vec<&str> = ids.iter().map(|id| &**id).collect();
        assert!(open.read(&ids).await.is_empty());
        let rows_read = "SELECT SUM(rows_read) FROM information_schema.table_statistics \
                         WHERE table_schema = DATABASE() AND table_name = 'entry'";
        let read = stage.sql(rows_read).await;
        let read: i64 = read[0][0].parse().unwrap_or(0);
        assert!(read < ENTRIES, "{read} rows of the table were read");
        // It did count.
        stage.sql("SELECT COUNT(*) FROM entry WHERE map <> ''").await;
        let counted: i64 = stage.sql(rows_read).await[0][0].parse().unwrap();
        assert!(counted >= ENTRIES, "{counted}");
    });
}

/// What no column holds is cut, and stays apart from its like.
#[test]
fn takes_names_of_any_length() {
    on_each(|stage| async move {
        let open = stage.open();
        let long = "x".repeat(300);
        let [one, other] = [format!("{long}1"), format!("{long}2")];
        let key = format!("x-{long}--k");
        open.keep(&one, &other, &[(&key, &long)]).await;
        open.keep(&other, &other, &[("x-a--k", "v")]).await;
        assert_eq!(open.read(&[&other]).await.len(), 2);
        check_len(&open, &one, &other).await;
        assert!(open.forget(&one, &other).await);
        assert!(!open.forget(&one, &other).await);
        stage.check_books().await;
    });
}

async fn check_len(open: &Open, tenant: &str, checkpoint: &str) {
    assert!(!open.forget(tenant, tenant).await);
    assert_eq!(find(open, Some(tenant), &[], 10).await.len(), 1);
    assert_eq!(open.read(&[checkpoint]).await.len(), 2);
}

#[test]
fn the_largest_map_is_that_of_the_time_asked_for() {
    on_each(async |stage| {
        let open = stage.open();
        let largest = async |lately| {
            let found =
                open.ledger.largest(&TenantId::new(TENANT), Duration::from_secs(lately)).await.unwrap();
            (found.checkpoints, found.entries, found.bytes)
        };
        assert_eq!(largest(3600).await, (0, 0, 0));
        open.keep(TENANT, "c1", &[("x-a--1", "1234567890")]).await;
        stage.wait(10_000);
        open.keep(TENANT, "c2", &[("x-a--1", "1"), ("x-b--2", "2")]).await;
        open.keep(OTHER, "c3", &[("x-a--1", "1"), ("x-b--2", "2"), ("x-b--3", "3")]).await;
        assert_eq!(largest(3600).await, (2, 2, 16));
        assert_eq!(largest(5).await, (1, 2, 14));
        stage.wait(3_600_001);
        assert_eq!(largest(3600).await, (0, 0, 0));
    });
}

#[test]
fn wholes_come_page_by_page_and_the_size_is_known() {
    on_each(async |stage| {
        let open = stage.open();
        let pages = async |most: usize| {
            let (mut all, mut after) = (Vec::new(), None);
            loop {
                let page = open.ledger.wholes(most, after.as_ref()).await.unwrap();
                assert!(page.len() <= most);
                let Some((last, _)) = page.last() else { return all };
                after = Some(last.clone());
                all.extend(page.into_iter().map(|(tenant, usage)| {
                    (tenant.as_str().to_owned(), usage.checkpoints, usage.entries, usage.bytes)
                }));
            }
        };
        assert_eq!(pages(2).await, []);
        fill(&stage, &open).await;
        for most in [1, 2, 100] {
            let expected = [(TENANT.to_owned(), 5, 9, 94), (OTHER.to_owned(), 2, 4, 44)];
            assert_eq!(pages(most).await, expected, "{most}");
        }
        assert!(open.ledger.size().await.unwrap() > 0);
    });
}
