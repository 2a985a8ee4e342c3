//! The links of campaigns that are counted, and who followed them.
//!
//! Of each link in each letter one visit is kept: the first of the person, or of a machine while no person came. Neither
//! the address nor the program of whoever came is kept.

use crate::sql::{all, execute, json, millis, number, one, rows, time};
use crate::{Connection, Error, Transaction};
use chrono::{DateTime, Utc};
use rebound_domain::{CampaignId, ContactId, CountedLink, DeliveryId, Follower};
use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult};

/// A visit that was noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Click {
    /// Of which letter, and which of its links.
    pub of: CountedLink,
    /// When.
    pub at: DateTime<Utc>,
    /// Whose.
    pub follower: Follower,
}

/// A link of a campaign, and how many followed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkCount {
    /// Where it leads, as its author wrote it.
    pub target: String,
    /// How many people.
    pub people: i64,
    /// In how many letters only machines did.
    pub machines: i64,
}

/// A visit of one person, for their story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Of which letter.
    pub delivery: DeliveryId,
    /// Where it leads, as its author wrote it.
    pub target: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// Keeps where the links of a campaign lead; the first is number 1. What was kept before stays.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn keep_links(tx: &Transaction, campaign: CampaignId, targets: &[String]) -> Result<(), Error> {
    if targets.is_empty() {
        return Ok(());
    }
    let numbered = targets.iter().zip(1_u16..);
    let lines = numbered.map(|(target, number)| serde_json::json!({ "number": number, "target": target }));
    let wanted = rows(tx, 2, &[("number", "SMALLINT"), ("target", "TEXT")]);
    let sql = format!(
        "INSERT INTO links (campaign_id, number, target) SELECT $1, rows.number, rows.target FROM {wanted}
         WHERE TRUE ON CONFLICT DO NOTHING"
    );
    execute(tx, &sql, [campaign.0.into(), json(lines)?.into()]).await?;
    Ok(())
}

/// Where the links of a campaign lead, in their order: the first is number 1.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn links(db: &impl Connection, campaign: CampaignId) -> Result<Vec<String>, Error> {
    let sql = "SELECT target FROM links WHERE campaign_id = $1 ORDER BY number";
    Ok(all::<Target>(db, sql, [campaign.0.into()]).await?.into_iter().map(|row| row.target).collect())
}

#[derive(FromQueryResult)]
struct Target {
    target: String,
}

/// Where one link leads.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn target(db: &impl Connection, link: CountedLink) -> Result<Option<String>, Error> {
    let sql = "SELECT target FROM links WHERE campaign_id = $1 AND number = $2";
    let found = one::<Target>(db, sql, [link.delivery.campaign().0.into(), i32::from(link.link).into()]).await?;
    Ok(found.map(|row| row.target))
}

/// Waits until no other transaction notes what this person follows, and keeps others from it until this one ends.
///
/// On SQLite that is so by itself: there is one writer.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn one_at_a_time(tx: &Transaction, person: ContactId) -> Result<(), Error> {
    /// So that the numbers of people are not taken for those of other locks.
    const LOCKS: i32 = 2_546;
    if tx.get_database_backend() == DatabaseBackend::Postgres {
        let sql = format!("SELECT pg_advisory_xact_lock({LOCKS}, hashint8($1))");
        execute(tx, &sql, [person.0.into()]).await?;
    }
    Ok(())
}

/// What was noted of a letter.
///
/// # Errors
/// [`Error`]
pub async fn of_letter(db: &impl Connection, letter: DeliveryId) -> Result<Vec<Click>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        link: i16,
        at: i64,
        machine: bool,
    }
    let sql = "SELECT link, at, machine FROM clicks WHERE delivery_id = $1";
    let read = |row: Row| {
        let link = u16::try_from(row.link).map_err(|_| Error::unreadable("clicks", "link"))?;
        let follower = if row.machine { Follower::Machine } else { Follower::Person };
        Ok(Click { of: CountedLink { delivery: letter, link }, at: time(row.at), follower })
    };
    all::<Row>(db, sql, [letter.0.into()]).await?.into_iter().map(read).collect()
}

/// Notes a visit. A person's takes the place of a machine's; otherwise the first stays.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn note(tx: &Transaction, click: &Click) -> Result<(), Error> {
    let sql = "INSERT INTO clicks (delivery_id, link, at, machine) VALUES ($1, $2, $3, $4)
        ON CONFLICT (delivery_id, link) DO UPDATE SET at = excluded.at, machine = excluded.machine
        WHERE clicks.machine AND NOT excluded.machine";
    let machine = click.follower == Follower::Machine;
    let values = [click.of.delivery.0.into(), i32::from(click.of.link).into(), millis(click.at).into(), machine.into()];
    execute(tx, sql, values).await?;
    Ok(())
}

/// The visits to links of `letter` since `from` were a machine's, as is seen now.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn were_a_machine(tx: &Transaction, letter: DeliveryId, from: DateTime<Utc>) -> Result<(), Error> {
    let sql = "UPDATE clicks SET machine = TRUE WHERE delivery_id = $1 AND at >= $2";
    execute(tx, sql, [letter.0.into(), millis(from).into()]).await?;
    Ok(())
}

/// The links of a campaign, in their order, and how many followed each.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn counts(db: &impl Connection, campaign: CampaignId) -> Result<Vec<LinkCount>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        target: String,
        people: i64,
        machines: i64,
    }
    let (first, last) = DeliveryId::range(campaign);
    let sql = "SELECT l.target, COALESCE(c.people, 0) AS people, COALESCE(c.machines, 0) AS machines
        FROM links l LEFT JOIN (
            SELECT link, sum(CASE WHEN machine THEN 0 ELSE 1 END) AS people, sum(CASE WHEN machine THEN 1 ELSE 0 END) AS machines
            FROM clicks WHERE delivery_id BETWEEN $2 AND $3 GROUP BY link) c ON c.link = l.number
        WHERE l.campaign_id = $1 ORDER BY l.number";
    let rows = all::<Row>(db, sql, [campaign.0.into(), first.into(), last.into()]).await?;
    let read = |row: Row| LinkCount { target: row.target, people: row.people, machines: row.machines };
    Ok(rows.into_iter().map(read).collect())
}

/// How many people followed any link of a campaign.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn people(db: &impl Connection, campaign: CampaignId) -> Result<i64, Error> {
    let (first, last) = DeliveryId::range(campaign);
    let sql = "SELECT count(DISTINCT delivery_id) FROM clicks WHERE delivery_id BETWEEN $1 AND $2 AND NOT machine";
    number(db, sql, [first.into(), last.into()]).await
}

/// What one person followed, newest first.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn of_contact(db: &impl Connection, contact: ContactId, limit: u32) -> Result<Vec<Followed>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        delivery_id: i64,
        target: String,
        at: i64,
    }
    let sql = "SELECT c.delivery_id, l.target, c.at FROM deliveries d JOIN clicks c ON c.delivery_id = d.id
        JOIN links l ON l.campaign_id = (d.id >> 31) AND l.number = c.link
        WHERE d.contact_id = $1 AND NOT c.machine ORDER BY c.at DESC LIMIT $2";
    let rows = all::<Row>(db, sql, [contact.0.into(), i64::from(limit).into()]).await?;
    let read = |row: Row| Followed { delivery: DeliveryId(row.delivery_id), target: row.target, at: time(row.at) };
    Ok(rows.into_iter().map(read).collect())
}

/// Whether a person does not want it noted which links they follow.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn is_uncounted(db: &impl Connection, contact: ContactId) -> Result<bool, Error> {
    Ok(number(db, "SELECT count(*) FROM uncounted WHERE contact_id = $1", [contact.0.into()]).await? > 0)
}

/// A person does not want it noted: what was is forgotten.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn stop_counting(tx: &Transaction, contact: ContactId, now: DateTime<Utc>) -> Result<(), Error> {
    let sql = "INSERT INTO uncounted (contact_id, since) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    execute(tx, sql, [contact.0.into(), millis(now).into()]).await?;
    let sql = "DELETE FROM clicks WHERE delivery_id IN (SELECT id FROM deliveries WHERE contact_id = $1)";
    execute(tx, sql, [contact.0.into()]).await?;
    Ok(())
}

/// A person does not mind any more.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn count_again(tx: &Transaction, contact: ContactId) -> Result<(), Error> {
    execute(tx, "DELETE FROM uncounted WHERE contact_id = $1", [contact.0.into()]).await?;
    Ok(())
}
