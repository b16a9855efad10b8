//! Saying what a configuration amounts to, without running.

use std::io::Write as _;
use std::path::Path;

use karbor_admission::config;

/// Prints the effective configuration.
pub(crate) fn check_config(file: Option<&Path>) -> anyhow::Result<()> {
    let loaded = config::load_with_origins(file, config::variables())?;
    for warning in &loaded.config.warnings {
        writeln!(std::io::stderr(), "warning: {warning}")?;
    }
    std::io::stdout().write_all(config::effective(&loaded).as_bytes())?;
    Ok(())
}
