//! The half of an import that writes: what becomes of each person.

use super::Import;
use super::columns::Person;
use super::read::Parcel;
use crate::Error;
use chrono::{DateTime, Utc};
use rebound_db::imports::{Counts, Fate};
use rebound_db::jobs::{self, Job};
use rebound_db::{Pool, Transaction, contacts, imports, subscriptions, suppressions};
use rebound_domain::{Contact, ImportId, SubscriptionState, SuppressionReason};

/// Writes a parcel, and how far the import came, in one transaction; nothing where the job is another's by now.
pub(super) async fn write(
    db: &Pool,
    id: ImportId,
    settings: &Import,
    parcel: Parcel,
    counts: &mut Counts,
    job: &mut Job,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let mut after = *counts;
    after.lines += parcel.lines;
    after.duplicates += parcel.duplicates;
    after.bad += i64::try_from(parcel.bad.len()).unwrap_or(0);
    let bytes = parcel.bytes;
    let tx = db.begin().await?;
    if !parcel.bad.is_empty() {
        imports::add_bad_rows(&tx, id, &parcel.bad).await?;
    }
    if !parcel.people.is_empty() {
        imports::one_at_a_time(&tx, settings.list).await?;
        write_people(&tx, id, settings, parcel.people, &mut after).await?;
    }
    imports::progress(&tx, id, &after).await?;
    job.done = share_done(&after, bytes, job.total);
    if !jobs::advance(&tx, job, now).await? {
        return Err(Error::Stopped);
    }
    tx.commit().await?;
    *counts = after;
    Ok(())
}

/// How much is done of `total` bytes: reading takes about a quarter of the time, writing the rest.
fn share_done(counts: &Counts, bytes: u64, total: i64) -> i64 {
    let read = i64::try_from(bytes).unwrap_or(total).min(total) / 4;
    let written = counts.added + counts.updated + counts.unchanged + counts.duplicates + counts.suppressed;
    let people = (counts.lines - counts.bad).max(1);
    read + i64::try_from(i128::from(total - total / 4) * i128::from(written) / i128::from(people)).unwrap_or(0)
}

async fn write_people(
    tx: &Transaction,
    id: ImportId,
    settings: &Import,
    people: Vec<Person>,
    counts: &mut Counts,
) -> Result<(), Error> {
    let keys: Vec<_> = people.iter().map(|person| person.key.clone()).collect();
    let known = contacts::with_keys(tx, &keys).await?;
    let states = subscriptions::states(tx, settings.list, known.values().map(|contact| contact.id)).await?;
    let standing = suppressions::standing(tx, &keys, Some(settings.list), settings.now).await?;

    let (mut added, mut changed, mut joining, mut fates) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for person in people {
        let reason = standing.get(&person.key).map(|suppression| suppression.reason);
        let contact = known.get(&person.key);
        let state = contact.and_then(|contact| states.get(&contact.id).copied());
        let changes = contact.is_some_and(|contact| teaches(&person, contact));
        let fate = fate(reason, state, changes);
        *counter(fate, counts) += 1;
        // Who asked to be forgotten: nothing is kept.
        let Some(fate) = fate else { continue };
        fates.push((person.key.clone(), fate));
        if may_join(reason, state) {
            joining.push(person.key);
        }
        match contact {
            None => added.push((person.address, person.fields)),
            Some(contact) if changes => {
                let mut fields = contact.fields.clone();
                fields.extend(person.fields);
                changed.push((contact.id, fields));
            }
            Some(_) => {}
        }
    }
    contacts::add(tx, &added, settings.now).await?;
    contacts::set_fields(tx, &changed).await?;
    imports::add_people(tx, id, &fates).await?;
    Ok(subscriptions::confirm_all(tx, settings.list, &joining, &settings.consent, settings.now).await?)
}

/// Whether a row says something of a contact that was not known.
fn teaches(person: &Person, contact: &Contact) -> bool {
    person.fields.iter().any(|(name, value)| contact.fields.get(name) != Some(value))
}

fn counter(fate: Option<Fate>, counts: &mut Counts) -> &mut i64 {
    match fate {
        None | Some(Fate::Suppressed) => &mut counts.suppressed,
        Some(Fate::Added) => &mut counts.added,
        Some(Fate::Updated) => &mut counts.updated,
        Some(Fate::Unchanged) => &mut counts.unchanged,
    }
}

/// What becomes of a person; nothing of one who asked to be forgotten.
fn fate(reason: Option<SuppressionReason>, state: Option<SubscriptionState>, changes: bool) -> Option<Fate> {
    Some(match (reason, state) {
        (Some(SuppressionReason::Erased), _) => return None,
        (Some(_), _) | (None, Some(SubscriptionState::Left)) => Fate::Suppressed,
        (None, None) => Fate::Added,
        (None, Some(SubscriptionState::Pending)) => Fate::Updated,
        (None, Some(SubscriptionState::Confirmed)) if changes => Fate::Updated,
        (None, Some(SubscriptionState::Confirmed)) => Fate::Unchanged,
    })
}

/// Whether a row may put someone on the list: a rest or a dead mailbox may end one day, but who left or complained
/// comes back by their own act only.
fn may_join(reason: Option<SuppressionReason>, state: Option<SubscriptionState>) -> bool {
    use SuppressionReason::{Complaint, Erased, Hard, Manual, Soft, Unsubscribe};
    let stays = matches!(state, Some(SubscriptionState::Confirmed | SubscriptionState::Left));
    !stays
        && match reason {
            None | Some(Soft | Hard | Manual) => true,
            Some(Unsubscribe | Complaint | Erased) => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_who_left_comes_back_by_a_file() {
        use SubscriptionState::{Confirmed, Left, Pending};
        use SuppressionReason::{Complaint, Erased, Hard, Unsubscribe};
        for (reason, state, fate_expected, joins) in [
            (None, None, Some(Fate::Added), true),
            (None, Some(Pending), Some(Fate::Updated), true),
            (None, Some(Confirmed), Some(Fate::Unchanged), false),
            (None, Some(Left), Some(Fate::Suppressed), false),
            (Some(Hard), None, Some(Fate::Suppressed), true),
            (Some(Hard), Some(Left), Some(Fate::Suppressed), false),
            (Some(Unsubscribe), None, Some(Fate::Suppressed), false),
            (Some(Complaint), Some(Pending), Some(Fate::Suppressed), false),
            (Some(Erased), None, None, false),
        ] {
            assert_eq!(fate(reason, state, false), fate_expected, "{reason:?} {state:?}");
            assert_eq!(may_join(reason, state), joins, "{reason:?} {state:?}");
        }
    }
}
