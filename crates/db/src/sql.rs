//! Statements that are written by hand, once for both engines where they can be.
//!
//! Parameters are written `$1`, `$2` … in both. Many rows travel as one JSON text: [`rows`] unpacks them.

use crate::Error;
use chrono::{DateTime, TimeDelta, Utc};
use rebound_domain::AddressKey;
use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult, Statement, Value};

/// Runs a statement; the number of rows it changed.
pub(crate) async fn execute(
    db: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64, Error> {
    Ok(db.execute_raw(statement(db, sql, values)).await?.rows_affected())
}

/// The rows of a question.
pub(crate) async fn all<T: FromQueryResult>(
    db: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<T>, Error> {
    Ok(T::find_by_statement(statement(db, sql, values)).all(db).await?)
}

/// The first row of a question.
pub(crate) async fn one<T: FromQueryResult>(
    db: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Option<T>, Error> {
    Ok(T::find_by_statement(statement(db, sql, values)).one(db).await?)
}

/// A single number; 0 where there is no row or a null.
pub(crate) async fn number(
    db: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<i64, Error> {
    let row = db.query_one_raw(statement(db, sql, values)).await?;
    Ok(row.and_then(|row| row.try_get_by_index::<Option<i64>>(0).ok().flatten()).unwrap_or(0))
}

fn statement(db: &impl ConnectionTrait, sql: &str, values: impl IntoIterator<Item = Value>) -> Statement {
    let backend = db.get_database_backend();
    match backend {
        DatabaseBackend::Postgres => Statement::from_sql_and_values(backend, sql, values),
        // SQLite numbers its parameters `?1`.
        _ => Statement::from_sql_and_values(backend, sql.replace('$', "?").replace('\u{1}', "$"), values),
    }
}

/// Many rows as the one JSON text that [`rows`] unpacks.
pub(crate) fn json<T: serde::Serialize>(rows: impl IntoIterator<Item = T>) -> Result<String, Error> {
    let rows: Vec<T> = rows.into_iter().collect();
    serde_json::to_string(&rows).map_err(|error| Error::Unavailable(sea_orm::DbErr::Json(error.to_string())))
}

/// The keys as the JSON text that [`rows`] unpacks to a column `key`.
pub(crate) fn keys_json(keys: &[AddressKey]) -> Result<String, Error> {
    #[derive(serde::Serialize)]
    struct Key<'a> {
        key: &'a AddressKey,
    }
    json(keys.iter().map(|key| Key { key }))
}

/// Unpacks parameter `$parameter`, a JSON array of objects, into a table called `rows` with `columns` (name and
/// PostgreSQL type): `FROM {}` in either engine.
pub(crate) fn rows(db: &impl ConnectionTrait, parameter: u8, columns: &[(&str, &str)]) -> String {
    match db.get_database_backend() {
        DatabaseBackend::Postgres => {
            let columns: Vec<String> = columns.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
            format!("json_to_recordset(${parameter}::text::json) AS rows ({})", columns.join(", "))
        }
        _ => {
            let columns: Vec<String> =
                columns.iter().map(|(name, _)| format!("json_extract(value, '$.{name}') AS {name}")).collect();
            // The dollar of a JSON path must not be taken for a parameter's.
            let columns = columns.join(", ").replace("'$.", "'\u{1}.");
            format!("(SELECT {columns} FROM json_each(${parameter})) AS rows")
        }
    }
}

/// The time as the database keeps it: whole milliseconds since 1970, UTC.
pub(crate) fn millis(time: DateTime<Utc>) -> i64 {
    time.timestamp_millis()
}

/// The time that the database kept.
pub(crate) fn time(millis: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::milliseconds(millis.clamp(-8_000_000_000_000_000, 8_000_000_000_000_000))
}
