//! On PostgreSQL the call is a function, which each connection makes for itself: one kept in the database would be that of
//! whichever version came last.
//!
//! Of what a call of few messages costs the server, a good part is to begin and end its statements, whatever they change. So
//! there are few: marks, acceptances and what is noted are one, and what may be in the way is asked for all rows at once. The
//! conditions are those of the statements of [`leases`](crate::leases); a suppression is asked for by the address that the
//! letter goes to.

use super::{Mark, Taken};
use crate::bounces::BOUNCES;
use crate::campaigns::SENDING;
use crate::sql::{millis, text_without_nul};
use crate::statistics::{Kind, counting, day_number};
use crate::{Error, Pool};
use chrono::{DateTime, Utc};
use rebound_domain::WorkerId;
use sqlx::error::DatabaseError;
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Executor, Postgres};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A connection that is not given back between two calls, and when it was last used: the pool asks each that comes back
/// whether it lives, and that takes as long as a good part of a call.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<Option<(PoolConnection<Postgres>, Instant)>>);

/// One that was not used for longer is given back, so that the pool may ask it before it is used.
const KEPT: Duration = Duration::from_secs(1);

impl Kept {
    async fn take_from(&self, db: &Pool) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match kept.filter(|(_, used)| used.elapsed() < KEPT) {
            Some((connection, _)) => Ok(connection),
            None => db.writer().get_postgres_connection_pool().acquire().await,
        }
    }

    fn put(&self, connection: PoolConnection<Postgres>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((connection, Instant::now()));
    }
}

/// Which campaigns send; `None` where something is in the way.
pub(super) async fn settle_and_mark(
    db: &Pool,
    kept: &Kept,
    worker: WorkerId,
    taken: &[Taken],
    marks: &[Mark],
    now: DateTime<Utc>,
) -> Result<Option<Vec<i64>>, Error> {
    let values = Values::of(taken, marks);
    let mut connection = kept.take_from(db).await?;
    let mut answer = values.call(&mut connection, worker, now).await;
    if answer.as_ref().is_err_and(is_unknown) {
        answer = match connection.execute(AssertSqlSafe(function())).await {
            Ok(_) => values.call(&mut connection, worker, now).await,
            Err(error) => Err(error),
        };
    }
    if answer.is_ok() {
        kept.put(connection);
    }
    Ok(answer?)
}

/// What is marked and what is settled, in this order, each as a column. Of a mark there is no reply.
#[derive(Default)]
struct Values<'a> {
    ids: Vec<i64>,
    numbers: Vec<i16>,
    replies: Vec<Option<String>>,
    keys_taken: Vec<&'a str>,
    keys_marked: Vec<&'a str>,
    campaigns_marked: Vec<i64>,
    /// By campaign, how many were taken.
    taken: BTreeMap<i64, i64>,
}

impl<'a> Values<'a> {
    fn of(taken: &'a [Taken], marks: &'a [Mark]) -> Self {
        let mut values = Self::default();
        let tries = marks.iter().map(|mark| &mark.of).chain(taken.iter().map(|taken| &taken.of));
        (values.ids, values.numbers) = tries.map(|of| (of.id.0, i16::from(of.number))).unzip();
        let replies = taken.iter().map(|taken| Some(text_without_nul(&taken.reply)));
        values.replies = marks.iter().map(|_| None).chain(replies).collect();
        values.keys_taken = taken.iter().map(|taken| taken.key.as_str()).collect();
        values.keys_marked = marks.iter().map(|mark| mark.key.as_str()).collect();
        values.campaigns_marked = marks.iter().map(|mark| mark.of.id.campaign().0).collect();
        for taken in taken {
            *values.taken.entry(taken.of.id.campaign().0).or_default() += 1;
        }
        values
    }

    async fn call(
        &self,
        connection: &mut PoolConnection<Postgres>,
        worker: WorkerId,
        now: DateTime<Utc>,
    ) -> Result<Option<Vec<i64>>, sqlx::Error> {
        let called = "SELECT pg_temp.settle_and_mark($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        sqlx::query_scalar(called)
            .bind(worker.0)
            .bind(millis(now))
            .bind(&self.ids)
            .bind(&self.numbers)
            .bind(&self.replies)
            .bind(&self.keys_taken)
            .bind(&self.keys_marked)
            .bind(&self.campaigns_marked)
            .bind(day_number(now.date_naive()))
            .bind(self.taken.keys().copied().collect::<Vec<_>>())
            .bind(self.taken.values().copied().collect::<Vec<_>>())
            .fetch_one(&mut **connection)
            .await
    }
}

/// Nobody has made the function on this connection yet.
fn is_unknown(error: &sqlx::Error) -> bool {
    /// No function of that name, and no namespace of temporary things yet.
    const UNKNOWN: [&str; 2] = ["42883", "3F000"];
    error.as_database_error().and_then(DatabaseError::code).is_some_and(|code| UNKNOWN.contains(&&*code))
}

/// The function, which is a transaction by itself, and answers once that is durable.
///
/// First it waits beside whom it may, as [`leases::begin`](crate::leases::begin) does: each statement sees what was
/// committed until it begins. Marks come first, then acceptances, then what is noted, as whoever recovers this worker's
/// deliveries goes from group to group in the same order. What may be in the way is asked once the rows are had, as it may
/// come while they are waited for; what is counted comes last, as others wait for its rows.
fn function() -> String {
    let counted = format!(
        "(SELECT today AS day, campaign AS campaign_id, CAST({} AS SMALLINT) AS kind, '' AS cause, number AS count
          FROM unnest(campaigns_taken, counts) AS sums (campaign, number)) AS rows",
        Kind::Accepted.code()
    );
    format!(
        "CREATE FUNCTION pg_temp.settle_and_mark(
             me bigint, moment bigint, ids bigint[], numbers smallint[], replies text[], keys_taken text[],
             keys_marked text[], campaigns_marked bigint[], today bigint, campaigns_taken bigint[], counts bigint[])
         RETURNS bigint[] LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan
         SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
         AS $function$
         DECLARE
             had bigint;
             send bigint[];
         BEGIN
             PERFORM pg_advisory_xact_lock_shared({BOUNCES});
             WITH changed AS (
                 UPDATE deliveries SET attempts = rows.number, handed = CASE WHEN rows.reply IS NULL THEN moment END,
                     worker = CASE WHEN rows.reply IS NULL THEN me END,
                     state = CASE WHEN rows.reply IS NULL THEN deliveries.state ELSE 5 END
                 FROM unnest(ids, numbers, replies) AS rows (id, number, reply) CROSS JOIN deliveries before
                 WHERE deliveries.id = rows.id AND before.id = rows.id AND +deliveries.worker = me
                     AND CASE WHEN deliveries.handed IS NULL THEN rows.reply IS NULL
                         ELSE deliveries.attempts = rows.number END
                 RETURNING rows.id, rows.number, rows.reply, before.handed
             ), noted AS (
                 INSERT INTO attempts (delivery_id, number, worker, handed, outcome, settled, reply)
                 SELECT id, number, me, handed, 0, moment, reply FROM changed WHERE reply IS NOT NULL
             )
             SELECT count(*) INTO had FROM changed;
             send := ARRAY({SENDING});
             IF had <> cardinality(ids) OR NOT campaigns_marked <@ send
                 OR EXISTS (SELECT 1 FROM unnest(keys_marked, campaigns_marked) AS marks (key, campaign)
                     CROSS JOIN suppressions p
                     WHERE p.key = marks.key AND (p.until IS NULL OR p.until > moment) AND (p.scope = 0
                         OR p.scope = (SELECT g.list_id FROM campaigns g WHERE g.id = marks.campaign)))
                 OR EXISTS (SELECT 1 FROM standings s WHERE s.key = ANY (keys_taken))
             THEN
                 RAISE SQLSTATE 'RB001';
             END IF;
             {counting};
             RETURN send;
         EXCEPTION WHEN SQLSTATE 'RB001' OR unique_violation THEN
             RETURN NULL;
         END $function$",
        counting = counting(&counted, "true"),
    )
}
