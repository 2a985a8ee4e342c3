//! Deliveries: where each message to each recipient stands.
//!
//! The table is narrow and is changed only in bulk. How workers take and give back deliveries is in
//! [`leases`](crate::leases).

use crate::sql::{all, execute, millis, numbers, one, rows, time};
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{AddressKey, BounceCause, CampaignId, ContactId, DeliveryId, StateName, WorkerId};
use sea_orm::FromQueryResult;
use std::collections::BTreeMap;

/// Where one message to one recipient stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its identity.
    pub id: DeliveryId,
    /// To whom.
    pub contact: ContactId,
    /// Where it stands.
    pub state: StateName,
    /// When it may be taken; meaningful while it is planned or deferred.
    pub due: DateTime<Utc>,
    /// When a worker first took it: giving up counts from here.
    pub since: Option<DateTime<Utc>>,
    /// Tries so far.
    pub attempts: u8,
    /// Who has it, while it is leased or being handed over.
    pub worker: Option<WorkerId>,
    /// Whether nobody knows if its last try arrived; it may wait for another one.
    pub in_doubt: bool,
}

/// A new state for a delivery; no worker has it afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Which.
    pub id: DeliveryId,
    /// Its new state.
    pub state: StateName,
    /// When it is due, if it is to be tried again.
    pub due: Option<DateTime<Utc>>,
}

/// A line of a campaign's ledger: what became of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerLine {
    /// Which message.
    pub delivery: DeliveryId,
    /// To whom it went.
    pub recipient: String,
    /// Where it stands.
    pub state: StateName,
    /// Tries made.
    pub attempts: u8,
    /// Tries of which nobody knew whether they had arrived when the next was made, or when a worker died.
    pub in_doubt: i64,
    /// Why it failed last, if it ever did.
    pub verdict: Option<BounceCause>,
    /// When it is due again, if it is.
    pub due: Option<DateTime<Utc>>,
}

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    contact_id: i64,
    state: i16,
    due: i64,
    since: Option<i64>,
    attempts: i16,
    worker: Option<i64>,
    doubts: i64,
}

const COLUMNS: &str = "d.id, d.contact_id, d.due, d.since, d.attempts, d.worker, (SELECT count(*)
    FROM attempts a WHERE a.delivery_id = d.id AND a.number = d.attempts AND a.outcome IS NULL) AS doubts";

/// The state of the delivery `d` by the numbers of [`StateName`]. In the table, what is handed over is leased (2), and has
/// the time since when: a mark changes nothing by which deliveries are found, and so none of their indexes.
pub(crate) fn state_of(d: &str) -> String {
    format!("CASE WHEN {d}.handed IS NULL THEN {d}.state ELSE CAST(3 AS SMALLINT) END")
}

/// The deliveries with `ids`, in no certain order; those that are not there are left out.
///
/// # Errors
/// [`Error`]
pub async fn get(db: &impl Connection, ids: &[DeliveryId]) -> Result<Vec<Delivery>, Error> {
    let wanted = rows(db, 1, &[("id", "bigint")]);
    let sql = format!("SELECT {COLUMNS}, {} AS state FROM {wanted} JOIN deliveries d ON d.id = rows.id", state_of("d"));
    read(all::<Row>(db, &sql, [ids_json(ids).into()]).await?)
}

/// All deliveries to `contact`, newest campaign first.
///
/// # Errors
/// [`Error`]
pub async fn of_contact(db: &impl Connection, contact: ContactId) -> Result<Vec<Delivery>, Error> {
    let sql = format!(
        "SELECT {COLUMNS}, {} AS state FROM deliveries d WHERE d.contact_id = $1 ORDER BY d.id DESC",
        state_of("d")
    );
    read(all::<Row>(db, &sql, [contact.0.into()]).await?)
}

/// How many deliveries of `campaign` stand in each state.
///
/// # Errors
/// [`Error`]
pub async fn counts(db: &impl Connection, campaign: CampaignId) -> Result<BTreeMap<StateName, i64>, Error> {
    let (first, last) = DeliveryId::range(campaign);
    // Accepted are the others: most of them, and no index is kept for those. One statement sees one moment. A count for each
    // state and no groups: to group them, SQLite would sort a row for each delivery.
    let states: Vec<StateName> = StateName::ALL.into_iter().filter(|state| *state != StateName::Accepted).collect();
    let counted: Vec<String> =
        states.iter().map(|state| format!("count(*) FILTER (WHERE d.state = {})", state.code())).collect();
    let sql = format!(
        "SELECT COALESCE((SELECT planned FROM campaigns WHERE id = $1), 0), {} FROM ({}) d",
        counted.join(", "),
        not_accepted("", "0 AS due")
    );
    let values = [campaign.0.into(), first.into(), last.into()];
    let mut numbers = numbers(db, &sql, values, 1 + states.len()).await?.into_iter();
    let planned = numbers.next().unwrap_or_default();
    let mut counts: BTreeMap<StateName, i64> = states.into_iter().zip(numbers).collect();
    counts.insert(StateName::Accepted, planned - counts.values().sum::<i64>());
    counts.retain(|_, count| *count > 0);
    Ok(counts)
}

/// The deliveries of campaign `$1`, whose ids are from `$2` to `$3`, that are not accepted: each part is what a partial
/// index holds, so only those that wait are asked for `when` they are due. Their state comes after `columns`. `+`:
/// SQLite would rather go through all ids than through the few that are under way.
pub(crate) fn not_accepted(columns: &str, when: &str) -> String {
    let ids = "id BETWEEN $2 AND $3";
    let state = state_of("deliveries");
    format!(
        "SELECT {columns} state, {when} FROM deliveries WHERE (id >> 31) = $1 AND state IN (0, 1)
         UNION ALL SELECT {columns} {state}, 0 FROM deliveries WHERE state = 2 AND +{ids}
         UNION ALL SELECT {columns} state, 0 FROM deliveries WHERE state IN (4, 6, 7, 8) AND {ids}"
    )
}

/// Sets states. Whether the move makes sense is decided by who calls, in the same transaction.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn settle(db: &impl Connection, settled: &[Settled]) -> Result<u64, Error> {
    if settled.is_empty() {
        return Ok(0);
    }
    let lines: Vec<_> = settled
        .iter()
        .map(|s| serde_json::json!({ "id": s.id.0, "state": s.state.code(), "due": s.due.map(millis) }))
        .collect();
    let new = rows(db, 1, &[("id", "bigint"), ("state", "smallint"), ("due", "bigint")]);
    let sql = format!(
        "UPDATE deliveries SET state = rows.state, due = COALESCE(rows.due, deliveries.due), worker = NULL, handed = NULL
         FROM {new} WHERE deliveries.id = rows.id"
    );
    execute(db, &sql, [serde_json::Value::from(lines).to_string().into()]).await
}

/// The address of each delivery, folded: whose standing a fact about it belongs to.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn keys(db: &impl Connection, ids: &[DeliveryId]) -> Result<BTreeMap<DeliveryId, AddressKey>, Error> {
    #[derive(FromQueryResult)]
    struct Key {
        id: i64,
        key: String,
    }
    let wanted = rows(db, 1, &[("id", "bigint")]);
    let sql = format!(
        "SELECT d.id, c.key FROM {wanted} JOIN deliveries d ON d.id = rows.id JOIN contacts c ON c.id = d.contact_id"
    );
    let keys = all::<Key>(db, &sql, [ids_json(ids).into()]).await?;
    Ok(keys.into_iter().map(|row| (DeliveryId(row.id), AddressKey::stored(row.key))).collect())
}

/// A stretch of a campaign's ledger, in order, after `after`.
///
/// # Errors
/// [`Error`]
pub async fn ledger(
    db: &impl Connection,
    campaign: CampaignId,
    after: Option<DeliveryId>,
    limit: u32,
) -> Result<Vec<LedgerLine>, Error> {
    #[derive(FromQueryResult)]
    struct Line {
        id: i64,
        address: String,
        state: i16,
        attempts: i16,
        due: i64,
        in_doubt: i64,
        verdict: Option<String>,
    }
    let (first, last) = DeliveryId::range(campaign);
    let after = after.map_or(first - 1, |id| id.0);
    // A doubt is a try without an outcome: a row of its own is written when nobody makes it any more.
    let state_of = state_of("d");
    let sql = format!(
        "SELECT d.id, c.address, {state_of} AS state, d.attempts, d.due,
            (SELECT count(*) FROM attempts a WHERE a.delivery_id = d.id AND a.outcome IS NULL) AS in_doubt,
            (SELECT b.cause FROM bounces b WHERE b.delivery_id = d.id ORDER BY b.id DESC LIMIT 1) AS verdict
        FROM deliveries d JOIN contacts c ON c.id = d.contact_id
        WHERE d.id > $1 AND d.id <= $2 ORDER BY d.id LIMIT $3"
    );
    let lines = all::<Line>(db, &sql, [after.into(), last.into(), i64::from(limit).into()]).await?;
    lines
        .into_iter()
        .map(|line| {
            let state = state(line.state)?;
            Ok(LedgerLine {
                delivery: DeliveryId(line.id),
                recipient: line.address,
                state,
                attempts: u8::try_from(line.attempts).unwrap_or(u8::MAX),
                in_doubt: line.in_doubt,
                verdict: line.verdict.and_then(|cause| cause.parse().ok()),
                due: matches!(state, StateName::Planned | StateName::Deferred).then(|| time(line.due)),
            })
        })
        .collect()
}

/// Makes those due at `now` that wait for another try after failing for `cause`; how many.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn hurry(
    db: &impl Connection,
    campaign: CampaignId,
    cause: BounceCause,
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    let sql = "UPDATE deliveries SET due = $3 WHERE (id >> 31) = $1 AND state IN (0, 1) AND state = 1 AND due > $3
        AND id IN (
        SELECT b.delivery_id FROM bounces b WHERE b.campaign_id = $1 AND b.cause = $2
          AND b.id = (SELECT max(l.id) FROM bounces l WHERE l.delivery_id = b.delivery_id))";
    execute(db, sql, [campaign.0.into(), cause.as_str().into(), millis(now).into()]).await
}

/// When the next planned or deferred delivery of any campaign that sends is due.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn next_due(db: &impl Connection, campaign: CampaignId) -> Result<Option<DateTime<Utc>>, Error> {
    #[derive(FromQueryResult)]
    struct Due {
        due: i64,
    }
    let sql = "SELECT due FROM deliveries WHERE (id >> 31) = $1 AND state IN (0, 1) ORDER BY due LIMIT 1";
    Ok(one::<Due>(db, sql, [campaign.0.into()]).await?.map(|row| time(row.due)))
}

/// Whether any delivery of `campaign` still waits or is under way.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn any_open(db: &impl Connection, campaign: CampaignId) -> Result<bool, Error> {
    let (first, last) = DeliveryId::range(campaign);
    // The order is that of an index: asked for any, PostgreSQL reads the table until it meets one.
    let sql = "SELECT CASE WHEN (SELECT due FROM deliveries WHERE (id >> 31) = $1 AND state IN (0, 1)
                    ORDER BY due LIMIT 1) IS NOT NULL
            OR (SELECT worker FROM deliveries WHERE state = 2 AND +id BETWEEN $2 AND $3
                    ORDER BY worker LIMIT 1) IS NOT NULL
        THEN CAST(1 AS BIGINT) ELSE 0 END";
    Ok(crate::sql::number(db, sql, [campaign.0.into(), first.into(), last.into()]).await? == 1)
}

pub(crate) fn ids_json(ids: &[DeliveryId]) -> String {
    let ids: Vec<_> = ids.iter().map(|id| serde_json::json!({ "id": id.0 })).collect();
    serde_json::Value::from(ids).to_string()
}

fn read(rows: Vec<Row>) -> Result<Vec<Delivery>, Error> {
    rows.into_iter().map(Delivery::try_from).collect()
}

fn state(code: i16) -> Result<StateName, Error> {
    StateName::from_code(code).ok_or(Error::unreadable("deliveries", "state"))
}

impl TryFrom<Row> for Delivery {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            id: DeliveryId(row.id),
            contact: ContactId(row.contact_id),
            state: state(row.state)?,
            due: time(row.due),
            since: row.since.map(time),
            attempts: u8::try_from(row.attempts).map_err(|_| Error::unreadable("deliveries", "attempts"))?,
            worker: row.worker.map(WorkerId),
            in_doubt: row.doubts > 0,
        })
    }
}
