//! What is known of a person, changed by hand.

use crate::Error;
use chrono::{DateTime, Utc};
use rebound_db::events::Event;
use rebound_db::{Pool, contacts, events};
use rebound_domain::{Contact, Fields};

/// Replaces all fields of `contact`. The log names the fields that changed, and repeats none of their values.
///
/// # Errors
/// [`Error::Database`]
pub async fn set_fields(
    pool: &Pool,
    contact: &Contact,
    fields: Fields,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let names: std::collections::BTreeSet<&String> = contact.fields.keys().chain(fields.keys()).collect();
    let changed = names.into_iter().filter(|name| contact.fields.get(*name) != fields.get(*name));
    let detail = changed.map(String::as_str).collect::<Vec<_>>().join(", ");
    if detail.is_empty() {
        return Ok(());
    }
    let tx = pool.begin().await?;
    contacts::set_fields(&tx, &[(contact.id, fields)]).await?;
    let (subject_id, key) = (Some(contact.id.0), Some(contact.address.key()));
    events::add(&tx, &Event { at: now, kind: "contact.edited", actor, subject: "contact", subject_id, key, detail })
        .await?;
    Ok(tx.commit().await?)
}
