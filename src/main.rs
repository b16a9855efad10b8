//! Arguments to one function each; exit code.

mod commands;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser as _;
use karbor_admission::app::AppError;
use karbor_admission::config::ConfigErrors;
use karbor_admission::karbor::{ProviderId, TenantId};
use karbor_admission::ledger::{ConsoleError, LedgerError, Search};

use commands::arguments::{Arguments, Command};
use commands::console::Differ;
use commands::{check, console, serve};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command.unwrap_or(Command::Serve(arguments.serve)) {
        Command::Serve(arguments) => serve::serve(&arguments),
        Command::CheckConfig { file, config } => check::check_config(file.or(config).as_deref()),
        Command::Demo { listen, admin, karbor } => serve::demo(listen, admin, karbor),
        Command::Find { terms, tenant, provider, most, form, ledger } => {
            let terms = terms.iter().map(|text| console::term(text)).collect();
            let (tenant, provider) = (tenant.map(TenantId::new), provider.map(ProviderId::new));
            console::find(&ledger, Search { tenant, provider, terms, ..Search::default() }, most, form.form())
        }
        Command::Usage { tenant, form, ledger } => {
            console::usage(&ledger, tenant.map(TenantId::new), form.form())
        }
        Command::Export { file, resume, ledger } => console::export(&ledger, file.as_deref(), resume),
        Command::Import { file, ledger } => console::import(&ledger, file.as_deref()),
        Command::Verify { what, ledger } => console::verify(&ledger, &what),
        Command::Migrate(ledger) => console::migrate(&ledger),
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
