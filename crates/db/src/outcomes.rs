//! What became of messages: by cause and state, and recipient by recipient. Reading only.

use crate::deliveries::{not_accepted, state_of};
use crate::sql::{all, millis, number, time};
use crate::suppressions::pattern;
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{BounceCause, CampaignId, ContactId, DeliveryId, StateName};
use sea_orm::{FromQueryResult, Value};
use std::collections::BTreeMap;

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
    // A delivery that is not among those not accepted (5) is: an index knows the others, and they are few. One of
    // each group lends its words.
    let sql = format!(
        "SELECT g.cause, g.hard, g.state, g.count, g.due, b.diagnostic AS words
         FROM (SELECT last.cause, last.hard, CAST(COALESCE(d.state, 5) AS SMALLINT) AS state, count(*) AS count,
                      COALESCE(min(d.due), 0) AS due, max(last.id) AS example
               FROM bounces last
               LEFT JOIN ({}) d ON d.id = last.delivery_id
               WHERE last.campaign_id = $1 AND last.delivery_id IS NOT NULL AND NOT EXISTS (
                   SELECT 1 FROM bounces l WHERE l.campaign_id = $1 AND l.delivery_id = last.delivery_id AND l.id > last.id)
               GROUP BY 1, 2, 3) g
         JOIN bounces b ON b.id = g.example ORDER BY g.count DESC, g.cause",
        not_accepted("id,", "due")
    );
    let (first, last) = DeliveryId::range(campaign);
    failures(all(db, &sql, [campaign.0.into(), first.into(), last.into()]).await?)
}

/// How many messages hosts took since `from` at a later try than the first; also those of which a report came after that.
/// An index answers alone: whoever asked each delivery how it stands now would wait for a quarter of a second at a million
/// contacts.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn recovered(db: &impl Connection, from: DateTime<Utc>) -> Result<i64, Error> {
    let sql = "SELECT count(*) FROM attempts WHERE outcome = 0 AND number > 1 AND settled >= $1";
    number(db, sql, [millis(from).into()]).await
}

/// The same for a campaign with resends: each person is counted once, where the last message to them stands.
///
/// # Errors
/// [`Error`]
pub async fn of_family(db: &impl Connection, campaign: CampaignId) -> Result<Vec<Failed>, Error> {
    let latest = "campaign_id IN (SELECT g.id FROM campaigns g WHERE g.id = $1 OR g.parent = $1)
        AND delivery_id IS NOT NULL GROUP BY key";
    failed(db, latest, &resent("$1"), campaign.0).await
}

/// Where the people of `campaign` stand who were written to again by one of its resends.
///
/// # Errors
/// [`Error`]
pub async fn resent_to(db: &impl Connection, campaign: CampaignId) -> Result<BTreeMap<StateName, i64>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        state: i16,
        count: i64,
    }
    // State 6 is bounced: only those were written to again. A late report may have come since, so all of them count.
    let sql = format!(
        "SELECT {} AS state, count(*) AS count
        FROM campaigns c JOIN deliveries r ON r.id >= (c.id << 31) AND r.id < ((c.id + 1) << 31)
        WHERE c.parent = $1 AND r.state NOT IN (7, 8)
          AND NOT EXISTS (SELECT 1 FROM deliveries n WHERE n.contact_id = r.contact_id AND n.id > r.id
              AND n.state NOT IN (7, 8) AND (n.id >> 31) IN (SELECT g.id FROM campaigns g WHERE g.parent = $1))
        GROUP BY 1",
        state_of("r")
    );
    let rows = all::<Row>(db, &sql, [campaign.0.into()]).await?;
    rows.into_iter().map(|row| Ok((state(row.state)?, row.count))).collect()
}

/// The state of the last message to the person of delivery `d`, resends of the campaign `of` included. A resend that
/// was not handed over, since it was suppressed or cancelled (7, 8), does not count.
fn resent(of: &str) -> String {
    format!(
        "COALESCE((SELECT {} FROM deliveries n WHERE n.contact_id = d.contact_id AND n.state NOT IN (7, 8)
             AND (n.id >> 31) IN (SELECT g.id FROM campaigns g WHERE g.parent = {of})
             ORDER BY n.id DESC LIMIT 1), {})",
        state_of("n"),
        state_of("d")
    )
}

async fn failed(db: &impl Connection, latest: &str, state_of: &str, value: i64) -> Result<Vec<Failed>, Error> {
    let sql = format!(
        "SELECT cause, hard, state, count(*) AS count, min(due) AS due, min(diagnostic) AS words
         FROM (SELECT b.cause, b.hard, {state_of} AS state, d.due, b.diagnostic
               FROM bounces b JOIN deliveries d ON d.id = b.delivery_id
               WHERE b.id IN (SELECT max(id) FROM bounces WHERE {latest})) AS last
         GROUP BY cause, hard, state ORDER BY count(*) DESC, cause"
    );
    failures(all(db, &sql, [value.into()]).await?)
}

#[derive(FromQueryResult)]
struct Failure {
    cause: String,
    hard: bool,
    state: i16,
    count: i64,
    due: i64,
    words: String,
}

fn failures(rows: Vec<Failure>) -> Result<Vec<Failed>, Error> {
    let read = |row: Failure| {
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those whose message stands so.
    pub state: Option<StateName>,
    /// Only those whose message failed at least once (`true`), or never (`false`).
    pub failed: Option<bool>,
    /// Only those whose last failure had this cause.
    pub cause: Option<BounceCause>,
    /// Only those whose address begins with this, or ends with it where it is a domain.
    pub search: String,
    /// Whether its resends count too: where the last message to a person stands.
    pub resends: bool,
    /// Only people who followed this of its links.
    pub link: Option<u16>,
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
    filter: &Filter,
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
    let of = campaign.0.to_string();
    let (state_of, last) = if filter.resends {
        let family = format!("SELECT g.id FROM campaigns g WHERE g.id = {of} OR g.parent = {of}");
        (resent(&of), format!("SELECT max(id) FROM bounces x WHERE x.key = c.key AND x.campaign_id IN ({family})"))
    } else {
        (state_of("d"), "SELECT max(id) FROM bounces WHERE delivery_id = d.id".to_owned())
    };
    if let Some(state) = filter.state {
        condition += &match state {
            _ if filter.resends => format!(" AND {state_of} = {}", state.code()),
            // In the words of the indexes, which PostgreSQL does not find in what is computed.
            StateName::Leased => " AND d.state = 2 AND d.handed IS NULL".to_owned(),
            StateName::HandingOver => " AND d.state = 2 AND d.handed IS NOT NULL".to_owned(),
            _ => format!(" AND d.state = {}", state.code()),
        };
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
    if let Some(link) = filter.link {
        // From those who followed it to what became of their letters, not the other way round: they are few.
        condition += &format!(
            " AND d.id IN (SELECT k.delivery_id FROM clicks k WHERE k.delivery_id > $1 AND k.delivery_id <= $2
                 AND k.link = {link} AND NOT k.machine)"
        );
    }
    let (first, end) = DeliveryId::range(campaign);
    let after = after.map_or(first - 1, |id| id.0);
    let mut values: Vec<Value> = vec![after.into(), end.into(), i64::from(limit).into()];
    if !filter.search.trim().is_empty() {
        condition += " AND c.key LIKE $4 ESCAPE '!'";
        values.push(pattern(&filter.search).into());
    }
    let sql = format!(
        "SELECT d.id, d.contact_id, c.address, {state_of} AS state, d.attempts, d.due, b.id AS bounce, b.cause
         FROM deliveries d JOIN contacts c ON c.id = d.contact_id
         LEFT JOIN bounces b ON b.id = ({last})
         WHERE d.id > $1 AND d.id <= $2{condition} ORDER BY d.id LIMIT $3"
    );
    let rows = all::<Row>(db, &sql, values).await?;
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
