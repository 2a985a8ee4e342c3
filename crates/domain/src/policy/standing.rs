//! How an address stands, folded from what happened to it.

use super::{Consequence, Policy};
use crate::{AddressKey, BounceCause, CampaignId, Permanence, Scope, Suppression, SuppressionReason};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// How well a bounce is known to be about a message of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// Only the text of a report names the address: noted, and changes nothing.
    TextOnly,
    /// A signed name of ours came back inside the report.
    Returned,
    /// A reply in our own session, or a report to a signed return path.
    Ours,
}

/// Something that happened to an address. When it happened is the fold's `now`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// A delivery failed for good.
    Bounced {
        /// Why.
        cause: BounceCause,
        /// Whether the cause lasts.
        permanence: Permanence,
        /// How well we know.
        grade: Grade,
        /// Of which campaign.
        campaign: CampaignId,
        /// Part of an incident: nobody is judged by it.
        excused: bool,
    },
    /// The receiving host took a message.
    Accepted,
    /// The person was reached for certain: an authenticated delivered, open or click event.
    Reached,
    /// A person here lifted what stood.
    Lifted,
}

/// Whether an address can be reached, as far as bounces tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reach", rename_all = "snake_case")]
pub enum Reach {
    /// Nothing speaks against it.
    #[default]
    Reachable,
    /// It rests, and rejoins by itself.
    Resting {
        /// Since when.
        since: DateTime<Utc>,
        /// Its come-back date.
        until: DateTime<Utc>,
        /// Why.
        cause: BounceCause,
    },
    /// It is gone.
    Gone {
        /// Since when.
        since: DateTime<Utc>,
        /// Why.
        cause: BounceCause,
    },
}

/// Soft bounces in a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// When the first one came.
    pub since: DateTime<Utc>,
    /// When the last one came.
    pub last: DateTime<Utc>,
    /// The campaign of each: at most one counts per campaign.
    pub campaigns: Vec<CampaignId>,
}

impl Run {
    /// How many counted.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.campaigns.len()).unwrap_or(u32::MAX)
    }
}

/// How an address stands: a cache of [`fold`] over its facts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Whether it can be reached.
    pub reach: Reach,
    /// The soft bounces in a row.
    pub run: Option<Run>,
    /// Doubtful causes and when each came first.
    pub doubts: Vec<(BounceCause, DateTime<Utc>)>,
    /// An acceptance that may yet be followed by a bounce.
    pub accepted: Option<DateTime<Utc>>,
    /// How many rests it has had.
    pub rests: u32,
}

impl Standing {
    /// The suppression of `address` that it calls for; `evidence` shows it in words.
    #[must_use]
    pub fn suppression(&self, address: &AddressKey, evidence: String) -> Option<Suppression> {
        let (reason, since, until) = match self.reach {
            Reach::Reachable => return None,
            Reach::Resting { since, until, .. } => (SuppressionReason::Soft, since, Some(until)),
            Reach::Gone { since, .. } => (SuppressionReason::Hard, since, None),
        };
        Some(Suppression { address: address.clone(), scope: Scope::Everywhere, reason, since, until, evidence })
    }

    /// When something last spoke against the address that an event to the contrary clears.
    #[must_use]
    pub fn last_trouble(&self) -> Option<DateTime<Utc>> {
        self.run.iter().map(|run| run.last).chain(self.doubts.iter().map(|(_, at)| *at)).max()
    }

    fn cleared(&self) -> Self {
        Self { reach: self.reach, ..Self::default() }
    }
}

/// The standing after `fact` at `now`.
#[must_use]
pub fn fold(policy: &Policy, standing: &Standing, fact: &Fact, now: DateTime<Utc>) -> Standing {
    let standing = proven(policy, standing, now);
    match *fact {
        // An acceptance is remembered for what it may clear; where nothing speaks against an address it says nothing new.
        Fact::Accepted if standing == standing.cleared() => standing,
        Fact::Accepted => Standing { accepted: standing.accepted.or(Some(now)), ..standing },
        Fact::Reached => standing.cleared(),
        Fact::Lifted => Standing::default(),
        Fact::Bounced { excused: true, .. } | Fact::Bounced { grade: Grade::TextOnly, .. } => standing,
        Fact::Bounced { cause, permanence, campaign, .. } => {
            // What speaks of the sender or the lane says nothing about whether an acceptance will hold.
            let unproven = Standing { accepted: None, ..standing.clone() };
            match policy.row(cause, permanence).consequence {
                Consequence::AtOnce => gone(unproven, cause, now),
                Consequence::SecondTime => second_time(policy, unproven, cause, now),
                Consequence::Counted { limit, over_days, rest_days } => {
                    let limits = Limits { limit, over_days, rest_days };
                    counted(policy, unproven, cause, campaign, limits, now)
                }
                Consequence::LaneOnly | Consequence::Incident { .. } | Consequence::Nothing { .. } => standing,
            }
        }
    }
}

/// An acceptance that stayed unbounced long enough clears the count, the doubts and the rests.
fn proven(policy: &Policy, standing: &Standing, now: DateTime<Utc>) -> Standing {
    let long_enough = TimeDelta::days(policy.proven_days.into());
    match standing.accepted {
        Some(at) if now - at >= long_enough => standing.cleared(),
        _ => standing.clone(),
    }
}

fn gone(standing: Standing, cause: BounceCause, now: DateTime<Utc>) -> Standing {
    match standing.reach {
        Reach::Gone { .. } => standing,
        _ => Standing { reach: Reach::Gone { since: now, cause }, ..standing },
    }
}

fn second_time(policy: &Policy, mut standing: Standing, cause: BounceCause, now: DateTime<Utc>) -> Standing {
    let apart = TimeDelta::days(policy.second_time_days.into());
    match standing.doubts.iter().find(|(known, _)| *known == cause) {
        Some((_, first)) if now - *first >= apart => gone(standing, cause, now),
        Some(_) => standing,
        None => {
            standing.doubts.push((cause, now));
            standing
        }
    }
}

/// The numbers of a counted row.
#[derive(Clone, Copy)]
struct Limits {
    limit: u32,
    over_days: u32,
    rest_days: u32,
}

fn counted(
    policy: &Policy,
    standing: Standing,
    cause: BounceCause,
    campaign: CampaignId,
    limits: Limits,
    now: DateTime<Utc>,
) -> Standing {
    let gap = TimeDelta::hours(policy.count_gap_hours.into());
    if standing.run.as_ref().is_some_and(|run| run.campaigns.contains(&campaign) || now - run.last < gap) {
        return standing;
    }
    let mut run = standing.run.clone().unwrap_or(Run { since: now, last: now, campaigns: vec![] });
    run.last = now;
    run.campaigns.push(campaign);
    // An address that rested and came back has one try: its next failure is the next rest.
    let full = run.count() >= limits.limit && now - run.since >= TimeDelta::days(limits.over_days.into());
    if full || standing.rests > 0 {
        rest(Standing { run: None, ..standing }, cause, limits.rest_days, now)
    } else {
        Standing { run: Some(run), ..standing }
    }
}

fn rest(standing: Standing, cause: BounceCause, rest_days: u32, now: DateTime<Utc>) -> Standing {
    match standing.reach {
        Reach::Gone { .. } => standing,
        // A late report about mail from before the rest is no failed come-back.
        Reach::Resting { until, .. } if now < until => standing,
        _ if standing.rests >= 2 => gone(standing, cause, now),
        _ => {
            let until = now + TimeDelta::days(i64::from(rest_days) << standing.rests);
            Standing { reach: Reach::Resting { since: now, until, cause }, rests: standing.rests + 1, ..standing }
        }
    }
}
