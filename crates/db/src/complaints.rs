//! Complaints: recipients who pressed "report spam", and other feedback.

use crate::sql::{all, millis, rows, time};
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{AddressKey, CampaignId, Complaint, DeliveryId};
use sea_orm::{FromQueryResult, Value};

/// A complaint that was noted, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotedComplaint {
    /// Its place in the order of noting.
    pub id: i64,
    /// What was said about which message.
    pub complaint: Complaint,
    /// Who said it.
    pub address: AddressKey,
}

/// Notes complaints, and answers those that are new: of each kind one per delivery. Complaints about messages
/// that were never sent are left out.
///
/// # Errors
/// [`Error`]
pub async fn add(db: &impl Connection, complaints: &[Complaint]) -> Result<Vec<NotedComplaint>, Error> {
    if complaints.is_empty() {
        return Ok(vec![]);
    }
    let json: Vec<_> = complaints
        .iter()
        .map(|c| serde_json::json!({ "id": c.delivery.0, "kind": c.kind, "at": millis(c.at) }))
        .collect();
    let sql = format!(
        "INSERT INTO complaints (at, delivery_id, contact_id, key, kind)
         SELECT rows.at, rows.id, d.contact_id, c.key, rows.kind
         FROM {} CROSS JOIN deliveries d CROSS JOIN contacts c WHERE d.id = rows.id AND c.id = d.contact_id
         ON CONFLICT DO NOTHING RETURNING id, at, delivery_id, key, kind",
        rows(db, 1, &[("id", "BIGINT"), ("kind", "TEXT"), ("at", "BIGINT")])
    );
    let mut added = read(all(db, &sql, [serde_json::Value::Array(json).to_string().into()]).await?);
    added.sort_by_key(|noted| noted.id);
    Ok(added)
}

/// Those of one address, newest first.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn of_key(db: &impl Connection, key: &AddressKey) -> Result<Vec<NotedComplaint>, Error> {
    let sql = "SELECT id, at, delivery_id, key, kind FROM complaints WHERE key = $1 ORDER BY at DESC, id DESC";
    Ok(read(all(db, sql, [key.as_str().into()]).await?))
}

/// How many wishes to leave a campaign brought.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn of_campaign(db: &impl Connection, campaign: CampaignId) -> Result<i64, Error> {
    let (first, last) = DeliveryId::range(campaign);
    // Kinds that are no wish to leave: `Complaint::is_wish_to_leave`.
    let sql = "SELECT COUNT(*) FROM complaints WHERE delivery_id BETWEEN $1 AND $2
        AND kind NOT IN ('not-spam', 'virus', 'auth-failure', 'dkim')";
    crate::sql::number(db, sql, [first.into(), last.into()]).await
}

/// The newest that were heard before `before`.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn newest(
    db: &impl Connection,
    before: Option<DateTime<Utc>>,
    limit: u32,
) -> Result<Vec<NotedComplaint>, Error> {
    let sql = "SELECT id, at, delivery_id, key, kind FROM complaints WHERE at < $1 ORDER BY at DESC, id DESC LIMIT $2";
    let values: [Value; 2] = [before.map_or(i64::MAX, millis).into(), i64::from(limit).into()];
    Ok(read(all(db, sql, values).await?))
}

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    at: i64,
    delivery_id: i64,
    key: String,
    kind: String,
}

fn read(rows: Vec<Row>) -> Vec<NotedComplaint> {
    let read = |row: Row| NotedComplaint {
        id: row.id,
        complaint: Complaint { delivery: DeliveryId(row.delivery_id), kind: row.kind, at: time(row.at) },
        address: AddressKey::stored(row.key),
    };
    rows.into_iter().map(read).collect()
}
