//! Administrators' orders about sending domains and their keys, and what time does with them.
//!
//! ```text
//! add, rotate ─▶ waiting ─ its record is seen ─▶ active ─ another is seen, or stop ─▶ retiring ─ 7 days ─▶ retired
//! ```
//!
//! Secrets are sealed here, and opened only to sign.

mod look;

pub use look::{check, look_at_keys, look_up};

use crate::sign::{SignError, Signer};
use crate::signing_key::{NotMade, Secret, make_key};
use chrono::{DateTime, Utc};
use rebound_db::dkim_keys::{self, Kept, New};
use rebound_db::{Connection, Pool, events, sending_domains};
use rebound_domain::{
    Alignment, DkimKeyId, DomainName, EmailAddress, KeyAlgorithm, KeyNotNow, KeyState, Keys, SendingDomain,
    SendingDomainId, Unsealed, seal, speaks_for, unseal,
};
use std::sync::Arc;

/// Why an order was not followed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum DomainError {
    /// There is no such domain.
    #[error("there is no such sending domain")]
    Unknown,
    /// There is no such key.
    #[error("there is no such key")]
    UnknownKey,
    /// It makes no sense in the key's state.
    #[error(transparent)]
    NotNow(#[from] KeyNotNow),
    /// New keys wait already.
    #[error("new keys wait already: put their records into DNS, or withdraw them first")]
    Waiting,
    /// A secret does not open.
    #[error("the key cannot be used: {0}. Make another, or bring the key file back")]
    Sealed(#[from] Unsealed),
    /// A secret does not fit.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The keys of the installation cannot seal.
    #[error("there is no key to seal the secret with")]
    NoKey,
    /// No key could be made.
    #[error(transparent)]
    NotMade(#[from] NotMade),
    /// The database did not take it.
    #[error(transparent)]
    Database(#[from] rebound_db::Error),
}

/// Whoever gives an order, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct By<'a> {
    /// Who, for the audit log.
    pub actor: &'a str,
    /// When.
    pub now: DateTime<Utc>,
}

/// What the audit log calls the program.
pub(crate) const SELF: &str = "rebound";

/// Adds a domain, with a new key of each kind: they sign when their records are seen.
///
/// # Errors
/// [`DomainError`]
pub async fn add(
    db: &Pool,
    keys: &Keys,
    (name, alignment): (&DomainName, Alignment),
    by: By<'_>,
) -> Result<SendingDomainId, DomainError> {
    let made = make_all(&KeyAlgorithm::ALL).await?;
    let tx = db.begin().await?;
    let id = sending_domains::create(&tx, (name, alignment), by.actor, by.now).await?;
    note(&tx, "domain.added", id, name.as_str(), by).await?;
    keep_all(&tx, keys, (id, name), made, by).await?;
    tx.commit().await?;
    Ok(id)
}

/// Sets how close a sender must be to the domain, for it to sign.
///
/// # Errors
/// [`DomainError`]
pub async fn align(db: &Pool, id: SendingDomainId, alignment: Alignment, by: By<'_>) -> Result<(), DomainError> {
    let tx = db.begin().await?;
    let domain = sending_domains::get(&tx, id).await?.ok_or(DomainError::Unknown)?;
    if domain.alignment != alignment {
        sending_domains::set_alignment(&tx, id, alignment, by.now).await?;
        note(&tx, "domain.aligned", id, &format!("{}: {}", domain.name, alignment.as_str()), by).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Makes a new key of each kind. Each takes the place of the one that signs when its record is seen, and not before:
/// until then nothing changes for mail.
///
/// # Errors
/// [`DomainError::Waiting`] when keys wait already.
pub async fn rotate(db: &Pool, keys: &Keys, id: SendingDomainId, by: By<'_>) -> Result<(), DomainError> {
    let made = make_all(&KeyAlgorithm::ALL).await?;
    let tx = db.begin().await?;
    let domain = sending_domains::get(&tx, id).await?.ok_or(DomainError::Unknown)?;
    if dkim_keys::of(&tx, id).await?.iter().any(|kept| kept.key.state == KeyState::Waiting) {
        return Err(DomainError::Waiting);
    }
    keep_all(&tx, keys, (id, &domain.name), made, by).await?;
    tx.commit().await?;
    Ok(())
}

/// Signs with a key from now on, whose record was seen; the one of its kind that signed so far retires.
///
/// # Errors
/// [`DomainError::NotNow`] unless it waits.
pub async fn activate(db: &Pool, id: DkimKeyId, by: By<'_>) -> Result<(), DomainError> {
    let tx = db.begin().await?;
    let key = dkim_keys::get(&tx, id).await?.ok_or(DomainError::UnknownKey)?.key;
    let to = key.state.seen(by.now)?;
    let others = dkim_keys::of(&tx, key.domain).await?;
    let is_replaced =
        |kept: &&Kept| kept.key.algorithm == key.algorithm && matches!(kept.key.state, KeyState::Active { .. });
    for old in others.iter().filter(is_replaced) {
        step(&tx, old, old.key.state.replaced(by.now)?, "dkim.retiring", by).await?;
    }
    let kept = others.iter().find(|kept| kept.key.id == id).ok_or(DomainError::UnknownKey)?;
    step(&tx, kept, to, "dkim.activated", by).await?;
    tx.commit().await?;
    Ok(())
}

/// Ends the work of a key. One that signs retires, and nothing takes its place; one that waits is withdrawn; one that
/// retires is over when its time is.
///
/// # Errors
/// [`DomainError::NotNow`] while mail that was signed with it may be on its way.
pub async fn retire(db: &Pool, id: DkimKeyId, by: By<'_>) -> Result<(), DomainError> {
    let tx = db.begin().await?;
    let kept = dkim_keys::get(&tx, id).await?.ok_or(DomainError::UnknownKey)?;
    let (to, kind) = match kept.key.state {
        KeyState::Active { .. } => (kept.key.state.replaced(by.now)?, "dkim.retiring"),
        KeyState::Waiting => (kept.key.state.over(by.now)?, "dkim.withdrawn"),
        KeyState::Retiring { .. } | KeyState::Retired { .. } => (kept.key.state.over(by.now)?, "dkim.retired"),
    };
    step(&tx, &kept, to, kind, by).await?;
    tx.commit().await?;
    Ok(())
}

/// Forgets a domain and the secrets of its keys. Mail from it goes unsigned.
///
/// # Errors
/// [`DomainError`]
pub async fn remove(db: &Pool, id: SendingDomainId, by: By<'_>) -> Result<(), DomainError> {
    let tx = db.begin().await?;
    let domain = sending_domains::get(&tx, id).await?.ok_or(DomainError::Unknown)?;
    sending_domains::remove(&tx, id).await?;
    note(&tx, "domain.removed", id, domain.name.as_str(), by).await?;
    tx.commit().await?;
    Ok(())
}

/// Whoever signs mail from `from`: the keys that are active for its domain, opened. `None` where mail from there goes
/// unsigned.
///
/// # Errors
/// [`DomainError::Sealed`] when a key does not open: better to wait than to go unsigned by mistake.
pub async fn signer(
    db: &impl Connection,
    keys: &Keys,
    from: &EmailAddress,
) -> Result<Option<Arc<Signer>>, DomainError> {
    let Some((domain, active)) = active(db, from).await? else { return Ok(None) };
    let mut opened = Vec::new();
    for kept in active {
        let secret = Secret::unsealed(unseal(keys, &kept.sealed, &place(kept.key.id))?);
        opened.push((kept.key, secret));
    }
    // RSA first: who knows only one kind finds it at once.
    opened.sort_by_key(|(key, _)| key.algorithm);
    Ok(Signer::new(domain.name, &opened)?.map(Arc::new))
}

/// The domain that speaks for `from`, and the keys that sign for it.
pub(crate) async fn active(
    db: &impl Connection,
    from: &EmailAddress,
) -> Result<Option<(SendingDomain, Vec<Kept>)>, rebound_db::Error> {
    let domains = sending_domains::list(db).await?;
    let Some(domain) = speaks_for(from.domain(), &domains) else { return Ok(None) };
    let mut kept = dkim_keys::of(db, domain.id).await?;
    kept.retain(|kept| matches!(kept.key.state, KeyState::Active { .. }));
    Ok(Some((domain.clone(), kept)))
}

/// Seals every secret with the first of `keys`; how many there were. Call it in a transaction.
pub(crate) async fn reseal(db: &impl Connection, keys: &Keys) -> Result<u64, DomainError> {
    let mut count = 0;
    for kept in dkim_keys::at_work(db).await?.into_iter().filter(|kept| !kept.sealed.is_empty()) {
        let secret = Secret::unsealed(unseal(keys, &kept.sealed, &place(kept.key.id))?);
        put_secret(db, keys, kept.key.id, &secret).await?;
        count += 1;
    }
    Ok(count)
}

/// Keys that were made, before they are kept.
type Made = Vec<(KeyAlgorithm, String, Secret)>;

/// RSA takes its time; others go on meanwhile.
async fn make_all(algorithms: &'static [KeyAlgorithm]) -> Result<Made, NotMade> {
    let make = || algorithms.iter().map(|one| make_key(*one).map(|(public, secret)| (*one, public, secret))).collect();
    tokio::task::spawn_blocking(make).await.map_err(|_| NotMade)?
}

async fn keep_all(
    tx: &impl Connection,
    keys: &Keys,
    (id, name): (SendingDomainId, &DomainName),
    made: Made,
    by: By<'_>,
) -> Result<(), DomainError> {
    let taken: Vec<String> = dkim_keys::of(tx, id).await?.into_iter().map(|kept| kept.key.selector).collect();
    for (algorithm, public, secret) in made {
        let mut number = 0;
        while taken.contains(&algorithm.selector(by.now, number)) {
            number += 1;
        }
        let selector = algorithm.selector(by.now, number);
        let new = New { domain: id, selector: &selector, algorithm, public: &public };
        let key = dkim_keys::create(tx, new, by.now).await?;
        put_secret(tx, keys, key, &secret).await?;
        note(tx, "dkim.made", id, &format!("{name}: {selector}"), by).await?;
    }
    Ok(())
}

async fn put_secret(db: &impl Connection, keys: &Keys, id: DkimKeyId, secret: &Secret) -> Result<(), DomainError> {
    let sealed = seal(keys, secret.as_str(), &place(id), rand::random()).ok_or(DomainError::NoKey)?;
    Ok(dkim_keys::set_secret(db, id, &sealed).await?)
}

/// Moves a key and notes who asked for it.
async fn step(tx: &impl Connection, kept: &Kept, to: KeyState, kind: &str, by: By<'_>) -> Result<(), DomainError> {
    let key = &kept.key;
    if !dkim_keys::set_state(tx, key.id, (key.state, to), by.now).await? {
        // Somebody was faster.
        return Err(KeyNotNow(key.state.as_str()).into());
    }
    Ok(note(tx, kind, key.domain, &key.selector, by).await?)
}

/// A sealed secret opens in its own row only.
fn place(id: DkimKeyId) -> String {
    format!("dkim_keys/{id}/secret")
}

async fn note(
    db: &impl Connection,
    kind: &str,
    id: SendingDomainId,
    detail: &str,
    by: By<'_>,
) -> Result<(), rebound_db::Error> {
    let (subject_id, detail) = (Some(id.0), detail.to_owned());
    let event = events::Event { at: by.now, kind, actor: by.actor, subject: "domain", subject_id, key: None, detail };
    events::add(db, &event).await
}

#[cfg(test)]
mod tests;
