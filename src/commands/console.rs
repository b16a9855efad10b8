//! What an operator does with the ledger by hand.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, IsTerminal as _, Write};
use std::path::Path;

use anyhow::Context as _;
use karbor_admission::config;
use karbor_admission::karbor::{ProviderId, TenantId};
use karbor_admission::ledger::{self, Console, Form, LedgerOptions, Search, Term};
use karbor_admission::policy::Policy;
use karbor_admission::verify::{Karbor, Verification};

use super::arguments::{ServeArguments, VerifyArguments};

/// The ledger that the configuration names, and the policy that counts by it.
fn configured_ledger(arguments: &ServeArguments) -> anyhow::Result<(LedgerOptions, Policy)> {
    let config = config::load(arguments.config.as_deref(), config::variables())?;
    let options = config.ledger.context("there is no ledger: ledger.url is \"off\"")?;
    Ok((options, Policy::new(config.policy)))
}

/// A condition as it is written: `KEY` or `KEY=VALUE`.
pub(crate) fn term(text: &str) -> Term {
    match text.split_once('=') {
        Some((key, value)) => Term { key: key.into(), value: Some(value.into()) },
        None => Term { key: text.into(), value: None },
    }
}

/// Prints the kept maps that `search` is about.
pub(crate) fn find(ledger: &ServeArguments, search: Search, most: u64, form: Form) -> anyhow::Result<()> {
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

/// Prints what tenants hold.
pub(crate) fn usage(ledger: &ServeArguments, tenant: Option<TenantId>, form: Form) -> anyhow::Result<()> {
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

/// Writes every entry.
pub(crate) fn export(ledger: &ServeArguments, file: Option<&Path>, resumes: bool) -> anyhow::Result<()> {
    let (options, _) = configured_ledger(ledger)?;
    let console = Console::open(&options)?;
    let told = |written| tell(&format!("{written} entries"));
    let done = match file {
        Some(path) => console.export_to(path, resumes, told)?,
        None => {
            let new = console.export(&mut BufWriter::new(io::stdout().lock()), told)?;
            ledger::Exported { new, earlier: 0 }
        }
    };
    let all = done.new + done.earlier;
    if done.earlier > 0 {
        return Ok(writeln!(io::stderr(), "{all} entries exported, {} of them earlier", done.earlier)?);
    }
    Ok(writeln!(io::stderr(), "{all} entries exported")?)
}

/// Reads an export.
pub(crate) fn import(ledger: &ServeArguments, file: Option<&Path>) -> anyhow::Result<()> {
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
pub(crate) struct Differ(u64);

/// Prints where the ledger and Karbor do not agree.
pub(crate) fn verify(ledger: &ServeArguments, what: &VerifyArguments) -> anyhow::Result<()> {
    let (options, _) = configured_ledger(ledger)?;
    let file = &what.token_file;
    let token = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let tls = config::load(ledger.config.as_deref(), config::variables())?.upstream.tls_files;
    let (console, karbor) = (Console::open(&options)?, Karbor::at(&what.karbor_url, &token, &tls)?);
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

/// Brings the schema up to date.
pub(crate) fn migrate(ledger: &ServeArguments) -> anyhow::Result<()> {
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
