//! What became of messages: by cause and state, and recipient by recipient. Reading only.

use crate::sql::{all, millis, time};
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{BounceCause, CampaignId, ContactId, DeliveryId, StateName};
use sea_orm::FromQueryResult;

/// Deliveries that failed at least once, last for `cause`, and stand in `state` now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Why their last try failed.
    pub cause: BounceCause,
    /// Whether that speaks of the address for good.
    pub hard: bool,
    /// Where they stand.
    pub state: StateName,
    /// How many.
    pub count: i64,
    /// When the first of them is due, where they are tried again.
    pub due: Option<DateTime<Utc>>,
    /// What one host said.
    pub words: String,
}

/// The deliveries of `campaign` that failed at least once; all of them when they were delivered later.
///
/// # Errors
/// [`Error`]
pub async fn of_campaign(db: &impl Connection, campaign: CampaignId) -> Result<Vec<Failed>, Error> {
    failed(db, "campaign_id = $1", campaign.0).await
}

/// The deliveries of all campaigns that failed since `from`.
///
/// # Errors
/// [`Error`]
pub async fn since(db: &impl Connection, from: DateTime<Utc>) -> Result<Vec<Failed>, Error> {
    failed(db, "at >= $1", millis(from)).await
}

async fn failed(db: &impl Connection, condition: &str, value: i64) -> Result<Vec<Failed>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        cause: String,
        hard: bool,
        state: i16,
        count: i64,
        due: i64,
        words: String,
    }
    let sql = format!(
        "SELECT b.cause, b.hard, d.state, count(*) AS count, min(d.due) AS due, min(b.diagnostic) AS words
         FROM bounces b JOIN deliveries d ON d.id = b.delivery_id
         WHERE b.id IN (SELECT max(id) FROM bounces WHERE {condition} AND delivery_id IS NOT NULL GROUP BY delivery_id)
         GROUP BY b.cause, b.hard, d.state ORDER BY count(*) DESC, b.cause"
    );
    let rows = all::<Row>(db, &sql, [value.into()]).await?;
    let read = |row: Row| {
        let state = state(row.state)?;
        Ok(Failed {
            cause: row.cause.parse().map_err(|_| Error::unreadable("bounces", "cause"))?,
            hard: row.hard,
            state,
            count: row.count,
            due: waits(state).then(|| time(row.due)),
            words: row.words,
        })
    };
    rows.into_iter().map(read).collect()
}

/// Which recipients of a campaign a page shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those whose message stands so.
    pub state: Option<StateName>,
    /// Only those whose message failed at least once (`true`), or never (`false`).
    pub failed: Option<bool>,
    /// Only those whose last failure had this cause.
    pub cause: Option<BounceCause>,
}

/// What became of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Which message.
    pub delivery: DeliveryId,
    /// To whom.
    pub contact: ContactId,
    /// Their address.
    pub address: String,
    /// Where it stands.
    pub state: StateName,
    /// Tries made.
    pub attempts: u8,
    /// When it is due again, if it is.
    pub due: Option<DateTime<Utc>>,
    /// The last failure, if there was one.
    pub bounce: Option<(i64, BounceCause)>,
}

/// The recipients of `campaign`, in the order they were planned, after `after`.
///
/// # Errors
/// [`Error`]
pub async fn recipients(
    db: &impl Connection,
    campaign: CampaignId,
    filter: Filter,
    after: Option<DeliveryId>,
    limit: u32,
) -> Result<Vec<Recipient>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        id: i64,
        contact_id: i64,
        address: String,
        state: i16,
        attempts: i16,
        due: i64,
        bounce: Option<i64>,
        cause: Option<String>,
    }
    let mut condition = String::new();
    if let Some(state) = filter.state {
        condition += &format!(" AND d.state = {}", state.code());
    }
    match filter.failed {
        Some(true) => condition += " AND b.id IS NOT NULL",
        Some(false) => condition += " AND b.id IS NULL",
        None => {}
    }
    // A cause's name is ours; nothing a person wrote comes into the statement.
    if let Some(cause) = filter.cause {
        condition += &format!(" AND b.cause = '{}'", cause.as_str());
    }
    let sql = format!(
        "SELECT d.id, d.contact_id, c.address, d.state, d.attempts, d.due, b.id AS bounce, b.cause
         FROM deliveries d JOIN contacts c ON c.id = d.contact_id
         LEFT JOIN bounces b ON b.id = (SELECT max(id) FROM bounces WHERE delivery_id = d.id)
         WHERE d.id > $1 AND d.id <= $2{condition} ORDER BY d.id LIMIT $3"
    );
    let (first, last) = DeliveryId::range(campaign);
    let after = after.map_or(first - 1, |id| id.0);
    let rows = all::<Row>(db, &sql, [after.into(), last.into(), i64::from(limit).into()]).await?;
    let read = |row: Row| {
        let state = state(row.state)?;
        let cause = row.cause.and_then(|cause| cause.parse().ok());
        Ok(Recipient {
            delivery: DeliveryId(row.id),
            contact: ContactId(row.contact_id),
            address: row.address,
            state,
            attempts: u8::try_from(row.attempts).unwrap_or(u8::MAX),
            due: waits(state).then(|| time(row.due)),
            bounce: row.bounce.zip(cause),
        })
    };
    rows.into_iter().map(read).collect()
}

/// When `contact` was delivered what: each message that a host took, newest first.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn accepted(db: &impl Connection, contact: ContactId) -> Result<Vec<(DeliveryId, DateTime<Utc>)>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        delivery_id: i64,
        settled: i64,
    }
    // Outcome 0 is accepted; state 5 says that nothing came back since.
    let sql = "SELECT a.delivery_id, max(a.settled) AS settled FROM deliveries d
               JOIN attempts a ON a.delivery_id = d.id AND a.outcome = 0 AND a.settled IS NOT NULL
               WHERE d.contact_id = $1 AND d.state = 5 GROUP BY a.delivery_id ORDER BY 2 DESC";
    let rows = all::<Row>(db, sql, [contact.0.into()]).await?;
    Ok(rows.into_iter().map(|row| (DeliveryId(row.delivery_id), time(row.settled))).collect())
}

/// How many addresses rest at `now`, by the day on which they come back, soonest first.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn coming_back(db: &impl Connection, now: DateTime<Utc>) -> Result<Vec<(DateTime<Utc>, i64)>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        until: i64,
        count: i64,
    }
    // Reason 0 is soft: an address that rests.
    let sql = "SELECT min(until) AS until, count(*) AS count FROM suppressions
               WHERE reason = 0 AND until > $1 GROUP BY until / 86400000 ORDER BY 1";
    let rows = all::<Row>(db, sql, [millis(now).into()]).await?;
    Ok(rows.into_iter().map(|row| (time(row.until), row.count)).collect())
}

fn waits(state: StateName) -> bool {
    matches!(state, StateName::Planned | StateName::Deferred)
}

fn state(code: i16) -> Result<StateName, Error> {
    StateName::from_code(code).ok_or(Error::unreadable("deliveries", "state"))
}
