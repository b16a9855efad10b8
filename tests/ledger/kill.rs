//! Killed at any instant: this test's own executable, run again as a child that uses a ledger, is killed many
//! times. What it had confirmed by then must stand, and nothing may be counted that does not.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use karbor_admission::karbor::{CheckpointId, TenantId};
use karbor_admission::ledger::{Engine, Ledger, Outcome};
use karbor_admission::policy::{Bound, Policy, Quota};

use crate::stage::{LEASE, Open, Stage, TENANT, claim, on_the_whole, outline, policy, provider, run};

/// Tells the child which ledger, and which name its checkpoints have.
const LEDGER: &str = "LEDGER_TEST_CHILD";
const NAME: &str = "LEDGER_TEST_CHILD_NAME";
const WORKERS: usize = 4;
const KILLS: usize = 50;
const MOST: u64 = 30;

fn quota() -> Arc<Policy> {
    policy(on_the_whole(Quota { checkpoints: Bound::AtMost(MOST), ..Quota::UNLIMITED }))
}

fn map_of(checkpoint: &str) -> [(String, String); 2] {
    [
        ("x-a--id".to_owned(), checkpoint.to_owned()),
        ("x-b--pad".to_owned(), "p".repeat(checkpoint.len() * 37 % 2000)),
    ]
}

/// Says what is done and what is about to be, in whole lines.
fn say(words: &str) {
    let line = format!("ledger {words}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}

async fn work(ledger: Ledger, name: String) {
    let policy = quota();
    for at in 0.. {
        let checkpoint = format!("{name}-{at}");
        let map = map_of(&checkpoint);
        let map: Vec<(&str, &str)> = map.iter().map(|(key, value)| (&**key, &**value)).collect();
        match ledger.reserve(claim(&policy, TENANT, &map)).await.unwrap() {
            Outcome::Held { reservation, .. } if at % 3 == 1 => {
                let id = reservation.id().to_owned();
                reservation.roll_back().await.unwrap();
                say(&format!("rolled-back {id}"));
            }
            Outcome::Held { mut reservation, .. } => {
                reservation.dispatched();
                say(&format!("created {checkpoint}"));
                reservation.commit(&provider(), &CheckpointId::new(&*checkpoint)).await.unwrap();
                say(&format!("kept {checkpoint}"));
            }
            Outcome::Over(_) => say(&format!("over {checkpoint}")),
        }
        if at % 3 == 2 {
            let old = format!("{name}-{}", at - 2);
            say(&format!("deleting {old}"));
            ledger.forget(&TenantId::new(TENANT), &provider(), &CheckpointId::new(&*old)).await.unwrap();
            say(&format!("deleted {old}"));
        }
    }
}

/// Not a test of its own: what the child does, until it is killed.
#[test]
fn child() {
    let Ok(ledger) = std::env::var(LEDGER) else { return };
    let stage = Stage::of_parent(&ledger);
    let name = std::env::var(NAME).unwrap();
    let open = stage.open();
    run(async {
        let mut workers = tokio::task::JoinSet::new();
        for worker in 0..WORKERS {
            workers.spawn(work(open.ledger.clone(), format!("{name}-{worker}")));
        }
        workers.join_all().await;
    });
}

fn start(stage: &Stage, name: &str) -> Child {
    let ledger = match &stage.options.engine {
        Engine::Sqlite(path) => format!("sqlite:{}", path.display()),
        Engine::Mysql(server) => format!("mysql:{}", server.database),
    };
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--nocapture", "--test-threads=1"])
        .env(LEDGER, ledger)
        .env(NAME, name)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// What children said so far.
#[derive(Default)]
struct Said(BTreeMap<String, BTreeSet<String>>);

impl Said {
    fn note(&mut self, line: &str) -> bool {
        let Some((_, words)) = line.split_once("ledger ") else { return false };
        let Some((what, which)) = words.trim_end().split_once(' ') else { return false };
        self.0.entry(what.to_owned()).or_default().insert(which.to_owned())
    }

    fn all(&self, what: &str) -> BTreeSet<String> {
        self.0.get(what).cloned().unwrap_or_default()
    }
}

/// Lets a child work for so many lines and a moment more, kills it, and takes what else it had said.
fn kill_after(stage: &Stage, name: &str, lines: usize, moment: Duration, said: &mut Said) {
    let mut child = start(stage, name);
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut seen = 0;
    while seen < lines {
        let mut line = String::new();
        assert!(out.read_line(&mut line).unwrap() > 0, "the child ended by itself");
        seen += usize::from(said.note(&line));
    }
    let until = Instant::now() + moment;
    while Instant::now() < until {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // A last line may be half.
    for line in out.lines().map_while(Result::ok) {
        said.note(&line);
    }
}

async fn check_standing(stage: &Stage, open: &Open, said: &Said) {
    stage.check_books().await;
    let [created, kept, deleting, deleted] =
        ["created", "kept", "deleting", "deleted"].map(|what| said.all(what));
    let names: Vec<&str> = created.iter().map(|name| &**name).collect();
    let found: BTreeMap<String, String> =
        open.read(&names).await.iter().map(|kept| (kept.checkpoint.to_string(), outline(kept))).collect();
    for name in &kept {
        let map = map_of(name).map(|(key, value)| format!("{key}={value}")).join(",");
        let states: &[&str] = if deleted.contains(name) {
            &["deleted"]
        } else if deleting.contains(name) {
            &["kept", "deleted"]
        } else {
            &["kept"]
        };
        let expected: Vec<String> =
            states.iter().map(|state| format!("{TENANT}/{name} {state} {map}")).collect();
        let found = found.get(name).unwrap_or_else(|| panic!("{name} was confirmed, and is lost"));
        assert!(expected.contains(found), "{name}: {found}");
    }
    let ids = stage.sql("SELECT id FROM entry").await;
    for id in said.all("rolled-back") {
        assert!(!ids.contains(&vec![id.clone()]), "{id} was rolled back, and is there");
    }
}

fn check(stage: Stage) {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    // Made here, so that a child that is killed while it starts leaves something to look at.
    stage.open().close();
    run(async {
        let mut said = Said::default();
        for round in 0..KILLS {
            let (lines, moment) = (random.usize(0..60), Duration::from_micros(random.u64(0..4000)));
            kill_after(&stage, &format!("r{round}"), lines, moment, &mut said);
            let open = stage.open();
            check_standing(&stage, &open, &said).await;
            let charged = stage.sql("SELECT COUNT(*) FROM entry WHERE state IN ('reserved', 'kept')").await;
            assert!(charged[0][0].parse::<u64>().unwrap() <= MOST, "seed {seed}: {charged:?}");
            if round % 10 == 9 {
                // The leases end: what nobody confirmed is charged no more. Nothing is old enough to be purged.
                stage.wait(LEASE);
                while open.ledger.sweep().await.unwrap().more {}
                check_standing(&stage, &open, &said).await;
                let states = stage.sql("SELECT state FROM entry WHERE state = 'reserved'").await;
                assert!(states.is_empty(), "seed {seed}: {states:?}");
                make_room(&stage, &open, &mut said).await;
            }
        }
        for what in ["kept", "deleted", "rolled-back"] {
            assert!(!said.all(what).is_empty(), "seed {seed}: no child came to say {what}");
        }
    });
}

/// Deletes every checkpoint, so that the next children find room.
async fn make_room(stage: &Stage, open: &Open, said: &mut Said) {
    for row in stage.sql("SELECT checkpoint FROM entry WHERE state = 'kept'").await {
        assert!(open.forget(TENANT, &row[0]).await);
        said.note(&format!("ledger deleting {}", row[0]));
        said.note(&format!("ledger deleted {}", row[0]));
    }
    open.check_usage(TENANT, &["all 0/0/0"]).await;
}

#[test]
fn sqlite_survives_being_killed() {
    check(Stage::sqlite());
}

#[test]
fn mariadb_survives_its_proxy_being_killed() {
    if let Some(stage) = Stage::mariadb() {
        check(stage);
    }
}
