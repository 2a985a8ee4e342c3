//! The installation's own rules for reading bounces: each saved text with who saved it. A version is a fact; the
//! newest is in force.

use crate::sql::{all, execute, millis, number, one, time};
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use sea_orm::FromQueryResult;

/// A version that was saved, without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Its number, counted from 1.
    pub version: i64,
    /// What it changed, in the words of who saved it.
    pub note: String,
    /// Who saved it.
    pub actor: String,
    /// Since when it is in force.
    pub at: DateTime<Utc>,
}

/// The number of the version in force; 0 while none was saved.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn in_force(db: &impl Connection) -> Result<i64, Error> {
    number(db, "SELECT COALESCE(MAX(version), 0) FROM rule_files", []).await
}

/// The text of `version`; `None` where there is no such version.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn text(db: &impl Connection, version: i64) -> Result<Option<String>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        text: String,
    }
    let row: Option<Row> = one(db, "SELECT text FROM rule_files WHERE version = $1", [version.into()]).await?;
    Ok(row.map(|row| row.text))
}

/// The newest versions, newest first.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn versions(db: &impl Connection, limit: u32) -> Result<Vec<Saved>, Error> {
    let sql = "SELECT version, note, actor, at FROM rule_files ORDER BY version DESC LIMIT $1";
    let rows: Vec<Row> = all(db, sql, [i64::from(limit).into()]).await?;
    Ok(rows.into_iter().map(Saved::from).collect())
}

/// One version.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn saved(db: &impl Connection, version: i64) -> Result<Option<Saved>, Error> {
    let sql = "SELECT version, note, actor, at FROM rule_files WHERE version = $1";
    let row: Option<Row> = one(db, sql, [version.into()]).await?;
    Ok(row.map(Saved::from))
}

/// Saves a version; `false` where that number is taken.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn add(db: &impl Connection, saved: &Saved, text: &str) -> Result<bool, Error> {
    let sql = "INSERT INTO rule_files (version, text, note, actor, at) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT DO NOTHING";
    let values: [sea_orm::Value; 5] = [
        saved.version.into(),
        text.into(),
        saved.note.as_str().into(),
        saved.actor.as_str().into(),
        millis(saved.at).into(),
    ];
    Ok(execute(db, sql, values).await? == 1)
}

#[derive(FromQueryResult)]
struct Row {
    version: i64,
    note: String,
    actor: String,
    at: i64,
}

impl From<Row> for Saved {
    fn from(row: Row) -> Self {
        Self { version: row.version, note: row.note, actor: row.actor, at: time(row.at) }
    }
}
