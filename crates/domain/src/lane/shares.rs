//! Whose turn it is, where several campaigns wait for places: each has as many as the others, however much it has to send.

use super::{Turn, span};
use crate::CampaignId;
use chrono::{DateTime, TimeDelta, Utc};

/// Who asks for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// Whose message it is.
    pub campaign: CampaignId,
    /// Whether it goes for the first time. The second tries of a campaign wait beside its first ones, as another's do.
    pub turn: Turn,
}

/// Somebody who was told when to ask comes within so long after that, or does not wait any more.
const LATE: TimeDelta = TimeDelta::seconds(2);

/// A connection stays free for others for so long.
const LEFT: TimeDelta = TimeDelta::seconds(1);

/// What those had who do not wait any more is known for so long.
const KNOWN: TimeDelta = TimeDelta::minutes(1);

/// More have one share together.
const MOST: usize = 256;

/// The share of all beyond those.
const BEYOND: CampaignId = CampaignId(0);

/// Those who wait for places of one lane, or did of late.
#[derive(Clone, Debug, Default)]
pub(super) struct Shares {
    parties: Vec<Party>,
    /// Since when free places are left to those who have had fewer.
    left: Option<DateTime<Utc>>,
}

#[derive(Clone, Copy, Debug)]
struct Party {
    asker: Asker,
    /// Places it has had, as those count that have waited with it.
    had: u64,
    /// When the last of them shall ask.
    asks: DateTime<Utc>,
    /// Until when its messages are spread.
    spread: Option<DateTime<Utc>>,
}

impl Party {
    fn waits(&self, now: DateTime<Utc>) -> bool {
        now <= self.asks + LATE
    }
}

impl Shares {
    /// The part of what is free that `asker` leaves to others, who wait too and have had fewer places: from 0 to below 1.
    /// Second tries may not go where they have had what is theirs, unless `again`.
    pub(super) fn leaves(&self, asker: Asker, again: bool, now: DateTime<Utc>) -> f64 {
        let asker = self.known(asker);
        let Some(had) = self.of(asker).map(|party| party.had) else { return 0.0 };
        let may_go = |party: &&Party| party.asker.turn == Turn::First || again;
        let others = self.waiting(now).filter(may_go).filter(|party| party.asker != asker);
        let (all, behind) = others.fold((1, 0), |(all, behind), other| (all + 1, behind + u32::from(other.had < had)));
        f64::from(behind) / f64::from(all)
    }

    /// Whether what is left to others stays free still: until they have had the time to ask.
    pub(super) fn stays_left(&mut self, asker: Asker, now: DateTime<Utc>) -> bool {
        let asker = self.known(asker);
        let since = *self.left.get_or_insert(now);
        if now - since < LEFT {
            return true;
        }
        self.left = None;
        let others = self.parties.iter_mut().filter(|party| party.asker != asker);
        others.for_each(|party| party.asks = party.asks.min(now - LATE * 2));
        false
    }

    /// One of `asker`'s got a place, who `leaves` such a part to others.
    pub(super) fn went(&mut self, asker: Asker, leaves: f64, now: DateTime<Utc>) {
        if self.parties.is_empty() {
            return;
        }
        if leaves == 0.0 {
            self.left = None;
        }
        self.party(asker, now).had += 1;
    }

    /// Spreads one of `asker`'s that found no place behind the others of it: when it shall ask again, with `every` seconds
    /// between any two that wait; at `instead` where that is later than `latest`.
    pub(super) fn spread(
        &mut self,
        asker: Asker,
        every: f64,
        (latest, instead): (DateTime<Utc>, DateTime<Utc>),
        now: DateTime<Utc>,
    ) -> DateTime<Utc> {
        self.parties.retain(|party| now <= party.asks + KNOWN);
        let asker = self.known(asker);
        let (parties, least) = (self.waiting(now).filter(|party| party.asker != asker).count() + 1, self.least(now));
        let between = span(every * f64::from(u32::try_from(parties).unwrap_or(u32::MAX)));
        let party = self.party(asker, now);
        let next = party.spread.unwrap_or(now).max(now + TimeDelta::milliseconds(250)) + between;
        let asks = if next > latest { instead } else { next };
        if next <= latest {
            party.spread = Some(next);
        }
        if !party.waits(now) {
            // What others had while it did not ask is not owed to it.
            party.had = party.had.max(least);
        }
        party.asks = party.asks.max(asks);
        asks
    }

    /// Those who wait are spread anew.
    pub(super) fn spread_anew(&mut self) {
        self.parties.iter_mut().for_each(|party| party.spread = None);
    }

    fn of(&self, asker: Asker) -> Option<&Party> {
        self.parties.iter().find(|party| party.asker == asker)
    }

    fn waiting(&self, now: DateTime<Utc>) -> impl Iterator<Item = &Party> {
        self.parties.iter().filter(move |party| party.waits(now))
    }

    /// As whom `asker` is known here.
    fn known(&self, asker: Asker) -> Asker {
        let is_told_apart = self.parties.len() < MOST || self.of(asker).is_some();
        if is_told_apart { asker } else { Asker { campaign: BEYOND, ..asker } }
    }

    /// The party of `asker`: whoever is new has had as many as the one who has had the fewest.
    fn party(&mut self, asker: Asker, now: DateTime<Utc>) -> &mut Party {
        let asker = self.known(asker);
        let place = self.parties.iter().position(|party| party.asker == asker).unwrap_or_else(|| {
            self.parties.push(Party { asker, had: self.least(now), asks: now - LATE * 2, spread: None });
            self.parties.len() - 1
        });
        &mut self.parties[place]
    }

    /// The places of the one who has had the fewest of those who wait.
    fn least(&self, now: DateTime<Utc>) -> u64 {
        self.waiting(now).map(|party| party.had).min().unwrap_or(0)
    }
}
