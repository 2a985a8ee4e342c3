//! What the past says of an audience: where its people have their mailboxes, and what became of mail to those.

use crate::sql::{all, millis};
use crate::{Audience, Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::DeliveryId;
use sea_orm::{FromQueryResult, Value};

/// People of an audience whose mailboxes are at one domain.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct AtDomain {
    /// The domain, in lower case.
    pub domain: String,
    /// How many.
    pub people: i64,
    /// Of them, those who were never written to before.
    pub new: i64,
}

/// What became of mail to one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// The domain, in lower case.
    pub domain: String,
    /// Whether it was the first mail to each of them.
    pub first: bool,
    /// Messages that found their fate.
    pub settled: i64,
    /// Of them, those that came back for good.
    pub bounced: i64,
}

/// The domains of an audience, the most frequent first, `limit` at most.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn domains(
    db: &impl Connection,
    audience: Audience,
    limit: usize,
    now: DateTime<Utc>,
) -> Result<Vec<AtDomain>, Error> {
    let sql = format!(
        "SELECT c.domain AS domain, count(*) AS people, count(*) FILTER (WHERE NOT EXISTS (
             SELECT 1 FROM deliveries n WHERE n.contact_id = c.id)) AS new
         FROM {} GROUP BY c.domain ORDER BY people DESC, domain LIMIT $3",
        audience.tables()
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    all(db, &sql, [audience.list.0.into(), millis(now).into(), limit.into()]).await
}

/// What became of the deliveries from `first` to `last`, by domain.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn fates(db: &impl Connection, first: DeliveryId, last: DeliveryId) -> Result<Vec<Fate>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        domain: String,
        earlier: i64,
        settled: i64,
        bounced: i64,
    }
    // 5 accepted, 6 bounced.
    let sql = "SELECT domain, earlier, count(*) AS settled, CAST(sum(CASE WHEN state = 6 THEN 1 ELSE 0 END) AS BIGINT) AS bounced
        FROM (SELECT c.domain AS domain, d.state AS state, CAST(CASE WHEN EXISTS (
                  SELECT 1 FROM deliveries e WHERE e.contact_id = d.contact_id AND e.id < d.id) THEN 1 ELSE 0 END AS BIGINT) AS earlier
              FROM deliveries d JOIN contacts c ON c.id = d.contact_id
              WHERE d.id BETWEEN $1 AND $2 AND d.state IN (5, 6)) AS past
        GROUP BY domain, earlier";
    let values: [Value; 2] = [first.0.into(), last.0.into()];
    let rows: Vec<Row> = all(db, sql, values).await?;
    let read =
        |row: Row| Fate { domain: row.domain, first: row.earlier == 0, settled: row.settled, bounced: row.bounced };
    Ok(rows.into_iter().map(read).collect())
}
