//! Arguments to one function each; exit code.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use karbor_admission::app::{App, AppError};
use karbor_admission::config::{self, Config, ConfigErrors};
use karbor_admission::demo::{self, StandIn};
use karbor_admission::signals::Signals;
use karbor_admission::telemetry::audit::AuditSink;
use karbor_admission::telemetry::log::{self, LogFormat, LogOptions};
use karbor_admission::upstream::Endpoint;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("KARBOR_ADMISSION_COMMIT"), ")");

const AFTER_HELP: &str = "\
Exit codes:
  0  ended as asked: after SIGTERM or SIGINT, or the check found nothing
  1  could not start, or could not go on: an address is taken, a file cannot be written
  2  the command line was not understood
  3  the configuration is wrong; everything that is wrong with it is printed

Signals:
  SIGTERM, SIGINT  stop accepting, finish what is in flight, end; a second one ends at once
  SIGHUP           open the audit file anew, after it was rotated

Examples:
  karbor-admission demo                                      see it work, nothing else needed
  karbor-admission check-config /etc/karbor-admission.toml   before every restart
  karbor-admission serve --config /etc/karbor-admission.toml
  KARBOR_ADMISSION_UPSTREAM__ENDPOINTS='[\"http://10.0.0.5:8799\"]' karbor-admission serve";

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
    /// and checkpoints, and like Karbor it drops the map.
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
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ExitCode::from(report(&error)),
    }
}

/// Says why it ended, in the words an operator can act on; the exit code.
fn report(error: &anyhow::Error) -> u8 {
    let mut out = std::io::stderr();
    if let Some(problems) = error.downcast_ref::<ConfigErrors>() {
        let count = problems.0.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        let _ = writeln!(out, "{count} {noun} in the configuration:\n{problems}");
        return 3;
    }
    let _ = writeln!(out, "karbor-admission: {error:#}");
    if let Some(hint) = error.downcast_ref::<AppError>().and_then(AppError::hint) {
        let _ = writeln!(out, "  hint: {hint}");
    }
    1
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
    let mut config = start_log(config)?;
    config.server.listen = listen;
    config.admin.listen = admin;
    config.upstream.endpoints =
        vec![Endpoint { host: stand_in.addr().ip().to_string().into(), port: stand_in.addr().port() }];
    let app = App::bind(config)?;
    let guide = demo::guide(app.address(), app.admin_address(), PROJECT, demo::PROVIDER_ID, &plan);
    std::io::stdout().write_all(guide.as_bytes())?;
    run(app)?;
    stand_in.shutdown();
    Ok(())
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
