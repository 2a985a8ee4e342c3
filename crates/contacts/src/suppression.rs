//! Adding a suppression by hand, and lifting one.

use crate::Error;
use chrono::{DateTime, Utc};
use rebound_db::events::Event;
use rebound_db::standings::Kept;
use rebound_db::{Connection, Pool, bounces, contacts, events, standings, suppressions};
use rebound_domain::{AddressKey, Fact, Policy, Scope, Suppression, SuppressionReason, fold};

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
    let (address, reason) = (address.clone(), SuppressionReason::Manual);
    let suppression = Suppression { address, scope, reason, since: now, until, evidence: format!("{actor}: {why}") };
    suppressions::add(db, &suppression).await?;
    note(db, "suppressed", &suppression.address, format!("by hand: {why}"), actor, now).await
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
    use SuppressionReason::{Complaint, Erased, Hard, Manual, Soft, Unsubscribe};
    match reason {
        Erased => return Err(Error::Forgotten),
        Complaint | Unsubscribe if why.trim().is_empty() => return Err(Error::NeedsReason),
        Complaint | Unsubscribe | Soft | Hard | Manual => {}
    }
    let tx = pool.begin().await?;
    let db = &tx;
    bounces::one_at_a_time(db).await?;
    if !suppressions::remove(db, address, scope, reason).await? {
        return Ok(false);
    }
    let about_bounces = matches!(reason, Soft | Hard);
    if about_bounces {
        let known = standings::get(db, std::slice::from_ref(address)).await?.remove(address);
        let standing = known.map(|kept| kept.standing).unwrap_or_default();
        // No row of the policy is asked about a lift.
        let standing = fold(&Policy::default(), &standing, &Fact::Lifted, now);
        standings::put(db, &[(address.clone(), Kept { standing, updated: now })]).await?;
    }
    let detail = if why.trim().is_empty() { reason.as_str().to_owned() } else { format!("{}: {why}", reason.as_str()) };
    // `lifted` is a fact that standings are folded from; the others say nothing about bounces.
    let kind = if about_bounces { "lifted" } else { "lifted.other" };
    note(db, kind, address, detail, actor, now).await?;
    tx.commit().await?;
    Ok(true)
}

async fn note(
    db: &impl Connection,
    kind: &str,
    address: &AddressKey,
    detail: String,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let contact = contacts::by_key(db, address).await?.map(|contact| contact.id.0);
    let key = Some(address.clone());
    Ok(events::add(db, &Event { at: now, kind, actor, subject: "contact", subject_id: contact, key, detail }).await?)
}
