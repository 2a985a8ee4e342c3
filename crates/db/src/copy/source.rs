//! The SQLite file: read, never written, and held so that nobody else writes.

use super::{Kind, Table, quoted};
use crate::{Error, workers};
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use rebound_domain::WorkerId;
use rebound_migrations::{Migrator, MigratorTrait};
use sha2::{Digest, Sha256};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::time::Duration;

/// A parcel is closed when it has so many rows or bytes.
const ROWS: i64 = 20_000;
const BYTES: usize = 8 << 20;

pub(super) struct Source {
    reader: SqliteConnection,
    /// Holds the right to write, and does not use it.
    lock: SqliteConnection,
}

/// Lines of `COPY`, one per row.
pub(super) struct Parcel {
    pub(super) lines: Vec<u8>,
    pub(super) rows: i64,
    /// The number of the last row.
    pub(super) last: i64,
}

/// The rows of a table in parcels.
pub(super) struct Parcels<'a> {
    rows: BoxStream<'a, Result<SqliteRow, sqlx::Error>>,
    table: &'a str,
}

/// SHA-256 of the database: the file, and what was committed and not yet folded into it.
pub(super) fn digest(file: &Path) -> Result<String, Error> {
    let mut wal = file.as_os_str().to_owned();
    wal.push("-wal");
    let mut hash = Sha256::new();
    add(file, &mut hash).map_err(|error| Error::Refused(format!("cannot read {}: {error}", file.display())))?;
    match add(Path::new(&wal), &mut hash) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(Error::Refused(format!("cannot read {}: {error}", wal.display())));
        }
        _ => {}
    }
    Ok(data_encoding::HEXLOWER.encode(&hash.finalize()))
}

fn add(path: &Path, hash: &mut Sha256) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            length => hash.update(buffer.get(..length).unwrap_or_default()),
        }
    }
}

impl Source {
    pub(super) async fn open(file: &Path) -> Result<Self, Error> {
        let options = SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_secs(2));
        let mut lock = options.clone().connect().await?;
        let held = sqlx::query("BEGIN IMMEDIATE").execute(&mut lock).await;
        held.map_err(|_| Error::Refused("somebody writes to the old database: stop Rebound first".to_owned()))?;
        let reading = options.read_only(true).row_buffer_size(2000);
        let mut source = Self { reader: reading.connect().await?, lock };
        source.refuse_old().await?;
        source.refuse_busy(file).await?;
        Ok(source)
    }

    async fn refuse_old(&mut self) -> Result<(), Error> {
        let done = self.names("SELECT version FROM seaql_migrations".to_owned()).await?;
        let steps = Migrator::migrations();
        if steps.iter().all(|step| done.iter().any(|name| name == step.name())) {
            return Ok(());
        }
        Err(Error::Refused("the old database is of an older version: run `rebound migrate` on it first".to_owned()))
    }

    async fn refuse_busy(&mut self, file: &Path) -> Result<(), Error> {
        let rows = sqlx::query("SELECT id FROM workers").fetch_all(&mut self.reader).await?;
        let ids = rows.iter().filter_map(|row| row.try_get::<i64, _>(0).ok());
        match ids.map(WorkerId).find(|id| !workers::is_file_lock_free(file, *id)) {
            Some(_) => Err(Error::Refused("Rebound runs on the old database: stop it first".to_owned())),
            None => Ok(()),
        }
    }

    /// Its tables, each after those that it refers to.
    pub(super) async fn tables(&mut self) -> Result<Vec<String>, Error> {
        // Virtual tables and what they keep for themselves are made from other tables.
        let sql = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'
            AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name <> 'seaql_migrations' ORDER BY name";
        let mut left = self.names(sql.to_owned()).await?;
        let mut ordered: Vec<String> = Vec::new();
        while !left.is_empty() {
            let mut later = Vec::new();
            let before = ordered.len();
            for name in left {
                let sql = format!("SELECT \"table\" FROM pragma_foreign_key_list({})", literal(&name));
                let needs = self.names(sql).await?;
                let is_ready = needs.iter().all(|need| *need == name || ordered.contains(need));
                if is_ready { ordered.push(name) } else { later.push(name) }
            }
            if ordered.len() == before {
                return Err(Error::Refused(format!("the tables {} refer to each other", later.join(", "))));
            }
            left = later;
        }
        Ok(ordered)
    }

    /// The columns of a table that are kept; not those that are worked out.
    pub(super) async fn columns(&mut self, table: &str) -> Result<Vec<String>, Error> {
        self.names(format!("SELECT name FROM pragma_table_xinfo({}) WHERE hidden = 0", literal(table))).await
    }

    async fn names(&mut self, sql: String) -> Result<Vec<String>, Error> {
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut self.reader).await?;
        rows.iter().map(|row| row.try_get(0).map_err(Error::from)).collect()
    }

    pub(super) async fn count(&mut self, table: &str) -> Result<i64, Error> {
        let sql = format!("SELECT count(*) FROM {}", quoted(table));
        let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut self.reader).await?;
        row.try_get(0).map_err(Error::from)
    }

    /// The last number that a table gave to a row, also where the row is gone: it is never given again.
    pub(super) async fn last_number(&mut self, table: &str) -> Result<Option<i64>, Error> {
        let sql = "SELECT seq FROM sqlite_sequence WHERE name = $1";
        let row = sqlx::query(sql).bind(table).fetch_optional(&mut self.reader).await?;
        row.map(|row| row.try_get(0).map_err(Error::from)).transpose()
    }

    /// The rows after the one with number `after`.
    pub(super) fn parcels<'a>(&'a mut self, table: &'a Table, after: i64) -> Parcels<'a> {
        let (name, line) = (quoted(&table.name), line(table));
        let sql = format!("SELECT rowid, {line} FROM {name} WHERE rowid > $1 ORDER BY rowid");
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(after).fetch(&mut self.reader);
        Parcels { rows, table: &table.name }
    }

    /// The lines of a table in the order of its key.
    pub(super) fn lines<'a>(&'a mut self, table: &Table) -> BoxStream<'a, Result<Vec<u8>, Error>> {
        let key: Vec<String> = table.key.iter().map(|name| format!("{} NULLS FIRST", quoted(name))).collect();
        let sql = format!("SELECT {} FROM {} ORDER BY {}", line(table), quoted(&table.name), key.join(", "));
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch(&mut self.reader);
        rows.map_err(Error::from).and_then(async |row| row.try_get(0).map_err(Error::from)).boxed()
    }

    /// Lets others write again. The one that could write closes first: so nothing is folded into the file.
    pub(super) async fn close(mut self) -> Result<(), Error> {
        sqlx::query("ROLLBACK").execute(&mut self.lock).await?;
        self.lock.close().await?;
        self.reader.close().await.map_err(Error::from)
    }
}

impl Parcels<'_> {
    pub(super) async fn next(&mut self) -> Result<Option<Parcel>, Error> {
        let mut parcel = Parcel { lines: Vec::new(), rows: 0, last: 0 };
        while parcel.rows < ROWS && parcel.lines.len() < BYTES {
            let Some(row) = self.rows.next().await else { break };
            let row = row?;
            let line: &[u8] = row.try_get(1)?;
            parcel.last = row.try_get(0)?;
            if line.contains(&0) {
                let words = format!("row {} of {} has a NUL, which PostgreSQL cannot keep", parcel.last, self.table);
                return Err(Error::Refused(words));
            }
            parcel.lines.extend_from_slice(line);
            parcel.lines.push(b'\n');
            parcel.rows += 1;
        }
        Ok((parcel.rows > 0).then_some(parcel))
    }
}

/// The line that PostgreSQL's `COPY` would write for a row, as bytes.
fn line(table: &Table) -> String {
    let cells: Vec<String> = table.columns.iter().map(|column| cell(&quoted(&column.name), column.kind)).collect();
    format!("CAST({} AS BLOB)", cells.join(" || char(9) || "))
}

fn cell(name: &str, kind: Kind) -> String {
    let text = match kind {
        Kind::Integer => format!("CAST({name} AS TEXT)"),
        Kind::Boolean => format!("CASE {name} WHEN 0 THEN 'f' WHEN 1 THEN 't' ELSE {name} END"),
        Kind::Bytes => format!("'\\\\x' || lower(hex({name}))"),
        Kind::Text => {
            let escapes = [(8, 'b'), (9, 't'), (10, 'n'), (11, 'v'), (12, 'f'), (13, 'r')];
            let backslashes = format!("replace({name}, '\\', '\\\\')");
            escapes
                .iter()
                .fold(backslashes, |text, (code, letter)| format!("replace({text}, char({code}), '\\{letter}')"))
        }
    };
    format!("CASE WHEN {name} IS NULL THEN '\\N' ELSE {text} END")
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
