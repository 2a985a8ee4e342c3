//! How fast: a lane per outlet and receiver.

use chrono::{DateTime, Utc};
use rebound_db::leases::Lease;
use rebound_domain::{
    Asker, BounceCause, Change, Greylist, Lane, Notice, PaceRules, Part, Pass, Policy, Receiver, Verdict,
};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The lanes of one outlet, by receiver.
#[derive(Debug)]
pub(crate) struct Lanes {
    map: Mutex<HashMap<Receiver, State>>,
    /// Messages that may be under way at a time, over all receivers.
    places: u32,
    /// Whether connections to receivers are ours, and not a relay's.
    is_direct: bool,
    /// Those that can send share what a receiver bears.
    part: Mutex<Part>,
}

/// Lanes that are as good as new are forgotten when there are so many.
const MANY: usize = 4_096;

#[derive(Debug)]
struct State {
    lane: Lane,
    greylist: Greylist,
    /// What the receiver said last of the lane.
    words: Option<Verdict>,
}

/// Why a message does not go now, and when it shall ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// Its receiver rests.
    Rests(DateTime<Utc>),
    /// It has to wait for its turn.
    Queues(DateTime<Utc>),
}

/// What follows from an answer.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    /// What a restart should know of.
    pub(crate) change: Option<Change>,
    /// Seconds until the same message shall be tried again, where the receiver's greylist is known.
    pub(crate) wait: Option<u32>,
}

impl Held {
    pub(crate) fn until(self) -> DateTime<Utc> {
        match self {
            Self::Rests(until) | Self::Queues(until) => until,
        }
    }
}

impl Lanes {
    pub(crate) fn behind_relay(places: u32) -> Self {
        Self { map: Mutex::default(), places, is_direct: false, part: Mutex::new(Part::WHOLE) }
    }

    pub(crate) fn to_receivers(places: u32) -> Self {
        Self { map: Mutex::default(), places, is_direct: true, part: Mutex::new(Part::WHOLE) }
    }

    /// This worker is one of so many that can send from now on.
    pub(crate) fn share(&self, part: Part) {
        let before = std::mem::replace(&mut *self.part.lock().unwrap_or_else(PoisonError::into_inner), part);
        if before != part {
            self.map().values_mut().for_each(|state| state.lane.share(part));
        }
    }

    fn part(&self) -> Part {
        *self.part.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connections that this worker may have to `receiver`, straight to its hosts.
    pub(crate) fn connections(&self, receiver: &Receiver) -> usize {
        let (most, _) = PaceRules::built_in().limits(receiver);
        usize::try_from(self.part().of_number(most)).unwrap_or(usize::MAX)
    }

    /// Messages that one connection to `receiver` may carry.
    pub(crate) fn per_connection(&self, receiver: &Receiver) -> u32 {
        self.map().get(receiver).map_or(1, |state| state.lane.per_connection())
    }

    /// Takes up what was known before a restart.
    pub(crate) fn remember(&self, receiver: Receiver, notice: Notice, words: Verdict, now: DateTime<Utc>) {
        let mut state = self.fresh(&receiver);
        state.lane.remember(notice, now);
        state.words = Some(words);
        self.map().insert(receiver, state);
    }

    /// Takes up what another worker was told to keep to, where the receiver set a number. What a worker has found for
    /// itself is its own.
    pub(crate) fn heed(&self, receiver: &Receiver, notice: &Notice, now: DateTime<Utc>) {
        if PaceRules::built_in().sets(notice) {
            self.with(receiver, now, |state| state.lane.heed(notice, now));
        }
    }

    /// Somebody wants the receiver to be asked again sooner.
    pub(crate) fn shorten(&self, receiver: &Receiver, until: DateTime<Utc>) {
        if let Some(state) = self.map().get_mut(receiver) {
            state.lane.shorten(until);
        }
    }

    /// Asks to pass; a rested lane lets one probe through. What becomes of who passed is told by [`Self::learn`] or
    /// [`Self::unanswered`].
    pub(crate) fn pass(&self, receiver: &Receiver, asker: Asker, now: DateTime<Utc>) -> Result<(), Held> {
        self.with(receiver, now, |state| match state.lane.pass(asker, now) {
            Pass::Go => Ok(()),
            Pass::Wait(until) if state.lane.rests() => Err(Held::Rests(until)),
            Pass::Wait(_) | Pass::AskAgain => Err(Held::Queues(state.lane.queue(asker, rand::random(), now))),
        })
    }

    /// Whether other workers can send, too.
    pub(crate) fn are_shared(&self) -> bool {
        self.part().of > 1
    }

    /// The probe that was let through does not go, and none does before then.
    pub(crate) fn put_off(&self, receiver: &Receiver, until: DateTime<Utc>, now: DateTime<Utc>) {
        if let Some(state) = self.map().get_mut(receiver) {
            state.lane.put_off(until, now);
        }
    }

    /// Whether nothing goes to the receiver but a probe.
    pub(crate) fn rests(&self, receiver: &Receiver) -> bool {
        self.map().get(receiver).is_some_and(|state| state.lane.rests())
    }

    /// How often the receiver was slowed so far.
    pub(crate) fn slowings(&self, receiver: &Receiver) -> u32 {
        self.map().get(receiver).map_or(0, |state| state.lane.slowings())
    }

    /// Whether the receiver rests, or was slowed since a message was let through, when it had been slowed so often.
    pub(crate) fn is_closer(&self, receiver: &Receiver, slowings: u32) -> bool {
        self.map().get(receiver).is_some_and(|state| state.lane.is_closer(slowings))
    }

    /// Until when a message has to wait that was let through after so many slowings, as its receiver rests or was slowed
    /// since. Not for a probe.
    pub(crate) fn turn_back(
        &self,
        receiver: &Receiver,
        asker: Asker,
        slowings: u32,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        self.map().get_mut(receiver).and_then(|state| state.lane.turn_back(asker, slowings, rand::random(), now))
    }

    /// What the receiver said last of its lane, while that rests.
    pub(crate) fn words(&self, receiver: &Receiver) -> Option<Verdict> {
        self.map().get(receiver).filter(|state| state.lane.rests()).and_then(|state| state.words.clone())
    }

    /// A message came back without an answer of the receiver's. Where it was a probe, another may go.
    pub(crate) fn unanswered(&self, receiver: &Receiver, was_probe: bool, now: DateTime<Utc>) {
        if let Some(state) = self.map().get_mut(receiver) {
            state.lane.unanswered(was_probe, now);
        }
    }

    /// Learns from what the receiver said to a delivery: a verdict, or `None` when it took the message.
    pub(crate) fn learn(
        &self,
        receiver: &Receiver,
        lease: &Lease,
        verdict: Option<&Verdict>,
        policy: &Policy,
        now: DateTime<Utc>,
    ) -> Learned {
        let (id, before) = (lease.id, (lease.attempts > 0 && self.are_shared()).then_some(lease.since));
        self.with(receiver, now, |state| {
            let Some(verdict) = verdict else {
                state.greylist.taken(id, now);
                return Learned { change: state.lane.answered(now), wait: None };
            };
            let change = state.lane.refused(receiver, verdict, policy, rand::random(), now);
            if let Some(Change::Held(_)) = change {
                state.words = Some(verdict.clone());
            }
            if verdict.cause != BounceCause::Greylisted {
                state.greylist.forget(id);
                return Learned { change, wait: None };
            }
            let wait = state.greylist.turned_away(id, before, rand::random(), now);
            Learned { change, wait: u32::try_from(wait.num_seconds()).ok() }
        })
    }

    /// Does something with the lane to `receiver`, a new one where there is none.
    fn with<T>(&self, receiver: &Receiver, now: DateTime<Utc>, then: impl FnOnce(&mut State) -> T) -> T {
        let mut map = self.map();
        if let Some(state) = map.get_mut(receiver) {
            return then(state);
        }
        if map.len() >= MANY && map.len().is_power_of_two() {
            map.retain(|_, state| !state.lane.is_plain(now) || !state.greylist.is_blank());
        }
        then(map.entry(receiver.clone()).or_insert_with(|| self.fresh(receiver)))
    }

    fn fresh(&self, receiver: &Receiver) -> State {
        let mut lane = match self.is_direct {
            true => Lane::to(receiver, self.places),
            false => Lane::behind_relay(receiver, self.places),
        };
        lane.share(self.part());
        State { lane, greylist: Greylist::default(), words: None }
    }

    fn map(&self) -> MutexGuard<'_, HashMap<Receiver, State>> {
        // A panic elsewhere leaves the map whole: each change is a single step.
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use rebound_domain::{CampaignId, ContactId, DeliveryId, PaceRules, Permanence, Slowed, Turn};

    const FIRST: Asker = Asker { campaign: CampaignId(1), turn: Turn::First };

    fn lease() -> Lease {
        let id = DeliveryId::new(CampaignId(1), 0).unwrap();
        Lease { id, contact: ContactId(1), attempts: 0, departed: 0, since: start() }
    }

    fn start() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
    }

    #[test]
    fn every_rule_is_reached_and_leaves_its_counter_example_alone() {
        let rules = rebound_classify::Rules::built_in();
        let faults = PaceRules::built_in().lint(|example| {
            let unread = Verdict::known(BounceCause::Undetermined, Permanence::Soft, &example.reply);
            rules.reply(example.reply.as_bytes()).unwrap_or(unread)
        });
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        assert!(PaceRules::built_in().rules().count() >= 15);
    }

    #[test]
    fn a_receiver_that_says_how_long_is_obeyed_exactly_and_the_others_go_on() {
        let (lanes, policy) = (Lanes::behind_relay(64), Policy::default());
        let (slow, other) = (Receiver::of_domain("slow.example"), Receiver::of_domain("other.example"));
        let mut verdict = Verdict::known(BounceCause::RateLimited, Permanence::Soft, "451 slow down, in 300 seconds");
        verdict.retry_after = Some(300);
        assert_eq!(lanes.pass(&slow, FIRST, start()), Ok(()));
        let learned = lanes.learn(&slow, &lease(), Some(&verdict), &policy, start());
        let until = start() + TimeDelta::seconds(300);
        let Some(Change::Held(notice)) = learned.change else { panic!("{learned:?}") };
        assert_eq!((notice.slowed, notice.until), (Slowed::Rests { rests: 1 }, until));
        assert_eq!(lanes.pass(&slow, FIRST, start()), Err(Held::Rests(until)));
        assert_eq!(lanes.pass(&other, FIRST, start()), Ok(()));
        assert_eq!(lanes.words(&slow), Some(verdict));

        assert_eq!(lanes.pass(&slow, FIRST, until), Ok(()), "the probe");
        assert!(matches!(lanes.pass(&slow, FIRST, until), Err(Held::Queues(_))), "exactly one");
        lanes.unanswered(&slow, false, until);
        assert!(lanes.pass(&slow, FIRST, until).is_err(), "one that went before the rest came back");
        lanes.unanswered(&slow, true, until);
        assert_eq!(lanes.pass(&slow, FIRST, until), Ok(()), "it never got there: another");
        assert_eq!(lanes.learn(&slow, &lease(), None, &policy, until).change, Some(Change::Opened));
    }

    #[test]
    fn what_was_let_through_before_a_rest_waits_with_the_others() {
        let (lanes, policy, receiver) =
            (Lanes::behind_relay(64), Policy::default(), Receiver::of_domain("slow.example"));
        (0..3).for_each(|_| assert_eq!(lanes.pass(&receiver, FIRST, start()), Ok(())));
        assert_eq!(lanes.turn_back(&receiver, FIRST, 0, start()), None, "it may go");
        let mut verdict = Verdict::known(BounceCause::RateLimited, Permanence::Soft, "451 slow down, in 300 seconds");
        verdict.retry_after = Some(300);
        lanes.learn(&receiver, &lease(), Some(&verdict), &policy, start());
        let until = start() + TimeDelta::seconds(300);
        assert_eq!(lanes.turn_back(&receiver, FIRST, 0, start()), Some(until));
        assert_eq!(lanes.pass(&receiver, FIRST, until), Ok(()), "the probe");
        assert!(
            lanes.turn_back(&receiver, FIRST, 0, until).is_some_and(|later| later > until),
            "what the probe hears comes first"
        );
        assert!(matches!(lanes.pass(&receiver, FIRST, until), Err(Held::Queues(_))), "and no second one goes");

        lanes.learn(&receiver, &lease(), None, &policy, until);
        let went = (0..400).filter(|_| lanes.turn_back(&receiver, FIRST, 0, until).is_none()).count();
        assert!(went <= 1, "after the rest too they come at the lane's pace, and {went} came at once");
    }

    #[test]
    fn what_was_let_through_before_a_lane_was_slowed_keeps_to_its_pace() {
        let (lanes, policy, receiver) =
            (Lanes::behind_relay(64), Policy::default(), Receiver::of_domain("slow.example"));
        (0..40).for_each(|_| assert_eq!(lanes.pass(&receiver, FIRST, start()), Ok(())));
        let second = |seconds| start() + TimeDelta::seconds(seconds);
        (1..=20).for_each(|at| drop(lanes.learn(&receiver, &lease(), None, &policy, second(at))));
        let verdict = Verdict::known(BounceCause::RateLimited, Permanence::Soft, "451 too many messages");
        let learned = lanes.learn(&receiver, &lease(), Some(&verdict), &policy, second(20));
        let Some(Change::Held(notice)) = learned.change else { panic!("{learned:?}") };
        assert!(matches!(notice.slowed, Slowed::PerHour(1..3_600)), "{notice:?}");
        let went = (0..19).filter(|_| lanes.turn_back(&receiver, FIRST, 0, second(21)).is_none()).count();
        assert!(went <= 1, "{went} went all the same");
        assert!(lanes.is_closer(&receiver, 0) && !lanes.is_closer(&receiver, lanes.slowings(&receiver)));
    }

    #[test]
    fn a_slowed_lane_lets_its_rate_pass_after_a_restart_too() {
        let lanes = Lanes::behind_relay(64);
        let receiver = Receiver::of_domain("yahoo.com");
        let until = start() + TimeDelta::minutes(30);
        let (why, words) = ("it defers all mail from us".to_owned(), "421 [TS03]".to_owned());
        let cause = BounceCause::ReputationBlock;
        let verdict = Verdict::known(cause, Permanence::Soft, &words);
        let notice = Notice { slowed: Slowed::PerHour(600), until, why, cause, words };
        lanes.remember(receiver.clone(), notice, verdict, start());
        let went = |from: i64, to: i64| {
            let times = (from..to).map(|second| start() + TimeDelta::seconds(second));
            times.filter(|now| lanes.pass(&receiver, FIRST, *now).is_ok()).count()
        };
        assert_eq!(went(0, 600), 100, "ten a minute");
        assert!(went(1_800, 1_860) == 60, "then as before");
    }

    #[test]
    fn workers_share_what_a_receiver_bears() {
        let (lanes, receiver) = (Lanes::to_receivers(64), Receiver::of_domain("google.com"));
        let went = |at: i64| {
            let now = start() + TimeDelta::seconds(at);
            (0..20).filter(|_| lanes.pass(&receiver, FIRST, now).is_ok()).count()
        };
        assert_eq!((lanes.connections(&receiver), went(0)), (5, 5), "alone");
        lanes.share(Part { nth: 1, of: 2 });
        (0..5).for_each(|_| lanes.unanswered(&receiver, false, start()));
        assert_eq!((lanes.connections(&receiver), went(1)), (2, 2), "the second of two");
        lanes.share(Part { nth: 4, of: 9 });
        (0..2).for_each(|_| lanes.unanswered(&receiver, false, start()));
        assert_eq!((lanes.connections(&receiver), went(2)), (1, 1), "the last of nine for whom there is one");
        lanes.share(Part { nth: 5, of: 9 });
        lanes.unanswered(&receiver, false, start());
        assert_eq!((lanes.connections(&receiver), went(2)), (1, 1), "nobody has none");
        let other = Receiver::of_domain("outlook.com");
        assert!(lanes.pass(&other, FIRST, start()).is_ok() && lanes.pass(&other, FIRST, start()).is_err());
        lanes.share(Part::WHOLE);
        assert_eq!((lanes.connections(&receiver), went(3)), (5, 4), "alone again, and one is under way");
    }

    #[test]
    fn a_rate_that_holds_is_of_all_workers_together() {
        let lanes = Lanes::behind_relay(64);
        let receiver = Receiver::of_domain("yahoo.com");
        let (until, why, words) = (start() + TimeDelta::hours(1), String::new(), String::new());
        let notice = Notice { slowed: Slowed::PerHour(600), until, why, cause: BounceCause::ReputationBlock, words };
        let verdict = Verdict::known(BounceCause::ReputationBlock, Permanence::Soft, "");
        lanes.remember(receiver.clone(), notice, verdict, start());
        let went = |from: i64, to: i64| {
            let times = (from..to).map(|second| start() + TimeDelta::seconds(second));
            times.filter(|now| lanes.pass(&receiver, FIRST, *now).is_ok()).count()
        };
        lanes.share(Part { nth: 1, of: 2 });
        assert_eq!(went(0, 600), 50, "five a minute, and five by the other");
        lanes.share(Part::WHOLE);
        assert!((99..=101).contains(&went(600, 1_200)), "the other has gone");
    }

    #[test]
    fn a_rate_that_another_worker_was_told_is_kept_and_one_that_it_found_is_not() {
        let (receiver, policy) = (Receiver::of_domain("yahoo.com"), Policy::default());
        let rules = rebound_classify::Rules::built_in();
        let told = |reply: &str| {
            let lanes = Lanes::behind_relay(64);
            assert_eq!(lanes.pass(&receiver, FIRST, start()), Ok(()));
            let verdict = rules.reply(reply.as_bytes()).unwrap();
            match lanes.learn(&receiver, &lease(), Some(&verdict), &policy, start()).change {
                Some(Change::Held(notice)) => notice,
                other => panic!("{other:?}"),
            }
        };
        let went = |notice: &Notice| {
            let lanes = Lanes::behind_relay(64);
            lanes.share(Part { nth: 1, of: 2 });
            (0..2).for_each(|_| lanes.heed(&receiver, notice, start()));
            let times = (0..600).map(|second| start() + TimeDelta::seconds(second));
            times.filter(|now| lanes.pass(&receiver, FIRST, *now).is_ok()).count()
        };
        let set = told("421 4.7.1 [TS03] All messages from 192.0.2.1 will be permanently deferred");
        assert_eq!((set.slowed, went(&set)), (Slowed::PerHour(600), 50), "half of ten a minute");
        let found = told("451 4.7.1 Ratelimit \"to\" exceeded: ratelimit exceeded");
        assert!(matches!(found.slowed, Slowed::PerHour(_)) && went(&found) == 600, "{found:?}");
    }

    #[test]
    fn a_rate_that_one_worker_halved_is_noted_as_that_of_all() {
        let halved = |workers: u32| {
            let lanes = Lanes::behind_relay(64);
            lanes.share(Part { nth: 0, of: workers });
            let receiver = Receiver::of_domain("slow.example");
            let (second, policy) = (|at| start() + TimeDelta::seconds(at), Policy::default());
            for at in 0..20 {
                assert_eq!(lanes.pass(&receiver, FIRST, second(at)), Ok(()));
                lanes.learn(&receiver, &lease(), None, &policy, second(at));
            }
            let verdict = Verdict::known(BounceCause::RateLimited, Permanence::Soft, "451 too many messages");
            assert_eq!(lanes.pass(&receiver, FIRST, second(20)), Ok(()));
            let change = lanes.learn(&receiver, &lease(), Some(&verdict), &policy, second(20)).change;
            let Some(Change::Held(Notice { slowed: Slowed::PerHour(rate), .. })) = change else { panic!("{change:?}") };
            rate
        };
        assert!(halved(2).abs_diff(2 * halved(1)) <= 1, "{} and {}", halved(2), halved(1));
    }

    #[test]
    fn those_who_wait_are_spread() {
        let lanes = Lanes::behind_relay(64);
        let receiver = Receiver::of_domain("orchard.example");
        let (why, words) = (String::new(), String::new());
        let slowed = Slowed::PerHour(3_600);
        let until = start() + TimeDelta::hours(2);
        let notice = Notice { slowed, until, why, cause: BounceCause::RateLimited, words };
        let verdict = Verdict::known(BounceCause::RateLimited, Permanence::Soft, "");
        lanes.remember(receiver.clone(), notice, verdict, start());
        let mut seconds = vec![0; 601];
        for _ in 0..5_000 {
            if let Err(Held::Queues(until)) = lanes.pass(&receiver, FIRST, start()) {
                seconds[usize::try_from((until - start()).num_seconds()).unwrap()] += 1;
            }
        }
        assert_eq!(seconds[1..10], [2; 9], "twice the pace, for then it may be faster");
        assert!(seconds.iter().max() < Some(&40), "{seconds:?}");
    }
}
