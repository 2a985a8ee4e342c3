//! Who goes next: new messages and second tries, of several campaigns.

use crate::CampaignId;
use chrono::{DateTime, TimeDelta, Utc};

/// Whether a message goes for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Its first try.
    First,
    /// It was put off before.
    Again,
}

/// Of five messages one may be a second try, while new ones wait.
const PER_FIRST: f64 = 0.25;

/// Second tries that may be saved up.
const SAVED: f64 = 5.0;

/// First tries that have not had to wait for so long have all the places they want.
const WAITS: TimeDelta = TimeDelta::seconds(10);

/// Keeps second tries to a fifth of the mail while first ones wait for places. Where there are places for all they have
/// what they want: nobody is served by a lane that stands empty.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Budget {
    saved: f64,
    first: Option<DateTime<Utc>>,
}

impl Budget {
    /// Whether a message of that turn may go.
    #[must_use]
    pub fn allows(&self, turn: Turn, now: DateTime<Utc>) -> bool {
        turn == Turn::First || self.saved >= 1.0 || self.first.is_none_or(|first| now - first > WAITS)
    }

    /// A message of that turn has to wait for a place.
    pub fn waits(&mut self, turn: Turn, now: DateTime<Utc>) {
        if turn == Turn::First {
            self.first = Some(now);
        }
    }

    /// A message of that turn went.
    pub fn went(&mut self, turn: Turn) {
        self.saved = match turn {
            Turn::First => (self.saved + PER_FIRST).min(SAVED),
            Turn::Again => (self.saved - 1.0).max(0.0),
        };
    }
}

/// What of one campaign waits for a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Whose.
    pub campaign: CampaignId,
    /// Whether a first try waits.
    pub first: bool,
    /// Since when the oldest second try has been due.
    pub again: Option<DateTime<Utc>>,
}

/// Deals the places of one lane: second tries within their [`Budget`], oldest first; first tries campaign by campaign.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    budget: Budget,
    last: Option<CampaignId>,
}

impl Turns {
    /// Whose turn it is, and which of its messages; `None` when nothing waits.
    pub fn next(&mut self, waiting: &[Waiting], now: DateTime<Utc>) -> Option<(CampaignId, Turn)> {
        if waiting.iter().any(|one| one.first) {
            self.budget.waits(Turn::First, now);
        }
        let oldest = waiting.iter().filter_map(|one| Some((one.again.filter(|due| *due <= now)?, one.campaign))).min();
        let chosen = match oldest {
            Some((_, campaign)) if self.budget.allows(Turn::Again, now) => Some((campaign, Turn::Again)),
            _ => self.round(waiting).map(|campaign| (campaign, Turn::First)),
        };
        let (campaign, turn) = chosen?;
        self.budget.went(turn);
        if turn == Turn::First {
            self.last = Some(campaign);
        }
        Some((campaign, turn))
    }

    /// The campaign after the last one that has a first try waiting.
    fn round(&self, waiting: &[Waiting]) -> Option<CampaignId> {
        let first = || waiting.iter().filter(|one| one.first).map(|one| one.campaign);
        let after = |campaign: &CampaignId| self.last.is_none_or(|last| campaign.0 > last.0);
        first().filter(after).min_by_key(|campaign| campaign.0).or_else(|| first().min_by_key(|campaign| campaign.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn waits(campaign: i64, first: bool, again: Option<i64>) -> Waiting {
        Waiting { campaign: CampaignId(campaign), first, again: again.map(at) }
    }

    #[test]
    fn second_tries_have_a_fifth_and_the_oldest_goes_first() {
        let waiting = [waits(1, true, Some(20)), waits(2, true, Some(10)), waits(3, false, None)];
        let mut turns = Turns::default();
        let dealt: Vec<_> = (0..1_000).filter_map(|_| turns.next(&waiting, at(30))).collect();
        let again: Vec<_> = dealt.iter().filter(|(_, turn)| *turn == Turn::Again).collect();
        assert_eq!(dealt.len(), 1_000);
        assert!((190..=200).contains(&again.len()), "{}", again.len());
        assert!(again.iter().all(|(campaign, _)| *campaign == CampaignId(2)), "the oldest");
        let share = |id| dealt.iter().filter(|one| **one == (CampaignId(id), Turn::First)).count();
        assert!(share(1).abs_diff(share(2)) <= 1, "{} {}", share(1), share(2));
    }

    #[test]
    fn second_tries_alone_have_the_whole_lane_and_wait_until_they_are_due() {
        let mut turns = Turns::default();
        let alone = [waits(1, false, Some(20))];
        assert_eq!(turns.next(&alone, at(10)), None);
        assert_eq!(turns.next(&alone, at(20)), Some((CampaignId(1), Turn::Again)));
        assert_eq!(turns.next(&alone, at(20)), Some((CampaignId(1), Turn::Again)));
    }
}
