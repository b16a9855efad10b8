//! The real `App` on free ports, run on a thread, ended by order.

use std::cell::Cell;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use karbor_admission::app::{App, AppError, Launch, Wishes};
use karbor_admission::config::{self, File, Loaded};
use karbor_admission::server::Listen;
use karbor_admission::signals::Wish;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{Client, Metrics, PATIENCE, Reply, Tunnel, eventually};

/// Longer than any test lets a drain last: a drain that took so long was cut.
const DRAIN: Duration = Duration::from_secs(15);

/// The drop-in of a test, from the folder of its configuration.
const DROP_IN: &str = "k.toml.d/test.toml";

/// A running proxy. However a test ends, the proxy is told to.
pub(crate) struct TestApp {
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    /// Everywhere clients may connect.
    pub(crate) addresses: Vec<Listen>,
    /// Where metrics and health are.
    pub(crate) admin: SocketAddr,
    orders: mpsc::UnboundedSender<Wish>,
    ordered: Cell<bool>,
    thread: Option<JoinHandle<Result<(), AppError>>>,
    audit_file: PathBuf,
    /// Where its configuration is, if it has a file.
    folder: Option<TempDir>,
}

struct Orders(mpsc::UnboundedReceiver<Wish>);

impl Wishes for Orders {
    async fn next(&mut self) -> Wish {
        match self.0.recv().await {
            Some(wish) => wish,
            None => std::future::pending().await,
        }
    }
}

fn audit_file() -> PathBuf {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let number = STARTED.fetch_add(1, Ordering::Relaxed);
    let name = format!("karbor-admission-test-{}-{number}.jsonl", std::process::id());
    std::env::temp_dir().join(name)
}

/// The configuration of a test: `settings`, as TOML, over what every test needs.
pub(crate) fn config(upstream: &[SocketAddr], audit_file: &str, settings: &str) -> Loaded {
    let base = base(upstream, audit_file);
    let files = [("base", base.as_str()), ("test", settings)]
        .map(|(name, text)| File { name: name.to_owned(), text: text.to_owned() });
    let mut loaded = config::parse(&files, []).unwrap_or_else(|problems| panic!("{problems}"));
    loaded.config.upstream = loaded.config.upstream.opened().unwrap();
    loaded
}

/// What every test needs.
fn base(upstream: &[SocketAddr], audit_file: &str) -> String {
    let endpoints: Vec<String> = upstream.iter().map(|address| format!("\"http://{address}\"")).collect();
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\ndrain_timeout = \"{}s\"\ndrain_idle = \"10ms\"\n\
         [admin]\nlisten = \"127.0.0.1:0\"\n\
         [audit]\nfile = \"{audit_file}\"\n\
         [ledger]\nurl = \"off\"\n\
         [upstream]\nendpoints = [{}]\n",
        DRAIN.as_secs(),
        endpoints.join(", ")
    )
}

impl TestApp {
    /// Before that Karbor, with these settings over the usual ones; ready.
    pub(crate) fn before(upstream: SocketAddr, settings: &str) -> Self {
        Self::before_all(&[upstream], settings)
    }

    /// Before several endpoints.
    pub(crate) fn before_all(upstream: &[SocketAddr], settings: &str) -> Self {
        let audit_file = audit_file();
        let config = config(upstream, audit_file.to_str().unwrap(), settings);
        Self::start(config, audit_file, None)
    }

    /// Before that Karbor, its configuration in a file, with these settings in a drop-in beside it. It is read
    /// again when that is wished, and at no other time.
    pub(crate) fn of_file(upstream: SocketAddr, settings: &str) -> Self {
        Self::of_files(upstream, settings, false)
    }

    /// As [`Self::of_file`], and a change of its files is a reload too.
    pub(crate) fn watching(upstream: SocketAddr, settings: &str) -> Self {
        Self::of_files(upstream, settings, true)
    }

    fn of_files(upstream: SocketAddr, settings: &str, watch: bool) -> Self {
        let audit_file = audit_file();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k.toml");
        let base = base(&[upstream], audit_file.to_str().unwrap());
        fs::write(&path, format!("{base}[reload]\nwatch = {watch}\n")).unwrap();
        fs::create_dir(folder.path().join("k.toml.d")).unwrap();
        fs::write(folder.path().join(DROP_IN), settings).unwrap();
        let loaded = config::load_with_origins(Some(&path), []).unwrap_or_else(|errors| panic!("{errors}"));
        Self::start(loaded, audit_file, Some(folder))
    }

    fn start(loaded: Loaded, audit_file: PathBuf, folder: Option<TempDir>) -> Self {
        let is_plain = loaded.config.admin.tls.is_none();
        let bound = App::bind(loaded, Launch::default()).unwrap();
        let address = bound.address().unwrap();
        let admin = match bound.admin() {
            Listen::Tcp(address) => *address,
            Listen::Unix(path) => Tunnel::to_unix(path).address(),
        };
        let addresses = bound.addresses().to_vec();
        let (orders, received) = mpsc::unbounded_channel();
        let run = move || bound.run(|| Ok(Orders(received)));
        let thread = std::thread::Builder::new().name("app".to_owned()).spawn(run).unwrap();
        let ordered = Cell::new(false);
        let app =
            Self { address, addresses, admin, orders, ordered, thread: Some(thread), audit_file, folder };
        // By TLS whoever asks waits in the handshake.
        if is_plain {
            eventually("ready", || app.page("/readyz").is_some_and(|page| page.status == 200));
        }
        app
    }

    /// Replaces the settings of the drop-in, as editors do.
    pub(crate) fn rewrite(&self, settings: &str) {
        let folder = self.folder.as_ref().unwrap().path();
        fs::write(folder.join("next"), settings).unwrap();
        fs::rename(folder.join("next"), folder.join(DROP_IN)).unwrap();
    }

    /// Wishes for a reload.
    pub(crate) fn wish_reload(&self) {
        self.orders.send(Wish::Reload).unwrap();
    }

    /// Wishes for a reload, and waits for its end.
    #[track_caller]
    pub(crate) fn reload(&self) {
        let before = self.metrics().sum("config_reloads_total", &[]);
        self.wish_reload();
        self.until_counted("config_reloads_total", &[], before + 1.0);
    }

    /// A new connection of a client.
    pub(crate) fn client(&self) -> Client {
        Client::to(self.address)
    }

    /// A page of the admin side; nothing where there is none any more.
    pub(crate) fn page(&self, path: &str) -> Option<Reply> {
        let mut client = Client::try_to(self.admin)?;
        client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
        client.try_reply(false).ok()
    }

    pub(crate) fn metrics(&self) -> Metrics {
        Metrics::read(&self.page("/metrics").unwrap().text())
    }

    /// Waits until the sum of these series is `expected`.
    #[track_caller]
    pub(crate) fn until_counted(&self, name: &str, labels: &[(&str, &str)], expected: f64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let sum = self.metrics().sum(name, labels);
            if (sum - expected).abs() < f64::EPSILON {
                return;
            }
            assert!(Instant::now() < deadline, "{name} {labels:?} is {sum}, not {expected}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The audit lines, once there are `count`.
    #[track_caller]
    pub(crate) fn audit(&self, count: usize) -> Vec<Value> {
        let mut lines = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        while lines.len() < count {
            assert!(Instant::now() < deadline, "not {count} audit lines: {lines:#?}");
            std::thread::sleep(Duration::from_millis(2));
            lines = self.audit_so_far();
        }
        lines
    }

    /// The one audit line of the request that had this answer.
    #[track_caller]
    pub(crate) fn audit_of(&self, reply: &Reply) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut lines = self.audit_so_far();
            lines.retain(|line| line["request_id"] == reply.request_id());
            assert!(lines.len() < 2, "{lines:#?}");
            if let Some(line) = lines.pop() {
                return line;
            }
            assert!(Instant::now() < deadline, "no audit line of {reply:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The audit log as text, whole lines only.
    pub(crate) fn audit_text(&self) -> String {
        let mut text = fs::read_to_string(&self.audit_file).unwrap_or_default();
        text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        text
    }

    fn audit_so_far(&self) -> Vec<Value> {
        self.audit_text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Gives an order to shut down; the second one cuts the drain.
    pub(crate) fn order(&self) {
        self.ordered.set(true);
        let _ = self.orders.send(Wish::End("the test's order"));
    }

    /// Shuts down, if that was not ordered yet; fails the test unless everything ended by itself. Gives
    /// every audit line there is.
    #[track_caller]
    pub(crate) fn stop(mut self) -> Vec<Value> {
        let ordered = Instant::now();
        if !self.ordered.get() {
            self.order();
        }
        self.until_ended();
        assert!(ordered.elapsed() < DRAIN, "the drain was cut after {:?}", ordered.elapsed());
        self.audit_so_far()
    }

    /// Waits for the end after an order.
    #[track_caller]
    pub(crate) fn until_ended(&mut self) {
        if let Some(thread) = self.thread.take() {
            eventually("the app ends", || thread.is_finished());
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => panic!("the app ended badly: {error}"),
                Err(_) => panic!("the app panicked"),
            }
        }
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if !self.ordered.get() || std::thread::panicking() {
            self.order();
        }
        if !std::thread::panicking() {
            self.until_ended();
        }
        let _ = fs::remove_file(&self.audit_file);
    }
}
