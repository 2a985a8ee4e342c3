//! SQLite has no functions: what is put into a view of the connection's own is done by the trigger of that view.
//!
//! Of each statement that stands by itself the driver tells the thread which waits, and rows that come back cost more than
//! to find them: so all is one text, and after each statement the trigger itself asks whether too few rows changed.

use super::{Mark, Taken};
use crate::campaigns::SENDING;
use crate::leases::{Try, accepting, handed_by, marking, noting};
use crate::sql::{self, json, millis, rows};
use crate::statistics::{self, Count, Kind};
use crate::{Error, Pool};
use chrono::{DateTime, Utc};
use rebound_domain::{AddressKey, WorkerId};
use sea_orm::{Statement, Value, Values};
use sea_query_sqlx::SqlxValues;
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Executor, Sqlite};

/// Which campaigns send; `None` where something is in the way.
pub(super) async fn settle_and_mark(
    db: &Pool,
    worker: WorkerId,
    taken: &[Taken],
    marks: &[Mark],
    now: DateTime<Utc>,
) -> Result<Option<Vec<i64>>, Error> {
    let called = "INSERT INTO settled_and_marked VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let values = values(worker, taken, marks, now)?;
    let question = sql::statement(db, &format!("BEGIN IMMEDIATE; {called}; {SENDING}; COMMIT"), values);
    let mut connection = db.writer().get_sqlite_connection_pool().acquire().await?;
    let mut answer = in_a_transaction(&mut connection, &question).await;
    if answer.as_ref().is_err_and(|error| says(error, "no such table: settled_and_marked")) {
        answer = match connection.execute(AssertSqlSafe(trigger(db))).await {
            Ok(_) => in_a_transaction(&mut connection, &question).await,
            Err(error) => Err(error),
        };
    }
    match answer {
        Ok(sends) => Ok(Some(sends.into_iter().flatten().collect())),
        Err(error) if IN_THE_WAY.iter().any(|words| says(&error, words)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Who, when, what was taken, what is marked and what is counted, and how many rows each of the last three changes.
fn values(worker: WorkerId, taken: &[Taken], marks: &[Mark], now: DateTime<Utc>) -> Result<[Value; 8], Error> {
    let one = |taken: &Taken| Count::one(now, taken.of.id.campaign(), Kind::Accepted, None);
    let sums = statistics::sums(&taken.iter().map(one).collect::<Vec<_>>());
    let (settled, marked, counted) = (length(taken), length(marks), length(&sums));
    Ok([
        worker.0.into(),
        millis(now).into(),
        json(taken.iter().map(Line::taken))?.into(),
        json(marks.iter().map(Line::mark))?.into(),
        json(sums)?.into(),
        settled.into(),
        marked.into(),
        counted.into(),
    ])
}

async fn in_a_transaction(
    connection: &mut PoolConnection<Sqlite>,
    question: &Statement,
) -> Result<Vec<Option<i64>>, sqlx::Error> {
    let values = SqlxValues(question.values.clone().unwrap_or(Values(vec![])));
    let answer =
        sqlx::query_scalar_with(AssertSqlSafe(question.sql.as_str()), values).fetch_all(&mut **connection).await;
    if answer.is_err() && connection.execute("ROLLBACK").await.is_err() {
        // What the next one writes must not stand inside what this one left open.
        connection.close_on_drop();
    }
    answer
}

/// What it says where not all was changed that should be, and where something is noted of a try already.
const IN_THE_WAY: [&str; 2] = [TOO_FEW, "UNIQUE constraint failed: attempts."];
const TOO_FEW: &str = "something is in the way";

fn says(error: &sqlx::Error, words: &str) -> bool {
    error.as_database_error().is_some_and(|error| error.message().starts_with(words))
}

/// The view, and its trigger.
fn trigger(db: &Pool) -> String {
    let taken = rows(db, 3, &[("id", "bigint"), ("number", "smallint"), ("reply", "text"), ("key", "text")]);
    let marked = rows(db, 4, &[("id", "bigint"), ("number", "smallint")]);
    let counts = rows(db, 5, &statistics::COLUMNS);
    let none_stands = format!("NOT EXISTS (SELECT 1 FROM {taken} CROSS JOIN standings s WHERE s.key = rows.key)");
    let or_end = |wanted: u8| format!("SELECT RAISE(ABORT, '{TOO_FEW}') WHERE changes() IS NOT ${wanted}");
    let statements = [
        marking(&marked, 1, 2),
        or_end(7),
        noting(&taken, "0", 1, 2),
        or_end(6),
        format!("{} AND {}", accepting(&taken), handed_by(1)),
        or_end(6),
        statistics::counting(&counts, &none_stands),
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

    fn mark(mark: &'a Mark) -> Self {
        let Try { id, number } = mark.of;
        Self { id: id.0, number, reply: None, key: None }
    }
}
