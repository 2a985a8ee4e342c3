//! Subscriptions: who is on which list, since when, and by what consent.

use crate::contacts::Row as ContactRow;
use crate::sql::{all, execute, json, keys_json, millis, one, rows, time};
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{AddressKey, Contact, ContactId, ListId, Subscription, SubscriptionState};
use sea_orm::{FromQueryResult, Value};
use std::collections::HashMap;

/// Confirms each of `keys` who is a contact and has not left: new to the list, or still pending.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn confirm_all(
    db: &impl Connection,
    list: ListId,
    keys: &[AddressKey],
    source: &str,
    since: DateTime<Utc>,
) -> Result<(), Error> {
    if keys.is_empty() {
        return Ok(());
    }
    // 0 is pending, 1 confirmed.
    let sql = format!(
        "INSERT INTO subscriptions (list_id, contact_id, state, source, since)
         SELECT CAST($2 AS BIGINT), c.id, 1, CAST($3 AS TEXT), CAST($4 AS BIGINT)
         FROM {} CROSS JOIN contacts c WHERE c.key = rows.key
         ON CONFLICT (list_id, contact_id) DO UPDATE
         SET state = 1, source = excluded.source, since = excluded.since WHERE subscriptions.state = 0",
        rows(db, 1, &[("key", "TEXT")])
    );
    execute(db, &sql, [keys_json(keys)?.into(), list.0.into(), source.into(), millis(since).into()]).await?;
    Ok(())
}

/// Takes each of `contacts` off a list who is on it; who that was.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn leave_all(
    db: &impl Connection,
    list: ListId,
    contacts: &[ContactId],
    source: &str,
    since: DateTime<Utc>,
) -> Result<Vec<ContactId>, Error> {
    #[derive(FromQueryResult)]
    struct Id {
        contact_id: i64,
    }
    // 2 is left.
    let sql = format!(
        "UPDATE subscriptions SET state = 2, source = $3, since = $4
         WHERE list_id = $2 AND state <> 2 AND contact_id IN (SELECT id FROM {}) RETURNING contact_id",
        rows(db, 1, &[("id", "BIGINT")])
    );
    let values: [Value; 4] = [ids_json(contacts)?.into(), list.0.into(), source.into(), millis(since).into()];
    let gone: Vec<Id> = all(db, &sql, values).await?;
    Ok(gone.into_iter().map(|row| ContactId(row.contact_id)).collect())
}

/// Puts one as it is, over what was there.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn put(db: &impl Connection, subscription: &Subscription) -> Result<(), Error> {
    let sql = "INSERT INTO subscriptions (list_id, contact_id, state, source, since) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (list_id, contact_id) DO UPDATE
               SET state = excluded.state, source = excluded.source, since = excluded.since";
    let values: [Value; 5] = [
        subscription.list.0.into(),
        subscription.contact.0.into(),
        subscription.state.code().into(),
        subscription.source.as_str().into(),
        millis(subscription.since).into(),
    ];
    execute(db, sql, values).await?;
    Ok(())
}

/// How a contact stands in a list; `None` if it never joined.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Unreadable`]
pub async fn get(db: &impl Connection, list: ListId, contact: ContactId) -> Result<Option<Subscription>, Error> {
    let sql = "SELECT * FROM subscriptions WHERE list_id = $1 AND contact_id = $2";
    let row: Option<Row> = one(db, sql, [list.0.into(), contact.0.into()]).await?;
    row.map(Subscription::try_from).transpose()
}

/// How a contact stands in all lists it ever joined.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Unreadable`]
pub async fn of_contact(db: &impl Connection, contact: ContactId) -> Result<Vec<Subscription>, Error> {
    let sql = "SELECT * FROM subscriptions WHERE contact_id = $1 ORDER BY list_id";
    let rows: Vec<Row> = all(db, sql, [contact.0.into()]).await?;
    rows.into_iter().map(Subscription::try_from).collect()
}

/// The lists that each of `contacts` is on, and has not left.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn lists_of(db: &impl Connection, contacts: &[ContactId]) -> Result<HashMap<ContactId, Vec<ListId>>, Error> {
    #[derive(FromQueryResult)]
    struct Place {
        contact_id: i64,
        list_id: i64,
    }
    let sql = format!(
        "SELECT s.contact_id, s.list_id FROM {} CROSS JOIN subscriptions s
         WHERE s.contact_id = rows.id AND s.state <> 2 ORDER BY s.list_id",
        rows(db, 1, &[("id", "BIGINT")])
    );
    let mut lists: HashMap<ContactId, Vec<ListId>> = HashMap::new();
    for Place { contact_id, list_id } in all(db, &sql, [ids_json(contacts)?.into()]).await? {
        lists.entry(ContactId(contact_id)).or_default().push(ListId(list_id));
    }
    Ok(lists)
}

/// How each of `contacts` that ever joined `list` stands in it.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Unreadable`]
pub async fn states(
    db: &impl Connection,
    list: ListId,
    contacts: impl IntoIterator<Item = ContactId>,
) -> Result<HashMap<ContactId, SubscriptionState>, Error> {
    #[derive(FromQueryResult)]
    struct State {
        contact_id: i64,
        state: i16,
    }
    // `CROSS JOIN`: SQLite keeps to this order. Else it goes through the list, and through all ids for each member.
    let sql = format!(
        "SELECT s.contact_id, s.state FROM {} CROSS JOIN subscriptions s
         WHERE s.list_id = $2 AND s.contact_id = rows.id",
        rows(db, 1, &[("id", "BIGINT")])
    );
    let contacts: Vec<ContactId> = contacts.into_iter().collect();
    let rows: Vec<State> = all(db, &sql, [ids_json(&contacts)?.into(), list.0.into()]).await?;
    rows.into_iter().map(|row| Ok((ContactId(row.contact_id), state(row.state)?))).collect()
}

/// Whom a campaign to `$1` (the list) may reach at `$2` (the time): a condition's tables `subscriptions s` and
/// `contacts c`, for statements that plan deliveries as well as for those that show them.
pub(crate) const AUDIENCE: &str = "subscriptions s JOIN contacts c ON c.id = s.contact_id
    WHERE s.list_id = $1 AND s.state = 1 AND NOT EXISTS (
        SELECT 1 FROM suppressions x
        WHERE x.key = c.key AND x.scope IN (0, $1) AND x.since <= $2 AND (x.until IS NULL OR x.until > $2))";

/// A contact on a list: the person, and how they stand in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The person.
    pub contact: Contact,
    /// How they stand, and by what consent.
    pub subscription: Subscription,
}

/// Everyone who ever joined `list`, with an id above `after`, in the order of ids.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Unreadable`]
pub async fn members(db: &impl Connection, list: ListId, after: ContactId, limit: u32) -> Result<Vec<Member>, Error> {
    #[derive(FromQueryResult)]
    struct Both {
        id: i64,
        address: String,
        fields: String,
        state: i16,
        source: String,
        since: i64,
    }
    let sql = "SELECT c.id, c.address, c.fields, s.state, s.source, s.since
               FROM subscriptions s JOIN contacts c ON c.id = s.contact_id
               WHERE s.list_id = $1 AND s.contact_id > $2 AND c.id > $2 ORDER BY s.contact_id LIMIT $3";
    let rows: Vec<Both> = all(db, sql, [list.0.into(), after.0.into(), i64::from(limit).into()]).await?;
    let member = |row: Both| {
        let contact = Contact::try_from(ContactRow { id: row.id, address: row.address, fields: row.fields })?;
        let (state, since) = (state(row.state)?, time(row.since));
        let subscription = Subscription { list, contact: contact.id, state, source: row.source, since };
        Ok(Member { contact, subscription })
    };
    rows.into_iter().map(member).collect()
}

fn ids_json(contacts: &[ContactId]) -> Result<String, Error> {
    #[derive(serde::Serialize)]
    struct Id {
        id: ContactId,
    }
    json(contacts.iter().map(|id| Id { id: *id }))
}

fn state(code: i16) -> Result<SubscriptionState, Error> {
    SubscriptionState::from_code(code).ok_or(Error::unreadable("subscriptions", "state"))
}

#[derive(FromQueryResult)]
struct Row {
    list_id: i64,
    contact_id: i64,
    state: i16,
    source: String,
    since: i64,
}

impl TryFrom<Row> for Subscription {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            list: ListId(row.list_id),
            contact: ContactId(row.contact_id),
            state: state(row.state)?,
            source: row.source,
            since: time(row.since),
        })
    }
}
