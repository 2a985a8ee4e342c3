//! How a worker takes what is due.

use super::{DEPARTED, Lease};
use crate::sql::{all, execute, millis, off, one, rows, time};
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{CampaignId, ContactId, DeliveryId, WorkerId};
use sea_orm::{DatabaseBackend, FromQueryResult, Value};

/// Takes up to `limit` due deliveries of `campaign` for `worker`, in a transaction, the longest due first. Of those
/// that are due at the same moment, as a whole chunk of the plan is, any: to sort them would mean to read all of them.
///
/// # Errors
/// [`Error`]
pub async fn claim(
    db: &impl Connection,
    worker: WorkerId,
    campaign: CampaignId,
    limit: u32,
    now: DateTime<Utc>,
) -> Result<Vec<Lease>, Error> {
    let due = "SELECT id FROM deliveries WHERE (id >> 31) = $3 AND state IN (0, 1) AND due <= $2 ORDER BY due LIMIT $4";
    let departed = format!(
        "CAST(CASE WHEN attempts = 0 THEN 0 ELSE COALESCE((
             SELECT max(a.number) FROM attempts a WHERE a.delivery_id = deliveries.id AND {DEPARTED}), 0)
         END AS SMALLINT)"
    );
    let values = [worker.0.into(), millis(now).into(), campaign.0.into(), i64::from(limit).into()];
    let mut rows = match db.get_database_backend() {
        DatabaseBackend::Postgres => {
            // In the order of the index, which ends with the last that is wanted: it must not sort all that wait.
            execute(db, &format!("SELECT {}", off(&["seqscan", "bitmapscan", "sort"])), []).await?;
            // The ids as an array, made once: it might ask for a list anew for each row.
            let sql = format!(
                "UPDATE deliveries SET state = 2, worker = $1, since = COALESCE(since, $2)
                 WHERE +state IN (0, 1) AND id = ANY (ARRAY({due} FOR UPDATE SKIP LOCKED))
                 RETURNING id, contact_id, attempts, since, {departed} AS departed"
            );
            all::<Claimed>(db, &sql, values).await?
        }
        _ => claim_alone(db, due, &departed, values).await?,
    };
    rows.sort_by_key(|row| row.id);
    let lease = |row: Claimed| Lease {
        id: DeliveryId(row.id),
        contact: ContactId(row.contact_id),
        attempts: u8::try_from(row.attempts).unwrap_or(u8::MAX),
        departed: u8::try_from(row.departed).unwrap_or(u8::MAX),
        since: time(row.since),
    };
    Ok(rows.into_iter().map(lease).collect())
}

#[derive(FromQueryResult, serde::Deserialize)]
struct Claimed {
    id: i64,
    contact_id: i64,
    attempts: i16,
    departed: i16,
    since: i64,
}

/// The same on SQLite, where nobody else writes amid a transaction: as one row, since to hand over a row from its thread
/// costs more than to find it.
async fn claim_alone(
    db: &impl Connection,
    due: &str,
    departed: &str,
    values: [Value; 4],
) -> Result<Vec<Claimed>, Error> {
    let sql = format!(
        "SELECT json_group_array(json_object('id', id, 'contact_id', contact_id, 'attempts', attempts,
             'since', COALESCE(since, $2), 'departed', {departed})) AS json
         FROM deliveries WHERE id IN ({due})"
    );
    let json = one::<Json>(db, &sql, values.clone()).await?.map_or_else(String::new, |row| row.json);
    let claimed: Vec<Claimed> =
        serde_json::from_str(&json).map_err(|_| Error::unreadable("deliveries", "what is due"))?;
    if claimed.is_empty() {
        return Ok(claimed);
    }
    let wanted = rows(db, 3, &[("id", "bigint")]);
    let sql = format!(
        "UPDATE deliveries SET state = 2, worker = $1, since = COALESCE(since, $2)
         WHERE +state IN (0, 1) AND id IN (SELECT rows.id FROM {wanted})"
    );
    let [worker, now, ..] = values;
    let taken = execute(db, &sql, [worker, now, json.into()]).await?;
    if taken == claimed.len() as u64 {
        return Ok(claimed);
    }
    // It was asked outside a transaction, and somebody was there first.
    Err(Error::Refused("somebody else took what was about to be taken".to_owned()))
}

#[derive(FromQueryResult)]
struct Json {
    json: String,
}
