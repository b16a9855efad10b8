//! Tells the program which commit it was built from.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=KARBOR_ADMISSION_COMMIT");
    println!("cargo:rerun-if-changed=.git/HEAD");
    println!("cargo:rerun-if-changed=.git/logs/HEAD");
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
