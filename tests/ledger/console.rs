//! What an operator does: find, usage, export into the other engine and back, migrate.

use karbor_admission::karbor::TenantId;
use karbor_admission::ledger::{Console, ConsoleError, Imported, LedgerError, Search, Term, migrate};

use crate::stage::{OTHER, READABLE, Stage, TENANT, outline, run};

/// Each pair of engines that there is.
fn on_each_pair(test: impl Fn(Stage, Stage)) {
    test(Stage::sqlite(), Stage::sqlite());
    if let (Some(one), Some(other)) = (Stage::mariadb(), Stage::mariadb()) {
        test(Stage::sqlite(), one);
        test(other, Stage::sqlite());
    }
}

/// Entries in every state, of maps with anything in them.
fn fill(stage: &Stage, more: usize) {
    let open = stage.open();
    run(async {
        open.keep(TENANT, "kept", &[("x-a--k", "é\n\"\0"), ("karbor-k", "")]).await;
        open.keep(OTHER, "gone", &[("x-b--k", "v")]).await;
        assert!(open.forget(OTHER, "gone").await);
        open.hold(TENANT, &[("x-a--lapsed", "v")]).await.dispatched();
        stage.wait(crate::stage::LEASE);
        assert_eq!(open.ledger.sweep().await.unwrap().lapsed, 1);
        open.hold(TENANT, &[("x-a--k", "reserved")]).await.dispatched();
        open.keep(TENANT, "no map", &[]).await;
        for at in 0..more {
            open.keep(TENANT, &format!("m{at:03}"), &[("x-m--n", &at.to_string())]).await;
        }
    });
    open.close();
}

fn export(stage: &Stage) -> String {
    let mut out = Vec::new();
    let mut told = 0;
    let written = Console::open(&stage.options).unwrap().export(&mut out, |number| told = number).unwrap();
    assert_eq!(told, written);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().count() as u64, written + 1);
    text
}

fn import(stage: &Stage, lines: &str) -> Result<Imported, ConsoleError> {
    let mut told = Imported::default();
    let done = Console::open(&stage.options).unwrap().import(lines.as_bytes(), |done| told = done);
    if let Ok(done) = done {
        assert_eq!(told, done);
    }
    done
}

#[test]
fn moves_a_ledger_whole_and_once() {
    on_each_pair(|from, to| {
        fill(&from, 450);
        let lines = export(&from);
        to.open().close();
        // Cut short, then started again, then once more.
        let some: String = lines.lines().take(300).map(|line| format!("{line}\n")).collect();
        assert_eq!(import(&to, &some).unwrap(), Imported { new: 299, known: 0 });
        assert_eq!(import(&to, &lines).unwrap(), Imported { new: 156, known: 299 });
        assert_eq!(import(&to, &lines).unwrap(), Imported { new: 0, known: 455 });
        assert_eq!(export(&to), lines);
        run(async {
            from.check_books().await;
            to.check_books().await;
            let held = "SELECT tenant, application, checkpoints, entries, bytes FROM holding ORDER BY tenant, application";
            assert_eq!(from.sql(held).await, to.sql(held).await);
            for table in ["share", "term"] {
                let count = format!("SELECT COUNT(*) FROM {table}");
                assert_eq!(from.sql(&count).await, to.sql(&count).await, "{table}");
            }
            // Time goes on there: the reservation's lease ends, and what was deleted goes.
            let open = to.open();
            to.wait(READABLE + 2 * crate::stage::LEASE);
            assert_eq!(open.ledger.sweep().await.unwrap().lapsed, 1);
            to.check_books().await;
        });
    });
}

#[test]
fn what_is_there_stays_as_it_is() {
    let (from, to) = (Stage::sqlite(), Stage::sqlite());
    fill(&from, 0);
    let open = to.open();
    run(async { open.keep(TENANT, "kept", &[("x-z--k", "newer")]).await });
    open.close();
    assert_eq!(import(&to, &export(&from)).unwrap(), Imported { new: 4, known: 1 });
    run(async {
        let line = format!("{TENANT}/kept kept x-z--k=newer");
        to.open().check_read(&["kept"], &[&line]).await;
        to.check_books().await;
    });
}

#[track_caller]
fn check_foreign(lines: &str, number: u64, words: &str) {
    let stage = Stage::sqlite();
    stage.open().close();
    match import(&stage, lines) {
        Err(ConsoleError::Foreign { number: found, what }) => {
            assert_eq!(found, number, "{what}");
            assert!(what.contains(words), "{what}");
        }
        other => panic!("{lines}: {other:?}"),
    }
}

#[test]
fn refuses_lines_of_something_else() {
    const HEADING: &str = r#"{"karbor_admission_ledger":1}"#;
    let line = |id: &str, state: &str, checkpoint: &str, due_at: &str, map: &str| {
        format!(
            r#"{HEADING}
{{"id":"{id}","tenant":"t","provider":"p","plan":"p","checkpoint":{checkpoint},"state":"{state}","extra_info":{map},"reserved_at":1,"changed_at":1,"due_at":{due_at},"created_at":1,"request_id":"r","revision":"r"}}"#
        )
    };
    let id = "0123456789abcdef0123456789abcdef";
    check_foreign("hello", 1, "expected");
    check_foreign(r#"{"karbor_admission_ledger":2}"#, 1, "format 2");
    check_foreign(&format!("{HEADING}\n\n{{}}"), 3, "missing field");
    check_foreign(&line(id, "lost", "null", "1", "{}"), 2, "lost");
    check_foreign(&line(id, "kept", "\"c\"", "null", r#"{"a":1}"#), 2, "string");
    check_foreign(&line("1", "kept", "\"c\"", "null", "{}"), 2, "hexadecimal");
    check_foreign(&line(id, "kept", "null", "null", "{}"), 2, "checkpoint");
    check_foreign(&line(id, "reserved", "\"c\"", "1", "{}"), 2, "not bound");
    check_foreign(&line(id, "kept", "\"c\"", "1", "{}"), 2, "due_at");
    check_foreign(&line(id, "reserved", "null", "null", "{}"), 2, "due_at");
}

#[test]
fn keeps_what_stands_before_a_line_of_something_else() {
    let (from, to) = (Stage::sqlite(), Stage::sqlite());
    fill(&from, 0);
    to.open().close();
    let lines = export(&from);
    assert!(import(&to, &format!("{lines}nonsense\n")).is_err());
    assert_eq!(export(&to), lines);
}

#[test]
fn finds_and_adds_up_page_by_page() {
    let stage = Stage::sqlite();
    fill(&stage, 450);
    let console = Console::open(&stage.options).unwrap();
    let find = |terms: &[(&str, Option<&str>)], most| {
        let term =
            |(key, value): &(&str, Option<&str>)| Term { key: (*key).into(), value: value.map(Into::into) };
        let search = Search { terms: terms.iter().map(term).collect(), ..Search::default() };
        let mut lines = Vec::new();
        let number = console.find(search, most, |kept| {
            lines.push(outline(&kept.clone().into()));
            Ok(())
        });
        assert_eq!(number.unwrap(), lines.len() as u64);
        lines
    };
    assert_eq!(find(&[("x-m--n", Some("7"))], 100), [format!("{TENANT}/m007 kept x-m--n=7")]);
    assert_eq!(find(&[("x-m--n", None)], u64::MAX).len(), 450);
    assert_eq!(find(&[("x-m--n", None)], 201).len(), 201);
    assert_eq!(find(&[], u64::MAX).len(), 453);
    let usage = |tenant: Option<&str>| {
        let mut lines = Vec::new();
        let each = |row: &karbor_admission::ledger::TenantUsage| {
            let application = row.application.as_deref().unwrap_or("all");
            lines.push(format!("{}/{application} {}", row.tenant, row.usage.checkpoints));
            Ok(())
        };
        console.usage(tenant.map(TenantId::new).as_ref(), each).unwrap();
        lines
    };
    let expected = ["all 452", "a 2", "m 450"].map(|line| format!("{TENANT}/{line}"));
    assert_eq!(usage(None), expected);
    assert_eq!(usage(Some(TENANT)), expected);
    assert_eq!(usage(Some(OTHER)), [""; 0]);
}

#[test]
fn opens_what_is_there_and_makes_nothing() {
    for stage in [Some(Stage::sqlite()), Stage::mariadb()].into_iter().flatten() {
        let Err(ConsoleError::Ledger(error)) = Console::open(&stage.options) else { panic!("it was opened") };
        assert!(matches!(error, LedgerError::Outdated { found: 0, .. }), "{error:?}");
        assert_eq!(migrate(&stage.options).unwrap(), (0, 1));
        assert_eq!(migrate(&stage.options).unwrap(), (1, 1));
        assert_eq!(export(&stage).lines().count(), 1);
    }
}
