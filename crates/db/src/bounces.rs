//! Bounces: failed tries as they were heard, and what was made of them.
//!
//! A bounce is a fact: it is noted once and not changed, but for the incident that excuses it and the note of what a
//! person says that it was; who said so, and when, are facts of their own. Those that ended
//! their delivery are *final*: only they are judged and counted.

mod again;
mod corrections;
mod noted;
mod page;
mod replay;
mod tally;
mod windows;

pub use again::{Again, Judgement, again, again_count, judge_again};
pub use corrections::{Correction, alike, alike_count, correct, corrected_together, corrections};
pub use noted::NotedBounce;
pub use page::{Filter, Kind, of_key, page};
pub use replay::{Arrival, Replayed, arrivals, replay, replay_people, replay_size};
pub use tally::{Tries, causes, days, domains};
pub use windows::{Neighbour, neighbours, repeats};

use crate::deliveries::ids_json;
use crate::sql::{all, execute, keys_json, millis, number, one, rows};
use crate::{Connection, Error, Transaction};
use noted::{COLUMNS, Row, read};
use rebound_domain::{
    AddressKey, Bounce, BounceCause, BounceId, CampaignId, ContactId, DeliveryId, IncidentId, familiar_words,
};
use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult};
use std::collections::{HashMap, HashSet};

/// What makes a bounce the same as another: the delivery, the try, the cause, and whether a host still held the
/// message. Who tells of a delay tells of the end too, for the same cause.
pub type Same = (DeliveryId, u8, BounceCause, bool);

/// What a bounce is noted as.
#[derive(Clone, Copy, Debug)]
pub struct Note<'a> {
    /// As it was heard.
    pub bounce: &'a Bounce,
    /// Whose it is, if that is known.
    pub contact: Option<ContactId>,
    /// Whether it ended its delivery.
    pub is_final: bool,
    /// The policy that judged it.
    pub policy_version: u32,
    /// The incident it belongs to; nobody is judged by it then.
    pub incident: Option<IncidentId>,
}

/// The lock of those who record bounces. A number of our own: "bounces" on a telephone.
pub(crate) const BOUNCES: i64 = 2_686_237;

/// Waits until no other transaction records bounces, and keeps others from it until this one ends.
///
/// On SQLite that is so by itself: there is one writer.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn one_at_a_time(tx: &Transaction) -> Result<(), Error> {
    if tx.get_database_backend() == DatabaseBackend::Postgres {
        execute(tx, &format!("SELECT pg_advisory_xact_lock({BOUNCES})"), []).await?;
    }
    Ok(())
}

/// Those of the bounces of `deliveries` that were noted before.
///
/// # Errors
/// [`Error`]
pub async fn known(db: &impl Connection, deliveries: &[DeliveryId]) -> Result<HashSet<Same>, Error> {
    let wanted = rows(db, 1, &[("id", "BIGINT")]);
    let sql = format!(
        "SELECT b.id, b.delivery_id, b.attempt, b.cause, b.held FROM {wanted} CROSS JOIN bounces b
         WHERE b.delivery_id = rows.id"
    );
    let known: Vec<Placed> = all(db, &sql, [ids_json(deliveries).into()]).await?;
    Ok(known.iter().filter_map(Placed::same).collect())
}

/// Notes bounces in their order, and answers where those of deliveries were put. One that was noted before is
/// left out.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn add(db: &impl Connection, notes: &[Note<'_>]) -> Result<HashMap<Same, BounceId>, Error> {
    if notes.is_empty() {
        return Ok(HashMap::new());
    }
    let json: Vec<_> = notes.iter().map(line).collect();
    let names: Vec<&str> = LINE.iter().map(|(name, _)| *name).collect();
    let names = names.join(", ");
    let sql = format!(
        "INSERT INTO bounces ({names}, excused) SELECT {names}, incident_id IS NOT NULL FROM {} WHERE true
         ON CONFLICT DO NOTHING RETURNING id, delivery_id, attempt, cause, held",
        rows(db, 1, &LINE)
    );
    let added: Vec<Placed> = all(db, &sql, [serde_json::Value::Array(json).to_string().into()]).await?;
    Ok(added.iter().filter_map(|row| Some((row.same()?, BounceId(row.id)))).collect())
}

const LINE: [(&str, &str); 26] = [
    ("at", "BIGINT"),
    ("delivery_id", "BIGINT"),
    ("attempt", "SMALLINT"),
    ("campaign_id", "BIGINT"),
    ("contact_id", "BIGINT"),
    ("key", "TEXT"),
    ("domain", "TEXT"),
    ("inbox_id", "BIGINT"),
    ("grade", "SMALLINT"),
    ("is_final", "BOOLEAN"),
    ("cause", "TEXT"),
    ("hard", "BOOLEAN"),
    ("confidence", "SMALLINT"),
    ("second", "TEXT"),
    ("status", "TEXT"),
    ("reply_code", "SMALLINT"),
    ("diagnostic", "TEXT"),
    ("words", "TEXT"),
    ("reporting_mta", "TEXT"),
    ("evidence", "TEXT"),
    ("detail", "TEXT"),
    ("retry_after", "BIGINT"),
    ("policy_version", "BIGINT"),
    ("incident_id", "BIGINT"),
    ("held", "BOOLEAN"),
    ("rules", "TEXT"),
];

fn line(note: &Note<'_>) -> serde_json::Value {
    let Bounce { delivery, attempt, address, grade, verdict, reporting_mta, inbox, at, .. } = note.bounce;
    serde_json::json!({
        "at": millis(*at), "delivery_id": delivery, "attempt": attempt,
        "campaign_id": delivery.map(DeliveryId::campaign), "contact_id": note.contact,
        "key": address, "domain": address.domain(), "inbox_id": inbox,
        "grade": noted::grade_code(*grade), "is_final": note.is_final,
        "cause": verdict.cause, "hard": verdict.is_hard(), "confidence": verdict.confidence,
        "second": verdict.second.map(|second| serde_json::json!(second).to_string()),
        "status": verdict.status, "reply_code": verdict.reply_code,
        "diagnostic": verdict.diagnostic, "words": familiar_words(&verdict.diagnostic),
        "reporting_mta": reporting_mta, "evidence": serde_json::json!(verdict.evidence).to_string(),
        "detail": verdict.detail, "retry_after": verdict.retry_after,
        "policy_version": note.policy_version, "incident_id": note.incident,
        "held": note.bounce.held, "rules": verdict.rules,
    })
}

/// The bounce with `id`.
///
/// # Errors
/// [`Error`]
pub async fn get(db: &impl Connection, id: BounceId) -> Result<Option<NotedBounce>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM bounces b WHERE b.id = $1");
    let row: Option<Row> = one(db, &sql, [id.0.into()]).await?;
    row.map(NotedBounce::try_from).transpose()
}

/// All final bounces of `keys`, oldest first: what their standings are folded from.
///
/// # Errors
/// [`Error`]
pub async fn judged(db: &impl Connection, keys: &[AddressKey]) -> Result<Vec<NotedBounce>, Error> {
    if keys.is_empty() {
        return Ok(vec![]);
    }
    let wanted = rows(db, 1, &[("key", "TEXT")]);
    let sql = format!(
        "SELECT {COLUMNS} FROM {wanted} CROSS JOIN bounces b
         WHERE b.key = rows.key AND b.is_final ORDER BY b.at, b.id"
    );
    read(all(db, &sql, [keys_json(keys)?.into()]).await?)
}

/// Puts all final bounces of one cause in `campaign` that belong to no incident, since the campaign is trusted,
/// into `incident`; whose they are.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn absorb(
    db: &impl Connection,
    campaign: CampaignId,
    cause: BounceCause,
    incident: IncidentId,
) -> Result<Vec<AddressKey>, Error> {
    let sql = "UPDATE bounces SET incident_id = $1, excused = TRUE
        WHERE campaign_id = $2 AND cause = $3 AND is_final AND incident_id IS NULL
          AND at > (SELECT trusted FROM campaigns WHERE id = $2)
        RETURNING key";
    let keys: Vec<Key> = all(db, sql, [incident.0.into(), campaign.0.into(), cause.as_str().into()]).await?;
    Ok(keys.into_iter().map(|row| AddressKey::stored(row.key)).collect())
}

/// Excuses the bounces of `incident` for the next `limit` addresses after `after`, in their order; which those are.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn excuse(
    db: &impl Connection,
    incident: IncidentId,
    after: Option<&AddressKey>,
    limit: u32,
) -> Result<Vec<AddressKey>, Error> {
    let sql = "SELECT DISTINCT key FROM bounces WHERE incident_id = $1 AND key > $2 ORDER BY key LIMIT $3";
    let after = after.map_or("", AddressKey::as_str);
    let keys: Vec<Key> = all(db, sql, [incident.0.into(), after.into(), i64::from(limit).into()]).await?;
    let keys: Vec<AddressKey> = keys.into_iter().map(|row| AddressKey::stored(row.key)).collect();
    let sql = format!(
        "UPDATE bounces SET excused = TRUE WHERE incident_id = $2 AND excused = FALSE AND key IN (SELECT key FROM {})",
        rows(db, 1, &[("key", "TEXT")])
    );
    execute(db, &sql, [keys_json(&keys)?.into(), incident.0.into()]).await?;
    Ok(keys)
}

/// How many addresses `incident` touched.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn touched(db: &impl Connection, incident: IncidentId) -> Result<i64, Error> {
    number(db, "SELECT COUNT(DISTINCT key) FROM bounces WHERE incident_id = $1", [incident.0.into()]).await
}

#[derive(FromQueryResult)]
struct Key {
    key: String,
}

#[derive(FromQueryResult)]
struct Placed {
    id: i64,
    delivery_id: Option<i64>,
    attempt: i16,
    cause: String,
    held: bool,
}

impl Placed {
    fn same(&self) -> Option<Same> {
        let attempt = u8::try_from(self.attempt).unwrap_or(u8::MAX);
        Some((DeliveryId(self.delivery_id?), attempt, self.cause.parse().ok()?, self.held))
    }
}
