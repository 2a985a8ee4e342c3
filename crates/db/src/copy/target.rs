//! The PostgreSQL that is filled: empty at first, ours while a table named `moving` is in it.

use super::row::{self, Claim};
use super::source::Parcel;
use super::{Column, Kind, Step, Table, quoted};
use crate::Error;
use chrono::{DateTime, Utc};
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use rebound_migrations::{Migrator, MigratorTrait};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection, Row};

/// Two that fill one database would hold this lock.
const LOCK: i64 = 0x5265_626f_756e_63ff;

pub(super) struct Target {
    db: PgConnection,
    /// Rows that are here, of all tables.
    copied: i64,
}

impl Target {
    /// Opens the database at `url` for what has `digest`, and brings an empty one to our form.
    pub(super) async fn open(url: &str, digest: &str) -> Result<Self, Error> {
        let mut target = Self { db: PgConnection::connect(url).await?, copied: 0 };
        // What is not flushed when the server dies is copied again: its cursor is not flushed either.
        target.run("SET synchronous_commit = off; SET bytea_output = 'hex'; SET client_min_messages = warning").await?;
        target.begin(digest).await?;
        let pool = crate::connect(url).await?;
        Migrator::up(pool.writer(), None).await?;
        pool.close().await;
        Ok(target)
    }

    async fn begin(&mut self, digest: &str) -> Result<(), Error> {
        let refused = |words: &str| Err(Error::Refused(words.to_owned()));
        let locked: bool = self.value("SELECT pg_try_advisory_lock($1)", LOCK).await?;
        if !locked {
            return refused("somebody else copies into the new database at this moment");
        }
        let names = self.names("SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()").await?;
        if !names.iter().any(|name| name == "moving") {
            if !names.is_empty() {
                return refused("the new database is not empty: name an empty one");
            }
            let sql = format!(
                "BEGIN; CREATE TABLE moving (name TEXT PRIMARY KEY, cursor BIGINT NOT NULL, rows BIGINT NOT NULL);
                 INSERT INTO moving VALUES ('of {digest}', 0, 0); COMMIT"
            );
            return self.run(&sql).await;
        }
        let of = self.names("SELECT name FROM moving").await?;
        if of.iter().any(|name| *name == format!("of {digest}")) {
            return Ok(());
        }
        refused("the new database holds a part of another one, or the old one was changed since: empty the new one")
    }

    /// Takes out what the steps of the schema put in, once: it comes with the rest.
    pub(super) async fn prepare(&mut self, tables: &[Table]) -> Result<(), Error> {
        if self.names("SELECT name FROM moving").await?.iter().any(|name| name == "emptied") {
            return Ok(());
        }
        let names: Vec<String> = tables.iter().map(|table| quoted(&table.name)).collect();
        let sql = format!(
            "BEGIN; TRUNCATE {}; INSERT INTO moving VALUES ('emptied', 0, 0) ON CONFLICT DO NOTHING; COMMIT",
            names.join(", ")
        );
        self.run(&sql).await
    }

    /// Takes the row that says how far this is.
    pub(super) async fn claim(
        &mut self,
        number: i64,
        total: i64,
        (file, actor): (&str, &str),
        now: DateTime<Utc>,
    ) -> Result<Claim, Error> {
        let sql = "SELECT CAST(coalesce(sum(rows), 0) AS BIGINT) FROM moving";
        let row = sqlx::query(sql).fetch_one(&mut self.db).await?;
        self.copied = row.try_get(0)?;
        Claim::take(&mut self.db, number, (self.copied, total), (file, actor), now).await
    }

    /// Notes there what is being done.
    pub(super) async fn note(
        &mut self,
        claim: &Claim,
        step: Step,
        table: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        claim.advance(&mut self.db, step, table, self.copied, now).await
    }

    pub(super) async fn tables(&mut self) -> Result<Vec<Table>, Error> {
        let sql = "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()
            AND tablename NOT IN ('moving', 'seaql_migrations')";
        let mut tables = Vec::new();
        for name in self.names(sql).await? {
            tables.push(self.table(name).await?);
        }
        Ok(tables)
    }

    async fn table(&mut self, name: String) -> Result<Table, Error> {
        let sql = "SELECT column_name::text, data_type::text, is_identity::text FROM information_schema.columns
            WHERE table_schema = current_schema() AND table_name = $1 AND is_generated = 'NEVER'
            ORDER BY ordinal_position";
        let rows = sqlx::query(sql).bind(&name).fetch_all(&mut self.db).await?;
        let (mut columns, mut counts_up) = (Vec::new(), None);
        for row in &rows {
            let column: String = cell(row, 0)?;
            if cell(row, 2)? == "YES" {
                counts_up = Some(column.clone());
            }
            columns.push(Column { kind: kind(&name, &column, &cell(row, 1)?)?, name: column });
        }
        let sql = "SELECT a.attname::text FROM pg_index i
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
            WHERE i.indrelid = to_regclass($1) AND i.indisprimary ORDER BY array_position(i.indkey::int[], a.attnum::int)";
        let rows = sqlx::query(sql).bind(quoted(&name)).fetch_all(&mut self.db).await?;
        let mut key = rows.iter().map(|row| cell(row, 0)).collect::<Result<Vec<_>, _>>()?;
        if key.is_empty() {
            key = columns.iter().map(|column| column.name.clone()).collect();
        }
        Ok(Table { name, columns, key, counts_up })
    }

    /// Up to which row a table was copied, and how many rows that were.
    pub(super) async fn cursor(&mut self, table: &str) -> Result<(i64, i64), Error> {
        let sql = "SELECT cursor, rows FROM moving WHERE name = $1";
        let row = sqlx::query(sql).bind(format!("table {table}")).fetch_optional(&mut self.db).await;
        match row? {
            Some(row) => Ok((row.try_get(0)?, row.try_get(1)?)),
            None => Ok((i64::MIN, 0)),
        }
    }

    /// Writes a parcel, and how far that is, in one transaction.
    pub(super) async fn write(
        &mut self,
        table: &Table,
        parcel: &Parcel,
        (cursor, rows): (i64, i64),
        claim: &Claim,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let columns: Vec<String> = table.columns.iter().map(|column| quoted(&column.name)).collect();
        let sql = format!("COPY {} ({}) FROM STDIN", quoted(&table.name), columns.join(", "));
        let mut tx = self.db.begin().await?;
        let mut copy = tx.copy_in_raw(&sql).await?;
        copy.send(parcel.lines.as_slice()).await?;
        copy.finish().await?;
        let sql = "INSERT INTO moving VALUES ($1, $2, $3)
            ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor, rows = excluded.rows";
        let noted = sqlx::query(sql).bind(format!("table {}", table.name)).bind(cursor).bind(rows);
        noted.execute(&mut *tx).await?;
        let copied = self.copied + parcel.rows;
        claim.advance(&mut tx, Step::Copying, &table.name, copied, now).await?;
        tx.commit().await?;
        self.copied = copied;
        Ok(())
    }

    /// The lines of a table in the order of its key, in pieces of any length; without the row that this move is.
    pub(super) async fn lines(
        &mut self,
        table: &Table,
        claim: &Claim,
    ) -> Result<BoxStream<'_, Result<Vec<u8>, Error>>, Error> {
        let columns: Vec<String> = table.columns.iter().map(|column| quoted(&column.name)).collect();
        let key: Vec<String> = table.key.iter().map(|name| order(table, name)).collect();
        let (name, columns, key) = (quoted(&table.name), columns.join(", "), key.join(", "));
        let others = if table.name == row::TABLE { format!("WHERE id <> {}", claim.id) } else { String::new() };
        let sql = format!("COPY (SELECT {columns} FROM {name} {others} ORDER BY {key}) TO STDOUT");
        let pieces = self.db.copy_out_raw(&sql).await?;
        Ok(pieces.map_err(Error::from).map_ok(|piece| piece.to_vec()).boxed())
    }

    /// The next row of a table gets a number that none had before.
    pub(super) async fn count_from(&mut self, table: &Table, last: Option<i64>) -> Result<(), Error> {
        let (Some(column), Some(last)) = (&table.counts_up, last) else { return Ok(()) };
        let sql = "SELECT setval(pg_get_serial_sequence($1, $2), $3)";
        let set = sqlx::query(sql).bind(quoted(&table.name)).bind(column).bind(last.max(1));
        set.execute(&mut self.db).await?;
        Ok(())
    }

    /// All is there: others may use it now.
    pub(super) async fn open_for_use(mut self, claim: &Claim, now: DateTime<Utc>) -> Result<(), Error> {
        // This one is flushed, and with it all before.
        self.run("SET synchronous_commit = on").await?;
        let mut tx = self.db.begin().await?;
        claim.finish(&mut tx, now).await?;
        sqlx::raw_sql("DROP TABLE moving").execute(&mut *tx).await?;
        tx.commit().await?;
        self.run("ANALYZE").await?;
        self.db.close().await.map_err(Error::from)
    }

    async fn run(&mut self, sql: &str) -> Result<(), Error> {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.db).await?;
        Ok(())
    }

    async fn names(&mut self, sql: &'static str) -> Result<Vec<String>, Error> {
        let rows = sqlx::query(sql).fetch_all(&mut self.db).await?;
        rows.iter().map(|row| cell(row, 0)).collect()
    }

    async fn value(&mut self, sql: &'static str, of: i64) -> Result<bool, Error> {
        let row = sqlx::query(sql).bind(of).fetch_one(&mut self.db).await?;
        row.try_get(0).map_err(Error::from)
    }
}

fn cell(row: &PgRow, column: usize) -> Result<String, Error> {
    row.try_get(column).map_err(Error::from)
}

/// Texts in the order of their bytes, as in SQLite.
fn order(table: &Table, name: &str) -> String {
    let is_text = table.columns.iter().any(|column| column.name == name && column.kind == Kind::Text);
    format!("{}{} NULLS FIRST", quoted(name), if is_text { " COLLATE \"C\"" } else { "" })
}

fn kind(table: &str, column: &str, kind: &str) -> Result<Kind, Error> {
    match kind {
        "bigint" | "integer" | "smallint" => Ok(Kind::Integer),
        "boolean" => Ok(Kind::Boolean),
        "text" | "character varying" => Ok(Kind::Text),
        "bytea" => Ok(Kind::Bytes),
        other => Err(Error::Refused(format!("{table}.{column} is {other}, which cannot be copied yet"))),
    }
}
