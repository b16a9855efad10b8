//! Running: before Karbor, or before the stand-in.

use std::io::Write as _;
use std::net::SocketAddr;

use anyhow::Context as _;
use karbor_admission::app::{App, Launch};
use karbor_admission::config::{self, File, Loaded, Supervisor};
use karbor_admission::demo::{self, StandIn};
use karbor_admission::signals::Signals;
use karbor_admission::telemetry::log;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::disable_transparent_huge_pages;

use super::arguments::RunArguments;

/// Runs in front of Karbor until told to end.
pub(crate) fn serve(arguments: &RunArguments) -> anyhow::Result<()> {
    // Where the system gives them unasked, a thread that needs a few KiB would hold 2 MiB.
    let _refused = disable_transparent_huge_pages(true);
    let loaded = config::load_with_origins(arguments.file.config.as_deref(), config::variables())?;
    start_log(&loaded)?;
    raise_limit_on_descriptors(&loaded);
    let supervisor =
        Supervisor::of_this_process().context("cannot take the sockets that were handed over")?;
    run(App::bind(loaded, Launch { beside: arguments.beside, supervisor })?)
}

/// Runs a stand-in Karbor, and in front of it.
pub(crate) fn demo(listen: SocketAddr, admin: SocketAddr, karbor: SocketAddr) -> anyhow::Result<()> {
    const PROJECT: &str = "9a3cfd1e0f9f4b3b8d0f8f0f3a1b2c3d";
    let stand_in = StandIn::bind(karbor).with_context(|| format!("cannot listen on {karbor} (--karbor)"))?;
    let plan = stand_in.create_plan(PROJECT);
    let folder = tempfile::Builder::new().prefix("karbor-admission-demo-").tempdir()?;
    // One readable line for each request, in place of the audit log's JSON.
    let text = format!(
        "server.listen = \"{listen}\"\n\
         admin.listen = \"{admin}\"\n\
         upstream.endpoints = [\"http://{}\"]\n\
         ledger.url = \"sqlite:{}\"\n\
         log = {{ level = \"debug\", format = \"text\" }}\n\
         audit.file = \"\"\n",
        stand_in.addr(),
        folder.path().join("ledger.sqlite").display()
    );
    let loaded = config::parse(&[File { name: "demo".to_owned(), text }], [])?;
    start_log(&loaded)?;
    let app = App::bind(loaded, Launch::default())?;
    let (proxy, admin) = (app.address().unwrap_or(listen), app.admin_address().unwrap_or(admin));
    let guide = demo::guide(proxy, admin, PROJECT, demo::PROVIDER_ID, &plan);
    std::io::stdout().write_all(guide.as_bytes())?;
    let ended = run(app);
    stand_in.shutdown();
    folder.close()?;
    ended
}

fn start_log(loaded: &Loaded) -> anyhow::Result<()> {
    log::init(&loaded.config.log)?;
    for warning in &loaded.config.warnings {
        tracing::warn!(%warning, "the configuration has a doubtful setting");
    }
    Ok(())
}

/// Takes as many descriptors as the system lets us: shells hand on a limit that is meant for programs which cannot
/// take more. Too few for all connections, and not even the admin side could accept.
fn raise_limit_on_descriptors(loaded: &Loaded) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // As before, where it may not be.
        let _refused = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let config = &loaded.config;
    // For clients, for requests under way to Karbor, and for everything else.
    let to_karbor = config.server.workers.get() * config.upstream.places.most;
    let needed = (config.server.max_connections + to_karbor) as u64 + 256;
    if limit < needed {
        let hint = "raise LimitNOFILE or ulimit -n, or lower server.max_connections";
        tracing::warn!(limit, needed, hint, "there may be too few descriptors");
    }
}

fn run(app: App) -> anyhow::Result<()> {
    app.run(Signals::listen)?;
    Ok(())
}
