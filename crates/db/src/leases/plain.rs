//! The common case of a group commit, in one call: hosts took messages, and the next ones may go.
//!
//! Statement by statement it is a way to the database and back for each, and over few connections those ways are most of
//! what a commit takes. Here all of them travel together, as if nothing could be in their way. Where something is, fewer
//! rows change than should, nothing may be committed, and the statements of [`leases`](super) say what it was.

use super::{Try, accepting, marking, noting};
use crate::campaigns::SENDING;
use crate::sql::{self, json, millis, rows};
use crate::statistics::{self, Count, Kind};
use crate::{Error, Transaction};
use chrono::{DateTime, Utc};
use rebound_domain::{AddressKey, CampaignId, WorkerId};
use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult, Value};

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

/// Settles `taken` as accepted, counts them, and marks `marks`; answers which campaigns send. `None`: one of them is not
/// this worker's to settle any more, or is suppressed, has a standing that the acceptance may change, or its campaign
/// stopped; then nothing may be committed.
///
/// # Errors
/// [`Error::Unavailable`]: nothing may be committed then either.
pub async fn settle_and_mark(
    tx: &Transaction,
    worker: WorkerId,
    taken: &[Taken],
    marks: &[Try],
    now: DateTime<Utc>,
) -> Result<Option<Vec<CampaignId>>, Error> {
    let counts: Vec<Count> =
        taken.iter().map(|taken| Count::one(now, taken.of.id.campaign(), Kind::Accepted, None)).collect();
    let sums = statistics::sums(&counts);
    let (settled, marked, counted) = (length(taken), length(marks), length(&sums));
    let mut values: Vec<Value> = vec![
        worker.0.into(),
        millis(now).into(),
        json(taken.iter().map(Line::taken))?.into(),
        json(marks.iter().map(Line::mark))?.into(),
        json(sums)?.into(),
        settled.into(),
        marked.into(),
    ];
    if tx.get_database_backend() != DatabaseBackend::Postgres {
        // Where several statements travel together, sqlx counts on over the parameters that each does not name, and stops
        // where it has none left.
        values.resize(SPARE * values.len(), Value::BigInt(None));
    }
    let rows = sql::all::<Row>(tx, &together(tx, &parts(tx)), values).await?;
    let changed: i64 = rows.iter().filter_map(|row| row.changed).sum();
    let is_done = changed == 2 * settled + marked + counted;
    Ok(is_done.then(|| rows.into_iter().filter_map(|row| row.sends).map(CampaignId).collect()))
}

/// How many rows were changed, or a campaign that sends.
#[derive(FromQueryResult)]
struct Row {
    changed: Option<i64>,
    sends: Option<i64>,
}

/// Statements that travel together; see where it is used.
const SPARE: usize = 6;

/// The statements. The counts of the day are the last, where nothing is in the way: others wait for their rows.
fn parts(tx: &Transaction) -> [String; 4] {
    let taken = rows(tx, 3, &[("id", "bigint"), ("number", "smallint"), ("reply", "text"), ("key", "text")]);
    let marks = rows(tx, 4, &[("id", "bigint"), ("number", "smallint")]);
    let stand = format!("SELECT 1 FROM {taken} CROSS JOIN standings s WHERE s.key = rows.key");
    let mut is_counted = format!("NOT EXISTS ({stand})");
    if tx.get_database_backend() == DatabaseBackend::Postgres {
        is_counted += " AND (SELECT count(*) FROM marked) = $7 AND (SELECT count(*) FROM accepted) = $6";
    }
    [marking(&marks, 1, 2), noting(&taken, "0", 1, 2), accepting(&taken, 1), statistics::counting(tx, 5, &is_counted)]
}

/// All of `parts`, what they changed, and which campaigns send.
fn together(tx: &Transaction, parts: &[String; 4]) -> String {
    let sends = format!("SELECT NULL AS changed, id AS sends FROM ({SENDING}) AS sending");
    if tx.get_database_backend() == DatabaseBackend::Postgres {
        // All see the moment before, and none touches a row of another. The marks first, as a suppression may come while
        // the others wait; the counts ask for both, so that they are the last.
        let [marked, noted, accepted, counted] = parts;
        return format!(
            "WITH marked AS ({marked} RETURNING 1), noted AS ({noted} RETURNING 1),
                  accepted AS ({accepted} RETURNING 1), counted AS ({counted} RETURNING 1)
             SELECT (SELECT count(*) FROM marked) + (SELECT count(*) FROM noted)
                  + (SELECT count(*) FROM accepted) + (SELECT count(*) FROM counted) AS changed,
                 CAST(NULL AS BIGINT) AS sends
             UNION ALL {sends}"
        );
    }
    // What was changed in all, before and after.
    let parts = parts.join("; ");
    format!(
        "SELECT -total_changes() AS changed, NULL AS sends; {parts};
         SELECT total_changes() AS changed, NULL AS sends UNION ALL {sends}"
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

    fn mark(of: &Try) -> Self {
        Self { id: of.id.0, number: of.number, reply: None, key: None }
    }
}
