//! A database that is slow, held by others, or gone in the middle of anything.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use karbor_admission::karbor::{CheckpointId, TenantId};
use karbor_admission::ledger::{Engine, LedgerError, MysqlOptions, Outcome, Reservation};
use karbor_admission::policy::Quotas;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::stage::{Open, Stage, TENANT, claim, outline, policy, provider, run};

const MAP: &[(&str, &str)] = &[("x-a--k", "v")];
const SHORT: Duration = Duration::from_secs(1);
/// So long at most for what should come by itself.
const SOON: Duration = Duration::from_secs(30);

/// Between the ledger and its server: cuts one connection at one moment, or lets nothing through.
struct Wire {
    /// Commands since the last reset.
    commands: AtomicUsize,
    cut_at: AtomicUsize,
    /// Cut before the command reaches the server, or after, before its answer comes back.
    before: AtomicBool,
    is_stuck: AtomicBool,
}

impl Wire {
    fn before(server: SocketAddr) -> (Arc<Self>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let wire = Arc::new(Self {
            commands: AtomicUsize::new(0),
            cut_at: AtomicUsize::new(usize::MAX),
            before: AtomicBool::new(true),
            is_stuck: AtomicBool::new(false),
        });
        let all = wire.clone();
        // Ends with the process.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server, wire) =
                    (client.unwrap(), TcpStream::connect(server).unwrap(), all.clone());
                std::thread::spawn(move || wire.serve(client, server));
            }
        });
        (wire, address)
    }

    fn serve(self: Arc<Self>, mut client: TcpStream, mut server: TcpStream) {
        let (mut answers, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        let wire = self.clone();
        let muted = Arc::new(AtomicBool::new(false));
        let is_muted = muted.clone();
        std::thread::spawn(move || {
            wire.copy(&mut answers, &mut back, || !is_muted.load(Ordering::Acquire));
            let _ = back.shutdown(Shutdown::Both);
        });
        self.copy(&mut client, &mut server, || {
            let is_cut = self.commands.fetch_add(1, Ordering::AcqRel) == self.cut_at.load(Ordering::Acquire);
            if is_cut && !self.before.load(Ordering::Acquire) {
                muted.store(true, Ordering::Release);
            }
            !is_cut || !self.before.load(Ordering::Acquire)
        });
        let _ = server.shutdown(Shutdown::Both);
        let _ = client.shutdown(Shutdown::Both);
    }

    /// Chunk by chunk: a command is one, since each waits for its answer.
    fn copy(&self, from: &mut TcpStream, to: &mut TcpStream, mut may_pass: impl FnMut() -> bool) {
        let mut chunk = [0; 65536];
        loop {
            let read = match from.read(&mut chunk) {
                Ok(0) => return,
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            while self.is_stuck.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(1));
            }
            if !may_pass() || to.write_all(&chunk[..read]).is_err() {
                return;
            }
        }
    }

    fn cut(&self, at: usize, before: bool) {
        self.before.store(before, Ordering::Release);
        self.commands.store(0, Ordering::Release);
        self.cut_at.store(at, Ordering::Release);
    }

    fn commands(&self) -> usize {
        self.commands.load(Ordering::Acquire)
    }
}

/// A ledger on MariaDB with a wire between.
fn wired() -> Option<(Stage, Arc<Wire>)> {
    let mut stage = Stage::mariadb()?;
    let Engine::Mysql(server) = stage.options.engine.clone() else { panic!() };
    let address = format!("{}:{}", server.host, server.port).parse().unwrap();
    let (wire, address) = Wire::before(address);
    stage.options.connections = 1;
    stage.by_way_of = Some(Engine::Mysql(MysqlOptions { port: address.port(), ..server }));
    Some((stage, wire))
}

/// Every kind of write; each is confirmed.
async fn live(open: &Open, name: &str) {
    let [kept, gone] = ["kept", "gone"].map(|what| format!("{name}-{what}"));
    open.hold(TENANT, MAP).await.roll_back().await.unwrap();
    open.keep(TENANT, &gone, MAP).await;
    open.forget(TENANT, &gone).await;
    open.keep(TENANT, &kept, MAP).await;
    let pairs = [(CheckpointId::new(&*kept), CheckpointId::new(format!("{name}-copy")))];
    open.ledger.copied(&TenantId::new(TENANT), &provider(), "p", &pairs, "r").await.unwrap();
}

#[test]
fn a_connection_may_be_lost_at_every_command() {
    let Some((stage, wire)) = wired() else { return };
    run(async {
        let open = stage.open();
        wire.cut(usize::MAX, true);
        live(&open, "uncut").await;
        let commands = wire.commands();
        assert!(commands > 30, "{commands}");
        for before in [true, false] {
            for at in 0..commands {
                let name = format!("{before}-{at}");
                wire.cut(at, before);
                live(&open, &name).await;
                wire.cut(usize::MAX, true);
                let names = ["kept", "gone", "copy"].map(|what| format!("{name}-{what}"));
                let names: Vec<&str> = names.iter().map(|name| &**name).collect();
                let mut found: Vec<String> = open.read(&names).await.iter().map(outline).collect();
                found.sort();
                let expected = [("copy", "kept"), ("gone", "deleted"), ("kept", "kept")]
                    .map(|(what, state)| format!("{TENANT}/{name}-{what} {state} x-a--k=v"));
                assert_eq!(found, expected, "cut before: {before}, at {at}");
            }
            stage.check_books().await;
            let open_ones = stage.sql("SELECT id FROM entry WHERE state = 'reserved'").await;
            assert!(open_ones.is_empty(), "{open_ones:?}");
        }
    });
}

#[test]
fn a_server_that_does_not_answer_holds_nobody_up() {
    let Some((mut stage, wire)) = wired() else { return };
    stage.options.timeout = SHORT;
    run(async {
        let open = stage.open();
        open.keep(TENANT, "c1", MAP).await;
        let held = open.hold(TENANT, MAP).await;
        wire.is_stuck.store(true, Ordering::Release);
        let begun = Instant::now();
        let unlimited = policy(Quotas::UNLIMITED);
        assert!(open.ledger.reserve(claim(&unlimited, TENANT, MAP)).await.is_err());
        assert!(open.ledger.read(&provider(), &[CheckpointId::new("c1")]).await.is_err());
        assert!(held.commit(&provider(), &CheckpointId::new("c2")).await.is_err());
        assert!(begun.elapsed() < SHORT * 10, "{:?}", begun.elapsed());
        wire.is_stuck.store(false, Ordering::Release);
        // What was confirmed by Karbor is written by itself.
        kept_soon(&open, "c2").await;
        stage.check_books().await;
    });
}

/// Polls until the checkpoint's map is there.
async fn kept_soon(open: &Open, checkpoint: &str) {
    let until = Instant::now() + SOON;
    loop {
        let found = open.ledger.read(&provider(), &[CheckpointId::new(checkpoint)]).await;
        if found.is_ok_and(|found| found.len() == 1) {
            return;
        }
        assert!(Instant::now() < until, "{checkpoint} is not kept");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A file whose lock another program holds.
async fn locked(stage: &Stage) -> sqlx::SqliteConnection {
    let Engine::Sqlite(path) = &stage.options.engine else { panic!() };
    let mut other = sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    other
}

#[test]
fn a_locked_file_holds_nobody_up() {
    let mut stage = Stage::sqlite();
    stage.options.timeout = SHORT;
    run(async {
        let open = stage.open();
        open.keep(TENANT, "c1", MAP).await;
        let held = open.hold(TENANT, MAP).await;
        let other = locked(&stage).await;
        let begun = Instant::now();
        let unlimited = policy(Quotas::UNLIMITED);
        let refused = open.ledger.reserve(claim(&unlimited, TENANT, MAP)).await.unwrap_err();
        assert!(matches!(refused, LedgerError::Timeout(_) | LedgerError::Contended(_)), "{refused:?}");
        assert!(held.commit(&provider(), &CheckpointId::new("c2")).await.is_err());
        // Who only reads is not held up at all.
        assert_eq!(open.read(&["c1", "c2"]).await.len(), 1);
        assert!(begun.elapsed() < SHORT * 10, "{:?}", begun.elapsed());
        other.close().await.unwrap();
        kept_soon(&open, "c2").await;
        open.check_usage(TENANT, &["all 2/2/14", "a 2/2/14"]).await;
        stage.check_books().await;
    });
}

#[test]
fn a_full_queue_refuses_at_once() {
    let mut stage = Stage::sqlite();
    stage.options.queue = 2;
    run(async {
        let open = stage.open();
        let other = locked(&stage).await;
        let unlimited = policy(Quotas::UNLIMITED);
        let mut claims = tokio::task::JoinSet::new();
        for _ in 0..200 {
            let (ledger, policy) = (open.ledger.clone(), unlimited.clone());
            claims.spawn(async move { ledger.reserve(claim(&policy, TENANT, MAP)).await });
        }
        let mut full = 0;
        while full < 100 {
            match claims.join_next().await.unwrap().unwrap() {
                Err(LedgerError::Full) => full += 1,
                other => panic!("{other:?}"),
            }
        }
        other.close().await.unwrap();
        let mut held: Vec<Reservation> = Vec::new();
        for outcome in claims.join_all().await {
            match outcome {
                Ok(Outcome::Held { reservation, .. }) => held.push(reservation),
                Err(LedgerError::Full) => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(!held.is_empty());
        stage.check_books().await;
    });
}

/// The caller of a reservation gave up while it was being written.
#[test]
fn a_reservation_that_nobody_waits_for_is_taken_back() {
    let stage = Stage::sqlite();
    run(async {
        let open = stage.open();
        let unlimited = policy(Quotas::UNLIMITED);
        for micros in (0..2000).step_by(50) {
            let reserve = open.ledger.reserve(claim(&unlimited, TENANT, MAP));
            let _ = tokio::time::timeout(Duration::from_micros(micros), reserve).await;
        }
        let until = Instant::now() + SOON;
        while !stage.sql("SELECT id FROM entry").await.is_empty() {
            assert!(Instant::now() < until, "a reservation is left");
        }
        open.check_usage(TENANT, &["all 0/0/0"]).await;
    });
}
