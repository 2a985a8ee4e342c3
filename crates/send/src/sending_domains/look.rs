//! Looking for the records of keys, and what follows from what is found.

use super::{By, DomainError, SELF, activate, note, retire};
use crate::dns::{resolver, texts};
use chrono::{DateTime, Utc};
use hickory_resolver::TokioResolver;
use rebound_db::dkim_keys::{self, Kept};
use rebound_db::{Pool, sending_domains};
use rebound_domain::{DkimKey, DomainName, KeyState, RecordState, SendingDomainId, judge_record};
use std::collections::HashMap;
use std::net::SocketAddr;

/// What DNS says of each of `keys`, which sign for `domain`, in their order. Asks `nameserver`, or whom this machine
/// asks; takes 5 seconds at most.
pub async fn look_up(domain: &DomainName, keys: &[DkimKey], nameserver: Option<SocketAddr>) -> Vec<RecordState> {
    match resolver(nameserver) {
        Ok(resolver) => futures_util::future::join_all(keys.iter().map(|key| record(&resolver, domain, key))).await,
        Err(error) => {
            let why = format!("this machine knows none ({error})");
            keys.iter().map(|_| RecordState::Unknown(why.clone())).collect()
        }
    }
}

async fn record(resolver: &TokioResolver, domain: &DomainName, key: &DkimKey) -> RecordState {
    match texts(resolver, &key.record_name(domain.as_str())).await {
        Ok(texts) => judge_record(&texts, key),
        Err(why) => RecordState::Unknown(why),
    }
}

/// Looks for the records of a domain's keys now, and notes what is found. A key that waited for its record signs from
/// now on.
///
/// # Errors
/// [`DomainError`]
pub async fn check(
    db: &Pool,
    id: SendingDomainId,
    nameserver: Option<SocketAddr>,
    by: By<'_>,
) -> Result<(), DomainError> {
    let domain = sending_domains::get(db, id).await?.ok_or(DomainError::Unknown)?;
    let kept = dkim_keys::of(db, id).await?;
    let keys: Vec<DkimKey> = kept.into_iter().map(|kept| kept.key).filter(is_published).collect();
    let found = noted(db, &domain.name, &keys, nameserver, by).await?;
    let words: Vec<String> =
        keys.iter().zip(found).map(|(key, found)| format!("{} {}", key.selector, found.as_str())).collect();
    let detail = format!("{}: {}", domain.name, words.join(", "));
    Ok(note(db, "domain.checked", id, &detail, by).await?)
}

/// Whether its record should be there.
fn is_published(key: &DkimKey) -> bool {
    !matches!(key.state, KeyState::Retired { .. })
}

async fn noted(
    db: &Pool,
    domain: &DomainName,
    keys: &[DkimKey],
    nameserver: Option<SocketAddr>,
    by: By<'_>,
) -> Result<Vec<RecordState>, DomainError> {
    let all = look_up(domain, keys, nameserver).await;
    for (key, found) in keys.iter().zip(&all) {
        dkim_keys::note_check(db, key.id, found, by.now).await?;
        if key.state == KeyState::Waiting && *found == RecordState::Found {
            unless_done(activate(db, key.id, by).await)?;
        }
    }
    Ok(all)
}

/// What time does: looks for the records that are waited for or signed with, and ends keys whose time is up. Several
/// programs may do it at once.
///
/// # Errors
/// [`DomainError`]
pub async fn look_at_keys(db: &Pool, nameserver: Option<SocketAddr>, now: DateTime<Utc>) -> Result<(), DomainError> {
    let by = By { actor: SELF, now };
    let mut due: HashMap<SendingDomainId, Vec<DkimKey>> = HashMap::new();
    for Kept { key, .. } in dkim_keys::at_work(db).await? {
        if is_over(&key, now) {
            unless_done(retire(db, key.id, by).await)?;
        } else if key.wants_a_look(now) {
            due.entry(key.domain).or_default().push(key);
        }
    }
    for (id, keys) in due {
        if let Some(domain) = sending_domains::get(db, id).await? {
            noted(db, &domain.name, &keys, nameserver, by).await?;
        }
    }
    Ok(())
}

fn is_over(key: &DkimKey, now: DateTime<Utc>) -> bool {
    matches!(key.state, KeyState::Retiring { until, .. } if until <= now)
}

/// Another program, or a person, may have been faster.
fn unless_done(done: Result<(), DomainError>) -> Result<(), DomainError> {
    match done {
        Err(DomainError::NotNow(_) | DomainError::UnknownKey) => Ok(()),
        done => done,
    }
}
