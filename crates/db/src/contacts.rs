//! Contacts.

mod page;

pub use page::{Filter, Found, How, Membership, Sort, State, count, page, total};

use crate::sql::{all, execute, json, keys_json, millis, one, rows};
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{AddressKey, Contact, ContactId, EmailAddress, Fields, full_name};
use sea_orm::FromQueryResult;
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
        name: String,
        surname: String,
    }
    let json = json(people.iter().map(|(address, fields)| {
        let key = address.key();
        let (name, surname) = folded_names(fields);
        New { domain: key.domain().to_owned(), key, address, fields: written(fields), name, surname }
    }))?;
    let columns = [
        ("key", "TEXT"),
        ("address", "TEXT"),
        ("domain", "TEXT"),
        ("fields", "TEXT"),
        ("name", "TEXT"),
        ("surname", "TEXT"),
    ];
    let sql = format!(
        "INSERT INTO contacts (key, address, domain, fields, name, surname, created)
         SELECT key, address, domain, fields, name, surname, CAST($2 AS BIGINT) FROM {} WHERE true
         ON CONFLICT (key) DO NOTHING",
        rows(db, 1, &columns)
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
    let line = |(id, fields): &(ContactId, Fields)| {
        let (name, surname) = folded_names(fields);
        serde_json::json!({ "id": id, "fields": written(fields), "name": name, "surname": surname })
    };
    let json: Vec<_> = changes.iter().map(line).collect();
    let sql = format!(
        "UPDATE contacts SET fields = rows.fields, name = rows.name, surname = rows.surname
         FROM {} WHERE contacts.id = rows.id",
        rows(db, 1, &[("id", "BIGINT"), ("fields", "TEXT"), ("name", "TEXT"), ("surname", "TEXT")])
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

/// A contact whose row was changed by hand, or by a newer version, so that nothing can be written to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// Their address, as they are found by it.
    pub key: AddressKey,
    /// What cannot be read: a column.
    pub column: &'static str,
}

/// Those of `ids` that there are, each as they can be read: one bad row must not keep the others from their mail.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn recipients(
    db: &impl Connection,
    ids: &[ContactId],
) -> Result<HashMap<ContactId, Result<Contact, Unfit>>, Error> {
    #[derive(FromQueryResult)]
    struct Keyed {
        id: i64,
        key: String,
        address: String,
        fields: String,
    }
    let json: Vec<_> = ids.iter().map(|id| serde_json::json!({ "id": id })).collect();
    let sql = format!(
        "SELECT c.id, c.key, c.address, c.fields FROM {} CROSS JOIN contacts c WHERE c.id = rows.id",
        rows(db, 1, &[("id", "BIGINT")])
    );
    let found = all::<Keyed>(db, &sql, [serde_json::Value::Array(json).to_string().into()]).await?;
    let read = |Keyed { id, key, address, fields }| {
        let read = readable(id, &address, &fields);
        (ContactId(id), read.map_err(|column| Unfit { key: AddressKey::stored(key), column }))
    };
    Ok(found.into_iter().map(read).collect())
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
        readable(row.id, &row.address, &row.fields).map_err(|column| Error::unreadable("contacts", column))
    }
}

/// The contact, or the column that cannot be read.
fn readable(id: i64, address: &str, fields: &str) -> Result<Contact, &'static str> {
    Ok(Contact {
        id: ContactId(id),
        address: address.parse().map_err(|_| "address")?,
        fields: serde_json::from_str(fields).map_err(|_| "fields")?,
    })
}

fn written(fields: &Fields) -> String {
    serde_json::json!(fields).to_string()
}

/// What people are found by: their whole name and their last name, in lower case.
fn folded_names(fields: &Fields) -> (String, String) {
    let surname = fields.get("last_name").map(|name| name.trim().to_lowercase()).unwrap_or_default();
    (full_name(fields).unwrap_or_default().to_lowercase(), surname)
}
