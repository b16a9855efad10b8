//! The commands that work on the ledger alone, as an operator types them.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use karbor_admission::ledger::Engine;

use crate::stage::{OTHER, Stage, TENANT, run};

/// A stage and the file that configures it.
struct Desk {
    stage: Stage,
    config: PathBuf,
}

impl Desk {
    fn of(stage: Stage) -> Self {
        let config = stage.folder.join("config.toml");
        let ledger = match &stage.options.engine {
            Engine::Sqlite(path) => format!("url = \"sqlite:{}\"", path.display()),
            Engine::Mysql(server) => {
                format!(
                    "url = \"mysql://{}@{}:{}/{}\"",
                    server.user, server.host, server.port, server.database
                )
            }
        };
        std::fs::write(&config, format!("[ledger]\n{ledger}\n")).unwrap();
        Self { stage, config }
    }

    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_karbor-admission"));
        command.arg(arguments[0]).arg("--config").arg(&self.config).args(&arguments[1..]).env_clear();
        if let Engine::Mysql(server) = &self.stage.options.engine {
            let password = server.password.read().unwrap().unwrap();
            command.env("KARBOR_ADMISSION_LEDGER__PASSWORD", password.reveal());
        }
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // It may end without reading.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    #[track_caller]
    fn said(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn check_fails(&self, arguments: &[&str], words: &[&str]) {
        let output = self.run(arguments, "");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        for words in words {
            assert!(said.contains(words), "{arguments:?}: no {words:?} in {said}");
        }
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn does_what_the_operator_types() {
    for stage in [Some(Stage::sqlite()), Stage::mariadb()].into_iter().flatten() {
        let desk = Desk::of(stage);
        desk.check_fails(&["find"], &["schema is version 0", "hint: run 'karbor-admission migrate'"]);
        assert_eq!(desk.said(&["migrate"], ""), "the schema is made, version 1\n");
        assert_eq!(desk.said(&["migrate"], ""), "the schema is version 1 already\n");
        let open = desk.stage.open();
        run(async {
            open.keep(TENANT, "c1", &[("x-a--k", "v=1"), ("x-b--k", "")]).await;
            open.keep(OTHER, "c2", &[("x-a--k", "v")]).await;
        });
        open.close();
        let found = desk.said(&["find", "x-a--k=v=1", "x-b--k", "--json"], "");
        assert!(found.contains(r#""checkpoint":"c1""#) && found.lines().count() == 1, "{found}");
        assert_eq!(desk.said(&["find", "x-a--k"], "").lines().count(), 3);
        assert_eq!(desk.said(&["find", "--tenant", OTHER, "--json"], "").lines().count(), 1);
        assert_eq!(desk.said(&["find", "--provider", "none", "--json"], ""), "");
        let usage = desk.said(&["usage", "--json", "--tenant", TENANT], "");
        assert_eq!(usage.lines().count(), 3, "{usage}");
        assert!(usage.starts_with(&format!(r#"{{"tenant":"{TENANT}","application":null,"checkpoints":1,"#)));
        let lines = desk.said(&["export"], "");
        assert_eq!(lines.lines().count(), 3);
        let file = desk.stage.folder.join("export.jsonl");
        assert_eq!(desk.said(&["export", file.to_str().unwrap()], ""), "");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), lines);
        desk.check_fails(&["export", file.to_str().unwrap()], &["cannot write", "export.jsonl"]);
        let other = Desk::of(Stage::sqlite());
        other.said(&["migrate"], "");
        other.said(&["import"], &lines);
        let again = other.run(&["import", file.to_str().unwrap()], "");
        assert_eq!(String::from_utf8(again.stderr).unwrap(), "0 entries imported, 2 were there already\n");
        assert_eq!(other.said(&["export"], ""), lines);
    }
}

#[test]
fn says_what_is_wrong() {
    let desk = Desk::of(Stage::sqlite());
    desk.said(&["migrate"], "");
    desk.check_fails(&["import"], &["line 1 is not of an export", "hint: "]);
    std::fs::write(&desk.config, "[ledger]\nurl = \"off\"\n").unwrap();
    for command in ["find", "usage", "export", "import", "migrate"] {
        desk.check_fails(&[command], &["there is no ledger"]);
    }
    std::fs::write(&desk.config, "[ledger]\nurl = \"mysql://u@127.0.0.1:1/d\"\n").unwrap();
    desk.check_fails(&["usage"], &["cannot be reached", "is the server running"]);
}
