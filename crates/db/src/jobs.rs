//! Long work, each a row: whose it is, how far it came, and what stopped it.
//!
//! A job is held by a lease on the database's clock and by its worker's lock. Every claim has a number of its own; whoever
//! writes down progress names it, so that one who was taken for dead changes nothing any more.

use crate::sql::{all, execute, millis, number, one, time};
use crate::workers::{LEASE, clock};
use crate::{Connection, Error, Pool};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_domain::{JobId, WorkerId};
use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult, Value};

/// How often a job may be begun without coming any further, before it is taken for one that cannot be done.
pub const TRIES: i64 = 5;

/// A piece of long work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its identity.
    pub id: JobId,
    /// What is to be done.
    pub kind: JobKind,
    /// With which import, incident …
    pub subject: i64,
    /// How it stands.
    pub state: JobState,
    /// Which claim of it this is; the next worker has the next number.
    pub claim: i64,
    /// How often it was begun since it last came further.
    pub tries: i64,
    /// Where to go on, in the words of its kind; empty at the beginning.
    pub cursor: String,
    /// How much of `total` is done, in the unit of its kind.
    pub done: i64,
    /// How much there is; 0 where nobody knows.
    pub total: i64,
    /// What was asked for, as JSON of its kind.
    pub settings: String,
    /// Who asked for it.
    pub actor: String,
    /// Why it failed, or was cancelled.
    pub error: Option<String>,
    /// When it was asked for.
    pub created: DateTime<Utc>,
    /// When something was last written down about it.
    pub updated: DateTime<Utc>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobKind {
    /// A file is read into a list. In bytes, then in people.
    Import,
    /// Everybody whom an incident touched is judged anew. In addresses.
    Restore,
    /// Everything comes from a SQLite file into this database. In rows. The command does it, never a worker.
    Migration,
    /// The bounces that a version of the installation's rules speaks of are judged again. In bounces.
    Rejudge,
}

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobState {
    /// What it needs is still being sent to us.
    Arriving,
    /// Everything is there; a person has to say go.
    Prepared,
    /// The next worker that is free takes it.
    Waiting,
    /// A worker has it, or had it when it was killed.
    Running,
    /// It is done.
    Done,
    /// It could not go on.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

impl JobKind {
    const ALL: [Self; 4] = [Self::Import, Self::Restore, Self::Migration, Self::Rejudge];

    pub(crate) fn code(self) -> i16 {
        self as i16
    }
}

impl JobState {
    const ALL: [Self; 7] =
        [Self::Arriving, Self::Prepared, Self::Waiting, Self::Running, Self::Done, Self::Failed, Self::Cancelled];

    /// Whether nothing will happen to it any more, unless somebody asks.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }

    /// Whether a worker is at it, or will be without being asked.
    #[must_use]
    pub fn is_under_way(self) -> bool {
        matches!(self, Self::Waiting | Self::Running)
    }

    pub(crate) fn code(self) -> i16 {
        self as i16
    }

    pub(crate) fn from_code(code: i16) -> Option<Self> {
        usize::try_from(code).ok().and_then(|code| Self::ALL.get(code).copied())
    }
}

/// A job that is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob<'a> {
    /// What is to be done.
    pub kind: JobKind,
    /// With which import, incident …
    pub subject: i64,
    /// [`JobState::Arriving`] or [`JobState::Waiting`].
    pub state: JobState,
    /// How much there is; 0 where nobody knows.
    pub total: i64,
    /// What is asked for, as JSON of its kind.
    pub settings: &'a str,
    /// Who asks.
    pub actor: &'a str,
}

/// Writes down a job; `None` where the same is under way already.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn add(db: &impl Connection, job: &NewJob<'_>, now: DateTime<Utc>) -> Result<Option<JobId>, Error> {
    let sql = "INSERT INTO jobs (kind, subject, state, total, settings, actor, created, updated)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $7) ON CONFLICT DO NOTHING RETURNING id";
    let values: [Value; 7] = [
        job.kind.code().into(),
        job.subject.into(),
        job.state.code().into(),
        job.total.into(),
        job.settings.into(),
        job.actor.into(),
        millis(now).into(),
    ];
    #[derive(FromQueryResult)]
    struct Id {
        id: i64,
    }
    Ok(one::<Id>(db, sql, values).await?.map(|row| JobId(row.id)))
}

/// Takes the oldest job that waits, or whose worker is gone: its lease ran out, it signed off, or it is among `dead`.
/// Never a [`JobKind::Migration`].
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Unreadable`]
pub async fn claim(db: &Pool, worker: WorkerId, dead: &[WorkerId]) -> Result<Option<Job>, Error> {
    let dead: Vec<String> = dead.iter().map(|id| id.0.to_string()).collect();
    let dead = if dead.is_empty() { "NULL".to_owned() } else { dead.join(", ") };
    // Two that ask at once are given different jobs; SQLite has one writer anyway.
    let skip = match db.get_database_backend() {
        DatabaseBackend::Postgres => "FOR UPDATE SKIP LOCKED",
        _ => "",
    };
    let now = clock(db);
    let sql = format!(
        "UPDATE jobs SET state = 3, worker = $1, until = {now} + $2, claims = claims + 1, tries = tries + 1 WHERE id = (
            SELECT id FROM jobs WHERE kind <> {} AND (state = 2
                OR (state = 3 AND (until < {now} OR worker NOT IN (SELECT id FROM workers) OR worker IN ({dead}))))
            ORDER BY id LIMIT 1 {skip}) RETURNING *",
        JobKind::Migration.code()
    );
    let values = [worker.0, LEASE.num_milliseconds()].map(Value::from);
    one::<Row>(db, &sql, values).await?.map(Job::try_from).transpose()
}

/// Takes the job with `id` for a command that does it itself; a worker takes over when its heartbeat stops.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Unreadable`]
pub async fn claim_this(db: &impl Connection, id: JobId) -> Result<Option<Job>, Error> {
    let sql = format!(
        "UPDATE jobs SET state = 3, worker = NULL, until = {} + $2, claims = claims + 1, tries = tries + 1
         WHERE id = $1 AND state IN (0, 1, 2) RETURNING *",
        clock(db)
    );
    one::<Row>(db, &sql, [id.0, LEASE.num_milliseconds()].map(Value::from)).await?.map(Job::try_from).transpose()
}

/// Renews the lease; `false` when the job is another's by now, or was cancelled.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn heartbeat(db: &impl Connection, job: &Job) -> Result<bool, Error> {
    let sql = format!("UPDATE jobs SET until = {} + $3 WHERE id = $1 AND claims = $2 AND state = 3", clock(db));
    Ok(execute(db, &sql, [job.id.0, job.claim, LEASE.num_milliseconds()].map(Value::from)).await? > 0)
}

/// Notes how far `job` came, as it says itself; `false` when it is another's by now, or was cancelled: then the
/// transaction must not be committed.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn advance(db: &impl Connection, job: &Job, now: DateTime<Utc>) -> Result<bool, Error> {
    let sql = "UPDATE jobs SET cursor = $3, done = $4, total = $5, tries = 0, updated = $6
        WHERE id = $1 AND claims = $2 AND state = 3";
    let values: [Value; 6] = [
        job.id.0.into(),
        job.claim.into(),
        job.cursor.as_str().into(),
        job.done.into(),
        job.total.into(),
        millis(now).into(),
    ];
    Ok(execute(db, sql, values).await? > 0)
}

/// Notes that `job` is done; `false` as with [`advance`].
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn finish(db: &impl Connection, job: &Job, now: DateTime<Utc>) -> Result<bool, Error> {
    let sql = "UPDATE jobs SET state = 4, error = NULL, worker = NULL, done = $3, total = $4, updated = $5
        WHERE id = $1 AND claims = $2 AND state = 3";
    let values = [job.id.0, job.claim, job.done, job.total, millis(now)].map(Value::from);
    Ok(execute(db, sql, values).await? > 0)
}

/// Notes why `job` could not go on, in words for whoever asked; `false` as with [`advance`].
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn fail(db: &impl Connection, job: &Job, error: &str, now: DateTime<Utc>) -> Result<bool, Error> {
    let sql = "UPDATE jobs SET state = 5, error = $3, worker = NULL, updated = $4
        WHERE id = $1 AND claims = $2 AND state = 3";
    let values: [Value; 4] = [job.id.0.into(), job.claim.into(), error.into(), millis(now).into()];
    Ok(execute(db, sql, values).await? > 0)
}

/// Gives `job` back: the next worker goes on where it is.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn give_back(db: &impl Connection, job: &Job) -> Result<(), Error> {
    let sql = "UPDATE jobs SET state = 2, worker = NULL, tries = 0 WHERE id = $1 AND claims = $2 AND state = 3";
    execute(db, sql, [job.id.0.into(), job.claim.into()]).await?;
    Ok(())
}

/// Says that everything arrived that `id` needs, `total` of it; `false` where it was given up meanwhile.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn prepared(db: &impl Connection, id: JobId, total: i64, now: DateTime<Utc>) -> Result<bool, Error> {
    let sql = "UPDATE jobs SET state = 1, total = $2, updated = $3 WHERE id = $1 AND state = 0";
    Ok(execute(db, sql, [id.0, total, millis(now)].map(Value::from)).await? > 0)
}

/// Says go, with these settings; `false` where it went already, or is over.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn start(db: &impl Connection, id: JobId, settings: &str, now: DateTime<Utc>) -> Result<bool, Error> {
    let sql = "UPDATE jobs SET state = 2, settings = $2, updated = $3 WHERE id = $1 AND state = 1";
    Ok(execute(db, sql, [id.0.into(), settings.into(), millis(now).into()]).await? > 0)
}

/// Whether any job is under way, or was at `since` or later.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn worked_since(db: &impl Connection, since: DateTime<Utc>) -> Result<bool, Error> {
    let sql = "SELECT count(*) FROM jobs WHERE state IN (2, 3) OR updated >= $1";
    Ok(number(db, sql, [millis(since).into()]).await? > 0)
}

/// Stops a job, whoever has it; `false` where it is over.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn cancel(db: &impl Connection, id: JobId, why: &str, now: DateTime<Utc>) -> Result<bool, Error> {
    let sql = "UPDATE jobs SET state = 6, error = $2, worker = NULL, updated = $3
        WHERE id = $1 AND state IN (0, 1, 2, 3, 5)";
    Ok(execute(db, sql, [id.0.into(), why.into(), millis(now).into()]).await? > 0)
}

/// Has a job that failed go on where it stopped; `false` where it did not fail.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn retry(db: &impl Connection, id: JobId, now: DateTime<Utc>) -> Result<bool, Error> {
    let sql = "UPDATE jobs SET state = 2, error = NULL, tries = 0, updated = $2 WHERE id = $1 AND state = 5
        AND NOT EXISTS (SELECT 1 FROM jobs AS other WHERE other.kind = jobs.kind AND other.subject = jobs.subject
            AND other.state IN (0, 1, 2, 3))";
    Ok(execute(db, sql, [id.0, millis(now)].map(Value::from)).await? > 0)
}

/// The job with `id`.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Unreadable`]
pub async fn get(db: &impl Connection, id: JobId) -> Result<Option<Job>, Error> {
    let row: Option<Row> = one(db, "SELECT * FROM jobs WHERE id = $1", [id.0.into()]).await?;
    row.map(Job::try_from).transpose()
}

/// The newest job of `kind` about `subject`.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Unreadable`]
pub async fn of(db: &impl Connection, kind: JobKind, subject: i64) -> Result<Option<Job>, Error> {
    let sql = "SELECT * FROM jobs WHERE subject = $1 AND kind = $2 ORDER BY id DESC LIMIT 1";
    let row: Option<Row> = one(db, sql, [subject.into(), kind.code().into()]).await?;
    row.map(Job::try_from).transpose()
}

/// What is not over, what failed, and what ended since `since`; newest first.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Unreadable`]
pub async fn recent(db: &impl Connection, since: DateTime<Utc>, limit: u32) -> Result<Vec<Job>, Error> {
    let sql = "SELECT * FROM jobs WHERE state IN (0, 1, 2, 3, 5) OR updated >= $1 ORDER BY id DESC LIMIT $2";
    let rows: Vec<Row> = all(db, sql, [millis(since).into(), i64::from(limit).into()]).await?;
    rows.into_iter().map(Job::try_from).collect()
}

/// Uploads of which nothing was heard for `long`: their sender is gone.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Unreadable`]
pub async fn abandoned(db: &impl Connection, long: TimeDelta) -> Result<Vec<Job>, Error> {
    let sql = format!("SELECT * FROM jobs WHERE state = 0 AND until < {} - $1", clock(db));
    let rows: Vec<Row> = all(db, &sql, [long.num_milliseconds().into()]).await?;
    rows.into_iter().map(Job::try_from).collect()
}

/// Notes that something more arrived for `id`; `false` where it was given up meanwhile.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn arriving(db: &impl Connection, id: JobId) -> Result<bool, Error> {
    let sql = format!("UPDATE jobs SET until = {} WHERE id = $1 AND state = 0", clock(db));
    Ok(execute(db, &sql, [id.0.into()]).await? > 0)
}

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    kind: i16,
    subject: i64,
    state: i16,
    claims: i64,
    tries: i64,
    cursor: String,
    done: i64,
    total: i64,
    settings: String,
    actor: String,
    error: Option<String>,
    created: i64,
    updated: i64,
}

impl TryFrom<Row> for Job {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let kind = usize::try_from(row.kind).ok().and_then(|code| JobKind::ALL.get(code).copied());
        Ok(Self {
            id: JobId(row.id),
            kind: kind.ok_or(Error::unreadable("jobs", "kind"))?,
            subject: row.subject,
            state: JobState::from_code(row.state).ok_or(Error::unreadable("jobs", "state"))?,
            claim: row.claims,
            tries: row.tries,
            cursor: row.cursor,
            done: row.done,
            total: row.total,
            settings: row.settings,
            actor: row.actor,
            error: row.error,
            created: time(row.created),
            updated: time(row.updated),
        })
    }
}
