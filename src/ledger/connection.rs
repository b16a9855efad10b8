//! One connection to either engine, as few verbs: the statements are the same text for both.
//!
//! Text travels as bytes to MariaDB, because its columns are binary and compare so. Leaves what differs in
//! schema and set-up to `dialect`.

use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, MySql, MySqlConnection, Row as _, Sqlite, SqliteConnection};

use super::dialect;
use super::error::{Cause, LedgerError};

/// An argument of a statement.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'v> {
    Text(&'v str),
    Number(i64),
    Null,
}

impl<'v> From<&'v str> for Value<'v> {
    fn from(text: &'v str) -> Self {
        Self::Text(text)
    }
}

impl<'v> From<Option<&'v str>> for Value<'v> {
    fn from(text: Option<&'v str>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(number: Option<i64>) -> Self {
        number.map_or(Self::Null, Self::Number)
    }
}

/// An open connection. A future of it that is dropped half way leaves it in no known state: drop it too.
pub(super) enum Connection {
    Sqlite(Box<SqliteConnection>),
    Mysql(Box<MySqlConnection>),
}

impl Connection {
    /// Carries a statement out; how many rows it matched.
    pub(super) async fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, LedgerError> {
        let done = match self {
            Self::Sqlite(connection) => {
                sqlite(sql, values).execute(&mut **connection).await.map(|done| done.rows_affected())
            }
            Self::Mysql(connection) => {
                mysql(sql, values).execute(&mut **connection).await.map(|done| done.rows_affected())
            }
        };
        done.map_err(dialect::classify)
    }

    /// The rows that a statement finds.
    pub(super) async fn rows(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, LedgerError> {
        let found = match self {
            Self::Sqlite(connection) => {
                let rows = sqlite(sql, values).fetch_all(&mut **connection).await;
                rows.map(|rows| rows.into_iter().map(Row::Sqlite).collect())
            }
            Self::Mysql(connection) => {
                let rows = mysql(sql, values).fetch_all(&mut **connection).await;
                rows.map(|rows| rows.into_iter().map(Row::Mysql).collect())
            }
        };
        found.map_err(dialect::classify)
    }

    /// The one row that a statement finds, or none.
    pub(super) async fn row(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Option<Row>, LedgerError> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// Carries out a statement that cannot be prepared on every server: transactions, settings, tables.
    pub(super) async fn command(&mut self, sql: &str) -> Result<(), LedgerError> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        let done = match self {
            Self::Sqlite(connection) => sql.execute(&mut **connection).await.map(drop),
            Self::Mysql(connection) => sql.execute(&mut **connection).await.map(drop),
        };
        done.map_err(dialect::classify)
    }
}

/// Statements are put together from our own words and question marks alone; what others sent is bound.
fn sqlite<'q>(sql: &str, values: &[Value<'_>]) -> Query<'q, Sqlite, SqliteArguments> {
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for value in values {
        query = match value {
            Value::Text(text) => query.bind((*text).to_owned()),
            Value::Number(number) => query.bind(*number),
            Value::Null => query.bind(None::<String>),
        };
    }
    query
}

fn mysql<'q>(sql: &str, values: &[Value<'_>]) -> Query<'q, MySql, MySqlArguments> {
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for value in values {
        query = match value {
            Value::Text(text) => query.bind(text.as_bytes().to_vec()),
            Value::Number(number) => query.bind(*number),
            Value::Null => query.bind(None::<Vec<u8>>),
        };
    }
    query
}

/// A row found. Columns are counted from 0.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Mysql(MySqlRow),
}

impl Row {
    pub(super) fn text(&self, column: usize) -> Result<String, LedgerError> {
        self.maybe_text(column)?.ok_or(LedgerError::Unreadable("text is missing"))
    }

    pub(super) fn maybe_text(&self, column: usize) -> Result<Option<String>, LedgerError> {
        match self {
            Self::Sqlite(row) => row.try_get_unchecked(column).map_err(unreadable),
            Self::Mysql(row) => {
                let bytes: Option<Vec<u8>> = row.try_get_unchecked(column).map_err(unreadable)?;
                let text = bytes.map(String::from_utf8).transpose();
                text.map_err(|_invalid| LedgerError::Unreadable("text is not UTF-8"))
            }
        }
    }

    pub(super) fn number(&self, column: usize) -> Result<i64, LedgerError> {
        self.maybe_number(column)?.ok_or(LedgerError::Unreadable("a number is missing"))
    }

    pub(super) fn maybe_number(&self, column: usize) -> Result<Option<i64>, LedgerError> {
        match self {
            Self::Sqlite(row) => row.try_get_unchecked(column).map_err(unreadable),
            Self::Mysql(row) => row.try_get_unchecked(column).map_err(unreadable),
        }
    }

    /// A number that cannot be below 0.
    pub(super) fn amount(&self, column: usize) -> Result<u64, LedgerError> {
        u64::try_from(self.number(column)?).map_err(|_negative| LedgerError::Unreadable("a count is below 0"))
    }
}

fn unreadable(error: sqlx::Error) -> LedgerError {
    LedgerError::Refused(Cause::new(error))
}
