//! Everything in which the engines differ: how to connect, types of columns, transactions, error numbers.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::mysql::{MySqlConnectOptions, MySqlDatabaseError, MySqlSslMode};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use tokio::time::{Instant, sleep};

use super::connection::Connection;
use super::error::{Cause, LedgerError};
use super::options::{Engine, MysqlOptions, MysqlTls, PasswordSource};
use super::tls::{self, TlsFlaw};

/// How an engine spells what the statements have in common.
pub(super) struct Dialect {
    /// Begins a transaction that will write.
    pub(super) begin: &'static str,
    /// Finds the number of tables by the name that is bound.
    pub(super) has_table: &'static str,
    /// Finds how many bytes the tables take.
    pub(super) size: &'static str,
    /// Behind `entry e` where it is looked up by many checkpoints.
    pub(super) by_checkpoint: &'static str,
    /// Behind `CREATE INDEX`.
    pub(super) if_missing: &'static str,
    /// What stands for what in the text of a table.
    pub(super) types: &'static [(&'static str, &'static str)],
}

/// Names are compared byte for byte. Long ones are cut before (`record::fitting`), so that an index holds four.
static SQLITE: Dialect = Dialect {
    begin: "BEGIN IMMEDIATE",
    has_table: "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?",
    size: "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    by_checkpoint: "",
    if_missing: "IF NOT EXISTS",
    types: &[
        ("{ID}", "TEXT"),
        ("{NAME}", "TEXT"),
        ("{WORD}", "TEXT"),
        ("{LONG}", "TEXT"),
        ("{NUMBER}", "INTEGER"),
        ("{ROWS}", "STRICT"),
        ("{CLUSTERED}", "STRICT, WITHOUT ROWID"),
    ],
};

/// Binary columns: the collations of text differ between servers, and the common ones ignore trailing spaces.
static MYSQL: Dialect = Dialect {
    begin: "START TRANSACTION",
    has_table: "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?",
    size: "SELECT CAST(COALESCE(SUM(data_length + index_length), 0) AS SIGNED) FROM information_schema.tables \
           WHERE table_schema = DATABASE() AND table_name IN ('entry', 'share', 'holding', 'term')",
    // From 200 names on (`eq_range_index_dive_limit`) it does not look, but goes by statistics. Those are of when
    // it opened the table, which was empty, and say that one name finds thousands: it would walk the table.
    by_checkpoint: "FORCE INDEX (checkpoint)",
    if_missing: "",
    types: &[
        ("{ID}", "BINARY(32)"),
        ("{NAME}", "VARBINARY(255)"),
        ("{WORD}", "VARBINARY(16)"),
        ("{LONG}", "LONGBLOB"),
        ("{NUMBER}", "BIGINT"),
        ("{ROWS}", "ENGINE = InnoDB"),
        ("{CLUSTERED}", "ENGINE = InnoDB"),
    ],
};

impl Connection {
    pub(super) const fn dialect(&self) -> &'static Dialect {
        match self {
            Self::Sqlite(_) => &SQLITE,
            Self::Mysql(_) => &MYSQL,
        }
    }
}

/// What a connection to a file is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Write,
    Read,
}

/// Between two tries to open a file that another program is about to open or close.
const BETWEEN_TRIES: Duration = Duration::from_millis(5);

/// Opens the file of an SQLite ledger. `patience` is how long it waits for another program's lock.
pub(super) async fn open_file(
    path: &Path,
    patience: Duration,
    r#use: Use,
) -> Result<Connection, LedgerError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .read_only(r#use == Use::Read)
        .busy_timeout(patience)
        // Rows of one page of answers: fewer would make the threads take turns.
        .row_buffer_size(1024)
        .disable_statement_logging();
    // The journal's mode is the writer's to set; a commit is on the disk when it returns.
    let options = match r#use {
        Use::Write => options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full),
        Use::Read => options,
    };
    let end = Instant::now() + patience;
    loop {
        match options.connect().await.map_err(classify) {
            // SQLite itself does not wait for whoever sets the journal's mode, or closes the file as the last.
            Err(error) if error.is_conflict() && Instant::now() < end => sleep(BETWEEN_TRIES).await,
            opened => return opened.map(|connection| Connection::Sqlite(Box::new(connection))),
        }
    }
}

/// A connection by which the schema may be brought up to date; a file is made where there is none.
pub(super) async fn connect_to_migrate(
    engine: &Engine,
    patience: Duration,
) -> Result<Connection, LedgerError> {
    match engine {
        Engine::Sqlite(path) => {
            create_file(path)?;
            open_file(path, patience, Use::Write).await
        }
        Engine::Mysql(server) => {
            let entered = tokio::time::timeout(patience, log_in(server, patience)).await;
            entered.unwrap_or(Err(LedgerError::Timeout(patience)))
        }
    }
}

/// Makes the file and its folder, for the service alone, where they are missing.
pub(super) fn create_file(path: &Path) -> Result<(), LedgerError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| LedgerError::File { path, source: Arc::new(source) }
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let sync =
        |folder: &Path| fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed(folder));
    let is_new = !folder.exists();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed(folder))?;
    // Without `create_new`: two proxies may start at once.
    let file = fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    file.and_then(|file| file.sync_all()).map_err(failed(path))?;
    // The names must survive a loss of power too.
    sync(folder)?;
    match folder.parent() {
        Some(above) if is_new && !above.as_os_str().is_empty() => sync(above),
        _ => Ok(()),
    }
}

/// Logs in to a server. `patience` is how long a statement waits for a lock.
pub(super) async fn log_in(server: &MysqlOptions, patience: Duration) -> Result<Connection, LedgerError> {
    let mode = match server.tls {
        MysqlTls::Off => MySqlSslMode::Disabled,
        MysqlTls::Require => MySqlSslMode::Required,
        MysqlTls::Verify => MySqlSslMode::VerifyIdentity,
    };
    let mut options = MySqlConnectOptions::new()
        .host(&server.host)
        .port(server.port)
        .username(&server.user)
        .database(&server.database)
        .ssl_mode(mode)
        .charset("utf8mb4")
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .timezone(None)
        .disable_statement_logging();
    if let (MysqlTls::Verify, Some(file)) = (server.tls, &server.ca_file) {
        options = options.ssl_ca_from_pem(tls::authorities(file)?);
    }
    let password = server.password.read().map_err(|source| {
        let path = match &server.password {
            PasswordSource::File(path) => path.clone(),
            PasswordSource::None | PasswordSource::Given(_) => PathBuf::new(),
        };
        LedgerError::PasswordFile { path, source: Arc::new(source) }
    })?;
    if let Some(password) = password {
        options = options.password(password.reveal());
    }
    let entered = options.connect().await.map_err(|error| match classify(error) {
        // Denied, or TLS is wanted: MariaDB words the second as the first.
        LedgerError::NotLetIn(cause)
            if server.tls == MysqlTls::Off && matches!(number(cause.error()), Some(1045 | 3159)) =>
        {
            LedgerError::NotLetInOpenly(cause)
        }
        error => error,
    });
    let mut connection = Connection::Mysql(Box::new(entered?));
    let seconds = patience.as_secs().max(1);
    // Read committed: what is found is what others committed last, and no gaps are locked. A value that does
    // not fit is an error, not cut.
    connection
        .command(&format!(
            "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', \
             SESSION innodb_lock_wait_timeout = {seconds}, SESSION autocommit = 1"
        ))
        .await?;
    connection.command("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
    Ok(connection)
}

/// What an error means for what comes next.
pub(super) fn classify(error: sqlx::Error) -> LedgerError {
    if let Some(flaw) = TlsFlaw::of(&error) {
        return LedgerError::Insecure(flaw, Cause::new(error));
    }
    let kind: fn(Cause) -> LedgerError = match &error {
        sqlx::Error::Database(database) => match number(&error) {
            Some(number) => of_mysql(number),
            None => of_sqlite(database.code().as_deref()),
        },
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
            LedgerError::Unreachable
        }
        sqlx::Error::Configuration(_) => LedgerError::NotLetIn,
        _ => LedgerError::Refused,
    };
    kind(Cause::new(error))
}

fn contended(cause: Cause) -> LedgerError {
    LedgerError::Contended(Some(cause))
}

fn of_mysql(number: u16) -> fn(Cause) -> LedgerError {
    match number {
        // Lock wait timeout; deadlock, also Galera's certification; changed since read; the same key twice:
        // another wrote it first, and the next try finds it; no such savepoint: the transaction was ended under way.
        1205 | 1213 | 1020 | 1062 | 1305 => contended,
        // Too many connections; shutting down; read only, after a failover; killed; not yet part of Galera's
        // cluster; the network.
        1040 | 1047 | 1053 | 1077 | 1079 | 1152..=1161 | 1184 | 1290 | 1317 | 1927 | 2006 | 2013 => {
            LedgerError::Unreachable
        }
        // Access denied in its forms; no such database; the authentication asks for what we have not; TLS is wanted.
        1044 | 1045 | 1049 | 1130 | 1251 | 1698 | 1820 | 1862 | 3159 => LedgerError::NotLetIn,
        _ => LedgerError::Refused,
    }
}

fn of_sqlite(code: Option<&str>) -> fn(Cause) -> LedgerError {
    let code = code.and_then(|code| code.parse::<u32>().ok()).unwrap_or_default();
    // The low byte is the class: busy, locked; cannot open, disk, not a database.
    match code & 0xff {
        5 | 6 => contended,
        10 | 14 => LedgerError::Unreachable,
        _ => LedgerError::Refused,
    }
}

/// The index is there already.
pub(super) fn is_duplicate_index(error: &LedgerError) -> bool {
    matches!(error, LedgerError::Refused(cause) if number(cause.error()) == Some(1061))
}

/// By which MariaDB and MySQL name an error.
fn number(error: &sqlx::Error) -> Option<u16> {
    let database = error.as_database_error()?;
    database.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}
