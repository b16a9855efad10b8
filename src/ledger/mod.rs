//! What was admitted, one entry for each checkpoint. Sees no HTTP.

mod options;

pub use options::{Engine, LedgerOptions, MysqlOptions, MysqlTls, Password, PasswordSource};
