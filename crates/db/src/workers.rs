//! Who is sending: a row, a lease that a heartbeat renews, and a lock that dies with its holder.

use crate::sql::{all, execute, millis};
use crate::{Connection, Error, Pool};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_domain::WorkerId;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, FromQueryResult, Statement};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

/// How long a worker that is not heard of keeps what it has.
pub const LEASE: TimeDelta = TimeDelta::seconds(15);

/// A running worker. While it is held, others see that the worker lives; a killed process lets go at once.
#[derive(Debug)]
pub struct Presence {
    /// Who.
    pub id: WorkerId,
    lock: Lock,
}

#[derive(Debug)]
enum Lock {
    /// Beside SQLite: a locked file.
    File { _file: File, path: PathBuf },
    /// PostgreSQL: an advisory lock on a connection of its own.
    Session(DatabaseConnection),
}

/// Signs a worker on. Leases are on the wall clock, whatever the product's time does.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn sign_on(db: &Pool, url: &str, name: &str, wall: DateTime<Utc>) -> Result<Presence, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        id: i64,
    }
    let tx = db.begin().await?;
    let sql = "INSERT INTO workers (name, started, until) VALUES ($1, $2, $3) RETURNING id";
    let values = [name.into(), millis(wall).into(), millis(wall + LEASE).into()];
    let row = all::<Row>(&tx, sql, values).await?.pop().ok_or(Error::unreadable("workers", "id"))?;
    let id = WorkerId(row.id);
    let lock = match db.file() {
        Some(file) => lock_file(file, id)?,
        None => lock_session(url, id).await?,
    };
    // Nobody sees the row before its lock is held: a free lock means a dead worker.
    tx.commit().await?;
    Ok(Presence { id, lock })
}

fn lock_path(database: &Path, id: WorkerId) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(format!(".worker-{id}.lock"));
    PathBuf::from(name)
}

fn lock_file(database: &Path, id: WorkerId) -> Result<Lock, Error> {
    let path = lock_path(database, id);
    let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(|e| Error::Url(format!("cannot write {}: {e}", path.display())))?;
    file.lock().map_err(|e| Error::Url(format!("cannot lock {}: {e}", path.display())))?;
    Ok(Lock::File { _file: file, path })
}

async fn lock_session(url: &str, id: WorkerId) -> Result<Lock, Error> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).min_connections(1).sqlx_logging(false).idle_timeout(None).max_lifetime(None);
    let session = Database::connect(options).await?;
    let lock = Statement::from_sql_and_values(
        session.get_database_backend(),
        "SELECT pg_advisory_lock($1)",
        [(LOCKS + id.0).into()],
    );
    session.execute_raw(lock).await?;
    Ok(Lock::Session(session))
}

/// Advisory locks are numbers that all programs of a database share; ours start here.
const LOCKS: i64 = 0x5265_626f_756e_6400;

/// Renews the lease. A worker that was taken for dead meanwhile (it slept) signs on again: what it had is others' now,
/// and what it takes from here on is its own.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn heartbeat(db: &impl Connection, id: WorkerId, wall: DateTime<Utc>) -> Result<(), Error> {
    let sql = "INSERT INTO workers (id, name, started, until) VALUES ($1, 'again', $2, $3)
        ON CONFLICT (id) DO UPDATE SET until = excluded.until";
    execute(db, sql, [id.0.into(), millis(wall).into(), millis(wall + LEASE).into()]).await?;
    Ok(())
}

/// Signs a worker off; what it had must have been given back.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn sign_off(db: &impl Connection, presence: Presence) -> Result<(), Error> {
    execute(db, "DELETE FROM workers WHERE id = $1", [presence.id.0.into()]).await?;
    match presence.lock {
        // A file that stays behind is only clutter.
        Lock::File { path, .. } => drop(std::fs::remove_file(path)),
        Lock::Session(session) => session.close().await?,
    }
    Ok(())
}

/// The workers that have died: their lock is free, or they have not been heard of for a [`LEASE`].
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn dead(db: &Pool, wall: DateTime<Utc>) -> Result<Vec<WorkerId>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        id: i64,
        until: i64,
    }
    let mut dead = Vec::new();
    for row in all::<Row>(db, "SELECT id, until FROM workers", []).await? {
        let id = WorkerId(row.id);
        if row.until < millis(wall) || is_lock_free(db, id).await? {
            dead.push(id);
        }
    }
    Ok(dead)
}

async fn is_lock_free(db: &Pool, id: WorkerId) -> Result<bool, Error> {
    if let Some(file) = db.file() {
        return Ok(is_file_lock_free(file, id));
    }
    // Taken and given back in one statement: the session that asks keeps nothing.
    let sql = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted
        AND ((classid::bigint << 32) | objid::bigint) = $1
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    Ok(crate::sql::number(db, sql, [(LOCKS + id.0).into()]).await? == 0)
}

/// Whether no process holds the lock of a worker beside the SQLite file `database`.
pub(crate) fn is_file_lock_free(database: &Path, id: WorkerId) -> bool {
    match OpenOptions::new().write(true).open(lock_path(database, id)) {
        Ok(file) => file.try_lock().is_ok(),
        // Any other error says nothing about the worker.
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// Forgets a worker whose deliveries have been recovered.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn forget(db: &impl Connection, id: WorkerId) -> Result<(), Error> {
    execute(db, "DELETE FROM workers WHERE id = $1", [id.0.into()]).await?;
    Ok(())
}
