//! What came back: failed tries, acceptances and complaints, and what follows for the people they are about.
//!
//! ```text
//! bounces ─▶ noted once ─▶ delivery: again when due, or bounced
//!                              │ bounced for good
//!                              ├─▶ incident, if it is our fault or a host's ─▶ nobody is judged; a burst makes
//!                              │                                               the campaign wait
//!                              └─▶ standing of the address ─▶ suppression
//! ```
//!
//! All of it happens in the transaction of the caller: sending records what hosts answered in the commit that
//! settles the tries, and the reader of reports records a batch of them at a time. What it all leads to is decided in
//! `rebound-domain`; twice is the same as once.

mod arrivals;
mod clicks;
mod complaints;
mod corrections;
mod fate;
mod incidents;
mod standings;

pub use arrivals::{record_arrivals, record_deliveries};
pub use clicks::{Caller, let_count, record_click};
pub use complaints::record_complaints;
pub use corrections::{CORRECTED_AT_ONCE, Corrected, Extent, correct, take_back};
pub(crate) use corrections::{foreseen, judge_history};
pub use incidents::{Restored, close, restore_next};
pub use standings::rebuild_standing;

use chrono::{DateTime, Utc};
use fate::{Fate, Judged};
use rebound_db::leases::{self, Try};
use rebound_db::statistics::{self, Count, Kind};
use rebound_db::{Error, Transaction, bounces, deliveries};
use rebound_domain::{AddressKey, Bounce, CampaignId, DeliveryId, IncidentId, Policy, StateName};
use std::collections::{HashMap, HashSet};

/// Who does what happens by itself, in the audit.
const REBOUND: &str = "rebound";

/// What [`record_bounces`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Kept and shown, and nothing more: delays, reports that only name an address, tries that are over.
    pub noted: usize,
    /// Deliveries that will be tried again.
    pub retried: usize,
    /// Deliveries that were given up.
    pub given_up: usize,
    /// Addresses that are not written to any more, or for now.
    pub suppressed: usize,
    /// Incidents that were opened.
    pub incidents: Vec<IncidentId>,
    /// Campaigns that wait because of a burst.
    pub waiting: Vec<CampaignId>,
    /// Known before: nothing was done.
    pub ignored: usize,
}

/// Records failed tries, in the order in which they were heard.
///
/// The caller has checked that bounces heard in a session are its own to tell, and has noted the tries themselves.
/// `jitter` gives numbers in 0..1.
///
/// # Errors
/// [`Error`]: nothing may be committed then.
pub async fn record_bounces(
    tx: &Transaction,
    heard: &[Bounce],
    policy: &Policy,
    mut jitter: impl FnMut() -> f64 + Send,
    now: DateTime<Utc>,
) -> Result<Recorded, Error> {
    if heard.is_empty() {
        return Ok(Recorded::default());
    }
    bounces::one_at_a_time(tx).await?;
    let heard = &with_tries(tx, heard).await?;
    let (fresh, known) = told_apart(tx, heard).await?;
    arrivals::kept(tx, &fresh, policy, now).await?;
    let places = fate::Places::of(tx, &fresh).await?;
    let mut judged = fate::judge(&fresh, &places, policy, &mut jitter, now);

    let mut opened = incidents::assign(tx, &mut judged, &places, policy, now).await?;
    deliveries::settle(tx, &judged.iter().filter_map(Judged::settled).collect::<Vec<_>>()).await?;
    end_tries(tx, &known, policy, jitter, now).await?;
    let notes: Vec<_> = judged.iter().map(|one| one.note(policy)).collect();
    let ids = bounces::add(tx, &notes).await?;
    statistics::count(tx, &counts(&judged, now)).await?;

    let bursts = incidents::bursts(tx, &judged, &places, now).await?;
    opened.extend(bursts.opened);
    let finals = standings::facts(&judged, &ids, policy);
    let suppressed = standings::judge(tx, finals, &bursts.absorbed, policy, now).await?;
    let fates = |wanted: fn(&Fate) -> bool| judged.iter().filter(|one| wanted(&one.fate)).count();
    Ok(Recorded {
        noted: fates(|fate| matches!(fate, Fate::Noted)),
        retried: fates(|fate| matches!(fate, Fate::Again(_))),
        given_up: fates(|fate| matches!(fate, Fate::Final)),
        suppressed,
        incidents: opened,
        waiting: bursts.waiting,
        ignored: known.len(),
    })
}

/// Names the try where a report named only the delivery (its return path was rewritten on the way): what was taken
/// last is what came back. Else the second report of one cause would be taken for the first, told twice. Where it named
/// a return path, several tries may have been made under it, and it is about the one that a host took.
async fn with_tries(tx: &Transaction, heard: &[Bounce]) -> Result<Vec<Bounce>, Error> {
    let mut heard = heard.to_vec();
    let named = |bounce: &Bounce| {
        let id = bounce.delivery.filter(|_| bounce.attempt > 0 && bounce.inbox.is_some())?;
        Some(Try { id, number: bounce.attempt })
    };
    let paths: Vec<Try> = heard.iter().filter_map(named).collect();
    if !paths.is_empty() {
        let tries = leases::tries_under(tx, &paths).await?;
        for bounce in &mut heard {
            let number = named(bounce).and_then(|path| tries.get(&(path.id, path.number)).copied());
            bounce.attempt = number.unwrap_or(bounce.attempt);
        }
    }
    let nameless = |bounce: &Bounce| bounce.attempt == 0 && bounce.inbox.is_some();
    let ids: Vec<DeliveryId> = heard.iter().filter(|one| nameless(one)).filter_map(|one| one.delivery).collect();
    if ids.is_empty() {
        return Ok(heard);
    }
    let taken = deliveries::get(tx, &ids).await?;
    let taken: HashMap<DeliveryId, u8> = taken
        .into_iter()
        .filter(|delivery| delivery.in_doubt || matches!(delivery.state, StateName::Accepted | StateName::InDoubt))
        .map(|delivery| (delivery.id, delivery.attempts))
        .collect();
    let handed = leases::last_handed(tx, &ids).await?;
    for bounce in heard.iter_mut().filter(|one| nameless(one)) {
        let Some(last) = bounce.delivery.and_then(|id| taken.get(&id).copied()) else { continue };
        // What happened before the last try went out is about the one before it.
        let is_older = bounce.delivery.and_then(|id| handed.get(&id)).is_some_and(|handed| bounce.at < *handed);
        bounce.attempt = if is_older { last.saturating_sub(1) } else { last };
    }
    Ok(heard)
}

/// What is not known yet, and what is, or is said twice here.
async fn told_apart<'a>(tx: &Transaction, heard: &'a [Bounce]) -> Result<(Vec<&'a Bounce>, Vec<&'a Bounce>), Error> {
    let about: Vec<DeliveryId> = heard.iter().filter_map(|bounce| bounce.delivery).collect();
    let mut known = bounces::known(tx, &about).await?;
    let mut named = HashSet::new();
    let (mut fresh, mut again) = (vec![], vec![]);
    for bounce in heard {
        let cause = bounce.verdict.cause;
        let is_new = match bounce.delivery {
            Some(delivery) => known.insert((delivery, bounce.attempt, cause, bounce.held)),
            None => named.insert((bounce.inbox, &bounce.address, cause)),
        };
        if is_new { fresh.push(bounce) } else { again.push(bounce) }
    }
    Ok((fresh, again))
}

/// Whoever makes a try has to be rid of it, also where what was heard is known: else the delivery would stay theirs for ever.
/// Nobody is judged by it again.
async fn end_tries(
    tx: &Transaction,
    known: &[&Bounce],
    policy: &Policy,
    jitter: impl FnMut() -> f64,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let in_session: Vec<&Bounce> = known.iter().copied().filter(|bounce| bounce.inbox.is_none()).collect();
    if in_session.is_empty() {
        return Ok(());
    }
    let places = fate::Places::of(tx, &in_session).await?;
    let judged = fate::judge(&in_session, &places, policy, jitter, now);
    deliveries::settle(tx, &judged.iter().filter_map(Judged::settled).collect::<Vec<_>>()).await?;
    Ok(())
}

fn counts(judged: &[Judged<'_>], now: DateTime<Utc>) -> Vec<Count> {
    let mut counts = vec![];
    for one in judged {
        let Some(campaign) = one.bounce.delivery.map(DeliveryId::campaign) else { continue };
        let verdict = &one.bounce.verdict;
        let mut add = |kind| counts.push(Count::one(now, campaign, kind, Some(verdict.cause)));
        match one.fate {
            Fate::Noted => {}
            Fate::Again(_) => add(Kind::Deferred),
            Fate::Final => add(if verdict.is_hard() { Kind::Hard } else { Kind::Soft }),
        }
        if one.took_back() {
            add(Kind::Returned);
        }
    }
    counts
}

/// Records that hosts took messages: which, and to whom.
///
/// The tries are noted before this is called, with the same `now`.
///
/// # Errors
/// [`Error`]: nothing may be committed then.
pub async fn record_acceptances(
    tx: &Transaction,
    accepted: &[(DeliveryId, AddressKey)],
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let counts: Vec<_> =
        accepted.iter().map(|(delivery, _)| Count::one(now, delivery.campaign(), Kind::Accepted, None)).collect();
    statistics::count(tx, &counts).await?;
    standings::accepted(tx, &keys(accepted), policy, now).await
}

fn keys(accepted: &[(DeliveryId, AddressKey)]) -> Vec<AddressKey> {
    accepted.iter().map(|(_, key)| key.clone()).collect()
}
