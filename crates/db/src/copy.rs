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
mod source;
mod target;

use crate::sql::number;
use crate::{Error, Pool};
use source::Source;
use std::path::Path;
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

/// Copies the SQLite database in `file` into the PostgreSQL at `url`, and compares them row by row.
///
/// When it is killed, the same call goes on where it was. `file` is opened to read, and nobody can write to it
/// meanwhile. Until all is copied and compared, [`migrate`](crate::migrate()) refuses the target.
///
/// # Errors
/// [`Error::Refused`] when a worker runs on the source, it is not up to date, or the target holds anything else;
/// and when a row differs in the end. [`Error::Unavailable`]: try again.
pub async fn to_postgres(
    file: &Path,
    url: &str,
    mut progress: impl FnMut(Progress<'_>) + Send,
) -> Result<Vec<Copied>, Error> {
    let digest = source::digest(file)?;
    let mut source = Source::open(file).await?;
    let mut target = Target::open(url, &digest).await?;
    let tables = tables(&mut source, &mut target).await?;
    target.prepare(&tables).await?;
    for table in &tables {
        copy(&mut source, &mut target, table, &mut progress).await?;
    }
    let mut copied = Vec::new();
    for table in &tables {
        copied.push(check::compare(&mut source, &mut target, table, &mut progress).await?);
        target.count_from(table, source.last_number(&table.name).await?).await?;
    }
    source.close().await?;
    if source::digest(file)? != digest {
        let words = "the old database was changed while it was copied: empty the new one, and begin again";
        return Err(Error::Refused(words.to_owned()));
    }
    target.open_for_use().await?;
    Ok(copied)
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
    let words = "only a part of the old database was copied into this one: run `rebound migrate --to` again";
    Err(Error::Refused(words.to_owned()))
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
    progress: &mut (impl FnMut(Progress<'_>) + Send),
) -> Result<(), Error> {
    let (mut cursor, mut rows) = target.cursor(&table.name).await?;
    let total = source.count(&table.name).await?;
    let mut parcels = source.parcels(table, cursor);
    while let Some(parcel) = parcels.next().await? {
        rows += parcel.rows;
        cursor = parcel.last;
        target.write(table, &parcel, cursor, rows).await?;
        progress(Progress { step: Step::Copying, table: &table.name, rows, total });
    }
    if rows == total { Ok(()) } else { Err(differ(&table.name)) }
}

/// An error of the driver as ours.
fn unavailable(error: sqlx::Error) -> Error {
    Error::Unavailable(sea_orm::DbErr::Query(sea_orm::RuntimeErr::SqlxError(error.into())))
}

/// A name as it stands in a statement.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
