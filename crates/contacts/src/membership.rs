//! What somebody here does to several people at once: put them on a list, take them off, write to them no more.

use crate::{Error, suppress as suppress_one};
use chrono::{DateTime, Utc};
use rebound_db::events::Event;
use rebound_db::{Pool, Transaction, events, subscriptions};
use rebound_domain::{AddressKey, Contact, ContactId, ListId, Scope, SubscriptionState};

/// Suppresses each address for all mail; how many.
///
/// # Errors
/// [`Error::Database`]
pub async fn suppress(
    pool: &Pool,
    people: &[Contact],
    why: &str,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<usize, Error> {
    let tx = pool.begin().await?;
    for contact in people {
        suppress_one(&tx, &contact.address.key(), Scope::Everywhere, None, why, actor, now).await?;
    }
    tx.commit().await?;
    Ok(people.len())
}

/// Puts people on a list, with the word of `actor` as their consent; how many that was news for. Who left it stays
/// off: only they can come back.
///
/// # Errors
/// [`Error::Database`]
pub async fn join(
    pool: &Pool,
    list: ListId,
    people: &[Contact],
    actor: &str,
    now: DateTime<Utc>,
) -> Result<usize, Error> {
    let tx = pool.begin().await?;
    let known = subscriptions::states(&tx, list, people.iter().map(|contact| contact.id)).await?;
    let new = |contact: &&Contact| matches!(known.get(&contact.id), None | Some(SubscriptionState::Pending));
    let new: Vec<&Contact> = people.iter().filter(new).collect();
    let keys: Vec<AddressKey> = new.iter().map(|contact| contact.address.key()).collect();
    subscriptions::confirm_all(&tx, list, &keys, &format!("by hand, {actor}"), now).await?;
    note(&tx, "list.joined", list, &new, actor, now).await?;
    tx.commit().await?;
    Ok(new.len())
}

/// Takes people off a list; how many were on it.
///
/// # Errors
/// [`Error::Database`]
pub async fn leave(
    pool: &Pool,
    list: ListId,
    people: &[Contact],
    actor: &str,
    now: DateTime<Utc>,
) -> Result<usize, Error> {
    let tx = pool.begin().await?;
    let ids: Vec<ContactId> = people.iter().map(|contact| contact.id).collect();
    let gone = subscriptions::leave_all(&tx, list, &ids, &format!("by hand, {actor}"), now).await?;
    let gone: Vec<&Contact> = people.iter().filter(|contact| gone.contains(&contact.id)).collect();
    note(&tx, "list.left", list, &gone, actor, now).await?;
    tx.commit().await?;
    Ok(gone.len())
}

async fn note(
    tx: &Transaction,
    kind: &str,
    list: ListId,
    people: &[&Contact],
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let name = rebound_db::lists::get(tx, list).await?.map(|list| list.name).unwrap_or_default();
    let event = |contact: &&Contact| Event {
        at: now,
        kind,
        actor,
        subject: "contact",
        subject_id: Some(contact.id.0),
        key: Some(contact.address.key()),
        detail: name.clone(),
    };
    let events: Vec<Event<'_>> = people.iter().map(event).collect();
    Ok(events::add_all(tx, &events).await?)
}
