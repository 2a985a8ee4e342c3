//! Messages, connections and receivers on a simulated clock: a discrete-event simulation around the real lane.

use super::receivers::{Receiver, Reply, Visit};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_domain::{
    Asker, CampaignId, DeliveryId, Greylist, Lane, Next, Pass, Policy, Refusal, Tries, Turn, next_try,
};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A generator whose numbers are the same everywhere: SplitMix64.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.share() * end as f64) as usize
    }
}

/// Mail that comes to be sent: so many per second from the start until then.
#[derive(Clone, Copy)]
pub(crate) struct Supply {
    pub(crate) per_second: f64,
    pub(crate) until: f64,
}

/// Mail that comes all at once: when, and how many messages.
pub(crate) type Wave = (f64, u64);

/// What one message went through.
#[derive(Clone, Copy)]
struct Message {
    id: u64,
    since: i64,
    tries: u32,
}

/// One receiver, its lane, and what waits for it.
pub(crate) struct Side {
    domain: rebound_domain::Receiver,
    lane: Lane,
    greylist: Greylist,
    receiver: Receiver,
    supply: Supply,
    /// In place of the supply, where there are any.
    waves: Vec<Wave>,
    /// First tries that went.
    pub(crate) went: u64,
    again: BinaryHeap<Reverse<(i64, u64, i64, u32)>>,
    idle: Vec<u32>,
    under_way: u32,
    woken: i64,
    pub(crate) figures: Figures,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Figures {
    /// Messages taken in each second.
    pub(crate) taken: Vec<u32>,
    pub(crate) tried: u64,
    pub(crate) refused: u64,
    /// Seconds from the first try to the last, and the number of tries, of each message taken; where asked for.
    pub(crate) delays: Vec<(f64, u32)>,
    /// When the receiver was asked, second by second.
    pub(crate) asked: Vec<u32>,
}

impl Figures {
    pub(crate) fn taken_in(&self, from: usize, to: usize) -> u64 {
        self.taken.iter().take(to).skip(from).map(|count| u64::from(*count)).sum()
    }

    pub(crate) fn refused_percent(&self) -> f64 {
        self.refused as f64 * 100.0 / self.tried.max(1) as f64
    }
}

fn count(seconds: &mut Vec<u32>, at: i64) {
    let second = (at / 1000) as usize;
    if seconds.len() <= second {
        seconds.resize(second + 1, 0);
    }
    seconds[second] += 1;
}

enum Event {
    Look,
    Answered { message: Message, on_connection: u32, reply: Reply },
}

/// Several receivers behind one pool of connections.
pub(crate) struct World {
    pub(crate) sides: Vec<Side>,
    events: BinaryHeap<Reverse<(i64, u64, usize)>>,
    /// What happens, by the place that `events` names; places are used again.
    happenings: Vec<Option<(usize, Event)>>,
    unused: Vec<usize>,
    next: u64,
    free: u32,
    /// Milliseconds between two departures, over all receivers, and when the next may be.
    every: i64,
    leaves: i64,
    policy: Policy,
    chance: Chance,
}

fn time(millis: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::milliseconds(millis)
}

fn millis(time: DateTime<Utc>) -> i64 {
    (time - self::time(0)).num_milliseconds()
}

impl World {
    pub(crate) fn new(connections: u32, seed: u64) -> Self {
        Self {
            sides: Vec::new(),
            events: BinaryHeap::new(),
            happenings: Vec::new(),
            unused: Vec::new(),
            next: 0,
            free: connections,
            every: 0,
            leaves: i64::MIN,
            policy: Policy::default(),
            chance: Chance(seed),
        }
    }

    pub(crate) fn with(self, domain: &str, receiver: Receiver, supply: Supply) -> Self {
        let domain = rebound_domain::Receiver::of_domain(domain);
        let lane = Lane::to(&domain, self.free);
        self.beside((domain, lane), receiver, supply, vec![])
    }

    /// Messages leave one after the other, at least so many seconds apart, mixed as they are: an engine takes its time.
    #[allow(dead_code, reason = "for the stories, which lay it beside what the program does")]
    pub(crate) fn with_engine(self, every: f64) -> Self {
        Self { every: (every * 1000.0) as i64, ..self }
    }

    /// A receiver behind a relay, which all share so many places to, and mail for it in waves.
    #[allow(dead_code, reason = "for the stories, which lay it beside what the program does")]
    pub(crate) fn behind_relay(self, domain: &str, places: u32, receiver: Receiver, waves: Vec<Wave>) -> Self {
        let domain = rebound_domain::Receiver::of_domain(domain);
        let lane = Lane::behind_relay(&domain, places);
        self.beside((domain, lane), receiver, Supply { per_second: 0.0, until: 0.0 }, waves)
    }

    fn beside(
        mut self,
        (domain, lane): (rebound_domain::Receiver, Lane),
        receiver: Receiver,
        supply: Supply,
        waves: Vec<Wave>,
    ) -> Self {
        self.sides.push(Side {
            domain,
            lane,
            greylist: Greylist::default(),
            receiver,
            supply,
            waves,
            went: 0,
            again: BinaryHeap::new(),
            idle: Vec::new(),
            under_way: 0,
            woken: -1,
            figures: Figures::default(),
        });
        self.happens(-1, self.sides.len() - 1, Event::Look);
        self
    }

    /// Lets so many seconds pass.
    pub(crate) fn run(mut self, seconds: f64) -> Vec<Side> {
        let end = (seconds * 1000.0) as i64;
        while let Some(Reverse((at, _, place))) = self.events.pop() {
            if at >= end {
                break;
            }
            self.unused.push(place);
            let Some((side, event)) = self.happenings[place].take() else { continue };
            match event {
                // It was called off for an earlier one.
                Event::Look if self.sides[side].woken != at => continue,
                Event::Look => {
                    self.sides[side].woken = -1;
                    self.dispatch_in_turn(at);
                }
                Event::Answered { message, on_connection, reply } => {
                    self.answered(side, message, on_connection, &reply, at);
                    // Connections are shared: who had none looks again, in turn.
                    self.dispatch_in_turn(at);
                    (1..self.sides.len()).for_each(|turn| self.dispatch((side + turn) % self.sides.len(), at));
                }
            }
            self.dispatch(side, at);
        }
        self.sides
    }

    /// An engine takes what came at once as it is mixed: who has the largest share of its mail left is next.
    fn dispatch_in_turn(&mut self, now: i64) {
        if self.every == 0 || now < self.leaves {
            return;
        }
        let left = |side: &Side| side.fresh(now) as f64 / side.waves.first().map_or(1.0, |(_, count)| *count as f64);
        let mut order: Vec<usize> = (0..self.sides.len()).collect();
        order.sort_by(|one, other| left(&self.sides[*other]).total_cmp(&left(&self.sides[*one])));
        order.into_iter().for_each(|side| self.dispatch(side, now));
    }

    fn happens(&mut self, at: i64, side: usize, event: Event) {
        self.next += 1;
        let place = self.unused.pop().unwrap_or_else(|| {
            self.happenings.push(None);
            self.happenings.len() - 1
        });
        self.happenings[place] = Some((side, event));
        self.events.push(Reverse((at, self.next, place)));
    }

    fn look_at(&mut self, side: usize, at: i64, now: i64) {
        let at = at.max(now + 1);
        let woken = self.sides[side].woken;
        if woken < 0 || at < woken {
            self.sides[side].woken = at;
            self.happens(at, side, Event::Look);
        }
    }

    fn dispatch(&mut self, side: usize, now: i64) {
        while self.free > 0 {
            if now < self.leaves {
                self.look_at(side, self.leaves, now);
                return;
            }
            let due = self.sides[side].again.peek().map(|Reverse((due, ..))| *due);
            let turns = [
                due.filter(|due| *due <= now).map(|_| Turn::Again),
                (self.sides[side].fresh(now) > 0).then_some(Turn::First),
            ];
            let mut went = false;
            let mut look = due.filter(|due| *due > now);
            // Second tries first, if there is room for them.
            for turn in turns.into_iter().flatten() {
                match self.sides[side].lane.pass(Asker { campaign: CampaignId(1), turn }, time(now)) {
                    Pass::Go => {
                        self.send(side, turn, now);
                        went = true;
                        break;
                    }
                    Pass::Wait(until) => look = Some(look.map_or(millis(until), |look| look.min(millis(until)))),
                    Pass::AskAgain => look = Some(look.map_or(now + 1000, |look| look.min(now + 1000))),
                }
            }
            if !went {
                let next = self.sides[side].next_supply(now);
                if let Some(at) = look.into_iter().chain(next).min() {
                    self.look_at(side, at, now);
                }
                return;
            }
        }
    }

    fn send(&mut self, side: usize, turn: Turn, now: i64) {
        let chance = self.chance.share();
        let one = &mut self.sides[side];
        let taken = match turn {
            Turn::First => {
                one.went += 1;
                Some(Message { id: one.went, since: now, tries: 0 })
            }
            Turn::Again => one.again.pop().map(|Reverse((_, id, since, tries))| Message { id, since, tries }),
        };
        let Some(mut message) = taken else { return };
        message.tries += 1;
        self.free -= 1;
        self.leaves = now + self.every;
        one.under_way += 1;
        let per_connection = one.lane.per_connection();
        let on_connection = one.idle.pop().filter(|used| *used < per_connection).unwrap_or(0);
        let visit =
            Visit { now: now as f64 / 1000.0, id: message.id, connections: one.under_way, on_connection, chance };
        let (takes, reply) = one.receiver.take(&visit);
        one.figures.tried += 1;
        count(&mut one.figures.asked, now);
        self.happens(now + (takes * 1000.0) as i64, side, Event::Answered { message, on_connection, reply });
    }

    fn answered(&mut self, side: usize, message: Message, on_connection: u32, reply: &Reply, now: i64) {
        self.free += 1;
        let (jitter, chance) = (self.chance.share(), self.chance.share());
        let one = &mut self.sides[side];
        one.under_way -= 1;
        let id = DeliveryId::new(CampaignId(1), message.id as i64).unwrap();
        let Some(verdict) = reply.verdict() else {
            one.idle.push(on_connection + 1);
            one.lane.answered(time(now));
            one.greylist.taken(id, time(now));
            count(&mut one.figures.taken, now);
            if matches!(one.receiver, Receiver::Greylist(..)) || !one.waves.is_empty() {
                one.figures.delays.push(((now - message.since) as f64 / 1000.0, message.tries));
            }
            return;
        };
        if matches!(reply, Reply::Slower(_)) {
            one.figures.refused += 1;
        }
        one.lane.refused(&one.domain, &verdict, &self.policy, jitter, time(now));
        let told = matches!(reply, Reply::Later(_))
            .then(|| u32::try_from(one.greylist.turned_away(id, None, chance, time(now)).num_seconds()).unwrap());
        let tries = Tries { since: time(message.since), made: message.tries };
        let judged = (verdict.cause, verdict.permanence);
        if let Next::Again(due) = next_try(&self.policy, judged, Refusal::Transient, tries, told, chance, time(now)) {
            one.again.push(Reverse((millis(due), message.id, message.since, message.tries)));
        }
    }
}

impl Side {
    /// Messages that have come by now and have not been tried.
    fn fresh(&self, now: i64) -> u64 {
        if !self.waves.is_empty() {
            let come = self.waves.iter().filter(|(at, _)| at * 1000.0 <= now as f64);
            return come.map(|(_, count)| count).sum::<u64>() - self.went;
        }
        let seconds = (now as f64 / 1000.0).min(self.supply.until);
        (seconds * self.supply.per_second) as u64 - self.went
    }

    fn next_supply(&self, now: i64) -> Option<i64> {
        if !self.waves.is_empty() {
            return self.waves.iter().map(|(at, _)| (at * 1000.0).ceil() as i64).find(|at| *at > now);
        }
        let next = (self.went + 1) as f64 / self.supply.per_second * 1000.0;
        let flows = self.supply.per_second > 0.0 && (now as f64) < self.supply.until * 1000.0;
        (flows && self.fresh(now) == 0).then_some(next.ceil() as i64)
    }

    /// Messages that are not settled at the end.
    pub(crate) fn left(&self, seconds: f64) -> usize {
        self.fresh((seconds * 1000.0) as i64) as usize + self.again.len()
    }
}
