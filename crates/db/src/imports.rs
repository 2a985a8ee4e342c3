//! Imports: each a row that says how far it came, and what became of every line.

use crate::sql::{all, execute, millis, one, rows, time};
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{ImportId, ListId};
use sea_orm::{FromQueryResult, Value};

/// A file that was, or is being, read into a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Its identity.
    pub id: ImportId,
    /// The list its people join.
    pub list: ListId,
    /// What the file was called.
    pub file: String,
    /// SHA-256 of the file; empty until it was read to its end.
    pub digest: String,
    /// How it stands.
    pub state: ImportState,
    /// What became of the rows so far.
    pub counts: Counts,
    /// Why it failed.
    pub error: Option<String>,
    /// When it began.
    pub started: DateTime<Utc>,
    /// When it ended.
    pub finished: Option<DateTime<Utc>>,
}

/// How an import stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImportState {
    /// It is at work, or its program was killed: it may simply be repeated.
    Running,
    /// Every row was taken or refused.
    Done,
    /// It could not go on.
    Failed,
}

impl ImportState {
    const ALL: [Self; 3] = [Self::Running, Self::Done, Self::Failed];
}

/// What became of the rows of a file. Each row is counted once: the other six add up to `lines`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that were read, without the header.
    pub lines: i64,
    /// People who are new, or new to the list.
    pub added: i64,
    /// People about whom something new was learnt.
    pub updated: i64,
    /// People about whom all was known.
    pub unchanged: i64,
    /// Rows whose address another row of the file has as well.
    pub duplicates: i64,
    /// People who are suppressed or have left: known, and not written to.
    pub suppressed: i64,
    /// Rows that were refused.
    pub bad: i64,
}

/// A row that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// The line of the file it begins on, counted from 1.
    pub line: i64,
    /// Why, in words.
    pub reason: String,
    /// The row as it was, cut where it is long.
    pub content: String,
}

/// Begins an import of `file` into `list`.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn start(db: &impl Connection, list: ListId, file: &str, now: DateTime<Utc>) -> Result<ImportId, Error> {
    let sql = "INSERT INTO imports (list_id, file, digest, state, started) VALUES ($1, $2, '', 0, $3) RETURNING id";
    #[derive(FromQueryResult)]
    struct Id {
        id: i64,
    }
    let row: Option<Id> = one(db, sql, [list.0.into(), file.into(), millis(now).into()]).await?;
    row.map(|row| ImportId(row.id)).ok_or(Error::unreadable("imports", "id"))
}

/// Notes how far it came.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn progress(db: &impl Connection, id: ImportId, counts: &Counts) -> Result<(), Error> {
    let sql = "UPDATE imports SET lines = $2, added = $3, updated = $4, unchanged = $5, duplicates = $6,
               suppressed = $7, bad = $8 WHERE id = $1";
    let Counts { lines, added, updated, unchanged, duplicates, suppressed, bad } = *counts;
    let values = [id.0, lines, added, updated, unchanged, duplicates, suppressed, bad].map(Value::from);
    execute(db, sql, values).await?;
    Ok(())
}

/// Notes that every row was taken or refused.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn finish(db: &impl Connection, id: ImportId, digest: &str, now: DateTime<Utc>) -> Result<(), Error> {
    let sql = "UPDATE imports SET state = 1, digest = $2, finished = $3 WHERE id = $1";
    execute(db, sql, [id.0.into(), digest.into(), millis(now).into()]).await?;
    Ok(())
}

/// Notes why it could not go on.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn fail(db: &impl Connection, id: ImportId, error: &str, now: DateTime<Utc>) -> Result<(), Error> {
    let sql = "UPDATE imports SET state = 2, error = $2, finished = $3 WHERE id = $1";
    execute(db, sql, [id.0.into(), error.into(), millis(now).into()]).await?;
    Ok(())
}

/// Notes rows that were refused.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn add_bad_rows(db: &impl Connection, id: ImportId, bad: &[BadRow]) -> Result<(), Error> {
    let json: Vec<_> = bad
        .iter()
        .map(|row| serde_json::json!({ "line": row.line, "reason": row.reason, "content": row.content }))
        .collect();
    let sql = format!(
        "INSERT INTO import_errors (import_id, line, reason, content)
         SELECT CAST($2 AS BIGINT), line, reason, content FROM {} WHERE true ON CONFLICT DO NOTHING",
        rows(db, 1, &[("line", "BIGINT"), ("reason", "TEXT"), ("content", "TEXT")])
    );
    execute(db, &sql, [serde_json::Value::Array(json).to_string().into(), id.0.into()]).await?;
    Ok(())
}

/// The rows that were refused, by line, from the first after line `after`.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn bad_rows(db: &impl Connection, id: ImportId, after: i64, limit: u32) -> Result<Vec<BadRow>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        line: i64,
        reason: String,
        content: String,
    }
    let sql = "SELECT line, reason, content FROM import_errors
               WHERE import_id = $1 AND line > $2 ORDER BY line LIMIT $3";
    let rows: Vec<Row> = all(db, sql, [id.0.into(), after.into(), i64::from(limit).into()]).await?;
    Ok(rows.into_iter().map(|row| BadRow { line: row.line, reason: row.reason, content: row.content }).collect())
}

/// The import with `id`.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Unreadable`]
pub async fn get(db: &impl Connection, id: ImportId) -> Result<Option<Import>, Error> {
    let row: Option<Row> = one(db, "SELECT * FROM imports WHERE id = $1", [id.0.into()]).await?;
    row.map(Import::try_from).transpose()
}

/// The newest imports, newest first.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Unreadable`]
pub async fn newest(db: &impl Connection, limit: u32) -> Result<Vec<Import>, Error> {
    let rows: Vec<Row> = all(db, "SELECT * FROM imports ORDER BY id DESC LIMIT $1", [i64::from(limit).into()]).await?;
    rows.into_iter().map(Import::try_from).collect()
}

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    list_id: i64,
    file: String,
    digest: String,
    state: i16,
    lines: i64,
    added: i64,
    updated: i64,
    unchanged: i64,
    duplicates: i64,
    suppressed: i64,
    bad: i64,
    error: Option<String>,
    started: i64,
    finished: Option<i64>,
}

impl TryFrom<Row> for Import {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let state = usize::try_from(row.state).ok().and_then(|code| ImportState::ALL.get(code).copied());
        Ok(Self {
            id: ImportId(row.id),
            list: ListId(row.list_id),
            file: row.file,
            digest: row.digest,
            state: state.ok_or(Error::unreadable("imports", "state"))?,
            counts: Counts {
                lines: row.lines,
                added: row.added,
                updated: row.updated,
                unchanged: row.unchanged,
                duplicates: row.duplicates,
                suppressed: row.suppressed,
                bad: row.bad,
            },
            error: row.error,
            started: time(row.started),
            finished: row.finished.map(time),
        })
    }
}
