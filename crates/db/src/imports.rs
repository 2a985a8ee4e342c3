//! Imports: what became of every line of a file. How far each is, its job says.

use crate::jobs::JobState;
use crate::sql::{all, execute, json, millis, one, rows, time};
use crate::{Connection, Error, Transaction};
use chrono::{DateTime, Utc};
use rebound_domain::{AddressKey, ImportId, JobId, ListId};
use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult, Value};

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
    /// What became of the rows so far.
    pub counts: Counts,
    /// When it was asked for; from then the consent counts.
    pub started: DateTime<Utc>,
    /// Its job.
    pub job: JobId,
    /// How it stands.
    pub state: JobState,
    /// How many bytes of the file were read.
    pub done: i64,
    /// How many it has.
    pub total: i64,
    /// Who asked for it.
    pub actor: String,
    /// Why it failed.
    pub error: Option<String>,
    /// When something was last written down about it.
    pub updated: DateTime<Utc>,
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

/// What became of a person in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They are new, or new to the list.
    Added,
    /// Something new was learnt about them.
    Updated,
    /// All about them was known.
    Unchanged,
    /// They are suppressed or have left.
    Suppressed,
}

impl Fate {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Added, Self::Updated, Self::Unchanged, Self::Suppressed];

    /// Its name in addresses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Suppressed => "suppressed",
        }
    }

    pub(crate) fn code(self) -> i16 {
        self as i16
    }
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

/// Writes down an import of `file` into `list`; its job is the caller's to add, in the same transaction.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn start(db: &impl Connection, list: ListId, file: &str, now: DateTime<Utc>) -> Result<ImportId, Error> {
    let sql = "INSERT INTO imports (list_id, file, digest, started) VALUES ($1, $2, '', $3) RETURNING id";
    #[derive(FromQueryResult)]
    struct Id {
        id: i64,
    }
    let row: Option<Id> = one(db, sql, [list.0.into(), file.into(), millis(now).into()]).await?;
    row.map(|row| ImportId(row.id)).ok_or(Error::unreadable("imports", "id"))
}

/// Has other imports into `list` wait until `tx` is over, so that nobody is counted as new by two of them. SQLite has
/// one writer anyway.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn one_at_a_time(tx: &Transaction, list: ListId) -> Result<(), Error> {
    if tx.get_database_backend() == DatabaseBackend::Postgres {
        execute(tx, "SELECT id FROM lists WHERE id = $1 FOR NO KEY UPDATE", [list.0.into()]).await?;
    }
    Ok(())
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

/// Notes the digest of the whole file, and lets go of its bytes: every row was taken or refused.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn finish(db: &impl Connection, id: ImportId, digest: &str) -> Result<(), Error> {
    execute(db, "UPDATE imports SET digest = $2 WHERE id = $1", [id.0.into(), digest.into()]).await?;
    forget_file(db, id).await
}

/// Keeps a piece of the file, the `number`th.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn keep(db: &impl Connection, id: ImportId, number: i64, bytes: Vec<u8>) -> Result<(), Error> {
    let sql = "INSERT INTO uploads (import_id, number, bytes) VALUES ($1, $2, $3)";
    execute(db, sql, [id.0.into(), number.into(), bytes.into()]).await?;
    Ok(())
}

/// The `number`th piece of the file; `None` after the last.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn piece(db: &impl Connection, id: ImportId, number: i64) -> Result<Option<Vec<u8>>, Error> {
    #[derive(FromQueryResult)]
    struct Piece {
        bytes: Vec<u8>,
    }
    let sql = "SELECT bytes FROM uploads WHERE import_id = $1 AND number = $2";
    Ok(one::<Piece>(db, sql, [id.0.into(), number.into()]).await?.map(|row| row.bytes))
}

/// Lets go of the bytes of the file.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn forget_file(db: &impl Connection, id: ImportId) -> Result<(), Error> {
    execute(db, "DELETE FROM uploads WHERE import_id = $1", [id.0.into()]).await?;
    Ok(())
}

/// Notes what became of people; who is no contact is passed over.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn add_people(db: &impl Connection, id: ImportId, fates: &[(AddressKey, Fate)]) -> Result<(), Error> {
    #[derive(serde::Serialize)]
    struct Line<'a> {
        key: &'a AddressKey,
        fate: i16,
    }
    let lines = json(fates.iter().map(|(key, fate)| Line { key, fate: fate.code() }))?;
    let sql = format!(
        "INSERT INTO import_people (import_id, fate, contact_id)
         SELECT CAST($2 AS BIGINT), rows.fate, c.id FROM {} CROSS JOIN contacts c WHERE c.key = rows.key
         ON CONFLICT DO NOTHING",
        rows(db, 1, &[("key", "TEXT"), ("fate", "SMALLINT")])
    );
    execute(db, &sql, [lines.into(), id.0.into()]).await?;
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
    let row: Option<Row> = one(db, &format!("{SELECT} WHERE imports.id = $1"), [id.0.into()]).await?;
    row.map(Import::try_from).transpose()
}

/// The newest imports before `before`, newest first.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Unreadable`]
pub async fn newest(db: &impl Connection, before: Option<ImportId>, limit: u32) -> Result<Vec<Import>, Error> {
    let sql = format!("{SELECT} WHERE imports.id < $1 ORDER BY imports.id DESC LIMIT $2");
    let before = before.map_or(i64::MAX, |id| id.0);
    let rows: Vec<Row> = all(db, &sql, [before.into(), i64::from(limit).into()]).await?;
    rows.into_iter().map(Import::try_from).collect()
}

/// Every import has one job.
const SELECT: &str = "SELECT imports.*, jobs.id AS job, jobs.state, jobs.done, jobs.total, jobs.actor, jobs.error,
    jobs.updated AS noted FROM imports JOIN jobs ON jobs.kind = 0 AND jobs.subject = imports.id";

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    list_id: i64,
    file: String,
    digest: String,
    lines: i64,
    added: i64,
    updated: i64,
    unchanged: i64,
    duplicates: i64,
    suppressed: i64,
    bad: i64,
    started: i64,
    job: i64,
    state: i16,
    done: i64,
    total: i64,
    actor: String,
    error: Option<String>,
    noted: i64,
}

impl TryFrom<Row> for Import {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            id: ImportId(row.id),
            list: ListId(row.list_id),
            file: row.file,
            digest: row.digest,
            counts: Counts {
                lines: row.lines,
                added: row.added,
                updated: row.updated,
                unchanged: row.unchanged,
                duplicates: row.duplicates,
                suppressed: row.suppressed,
                bad: row.bad,
            },
            started: time(row.started),
            job: JobId(row.job),
            state: JobState::from_code(row.state).ok_or(Error::unreadable("jobs", "state"))?,
            done: row.done,
            total: row.total,
            actor: row.actor,
            error: row.error,
            updated: time(row.noted),
        })
    }
}
