//! The one database: how it is opened, and what a question may be asked of.

use crate::Error;
use rebound_migrations::{Migrator, MigratorTrait};
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{Connection as _, Executor as _};
use sea_orm::{
    ConnAcquireErr, ConnectOptions, ConnectionTrait, Database, DatabaseBackend, DatabaseConnection,
    DatabaseTransaction, DbErr, ExecResult, QueryResult, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait,
};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a question may be asked of: the [`Pool`], or a [`Transaction`] that the caller has begun.
pub trait Connection: ConnectionTrait {}
impl Connection for Pool {}
impl Connection for Transaction {}

/// One writer and some readers. Writes queue for the writer; reads never wait for it.
///
/// On PostgreSQL both are the same pool.
#[derive(Clone, Debug)]
pub struct Pool {
    writer: DatabaseConnection,
    readers: DatabaseConnection,
    file: Option<PathBuf>,
    /// How long to wait for the writer, where somebody waits for the answer.
    patience: Option<Duration>,
}

/// A transaction that was begun to write. Dropped without [`Transaction::commit`], it changed nothing.
#[derive(Debug)]
pub struct Transaction(DatabaseTransaction);

const READERS: u32 = 4;

/// With less room than this on its disk, a SQLite file is about to stop.
const ROOM: u64 = 1024 * 1024;

/// Every commit reaches the server's disk before it is answered, also where a role or a database is set up otherwise.
const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') = 'off'";

/// Each statement sees what was committed until it begins, also where a role or a database is set up otherwise: what waits
/// for a lock looks only then.
const COMMITTED: &str = "SET default_transaction_isolation = 'read committed'";

/// How long a person waits for a page before it says that the database does not answer.
const PATIENCE: Duration = Duration::from_secs(4);

/// Opens the database at `url` (`sqlite:rebound.db`, `postgres://user:secret@host/name`) as it is.
///
/// A SQLite file that is not there is made. Call [`migrate`] before asking questions.
///
/// # Errors
/// [`Error::Url`] when the address names neither; [`Error::Unavailable`] when the database does not answer.
pub async fn connect(url: &str) -> Result<Pool, Error> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path.trim_start_matches("//");
        let url = format!("sqlite://{path}?mode=rwc");
        // The writer keeps in memory what it needs to take a statement back, which is little. What readers sort or group may
        // be a whole table: it goes to a file once it is large.
        let writer = Database::connect(sqlite(&url, 1, "memory")).await?;
        let readers = Database::connect(sqlite(&url, READERS, "file")).await?;
        Ok(Pool { writer, readers, file: Some(PathBuf::from(path)), patience: None })
    } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        let mut options = ConnectOptions::new(url);
        options.max_connections(12).acquire_timeout(PATIENCE).sqlx_logging(false);
        // Whoever asks all the time need not be asked first each time.
        options.test_before_acquire_if_idle_for(Duration::from_secs(1));
        options.map_sqlx_postgres_pool_opts(|pool| {
            pool.after_connect(|connection, _| {
                Box::pin(async move {
                    connection.execute(DURABLE).await?;
                    connection.execute(COMMITTED).await.map(drop)
                })
            })
        });
        let writer = Database::connect(options).await?;
        Ok(Pool { readers: writer.clone(), writer, file: None, patience: None })
    } else {
        Err(Error::Url("a database address starts with sqlite: or postgres://".to_owned()))
    }
}

/// Every commit reaches the disk before it is answered: WAL with `synchronous=FULL`.
fn sqlite(url: &str, connections: u32, temp_store: &'static str) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options.max_connections(connections).min_connections(connections.min(1)).sqlx_logging(false);
    // A file is there; to ask first costs as much as a statement.
    options.acquire_timeout(Duration::from_secs(60)).test_before_acquire(false);
    options.map_sqlx_sqlite_opts(move |options| {
        options
            .busy_timeout(Duration::from_secs(30))
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .pragma("temp_store", temp_store)
    });
    // On a full disk SQLite may end a transaction by itself, or leave one open whose end failed. What the next one
    // then writes would stand inside it and be lost with it: such a connection is closed, and another one opened. What
    // begins without sqlx's knowledge is not seen here, and has to see to its own end.
    options.map_sqlx_sqlite_before_acquire(|connection, _| {
        let is_clean = !connection.is_in_transaction();
        Box::pin(async move { Ok(is_clean) })
    });
    options
}

/// Brings the database to the form that this version needs. Does nothing where it has it already.
///
/// # Errors
/// [`Error::Unavailable`] when a step fails; the steps before it stay done. [`Error::Refused`] when only a part of
/// another database was copied into this one.
pub async fn migrate(pool: &Pool) -> Result<(), Error> {
    crate::copy::refuse_unfinished(pool).await?;
    Ok(Migrator::up(&pool.writer, None).await?)
}

/// The names of the steps that [`migrate`] would take.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn pending_migrations(pool: &Pool) -> Result<Vec<String>, Error> {
    let pending = Migrator::get_pending_migrations(&pool.writer).await?;
    Ok(pending.iter().map(|step| step.name().to_owned()).collect())
}

/// A database of its own for a test: a migrated SQLite file in `folder`.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn temporary(folder: &Path) -> Result<Pool, Error> {
    let pool = connect(&format!("sqlite:{}", folder.join("rebound.db").display())).await?;
    migrate(&pool).await?;
    Ok(pool)
}

impl Pool {
    /// Begins to write. On SQLite this waits for the one writer, and takes the lock at once.
    ///
    /// # Errors
    /// [`Error::Unavailable`]
    pub async fn begin(&self) -> Result<Transaction, Error> {
        Ok(Transaction(self.begun().await?))
    }

    /// The same for what workers hold while others wait for it: a PostgreSQL server ends it when nothing is heard of us
    /// for ten seconds, before our lease ends. A worker that hangs in its midst keeps nobody from taking over.
    ///
    /// # Errors
    /// [`Error::Unavailable`]
    pub async fn begin_briefly(&self) -> Result<Transaction, Error> {
        let tx = self.begin().await?;
        if tx.get_database_backend() == DatabaseBackend::Postgres {
            tx.0.execute_unprepared("SET LOCAL idle_in_transaction_session_timeout = '10s'").await?;
        }
        Ok(tx)
    }

    async fn begun(&self) -> Result<DatabaseTransaction, DbErr> {
        let immediate = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let begun = self.writer.begin_with_options(immediate);
        let Some(patience) = self.patience else { return begun.await };
        // Nothing has been written yet, so that nothing is half done when we turn away.
        let begun = tokio::time::timeout(patience, begun).await;
        let tx = begun.unwrap_or(Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)))?;
        if self.get_database_backend() == DatabaseBackend::Postgres {
            // There it is rows that others hold, later.
            tx.execute_unprepared(&format!("SET LOCAL lock_timeout = {}", patience.as_millis())).await?;
        }
        Ok(tx)
    }

    /// The same for pages: it waits a few seconds for the writer, where others wait for as long as it takes.
    #[must_use]
    pub fn for_pages(&self) -> Self {
        Self { patience: Some(PATIENCE), ..self.clone() }
    }

    /// The file it lives in, if it is SQLite.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Whether the disk that holds the SQLite file has no room for more. Of a PostgreSQL server's disk nothing is known
    /// here.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        let folder = self.file.as_deref().and_then(Path::parent);
        let folder = folder.map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
        let room = folder.and_then(|folder| rustix::fs::statvfs(folder).ok());
        room.is_some_and(|room| room.f_bavail.saturating_mul(room.f_frsize) < ROOM)
    }

    pub(crate) fn writer(&self) -> &DatabaseConnection {
        &self.writer
    }

    /// Closes all connections; what waits for one is told so.
    pub async fn close(&self) {
        // A second close has nothing to do and nothing to say.
        let _ = self.readers.close_by_ref().await;
        let _ = self.writer.close_by_ref().await;
    }

    /// Readings go to the readers, everything else to the writer.
    fn is_reading(sql: &str) -> bool {
        sql.trim_start().get(..6).unwrap_or_default().eq_ignore_ascii_case("select")
    }
}

impl Transaction {
    /// Makes what was written durable and visible.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: nothing was changed.
    pub async fn commit(self) -> Result<(), Error> {
        Ok(self.0.commit().await?)
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Pool {
    fn get_database_backend(&self) -> DatabaseBackend {
        self.writer.get_database_backend()
    }
    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        if self.patience.is_none() {
            return self.writer.execute_raw(statement).await;
        }
        let tx = self.begun().await?;
        let done = tx.execute_raw(statement).await?;
        tx.commit().await.map(|()| done)
    }
    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.writer.execute_unprepared(sql).await
    }
    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        if Self::is_reading(&statement.sql) {
            return self.readers.query_one_raw(statement).await;
        }
        // Alone, it would answer with the row before it has failed to be written.
        let tx = self.begun().await?;
        let found = tx.query_one_raw(statement).await?;
        tx.commit().await.map(|()| found)
    }
    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        if Self::is_reading(&statement.sql) {
            return self.readers.query_all_raw(statement).await;
        }
        if self.patience.is_none() {
            return self.writer.query_all_raw(statement).await;
        }
        let tx = self.begun().await?;
        let found = tx.query_all_raw(statement).await?;
        tx.commit().await.map(|()| found)
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DatabaseBackend {
        self.0.get_database_backend()
    }
    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.0.execute_raw(statement).await
    }
    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.0.execute_unprepared(sql).await
    }
    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.0.query_one_raw(statement).await
    }
    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.0.query_all_raw(statement).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{execute, number};

    const LONG: &str = "INSERT INTO setup_links (digest, created) VALUES (hex(randomblob(100000)), 0)";
    const SHORT: &str = "INSERT INTO setup_links (digest, created) VALUES ('short', 0) RETURNING digest";

    /// Lets the writer's connection take no more room, as a full disk would.
    async fn fill(pool: &Pool) {
        let pages = number(pool, "SELECT page_count FROM pragma_page_count()", []).await.unwrap();
        pool.writer.execute_unprepared(&format!("PRAGMA max_page_count = {pages}")).await.unwrap();
    }

    async fn rows(pool: &Pool) -> i64 {
        number(pool, "SELECT count(*) FROM setup_links", []).await.unwrap()
    }

    #[tokio::test]
    async fn readers_sort_in_files_and_the_writer_in_memory() {
        /// SQLite's numbers for `temp_store`.
        const FILE: i64 = 1;
        const MEMORY: i64 = 2;
        let folder = tempfile::tempdir().unwrap();
        let pool = temporary(folder.path()).await.unwrap();
        let place = "SELECT temp_store FROM pragma_temp_store()";
        assert_eq!(number(&pool, place, []).await.unwrap(), FILE);
        let tx = pool.begin().await.unwrap();
        assert_eq!(number(&tx, place, []).await.unwrap(), MEMORY);
    }

    #[tokio::test]
    async fn what_follows_a_write_that_found_no_room_is_durable() {
        let folder = tempfile::tempdir().unwrap();
        let pool = temporary(folder.path()).await.unwrap();
        for _ in 0..3 {
            fill(&pool).await;
            let tx = pool.begin().await.unwrap();
            let full = execute(&tx, LONG, []).await.unwrap_err();
            assert_eq!(full.outage(), Some(crate::Outage::Full), "{full:?}");
            drop(tx);
        }

        let tx = pool.begin().await.unwrap();
        execute(&tx, "INSERT INTO setup_links (digest, created) VALUES ('one', 0)", []).await.unwrap();
        tx.commit().await.unwrap();

        assert_eq!(rows(&pool).await, 1, "others see what was committed");
        pool.query_one_raw(Statement::from_string(DatabaseBackend::Sqlite, SHORT)).await.unwrap();
        assert_eq!(rows(&pool).await, 2);
    }

    #[tokio::test]
    async fn a_connection_whose_transaction_has_no_end_is_not_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let pool = temporary(folder.path()).await.unwrap();
        let tx = pool.begin().await.unwrap();
        // It ends behind our back, as on a full disk, and so does the next one that is opened in its place.
        tx.execute_unprepared("ROLLBACK").await.unwrap();
        drop(tx);
        let tx = pool.begin().await.unwrap();
        let transaction = tx.execute_unprepared("RELEASE _sqlx_savepoint_1").await;
        assert!(transaction.is_err(), "a transaction of its own was begun, not a part of the one before");
        drop(tx);

        let tx = pool.begin().await.unwrap();
        execute(&tx, "INSERT INTO setup_links (digest, created) VALUES ('one', 0)", []).await.unwrap();
        tx.commit().await.unwrap();

        assert_eq!(rows(&pool).await, 1);
    }
}
