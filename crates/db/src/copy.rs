//! Everything a SQLite file holds, into an empty PostgreSQL.
//!
//! ```text
//! rebound.db ─ lines ─▶ COPY … FROM STDIN ─▶ PostgreSQL      rows and cursor are one transaction
//!  (read only) ─ lines ─▶     compare     ◀─ lines ─ COPY … TO STDOUT     every row, every column
//! ```
//!
//! A row travels as the line that PostgreSQL's `COPY` would write for it; SQLite makes it by itself. Which tables and
//! columns there are, both databases say: none is named here, so none can be forgotten.

mod check;
mod row;
mod source;
mod target;

use crate::jobs::{JobKind, JobState};
use crate::sql::{number, one};
use crate::{Error, Pool};
use chrono::{DateTime, Utc};
use row::Claim;
use sea_orm::FromQueryResult;
use source::Source;
use std::path::Path;
use std::sync::OnceLock;
use target::Target;

/// A table, as both databases know it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Table {
    name: String,
    columns: Vec<Column>,
    /// The columns that tell its rows apart, in the order in which they are compared.
    key: Vec<String>,
    /// The column that counts up by itself.
    counts_up: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    name: String,
    kind: Kind,
}

/// What PostgreSQL keeps in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Integer,
    Boolean,
    Text,
    Bytes,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Rows are copied.
    Copying,
    /// Rows of both are compared.
    Comparing,
}

impl Step {
    fn word(self) -> &'static str {
        match self {
            Self::Copying => "copying",
            Self::Comparing => "comparing",
        }
    }
}

/// What is to be moved, and where to.
#[derive(Clone, Copy, Debug)]
pub struct Move<'a> {
    /// The SQLite database.
    pub file: &'a Path,
    /// The address of the PostgreSQL.
    pub url: &'a str,
    /// Who asks for it.
    pub actor: &'a str,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// What is being done.
    pub step: Step,
    /// With which table.
    pub table: &'a str,
    /// How many of its rows are done.
    pub rows: i64,
    /// How many there are.
    pub total: i64,
}

/// A table that both databases have alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Its name.
    pub table: String,
    /// How many rows.
    pub rows: i64,
    /// SHA-256 of all of them, the same on both sides, in hexadecimal.
    pub digest: String,
}

/// Copies a SQLite database into a PostgreSQL, and compares them row by row.
///
/// When it is killed, or `stop` comes, the same call goes on where it was. The old file is opened to read, and nobody
/// can write to it meanwhile. Until all is copied and compared, [`migrate`](crate::migrate()) refuses the new database.
/// A row of its [`jobs`](crate::jobs) says how far that is and what stopped it, and stays when it is done.
///
/// # Errors
/// [`Error::Refused`] when a worker runs on the source, it is not up to date, or the target holds anything else; when
/// it was stopped; and when a row differs in the end. [`Error::Unavailable`]: try again.
pub async fn to_postgres(
    order: Move<'_>,
    now: impl Fn() -> DateTime<Utc> + Send + Sync,
    progress: impl FnMut(Progress<'_>) + Send,
    stop: impl Future<Output = ()> + Send,
) -> Result<Vec<Copied>, Error> {
    let claim = OnceLock::new();
    let (moved, state) = tokio::select! {
        biased;
        moved = Box::pin(everything(order, &now, progress, &claim)) => (moved, JobState::Failed),
        () = stop => (Err(Error::Refused("stopped: run the same command again to go on".to_owned())), JobState::Cancelled),
    };
    if let (Err(error), Some(claim)) = (&moved, claim.get())
        && let Err(error) = claim.give_up(order.url, state, &error.to_string(), now()).await
    {
        tracing::warn!(error = &error as &dyn std::error::Error, "why the move went no further could not be noted");
    }
    moved
}

async fn everything(
    order: Move<'_>,
    now: &(impl Fn() -> DateTime<Utc> + Send + Sync),
    mut progress: impl FnMut(Progress<'_>) + Send,
    begun: &OnceLock<Claim>,
) -> Result<Vec<Copied>, Error> {
    let digest = source::digest(order.file)?;
    let mut source = Source::open(order.file).await?;
    let mut target = Target::open(order.url, &digest).await?;
    let tables = tables(&mut source, &mut target).await?;
    target.prepare(&tables).await?;
    let mut total = 0;
    for table in &tables {
        total += source.count(&table.name).await?;
    }
    let number = source.last_number(row::TABLE).await?.unwrap_or(0) + 1;
    let claim = target.claim(number, total, (&order.file_name(), order.actor), now()).await?;
    let claim = *begun.get_or_init(|| claim);
    for table in &tables {
        copy(&mut source, &mut target, table, &claim, now, &mut progress).await?;
    }
    let mut copied = Vec::new();
    for table in &tables {
        target.note(&claim, Step::Comparing, &table.name, now()).await?;
        copied.push(check::compare(&mut source, &mut target, table, &claim, &mut progress).await?);
        let last = source.last_number(&table.name).await?;
        target.count_from(table, if table.name == row::TABLE { Some(number) } else { last }).await?;
    }
    source.close().await?;
    if source::digest(order.file)? != digest {
        let words = "the old database was changed while it was copied: empty the new one, and begin again";
        return Err(Error::Refused(words.to_owned()));
    }
    target.open_for_use(&claim, now()).await?;
    Ok(copied)
}

impl Move<'_> {
    fn file_name(&self) -> String {
        self.file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }
}

/// Keeps everybody away from a database that holds only a part of another one.
pub(crate) async fn refuse_unfinished(pool: &Pool) -> Result<(), Error> {
    if pool.file().is_some()
        || number(
            pool,
            "SELECT count(*) FROM pg_tables WHERE tablename = 'moving' AND schemaname = current_schema()",
            [],
        )
        .await?
            == 0
    {
        return Ok(());
    }
    let so_far = so_far(pool).await?.unwrap_or_default();
    let words = "only a part of the old database was copied into this one";
    Err(Error::Refused(format!("{words}{so_far}: run `rebound migrate --to` again")))
}

/// How far the move into this database came, in brackets; nothing where it had hardly begun.
async fn so_far(pool: &Pool) -> Result<Option<String>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        done: i64,
        total: i64,
    }
    if number(pool, "SELECT count(*) FROM pg_tables WHERE tablename = 'jobs' AND schemaname = current_schema()", [])
        .await?
        == 0
    {
        return Ok(None);
    }
    let sql = "SELECT done, total FROM jobs WHERE kind = $1 AND state <> $2 ORDER BY id DESC LIMIT 1";
    let row: Option<Row> = one(pool, sql, [JobKind::Migration.code().into(), JobState::Done.code().into()]).await?;
    Ok(row.map(|Row { done, total }| format!(" ({done} of {total} rows)")))
}

/// The tables, each after those that it refers to.
async fn tables(source: &mut Source, target: &mut Target) -> Result<Vec<Table>, Error> {
    let theirs = target.tables().await?;
    let ours = source.tables().await?;
    let mut tables = Vec::new();
    for name in &ours {
        let Some(table) = theirs.iter().find(|table| table.name == *name) else { return Err(differ(name)) };
        let mut columns = source.columns(name).await?;
        let mut expected: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
        columns.sort_unstable();
        expected.sort_unstable();
        if columns != expected {
            return Err(differ(name));
        }
        tables.push(table.clone());
    }
    match theirs.iter().find(|table| !ours.contains(&table.name)) {
        Some(table) => Err(differ(&table.name)),
        None => Ok(tables),
    }
}

fn differ(table: &str) -> Error {
    Error::Refused(format!("the table {table} is not the same in both databases: was one of them changed by hand?"))
}

async fn copy(
    source: &mut Source,
    target: &mut Target,
    table: &Table,
    claim: &Claim,
    now: &(impl Fn() -> DateTime<Utc> + Send + Sync),
    progress: &mut (impl FnMut(Progress<'_>) + Send),
) -> Result<(), Error> {
    let (mut cursor, mut rows) = target.cursor(&table.name).await?;
    let total = source.count(&table.name).await?;
    let mut parcels = source.parcels(table, cursor);
    while let Some(parcel) = parcels.next().await? {
        rows += parcel.rows;
        cursor = parcel.last;
        target.write(table, &parcel, (cursor, rows), claim, now()).await?;
        progress(Progress { step: Step::Copying, table: &table.name, rows, total });
    }
    if rows == total { Ok(()) } else { Err(differ(&table.name)) }
}

/// A name as it stands in a statement.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
