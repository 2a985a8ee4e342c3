//! Messages of which nobody knows whether they left: their worker died, or their line broke, after the mark and
//! before the answer.

use crate::deliveries::ids_json;
use crate::leases::Try;
use crate::sql::{all, execute, millis, rows, time};
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{CampaignId, ContactId, DeliveryId, DoubtPolicy};
use sea_orm::FromQueryResult;

/// One of them, and what is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// Which message.
    pub delivery: DeliveryId,
    /// To whom.
    pub contact: ContactId,
    /// Their address.
    pub address: String,
    /// When it was found to be in doubt.
    pub found: DateTime<Utc>,
    /// When its last try was marked, just before the final dot.
    pub handed: Option<DateTime<Utc>>,
    /// Tries without an answer.
    pub unanswered: i64,
}

/// The doubtful messages of `campaign` after `after`, in the order they were planned.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn of_campaign(
    db: &impl Connection,
    campaign: CampaignId,
    after: Option<DeliveryId>,
    limit: u32,
) -> Result<Vec<Doubt>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        id: i64,
        contact_id: i64,
        address: String,
        due: i64,
        handed: Option<i64>,
        unanswered: i64,
    }
    let sql = "SELECT d.id, d.contact_id, c.address, d.due,
            (SELECT max(a.handed) FROM attempts a WHERE a.delivery_id = d.id AND a.outcome IS NULL) AS handed,
            (SELECT count(*) FROM attempts a WHERE a.delivery_id = d.id AND a.outcome IS NULL) AS unanswered
        FROM deliveries d JOIN contacts c ON c.id = d.contact_id
        WHERE (d.id >> 31) = $1 AND d.state = 4 AND d.id > $2 ORDER BY d.id LIMIT $3";
    let after = after.map_or(0, |id| id.0);
    let rows = all::<Row>(db, sql, [campaign.0.into(), after.into(), i64::from(limit).into()]).await?;
    let doubt = |row: Row| Doubt {
        delivery: DeliveryId(row.id),
        contact: ContactId(row.contact_id),
        address: row.address,
        found: time(row.due),
        handed: row.handed.map(time),
        unanswered: row.unanswered,
    };
    Ok(rows.into_iter().map(doubt).collect())
}

/// The last tries of `deliveries` that nobody answered and of which nothing came back, but for what is being handed over.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn last_tries(db: &impl Connection, deliveries: &[DeliveryId]) -> Result<Vec<Try>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        id: i64,
        number: i16,
    }
    if deliveries.is_empty() {
        return Ok(vec![]);
    }
    let wanted = rows(db, 1, &[("id", "bigint")]);
    let sql = format!(
        "SELECT DISTINCT d.id AS id, d.attempts AS number FROM {wanted} CROSS JOIN deliveries d
         WHERE d.id = rows.id AND d.handed IS NULL AND +d.state IN (0, 1, 2, 4)
           AND EXISTS (SELECT 1 FROM attempts a
               WHERE a.delivery_id = d.id AND a.number = d.attempts AND a.outcome IS NULL)
           AND NOT EXISTS (
               SELECT 1 FROM bounces b WHERE b.delivery_id = d.id AND b.attempt = d.attempts AND NOT b.held)
         ORDER BY d.id"
    );
    let tries = all::<Row>(db, &sql, [ids_json(deliveries).into()]).await?;
    let read = |row: Row| Try { id: DeliveryId(row.id), number: u8::try_from(row.number).unwrap_or(u8::MAX) };
    Ok(tries.into_iter().map(read).collect())
}

/// Plans those again that were in doubt by `seen`; how many.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn resend(
    db: &impl Connection,
    campaign: CampaignId,
    seen: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    let sql = "UPDATE deliveries SET state = 0, due = $3 WHERE (id >> 31) = $1 AND state = 4 AND due <= $2";
    execute(db, sql, [campaign.0.into(), millis(seen).into(), millis(now).into()]).await
}

/// Leaves those as they are that were in doubt by `seen`: nobody is asked about them again.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn leave(db: &impl Connection, campaign: CampaignId, seen: DateTime<Utc>) -> Result<(), Error> {
    let sql = "UPDATE campaigns SET doubts_left = $2 WHERE id = $1 AND doubts_left < $2";
    execute(db, sql, [campaign.0.into(), millis(seen).into()]).await?;
    Ok(())
}

/// The campaigns whose doubts a person is to decide on at `now`, and how many: no evidence came in the time that their
/// policy waits, and nobody has left them as they are. Those that are never sent again ask nobody.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn asking(db: &impl Connection, now: DateTime<Utc>) -> Result<Vec<(CampaignId, i64)>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        campaign: i64,
        count: i64,
    }
    let by = |policy: DoubtPolicy| policy.asks_after().map(|wait| millis(now - wait));
    // 0 is the policy that resends, 1 the one that holds; state 6 is cancelled.
    let sql = "SELECT g.id AS campaign, count(*) AS count
        FROM deliveries d JOIN campaigns g ON g.id = (d.id >> 31)
        WHERE d.state = 4 AND g.state <> 6 AND d.due > g.doubts_left
          AND ((g.doubt = 0 AND d.due <= $1) OR (g.doubt = 1 AND d.due <= $2))
        GROUP BY g.id ORDER BY g.id";
    let rows = all::<Row>(db, sql, [by(DoubtPolicy::Resend).into(), by(DoubtPolicy::Hold).into()]).await?;
    Ok(rows.into_iter().map(|row| (CampaignId(row.campaign), row.count)).collect())
}
