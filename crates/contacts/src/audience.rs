//! Whom a campaign may reach.

use crate::Error;
use chrono::{DateTime, Utc};
use rebound_db::{Audience, Connection, audience as people};
use rebound_domain::{Contact, ContactId, ListId};

/// The confirmed subscribers of `list` with an id above `after` to whom no suppression stands at `now`, in the order
/// of their ids.
///
/// # Errors
/// [`Error::Database`]
pub async fn audience(
    db: &impl Connection,
    list: ListId,
    after: ContactId,
    limit: u32,
    now: DateTime<Utc>,
) -> Result<Vec<Contact>, Error> {
    Ok(people::people(db, everybody(list), after, limit, now).await?)
}

/// How many people [`audience`] would name in all.
///
/// # Errors
/// [`Error::Database`]
pub async fn audience_count(db: &impl Connection, list: ListId, now: DateTime<Utc>) -> Result<i64, Error> {
    Ok(people::count(db, everybody(list), now).await?)
}

fn everybody(list: ListId) -> Audience {
    Audience { list, resend: None, joined: None }
}
