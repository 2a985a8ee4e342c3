//! Standings: how each address stands, kept so that its facts need not be folded again.
//!
//! Only addresses that a bounce was ever judged by have a row.

use crate::sql::{all, execute, keys_json, millis, rows, time};
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{AddressKey, Fact, Standing};
use sea_orm::FromQueryResult;
use std::collections::HashMap;

/// A standing and the time of the last fact in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// How the address stands.
    pub standing: Standing,
    /// When the last fact that was folded into it happened.
    pub updated: DateTime<Utc>,
}

/// The standings of those of `keys` that have one.
///
/// # Errors
/// [`Error`]
pub async fn get(db: &impl Connection, keys: &[AddressKey]) -> Result<HashMap<AddressKey, Kept>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        key: String,
        standing: String,
        updated: i64,
    }
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let wanted = rows(db, 1, &[("key", "TEXT")]);
    let sql =
        format!("SELECT s.key, s.standing, s.updated FROM {wanted} CROSS JOIN standings s WHERE s.key = rows.key");
    let found: Vec<Row> = all(db, &sql, [keys_json(keys)?.into()]).await?;
    let read = |row: Row| {
        let standing = serde_json::from_str(&row.standing).map_err(|_| Error::unreadable("standings", "standing"))?;
        Ok((AddressKey::stored(row.key), Kept { standing, updated: time(row.updated) }))
    };
    found.into_iter().map(read).collect()
}

/// Keeps standings, in place of those that were kept before.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn put(db: &impl Connection, standings: &[(AddressKey, Kept)]) -> Result<(), Error> {
    if standings.is_empty() {
        return Ok(());
    }
    let json: Vec<_> = standings
        .iter()
        .map(|(key, kept)| {
            let standing = serde_json::json!(kept.standing).to_string();
            serde_json::json!({ "key": key, "standing": standing, "updated": millis(kept.updated) })
        })
        .collect();
    // `WHERE true`: else SQLite takes ON for part of a join.
    let sql = format!(
        "INSERT INTO standings (key, standing, updated) SELECT key, standing, updated FROM {} WHERE true
         ON CONFLICT (key) DO UPDATE SET standing = excluded.standing, updated = excluded.updated",
        rows(db, 1, &[("key", "TEXT"), ("standing", "TEXT"), ("updated", "BIGINT")])
    );
    execute(db, &sql, [serde_json::Value::Array(json).to_string().into()]).await?;
    Ok(())
}

/// Forgets standings that nothing speaks for any more.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn remove(db: &impl Connection, keys: &[AddressKey]) -> Result<(), Error> {
    if keys.is_empty() {
        return Ok(());
    }
    let sql = format!("DELETE FROM standings WHERE key IN (SELECT key FROM {})", rows(db, 1, &[("key", "TEXT")]));
    execute(db, &sql, [keys_json(keys)?.into()]).await?;
    Ok(())
}

/// What else than bounces happened to `keys`, oldest first: mail that was taken, people that were reached, and
/// suppressions that a person lifted. The bounces are in [`bounces::judged`](crate::bounces::judged).
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn other_facts(
    db: &impl Connection,
    keys: &[AddressKey],
) -> Result<Vec<(AddressKey, DateTime<Utc>, Fact)>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        key: String,
        at: i64,
        kind: String,
    }
    if keys.is_empty() {
        return Ok(vec![]);
    }
    // 0 is the outcome of a message that was taken. `CROSS JOIN`: SQLite keeps to this order.
    let wanted = rows(db, 1, &[("key", "TEXT")]);
    let sql = format!(
        "SELECT c.key AS key, a.settled AS at, 'accepted' AS kind
         FROM {wanted} CROSS JOIN contacts c CROSS JOIN deliveries d CROSS JOIN attempts a
         WHERE c.key = rows.key AND d.contact_id = c.id AND a.delivery_id = d.id AND a.outcome = 0 AND a.settled IS NOT NULL
         UNION ALL
         SELECT e.key AS key, e.at AS at, e.kind AS kind
         FROM {wanted} CROSS JOIN events e WHERE e.key = rows.key AND e.kind IN ('lifted', 'reached')
         ORDER BY at"
    );
    let facts: Vec<Row> = all(db, &sql, [keys_json(keys)?.into()]).await?;
    let read = |row: Row| {
        let fact = match row.kind.as_str() {
            "lifted" => Fact::Lifted,
            "reached" => Fact::Reached,
            _ => Fact::Accepted,
        };
        (AddressKey::stored(row.key), time(row.at), fact)
    };
    Ok(facts.into_iter().map(read).collect())
}
