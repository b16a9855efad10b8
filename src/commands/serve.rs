//! Running: before Karbor, or before the stand-in.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use karbor_admission::app::App;
use karbor_admission::config::{self, Config};
use karbor_admission::demo::{self, StandIn};
use karbor_admission::ledger::Engine;
use karbor_admission::signals::Signals;
use karbor_admission::telemetry::audit::AuditSink;
use karbor_admission::telemetry::log::{self, LogFormat, LogOptions};

/// Runs in front of Karbor until told to end.
pub(crate) fn serve(file: Option<&Path>) -> anyhow::Result<()> {
    let config = config::load(file, config::variables())?;
    run(App::bind(start_log(config)?)?)
}

/// Runs a stand-in Karbor, and in front of it.
pub(crate) fn demo(listen: SocketAddr, admin: SocketAddr, karbor: SocketAddr) -> anyhow::Result<()> {
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
    config.upstream.endpoints = vec![stand_in.addr().into()];
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
