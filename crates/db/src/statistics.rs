//! Statistics: what happened on each day (UTC), counted as it happens.

use crate::sql::{all, execute, json, rows};
use crate::{Connection, Error};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use rebound_domain::{BounceCause, CampaignId};
use sea_orm::{FromQueryResult, Value};
use std::collections::BTreeMap;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A host took a message. Some of these come back later: see [`Kind::Returned`].
    Accepted,
    /// A message will not be tried again, and its address is to blame for good.
    Hard,
    /// A message will not be tried again, for a reason that passes.
    Soft,
    /// A message was refused for now, and will be tried again.
    Deferred,
    /// A message that a host had taken came back. Delivered is accepted minus returned.
    Returned,
    /// A recipient pressed "report spam".
    Complaint,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Accepted, Self::Hard, Self::Soft, Self::Deferred, Self::Returned, Self::Complaint];

    pub(crate) fn code(self) -> i16 {
        self as i16
    }
}

/// How often something happened on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// The day, in UTC.
    pub day: NaiveDate,
    /// In which campaign; `None` in a sum over all.
    pub campaign: Option<CampaignId>,
    /// What.
    pub kind: Kind,
    /// Why, where it has a cause.
    pub cause: Option<BounceCause>,
    /// How often.
    pub count: i64,
}

impl Count {
    /// One of `kind` in `campaign` at `at`.
    #[must_use]
    pub fn one(at: DateTime<Utc>, campaign: CampaignId, kind: Kind, cause: Option<BounceCause>) -> Self {
        Self { day: at.date_naive(), campaign: Some(campaign), kind, cause, count: 1 }
    }
}

/// What is added to one row.
#[derive(serde::Serialize)]
pub(crate) struct Sum {
    day: i64,
    campaign_id: i64,
    kind: i16,
    cause: &'static str,
    count: i64,
}

/// The counts of each row together.
pub(crate) fn sums(counts: &[Count]) -> Vec<Sum> {
    let mut sums = BTreeMap::new();
    for count in counts {
        let cause = count.cause.map_or("", BounceCause::as_str);
        let campaign = count.campaign.map_or(0, |campaign| campaign.0);
        *sums.entry((day_number(count.day), campaign, count.kind.code(), cause)).or_insert(0) += count.count;
    }
    let sum = |((day, campaign_id, kind, cause), count)| Sum { day, campaign_id, kind, cause, count };
    sums.into_iter().map(sum).collect()
}

/// The columns of a [`Sum`], with their types.
pub(crate) const COLUMNS: [(&str, &str); 5] =
    [("day", "BIGINT"), ("campaign_id", "BIGINT"), ("kind", "SMALLINT"), ("cause", "TEXT"), ("count", "BIGINT")];

/// The statement that adds the `sums`, which is a table of [`COLUMNS`], where `condition` holds.
pub(crate) fn counting(sums: &str, condition: &str) -> String {
    // A condition there must be: else SQLite takes ON for part of a join.
    format!(
        "INSERT INTO daily (day, campaign_id, kind, cause, count)
         SELECT day, campaign_id, kind, cause, count FROM {sums} WHERE {condition}
         ON CONFLICT (day, campaign_id, kind, cause) DO UPDATE SET count = daily.count + excluded.count"
    )
}

/// Adds to the counts.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn count(db: &impl Connection, counts: &[Count]) -> Result<(), Error> {
    let sums = sums(counts);
    if sums.is_empty() {
        return Ok(());
    }
    let sql = counting(&rows(db, 1, &COLUMNS), "true");
    execute(db, &sql, [json(sums)?.into()]).await?;
    Ok(())
}

/// The counts of each day from `from` to `to`, both included, by kind and cause; of one campaign, or of all.
///
/// # Errors
/// [`Error`]
pub async fn by_day(
    db: &impl Connection,
    from: NaiveDate,
    to: NaiveDate,
    campaign: Option<CampaignId>,
) -> Result<Vec<Count>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        day: i64,
        kind: i16,
        cause: String,
        count: i64,
    }
    let sql = "SELECT day, kind, cause, CAST(SUM(count) AS BIGINT) AS count FROM daily
        WHERE day BETWEEN $1 AND $2 AND ($3 < 0 OR campaign_id = $3) GROUP BY day, kind, cause ORDER BY day, kind, cause";
    let values: [Value; 3] =
        [day_number(from).into(), day_number(to).into(), campaign.map_or(-1, |campaign| campaign.0).into()];
    let found: Vec<Row> = all(db, sql, values).await?;
    let read = |row: Row| {
        let kind = usize::try_from(row.kind).ok().and_then(|code| Kind::ALL.get(code).copied());
        Ok(Count {
            day: day(row.day),
            campaign,
            kind: kind.ok_or(Error::unreadable("daily", "kind"))?,
            cause: row.cause.parse().ok(),
            count: row.count,
        })
    };
    found.into_iter().map(read).collect()
}

/// How many messages of each campaign found their fate on `day`: taken, or refused and not tried again. What came back
/// after it was taken is counted once.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn sent_on(db: &impl Connection, day: NaiveDate) -> Result<Vec<(CampaignId, i64)>, Error> {
    #[derive(FromQueryResult)]
    struct Sent {
        campaign_id: i64,
        sent: i64,
    }
    // 0 accepted, 1 hard, 2 soft, 4 returned.
    let sql = "SELECT campaign_id,
            CAST(SUM(CASE WHEN kind IN (0, 1, 2) THEN count WHEN kind = 4 THEN -count ELSE 0 END) AS BIGINT) AS sent
        FROM daily WHERE day = $1 GROUP BY campaign_id ORDER BY campaign_id DESC";
    let sent: Vec<Sent> = all(db, sql, [day_number(day).into()]).await?;
    Ok(sent.into_iter().filter(|row| row.sent > 0).map(|row| (CampaignId(row.campaign_id), row.sent)).collect())
}

pub(crate) fn day_number(day: NaiveDate) -> i64 {
    (day - DateTime::UNIX_EPOCH.date_naive()).num_days()
}

fn day(number: i64) -> NaiveDate {
    (DateTime::UNIX_EPOCH + TimeDelta::days(number.clamp(0, 3_000_000))).date_naive()
}
