//! How long a receiver's greylist lasts, learned from who came too early and who did not.

use crate::DeliveryId;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::HashMap;

/// Most greylists last five minutes (Postgrey, SQLgrey, Rspamd); a little is added, since their clocks are not ours.
const FIRST: f64 = 310.0;

/// The longest that is common (OpenBSD's spamd: 25 minutes).
const SECOND: f64 = 1_560.0;

/// Bounds closer than this are not worth a try that may be in vain.
const CLOSE: f64 = 1.1;

/// Messages that are watched at a time.
const WATCHED: usize = 4_096;

/// What is known of one receiver's greylist (RFC 6647).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Greylist {
    /// Seconds after which a message was still turned away.
    too_early: f64,
    /// Seconds after which one was taken.
    enough: Option<f64>,
    /// When messages that are under way were first turned away.
    watched: HashMap<DeliveryId, DateTime<Utc>>,
}

impl Greylist {
    /// A message was turned away: how long to wait before its next try. Where it was tried `before` and is not known here,
    /// as another worker made that try, it is taken for turned away then, too; unless that is so long ago that it was
    /// rather something else, or longer than is known to be enough.
    pub fn turned_away(
        &mut self,
        id: DeliveryId,
        before: Option<DateTime<Utc>>,
        jitter: f64,
        now: DateTime<Utc>,
    ) -> TimeDelta {
        let likely = |before: &DateTime<Utc>| {
            let elapsed = super::seconds(now - *before);
            elapsed <= SECOND && self.enough.is_none_or(|enough| elapsed < enough)
        };
        let first = self.watched.get(&id).copied().or(before.filter(likely));
        let elapsed = first.map(|first| super::seconds(now - first).max(0.0));
        if let Some(elapsed) = elapsed {
            self.too_early = self.too_early.max(elapsed);
            // It was not enough after all: their setting was changed.
            self.enough = self.enough.filter(|enough| *enough > elapsed);
        }
        if !self.watched.contains_key(&id) {
            self.watch(id, first.unwrap_or(now));
        }
        let whole = self.whole_wait(elapsed.is_some());
        let left = whole - elapsed.unwrap_or(0.0);
        // A message that was turned away beyond all that is known comes again as late as it has waited so far.
        let left = if left > 1.0 { left } else { elapsed.unwrap_or(FIRST).max(FIRST) };
        super::span(left * (1.0 + jitter.clamp(0.0, 1.0) / 50.0))
    }

    /// A message was taken, perhaps one that was turned away before.
    pub fn taken(&mut self, id: DeliveryId, now: DateTime<Utc>) {
        if let Some(first) = self.watched.remove(&id) {
            let elapsed = super::seconds(now - first);
            self.enough = Some(self.enough.map_or(elapsed, |enough| enough.min(elapsed)));
            self.too_early = self.too_early.min(elapsed);
        }
    }

    /// A message that will not be heard of again.
    pub fn forget(&mut self, id: DeliveryId) {
        self.watched.remove(&id);
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.too_early == 0.0 && self.enough.is_none() && self.watched.is_empty()
    }

    fn watch(&mut self, id: DeliveryId, now: DateTime<Utc>) {
        if self.watched.len() >= WATCHED {
            self.watched.retain(|_, first| now - *first < TimeDelta::days(1));
        }
        if self.watched.len() < WATCHED {
            self.watched.insert(id, now);
        }
    }

    /// Seconds from the first try to the next.
    fn whole_wait(&self, came_again: bool) -> f64 {
        match self.enough {
            // The third try shall not be in vain.
            Some(enough) if came_again || enough <= self.too_early * CLOSE => enough * 1.01,
            // Half the way between what is known to fail and what is known to do.
            Some(enough) => f64::midpoint(self.too_early, enough),
            None if self.too_early < FIRST => FIRST,
            None if self.too_early < SECOND => SECOND,
            None => self.too_early * 2.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CampaignId;

    #[test]
    fn the_wait_that_worked_is_used_for_the_next_and_closed_in_on() {
        for delay in [60.0, 300.0, 600.0, 1_500.0] {
            let mut list = Greylist::default();
            let mut last = 0.0;
            for message in 0..20 {
                let id = DeliveryId::new(CampaignId(1), message).unwrap();
                let first = DateTime::UNIX_EPOCH + TimeDelta::hours(message);
                let mut now = first;
                let mut tries = 1;
                while super::super::seconds(now - first) < delay {
                    now += list.turned_away(id, None, 0.5, now);
                    tries += 1;
                }
                list.taken(id, now);
                last = super::super::seconds(now - first);
                assert!(tries <= 3, "{tries} tries at a delay of {delay} s");
            }
            assert!(last <= 1.2 * delay, "{last} s at a delay of {delay} s");
        }
    }

    #[test]
    fn tries_that_two_workers_make_in_turn_are_no_more_than_those_of_one() {
        for delay in [300.0, 1_500.0] {
            let (mut lists, id) =
                ([Greylist::default(), Greylist::default()], DeliveryId::new(CampaignId(1), 1).unwrap());
            let (first, mut tries) = (DateTime::UNIX_EPOCH, 0);
            let mut now = first;
            while super::super::seconds(now - first) < delay {
                let before = (tries > 0).then_some(first);
                now += lists[tries % 2].turned_away(id, before, 0.5, now);
                tries += 1;
            }
            assert!(tries <= 2, "{tries} in vain at a delay of {delay} s");
        }
    }
}
