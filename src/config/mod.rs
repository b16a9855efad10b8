//! What the operator asked for: settings as written → [`Config`] as validated.
//!
//! Layers, the later over the earlier: defaults, file, drop-ins beside it, environment. Every problem is
//! found, not only the first, and each says where it stands. Fills in the options of each part; no part
//! imports this one. `docs/configuration.md` is the operator's view.

mod admin;
mod change;
mod coherence;
mod compile;
mod difference;
mod effective;
mod environment;
mod files;
mod hint;
mod kind;
mod ledger;
mod memory;
mod names;
mod network;
mod places;
mod problem;
mod revision;
mod schema;
mod settings;
mod shape;
mod supervisor;
mod tenancy;
mod tls;
mod traces;
mod upstream;
mod written;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use environment::{PREFIX, variables};
pub use memory::{Memory, MemoryLimit};
pub use problem::{ConfigErrors, Found, Origin, Problem};
pub use supervisor::Supervisor;

use crate::admin::AdminOptions;
use crate::karbor::TenantId;
use crate::ledger::LedgerOptions;
use crate::otlp::OtlpOptions;
use crate::policy::{Limits, PolicySpec};
use crate::proxy::ProxyOptions;
use crate::server::ServerOptions;
use crate::telemetry::audit::AuditOptions;
use crate::telemetry::log::LogOptions;
use crate::telemetry::metrics::MetricsOptions;
use crate::upstream::UpstreamOptions;
use change::Contents;
use figment::value::Value;
use settings::{Layer, Settings};
use written::KeyPath;

/// A valid configuration: what each part is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// For the server.
    pub server: ServerOptions,
    /// For the upstream side.
    pub upstream: UpstreamOptions,
    /// For the proxy.
    pub proxy: ProxyOptions,
    /// For the admin side.
    pub admin: AdminOptions,
    /// For the audit log.
    pub audit: AuditOptions,
    /// For the log.
    pub log: LogOptions,
    /// For the metrics.
    pub metrics: MetricsOptions,
    /// For the exporter of traces; none if there is to be none.
    pub otlp: Option<OtlpOptions>,
    /// For the ledger; none if there is to be none.
    pub ledger: Option<LedgerOptions>,
    /// Whether a change of the files is a reload.
    pub watch: bool,
    /// For the policy.
    pub policy: PolicySpec,
    /// What there is of memory, and what may be needed.
    pub memory: Memory,
    /// What is allowed, but hardly meant.
    pub warnings: Vec<Problem>,
}

/// A file of settings, read.
#[derive(Clone, Debug)]
pub struct File {
    /// What problems call it.
    pub name: String,
    /// What stands in it.
    pub text: String,
}

/// A valid configuration together with the settings that made it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Those that are of no tenant or group: there are few of them, and tenants may be many.
    settings: Settings,
    contents: Contents,
    source: Source,
}

/// What a configuration was read from: as text it takes a tenth of what its values take.
#[derive(Clone)]
struct Source {
    place: Place,
    files: Arc<[File]>,
    environment: Arc<[(String, String)]>,
}

/// Where it may be read again.
#[derive(Clone, Debug)]
enum Place {
    /// It was handed over as text.
    Nowhere,
    /// In the environment alone.
    Environment,
    /// In the file of this name and its drop-ins too.
    File(PathBuf),
}

impl Place {
    fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Nowhere | Self::Environment => None,
        }
    }
}

/// Without the values: a password may be among them.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Loaded {
    /// What the same place says now; the same where there is none. The environment is that of before: a process
    /// keeps its own.
    ///
    /// # Errors
    /// As [`load`].
    pub fn again(&self) -> Result<Self, ConfigErrors> {
        match &self.source.place {
            Place::Nowhere => Ok(self.clone()),
            place => load_with_origins(place.path(), self.source.environment.to_vec()),
        }
    }

    /// What stands against replacing this configuration by `wanted` in a running proxy: settings that only a
    /// start takes.
    #[must_use]
    pub fn refuses(&self, wanted: &Self) -> Vec<Problem> {
        change::refused(self, wanted)
    }

    /// What `wanted` has over this one, in words; nothing for the same.
    #[must_use]
    pub fn difference(&self, wanted: &Self) -> Vec<String> {
        change::words(self, wanted)
    }

    /// The tenants named whose maps may be smaller in `wanted`, each with its limits there.
    #[must_use]
    pub fn lowered(&self, wanted: &Self) -> Vec<(TenantId, Limits)> {
        difference::lowered(&self.config.policy, &wanted.config.policy)
    }

    /// The files that settings of the same place name now, however wrong the rest is.
    #[must_use]
    pub fn named_now(&self) -> Vec<PathBuf> {
        let (files, _unreadable) = self.source.place.path().map(files::open).unwrap_or_default();
        let layers = files.iter().filter_map(|file| Layer::from_toml(&file.name, &file.text).ok());
        change::named(&Settings::merge(layers.map(Layer::without_names).collect()))
    }

    /// The files it came from, or would if they were there. The folder of drop-ins is among them.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        change::files(self.source.place.path(), self)
    }
}

/// The configuration of the file at `path`, its drop-ins and the environment; the defaults and the
/// environment without a path.
///
/// # Errors
/// Everything that is wrong with it, in the order in which it was read.
pub fn load(
    path: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, ConfigErrors> {
    load_with_origins(path, environment).map(|loaded| loaded.config)
}

/// As [`load`], keeping where each value came from, for [`effective()`].
///
/// # Errors
/// As [`load`].
pub fn load_with_origins(
    path: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded, ConfigErrors> {
    let (files, problems) = path.map(files::open).unwrap_or_default();
    let place = path.map_or(Place::Environment, |path| Place::File(path.to_owned()));
    let environment = environment.into_iter().collect();
    let mut loaded = assemble(Source { place, files: files.into(), environment }, problems, memory::find())?;
    loaded.config.warnings.extend(files::open_secrets(&loaded.settings));
    loaded.contents = Contents::of(&loaded.settings);
    loaded.config.upstream = loaded
        .config
        .upstream
        .opened()
        .map_err(|error| ConfigErrors(vec![upstream::unusable(&loaded.settings, &error)]))?;
    if let Some(options) = &mut loaded.config.server.tls {
        options
            .open()
            .map_err(|error| ConfigErrors(vec![tls::unusable(&loaded.settings, options, &error)]))?;
    }
    let guard = &mut loaded.config.admin;
    guard.open().map_err(|error| ConfigErrors(vec![admin::unusable(&loaded.settings, guard, &error)]))?;
    Ok(loaded)
}

/// As [`load_with_origins`], of files already read, in the order in which they count. Opens nothing, and takes
/// memory to be plenty.
///
/// # Errors
/// As [`load`].
pub fn parse(
    files: &[File],
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded, ConfigErrors> {
    let environment = environment.into_iter().collect();
    assemble(Source { place: Place::Nowhere, files: files.into(), environment }, Vec::new(), None)
}

/// The effective configuration as TOML that loads to the same. Its first line is a comment with the revision
/// of the policy, its second one on memory; a comment on each value says where it came from, and what `auto`
/// was found to be. A password stands as `***`.
#[must_use]
pub fn effective(loaded: &Loaded) -> String {
    // From the same text as before come the same settings.
    let settings = settings_of(&loaded.source, &mut Vec::new());
    effective::write(&settings, &loaded.config)
}

/// Every setting there is, as the Markdown table of `docs/configuration.md`.
#[must_use]
pub fn reference() -> String {
    schema::reference()
}

fn assemble(
    source: Source,
    mut problems: Vec<Problem>,
    limit: Option<MemoryLimit>,
) -> Result<Loaded, ConfigErrors> {
    let settings = settings_of(&source, &mut problems);
    // With a file missing, what others refer to would seem to be missing too.
    if problems.iter().all(|problem| !problem.key.is_empty()) {
        problems.extend(coherence::problems(&settings));
    }
    if !problems.is_empty() {
        return Err(ConfigErrors(problems));
    }
    let config = compile::compile(&settings, limit).map_err(|problem| ConfigErrors(vec![problem]))?;
    Ok(Loaded { config, settings: settings.without_names(), contents: Contents::default(), source })
}

/// The settings that stand there. Adds what is wrong with each source by itself.
fn settings_of(source: &Source, problems: &mut Vec<Problem>) -> Settings {
    let mut layers = Vec::new();
    match Layer::shipped(&schema::shipped()) {
        Ok(layer) => layers.push(layer),
        Err(problem) => problems.push(problem),
    }
    for file in &*source.files {
        match Layer::from_toml(&file.name, &file.text) {
            Ok(layer) => {
                let mut found = shape::problems(&layer);
                found.sort_by_key(|problem| problem.origin.line());
                problems.extend(found);
                layers.push(layer);
            }
            Err(problem) => problems.push(problem),
        }
    }
    let (layer, unclear) = environment::layer(source.environment.iter().cloned(), &layers);
    problems.extend(unclear);
    problems.extend(shape::problems(&layer));
    layers.push(layer);
    drop_shipped_keys(&mut layers);
    Settings::merge(layers)
}

/// Recognised keys named anywhere replace the shipped ones; merging would add to them.
fn drop_shipped_keys(layers: &mut [Layer]) {
    let Some((shipped, others)) = layers.split_first_mut() else { return };
    let path = KeyPath::of("policy.karbor_keys");
    let named =
        |layer: &Layer| matches!(path.find(&layer.values), Some(Value::Dict(_, keys)) if !keys.is_empty());
    if others.iter().any(named)
        && let Some(Value::Dict(_, policy)) = shipped.values.get_mut("policy")
    {
        policy.remove("karbor_keys");
    }
}
