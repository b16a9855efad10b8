//! What the ledger takes: writes on an empty one, reads and searches by the number of entries.
//!
//! `cargo bench --bench ledger -- FOLDER MOST` fills up to MOST entries (10 000) in a new file in FOLDER (the
//! temporary folder), or in a new database of the server that `LEDGER_TEST_MARIADB` names
//! (`tests/ledger/mariadb cargo bench --bench ledger`). Figures are of the machine and its disk.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a bench tells and fails aloud")]

use std::io::{BufReader, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use karbor_admission::karbor::{CheckpointId, ProviderId, TenantId};
use karbor_admission::ledger::{
    Claim, Console, Engine, Ledger, LedgerOptions, MysqlOptions, MysqlTls, Outcome, Password, PasswordSource,
    Search, Term,
};
use karbor_admission::policy::{
    Applications, Bound, Enforcement, Limits, Policy, PolicySpec, Quota, Quotas, Rate, Stances, TenantRules,
};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _};

const PROVIDER: &str = "cf56bd3e-97a7-4078-b6d5-f36246333fd9";
/// Tenants that the entries are spread over.
const TENANTS: usize = 100;
const SEQUENTIAL: usize = 500;
const CONCURRENT: usize = 4000;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let most = arguments.next().map_or(10_000, |most| most.parse().unwrap());
    let name = format!("ledger_bench_{}", std::process::id());
    let engine = match std::env::var("LEDGER_TEST_MARIADB") {
        Ok(server) => mariadb(&server, &name),
        Err(_) => Engine::Sqlite(folder.join(&name).join("ledger.sqlite")),
    };
    println!("{engine:?}");
    let options = LedgerOptions {
        engine,
        timeout: Duration::from_secs(60),
        lease: Duration::from_secs(600),
        keep_deleted: Duration::from_secs(86400),
        queue: 8192,
        connections: 8,
        migrate: true,
    };
    let (ledger, thread) = Ledger::open(&options).unwrap();
    block_on(writes(&ledger));
    let mut filled = 0;
    let mut size = 1000;
    while size <= most {
        fill(&options, filled, size);
        filled = size;
        println!("-- {size} entries");
        block_on(reads(&ledger, size));
        size *= 10;
    }
    block_on(plans(&options));
    thread.close(Duration::from_secs(60)).unwrap();
    match &options.engine {
        Engine::Sqlite(path) => {
            println!("file: {} MiB", std::fs::metadata(path).unwrap().len() >> 20);
            std::fs::remove_dir_all(folder.join(&name)).unwrap();
        }
        Engine::Mysql(_) => {}
    }
}

fn mariadb(server: &str, database: &str) -> Engine {
    let [host, port, user, password] = server.splitn(4, ':').collect::<Vec<_>>()[..] else {
        panic!("{server}")
    };
    let server = MysqlOptions {
        host: host.into(),
        port: port.parse().unwrap(),
        user: user.into(),
        password: PasswordSource::Given(Password::new(password)),
        database: "mysql".into(),
        tls: MysqlTls::Off,
        ca_file: None,
    };
    block_on(async {
        let sql = format!("CREATE DATABASE {database}");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut raw(&server).await).await.unwrap();
    });
    Engine::Mysql(MysqlOptions { database: database.into(), ..server })
}

async fn raw(server: &MysqlOptions) -> sqlx::MySqlConnection {
    let password = server.password.read().unwrap().unwrap();
    let options = sqlx::mysql::MySqlConnectOptions::new()
        .host(&server.host)
        .port(server.port)
        .username(&server.user)
        .password(password.reveal())
        .database(&server.database)
        .ssl_mode(sqlx::mysql::MySqlSslMode::Disabled);
    options.connect().await.unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn policy(quotas: Quotas) -> Arc<Policy> {
    let rules = TenantRules {
        limits: Limits::SHIPPED,
        quotas,
        applications: Applications::every(),
        stances: Stances::all(Enforcement::Enforce),
    };
    Arc::new(Policy::new(PolicySpec {
        revision: "bench".into(),
        default: Arc::new(rules),
        tenants: Arc::default(),
        bridged_keys: Vec::new(),
        karbor_keys: Vec::new(),
        violations_reported: 16,
        max_depth: 32,
    }))
}

/// A map as the feature's own example has it.
fn map(at: usize) -> Vec<(Box<str>, Box<str>)> {
    let environment = if at.is_multiple_of(2) { "prod" } else { "test" };
    [
        ("x-trigger-master--trigger-id", (at / 5).to_string()),
        ("x-trigger-master--environment", environment.to_owned()),
        ("karbor-created-by", "manual".to_owned()),
    ]
    .map(|(key, value)| (key.into(), value.into()))
    .into()
}

async fn create(ledger: Ledger, policy: Arc<Policy>, tenant: String, at: usize) -> [Duration; 2] {
    let claim = Claim {
        tenant: TenantId::new(tenant),
        provider: Some(ProviderId::new(PROVIDER)),
        plan: "plan".into(),
        map: map(at),
        request_id: "req-7f0d0f2e-2a5c-4b6c-9d1e-000000000000".into(),
        policy,
    };
    let begun = Instant::now();
    let Outcome::Held { mut reservation, .. } = ledger.reserve(claim).await.unwrap() else {
        panic!("no room")
    };
    let reserved = begun.elapsed();
    reservation.dispatched();
    let begun = Instant::now();
    reservation.commit(&ProviderId::new(PROVIDER), &CheckpointId::new(format!("write-{at}"))).await.unwrap();
    [reserved, begun.elapsed()]
}

fn quantiles(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e3;
    println!("{name:44} p50 {:8.2} ms   p99 {:8.2} ms", at(50), at(99));
}

async fn writes(ledger: &Ledger) {
    let bound = Quota {
        checkpoints: Bound::AtMost(1_000_000),
        creations: Some(Rate { count: 1_000_000, window: Duration::from_secs(1) }),
        ..Quota::UNLIMITED
    };
    let unlimited = policy(Quotas::UNLIMITED);
    let bounded = policy(Quotas { whole: bound, each: bound, ..Quotas::UNLIMITED });
    for (name, policy) in [("without quotas", &unlimited), ("with quotas and a rate", &bounded)] {
        let base = if name == "without quotas" { 0 } else { 100_000 };
        let mut times = [Vec::new(), Vec::new()];
        for at in 0..SEQUENTIAL {
            let taken = create(ledger.clone(), policy.clone(), "alone".into(), base + at).await;
            for (times, taken) in times.iter_mut().zip(taken) {
                times.push(taken);
            }
        }
        let [reserve, commit] = times;
        quantiles(&format!("reserve, one at a time, {name}"), reserve);
        quantiles(&format!("commit, one at a time, {name}"), commit);
        for (who, tenants) in [("one tenant", 1), ("32 tenants", 32)] {
            let begun = Instant::now();
            let mut workers = tokio::task::JoinSet::new();
            for worker in 0..32 {
                let (ledger, policy) = (ledger.clone(), policy.clone());
                workers.spawn(async move {
                    for at in 0..CONCURRENT / 32 {
                        let at = base + 10_000 * tenants + worker * 1000 + at;
                        create(ledger.clone(), policy.clone(), format!("many-{}", worker % tenants), at)
                            .await;
                    }
                });
            }
            workers.join_all().await;
            let rate = (CONCURRENT / 32 * 32) as f64 / begun.elapsed().as_secs_f64();
            println!("32 at once, {who}, {name:24} {rate:8.0} creations/s");
        }
    }
    println!("{:?}", ledger.counts());
}

/// Lines of an export, made up as they are read.
struct Lines {
    at: usize,
    end: usize,
    waiting: Vec<u8>,
}

impl Read for Lines {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.waiting.is_empty() && self.at < self.end {
            let at = self.at;
            let map: Vec<String> = map(at).iter().map(|(key, value)| format!("{key:?}:{value:?}")).collect();
            let line = format!(
                r#"{{"id":"{at:032x}","tenant":"tenant-{}","provider":"{PROVIDER}","plan":"plan","checkpoint":"filled-{at}","state":"kept","extra_info":{{{}}},"reserved_at":{at},"changed_at":{at},"due_at":null,"created_at":{at},"request_id":"r","revision":"bench"}}"#,
                at % TENANTS,
                map.join(",")
            );
            self.waiting = format!("{line}\n").into_bytes();
            self.at += 1;
        }
        let number = out.len().min(self.waiting.len());
        out[..number].copy_from_slice(&self.waiting[..number]);
        self.waiting.drain(..number);
        Ok(number)
    }
}

fn fill(options: &LedgerOptions, from: usize, to: usize) {
    let heading = "{\"karbor_admission_ledger\":1}\n".as_bytes().to_vec();
    let lines = BufReader::new(Lines { at: from, end: to, waiting: heading });
    let begun = Instant::now();
    let done = Console::open(options).unwrap().import(lines, |_| {}).unwrap();
    println!("import: {:.0} entries/s", done.new as f64 / begun.elapsed().as_secs_f64());
}

async fn reads(ledger: &Ledger, size: usize) {
    let provider = ProviderId::new(PROVIDER);
    for page in [1, 1000] {
        let mut times = Vec::new();
        for run in 0..50 {
            let ids: Vec<_> = (0..page)
                .map(|at| CheckpointId::new(format!("filled-{}", (run * 7919 + at) % size)))
                .collect();
            let begun = Instant::now();
            assert_eq!(ledger.read(&provider, &ids).await.unwrap().len(), page);
            times.push(begun.elapsed());
        }
        quantiles(&format!("read {page}"), times);
    }
    const TRIGGER: &str = "x-trigger-master--trigger-id";
    const ENVIRONMENT: &str = "x-trigger-master--environment";
    type Searched = (&'static str, bool, &'static [(&'static str, Option<&'static str>)], usize);
    let searches: [Searched; 5] = [
        ("of a tenant, KEY=VALUE", true, &[(TRIGGER, Some("*"))], 1000),
        (
            "of a tenant, KEY=VALUE and a common KEY=VALUE",
            true,
            &[(ENVIRONMENT, Some("prod")), (TRIGGER, Some("*"))],
            1000,
        ),
        ("of all tenants, KEY=VALUE", false, &[(TRIGGER, Some("*"))], 1000),
        ("of a tenant, KEY alone, a page of 1000", true, &[(TRIGGER, None)], 1000),
        (
            "of a tenant, two common KEY=VALUE, page of 100",
            true,
            &[(ENVIRONMENT, Some("prod")), ("karbor-created-by", Some("manual"))],
            100,
        ),
    ];
    for (name, of_tenant, terms, most) in searches {
        let (mut times, mut found) = (Vec::new(), 0);
        for run in 0..50 {
            let value = (run * 104_729 % size) / 5;
            let term = |(key, wanted): &(&str, Option<&str>)| Term {
                key: (*key).into(),
                value: wanted
                    .map(|wanted| if wanted == "*" { value.to_string().into() } else { wanted.into() }),
            };
            let search = Search {
                tenant: of_tenant.then(|| TenantId::new(format!("tenant-{}", (value * 5) % TENANTS))),
                terms: terms.iter().map(term).collect(),
                most,
                ..Search::default()
            };
            let begun = Instant::now();
            found = ledger.matching(search).await.unwrap().kept.len();
            times.push(begun.elapsed());
        }
        quantiles(&format!("{name} ({found} found)"), times);
    }
}

/// How the engine goes about a search of two terms, a read, and a rate.
async fn plans(options: &LedgerOptions) {
    let search = "SELECT e.id FROM term t0 CROSS JOIN term t1 ON t1.digest = 2 AND t1.tenant = t0.tenant \
                  AND t1.entry = t0.entry CROSS JOIN entry e ON e.id = t0.entry WHERE e.state IN ('kept', 'deleted') \
                  AND t0.digest = 1 AND t0.tenant = 'tenant-1' ORDER BY t0.entry LIMIT 1001";
    let forced = match &options.engine {
        Engine::Sqlite(_) => "",
        Engine::Mysql(_) => "FORCE INDEX (checkpoint)",
    };
    let names: Vec<String> = (0..1024).map(|at| format!("'filled-{at}'")).collect();
    let names = names.join(", ");
    let read =
        &format!("SELECT e.map FROM entry e {forced} WHERE e.provider = 'p' AND e.checkpoint IN ({names})");
    let rate =
        "SELECT COUNT(*) FROM share WHERE tenant = 'tenant-1' AND application = '' AND reserved_at > 5";
    let due = "SELECT id, state FROM entry WHERE due_at <= 5 ORDER BY due_at LIMIT 100";
    for sql in [search, read, rate, due] {
        println!("{sql:.300}");
        match &options.engine {
            Engine::Sqlite(path) => {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
                let sql = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
                for row in sqlx::raw_sql(sql).fetch_all(&mut options.connect().await.unwrap()).await.unwrap()
                {
                    println!("    {}", row.get::<String, _>(3));
                }
            }
            Engine::Mysql(server) => {
                let sql = AssertSqlSafe(format!("EXPLAIN {sql}"));
                for row in sqlx::raw_sql(sql).fetch_all(&mut raw(server).await).await.unwrap() {
                    let text =
                        |at| row.try_get_unchecked::<Option<String>, _>(at).unwrap().unwrap_or("-".into());
                    let cells: Vec<String> = (2..row.len()).map(text).collect();
                    println!("    {}", cells.join(" | "));
                }
            }
        }
    }
}
