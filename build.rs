//! Tells the program which commit it was built from.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=KARBOR_ADMISSION_COMMIT");
    println!("cargo:rerun-if-changed=build.rs");
    for name in ["HEAD", "logs/HEAD"] {
        // A file that is not there would have everything built anew each time: in a work tree beside the
        // first one they stand elsewhere, and in an archive nowhere.
        let path = first_line(Command::new("git").args(["rev-parse", "--git-path", name]));
        if let Some(path) = path.filter(|path| Path::new(path).exists()) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    let commit = std::env::var("KARBOR_ADMISSION_COMMIT").ok().or_else(from_git);
    println!("cargo:rustc-env=KARBOR_ADMISSION_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
    let rustc =
        std::env::var("RUSTC").ok().and_then(|rustc| first_line(Command::new(rustc).arg("--version")));
    println!("cargo:rustc-env=KARBOR_ADMISSION_RUSTC={}", rustc.as_deref().unwrap_or("unknown"));
}

fn from_git() -> Option<String> {
    first_line(Command::new("git").args(["rev-parse", "--short=12", "HEAD"]))
}

fn first_line(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(str::to_owned).filter(|line| !line.is_empty())
}
