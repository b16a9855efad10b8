//! Exports into a file: whole or not there, gone on with wherever they were cut.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use karbor_admission::ledger::{Console, ConsoleError, Engine, Exported};

use crate::stage::{OTHER, Stage, TENANT, run};

const SOON: Duration = Duration::from_secs(60);

/// A ledger with so many entries, and where it is exported to.
struct Desk {
    stage: Stage,
    file: PathBuf,
    part: PathBuf,
}

impl Desk {
    fn of(stage: Stage, entries: usize) -> Self {
        let desk =
            Self { file: stage.folder.join("out.jsonl"), part: stage.folder.join("out.jsonl.part"), stage };
        desk.keep(0..entries);
        desk
    }

    fn keep(&self, numbers: std::ops::Range<usize>) {
        let open = self.stage.open();
        run(async {
            for number in numbers {
                // One after the other in time, and so in the file.
                self.stage.wait(1);
                open.keep(TENANT, &format!("c{number}"), &[("x-a--n", &number.to_string())]).await;
            }
        });
        open.close();
    }

    fn console(&self) -> Console {
        Console::open(&self.stage.options).unwrap()
    }

    fn lines(&self) -> String {
        let mut out = Vec::new();
        self.console().export(&mut out, |_| ()).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn export(&self, resumes: bool) -> Result<Exported, ConsoleError> {
        self.console().export_to(&self.file, resumes, |_| ())
    }

    fn file(&self) -> String {
        assert!(!self.part.exists());
        std::fs::read_to_string(&self.file).unwrap()
    }
}

fn on_each(entries: usize, test: impl Fn(Desk)) {
    for stage in [Some(Stage::sqlite()), Stage::mariadb()].into_iter().flatten() {
        test(Desk::of(stage, entries));
    }
}

#[test]
fn a_file_is_there_once_it_is_whole_and_for_its_owner_alone() {
    on_each(3, |desk| {
        let part = desk.part.clone();
        let mut told = 0;
        let done = desk.console().export_to(&desk.file, false, |number| {
            assert!(part.exists());
            told = number;
        });
        assert_eq!((done.unwrap(), told), (Exported { new: 3, earlier: 0 }, 3));
        assert_eq!(desk.file(), desk.lines());
        assert_eq!(std::fs::metadata(&desk.file).unwrap().permissions().mode() & 0o777, 0o600);
    });
}

#[test]
fn goes_on_wherever_it_was_cut() {
    let desk = Desk::of(Stage::sqlite(), 3);
    let whole = desk.lines();
    let console = desk.console();
    let heading = whole.find('\n').unwrap();
    // Each byte of the heading and of the line behind it, and then the others by leaps.
    let cuts = (0..heading + 100).chain((heading + 100..whole.len()).step_by(23)).chain([whole.len()]);
    for cut in cuts {
        std::fs::write(&desk.part, &whole[..cut]).unwrap();
        let earlier = (whole[..cut].matches('\n').count() as u64).saturating_sub(1);
        let done = console.export_to(&desk.file, true, |_| ()).unwrap();
        assert_eq!(done, Exported { new: 3 - earlier, earlier }, "cut at {cut}");
        assert_eq!(desk.file(), whole, "cut at {cut}");
        std::fs::remove_file(&desk.file).unwrap();
    }
    // Power was lost: there is room for what did not come.
    std::fs::write(&desk.part, format!("{}{}", &whole[..heading + 300], "\0".repeat(4096))).unwrap();
    console.export_to(&desk.file, true, |_| ()).unwrap();
    assert_eq!(desk.file(), whole);
}

#[test]
fn goes_on_behind_pages_and_without_a_beginning() {
    on_each(450, |desk| {
        assert_eq!(desk.export(true).unwrap(), Exported { new: 450, earlier: 0 });
        let whole = desk.file();
        std::fs::remove_file(&desk.file).unwrap();
        let some: String = whole.split_inclusive('\n').take(301).collect();
        std::fs::write(&desk.part, format!("{some}{{\"id\":\"01")).unwrap();
        let mut told = Vec::new();
        let done = desk.console().export_to(&desk.file, true, |number| told.push(number)).unwrap();
        assert_eq!(done, Exported { new: 150, earlier: 300 });
        assert_eq!(told, [450, 450]);
        assert_eq!(desk.file(), whole);
    });
}

/// What was written stays as it stood then; what came since is behind it.
#[test]
fn the_ledger_may_change_meanwhile() {
    on_each(4, |desk| {
        let before: Vec<String> = desk.lines().split_inclusive('\n').map(str::to_owned).collect();
        std::fs::write(&desk.part, before[..3].concat()).unwrap();
        let open = desk.stage.open();
        run(async {
            assert!(open.forget(TENANT, "c0").await);
            assert!(open.forget(TENANT, "c2").await);
        });
        open.close();
        desk.keep(4..5);
        assert_eq!(desk.export(true).unwrap(), Exported { new: 3, earlier: 2 });
        let after: Vec<String> = desk.file().split_inclusive('\n').map(str::to_owned).collect();
        assert_eq!(after[..3], before[..3]);
        let states = |line: &String| line.contains(r#""state":"deleted""#);
        assert_eq!(after.iter().map(states).collect::<Vec<_>>(), [false, false, false, true, false, false]);
        // Each once.
        let mut ids: Vec<&str> = after[1..].iter().map(|line| &line[..40]).collect();
        ids.dedup();
        assert_eq!(ids.len(), 5);
    });
}

#[track_caller]
fn check_refused(desk: &Desk, resumes: bool, words: &str) {
    let is_there = |path: &Path| std::fs::read(path).ok();
    let before = [is_there(&desk.file), is_there(&desk.part)];
    let error = desk.export(resumes).unwrap_err();
    let said = format!("{error}, {:?}", std::error::Error::source(&error).map(ToString::to_string));
    assert!(said.contains(words), "{said}");
    assert!(error.hint().is_some());
    assert_eq!([is_there(&desk.file), is_there(&desk.part)], before, "{words}");
}

#[test]
fn touches_no_file_that_is_not_its_own() {
    let desk = Desk::of(Stage::sqlite(), 3);
    let whole = desk.lines();
    for resumes in [false, true] {
        std::fs::write(&desk.file, "somebody's").unwrap();
        check_refused(&desk, resumes, "cannot write");
        std::fs::remove_file(&desk.file).unwrap();
    }
    std::fs::write(&desk.part, &whole).unwrap();
    check_refused(&desk, false, "an export that was cut short");
    let line = whole.lines().nth(1).unwrap();
    for foreign in [
        "somebody's".to_owned(),
        "somebody's\n".to_owned(),
        "\0\0\0".to_owned(),
        "{\"karbor_admission_ledger\":2}\n".to_owned(),
        format!("{line}\n"),
        format!("{}somebody's\n{}", whole, &line[..9]),
        format!("{whole}\n"),
    ] {
        std::fs::write(&desk.part, &foreign).unwrap();
        check_refused(&desk, true, "is not of an export that was cut short");
    }
    std::fs::write(&desk.part, [whole.as_bytes(), b"\xff\n"].concat()).unwrap();
    check_refused(&desk, true, "not UTF-8");
    let other = Desk::of(Stage::sqlite(), 1);
    std::fs::write(&desk.part, other.lines()).unwrap();
    check_refused(&desk, true, "not in this ledger");
    std::fs::remove_file(&desk.part).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &desk.part).unwrap();
    assert!(desk.export(true).unwrap_err().to_string().contains("cannot write"));
    std::fs::remove_file(&desk.part).unwrap();
    std::fs::write(&desk.part, &whole).unwrap();
    let held = std::fs::File::open(&desk.part).unwrap();
    held.lock().unwrap();
    check_refused(&desk, true, "being written by another export");
    drop(held);
    desk.export(true).unwrap();
    assert_eq!(desk.file(), whole);
}

/// The program, killed in the middle of it, or without room on the disk.
#[test]
fn goes_on_after_it_was_killed() {
    let desk = Desk::of(Stage::sqlite(), 1);
    let Engine::Sqlite(path) = &desk.stage.options.engine else { panic!() };
    let config = desk.stage.folder.join("config.toml");
    std::fs::write(&config, format!("[ledger]\nurl = \"sqlite:{}\"\n", path.display())).unwrap();
    run(async {
        let many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000) \
                    INSERT INTO entry SELECT printf('%032x', i), tenant, provider, plan, 'm' || i, state, map, \
                    entries, bytes, reserved_at, changed_at, due_at, request_id, revision FROM entry, n";
        desk.stage.sql(many).await;
    });
    let export = |more: &[&str]| {
        // The disk is full for files of some 100 KiB.
        let (program, is_full) = (env!("CARGO_BIN_EXE_karbor-admission"), more == ["full"]);
        let mut command = Command::new(program);
        if is_full {
            command = Command::new("sh");
            command.args(["-c", "ulimit -f 200; trap '' XFSZ; exec \"$@\"", "sh", program]);
        }
        command.env_clear().args(["export", "--config"]).arg(&config).arg(&desk.file);
        command.args(if is_full { &[] } else { more });
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let until = Instant::now() + SOON;
    loop {
        assert!(Instant::now() < until, "it was never caught in the middle");
        let mut child = export(&[]);
        let has_some = || std::fs::metadata(&desk.part).is_ok_and(|part| part.len() > 50_000);
        while !has_some() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if desk.part.exists() {
            break;
        }
        let _ = std::fs::remove_file(&desk.file);
    }
    assert!(!desk.file.exists());
    let again = export(&[]).wait_with_output().unwrap();
    let said = String::from_utf8(again.stderr).unwrap();
    assert!(!again.status.success() && said.contains("hint: --resume goes on with it"), "{said}");
    let resumed = export(&["--resume"]).wait_with_output().unwrap();
    let said = String::from_utf8(resumed.stderr).unwrap();
    assert!(resumed.status.success() && said.starts_with("12001 entries exported, "), "{said}");
    assert_eq!(desk.file(), desk.lines());
    std::fs::remove_file(&desk.file).unwrap();
    let full = export(&["full"]).wait_with_output().unwrap();
    let said = String::from_utf8(full.stderr).unwrap();
    assert!(said.contains("the export was cut short: ") && said.contains("with --resume goes on"), "{said}");
    assert!(desk.part.exists() && !desk.file.exists());
    assert!(export(&["--resume"]).wait().unwrap().success());
    assert_eq!(desk.file(), desk.lines());
}

/// Who exports for another tenant's sake finds it in the same file.
#[test]
fn holds_every_tenant() {
    let desk = Desk::of(Stage::sqlite(), 1);
    let open = desk.stage.open();
    run(async { open.keep(OTHER, "theirs", &[("x-a--k", "v")]).await });
    open.close();
    assert_eq!(desk.export(false).unwrap().new, 2);
    assert!(desk.file().contains(OTHER));
}
