//! Messages in doubt that have arrived after all, as is heard later.

use super::{record_acceptances, standings};
use chrono::{DateTime, Utc};
use rebound_db::leases::{self, Answered, Try};
use rebound_db::{Error, Transaction, bounces, deliveries, doubts};
use rebound_domain::{AddressKey, Bounce, DeliveryId, Grade, Policy, WorkerId};

/// No worker: none of these tries is anybody's any more.
const NOBODY: WorkerId = WorkerId(0);

/// Settles as taken those of `arrived` whose last try is in doubt; how many. Where such a message waits to be sent again
/// it is not. `evidence` is how it is known: whoever complains of a letter, or leaves by its link, has it.
///
/// It comes first in its transaction, as whoever records what came back waits for others before it writes.
///
/// # Errors
/// [`Error`]: nothing may be committed then.
pub async fn record_arrivals(
    tx: &Transaction,
    arrived: &[DeliveryId],
    evidence: &str,
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<usize, Error> {
    let tries = doubts::last_tries(tx, arrived).await?;
    if tries.is_empty() {
        return Ok(0);
    }
    bounces::one_at_a_time(tx).await?;
    settle(tx, doubts::last_tries(tx, arrived).await?, evidence, policy, now).await
}

/// Notes that messages were delivered, as whoever passed them on tells and proves: what was in doubt is settled, and what
/// counted against those mailboxes before is forgotten.
///
/// It comes first in its transaction, as [`record_arrivals`].
///
/// # Errors
/// [`Error`]: nothing may be committed then.
pub async fn record_deliveries(
    tx: &Transaction,
    delivered: &[(DeliveryId, AddressKey)],
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let ids: Vec<DeliveryId> = delivered.iter().map(|(id, _)| *id).collect();
    record_arrivals(tx, &ids, "whoever passed it on tells that it was delivered", policy, now).await?;
    standings::reached(tx, delivered, policy, now).await
}

/// The same for tries of which a host reports a delay: it keeps the letter, and goes on with it.
pub(super) async fn kept(
    tx: &Transaction,
    heard: &[&Bounce],
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let delayed: Vec<&&Bounce> = heard.iter().filter(|one| one.held && one.grade > Grade::TextOnly).collect();
    let ids: Vec<DeliveryId> = delayed.iter().filter_map(|one| one.delivery).collect();
    let mut tries = doubts::last_tries(tx, &ids).await?;
    tries.retain(|of| delayed.iter().any(|one| one.delivery == Some(of.id) && one.attempt == of.number));
    settle(tx, tries, "a delay was reported: the host keeps it", policy, now).await.map(drop)
}

async fn settle(
    tx: &Transaction,
    tries: Vec<Try>,
    evidence: &str,
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<usize, Error> {
    if tries.is_empty() {
        return Ok(0);
    }
    let answered = |of: &Try| Answered { of: of.clone(), accepted: true, reply: evidence.to_owned() };
    leases::note_answers(tx, NOBODY, &tries.iter().map(answered).collect::<Vec<_>>(), now).await?;
    let accepted = leases::accept(tx, NOBODY, &tries).await?;
    let keys: Vec<_> = deliveries::keys(tx, &accepted).await?.into_iter().collect();
    record_acceptances(tx, &keys, policy, now).await?;
    Ok(keys.len())
}
