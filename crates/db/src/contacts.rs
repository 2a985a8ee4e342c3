//! Contacts.

use crate::sql::{all, execute, json, keys_json, millis, number, one, rows};
use crate::suppressions::pattern;
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{AddressKey, Contact, ContactId, EmailAddress, Fields, ListId};
use sea_orm::{FromQueryResult, Value};
use std::collections::HashMap;

/// Adds those whose address nobody has yet; how many were added.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn add(db: &impl Connection, people: &[(EmailAddress, Fields)], now: DateTime<Utc>) -> Result<u64, Error> {
    if people.is_empty() {
        return Ok(0);
    }
    #[derive(serde::Serialize)]
    struct New<'a> {
        domain: String,
        key: AddressKey,
        address: &'a EmailAddress,
        fields: String,
    }
    let json = json(people.iter().map(|(address, fields)| {
        let key = address.key();
        New { domain: key.domain().to_owned(), key, address, fields: written(fields) }
    }))?;
    let sql = format!(
        "INSERT INTO contacts (key, address, domain, fields, created)
         SELECT key, address, domain, fields, CAST($2 AS BIGINT) FROM {} WHERE true
         ON CONFLICT (key) DO NOTHING",
        rows(db, 1, &[("key", "TEXT"), ("address", "TEXT"), ("domain", "TEXT"), ("fields", "TEXT")])
    );
    execute(db, &sql, [json.into(), millis(now).into()]).await
}

/// Replaces the fields of each.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn set_fields(db: &impl Connection, changes: &[(ContactId, Fields)]) -> Result<(), Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let json: Vec<_> =
        changes.iter().map(|(id, fields)| serde_json::json!({ "id": id, "fields": written(fields) })).collect();
    let sql = format!(
        "UPDATE contacts SET fields = rows.fields FROM {} WHERE contacts.id = rows.id",
        rows(db, 1, &[("id", "BIGINT"), ("fields", "TEXT")])
    );
    execute(db, &sql, [serde_json::Value::Array(json).to_string().into()]).await?;
    Ok(())
}

/// The contact with `id`.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Unreadable`]
pub async fn get(db: &impl Connection, id: ContactId) -> Result<Option<Contact>, Error> {
    let row: Option<Row> = one(db, "SELECT id, address, fields FROM contacts WHERE id = $1", [id.0.into()]).await?;
    row.map(Contact::try_from).transpose()
}

/// The contact with that address.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Unreadable`]
pub async fn by_key(db: &impl Connection, key: &AddressKey) -> Result<Option<Contact>, Error> {
    let sql = "SELECT id, address, fields FROM contacts WHERE key = $1";
    let row: Option<Row> = one(db, sql, [key.as_str().into()]).await?;
    row.map(Contact::try_from).transpose()
}

/// Those of `ids` that there are.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Unreadable`]
pub async fn with_ids(db: &impl Connection, ids: &[ContactId]) -> Result<HashMap<ContactId, Contact>, Error> {
    let json: Vec<_> = ids.iter().map(|id| serde_json::json!({ "id": id })).collect();
    let sql = format!(
        "SELECT c.id, c.address, c.fields FROM {} CROSS JOIN contacts c WHERE c.id = rows.id",
        rows(db, 1, &[("id", "BIGINT")])
    );
    let found = read(all(db, &sql, [serde_json::Value::Array(json).to_string().into()]).await?)?;
    Ok(found.into_iter().map(|contact| (contact.id, contact)).collect())
}

/// Those of `keys` that there are.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Unreadable`]
pub async fn with_keys(db: &impl Connection, keys: &[AddressKey]) -> Result<HashMap<AddressKey, Contact>, Error> {
    let sql = format!(
        "SELECT c.id, c.address, c.fields FROM {} CROSS JOIN contacts c WHERE c.key = rows.key",
        rows(db, 1, &[("key", "TEXT")])
    );
    let found = read(all(db, &sql, [keys_json(keys)?.into()]).await?)?;
    Ok(found.into_iter().map(|contact| (contact.address.key(), contact)).collect())
}

/// Which contacts a page shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those whose address or one of whose fields begins with this; `@` and a domain: whose address ends so.
    pub search: String,
    /// Only those at this domain.
    pub domain: Option<String>,
    /// Only those who are on this list, and have not left it.
    pub list: Option<ListId>,
}

/// Newest first, those that come after `after`.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Unreadable`]
pub async fn page(
    db: &impl Connection,
    filter: &Filter,
    after: Option<ContactId>,
    limit: u32,
) -> Result<Vec<Contact>, Error> {
    let (condition, mut values) = filter.condition();
    let sql = format!(
        "SELECT c.id, c.address, c.fields FROM contacts c WHERE {condition} AND c.id < $5 ORDER BY c.id DESC LIMIT $6"
    );
    values.extend([after.map_or(i64::MAX, |id| id.0).into(), i64::from(limit).into()]);
    read(all(db, &sql, values).await?)
}

/// How many there are.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn count(db: &impl Connection, filter: &Filter) -> Result<i64, Error> {
    let (condition, values) = filter.condition();
    number(db, &format!("SELECT COUNT(*) FROM contacts c WHERE {condition}"), values).await
}

impl Filter {
    /// Its condition on `contacts c`, and the parameters `$1` to `$4`. What is not asked for is left out of the
    /// condition, so that an index can serve the rest.
    fn condition(&self) -> (String, Vec<Value>) {
        // Every parameter is named, for PostgreSQL wants to know the type of each.
        let mut condition = "CAST($1 AS TEXT) IS NOT NULL AND CAST($2 AS TEXT) IS NOT NULL \
                             AND CAST($3 AS TEXT) IS NOT NULL AND CAST($4 AS BIGINT) IS NOT NULL"
            .to_owned();
        if !self.search.trim().is_empty() {
            condition += " AND (c.key LIKE $1 ESCAPE '!' OR LOWER(c.fields) LIKE $2 ESCAPE '!')";
        }
        if self.domain.is_some() {
            condition += " AND c.domain = $3";
        }
        if self.list.is_some() {
            condition += " AND EXISTS (SELECT 1 FROM subscriptions s
                WHERE s.list_id = $4 AND s.contact_id = c.id AND s.state <> 2)";
        }
        let search = pattern(&self.search);
        // The beginning of a value, in the JSON that the fields are kept as.
        let value = format!("%:\"{search}");
        let domain = self.domain.as_deref().unwrap_or_default().to_lowercase();
        let list = self.list.map_or(0, |list| list.0);
        (condition, vec![search.into(), value.into(), domain.into(), list.into()])
    }
}

#[derive(FromQueryResult)]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) address: String,
    pub(crate) fields: String,
}

pub(crate) fn read(rows: Vec<Row>) -> Result<Vec<Contact>, Error> {
    rows.into_iter().map(Contact::try_from).collect()
}

impl TryFrom<Row> for Contact {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            id: ContactId(row.id),
            address: row.address.parse().map_err(|_| Error::unreadable("contacts", "address"))?,
            fields: serde_json::from_str(&row.fields).map_err(|_| Error::unreadable("contacts", "fields"))?,
        })
    }
}

fn written(fields: &Fields) -> String {
    serde_json::json!(fields).to_string()
}
