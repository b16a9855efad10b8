//! Opening: files and folders, versions of the schema, what is not ours.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use karbor_admission::ledger::{Engine, Ledger, LedgerError, MysqlOptions, MysqlTls, PasswordSource};
use socket2::{Domain, Socket, Type};

use crate::stage::{Stage, TENANT, on_each, run};

fn refusal(stage: &Stage) -> LedgerError {
    match Ledger::open_at(&stage.options, stage.clock()) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

#[test]
fn makes_file_and_folder_for_the_service_alone() {
    let stage = Stage::sqlite();
    let Engine::Sqlite(path) = &stage.options.engine else { panic!() };
    let open = stage.open();
    run(async { open.keep(TENANT, "c1", &[("x-a--k", "v")]).await });
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for file in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"] {
        assert_eq!(mode(&path.with_file_name(file)), 0o600, "{file}");
    }
}

#[test]
fn refuses_to_migrate_where_that_is_forbidden() {
    on_each(|mut stage| async move {
        stage.options.migrate = false;
        let error = refusal(&stage);
        assert!(matches!(error, LedgerError::Outdated { found: 0, needed: 1 }), "{error:?}");
        assert!(error.hint().unwrap().contains("karbor-admission migrate"));
        if let Engine::Sqlite(path) = &stage.options.engine {
            assert!(!path.exists());
        }
        stage.options.migrate = true;
        stage.open().close();
        stage.options.migrate = false;
        stage.open().close();
    });
}

#[test]
fn refuses_a_schema_that_is_newer() {
    on_each(|stage| async move {
        stage.open().close();
        stage.sql("INSERT INTO schema_version (version, applied_at) VALUES (2, 0)").await;
        let error = refusal(&stage);
        assert!(matches!(error, LedgerError::FromTheFuture { found: 2, known: 1 }), "{error:?}");
        assert!(error.hint().is_some());
    });
}

#[test]
fn two_may_start_at_once() {
    // Each on a ledger that is not there yet.
    for _ in 0..10 {
        on_each(|stage| async move {
            let stage = &stage;
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| stage.open().close());
                }
            });
            stage.check_books().await;
        });
    }
}

#[test]
fn refuses_what_is_no_ledger() {
    let stage = Stage::sqlite();
    let Engine::Sqlite(path) = &stage.options.engine else { panic!() };
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    std::fs::write(path, "a text that somebody wants to keep, and that is no database\n".repeat(40)).unwrap();
    let error = refusal(&stage);
    assert!(matches!(error, LedgerError::Refused(_)), "{error:?}");
}

#[test]
fn refuses_a_folder_that_cannot_be() {
    let mut stage = Stage::sqlite();
    stage.options.engine = Engine::Sqlite("/dev/null/ledger.sqlite".into());
    assert!(matches!(refusal(&stage), LedgerError::File { .. }));
}

/// It may come up later; until then calls fail, and soon.
#[test]
fn opens_while_the_server_is_away() {
    let mut stage = Stage::sqlite();
    // Bound, and nobody listens.
    let gone = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    gone.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    stage.options.engine = Engine::Mysql(MysqlOptions {
        host: "127.0.0.1".into(),
        port: gone.local_addr().unwrap().as_socket().unwrap().port(),
        user: "nobody".into(),
        password: PasswordSource::None,
        database: "none".into(),
        tls: MysqlTls::Off,
        ca_file: None,
    });
    let (ledger, thread) = Ledger::open_at(&stage.options, stage.clock()).unwrap();
    run(async {
        let error = ledger.read(&crate::stage::provider(), &[]).await.unwrap_err();
        assert!(matches!(error, LedgerError::Unreachable(_)), "{error:?}");
    });
    assert!(!ledger.counts().is_up);
    thread.close(Duration::from_secs(20)).unwrap();
    // The file was never opened; nothing to clean.
    stage.options.engine = Engine::Sqlite("none".into());
}

#[test]
fn refuses_calls_once_it_is_closed() {
    let stage = Stage::sqlite();
    let open = stage.open();
    let ledger = open.ledger.clone();
    open.close();
    run(async {
        let error = ledger.read(&crate::stage::provider(), &[]).await.unwrap_err();
        assert!(matches!(error, LedgerError::Closed), "{error:?}");
    });
}

#[test]
fn says_what_to_do_about_a_file_that_is_no_database() {
    let stage = Stage::sqlite();
    let Engine::Sqlite(path) = &stage.options.engine else { panic!() };
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, "nobody's database ".repeat(100)).unwrap();
    let error = refusal(&stage);
    assert!(error.hint().is_some_and(|hint| hint.contains("folder")), "{error:?}");
}
