//! What happened to contacts in a stretch of time, told again for a policy that might have judged it.

use super::noted::grade_code;
use crate::sql::{all, keys_json, millis, number, rows, time};
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{AddressKey, CampaignId, Case, DeliveryId, Fact, Grade, Permanence, Refusal};
use sea_orm::FromQueryResult;

/// A failed try, as far as a policy looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Whose.
    pub address: AddressKey,
    /// When it was heard.
    pub at: DateTime<Utc>,
    /// Of which message.
    pub delivery: DeliveryId,
    /// What rules of it.
    pub case: Case,
    /// Whether it was meant for now or for good.
    pub refusal: Refusal,
    /// What the address is judged by, where it ended its delivery.
    pub fact: Option<Fact>,
}

/// How many failed tries are known since `from`.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn replay_size(db: &impl Connection, from: DateTime<Utc>) -> Result<i64, Error> {
    let sql = "SELECT COUNT(*) FROM bounces WHERE at >= $1 AND contact_id IS NOT NULL";
    number(db, sql, [millis(from).into()]).await
}

/// The addresses of one in `one_in` of the contacts whose mail failed since `from`.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn replay_people(db: &impl Connection, from: DateTime<Utc>, one_in: i64) -> Result<Vec<AddressKey>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        key: String,
    }
    let sql = "SELECT DISTINCT key FROM bounces
         WHERE at >= $1 AND contact_id IS NOT NULL AND contact_id % $2 = 0 ORDER BY key";
    let found: Vec<Row> = all(db, sql, [millis(from).into(), one_in.max(1).into()]).await?;
    Ok(found.into_iter().map(|row| AddressKey::stored(row.key)).collect())
}

/// The failed tries of `keys` since `from`, oldest first.
///
/// # Errors
/// [`Error`]
pub async fn replay(db: &impl Connection, keys: &[AddressKey], from: DateTime<Utc>) -> Result<Vec<Replayed>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        key: String,
        at: i64,
        delivery_id: i64,
        grade: i16,
        is_final: bool,
        cause: String,
        hard: bool,
        reply_code: Option<i16>,
        status: Option<String>,
        excused: bool,
        corrected: Option<String>,
    }
    // `CROSS JOIN`: SQLite keeps to this order, and finds bounces by their address.
    let sql = format!(
        "SELECT b.key, b.at, b.delivery_id, b.grade, b.is_final, b.cause, b.hard, b.reply_code, b.status,
            b.excused, b.corrected
         FROM {} CROSS JOIN bounces b
         WHERE b.key = rows.key AND b.at >= $2 AND b.delivery_id IS NOT NULL
         ORDER BY b.at, b.id",
        rows(db, 1, &[("key", "TEXT")])
    );
    let found: Vec<Row> = all(db, &sql, [keys_json(keys)?.into(), millis(from).into()]).await?;
    let read = |row: Row| {
        let unreadable = |column| Error::unreadable("bounces", column);
        let cause = row.cause.parse().map_err(|_| unreadable("cause"))?;
        let permanence = if row.hard { Permanence::Hard } else { Permanence::Soft };
        let corrected: Option<Case> =
            row.corrected.map(|name| name.parse()).transpose().map_err(|_| unreadable("corrected"))?;
        let transient = match (row.reply_code, row.status.as_deref()) {
            (_, Some(status)) => status.starts_with('4'),
            (Some(code), None) => (400..500).contains(&code),
            (None, None) => !row.is_final,
        };
        let delivery = DeliveryId(row.delivery_id);
        let case = corrected.unwrap_or_else(|| Case::of(cause, permanence));
        let (cause, permanence) = match corrected {
            Some(case) => (case.cause(), case.permanence()),
            None => (cause, permanence),
        };
        let known = [Grade::TextOnly, Grade::Returned, Grade::Ours].into_iter();
        let grade = known.into_iter().find(|grade| grade_code(*grade) == row.grade).ok_or(unreadable("grade"))?;
        let campaign: CampaignId = delivery.campaign();
        let excused = row.excused && corrected.is_none();
        Ok(Replayed {
            address: AddressKey::stored(row.key),
            at: time(row.at),
            delivery,
            case,
            refusal: if transient { Refusal::Transient } else { Refusal::Permanent },
            fact: row.is_final.then_some(Fact::Bounced { cause, permanence, grade, campaign, excused }),
        })
    };
    found.into_iter().map(read).collect()
}

/// A message that a host took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// To whom.
    pub address: AddressKey,
    /// Which.
    pub delivery: DeliveryId,
    /// When.
    pub at: DateTime<Utc>,
}

/// What hosts took for `keys` since `from`, oldest first.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn arrivals(db: &impl Connection, keys: &[AddressKey], from: DateTime<Utc>) -> Result<Vec<Arrival>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        key: String,
        delivery_id: i64,
        settled: i64,
    }
    // 0 is the outcome of a message that was taken.
    let sql = format!(
        "SELECT c.key, a.delivery_id, a.settled
         FROM {} CROSS JOIN contacts c CROSS JOIN deliveries d CROSS JOIN attempts a
         WHERE c.key = rows.key AND d.contact_id = c.id AND a.delivery_id = d.id AND a.outcome = 0 AND a.settled >= $2
         ORDER BY a.settled, a.delivery_id",
        rows(db, 1, &[("key", "TEXT")])
    );
    let found: Vec<Row> = all(db, &sql, [keys_json(keys)?.into(), millis(from).into()]).await?;
    let arrival = |row: Row| Arrival {
        address: AddressKey::stored(row.key),
        delivery: DeliveryId(row.delivery_id),
        at: time(row.settled),
    };
    Ok(found.into_iter().map(arrival).collect())
}
