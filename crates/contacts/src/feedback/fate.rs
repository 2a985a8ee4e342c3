//! What becomes of a delivery whose try failed.

use chrono::{DateTime, Utc};
use rebound_db::bounces::Note;
use rebound_db::deliveries::{self, Delivery, Settled};
use rebound_db::{Error, Transaction, campaigns};
use rebound_domain::{
    Bounce, Campaign, CampaignId, CampaignState, ContactId, DeliveryId, Grade, IncidentId, Next, Policy, StateName,
    Tries, next_try,
};
use std::collections::HashMap;

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing: the bounce is kept and shown.
    Noted,
    /// It is tried again.
    Again(DateTime<Utc>),
    /// It is given up.
    Final,
}

/// A bounce that was not known, and what follows from it.
#[derive(Debug)]
pub(super) struct Judged<'a> {
    pub(super) bounce: &'a Bounce,
    pub(super) fate: Fate,
    /// The incident it belongs to: nobody is judged by it.
    pub(super) incident: Option<IncidentId>,
    contact: Option<ContactId>,
    was_accepted: bool,
}

impl<'a> Judged<'a> {
    pub(super) fn is_final(&self) -> bool {
        self.fate == Fate::Final
    }

    /// Whether a host had taken the message, and it came back.
    pub(super) fn took_back(&self) -> bool {
        self.was_accepted && self.fate != Fate::Noted
    }

    pub(super) fn settled(&self) -> Option<Settled> {
        let id = self.bounce.delivery?;
        match self.fate {
            Fate::Noted => None,
            Fate::Again(due) => Some(Settled { id, state: StateName::Deferred, due: Some(due) }),
            Fate::Final => Some(Settled { id, state: StateName::Bounced, due: None }),
        }
    }

    pub(super) fn note(&self, policy: &Policy) -> Note<'a> {
        Note {
            bounce: self.bounce,
            contact: self.contact,
            is_final: self.is_final(),
            policy_version: policy.version,
            incident: self.incident,
        }
    }
}

/// The deliveries and campaigns that bounces are about.
#[derive(Debug)]
pub(super) struct Places {
    deliveries: HashMap<DeliveryId, Delivery>,
    pub(super) campaigns: HashMap<CampaignId, Campaign>,
}

impl Places {
    pub(super) async fn of(tx: &Transaction, heard: &[&Bounce]) -> Result<Self, Error> {
        let mut ids: Vec<DeliveryId> = heard.iter().filter_map(|bounce| bounce.delivery).collect();
        ids.sort_unstable();
        ids.dedup();
        let found = deliveries::get(tx, &ids).await?;
        let mut known = HashMap::new();
        for delivery in &found {
            let id = delivery.id.campaign();
            if !known.contains_key(&id)
                && let Some(campaign) = campaigns::get(tx, id).await?
            {
                known.insert(id, campaign);
            }
        }
        Ok(Self { deliveries: found.into_iter().map(|one| (one.id, one)).collect(), campaigns: known })
    }
}

/// Decides for each bounce in turn; a delivery that one of them settled is not settled by the next.
pub(super) fn judge<'a>(
    heard: &[&'a Bounce],
    places: &Places,
    policy: &Policy,
    mut jitter: impl FnMut() -> f64,
    now: DateTime<Utc>,
) -> Vec<Judged<'a>> {
    let mut settled: HashMap<DeliveryId, StateName> = HashMap::new();
    let mut judge = |bounce: &'a Bounce| {
        let delivery = bounce.delivery.and_then(|id| places.deliveries.get(&id));
        let state = delivery.map(|one| *settled.entry(one.id).or_insert(one.state));
        let open = delivery.filter(|one| state.is_some_and(|state| may_settle(bounce, one, state)));
        let cancelled = bounce.delivery.and_then(|id| places.campaigns.get(&id.campaign())).is_some_and(is_cancelled);
        let fate = open.map_or(Fate::Noted, |one| fate(bounce, one, cancelled, policy, jitter(), now));
        let judged = Judged {
            bounce,
            fate,
            incident: None,
            contact: delivery.map(|one| one.contact),
            was_accepted: state == Some(StateName::Accepted),
        };
        if let Some(new) = judged.settled() {
            settled.insert(new.id, new.state);
        }
        judged
    };
    heard.iter().map(|bounce| judge(bounce)).collect()
}

/// Whether a bounce can change the state of its delivery: it must be known to be ours, about the last try, and told
/// after the other side gave the message back.
fn may_settle(bounce: &Bounce, delivery: &Delivery, state: StateName) -> bool {
    let last_try = bounce.attempt == 0 || bounce.attempt == delivery.attempts;
    let in_session = bounce.inbox.is_none();
    bounce.grade > Grade::TextOnly
        && !bounce.held
        && last_try
        && match state {
            // A report cannot be about a try that has not begun: only who makes it knows that it failed. Where the one
            // before it may have arrived, the report says that it did and came back: the next is not made for that doubt.
            StateName::Leased if in_session => true,
            StateName::Planned | StateName::Deferred | StateName::Leased => !in_session && delivery.in_doubt,
            StateName::HandingOver | StateName::InDoubt | StateName::Accepted => true,
            StateName::Bounced | StateName::Suppressed | StateName::Cancelled => false,
        }
}

fn fate(
    bounce: &Bounce,
    delivery: &Delivery,
    cancelled: bool,
    policy: &Policy,
    jitter: f64,
    now: DateTime<Utc>,
) -> Fate {
    // Whoever had it gave it up without a try.
    if bounce.inbox.is_none() && bounce.attempt == 0 {
        return Fate::Final;
    }
    let verdict = &bounce.verdict;
    let made = u32::from(delivery.attempts.max(bounce.attempt).max(1));
    let tries = Tries { since: delivery.since.unwrap_or(now), made };
    let judged = (verdict.cause, verdict.permanence);
    let told = verdict.retry_after.or(bounce.learned);
    match next_try(policy, judged, bounce.refusal, tries, told, jitter, now) {
        Next::Again(due) if !cancelled => Fate::Again(due),
        _ => Fate::Final,
    }
}

fn is_cancelled(campaign: &Campaign) -> bool {
    campaign.state == CampaignState::Cancelled
}
