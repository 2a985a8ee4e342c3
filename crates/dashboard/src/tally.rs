//! How a campaign is going: everybody in it, sorted into what became of them.

use crate::advice::{Turn, turn};
use crate::chart::{Slice, slices};
use crate::words::Count;
use rebound_db::outcomes::Failed;
use rebound_domain::{CampaignState, StateName};
use std::borrow::Borrow;
use std::collections::BTreeMap;

/// Everybody in a campaign, sorted into what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// All who are written to.
    pub(crate) people: i64,
    /// Delivered at the first try.
    pub(crate) at_once: i64,
    /// Delivered after a failure.
    pub(crate) recovered: i64,
    /// Failed for now, or their receiver rests.
    pub(crate) deferred: i64,
    /// Not tried yet, or just being tried.
    pub(crate) waiting: i64,
    /// Failed, and a person decides.
    pub(crate) yours: i64,
    /// Cannot be reached.
    pub(crate) lost: i64,
    /// Of those who wait for a person: their message may or may not have left when a worker died.
    pub(crate) in_doubt: i64,
    /// Left or were suppressed after the launch.
    pub(crate) suppressed: i64,
    /// Unsent, because the campaign was cancelled.
    pub(crate) cancelled: i64,
}

impl Tally {
    /// Sorts the deliveries of a campaign.
    pub(crate) fn of(counts: &BTreeMap<StateName, i64>, failed: &[Failed]) -> Self {
        let count = |states: &[StateName]| states.iter().filter_map(|state| counts.get(state)).sum::<i64>();
        let sum = |wanted: &dyn Fn(&&Failed) -> bool| failed.iter().filter(wanted).map(|one| one.count).sum::<i64>();
        let accepted = count(&[StateName::Accepted]);
        let recovered = sum(&|one| one.state == StateName::Accepted).min(accepted);
        let bounced = count(&[StateName::Bounced]);
        let decide =
            sum(&|one| one.state == StateName::Bounced && turn(one.cause, one.state) == Some(Turn::Yours)).min(bounced);
        let suppressed = count(&[StateName::Suppressed]);
        Self {
            people: counts.values().sum::<i64>() - suppressed,
            at_once: accepted - recovered,
            recovered,
            deferred: count(&[StateName::Deferred]),
            waiting: count(&[StateName::Planned, StateName::Leased, StateName::HandingOver]),
            yours: decide + count(&[StateName::InDoubt]),
            lost: bounced - decide,
            in_doubt: count(&[StateName::InDoubt]),
            suppressed,
            cancelled: count(&[StateName::Cancelled]),
        }
    }

    /// Who has it.
    pub(crate) fn reached(&self) -> i64 {
        self.at_once + self.recovered
    }

    /// Who was tried and does not have it.
    pub(crate) fn unreached(&self) -> i64 {
        self.deferred + self.yours + self.lost
    }

    /// Who has not had it yet, and is still to.
    pub(crate) fn unsent(&self) -> Count {
        Count(self.waiting + self.deferred)
    }

    /// `9,412 of 10,000 reached`.
    pub(crate) fn headline(&self) -> String {
        if self.people == 0 {
            return "Nobody is planned yet".to_owned();
        }
        format!("{} of {} reached", Count(self.reached()), Count(self.people))
    }

    /// The outcome bar.
    pub(crate) fn bar(&self) -> Vec<Slice> {
        let parts = [
            ("s-delivered", self.at_once),
            ("s-recovered", self.recovered),
            ("s-deferred", self.deferred),
            ("s-soft", self.yours),
            ("s-hard", self.lost),
        ];
        slices(&parts, self.people)
    }

    /// The bar in words.
    pub(crate) fn words(&self) -> String {
        format!(
            "{} delivered at once, {} recovered, {} deferred, {} need you, {} cannot be reached",
            Count(self.at_once),
            Count(self.recovered),
            Count(self.deferred),
            Count(self.yours),
            Count(self.lost)
        )
    }
}

/// The counts of a campaign after its resends: whoever was written to again stands where that message stands.
pub(crate) fn after_resends(
    mut counts: BTreeMap<StateName, i64>,
    resent: &BTreeMap<StateName, i64>,
) -> BTreeMap<StateName, i64> {
    *counts.entry(StateName::Bounced).or_default() -= resent.values().sum::<i64>();
    for (state, count) in resent {
        *counts.entry(*state).or_default() += count;
    }
    counts
}

/// The class and the word for where a campaign stands.
pub(crate) fn campaign_state(state: impl Borrow<CampaignState>) -> (&'static str, &'static str) {
    match state.borrow() {
        CampaignState::Draft => ("s-draft", "Draft"),
        CampaignState::Scheduled => ("s-deferred", "Scheduled"),
        CampaignState::Planning => ("s-live", "Planning"),
        CampaignState::Sending => ("s-live", "Sending"),
        CampaignState::Waiting => ("s-soft", "Waiting"),
        CampaignState::Paused => ("s-hard", "Paused"),
        CampaignState::Cancelled => ("s-suppressed", "Cancelled"),
        CampaignState::Sent => ("s-delivered", "Sent"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rebound_domain::BounceCause;

    #[test]
    fn whoever_a_resend_reached_is_recovered() {
        use StateName::{Accepted, Bounced, Deferred};
        let counts = BTreeMap::from([(Accepted, 90), (Bounced, 10)]);
        let after = after_resends(counts, &BTreeMap::from([(Accepted, 4), (Deferred, 1), (Bounced, 2)]));
        assert_eq!(after, BTreeMap::from([(Accepted, 94), (Bounced, 5), (Deferred, 1)]));
    }

    #[test]
    fn everybody_is_counted_once() {
        use StateName::{Accepted, Bounced, Deferred, InDoubt, Planned, Suppressed};
        let counts =
            BTreeMap::from([(Accepted, 90), (Deferred, 4), (Bounced, 5), (InDoubt, 1), (Planned, 10), (Suppressed, 3)]);
        let failed = |cause, state, count| Failed { cause, hard: false, state, count, due: None, words: String::new() };
        let tally = Tally::of(
            &counts,
            &[
                failed(BounceCause::Greylisted, Accepted, 7),
                failed(BounceCause::MailboxFull, Deferred, 4),
                failed(BounceCause::SpamSuspected, Bounced, 2),
                failed(BounceCause::MailboxUnknown, Bounced, 3),
            ],
        );
        assert_eq!((tally.at_once, tally.recovered, tally.deferred), (83, 7, 4));
        assert_eq!((tally.yours, tally.lost, tally.waiting, tally.suppressed), (3, 3, 10, 3));
        assert_eq!(tally.people, tally.reached() + tally.unreached() + tally.waiting + tally.cancelled);
        assert_eq!(tally.headline(), "90 of 110 reached");
    }
}
