//! Random sequences of operations: both engines do what a plain model in memory does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use karbor_admission::karbor::{CheckpointId, TenantId};
use karbor_admission::ledger::{Outcome, Reservation, Search, Sight, Term};
use karbor_admission::policy::{Bound, Policy, Quota, Quotas, Rate, shares};
use proptest::prelude::{Strategy, proptest};
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use proptest::{collection, prop_oneof};

use crate::stage::{LEASE, Open, PLAN, READABLE, Stage, outline, policy, provider, run};

const TENANTS: [&str; 2] = ["one", "two"];
const CHECKPOINTS: [&str; 6] = ["c0", "c1", "c2", "c3", "c4", "c5"];
const MAPS: [&[(&str, &str)]; 4] =
    [&[("x-a--k", "1")], &[("x-a--k", "2"), ("x-b--k", "1")], &[("karbor-k", "1"), ("x-b--l", "é")], &[]];
const MOST: u64 = 4;
const WINDOW: i64 = 400_000;
const MOST_IN_WINDOW: u64 = 5;

#[derive(Clone, Debug)]
enum Step {
    Reserve { tenant: usize, map: usize },
    Commit { held: Index, checkpoint: usize },
    RollBack { held: Index },
    Leave { held: Index },
    Forget { tenant: usize, checkpoint: usize },
    Copy { tenant: usize, original: usize, copy: usize },
    Note { tenant: usize, checkpoint: usize },
    Sight { tenant: usize, checkpoint: usize },
    Wait { millis: i64 },
    Sweep,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (tenant, checkpoint) = (0..TENANTS.len(), 0..CHECKPOINTS.len());
    let held = proptest::prelude::any::<Index>;
    let step = prop_oneof![
        5 => (tenant.clone(), 0..MAPS.len()).prop_map(|(tenant, map)| Step::Reserve { tenant, map }),
        4 => (held(), checkpoint.clone()).prop_map(|(held, checkpoint)| Step::Commit { held, checkpoint }),
        1 => held().prop_map(|held| Step::RollBack { held }),
        1 => held().prop_map(|held| Step::Leave { held }),
        2 => (tenant.clone(), checkpoint.clone()).prop_map(|(tenant, checkpoint)| Step::Forget { tenant, checkpoint }),
        1 => (tenant.clone(), checkpoint.clone(), checkpoint.clone())
            .prop_map(|(tenant, original, copy)| Step::Copy { tenant, original, copy }),
        1 => (tenant.clone(), checkpoint.clone()).prop_map(|(tenant, checkpoint)| Step::Note { tenant, checkpoint }),
        1 => (tenant, checkpoint).prop_map(|(tenant, checkpoint)| Step::Sight { tenant, checkpoint }),
        2 => prop_oneof![1..10_000_i64, proptest::prelude::Just(LEASE), proptest::prelude::Just(READABLE)]
            .prop_map(|millis| Step::Wait { millis }),
        2 => proptest::prelude::Just(Step::Sweep),
    ];
    collection::vec(step, 1..40)
}

fn quotas() -> Quotas {
    let rate = Rate { count: MOST_IN_WINDOW, window: Duration::from_millis(WINDOW.unsigned_abs()) };
    let whole = Quota { creations: Some(rate), ..Quota::UNLIMITED };
    let each = Quota { checkpoints: Bound::AtMost(MOST), ..Quota::UNLIMITED };
    Quotas { whole, each, ..Quotas::UNLIMITED }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reserved,
    Kept,
    Deleted,
    Lapsed,
}

#[derive(Clone, Debug)]
struct Entry {
    id: usize,
    tenant: usize,
    map: usize,
    checkpoint: Option<usize>,
    state: State,
    due: i64,
    /// None for what is no creation by the tenant.
    created: Option<i64>,
}

/// Entries, and nothing that is counted beside them.
#[derive(Default)]
struct Model {
    now: i64,
    entries: Vec<Entry>,
    next: usize,
}

impl Model {
    fn applications(map: usize) -> Vec<String> {
        let shares = shares(MAPS[map].iter().copied());
        shares.into_iter().map(|share| share.application.map_or("all".into(), String::from)).collect()
    }

    fn charged(&self, tenant: usize, application: &str) -> Vec<&Entry> {
        let is_charged = |entry: &&Entry| {
            entry.tenant == tenant
                && matches!(entry.state, State::Reserved | State::Kept)
                && Self::applications(entry.map).iter().any(|name| name == application)
        };
        self.entries.iter().filter(is_charged).collect()
    }

    fn has_room(&self, tenant: usize, map: usize) -> bool {
        let is_recent = |entry: &&Entry| {
            entry.tenant == tenant
                && !MAPS[entry.map].is_empty()
                && entry.created.is_some_and(|at| at > self.now - WINDOW)
        };
        MAPS[map].is_empty()
            || (self.entries.iter().filter(is_recent).count() as u64) < MOST_IN_WINDOW
                && Self::applications(map)
                    .iter()
                    .filter(|name| *name != "all")
                    .all(|name| (self.charged(tenant, name).len() as u64) < MOST)
    }

    fn push(&mut self, tenant: usize, map: usize, checkpoint: Option<usize>, created: Option<i64>) -> usize {
        let state = if checkpoint.is_some() { State::Kept } else { State::Reserved };
        let due = self.now + LEASE;
        self.next += 1;
        self.entries.push(Entry { id: self.next, tenant, map, checkpoint, state, due, created });
        self.next
    }

    fn bound(&mut self, tenant: usize, checkpoint: usize) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.tenant == tenant && entry.checkpoint == Some(checkpoint))
    }

    fn commit(&mut self, entry: &Entry, checkpoint: usize) {
        if self.bound(entry.tenant, checkpoint).is_some_and(|bound| bound.id == entry.id) {
            return;
        }
        self.entries.retain(|other| other.tenant != entry.tenant || other.checkpoint != Some(checkpoint));
        if let Some(known) = self.entries.iter_mut().find(|known| known.id == entry.id) {
            known.state = State::Kept;
            known.checkpoint = Some(checkpoint);
        } else {
            let kept = Entry { state: State::Kept, checkpoint: Some(checkpoint), ..entry.clone() };
            self.entries.push(kept);
        }
    }

    fn sight(&mut self, tenant: usize, checkpoint: usize) -> bool {
        let now = self.now;
        if self.bound(tenant, checkpoint).is_some() {
            return false;
        }
        let mut open: Vec<&mut Entry> = self
            .entries
            .iter_mut()
            .filter(|entry| entry.tenant == tenant && entry.state == State::Reserved && entry.due > now)
            .collect();
        let [entry] = &mut open[..] else { return false };
        entry.state = State::Kept;
        entry.checkpoint = Some(checkpoint);
        true
    }

    fn sweep(&mut self) {
        let now = self.now;
        self.entries
            .retain(|entry| !matches!(entry.state, State::Deleted | State::Lapsed) || entry.due > now);
        for entry in &mut self.entries {
            if entry.state == State::Reserved && entry.due <= now {
                entry.state = State::Lapsed;
                entry.due = now + READABLE;
            }
        }
    }

    fn usage(&self, tenant: usize) -> Vec<String> {
        let mut sums: BTreeMap<String, [usize; 3]> = BTreeMap::from([("all".to_owned(), [0; 3])]);
        for entry in self.charged(tenant, "all") {
            for share in shares(MAPS[entry.map].iter().copied()) {
                let name = share.application.map_or("all".into(), String::from);
                let [checkpoints, entries, bytes] = sums.entry(name).or_default();
                *checkpoints += 1;
                *entries += usize::try_from(share.entries).unwrap();
                *bytes += usize::try_from(share.bytes).unwrap();
            }
        }
        let mut lines: Vec<_> = sums.into_iter().collect();
        lines.sort_by_key(|(name, _)| (name != "all", name.clone()));
        lines.iter().map(|(name, [a, b, c])| format!("{name} {a}/{b}/{c}")).collect()
    }

    fn readable(&self, has: impl Fn(&Entry) -> bool) -> Vec<String> {
        let line = |entry: &Entry| {
            let map: Vec<String> =
                MAPS[entry.map].iter().map(|(key, value)| format!("{key}={value}")).collect();
            let state = if entry.state == State::Kept { "kept" } else { "deleted" };
            let checkpoint = CHECKPOINTS[entry.checkpoint.unwrap()];
            format!("{}/{checkpoint} {state} {}", TENANTS[entry.tenant], map.join(",")).trim_end().to_owned()
        };
        let readable = |entry: &&Entry| matches!(entry.state, State::Kept | State::Deleted) && has(entry);
        let mut lines: Vec<String> = self.entries.iter().filter(readable).map(line).collect();
        lines.sort();
        lines
    }
}

fn id(checkpoint: usize) -> CheckpointId {
    CheckpointId::new(CHECKPOINTS[checkpoint])
}

/// A ledger, the model, and the reservations that nobody has settled.
struct Pair {
    stage: Stage,
    open: Open,
    model: Model,
    held: Vec<(Reservation, Entry)>,
    policy: Arc<Policy>,
}

impl Pair {
    fn take(&mut self, held: &Index) -> Option<(Reservation, Entry)> {
        (!self.held.is_empty()).then(|| self.held.remove(held.index(self.held.len())))
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Reserve { tenant, map } => self.reserve(*tenant, *map).await,
            Step::Commit { .. } | Step::RollBack { .. } | Step::Leave { .. } => self.settle(step).await,
            Step::Wait { millis } => {
                self.model.now += millis;
                self.stage.wait(*millis);
            }
            Step::Sweep => {
                self.open.ledger.sweep().await.unwrap();
                self.model.sweep();
            }
            _ => self.change(step).await,
        }
    }

    async fn reserve(&mut self, tenant: usize, map: usize) {
        let has_room = self.model.has_room(tenant, map);
        match self.open.claim(&self.policy, TENANTS[tenant], MAPS[map]).await {
            Outcome::Held { mut reservation, .. } => {
                assert!(has_room, "{map} of {tenant} was admitted");
                reservation.dispatched();
                let now = self.model.now;
                self.model.push(tenant, map, None, Some(now));
                let entry = self.model.entries.last().unwrap().clone();
                self.held.push((reservation, entry));
            }
            Outcome::Over(over) => assert!(!has_room, "{map} of {tenant}: {over:?}"),
        }
    }

    async fn settle(&mut self, step: &Step) {
        match step {
            Step::Commit { held, checkpoint } => {
                let Some((reservation, entry)) = self.take(held) else { return };
                reservation.commit(&provider(), &id(*checkpoint)).await.unwrap();
                self.model.commit(&entry, *checkpoint);
            }
            Step::RollBack { held } => {
                let Some((reservation, entry)) = self.take(held) else { return };
                reservation.roll_back().await.unwrap();
                self.model.entries.retain(|other| other.id != entry.id);
            }
            Step::Leave { held } => drop(self.take(held)),
            _ => {}
        }
    }

    /// What becomes of checkpoints that exist.
    async fn change(&mut self, step: &Step) {
        let ledger = self.open.ledger.clone();
        let name = |tenant: usize| TenantId::new(TENANTS[tenant]);
        match step {
            Step::Forget { tenant, checkpoint } => {
                let due = self.model.now + READABLE;
                let bound = self.model.bound(*tenant, *checkpoint);
                let expected = bound.filter(|entry| entry.state == State::Kept).map(|entry| {
                    entry.state = State::Deleted;
                    entry.due = due;
                });
                let found = ledger.forget(&name(*tenant), &provider(), &id(*checkpoint)).await.unwrap();
                assert_eq!(found, expected.is_some(), "{step:?}");
            }
            Step::Copy { tenant, original, copy } => {
                let pairs = [(id(*original), id(*copy))];
                let map = self.model.bound(*tenant, *original).map(|entry| entry.map);
                let is_new = map.is_some() && self.model.bound(*tenant, *copy).is_none();
                if let Some(map) = map.filter(|_| is_new) {
                    self.model.push(*tenant, map, Some(*copy), None);
                }
                let copied = ledger.copied(&name(*tenant), &provider(), PLAN, &pairs, "r").await.unwrap();
                assert_eq!(copied, u64::from(is_new), "{step:?}");
            }
            Step::Note { tenant, checkpoint } => {
                ledger.note(&name(*tenant), &provider(), PLAN, &id(*checkpoint), "r");
                if self.model.bound(*tenant, *checkpoint).is_none() {
                    self.model.push(*tenant, 3, Some(*checkpoint), None);
                }
                // One connection: what is asked later is carried out later.
                assert!(
                    !ledger.forget(&name(*tenant), &provider(), &CheckpointId::new("none")).await.unwrap()
                );
            }
            Step::Sight { tenant, checkpoint } => {
                let sight = Sight {
                    tenant: name(*tenant),
                    provider: provider(),
                    plan: PLAN.into(),
                    checkpoint: id(*checkpoint),
                    created_on: Some("2038-01-01".into()),
                };
                let tied = ledger.sighted(vec![sight]).await.unwrap();
                assert_eq!(!tied.is_empty(), self.model.sight(*tenant, *checkpoint), "{step:?}");
            }
            _ => {}
        }
    }

    async fn compare(&self) {
        for (at, tenant) in TENANTS.iter().enumerate() {
            let expected = self.model.usage(at);
            let expected: Vec<&str> = expected.iter().map(|line| &**line).collect();
            self.open.check_usage(tenant, &expected).await;
        }
        let mut read: Vec<String> = self.open.read(&CHECKPOINTS).await.iter().map(outline).collect();
        read.sort();
        assert_eq!(read, self.model.readable(|_| true));
        for key in ["x-a--k", "x-b--k", "karbor-k"] {
            for value in [None, Some("1")] {
                let terms = vec![Term { key: key.into(), value: value.map(Into::into) }];
                let search = Search { terms, most: 100, ..Search::default() };
                let found = self.open.ledger.matching(search).await.unwrap().kept;
                let mut found: Vec<String> = found.into_iter().map(|kept| outline(&kept.into())).collect();
                found.sort();
                let fits = |entry: &Entry| {
                    MAPS[entry.map].iter().any(|(k, v)| *k == key && value.is_none_or(|value| value == *v))
                };
                assert_eq!(found, self.model.readable(fits), "{key} {value:?}");
            }
        }
        self.stage.check_books().await;
    }
}

fn check(mut stage: Stage, steps: &[Step]) {
    stage.options.connections = 1;
    run(async {
        let open = stage.open();
        let model = Model { now: crate::stage::START, ..Model::default() };
        let mut pair = Pair { stage, open, model, held: Vec::new(), policy: policy(quotas()) };
        for step in steps {
            pair.step(step).await;
        }
        pair.compare().await;
    });
}

proptest! {
    #![proptest_config(Config { cases: 48, failure_persistence: None, ..Config::default() })]

    #[test]
    fn sqlite_does_as_the_model(steps in steps()) {
        check(Stage::sqlite(), &steps);
    }
}

#[test]
fn mariadb_does_as_the_model() {
    if Stage::mariadb().is_none() {
        return;
    }
    let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&steps(), |steps| {
            check(Stage::mariadb().unwrap(), &steps);
            Ok(())
        })
        .unwrap();
}
