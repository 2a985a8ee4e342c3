//! Who is sending: a row, a lease that a heartbeat renews, and a lock that dies with its holder.

use crate::sql::{all, execute, number, one, time};
use crate::{Connection, Error, Pool, Transaction};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_domain::{Part, WorkerId};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseBackend, DatabaseConnection, FromQueryResult, Statement,
};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a worker that is not heard of keeps what it has.
pub const LEASE: TimeDelta = TimeDelta::seconds(15);

/// A running worker. While it is held, others see that the worker lives; a killed process lets go at once.
#[derive(Debug)]
pub struct Presence {
    /// Who.
    pub id: WorkerId,
    lock: Lock,
    /// Held by the one worker that sends from a SQLite file.
    _sender: Option<File>,
}

#[derive(Debug)]
enum Lock {
    /// Beside SQLite: a locked file.
    File { _file: File, path: PathBuf },
    /// PostgreSQL: an advisory lock on a connection of its own.
    Session(DatabaseConnection),
}

/// Now, on the database's clock, in milliseconds: workers on several machines share that one.
pub(crate) fn clock(db: &impl ConnectionTrait) -> &'static str {
    match db.get_database_backend() {
        DatabaseBackend::Postgres => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
        _ => "CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER)",
    }
}

/// Signs a worker on.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn sign_on(db: &Pool, url: &str, name: &str) -> Result<Presence, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        id: i64,
    }
    let tx = db.begin().await?;
    let now = clock(&tx);
    let sql = format!("INSERT INTO workers (name, started, until) VALUES ($1, {now}, {now} + $2) RETURNING id");
    let values = [name.into(), LEASE.num_milliseconds().into()];
    let row = all::<Row>(&tx, &sql, values).await?.pop().ok_or(Error::unreadable("workers", "id"))?;
    let id = WorkerId(row.id);
    let lock = match db.file() {
        Some(file) => lock_file(file, id)?,
        None => lock_session(url, id).await?,
    };
    // Nobody sees the row before its lock is held: a free lock means a dead worker.
    tx.commit().await?;
    Ok(Presence { id, lock, _sender: None })
}

/// Signs on a worker that sends: on PostgreSQL one of many, beside SQLite the only one.
///
/// # Errors
/// [`Error::Refused`] when another sends from that file; [`Error::Unavailable`]
pub async fn sign_on_to_send(db: &Pool, url: &str, name: &str) -> Result<Presence, Error> {
    let sender = db.file().map(only_sender).transpose()?;
    Ok(Presence { _sender: sender, ..sign_on(db, url, name).await? })
}

fn only_sender(database: &Path) -> Result<File, Error> {
    let file = lockable(&beside(database, "sender"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(Error::Refused(format!(
            "another worker sends from {} already, and a SQLite file takes only one: stop that one first, or move to \
             PostgreSQL, where several share the work",
            database.display()
        ))),
    }
}

fn beside(database: &Path, what: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(format!(".{what}.lock"));
    PathBuf::from(name)
}

fn lock_path(database: &Path, id: WorkerId) -> PathBuf {
    beside(database, &format!("worker-{id}"))
}

fn lockable(path: &Path) -> Result<File, Error> {
    let open = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    open.map_err(|e| Error::Url(format!("cannot write {}: {e}", path.display())))
}

fn lock_file(database: &Path, id: WorkerId) -> Result<Lock, Error> {
    let path = lock_path(database, id);
    let file = lockable(&path)?;
    file.lock().map_err(|e| Error::Url(format!("cannot lock {}: {e}", path.display())))?;
    Ok(Lock::File { _file: file, path })
}

async fn lock_session(url: &str, id: WorkerId) -> Result<Lock, Error> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).min_connections(1).sqlx_logging(false).idle_timeout(None).max_lifetime(None);
    options.acquire_timeout(Duration::from_secs(4));
    let session = Database::connect(options).await?;
    hold(&session, id).await?;
    Ok(Lock::Session(session))
}

/// Takes the lock, unless this session has it. The session is another one after the server was away.
async fn hold(session: &DatabaseConnection, id: WorkerId) -> Result<(), Error> {
    let sql = format!(
        "SELECT CASE WHEN EXISTS ({HELD} AND pid = pg_backend_pid()) THEN true ELSE pg_try_advisory_lock($1) END"
    );
    let lock = Statement::from_sql_and_values(session.get_database_backend(), sql, [(LOCKS + id.0).into()]);
    session.execute_raw(lock).await?;
    Ok(())
}

/// The advisory lock `$1` of this database, where it is held.
const HELD: &str = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted
    AND ((classid::bigint << 32) | objid::bigint) = $1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// Advisory locks are numbers that all programs of a database share; ours start here.
const LOCKS: i64 = 0x5265_626f_756e_6400;

/// Renews lease and lock; `false` for a worker that was taken for dead meanwhile (it slept). What it had is others' now,
/// and it takes nothing more: it has to sign on anew, under another name.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn heartbeat(db: &impl Connection, presence: &Presence) -> Result<bool, Error> {
    if let Lock::Session(session) = &presence.lock {
        hold(session, presence.id).await?;
    }
    let now = clock(db);
    let sql = format!("UPDATE workers SET until = {now} + $2 WHERE id = $1");
    let renewed = execute(db, &sql, [presence.id.0.into(), LEASE.num_milliseconds().into()]).await?;
    Ok(renewed > 0)
}

/// Notes whether a worker can send: campaigns wait while nobody can.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn note_can_send(db: &impl Connection, id: WorkerId, can_send: bool) -> Result<(), Error> {
    let sql = "UPDATE workers SET can_send = $2 WHERE id = $1 AND can_send <> $2";
    execute(db, sql, [id.0.into(), can_send.into()]).await?;
    Ok(())
}

/// The workers that can send, and are there as far as is known.
pub(crate) fn able(db: &impl ConnectionTrait) -> String {
    format!("SELECT 1 FROM workers WHERE can_send AND until >= {}", clock(db))
}

/// Which one `id` is of the workers that can send, and are there as far as is known; itself it takes for one of them.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn part(db: &impl Connection, id: WorkerId) -> Result<Part, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        nth: i64,
        others: i64,
    }
    let sql = format!(
        "SELECT CAST(COALESCE(SUM(CASE WHEN id < $1 THEN 1 ELSE 0 END), 0) AS BIGINT) AS nth, COUNT(*) AS others
         FROM workers WHERE can_send AND until >= {} AND id <> $1",
        clock(db)
    );
    let row: Option<Row> = one(db, &sql, [id.0.into()]).await?;
    let number = |count: i64| u32::try_from(count).unwrap_or(0);
    Ok(row.map_or(Part::WHOLE, |row| Part { nth: number(row.nth), of: number(row.others).saturating_add(1) }))
}

/// Whether a worker is signed on still, and stays so until `tx` ends: one that was taken for dead must not claim.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn is_known(tx: &Transaction, id: WorkerId) -> Result<bool, Error> {
    let kept = match tx.get_database_backend() {
        DatabaseBackend::Postgres => "FOR KEY SHARE",
        _ => "",
    };
    let sql = format!("SELECT COUNT(*) FROM (SELECT id FROM workers WHERE id = $1 {kept}) AS known");
    Ok(number(tx, &sql, [id.0.into()]).await? > 0)
}

/// Signs a worker off; what it had must have been given back.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn sign_off(db: &impl Connection, presence: &Presence) -> Result<(), Error> {
    execute(db, "DELETE FROM workers WHERE id = $1", [presence.id.0.into()]).await?;
    match &presence.lock {
        // A file that stays behind is only clutter.
        Lock::File { path, .. } => drop(std::fs::remove_file(path)),
        Lock::Session(session) => session.close_by_ref().await?,
    }
    Ok(())
}

/// A worker that seems to be dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dead {
    /// Which.
    pub id: WorkerId,
    /// It still holds its lock: it hangs, or the database's clock was moved and its next heartbeat is on its way.
    pub is_silent: bool,
}

/// The workers whose lock is free, or that have not been heard of for a [`LEASE`].
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn dead(db: &Pool) -> Result<Vec<Dead>, Error> {
    let dead = seen(db).await?.into_iter().filter(|seen| seen.is_overdue || !seen.is_locked);
    Ok(dead.map(|seen| Dead { id: seen.id, is_silent: seen.is_locked }).collect())
}

/// A worker that is signed on, as others see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which.
    pub id: WorkerId,
    /// Until when its lease lasts, on the database's clock: every heartbeat changes it.
    pub until: DateTime<Utc>,
    /// Whether that is over.
    pub is_overdue: bool,
    /// Whether it holds its lock.
    pub is_locked: bool,
}

/// All workers that are signed on. None, while a PostgreSQL server that has just started knows no locks.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn seen(db: &Pool) -> Result<Vec<Seen>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        id: i64,
        until: i64,
        is_overdue: bool,
        is_locked: bool,
    }
    let now = clock(db);
    let rows = if let Some(file) = db.file() {
        let sql = format!("SELECT id, until, until < {now} AS is_overdue, false AS is_locked FROM workers");
        let mut rows = all::<Row>(db, &sql, []).await?;
        rows.iter_mut().for_each(|row| row.is_locked = !is_file_lock_free(file, WorkerId(row.id)));
        rows
    } else {
        // A server that has just started knows no locks, and has heard of nobody while it was away.
        let held = HELD.replace("$1", "$1 + workers.id");
        let sql = format!(
            "SELECT id, until, until < {now} AS is_overdue, EXISTS ({held}) AS is_locked FROM workers
             WHERE clock_timestamp() - pg_postmaster_start_time() > make_interval(secs => $2)"
        );
        all::<Row>(db, &sql, [LOCKS.into(), LEASE.as_seconds_f64().into()]).await?
    };
    let read = |row: Row| Seen {
        id: WorkerId(row.id),
        until: time(row.until),
        is_overdue: row.is_overdue,
        is_locked: row.is_locked,
    };
    Ok(rows.into_iter().map(read).collect())
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
