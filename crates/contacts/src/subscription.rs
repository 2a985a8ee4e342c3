//! Joining, confirming, leaving a list, and coming back.

use crate::Error;
use chrono::{DateTime, Utc};
use rebound_db::events::Event;
use rebound_db::{Connection, contacts, events, subscriptions, suppressions};
use rebound_domain::{
    Contact, ContactId, ListId, Scope, Subscription, SubscriptionState, Suppression, SuppressionReason,
};

/// Asks for a place on a list: pending, until [`confirm`]. Who has one keeps it.
///
/// # Errors
/// [`Error::NoContact`], [`Error::Database`]
pub async fn subscribe(
    db: &impl Connection,
    contact: ContactId,
    list: ListId,
    source: &str,
    now: DateTime<Utc>,
) -> Result<SubscriptionState, Error> {
    let person = contacts::get(db, contact).await?.ok_or(Error::NoContact)?;
    let state = subscriptions::get(db, list, contact).await?.map(|known| known.state);
    if let Some(state @ (SubscriptionState::Pending | SubscriptionState::Confirmed)) = state {
        return Ok(state);
    }
    let state = SubscriptionState::Pending;
    subscriptions::put(db, &Subscription { list, contact, state, source: source.to_owned(), since: now }).await?;
    note(db, "subscription.asked", &person, source, now).await?;
    Ok(state)
}

/// The person says yes, with `source` and `now` as their consent. It ends their unsubscribe, and no other suppression.
///
/// # Errors
/// [`Error::NoContact`], [`Error::Database`]
pub async fn confirm(
    db: &impl Connection,
    contact: ContactId,
    list: ListId,
    source: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let person = contacts::get(db, contact).await?.ok_or(Error::NoContact)?;
    let key = person.address.key();
    let mut welcome = false;
    for scope in [Scope::List(list), Scope::Everywhere] {
        welcome |= suppressions::remove(db, &key, scope, SuppressionReason::Unsubscribe).await?;
    }
    let known = subscriptions::get(db, list, contact).await?;
    if known.is_some_and(|known| known.state == SubscriptionState::Confirmed) && !welcome {
        return Ok(());
    }
    let state = SubscriptionState::Confirmed;
    subscriptions::put(db, &Subscription { list, contact, state, source: source.to_owned(), since: now }).await?;
    note(db, "subscription.confirmed", &person, source, now).await
}

/// The person leaves one list, or all: from here on no such mail is handed over. Whether that was news.
///
/// The suppression is written first: should the rest fail, mail has stopped all the same.
///
/// # Errors
/// [`Error::NoContact`], [`Error::Database`]
pub async fn unsubscribe(
    db: &impl Connection,
    contact: ContactId,
    scope: Scope,
    source: &str,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let person = contacts::get(db, contact).await?.ok_or(Error::NoContact)?;
    let address = person.address.key();
    let known = suppressions::of(db, &address).await?;
    let gone =
        known.iter().any(|one| one.reason == SuppressionReason::Unsubscribe && one.scope == scope && one.stands(now));
    let staying = joined(db, contact, scope).await?;
    if gone && staying.is_empty() {
        return Ok(false);
    }
    let reason = SuppressionReason::Unsubscribe;
    let suppression = Suppression { address, scope, reason, since: now, until: None, evidence: source.to_owned() };
    suppressions::add(db, &suppression).await?;
    let mut detail = source.to_owned();
    for place in staying {
        // The consent goes on record here, since its place is taken by the leaving.
        detail += &format!("; list {} had consent “{}” of {}", place.list, place.source, place.since.to_rfc3339());
        let state = SubscriptionState::Left;
        subscriptions::put(db, &Subscription { state, source: source.to_owned(), since: now, ..place }).await?;
    }
    note(db, "unsubscribed", &person, &detail, now).await?;
    Ok(true)
}

/// Takes an unsubscribe back: the person is again where they were when they left. Whether they had left.
///
/// # Errors
/// [`Error::NoContact`], [`Error::Database`]
pub async fn resubscribe(
    db: &impl Connection,
    contact: ContactId,
    scope: Scope,
    source: &str,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let person = contacts::get(db, contact).await?.ok_or(Error::NoContact)?;
    let key = person.address.key();
    let known = suppressions::of(db, &key).await?;
    let Some(left) = known.iter().find(|one| one.reason == SuppressionReason::Unsubscribe && one.scope == scope) else {
        return Ok(false);
    };
    suppressions::remove(db, &key, scope, SuppressionReason::Unsubscribe).await?;
    for place in subscriptions::of_contact(db, contact).await? {
        // Only what this unsubscribe ended: a list left on another day stays left.
        if place.state == SubscriptionState::Left && within(scope, place.list) && place.since == left.since {
            let state = SubscriptionState::Confirmed;
            subscriptions::put(db, &Subscription { state, source: source.to_owned(), since: now, ..place }).await?;
        }
    }
    note(db, "resubscribed", &person, source, now).await?;
    Ok(true)
}

/// Where the person is, within `scope`, and has not left.
async fn joined(db: &impl Connection, contact: ContactId, scope: Scope) -> Result<Vec<Subscription>, Error> {
    let mut places = subscriptions::of_contact(db, contact).await?;
    places.retain(|place| place.state != SubscriptionState::Left && within(scope, place.list));
    Ok(places)
}

fn within(scope: Scope, list: ListId) -> bool {
    scope == Scope::Everywhere || scope == Scope::List(list)
}

async fn note(
    db: &impl Connection,
    kind: &str,
    person: &Contact,
    detail: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let event = Event {
        at: now,
        kind,
        actor: person.address.as_str(),
        subject: "contact",
        subject_id: Some(person.id.0),
        key: Some(person.address.key()),
        detail: detail.to_owned(),
    };
    Ok(events::add(db, &event).await?)
}
