//! What may be asked on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use karbor_admission::ledger::Form;

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
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: RunArguments,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run in front of Karbor (the default command).
    Serve(RunArguments),
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
    /// What is written while a proxy works may miss its latest entries, and has the others as they stood when
    /// they were written. To move a ledger, stop the proxies first.
    Export {
        /// The file to write; standard output without it. It must not be there yet, and is there once it is
        /// whole; until then it is FILE.part.
        file: Option<PathBuf>,
        /// Go on with FILE.part, where an export was cut short.
        #[arg(long, requires = "file")]
        resume: bool,
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
    /// Prints each checkpoint that is missing in the ledger, foreign (another project's) there, gone (Karbor shows it as
    /// deleted) or unfound (Karbor says 404). Nothing is mended unless everything could be seen.
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
pub(crate) struct FormArguments {
    /// An object on each line, in place of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

impl FormArguments {
    /// The form asked for.
    pub(crate) const fn form(&self) -> Form {
        if self.json { Form::Json } else { Form::Table }
    }
}

#[derive(Args)]
pub(crate) struct VerifyArguments {
    /// Where Karbor is, with a path before /v1 if it has one; https:// by the certificates of [upstream], or unix:/PATH.
    #[arg(long, value_name = "URL")]
    pub(crate) karbor_url: String,
    /// A file with a token of the project.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: PathBuf,
    /// The project.
    #[arg(long, value_name = "ID")]
    pub(crate) tenant: String,
    /// The provider; may be given several times.
    #[arg(long, value_name = "ID", required = true)]
    pub(crate) provider: Vec<String>,
    /// Forget what is gone, and bind what the lease of a creation explains.
    #[arg(long)]
    pub(crate) mend: bool,
}

#[derive(Args)]
pub(crate) struct ServeArguments {
    /// The configuration file (TOML); without it, the defaults and the environment.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) file: ServeArguments,
    /// Listen beside another instance on the same addresses, which is then to end by SIGUSR1.
    #[arg(long)]
    pub(crate) beside: bool,
}
