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

/// The first `count` numbers of the first row, none of which may be a null; zeros where there is no row.
pub(crate) async fn numbers(
    db: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
    count: usize,
) -> Result<Vec<i64>, Error> {
    let Some(row) = db.query_one_raw(statement(db, sql, values)).await? else { return Ok(vec![0; count]) };
    Ok((0..count).map(|at| row.try_get_by_index(at)).collect::<Result<_, _>>()?)
}

/// A statement whose parameters either engine takes.
pub(crate) fn statement(db: &impl ConnectionTrait, sql: &str, values: impl IntoIterator<Item = Value>) -> Statement {
    let backend = db.get_database_backend();
    let values = values.into_iter().map(without_nul);
    match backend {
        DatabaseBackend::Postgres => Statement::from_sql_and_values(backend, sql, values),
        // SQLite numbers its parameters `?1`.
        _ => Statement::from_sql_and_values(backend, sql.replace('$', "?").replace('\u{1}', "$"), values),
    }
}

/// PostgreSQL takes no NUL into a text, and what hosts say may hold one: as it stands, or as JSON writes it. Where it
/// was, U+FFFD shows it, in either engine.
fn without_nul(value: Value) -> Value {
    match value {
        Value::String(Some(text)) if text.contains('\0') => text_without_nul(&text).into(),
        // Many rows, as JSON writes them. What a person types does not begin so.
        Value::String(Some(text)) if text.starts_with("[{") && text.contains(NUL) => json_without_nul(&text).into(),
        value => value,
    }
}

/// The same of a text by itself.
pub(crate) fn text_without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

const NUL: &str = "\\u0000";

/// Behind an odd number of backslashes, `u0000` is the text itself and no NUL.
fn json_without_nul(json: &str) -> String {
    let mut clean = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        clean.push_str(before);
        // An escape is a backslash and an ASCII character; those of four digits go on as plain text.
        let put = if escape.starts_with(NUL) { Some("\\ufffd") } else { escape.get(..2) };
        // No JSON: the database says so.
        let Some(put) = put else { return clean + escape };
        clean.push_str(put);
        rest = &escape[put.len()..];
    }
    clean + rest
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

/// What is selected to keep PostgreSQL from the ways called `ways` until the transaction ends, and from compiling: how
/// little is asked of how much is better known here than there, above all while its statistics are of yesterday.
pub(crate) fn off(ways: &[&str]) -> String {
    let off = ways.iter().map(|way| format!("set_config('enable_{way}', 'off', true)"));
    off.chain(["set_config('jit', 'off', true)".to_owned()]).collect::<Vec<_>>().join(", ")
}

/// The time as the database keeps it: whole milliseconds since 1970, UTC.
pub(crate) fn millis(time: DateTime<Utc>) -> i64 {
    time.timestamp_millis()
}

/// The time that the database kept.
pub(crate) fn time(millis: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::milliseconds(millis.clamp(-8_000_000_000_000_000, 8_000_000_000_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kept(text: &str) -> String {
        let rows = serde_json::Value::from(vec![json!({ "words": text })]).to_string();
        let Value::String(Some(json)) = without_nul(rows.into()) else { panic!("no text any more") };
        let rows: serde_json::Value = serde_json::from_str(&json).unwrap();
        rows[0]["words"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_nul_becomes_a_sign_that_any_database_takes() {
        assert_eq!(without_nul("a\0b".into()), "a\u{fffd}b".into());
        assert_eq!(kept("\0a\0\0b \\\0 \"\0"), "\u{fffd}a\u{fffd}\u{fffd}b \\\u{fffd} \"\u{fffd}");
    }

    #[test]
    fn what_only_looks_like_one_stays() {
        for text in ["\\u0000", "C:\\u0000\\", "\\\\u0000", "ünï\ncode \u{1} \\", ""] {
            assert_eq!(kept(text), text);
        }
        assert_eq!(without_nul("write \\u0000 for NUL".into()), "write \\u0000 for NUL".into());
    }
}
