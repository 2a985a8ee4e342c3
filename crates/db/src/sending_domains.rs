//! Domains that mail is sent from. Their keys are in [`dkim_keys`](crate::dkim_keys).

use crate::sql::{all, execute, millis, number, one, time};
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{Alignment, DomainName, SendingDomain, SendingDomainId};
use sea_orm::FromQueryResult;

/// All of them, by name.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn list(db: &impl Connection) -> Result<Vec<SendingDomain>, Error> {
    let rows = all::<Row>(db, "SELECT * FROM sending_domains ORDER BY name", []).await?;
    rows.into_iter().map(SendingDomain::try_from).collect()
}

/// The one with `id`.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn get(db: &impl Connection, id: SendingDomainId) -> Result<Option<SendingDomain>, Error> {
    let row = one::<Row>(db, "SELECT * FROM sending_domains WHERE id = $1", [id.0.into()]).await?;
    row.map(SendingDomain::try_from).transpose()
}

/// The one called `name`.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn named(db: &impl Connection, name: &DomainName) -> Result<Option<SendingDomain>, Error> {
    let row = one::<Row>(db, "SELECT * FROM sending_domains WHERE name = $1", [name.as_str().into()]).await?;
    row.map(SendingDomain::try_from).transpose()
}

/// Adds a domain.
///
/// # Errors
/// [`Error::Taken`] when it is there already; [`Error::Unavailable`].
pub async fn create(
    db: &impl Connection,
    (name, alignment): (&DomainName, Alignment),
    by: &str,
    now: DateTime<Utc>,
) -> Result<SendingDomainId, Error> {
    let sql = "INSERT INTO sending_domains (name, alignment, added, added_by, changed)
               VALUES ($1, $2, $3, $4, $3) ON CONFLICT (name) DO NOTHING";
    let values = [name.as_str().into(), alignment.as_str().into(), millis(now).into(), by.into()];
    if execute(db, sql, values).await? == 0 {
        return Err(Error::Taken { what: "sending domain" });
    }
    let sql = "SELECT id FROM sending_domains WHERE name = $1";
    Ok(SendingDomainId(number(db, sql, [name.as_str().into()]).await?))
}

/// Sets how close a sender must be.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn set_alignment(
    db: &impl Connection,
    id: SendingDomainId,
    alignment: Alignment,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let sql = "UPDATE sending_domains SET alignment = $1, changed = $2 WHERE id = $3";
    execute(db, sql, [alignment.as_str().into(), millis(now).into(), id.0.into()]).await?;
    Ok(())
}

/// Forgets a domain and its keys; whether there was one. Call it in a transaction.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn remove(db: &impl Connection, id: SendingDomainId) -> Result<bool, Error> {
    execute(db, "DELETE FROM dkim_keys WHERE domain_id = $1", [id.0.into()]).await?;
    Ok(execute(db, "DELETE FROM sending_domains WHERE id = $1", [id.0.into()]).await? == 1)
}

/// Tells whether domains or keys changed: equal as long as nothing that matters to signing did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub struct Edition {
    domains: i64,
    keys: i64,
    changed: i64,
    moved: i64,
    active: i64,
}

/// What is to be signed with at present.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn edition(db: &impl Connection) -> Result<Edition, Error> {
    let sql = "SELECT (SELECT count(*) FROM sending_domains) AS domains, (SELECT count(*) FROM dkim_keys) AS keys,
            (SELECT COALESCE(max(changed), 0) FROM sending_domains) AS changed,
            (SELECT COALESCE(max(since), 0) FROM dkim_keys) AS moved,
            (SELECT count(*) FROM dkim_keys WHERE state = 'active') AS active";
    Ok(one(db, sql, []).await?.unwrap_or_default())
}

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    name: String,
    alignment: String,
    added: i64,
    added_by: String,
}

impl TryFrom<Row> for SendingDomain {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            id: SendingDomainId(row.id),
            name: DomainName::stored(row.name),
            alignment: Alignment::named(&row.alignment).ok_or(Error::unreadable("sending_domains", "alignment"))?,
            added: time(row.added),
            added_by: row.added_by,
        })
    }
}
