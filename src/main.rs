//! Arguments to one function each; exit code.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, IsTerminal as _, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use karbor_admission::app::{App, AppError};
use karbor_admission::config::{self, Config, ConfigErrors};
use karbor_admission::demo::{self, StandIn};
use karbor_admission::karbor::{ProviderId, TenantId};
use karbor_admission::ledger::{
    self, Console, ConsoleError, Engine, Form, LedgerError, LedgerOptions, Search, Term,
};
use karbor_admission::policy::Policy;
use karbor_admission::signals::Signals;
use karbor_admission::telemetry::audit::AuditSink;
use karbor_admission::telemetry::log::{self, LogFormat, LogOptions};
use karbor_admission::upstream::Endpoint;
use karbor_admission::verify::{Karbor, Verification};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("KARBOR_ADMISSION_COMMIT"), ")");

const AFTER_HELP: &str = include_str!("after_help.txt").trim_ascii_end();

/// Admission control for the extra-info of OpenStack Karbor checkpoints, as a reverse proxy.
///
/// Stands in front of an existing Karbor API. Reviews each checkpoint creation by the configured rules
/// before Karbor sees it, keeps what was set at creation from later change, and passes everything else
/// through.
#[derive(Parser)]
#[command(name = "karbor-admission", version = VERSION, after_help = AFTER_HELP, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArguments,
}

#[derive(Subcommand)]
enum Command {
    /// Run in front of Karbor (the default command).
    Serve(ServeArguments),
    /// Say everything that is wrong with a configuration, or print what it amounts to.
    ///
    /// Reads the file, the folder FILE.d beside it, and the environment, as `serve` does. The effective
    /// configuration is printed as TOML; a comment on each value says where it came from.
    CheckConfig {
        /// The file; without it, the defaults and the environment.
        file: Option<PathBuf>,
        /// The same, as `serve` takes it.
        #[arg(long, short, value_name = "FILE", conflicts_with = "file")]
        config: Option<PathBuf>,
    },
    /// Run a stand-in Karbor and the proxy in front of it, and print commands to try.
    ///
    /// Needs nothing and leaves nothing behind. The stand-in answers as Karbor 1.6 does for providers, plans
    /// and checkpoints, and like Karbor it drops the map; the proxy keeps it, in a temporary folder.
    Demo {
        /// Where the proxy listens; port 0 takes a free one.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// Where metrics and health are.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
        admin: SocketAddr,
        /// Where the stand-in listens.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
        karbor: SocketAddr,
    },
    /// Find kept maps in the ledger by what is in them.
    ///
    /// Every condition must hold. Shows checkpoints of all tenants that exist, and deleted ones that are still
    /// readable; Karbor is not asked.
    Find {
        /// KEY for whatever has the key, KEY=VALUE for exactly this value.
        #[arg(value_name = "KEY[=VALUE]")]
        terms: Vec<String>,
        /// Of this tenant alone.
        #[arg(long, value_name = "ID")]
        tenant: Option<String>,
        /// At this provider alone.
        #[arg(long, value_name = "ID")]
        provider: Option<String>,
        /// At most so many.
        #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
        most: u64,
        #[command(flatten)]
        form: FormArguments,
        #[command(flatten)]
        ledger: ServeArguments,
    },
    /// Print what each tenant holds in the ledger, and each application of it.
    Usage {
        /// Of this tenant alone.
        #[arg(long, value_name = "ID")]
        tenant: Option<String>,
        #[command(flatten)]
        form: FormArguments,
        #[command(flatten)]
        ledger: ServeArguments,
    },
    /// Write every entry of the ledger as a line of JSON.
    ///
    /// What is written while a proxy works may miss its latest entries.
    Export {
        /// The file to write; standard output without it. It must not be there yet.
        file: Option<PathBuf>,
        #[command(flatten)]
        ledger: ServeArguments,
    },
    /// Read an export into the ledger.
    ///
    /// What is there already stays as it is: an import that was cut short is finished by starting it again.
    Import {
        /// The file to read; standard input without it.
        file: Option<PathBuf>,
        #[command(flatten)]
        ledger: ServeArguments,
    },
    /// Hold the ledger against a live Karbor, as one token of one project sees it.
    ///
    /// Prints each checkpoint that is missing in the ledger, foreign (another project's) there, or gone from Karbor.
    Verify {
        #[command(flatten)]
        what: VerifyArguments,
        #[command(flatten)]
        ledger: ServeArguments,
    },
    /// Bring the ledger's schema up to date, where `ledger.migrate` forbids the proxy to do it.
    Migrate(ServeArguments),
}

#[derive(Args)]
struct FormArguments {
    /// An object on each line, in place of a table.
    #[arg(long)]
    json: bool,
}

impl FormArguments {
    const fn form(&self) -> Form {
        if self.json { Form::Json } else { Form::Table }
    }
}

#[derive(Args)]
struct VerifyArguments {
    /// Where Karbor is, with a path before /v1 if it has one.
    #[arg(long, value_name = "URL")]
    karbor_url: String,
    /// A file with a token of the project.
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// The project.
    #[arg(long, value_name = "ID")]
    tenant: String,
    /// The provider; may be given several times.
    #[arg(long, value_name = "ID", required = true)]
    provider: Vec<String>,
    /// Forget what is gone, and bind what the lease of a creation explains.
    #[arg(long)]
    mend: bool,
}

#[derive(Args)]
struct ServeArguments {
    /// The configuration file (TOML); without it, the defaults and the environment.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command.unwrap_or(Command::Serve(arguments.serve)) {
        Command::Serve(ServeArguments { config }) => serve(config.as_deref()),
        Command::CheckConfig { file, config } => check_config(file.or(config).as_deref()),
        Command::Demo { listen, admin, karbor } => demo(listen, admin, karbor),
        Command::Find { terms, tenant, provider, most, form, ledger } => {
            let terms = terms.iter().map(|text| term(text)).collect();
            let (tenant, provider) = (tenant.map(TenantId::new), provider.map(ProviderId::new));
            find(&ledger, Search { tenant, provider, terms, ..Search::default() }, most, form.form())
        }
        Command::Usage { tenant, form, ledger } => usage(&ledger, tenant.map(TenantId::new), form.form()),
        Command::Export { file, ledger } => export(&ledger, file.as_deref()),
        Command::Import { file, ledger } => import(&ledger, file.as_deref()),
        Command::Verify { what, ledger } => verify(&ledger, &what),
        Command::Migrate(ledger) => migrate(&ledger),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read has read enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => ExitCode::from(report(&error)),
    }
}

/// Says why it ended, in the words an operator can act on; the exit code.
fn report(error: &anyhow::Error) -> u8 {
    let mut out = std::io::stderr();
    if let Some(differ) = error.downcast_ref::<Differ>() {
        let _ = writeln!(out, "{differ}");
        return 4;
    }
    if let Some(problems) = error.downcast_ref::<ConfigErrors>() {
        let count = problems.0.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        let _ = writeln!(out, "{count} {noun} in the configuration:\n{problems}");
        return 3;
    }
    let _ = writeln!(out, "karbor-admission: {error:#}");
    let hint = error.downcast_ref::<AppError>().and_then(AppError::hint);
    let hint = hint.or_else(|| error.downcast_ref::<ConsoleError>().and_then(ConsoleError::hint));
    let hint = hint.or_else(|| error.downcast_ref::<LedgerError>().and_then(LedgerError::hint));
    if let Some(hint) = hint {
        let _ = writeln!(out, "  hint: {hint}");
    }
    1
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.into_iter().any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

fn serve(file: Option<&Path>) -> anyhow::Result<()> {
    let config = config::load(file, config::variables())?;
    run(App::bind(start_log(config)?)?)
}

fn check_config(file: Option<&Path>) -> anyhow::Result<()> {
    let loaded = config::load_with_origins(file, config::variables())?;
    for warning in &loaded.config.warnings {
        writeln!(std::io::stderr(), "warning: {warning}")?;
    }
    std::io::stdout().write_all(config::effective(&loaded).as_bytes())?;
    Ok(())
}

fn demo(listen: SocketAddr, admin: SocketAddr, karbor: SocketAddr) -> anyhow::Result<()> {
    const PROJECT: &str = "9a3cfd1e0f9f4b3b8d0f8f0f3a1b2c3d";
    let stand_in = StandIn::bind(karbor).with_context(|| format!("cannot listen on {karbor} (--karbor)"))?;
    let plan = stand_in.create_plan(PROJECT);
    let mut config = config::load(None, std::iter::empty())?;
    // One readable line for each request, in place of the audit log's JSON.
    config.log = LogOptions { level: tracing::Level::DEBUG, format: LogFormat::Text };
    config.audit.sink = AuditSink::None;
    let folder = tempfile::Builder::new().prefix("karbor-admission-demo-").tempdir()?;
    if let Some(ledger) = &mut config.ledger {
        ledger.engine = Engine::Sqlite(folder.path().join("ledger.sqlite"));
    }
    let mut config = start_log(config)?;
    config.server.listen = listen;
    config.admin.listen = admin;
    config.upstream.endpoints =
        vec![Endpoint { host: stand_in.addr().ip().to_string().into(), port: stand_in.addr().port() }];
    let app = App::bind(config)?;
    let guide = demo::guide(app.address(), app.admin_address(), PROJECT, demo::PROVIDER_ID, &plan);
    std::io::stdout().write_all(guide.as_bytes())?;
    let ended = run(app);
    stand_in.shutdown();
    folder.close()?;
    ended
}

fn start_log(config: Config) -> anyhow::Result<Config> {
    log::init(&config.log)?;
    for warning in &config.warnings {
        tracing::warn!(%warning, "the configuration has a doubtful setting");
    }
    Ok(config)
}

fn run(app: App) -> anyhow::Result<()> {
    app.run(Signals::listen)?;
    Ok(())
}

/// The ledger that the configuration names, and the policy that counts by it.
fn configured_ledger(arguments: &ServeArguments) -> anyhow::Result<(LedgerOptions, Policy)> {
    let config = config::load(arguments.config.as_deref(), config::variables())?;
    let options = config.ledger.context("there is no ledger: ledger.url is \"off\"")?;
    Ok((options, Policy::new(config.policy)))
}

fn term(text: &str) -> Term {
    match text.split_once('=') {
        Some((key, value)) => Term { key: key.into(), value: Some(value.into()) },
        None => Term { key: text.into(), value: None },
    }
}

fn find(ledger: &ServeArguments, search: Search, most: u64, form: Form) -> anyhow::Result<()> {
    let (options, _) = configured_ledger(ledger)?;
    let console = Console::open(&options)?;
    let mut out = BufWriter::new(io::stdout().lock());
    if let Some(heading) = form.kept_heading() {
        writeln!(out, "{heading}")?;
    }
    let found = console.find(search, most, |kept| writeln!(out, "{}", form.kept(kept)))?;
    out.flush()?;
    if found == most {
        writeln!(io::stderr(), "there may be more than {most}; --most NUMBER shows them")?;
    }
    Ok(())
}

fn usage(ledger: &ServeArguments, tenant: Option<TenantId>, form: Form) -> anyhow::Result<()> {
    let (options, policy) = configured_ledger(ledger)?;
    let console = Console::open(&options)?;
    let mut out = BufWriter::new(io::stdout().lock());
    if let Some(heading) = form.usage_heading() {
        writeln!(out, "{heading}")?;
    }
    console.usage(tenant.as_ref(), |row| {
        let quotas = &policy.rules_of(row.tenant.as_str()).quotas;
        writeln!(out, "{}", form.usage(row, quotas.of(row.application.as_deref())))
    })?;
    Ok(out.flush()?)
}

fn export(ledger: &ServeArguments, file: Option<&Path>) -> anyhow::Result<()> {
    let (options, _) = configured_ledger(ledger)?;
    let console = Console::open(&options)?;
    let mut out: Box<dyn Write> = match file {
        Some(path) => {
            Box::new(File::create_new(path).with_context(|| format!("cannot write {}", path.display()))?)
        }
        None => Box::new(io::stdout().lock()),
    };
    let written =
        console.export(&mut BufWriter::new(&mut out), |written| tell(&format!("{written} entries")))?;
    Ok(writeln!(io::stderr(), "{written} entries exported")?)
}

fn import(ledger: &ServeArguments, file: Option<&Path>) -> anyhow::Result<()> {
    let (options, _) = configured_ledger(ledger)?;
    let console = Console::open(&options)?;
    let told =
        |done: ledger::Imported| tell(&format!("{} entries imported, {} were there", done.new, done.known));
    let done = match file {
        Some(path) => {
            let lines = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            console.import(BufReader::new(lines), told)?
        }
        None => console.import(io::stdin().lock(), told)?,
    };
    Ok(writeln!(io::stderr(), "{} entries imported, {} were there already", done.new, done.known)?)
}

/// The ledger and Karbor do not agree.
#[derive(Debug, thiserror::Error)]
#[error("{0} differences between the ledger and Karbor")]
struct Differ(u64);

fn verify(ledger: &ServeArguments, what: &VerifyArguments) -> anyhow::Result<()> {
    let (options, _) = configured_ledger(ledger)?;
    let file = &what.token_file;
    let token = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let (console, karbor) = (Console::open(&options)?, Karbor::at(&what.karbor_url, &token)?);
    let (tenant, mends) = (&TenantId::new(&*what.tenant), what.mend);
    let (mut out, mut left) = (BufWriter::new(io::stdout().lock()), 0);
    for provider in &what.provider {
        let provider = &ProviderId::new(&**provider);
        let verification = Verification { console: &console, karbor: &karbor, tenant, provider, mends };
        let done = verification.run(|found| {
            let mended = if found.is_mended { ", mended" } else { "" };
            writeln!(out, "{provider} {}: {}{mended}", found.checkpoint, found.difference.word())
        })?;
        out.flush()?;
        writeln!(io::stderr(), "{} checkpoints of {provider}, {} mended", done.listed, done.mended)?;
        left += done.left;
    }
    if left > 0 { Err(Differ(left).into()) } else { Ok(()) }
}

fn migrate(ledger: &ServeArguments) -> anyhow::Result<()> {
    let (options, _) = configured_ledger(ledger)?;
    let words = match ledger::migrate(&options)? {
        (found, version) if found == version => format!("the schema is version {version} already"),
        (0, version) => format!("the schema is made, version {version}"),
        (found, version) => format!("the schema was version {found}, and is version {version}"),
    };
    Ok(writeln!(io::stdout(), "{words}")?)
}

/// Says how far it is, if somebody watches.
fn tell(words: &str) {
    let mut out = io::stderr();
    if out.is_terminal() {
        let _ = write!(out, "\r{words}\x1b[K");
        let _ = out.flush();
    }
}
