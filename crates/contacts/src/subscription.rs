//! Joining, confirming, leaving a list, and coming back.

use crate::Error;
use chrono::{DateTime, Utc};
use rebound_db::events::Event;
use rebound_db::{Connection, contacts, events, lists, subscriptions, suppressions};
use rebound_domain::{
    Contact, ContactId, List, ListId, Scope, Subscription, SubscriptionState, Suppression, SuppressionReason,
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

/// A list that a person joined once, and whether they want its mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preference {
    /// The list.
    pub list: List,
    /// Whether they are on it, and have not left.
    pub wanted: bool,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// What the person wants, by the names of the lists. Lists that they never joined are no business of theirs.
///
/// # Errors
/// [`Error::NoContact`], [`Error::Database`]
pub async fn preferences(
    db: &impl Connection,
    contact: ContactId,
    now: DateTime<Utc>,
) -> Result<Vec<Preference>, Error> {
    let person = contacts::get(db, contact).await?.ok_or(Error::NoContact)?;
    let mut left = suppressions::of(db, &person.address.key()).await?;
    left.retain(|one| one.reason == SuppressionReason::Unsubscribe && one.stands(now));
    let places = subscriptions::of_contact(db, contact).await?;
    let names = lists::all(db).await?;
    let wish = |list: List| {
        let place = places.iter().find(|place| place.list == list.id)?;
        let gone = left.iter().any(|one| within(one.scope, list.id));
        let wanted = place.state == SubscriptionState::Confirmed && !gone;
        Some(Preference { list, wanted, since: place.since })
    };
    Ok(names.into_iter().filter_map(wish).collect())
}

/// The person says of some of their lists whether they want the mail; whether that was news. What they say nothing
/// of stays as it is, and so does a list that they never joined.
///
/// # Errors
/// [`Error::NoContact`], [`Error::Database`]
pub async fn prefer(
    db: &impl Connection,
    contact: ContactId,
    wishes: &[(ListId, bool)],
    source: &str,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let mut news = false;
    for Preference { list, wanted, .. } in preferences(db, contact, now).await? {
        match wishes.iter().find(|(of, _)| *of == list.id) {
            Some((_, true)) if !wanted => confirm(db, contact, list.id, source, now).await?,
            Some((_, false)) if wanted => {
                unsubscribe(db, contact, Scope::List(list.id), source, now).await?;
            }
            _ => continue,
        }
        news = true;
    }
    Ok(news)
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
