//! The common case of a group commit, in one call: hosts took messages, and the next ones may go.
//!
//! Statement by statement it is a way to the database and back for each, and over few connections those ways are most of
//! what a commit takes. Here all of them travel together, as if nothing could be in their way, and commit themselves.
//! Where something is, fewer rows change than should, or something is noted of a try already: then nothing is changed, and
//! the statements of [`leases`](super) say what it was.

use super::{Try, accepting, handed_by, marking, noting};
use crate::bounces::BOUNCES;
use crate::campaigns::SENDING;
use crate::sql::{self, json, millis, rows};
use crate::statistics::{self, Count, Kind};
use crate::{Error, Pool};
use chrono::{DateTime, Utc};
use rebound_domain::{AddressKey, CampaignId, WorkerId};
use sea_orm::{ConnectionTrait, DatabaseBackend, Statement, Value, Values};
use sea_query_sqlx::SqlxValues;
use sqlx::error::DatabaseError;
use sqlx::pool::PoolConnection;
use sqlx::query::QueryScalar;
use sqlx::{AssertSqlSafe, Database, Executor, FromRow, IntoArguments, Postgres, Sqlite};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

/// A message that a host took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Which try.
    pub of: Try,
    /// To whom.
    pub key: AddressKey,
    /// What the host said.
    pub reply: String,
}

/// One who makes the call again and again.
#[derive(Debug)]
pub struct Settler {
    db: Pool,
    kept: Mutex<Option<Kept>>,
}

/// A connection that is not given back between two calls: the pool asks each that comes back whether it lives, and that
/// takes as long as a good part of a call.
#[derive(Debug)]
struct Kept {
    connection: PoolConnection<Postgres>,
    used: Instant,
}

/// One that was not used for longer is given back, so that the pool may ask it before it is used.
const KEPT: Duration = Duration::from_secs(1);

impl Settler {
    /// Who writes to `db`.
    #[must_use]
    pub fn new(db: Pool) -> Self {
        Self { db, kept: Mutex::default() }
    }

    /// Settles `taken` as accepted, counts them, marks `marks`, and commits; answers which campaigns send. `None`: nothing
    /// is changed, as one of them is not this worker's to settle any more, is suppressed, was noted already, has a standing
    /// that the acceptance may change, or its campaign stopped.
    ///
    /// It must be waited for to its end: given up in its midst, it may leave a transaction open, which the pool does not see.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where there is an [`outage`](Error::outage): whether it was committed is not known.
    pub async fn settle_and_mark(
        &self,
        worker: WorkerId,
        taken: &[Taken],
        marks: &[Try],
        now: DateTime<Utc>,
    ) -> Result<Option<Vec<CampaignId>>, Error> {
        let counts: Vec<Count> =
            taken.iter().map(|taken| Count::one(now, taken.of.id.campaign(), Kind::Accepted, None)).collect();
        let sums = statistics::sums(&counts);
        let (settled, marked, counted) = (length(taken), length(marks), length(&sums));
        let values: Vec<Value> = vec![
            worker.0.into(),
            millis(now).into(),
            json(taken.iter().map(Line::taken))?.into(),
            json(marks.iter().map(Line::mark))?.into(),
            json(sums)?.into(),
            settled.into(),
            marked.into(),
            counted.into(),
        ];
        let sends = match self.db.get_database_backend() {
            DatabaseBackend::Postgres => self.on_postgres(values).await?,
            _ => on_sqlite(&self.db, values).await?,
        };
        Ok(sends.map(|sends| sends.into_iter().map(CampaignId).collect()))
    }

    async fn on_postgres(&self, values: Vec<Value>) -> Result<Option<Vec<i64>>, Error> {
        let question =
            sql::statement(&self.db, "SELECT pg_temp.settle_and_mark($1, $2, $3, $4, $5, $6, $7, $8)", values);
        let mut connection = self.connection().await?;
        let mut answer = query(&question).fetch_all(&mut *connection).await;
        if answer.as_ref().is_err_and(is_unknown) {
            answer = match connection.execute(AssertSqlSafe(function(&Pieces::of(&self.db)))).await {
                Ok(_) => query(&question).fetch_all(&mut *connection).await,
                Err(error) => Err(error),
            };
        }
        if answer.is_ok() {
            *self.kept() = Some(Kept { connection, used: Instant::now() });
        }
        // A null among them says that something is in the way.
        answer.map_or_else(refused, |sends| Ok(sends.into_iter().collect()))
    }

    async fn connection(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        let kept = self.kept().take().filter(|kept| kept.used.elapsed() < KEPT);
        match kept {
            Some(kept) => Ok(kept.connection),
            None => self.db.writer().get_postgres_connection_pool().acquire().await,
        }
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn on_sqlite(db: &Pool, values: Vec<Value>) -> Result<Option<Vec<i64>>, Error> {
    let called = "INSERT INTO settled_and_marked VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let question = sql::statement(db, &format!("BEGIN IMMEDIATE; {called}; {SENDING}; COMMIT"), values);
    let mut connection = db.writer().get_sqlite_connection_pool().acquire().await?;
    let mut answer = in_a_transaction(&mut connection, &question).await;
    if answer.as_ref().is_err_and(|error| is_in_sqlite(error, "no such table: settled_and_marked")) {
        answer = match connection.execute(AssertSqlSafe(trigger(&Pieces::of(db)))).await {
            Ok(_) => in_a_transaction(&mut connection, &question).await,
            Err(error) => Err(error),
        };
    }
    match answer {
        Ok(sends) => Ok(Some(sends.into_iter().flatten().collect())),
        Err(error) if IN_THE_WAY.iter().any(|words| is_in_sqlite(&error, words)) => Ok(None),
        Err(error) => refused(error),
    }
}

async fn in_a_transaction(
    connection: &mut PoolConnection<Sqlite>,
    question: &Statement,
) -> Result<Vec<Option<i64>>, sqlx::Error> {
    let answer = query(question).fetch_all(&mut **connection).await;
    if answer.is_err() && connection.execute("ROLLBACK").await.is_err() {
        // What the next one writes must not stand inside what this one left open.
        connection.close_on_drop();
    }
    answer
}

/// What SQLite says where not all was changed that should be, and where something is noted of a try already.
const IN_THE_WAY: [&str; 2] = [TOO_FEW, "UNIQUE constraint failed: attempts."];
const TOO_FEW: &str = "something is in the way";

fn is_in_sqlite(error: &sqlx::Error, words: &str) -> bool {
    error.as_database_error().is_some_and(|error| error.message().starts_with(words))
}

/// The statements as a trigger of the connection's own, and the view that it belongs to: what is put into that is done.
/// SQLite has no functions, and of each statement that stands by itself its driver tells the thread which waits.
fn trigger(pieces: &Pieces) -> String {
    let Pieces { marking, noting, accepting, counting, .. } = pieces;
    let or_end = |wanted: u8| format!("SELECT RAISE(ABORT, '{TOO_FEW}') WHERE changes() IS NOT ${wanted}");
    let statements = [
        marking.clone(),
        or_end(7),
        noting.clone(),
        or_end(6),
        accepting.clone(),
        or_end(6),
        counting.clone(),
        or_end(8),
    ];
    let statements = statements.join("; ").replace('$', "NEW.p").replace('\u{1}', "$");
    let columns: Vec<String> = (1..=8).map(|parameter| format!("NULL AS p{parameter}")).collect();
    format!(
        "CREATE TEMP VIEW settled_and_marked AS SELECT {};
         CREATE TEMP TRIGGER settle_and_mark INSTEAD OF INSERT ON settled_and_marked BEGIN {statements}; END",
        columns.join(", ")
    )
}

/// Nobody has made the function on this connection yet.
fn is_unknown(error: &sqlx::Error) -> bool {
    /// No function of that name, and no namespace of temporary things yet.
    const UNKNOWN: [&str; 2] = ["42883", "3F000"];
    error.as_database_error().and_then(DatabaseError::code).is_some_and(|code| UNKNOWN.contains(&&*code))
}

/// The statements as a function of the connection's own: it is a transaction by itself, and answers once that is durable.
///
/// First it waits beside whom it may, as [`leases::begin`](super::begin) does: each statement of a function sees what was
/// committed until then. In the one that writes, all parts see one moment, and none touches a row of another. The marks
/// come first, as a suppression may come while the others wait; the counts ask for both, so that they are the last.
fn function(pieces: &Pieces) -> String {
    let Pieces { unpacked, marking, noting, accepting, counting } = pieces;
    format!(
        "CREATE FUNCTION pg_temp.settle_and_mark(bigint, bigint, text, text, text, bigint, bigint, bigint)
         RETURNS SETOF bigint LANGUAGE plpgsql
         SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
         AS $function$
         DECLARE changed bigint;
         BEGIN
             PERFORM pg_advisory_xact_lock_shared({BOUNCES});
             BEGIN
                 WITH taken AS MATERIALIZED (SELECT * FROM {unpacked}),
                     marked AS ({marking} RETURNING 1), noted AS ({noting} RETURNING 1),
                     accepted AS ({accepting} RETURNING 1), counted AS ({counting} RETURNING 1)
                 SELECT (SELECT count(*) FROM marked) + (SELECT count(*) FROM noted)
                     + (SELECT count(*) FROM accepted) + (SELECT count(*) FROM counted) INTO changed;
                 IF changed <> 2 * $6 + $7 + $8 THEN RAISE SQLSTATE 'RB001'; END IF;
                 RETURN QUERY {SENDING};
             EXCEPTION WHEN SQLSTATE 'RB001' OR unique_violation THEN RETURN NEXT NULL;
             END;
         END $function$"
    )
}

/// What keeps the database from answering is told. Whatever else it has against the call, which may be only ours, as
/// where no temporary functions are allowed, the statements of [`leases`](super) go without.
fn refused<T>(error: sqlx::Error) -> Result<Option<T>, Error> {
    static TOLD: Once = Once::new();
    let error = Error::from(error);
    if error.outage().is_some() {
        return Err(error);
    }
    TOLD.call_once(|| {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, "commits take several calls each, and sending is slower than it could be");
    });
    Ok(None)
}

/// The statements, whose parameters are those of [`Settler::settle_and_mark`].
struct Pieces {
    /// What was taken, where it is unpacked.
    unpacked: String,
    marking: String,
    noting: String,
    accepting: String,
    /// The last, where nothing is in the way: others wait for its rows.
    counting: String,
}

impl Pieces {
    fn of(db: &Pool) -> Self {
        let unpacked = rows(db, 3, &[("id", "bigint"), ("number", "smallint"), ("reply", "text"), ("key", "text")]);
        let (taken, and_all) = match db.get_database_backend() {
            DatabaseBackend::Postgres => {
                ("taken AS rows", " AND (SELECT count(*) FROM marked) = $7 AND (SELECT count(*) FROM accepted) = $6")
            }
            _ => (unpacked.as_str(), ""),
        };
        let stand = format!("SELECT 1 FROM {taken} CROSS JOIN standings s WHERE s.key = rows.key");
        Self {
            marking: marking(&rows(db, 4, &[("id", "bigint"), ("number", "smallint")]), 1, 2),
            noting: noting(taken, "0", 1, 2),
            accepting: format!("{} AND {}", accepting(taken), handed_by(1)),
            counting: statistics::counting(db, 5, &format!("NOT EXISTS ({stand}){and_all}")),
            unpacked,
        }
    }
}

/// The statement as sqlx takes it from those who need one connection for several.
fn query<DB: Database>(statement: &Statement) -> QueryScalar<'_, DB, Option<i64>, SqlxValues>
where
    SqlxValues: IntoArguments<DB>,
    (Option<i64>,): for<'r> FromRow<'r, DB::Row>,
{
    let values = statement.values.clone().unwrap_or(Values(vec![]));
    sqlx::query_scalar_with(AssertSqlSafe(statement.sql.as_str()), SqlxValues(values))
}

fn length<T>(list: &[T]) -> i64 {
    i64::try_from(list.len()).unwrap_or(i64::MAX)
}

#[derive(serde::Serialize)]
struct Line<'a> {
    id: i64,
    number: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a AddressKey>,
}

impl<'a> Line<'a> {
    fn taken(taken: &'a Taken) -> Self {
        let Try { id, number } = taken.of;
        Self { id: id.0, number, reply: Some(&taken.reply), key: Some(&taken.key) }
    }

    fn mark(of: &Try) -> Self {
        Self { id: of.id.0, number: of.number, reply: None, key: None }
    }
}
