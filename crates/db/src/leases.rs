//! How workers take deliveries, mark their hand-over, and give them back.
//!
//! ```text
//! claim: planned | deferred ─▶ leased     mark: leased ─▶ handing_over     release: leased ─▶ back
//! recover: what a dead worker had ─▶ back, or in doubt
//! ```
//!
//! While a delivery is handed over, its own row is the mark: whose try it is, which, and in `handed` since when. What is
//! leased and has no time in `handed` is not marked. A mark changes nothing that an index holds, so that it is written to
//! none, and PostgreSQL lets the row stay where it is. A row of its own is written for the try once there is an answer, or
//! a doubt.
//!
//! A plus before `worker` or `state`, where deliveries are named by their ids, keeps both engines from the partial indexes:
//! SQLite would unpack the names anew for each delivery of the worker, and PostgreSQL go through all that are under way
//! for each name, as long as it believes that there are few.
//!
//! State numbers stand in the statements as they are, and in the words of the partial indexes, so that those can be used:
//! SQLite does not see that `state = 0` is one of `state IN (0, 1)`.
//! 0 planned, 1 deferred, 2 leased or handed over, 4 in_doubt, 5 accepted, 6 bounced, 7 suppressed, 8 cancelled.

use crate::bounces::BOUNCES;
use crate::deliveries::ids_json;
use crate::sql::{all, execute, millis, off, rows, time};
use crate::{Connection, Error, Pool, Transaction};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_domain::{ContactId, DeliveryId, WorkerId};
use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult};
use std::collections::HashMap;

mod claim;
pub mod plain;

pub use claim::claim;

/// A delivery that a worker has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Which.
    pub id: DeliveryId,
    /// To whom.
    pub contact: ContactId,
    /// Tries before this one.
    pub attempts: u8,
    /// The last of them of which a report may come: a host took it, or may have. 0 where there is none.
    pub departed: u8,
    /// When it was first taken.
    pub since: DateTime<Utc>,
}

/// One try at a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    /// Which delivery.
    pub id: DeliveryId,
    /// Which try, counted from 1.
    pub number: u8,
}

/// One try and what the host said in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Which try.
    pub of: Try,
    /// Whether the host took the message.
    pub accepted: bool,
    /// Its words.
    pub reply: String,
}

/// Beside whom a transaction of deliveries goes on. On SQLite there is one writer, and never anybody beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// Nobody who settles deliveries or records bounces: it may do both.
    Nobody,
    /// Others who do not record bounces either.
    Others,
}

/// Begins a transaction that marks and settles deliveries. It waits here, before any delivery is touched, as whoever
/// reads reports does: neither waits for the other in a circle.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn begin(db: &Pool, beside: Beside) -> Result<Transaction, Error> {
    let tx = db.begin().await?;
    if tx.get_database_backend() == DatabaseBackend::Postgres {
        let lock = match beside {
            Beside::Nobody => "pg_advisory_xact_lock",
            Beside::Others => "pg_advisory_xact_lock_shared",
        };
        // Its statements name some hundred rows by their ids. A planner that does not know the table well yet may want
        // to read all of it for that. And who hangs meanwhile must not keep others waiting: see `Pool::begin_briefly`.
        let sql = format!(
            "SELECT {lock}({BOUNCES}), {}, set_config('idle_in_transaction_session_timeout', '10s', true)",
            off(&["seqscan", "hashjoin", "mergejoin"])
        );
        execute(&tx, &sql, []).await?;
    }
    Ok(tx)
}

/// Makes due what waits for its first try until a moment that had come already, before the clock was put back to
/// `now` by `by`. What was put off keeps its time: later does less harm than a storm of tries.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn due_again(db: &impl Connection, now: DateTime<Utc>, by: TimeDelta) -> Result<u64, Error> {
    let sql = "UPDATE deliveries SET due = $1
        WHERE state IN (0, 1) AND state = 0 AND attempts = 0 AND due > $1 AND due <= $2";
    execute(db, sql, [millis(now).into(), millis(now + by).into()]).await
}

/// Of a try `a` a report may come: a host took it (0), or may have.
const DEPARTED: &str = "(a.outcome = 0 OR a.outcome IS NULL)";

/// The tries that reports are about which name the first of those under one return path: what a host refused in our
/// own session is tried again under the same, so the report is about the one that was taken, or is being handed over.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn tries_under(db: &impl Connection, paths: &[Try]) -> Result<HashMap<(DeliveryId, u8), u8>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        id: i64,
        path: i16,
        number: i16,
    }
    let wanted = rows(db, 1, &[("id", "bigint"), ("number", "smallint")]);
    let sql = format!(
        "SELECT rows.id AS id, rows.number AS path, CAST(COALESCE(
             (SELECT min(a.number) FROM attempts a
                 WHERE a.delivery_id = rows.id AND a.number >= rows.number AND {DEPARTED}),
             (SELECT d.attempts FROM deliveries d WHERE d.id = rows.id AND d.handed IS NOT NULL AND d.attempts >= rows.number),
             rows.number) AS SMALLINT) AS number
         FROM {wanted}"
    );
    let found: Vec<Row> = all(db, &sql, [tries_json(paths).into()]).await?;
    let narrow = |number: i16| u8::try_from(number).unwrap_or(u8::MAX);
    Ok(found.into_iter().map(|row| ((DeliveryId(row.id), narrow(row.path)), narrow(row.number))).collect())
}

/// When the last try of each of `deliveries` was handed over that was taken, or of which that is not known: just before its
/// final dot.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn last_handed(
    db: &impl Connection,
    deliveries: &[DeliveryId],
) -> Result<HashMap<DeliveryId, DateTime<Utc>>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        id: i64,
        handed: i64,
    }
    let wanted = rows(db, 1, &[("id", "bigint")]);
    let sql = format!(
        "SELECT a.delivery_id AS id, max(a.handed) AS handed FROM {wanted} CROSS JOIN attempts a
         WHERE a.delivery_id = rows.id AND a.handed IS NOT NULL AND (a.outcome = 0 OR a.outcome IS NULL) GROUP BY a.delivery_id"
    );
    let found: Vec<Row> = all(db, &sql, [ids_json(deliveries).into()]).await?;
    Ok(found.into_iter().map(|row| (DeliveryId(row.id), time(row.handed))).collect())
}

/// Marks that tries are about to be handed over, and answers which may go.
///
/// The statement itself asks suppressions and the campaign's state: where a suppression stands there is no
/// mark, and the delivery is `suppressed`; where the campaign no longer sends, it goes back or is cancelled.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn mark(
    db: &impl Connection,
    worker: WorkerId,
    tries: &[Try],
    now: DateTime<Utc>,
) -> Result<Vec<DeliveryId>, Error> {
    let lines = tries_json(tries);
    let wanted = rows(db, 1, &[("id", "bigint"), ("number", "smallint")]);
    let sql = marking(&wanted, 3, 2);
    let values = [lines.clone().into(), millis(now).into(), worker.0.into()];
    // Rows that come back one by one cost more than the statement: nearly always, how many is enough.
    if execute(db, &sql, values).await? == tries.len() as u64 {
        return Ok(tries.iter().map(|of| of.id).collect());
    }
    let sql = format!(
        "SELECT d.id FROM {wanted} CROSS JOIN deliveries d
         WHERE d.id = rows.id AND +d.worker = $2 AND d.handed IS NOT NULL AND d.attempts = rows.number"
    );
    let marked = all::<Id>(db, &sql, [lines.clone().into(), worker.0.into()]).await?;
    turn_back(db, worker, &lines, now).await?;
    Ok(marked.into_iter().map(|row| DeliveryId(row.id)).collect())
}

/// The statement that marks the tries of `wanted` which may go; the worker and the time are parameters.
fn marking(wanted: &str, worker: u8, now: u8) -> String {
    let suppressed = suppressed(now);
    format!(
        "UPDATE deliveries SET handed = ${now}, attempts = rows.number FROM {wanted}
         WHERE deliveries.id = rows.id AND +deliveries.worker = ${worker}
           AND (deliveries.handed IS NULL OR deliveries.attempts = rows.number)
           AND (SELECT g.state FROM campaigns g WHERE g.id = (deliveries.id >> 31)) IN (2, 3)
           AND NOT {suppressed}"
    )
}

/// What was leased and may not go: suppressed, cancelled, or back to where it was.
async fn turn_back(db: &impl Connection, worker: WorkerId, lines: &str, now: DateTime<Utc>) -> Result<(), Error> {
    let wanted = rows(db, 1, &[("id", "bigint")]);
    let suppressed = suppressed(2);
    let sql = format!(
        "UPDATE deliveries SET worker = NULL, state = CASE
             WHEN {suppressed} THEN 7
             WHEN EXISTS (SELECT 1 FROM campaigns g WHERE g.id = (deliveries.id >> 31) AND g.state = 6) THEN 8
             WHEN attempts = 0 THEN 0 ELSE 1 END
         FROM {wanted} WHERE deliveries.id = rows.id AND deliveries.handed IS NULL AND +deliveries.worker = $3"
    );
    execute(db, &sql, [lines.into(), millis(now).into(), worker.0.into()]).await?;
    Ok(())
}

/// Whether a suppression of everything, or of the campaign's list, stands for the delivery's contact. Since when does
/// not matter: where the clock was put back, one of a minute ago is of the future, and stands all the same.
fn suppressed(now: u8) -> String {
    format!(
        "EXISTS (SELECT 1 FROM contacts c
             JOIN suppressions p ON p.key = c.key
             JOIN campaigns g ON g.id = (deliveries.id >> 31)
             WHERE c.id = deliveries.contact_id AND p.scope IN (0, g.list_id)
               AND (p.until IS NULL OR p.until > ${now}))"
    )
}

/// Gives deliveries back of which nothing arrived: leased ones, and marked ones whose final dot was never written.
/// Those with a time are due then.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn release(
    db: &impl Connection,
    worker: WorkerId,
    back: &[(DeliveryId, Option<DateTime<Utc>>)],
) -> Result<u64, Error> {
    if back.is_empty() {
        return Ok(0);
    }
    let lines: Vec<_> =
        back.iter().map(|(id, due)| serde_json::json!({ "id": id.0, "due": due.map(millis) })).collect();
    let lines = serde_json::Value::from(lines).to_string();
    let wanted = rows(db, 1, &[("id", "bigint"), ("due", "bigint")]);
    let tries = "attempts - CASE WHEN handed IS NULL THEN 0 ELSE 1 END";
    let sql = format!(
        "UPDATE deliveries SET worker = NULL, handed = NULL, due = COALESCE(rows.due, deliveries.due), attempts = {tries},
             state = CASE WHEN {tries} = 0 THEN 0 ELSE 1 END
         FROM {wanted} WHERE deliveries.id = rows.id AND +deliveries.worker = $2"
    );
    execute(db, &sql, [lines.into(), worker.0.into()]).await
}

/// Takes back the doubts that others noted of `tries` when they took `worker` for dead: it woke before it wrote the final
/// dot. Those that nobody has in hand, nor has sent since, are due now.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn never_left(
    db: &impl Connection,
    worker: WorkerId,
    tries: &[Try],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if tries.is_empty() {
        return Ok(());
    }
    let wanted = rows(db, 1, &[("id", "bigint"), ("number", "smallint")]);
    let noted = "SELECT 1 FROM attempts a WHERE a.delivery_id = rows.id AND a.number = rows.number
        AND a.worker = $2 AND a.outcome IS NULL";
    let sql = format!(
        "UPDATE deliveries SET attempts = rows.number - 1, due = $3, state = CASE
             WHEN EXISTS (SELECT 1 FROM campaigns g WHERE g.id = (deliveries.id >> 31) AND g.state = 6) THEN 8
             WHEN rows.number = 1 THEN 0 ELSE 1 END
         FROM {wanted} WHERE deliveries.id = rows.id AND deliveries.attempts = rows.number
             AND +deliveries.state IN (0, 1, 4) AND EXISTS ({noted})"
    );
    execute(db, &sql, [tries_json(tries).into(), worker.0.into(), millis(now).into()]).await?;
    let sql = format!(
        "DELETE FROM attempts WHERE worker = $2 AND outcome IS NULL AND EXISTS (
             SELECT 1 FROM {wanted} WHERE rows.id = attempts.delivery_id AND rows.number = attempts.number)"
    );
    execute(db, &sql, [tries_json(tries).into(), worker.0.into()]).await?;
    Ok(())
}

/// Puts in doubt what was handed over when its line broke after the final dot; where the campaign says so, it is
/// planned again.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn doubt(
    db: &impl Connection,
    worker: WorkerId,
    ids: &[DeliveryId],
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    if ids.is_empty() {
        return Ok(0);
    }
    let wanted = rows(db, 1, &[("id", "bigint")]);
    let those =
        format!("{wanted} CROSS JOIN deliveries d WHERE d.id = rows.id AND d.handed IS NOT NULL AND +d.worker = $2");
    execute(db, &unanswered(&those), [ids_json(ids).into(), worker.0.into()]).await?;
    let sql = format!(
        "UPDATE deliveries SET worker = NULL, handed = NULL, due = $2, state = {DOUBTFUL}
         FROM {wanted} WHERE deliveries.id = rows.id AND deliveries.handed IS NOT NULL AND +deliveries.worker = $3"
    );
    execute(db, &sql, [ids_json(ids).into(), millis(now).into(), worker.0.into()]).await
}

/// Campaigns that resend (0) plan the try again; the doubt stays listed as an attempt without outcome. Twice at most:
/// a relay whose every answer is lost must not send the same person copies without end.
const DOUBTFUL: &str = "CASE
    WHEN (SELECT g.doubt FROM campaigns g WHERE g.id = (deliveries.id >> 31)) = 0
        AND (SELECT count(*) FROM attempts a WHERE a.delivery_id = deliveries.id AND a.outcome IS NULL) <= 2
    THEN 0 ELSE 4 END";

/// Notes tries that nobody will hear the answer to: of `deliveries d`, as they are marked.
fn unanswered(deliveries: &str) -> String {
    format!(
        "INSERT INTO attempts (delivery_id, number, worker, handed) SELECT d.id, d.attempts, d.worker, d.handed
         FROM {deliveries} ON CONFLICT (delivery_id, number) DO NOTHING"
    )
}

/// Of `answered`, those whose delivery `worker` still owns.
///
/// The others were fenced off: what they heard is kept as evidence, and resolves a doubt, but their deliveries
/// are not for this worker to settle.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn owned(db: &impl Connection, worker: WorkerId, ids: &[DeliveryId]) -> Result<Vec<DeliveryId>, Error> {
    let wanted = rows(db, 1, &[("id", "bigint")]);
    let sql = format!("SELECT d.id FROM {wanted} CROSS JOIN deliveries d WHERE d.id = rows.id AND +d.worker = $2");
    let owned = all::<Id>(db, &sql, [ids_json(ids).into(), worker.0.into()]).await?;
    Ok(owned.into_iter().map(|row| DeliveryId(row.id)).collect())
}

/// Notes what hosts said, for tries that were marked and for tries that were refused before they were. Before their
/// deliveries are settled: what they hold of the mark is taken over.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn note_answers(
    db: &impl Connection,
    worker: WorkerId,
    answered: &[Answered],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if answered.is_empty() {
        return Ok(());
    }
    let lines: Vec<_> = answered
        .iter()
        .map(|a| {
            let outcome = i16::from(!a.accepted);
            serde_json::json!({ "id": a.of.id.0, "number": a.of.number, "outcome": outcome, "reply": a.reply })
        })
        .collect();
    let lines = serde_json::Value::from(lines).to_string();
    let wanted = rows(db, 1, &[("id", "bigint"), ("number", "smallint"), ("outcome", "smallint"), ("reply", "text")]);
    let sql = format!(
        "{} ON CONFLICT (delivery_id, number) DO UPDATE SET outcome = excluded.outcome, settled = excluded.settled,
             reply = excluded.reply",
        noting(&wanted, "rows.outcome", 2, 3)
    );
    execute(db, &sql, [lines.clone().into(), worker.0.into(), millis(now).into()]).await?;
    if answered.iter().all(|answered| answered.accepted) {
        return Ok(());
    }
    let refused = rows(db, 1, &[("id", "bigint"), ("number", "smallint")]);
    let sql = format!(
        "UPDATE deliveries SET attempts = rows.number FROM {refused}
         WHERE deliveries.id = rows.id AND deliveries.handed IS NULL AND +deliveries.worker = $2"
    );
    execute(db, &sql, [lines.into(), worker.0.into()]).await?;
    Ok(())
}

/// The statement that notes the answers of `wanted`, of which nothing is noted yet; the worker and the time are parameters.
fn noting(wanted: &str, outcome: &str, worker: u8, now: u8) -> String {
    format!(
        "INSERT INTO attempts (delivery_id, number, worker, handed, outcome, settled, reply)
         SELECT rows.id, rows.number, ${worker}, (SELECT d.handed FROM deliveries d
             WHERE d.id = rows.id AND d.attempts = rows.number), {outcome}, ${now}, rows.reply
         FROM {wanted} WHERE true"
    )
}

/// Settles as accepted the tries that a host took: those `worker` owns, and those that were in doubt or waited
/// for another try because of that doubt, also where somebody has taken them for it and not marked it.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn accept(db: &impl Connection, worker: WorkerId, tries: &[Try]) -> Result<Vec<DeliveryId>, Error> {
    if tries.is_empty() {
        return Ok(vec![]);
    }
    let wanted = rows(db, 1, &[("id", "bigint"), ("number", "smallint")]);
    let sql = accepting(&wanted);
    let or_nobodys = "deliveries.handed IS NULL AND +deliveries.state IN (0, 1, 2, 4) AND NOT EXISTS (
        SELECT 1 FROM bounces b WHERE b.delivery_id = deliveries.id AND b.attempt = rows.number AND NOT b.held)";
    let values = [tries_json(tries).into(), worker.0.into()];
    let accepted =
        all::<Id>(db, &format!("{sql} AND ({} OR {or_nobodys}) RETURNING deliveries.id", handed_by(2)), values).await?;
    Ok(accepted.into_iter().map(|row| DeliveryId(row.id)).collect())
}

/// The statement that settles the tries of `wanted`; it goes on with whose they must be.
fn accepting(wanted: &str) -> String {
    format!(
        "UPDATE deliveries SET state = 5, worker = NULL, handed = NULL FROM {wanted}
         WHERE deliveries.id = rows.id AND deliveries.attempts = rows.number"
    )
}

/// A delivery is being handed over by the worker, which is a parameter.
fn handed_by(worker: u8) -> String {
    format!("(deliveries.handed IS NOT NULL AND +deliveries.worker = ${worker})")
}

/// Keeps in doubt those of `tries` whose answer came when the next try was marked already: then there may be two copies,
/// and the list of doubts is where they are named. What the host said stays beside it.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn keep_in_doubt(db: &impl Connection, tries: &[Try]) -> Result<(), Error> {
    if tries.is_empty() {
        return Ok(());
    }
    let wanted = rows(db, 1, &[("id", "bigint"), ("number", "smallint")]);
    let sql = format!(
        "UPDATE attempts SET outcome = NULL FROM {wanted}
         WHERE attempts.delivery_id = rows.id AND attempts.number = rows.number AND EXISTS (
             SELECT 1 FROM deliveries d WHERE d.id = rows.id AND d.attempts > rows.number)"
    );
    execute(db, &sql, [tries_json(tries).into()]).await?;
    Ok(())
}

/// What a worker that died had: leased ones go back; what it was handing over is in doubt, and goes back too
/// where the campaign says so. Answers how many were in doubt. In one transaction, or a worker that wakes may come between.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn recover(db: &impl Connection, dead: WorkerId, now: DateTime<Utc>) -> Result<u64, Error> {
    // Before others that are due at the same time: they were next.
    let back = "UPDATE deliveries SET worker = NULL, due = due - 1, state = CASE WHEN attempts = 0 THEN 0 ELSE 1 END
        WHERE worker = $1 AND state = 2 AND handed IS NULL";
    execute(db, back, [dead.0.into()]).await?;
    let marked = "deliveries d WHERE d.worker = $1 AND d.state = 2 AND d.handed IS NOT NULL";
    if db.get_database_backend() == DatabaseBackend::Postgres {
        // It may live, and be giving one back just now: that is waited for, so that no doubt is noted of what never left.
        execute(db, &format!("SELECT d.id FROM {marked} ORDER BY d.id FOR UPDATE"), [dead.0.into()]).await?;
    }
    execute(db, &unanswered(marked), [dead.0.into()]).await?;
    let doubt = format!(
        "UPDATE deliveries SET worker = NULL, handed = NULL, due = $2, state = {DOUBTFUL}
         WHERE worker = $1 AND state = 2 AND handed IS NOT NULL"
    );
    execute(db, &doubt, [dead.0.into(), millis(now).into()]).await
}

#[derive(FromQueryResult)]
struct Id {
    id: i64,
}

fn tries_json(tries: &[Try]) -> String {
    let lines: Vec<_> = tries.iter().map(|t| serde_json::json!({ "id": t.id.0, "number": t.number })).collect();
    serde_json::Value::from(lines).to_string()
}
