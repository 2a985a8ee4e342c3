//! Adding suppressions by hand, and lifting them: one or many.

mod export;

pub use export::SuppressionExport;

use crate::Error;
use chrono::{DateTime, Utc};
use rebound_db::events::Event;
use rebound_db::standings::Kept;
use rebound_db::suppressions::Filter;
use rebound_db::{Connection, Pool, Transaction, bounces, contacts, events, standings, suppressions};
use rebound_domain::{AddressKey, Scope, Standing, Suppression, SuppressionReason};
use std::collections::HashMap;

/// Suppressions that are lifted or added by one transaction.
const PART: u32 = 500;

/// Somebody here, `actor`, says that an address is not to be written to: for good, or until a day.
///
/// # Errors
/// [`Error::Database`]
pub async fn suppress(
    db: &impl Connection,
    address: &AddressKey,
    scope: Scope,
    until: Option<DateTime<Utc>>,
    why: &str,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    suppress_part(db, std::slice::from_ref(address), scope, until, (actor, why), now).await
}

/// The same of many addresses, for all mail; each once.
///
/// # Errors
/// [`Error::Database`]: some may be suppressed by then; to repeat it does no harm.
pub async fn suppress_all(
    pool: &Pool,
    addresses: &[AddressKey],
    until: Option<DateTime<Utc>>,
    why: &str,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    for part in addresses.chunks(PART as usize) {
        let tx = pool.begin().await?;
        suppress_part(&tx, part, Scope::Everywhere, until, (actor, why), now).await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn suppress_part(
    db: &impl Connection,
    addresses: &[AddressKey],
    scope: Scope,
    until: Option<DateTime<Utc>>,
    (actor, why): (&str, &str),
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let (reason, evidence) = (SuppressionReason::Manual, format!("{actor}: {why}"));
    let suppression = |key: &AddressKey| Suppression {
        address: key.clone(),
        scope,
        reason,
        since: now,
        until,
        evidence: evidence.clone(),
    };
    suppressions::add_all(db, &addresses.iter().map(suppression).collect::<Vec<_>>()).await?;
    let said = addresses.iter().map(|key| (key, "suppressed", format!("by hand: {why}")));
    note(db, &said.collect::<Vec<_>>(), actor, now).await
}

/// Ends one suppression by hand; whether there was one. What bounces said of the address is forgotten with it.
///
/// Who left a list is not put back on it: only they can do that.
///
/// # Errors
/// [`Error::Forgotten`], [`Error::NeedsReason`], [`Error::Database`]
pub async fn lift(
    pool: &Pool,
    address: &AddressKey,
    scope: Scope,
    reason: SuppressionReason,
    why: &str,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    may_be_lifted(reason, why)?;
    let standing = suppressions::of(pool, address).await?;
    let named: Vec<Suppression> =
        standing.into_iter().filter(|one| one.scope == scope && one.reason == reason).collect();
    Ok(lift_all(pool, &named, why, actor, now).await? > 0)
}

/// Ends many: see [`lift`]. How many stood.
///
/// # Errors
/// [`Error::Forgotten`], [`Error::NeedsReason`]: nothing was changed. [`Error::Database`]: some may be lifted by then;
/// to repeat it does no harm.
pub async fn lift_all(
    pool: &Pool,
    which: &[Suppression],
    why: &str,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    which.iter().try_for_each(|one| may_be_lifted(one.reason, why))?;
    let mut lifted = 0;
    for part in which.chunks(PART as usize) {
        let tx = pool.begin().await?;
        lifted += lift_part(&tx, part, (actor, why), now).await?;
        tx.commit().await?;
    }
    Ok(lifted)
}

/// Ends all that `filter` lets through and that may be lifted for that reason; how many. Who asked to be forgotten
/// stays forgotten.
///
/// # Errors
/// [`Error::NeedsReason`]: nothing was changed. [`Error::Database`]: some may be lifted by then; to repeat it does no
/// harm.
pub async fn lift_found(
    pool: &Pool,
    filter: &Filter,
    why: &str,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    let asks_why = [SuppressionReason::Complaint, SuppressionReason::Unsubscribe].into_iter();
    for reason in asks_why.filter(|reason| filter.reason.is_none_or(|only| only == *reason)) {
        let filter = Filter { reason: Some(reason), ..filter.clone() };
        if !suppressions::page(pool, &filter, None, 1, now).await?.is_empty() {
            may_be_lifted(reason, why)?;
        }
    }
    let (mut lifted, mut after) = (0, None);
    loop {
        let mut part = suppressions::page(pool, filter, after.as_ref(), PART, now).await?;
        let Some(last) = part.last() else { return Ok(lifted) };
        after = Some(last.clone());
        part.retain(|one| one.reason != SuppressionReason::Erased);
        lifted += lift_all(pool, &part, why, actor, now).await?;
    }
}

fn may_be_lifted(reason: SuppressionReason, why: &str) -> Result<(), Error> {
    use SuppressionReason::{Complaint, Erased, Hard, Manual, Soft, Unsubscribe};
    match reason {
        Erased => Err(Error::Forgotten),
        Complaint | Unsubscribe if why.trim().is_empty() => Err(Error::NeedsReason),
        Complaint | Unsubscribe | Soft | Hard | Manual => Ok(()),
    }
}

async fn lift_part(
    tx: &Transaction,
    which: &[Suppression],
    (actor, why): (&str, &str),
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    bounces::one_at_a_time(tx).await?;
    let removed = suppressions::remove_all(tx, which).await?;
    let about_bounces = |one: &&Suppression| matches!(one.reason, SuppressionReason::Soft | SuppressionReason::Hard);
    // A lift ends all that bounces said: see `fold`.
    let anew: HashMap<AddressKey, Kept> = removed
        .iter()
        .filter(about_bounces)
        .map(|one| (one.address.clone(), Kept { standing: Standing::default(), updated: now }))
        .collect();
    standings::put(tx, &anew.into_iter().collect::<Vec<_>>()).await?;
    let said = removed.iter().map(|one| {
        // `lifted` is a fact that standings are folded from; the others say nothing about bounces.
        let kind = if about_bounces(&one) { "lifted" } else { "lifted.other" };
        let reason = one.reason.as_str();
        let detail = if why.trim().is_empty() { reason.to_owned() } else { format!("{reason}: {why}") };
        (&one.address, kind, detail)
    });
    note(tx, &said.collect::<Vec<_>>(), actor, now).await?;
    Ok(removed.len() as u64)
}

/// Notes what was done to addresses: each with its kind and its detail.
async fn note(
    db: &impl Connection,
    said: &[(&AddressKey, &'static str, String)],
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let keys: Vec<AddressKey> = said.iter().map(|(key, ..)| (*key).clone()).collect();
    let people = contacts::with_keys(db, &keys).await?;
    let event = |(key, kind, detail): &(&AddressKey, &'static str, String)| Event {
        at: now,
        kind,
        actor,
        subject: "contact",
        subject_id: people.get(*key).map(|contact| contact.id.0),
        key: Some((*key).clone()),
        detail: detail.clone(),
    };
    let events: Vec<Event<'_>> = said.iter().map(event).collect();
    Ok(events::add_all(db, &events).await?)
}
