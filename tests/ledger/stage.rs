//! A ledger of its own for each test, on either engine, by a clock that the test sets.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use karbor_admission::karbor::{CheckpointId, ProviderId, TenantId};
use karbor_admission::ledger::{
    Claim, Clock, Engine, Holding, KeptMap, Ledger, LedgerOptions, LedgerThread, Map, MysqlOptions, MysqlTls,
    Outcome, Password, PasswordSource, Reservation,
};
use karbor_admission::policy::{
    Applications, Enforcement, Limits, Policy, PolicySpec, Quotas, Stances, TenantRules,
};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};

pub(crate) const TENANT: &str = "9a3cfd1e0f9f4b3b8d0f8f0f3a1b2c3d";
pub(crate) const OTHER: &str = "other tenant";
pub(crate) const PROVIDER: &str = "cf56bd3e-97a7-4078-b6d5-f36246333fd9";
pub(crate) const PLAN: &str = "plan-1";
/// 2023-11-14, 22:13:20 UTC.
pub(crate) const START: i64 = 1_700_000_000_000;
pub(crate) const LEASE: i64 = 600_000;
pub(crate) const READABLE: i64 = 3_600_000;
const PATIENCE: Duration = Duration::from_secs(20);

/// Where the server of the tests is: `HOST:PORT:USER:PASSWORD`.
const SERVER: &str = "LEDGER_TEST_MARIADB";
/// The port of another node of the same Galera cluster, where there is one.
const OTHER_NODE: &str = "LEDGER_TEST_MARIADB_NODE";
/// The folder with the authorities of its certificate, where it offers TLS: `ca.pem`, and `other.pem` that is not.
const AUTHORITIES: &str = "LEDGER_TEST_MARIADB_TLS";
/// The port of another server, which takes encrypted connections only, and whose certificate has expired.
const STRICT: &str = "LEDGER_TEST_MARIADB_STRICT";

static NEXT: AtomicU64 = AtomicU64::new(0);

/// Runs a test on each engine.
#[track_caller]
pub(crate) fn on_each<F: Future<Output = ()>>(test: impl Fn(Stage) -> F) {
    for stage in [Some(Stage::sqlite()), Stage::mariadb()].into_iter().flatten() {
        run(test(stage));
    }
}

pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test);
}

/// An empty ledger, not yet open.
pub(crate) struct Stage {
    pub(crate) options: LedgerOptions,
    /// How the ledger gets there, if not straight.
    pub(crate) by_way_of: Option<Engine>,
    clock: Arc<AtomicI64>,
    pub(crate) folder: PathBuf,
}

impl Stage {
    pub(crate) fn sqlite() -> Self {
        let folder = folder();
        Self::with(Engine::Sqlite(folder.join("below/ledger.sqlite")), folder)
    }

    /// None, said aloud, without a server.
    pub(crate) fn mariadb() -> Option<Self> {
        let Some(server) = server() else {
            // Past the test runner, which shows only what failing tests print.
            static SAID: Once = Once::new();
            let words =
                format!("SKIPPED on MariaDB: {SERVER} names no server; tests/ledger/mariadb starts one\n");
            SAID.call_once(|| std::io::stderr().write_all(words.as_bytes()).unwrap());
            return None;
        };
        let database = format!("ledger_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let without = MysqlOptions { database: "mysql".into(), ..server.clone() };
        blocking(async {
            let mut connection = raw_mysql(&without).await;
            let sql = format!("CREATE DATABASE {database}");
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        });
        let engine = Engine::Mysql(MysqlOptions { database: database.into(), ..server });
        Some(Self::with(engine, folder()))
    }

    /// As `mariadb`, with the folder of its authorities and the port of the strict one; none of a cluster.
    pub(crate) fn mariadb_with_tls() -> Option<(Self, PathBuf, u16)> {
        if std::env::var_os(OTHER_NODE).is_some() {
            return None;
        }
        let stage = Self::mariadb()?;
        let folder = std::env::var_os(AUTHORITIES).expect("the folder of the authorities");
        Some((stage, folder.into(), std::env::var(STRICT).unwrap().parse().unwrap()))
    }

    /// The ledger of the process that started this one, which is its owner: `sqlite:PATH` or `mysql:DATABASE`.
    /// Its clock stands still.
    pub(crate) fn of_parent(ledger: &str) -> std::mem::ManuallyDrop<Self> {
        let engine = match ledger.split_once(':').unwrap() {
            ("sqlite", path) => Engine::Sqlite(path.into()),
            (_, database) => Engine::Mysql(MysqlOptions { database: database.into(), ..server().unwrap() }),
        };
        std::mem::ManuallyDrop::new(Self::with(engine, PathBuf::new()))
    }

    fn with(engine: Engine, folder: PathBuf) -> Self {
        let options = LedgerOptions {
            engine,
            timeout: PATIENCE,
            lease: Duration::from_millis(LEASE.unsigned_abs()),
            keep_deleted: Duration::from_millis(READABLE.unsigned_abs()),
            queue: 1024,
            connections: 4,
            migrate: true,
        };
        Self { options, by_way_of: None, clock: Arc::new(AtomicI64::new(START)), folder }
    }

    pub(crate) fn clock(&self) -> Clock {
        Clock::Manual(self.clock.clone())
    }

    pub(crate) fn open(&self) -> Open {
        let engine = self.by_way_of.as_ref().unwrap_or(&self.options.engine).clone();
        let options = LedgerOptions { engine, ..self.options.clone() };
        let (ledger, thread) = Ledger::open_at(&options, self.clock()).unwrap();
        Open { ledger, thread: Some(thread) }
    }

    /// As another proxy has it: by the other node of the cluster, if there is one.
    pub(crate) fn open_elsewhere(&self) -> Open {
        let mut options = self.options.clone();
        if let (Engine::Mysql(server), Ok(port)) = (&mut options.engine, std::env::var(OTHER_NODE)) {
            server.port = port.parse().unwrap();
        }
        let (ledger, thread) = Ledger::open_at(&options, self.clock()).unwrap();
        Open { ledger, thread: Some(thread) }
    }

    pub(crate) fn wait(&self, millis: i64) {
        self.clock.fetch_add(millis, Ordering::AcqRel);
    }

    /// What a statement finds, as text; a null is `-`.
    pub(crate) async fn sql(&self, sql: &str) -> Vec<Vec<String>> {
        let sql = AssertSqlSafe(sql);
        match &self.options.engine {
            Engine::Sqlite(path) => {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).busy_timeout(PATIENCE);
                let mut connection = options.connect().await.unwrap();
                let rows = sqlx::raw_sql(sql).fetch_all(&mut connection).await.unwrap();
                connection.close().await.unwrap();
                let text = |row: &sqlx::sqlite::SqliteRow, at| -> String {
                    row.try_get_unchecked::<Option<String>, _>(at).unwrap().unwrap_or("-".into())
                };
                rows.iter().map(|row| (0..row.len()).map(|at| text(row, at)).collect()).collect()
            }
            Engine::Mysql(server) => {
                let mut connection = raw_mysql(server).await;
                let rows = sqlx::raw_sql(sql).fetch_all(&mut connection).await.unwrap();
                connection.close().await.unwrap();
                let text = |row: &sqlx::mysql::MySqlRow, at| -> String {
                    row.try_get_unchecked::<Option<String>, _>(at).unwrap().unwrap_or("-".into())
                };
                rows.iter().map(|row| (0..row.len()).map(|at| text(row, at)).collect()).collect()
            }
        }
    }

    /// What tenants hold is what their entries add up to, and every row belongs to one.
    pub(crate) async fn check_books(&self) {
        let added = self
            .sql(
                "SELECT s.tenant, s.application, COUNT(*), SUM(s.entries), SUM(s.bytes) FROM share s \
                 JOIN entry e ON e.id = s.entry WHERE e.state IN ('reserved', 'kept') \
                 GROUP BY s.tenant, s.application ORDER BY s.tenant, s.application",
            )
            .await;
        let held = "SELECT tenant, application, checkpoints, entries, bytes FROM holding ORDER BY tenant, application";
        assert_eq!(self.sql(held).await, added, "holdings and shares");
        for stray in [
            "SELECT entry FROM share WHERE entry NOT IN (SELECT id FROM entry)",
            "SELECT entry FROM term WHERE entry NOT IN (SELECT id FROM entry WHERE state IN ('kept', 'deleted'))",
            "SELECT id FROM entry WHERE (checkpoint IS NULL) <> (state IN ('reserved', 'lapsed'))",
            "SELECT id FROM entry WHERE state = 'kept' AND entries > 0 AND id NOT IN (SELECT entry FROM term)",
            "SELECT id FROM entry WHERE entries > 0 AND id NOT IN (SELECT entry FROM share)",
        ] {
            assert_eq!(self.sql(stray).await, Vec::<Vec<String>>::new(), "{stray}");
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
        if let Engine::Mysql(server) = &self.options.engine {
            let server = server.clone();
            blocking(async move {
                let mut connection = raw_mysql(&server).await;
                let sql = format!("DROP DATABASE {}", server.database);
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
            });
        }
    }
}

/// An open ledger; closed when it is dropped.
pub(crate) struct Open {
    pub(crate) ledger: Ledger,
    thread: Option<LedgerThread>,
}

impl Open {
    pub(crate) fn close(mut self) {
        self.thread.take().unwrap().close(PATIENCE).unwrap();
    }

    pub(crate) async fn claim(&self, policy: &Arc<Policy>, tenant: &str, map: &[(&str, &str)]) -> Outcome {
        self.ledger.reserve(claim(policy, tenant, map)).await.unwrap()
    }

    pub(crate) async fn hold(&self, tenant: &str, map: &[(&str, &str)]) -> Reservation {
        match self.claim(&policy(Quotas::UNLIMITED), tenant, map).await {
            Outcome::Held { reservation, .. } => reservation,
            Outcome::Over(over) => panic!("{over:?}"),
        }
    }

    pub(crate) async fn keep(&self, tenant: &str, checkpoint: &str, map: &[(&str, &str)]) {
        let reservation = self.hold(tenant, map).await;
        reservation.commit(&provider(), &CheckpointId::new(checkpoint)).await.unwrap();
    }

    pub(crate) async fn forget(&self, tenant: &str, checkpoint: &str) -> bool {
        let checkpoint = CheckpointId::new(checkpoint);
        self.ledger.forget(&TenantId::new(tenant), &provider(), &checkpoint).await.unwrap()
    }

    pub(crate) async fn read(&self, checkpoints: &[&str]) -> Vec<KeptMap> {
        let checkpoints: Vec<_> = checkpoints.iter().map(|id| CheckpointId::new(*id)).collect();
        self.ledger.read(&provider(), &checkpoints).await.unwrap()
    }

    /// Whose, which, in which state, with what: `tenant/checkpoint kept key=value,…`, in order.
    #[track_caller]
    pub(crate) fn check_read<'s>(
        &'s self,
        checkpoints: &'s [&'s str],
        expected: &'s [&'s str],
    ) -> impl Future<Output = ()> + 's {
        let caller = std::panic::Location::caller();
        async move {
            let mut found: Vec<String> = self.read(checkpoints).await.iter().map(outline).collect();
            found.sort();
            assert_eq!(found, expected, "{caller}");
        }
    }

    /// What a tenant holds: `name checkpoints/entries/bytes`, the whole first, whose name is `all`.
    #[track_caller]
    pub(crate) fn check_usage<'s>(
        &'s self,
        tenant: &'s str,
        expected: &'s [&'s str],
    ) -> impl Future<Output = ()> + 's {
        let caller = std::panic::Location::caller();
        async move {
            let holdings = self.ledger.usage(&TenantId::new(tenant), &Quotas::UNLIMITED).await.unwrap();
            assert_eq!(holdings.iter().map(holding).collect::<Vec<_>>(), expected, "{caller}");
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.close(PATIENCE);
        }
    }
}

pub(crate) fn holding(holding: &Holding) -> String {
    let usage = holding.standing.usage;
    let name = holding.application.as_deref().unwrap_or("all");
    format!("{name} {}/{}/{}", usage.checkpoints, usage.entries, usage.bytes)
}

pub(crate) fn outline(kept: &KeptMap) -> String {
    let map: Vec<String> = kept.map.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let line = format!("{}/{} {} {}", kept.tenant, kept.checkpoint, kept.state.as_str(), map.join(","));
    line.trim_end().to_owned()
}

pub(crate) fn claim(policy: &Arc<Policy>, tenant: &str, entries: &[(&str, &str)]) -> Claim {
    Claim {
        tenant: TenantId::new(tenant),
        provider: Some(provider()),
        plan: PLAN.into(),
        map: map(entries),
        request_id: "req-1".into(),
        policy: policy.clone(),
    }
}

pub(crate) fn map(entries: &[(&str, &str)]) -> Map {
    entries.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

pub(crate) fn provider() -> ProviderId {
    ProviderId::new(PROVIDER)
}

/// These quotas for every tenant, enforced.
pub(crate) fn policy(quotas: Quotas) -> Arc<Policy> {
    let rules = TenantRules {
        limits: Limits::SHIPPED,
        quotas,
        applications: Applications::every(),
        stances: Stances::all(Enforcement::Enforce),
    };
    Arc::new(Policy::new(PolicySpec {
        revision: "r1".into(),
        default: Arc::new(rules),
        tenants: Arc::default(),
        bridged_keys: Vec::new(),
        karbor_keys: Vec::new(),
        violations_reported: 16,
        max_depth: 32,
    }))
}

/// Quotas on the whole alone.
pub(crate) fn on_the_whole(whole: karbor_admission::policy::Quota) -> Quotas {
    Quotas { whole, each: karbor_admission::policy::Quota::UNLIMITED, applications: BTreeMap::new() }
}

fn server() -> Option<MysqlOptions> {
    let server = std::env::var(SERVER).ok()?;
    let [host, port, user, password] = server.splitn(4, ':').collect::<Vec<_>>()[..] else {
        panic!("{SERVER} is not HOST:PORT:USER:PASSWORD")
    };
    Some(MysqlOptions {
        host: host.into(),
        port: port.parse().unwrap(),
        user: user.into(),
        password: PasswordSource::Given(Password::new(password)),
        database: "mysql".into(),
        tls: MysqlTls::Off,
        ca_file: None,
    })
}

async fn raw_mysql(server: &MysqlOptions) -> sqlx::MySqlConnection {
    let options = sqlx::mysql::MySqlConnectOptions::new()
        .host(&server.host)
        .port(server.port)
        .username(&server.user)
        .password(server.password.read().unwrap().unwrap().reveal())
        .database(&server.database)
        .ssl_mode(sqlx::mysql::MySqlSslMode::Disabled);
    options.connect().await.unwrap()
}

/// From within a runtime or without one.
fn blocking(work: impl Future<Output = ()> + Send) {
    std::thread::scope(|scope| {
        let work = scope.spawn(|| {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
        });
        work.join().unwrap();
    });
}

fn folder() -> PathBuf {
    let name = format!("karbor-ledger-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let folder = std::env::temp_dir().join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir(&folder).unwrap();
    folder
}
