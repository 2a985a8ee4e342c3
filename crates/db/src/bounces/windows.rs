//! Bounces that came near each other: in place, or in time.

use crate::deliveries::ids_json;
use crate::sql::{all, millis, rows};
use crate::{Connection, Error};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_domain::{Answer, BounceCause, DeliveryId, IncidentId, WINDOW};
use sea_orm::FromQueryResult;
use std::collections::HashMap;

/// A final bounce near another in the same campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Of which delivery.
    pub delivery: DeliveryId,
    /// The incident it belongs to.
    pub incident: Option<IncidentId>,
    /// The host's own words.
    pub diagnostic: String,
    /// What the look for bursts wants to know.
    pub answer: Answer,
}

/// The final bounces of all deliveries that share a window of [`WINDOW`] with one of `deliveries`, each delivery's
/// last, in order; of each campaign only what came since it is trusted.
///
/// # Errors
/// [`Error`]
pub async fn neighbours(db: &impl Connection, deliveries: &[DeliveryId]) -> Result<Vec<Neighbour>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        delivery_id: i64,
        incident_id: Option<i64>,
        diagnostic: String,
        cause: String,
        words: String,
        domain: String,
    }
    if deliveries.is_empty() {
        return Ok(vec![]);
    }
    let reach = WINDOW - 1;
    // `CROSS JOIN`: SQLite keeps to this order, and does not go through the whole table.
    let wanted = rows(db, 1, &[("id", "BIGINT")]);
    let sql = format!(
        "SELECT b.delivery_id, b.incident_id, b.diagnostic, b.cause, b.words, b.domain FROM bounces b
         JOIN campaigns g ON g.id = b.campaign_id
         WHERE b.id IN (SELECT MAX(n.id) FROM {wanted}
                 CROSS JOIN bounces n
                 WHERE n.delivery_id BETWEEN rows.id - {reach} AND rows.id + {reach}
                    AND (n.delivery_id >> 31) = (rows.id >> 31) AND n.is_final GROUP BY n.delivery_id)
           AND b.at > g.trusted
         ORDER BY b.delivery_id"
    );
    let found: Vec<Row> = all(db, &sql, [ids_json(deliveries).into()]).await?;
    let read = |row: Row| {
        let cause = row.cause.parse().map_err(|_| Error::unreadable("bounces", "cause"))?;
        let delivery = DeliveryId(row.delivery_id);
        Ok(Neighbour {
            delivery,
            incident: row.incident_id.map(IncidentId),
            diagnostic: row.diagnostic,
            answer: Answer { ordinal: delivery.ordinal(), cause, words: row.words, domain: row.domain },
        })
    };
    found.into_iter().map(read).collect()
}

/// How many final bounces of each of these causes came from each of these domains in the day before `now`.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn repeats(
    db: &impl Connection,
    of: &[(String, BounceCause)],
    now: DateTime<Utc>,
) -> Result<HashMap<(String, BounceCause), i64>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        domain: String,
        cause: String,
        count: i64,
    }
    if of.is_empty() {
        return Ok(HashMap::new());
    }
    let json: Vec<_> =
        of.iter().map(|(domain, cause)| serde_json::json!({ "domain": domain, "cause": cause })).collect();
    let wanted = rows(db, 1, &[("domain", "TEXT"), ("cause", "TEXT")]);
    let sql = format!(
        "SELECT b.domain, b.cause, COUNT(*) AS count FROM {wanted}
         CROSS JOIN bounces b WHERE b.domain = rows.domain AND b.cause = rows.cause AND b.is_final AND b.at > $2 GROUP BY b.domain, b.cause"
    );
    let since = millis(now - TimeDelta::days(1));
    let counts: Vec<Row> = all(db, &sql, [serde_json::Value::Array(json).to_string().into(), since.into()]).await?;
    Ok(counts.into_iter().filter_map(|row| Some(((row.domain, row.cause.parse().ok()?), row.count))).collect())
}
