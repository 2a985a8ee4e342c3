//! How many bounces there are of each kind. What a person said that one was rules: as that it is counted.

use super::page::{Conditions, Filter};
use crate::sql::{all, time};
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{BounceCause, Case, Permanence};
use sea_orm::FromQueryResult;
use std::collections::BTreeMap;

/// How many tries failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// All of them.
    pub all: i64,
    /// Those that ended their delivery and blame the address for good.
    pub hard: i64,
    /// Those that ended their delivery and do not.
    pub soft: i64,
}

impl Tries {
    /// Those that did not end their delivery.
    #[must_use]
    pub const fn deferred(&self) -> i64 {
        self.all - self.hard - self.soft
    }
}

/// How many `filter` lets through, by cause; a cause that none has is left out.
///
/// # Errors
/// [`Error`]
pub async fn causes(db: &impl Connection, filter: &Filter) -> Result<BTreeMap<BounceCause, Tries>, Error> {
    let conditions = filter.conditions();
    // All by their verdicts, from an index alone; then the few that a person corrected are moved.
    let mut found: BTreeMap<BounceCause, Tries> = BTreeMap::new();
    for row in by_verdict(db, &conditions, conditions.verdict()).await? {
        found.insert(row.cause()?, Tries { all: row.tries, hard: row.hard, soft: row.soft });
    }
    for row in by_verdict(db, &conditions, conditions.overruled()).await? {
        let of = found.entry(row.cause()?).or_default();
        *of = Tries { all: of.all - row.tries, hard: of.hard - row.hard, soft: of.soft - row.soft };
    }
    for row in grouped(db, "b.corrected", &conditions, conditions.said()).await? {
        let case: Case = row.name.parse().map_err(|_| Error::unreadable("bounces", "corrected"))?;
        let of = found.entry(case.cause()).or_default();
        // Only what ended a delivery is corrected.
        of.all += row.tries;
        match case.permanence() {
            Permanence::Hard => of.hard += row.tries,
            Permanence::Soft => of.soft += row.tries,
        }
    }
    found.retain(|_, tries| tries.all > 0);
    Ok(found)
}

#[derive(FromQueryResult)]
struct Row {
    name: String,
    tries: i64,
    hard: i64,
    soft: i64,
}

impl Row {
    fn cause(&self) -> Result<BounceCause, Error> {
        self.name.parse().map_err(|_| Error::unreadable("bounces", "cause"))
    }
}

async fn by_verdict(db: &impl Connection, conditions: &Conditions, fit: String) -> Result<Vec<Row>, Error> {
    grouped(db, "b.cause", conditions, fit).await
}

async fn grouped(db: &impl Connection, by: &str, conditions: &Conditions, fit: String) -> Result<Vec<Row>, Error> {
    let sql = format!(
        "SELECT {by} AS name, COUNT(*) AS tries, COUNT(*) FILTER (WHERE b.is_final AND b.hard) AS hard,
            COUNT(*) FILTER (WHERE b.is_final AND NOT b.hard) AS soft
         FROM bounces b WHERE {fit} GROUP BY {by}"
    );
    all(db, &sql, conditions.values.clone()).await
}

/// How many `filter` lets through, by the recipient's domain: the `limit` domains with the most.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn domains(db: &impl Connection, filter: &Filter, limit: u32) -> Result<Vec<(String, i64)>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        name: String,
        count: i64,
    }
    let mut conditions = filter.conditions();
    conditions.values.push(i64::from(limit).into());
    let sql =
        format!("{} ORDER BY count DESC, name LIMIT ${}", ruled(&conditions, "b.domain"), conditions.values.len());
    let counts: Vec<Row> = all(db, &sql, conditions.values).await?;
    Ok(counts.into_iter().map(|row| (row.name, row.count)).collect())
}

/// How many `filter` lets through, by the day in UTC, newest first; a day that has none is left out.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn days(db: &impl Connection, filter: &Filter) -> Result<Vec<(DateTime<Utc>, i64)>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        name: i64,
        count: i64,
    }
    let conditions = filter.conditions();
    let sql = format!("{} ORDER BY name DESC", ruled(&conditions, &format!("b.at / {DAY}")));
    let counts: Vec<Row> = all(db, &sql, conditions.values).await?;
    Ok(counts.into_iter().map(|row| (time(row.name * DAY), row.count)).collect())
}

/// A day in milliseconds.
const DAY: i64 = 24 * 3600 * 1000;

/// `name` and `count` for each value of `by`.
fn ruled(conditions: &Conditions, by: &str) -> String {
    let count = |sign: &str, fit: String| {
        format!("SELECT {by} AS name, {sign}COUNT(*) AS count FROM bounces b WHERE {fit} GROUP BY {by}")
    };
    if !conditions.ask_the_verdict() {
        return count("", conditions.verdict());
    }
    // All by their verdicts, from an index alone; then the few that a person corrected are moved.
    format!(
        "SELECT name, CAST(SUM(count) AS BIGINT) AS count FROM ({} UNION ALL {} UNION ALL {}) t
         GROUP BY name HAVING SUM(count) > 0",
        count("", conditions.verdict()),
        count("-", conditions.overruled()),
        count("", conditions.said())
    )
}
