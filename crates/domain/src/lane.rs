//! The lane to one receiver by one route: whether, how fast and how many at a time mail may go.
//!
//! ```text
//!            ┌─ breaker  closed ─▶ open ─▶ half-open, one probe ─▶ …
//! message ──▶├─ budget   second tries: a fifth, while first ones wait
//!            ├─ window   so many at a time   ┐ halved by a throttle reply,
//!            └─ rate     a token bucket      ┘ back by and by, then beyond
//!                 ▲
//! reply ── rules ─┘   `rules/pace.toml`
//! ```
//!
//! A lane says who may go and learns from what is heard. It knows no clock, and none of the messages.

mod breaker;
mod budget;
mod curve;
mod flow;
mod greylist;
mod notice;
mod part;
mod rules;
mod shares;
mod speed;
mod window;

pub use budget::{Budget, Turn};
pub use greylist::Greylist;
pub use notice::{Notice, Slowed};
pub use part::Part;
pub use rules::{Action, Example, Group, PaceRule, PaceRules};
pub use shares::Asker;

use crate::{Permanence, Policy, Receiver, Verdict};
use breaker::Breaker;
use chrono::{DateTime, TimeDelta, Utc};
use flow::Flow;
use shares::Shares;
use speed::Speed;
use window::Window;

/// What a lane says to a message that wants to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Go. What becomes of it must be told: [`Lane::answered`], [`Lane::refused`] or [`Lane::unanswered`].
    Go,
    /// Wait at least until then.
    Wait(DateTime<Utc>),
    /// All places are taken, or a probe is under way; ask again shortly.
    AskAgain,
}

/// A change that a restart should know of, and a page can show.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It rests or is slowed.
    Held(Notice),
    /// It is open again.
    Opened,
}

/// Throttle replies in a row, none of them to mail from before the first, after which slowing down is of no use.
const IN_VAIN: u32 = 3;

/// Seconds of the first rest after that; it doubles.
const FIRST_REST: i64 = 30;

/// A message of which nothing was heard for so long will not be heard of: longer than any wait of RFC 5321 §4.5.3.2.
const LOST: TimeDelta = TimeDelta::minutes(15);

/// Whether, how fast and how many at a time mail may go to one receiver by one route.
#[derive(Clone, Debug)]
pub struct Lane {
    breaker: Breaker,
    window: Window,
    speed: Speed,
    budget: Budget,
    shares: Shares,
    flow: Flow,
    per_connection: u32,
    /// Of how many that write to the receiver, each with a lane of its own: what it bears, and what it says, is for all.
    part: Part,
    /// Lane replies since one that took a message.
    in_a_row: u32,
    /// Throttle replies since one that took a message, to mail that went after the last cut.
    in_vain: u32,
    /// Replies that count towards a rule's threshold: which rule, when.
    counted: Vec<(usize, DateTime<Utc>)>,
    /// Why it is not simply open.
    notice: Option<Notice>,
    /// When something was last heard.
    heard: Option<DateTime<Utc>>,
    /// How often it was slowed: fewer a second. Fewer at a time are no reason to turn back whoever is let through.
    slowings: u32,
    /// How often somebody was told to wait.
    asks: Flow,
}

impl Lane {
    /// The lane to a receiver that has not said anything yet; all lanes share so many `places` for messages under way.
    #[must_use]
    pub fn to(receiver: &Receiver, places: u32) -> Self {
        let (connections, per_connection) = PaceRules::built_in().limits(receiver);
        Self::new(Window::new(connections, places), per_connection)
    }

    /// The lane to a receiver behind a relay: the connections to it are the relay's affair, until it complains of them.
    #[must_use]
    pub fn behind_relay(receiver: &Receiver, places: u32) -> Self {
        let (_, per_connection) = PaceRules::built_in().limits(receiver);
        Self::new(Window::behind_relay(places), per_connection)
    }

    fn new(window: Window, per_connection: u32) -> Self {
        Self {
            breaker: Breaker::default(),
            window,
            speed: Speed::default(),
            budget: Budget::default(),
            shares: Shares::default(),
            flow: Flow::default(),
            per_connection,
            part: Part::WHOLE,
            in_a_row: 0,
            in_vain: 0,
            counted: Vec::new(),
            notice: None,
            heard: None,
            slowings: 0,
            asks: Flow::default(),
        }
    }

    /// Its worker is one of so many from now on, and has its part of the connections that the receiver is known to bear, and
    /// of a rate or a number of connections that holds.
    pub fn share(&mut self, part: Part) {
        self.part = part;
        self.window.share(part);
        self.speed.share(part);
    }

    /// Takes up what was known before a restart.
    pub fn remember(&mut self, notice: Notice, now: DateTime<Utc>) {
        match notice.slowed {
            Slowed::Rests { rests } => {
                self.breaker = Breaker::Open { since: now, until: notice.until, rests: rests.max(1) };
            }
            Slowed::PerHour(per_hour) => self.speed.hold(f64::from(per_hour) / 3600.0, notice.until),
            Slowed::Connections(most) => self.window.hold(most, notice.until),
        }
        self.notice = Some(notice);
    }

    /// Takes up what another worker was told at `now`, unless nothing goes in any case.
    pub fn heed(&mut self, notice: &Notice, now: DateTime<Utc>) {
        if self.rests() || self.notice.as_ref() == Some(notice) {
            return;
        }
        let before = self.speed.limit(now);
        self.remember(notice.clone(), now);
        if self.speed.limit(now) != before {
            self.slowings = self.slowings.wrapping_add(1);
        }
    }

    /// Whether a message of `asker`'s may go at `now`.
    pub fn pass(&mut self, asker: Asker, now: DateTime<Utc>) -> Pass {
        if !self.breaker.is_closed() {
            let pass = self.breaker.pass(now);
            if pass == Pass::Go {
                self.window.probe();
            }
            return pass;
        }
        if self.window.is_full(now) {
            self.budget.waits(asker.turn, now);
            if self.heard.is_some_and(|heard| now - heard > LOST) {
                self.window.forget();
                self.heard = Some(now);
            }
            return Pass::AskAgain;
        }
        let mut leaves = self.leaves(asker, now);
        if self.window.is_left(leaves, now) {
            if self.shares.stays_left(asker, now) {
                self.budget.waits(asker.turn, now);
                return Pass::AskAgain;
            }
            leaves = 0.0;
        }
        if !self.budget.allows(asker.turn, leaves, now) {
            return Pass::AskAgain;
        }
        if let Err(until) = self.speed.take(leaves, now) {
            self.budget.waits(asker.turn, now);
            return Pass::Wait(until);
        }
        self.heard.get_or_insert(now);
        self.budget.went(asker.turn);
        self.shares.went(asker, leaves, now);
        self.window.went();
        Pass::Go
    }

    /// The part of what is free that `asker` leaves to others.
    fn leaves(&self, asker: Asker, now: DateTime<Utc>) -> f64 {
        self.shares.leaves(asker, self.budget.allows(Turn::Again, 0.0, now), now)
    }

    /// When a message of `asker`'s that may not go now shall ask again: spread at twice the lane's pace, so that those who
    /// wait come neither all at once nor too late when it becomes faster. `jitter` in 0..1.
    pub fn queue(&mut self, asker: Asker, jitter: f64, now: DateTime<Utc>) -> DateTime<Utc> {
        /// Nobody waits longer without asking, however many there are; and nobody longer than the second while few ask:
        /// they would not hear that the lane has become faster.
        const LONGEST: f64 = 600.0;
        const FEW_WAIT: f64 = 60.0;
        /// Askers per second that are few.
        const FEW: f64 = 100.0;
        self.asks.count(now);
        let longest = (FEW_WAIT * self.asks.per_second() / FEW).clamp(FEW_WAIT, LONGEST);
        // A connection carries a message a second, or nearly; before the first ones are through there is nothing to measure.
        let measured = self.flow.per_second().max(self.window.bound(now).unwrap_or(1.0));
        let pace = self.speed.limit(now).unwrap_or(measured).max(0.005);
        let latest = now + span(longest);
        let instead = now + span(longest * f64::midpoint(1.0, jitter.clamp(0.0, 1.0)));
        self.shares.spread(asker, 0.5 / pace, (latest, instead), now)
    }

    /// A message got an answer that is not about the lane: it was taken, or refused for its own sake.
    pub fn answered(&mut self, now: DateTime<Utc>) -> Option<Change> {
        let is_late = self.window.came_back(true, now);
        self.heard = Some(now);
        if matches!(self.breaker, Breaker::Open { .. }) {
            return None; // it went before the rest began, and says nothing about its reason
        }
        if let Breaker::HalfOpen { since, .. } = self.breaker {
            self.reopen(since, now);
            return Some(Change::Opened);
        }
        self.flow.count(now);
        self.in_a_row = 0;
        if !is_late {
            self.in_vain = 0;
        }
        let is_over = self.notice.as_ref().is_some_and(|notice| notice.until <= now) && self.speed.is_free(now);
        is_over.then(|| {
            self.notice = None;
            Change::Opened
        })
    }

    /// A message was lost on the way, or was not sent after all: nothing was heard of the receiver. Where it was the probe,
    /// another one may go.
    pub fn unanswered(&mut self, was_probe: bool, now: DateTime<Utc>) {
        self.window.came_back(false, now);
        if was_probe {
            self.breaker.probe_again(now);
        }
    }

    /// The probe that was let through does not go, and none does before then: another worker sends one, or was told of a
    /// longer rest.
    pub fn put_off(&mut self, until: DateTime<Utc>, now: DateTime<Utc>) {
        self.window.came_back(false, now);
        self.breaker.put_off(until);
    }

    /// How often it was slowed so far; kept with a message that it lets through, to tell later whether it has changed.
    #[must_use]
    pub fn slowings(&self) -> u32 {
        self.slowings
    }

    /// Whether it rests, or was slowed since it let a message through, when it had been slowed so often.
    #[must_use]
    pub fn is_closer(&self, slowings: u32) -> bool {
        self.rests() || self.slowings != slowings
    }

    /// Until when a message waits that was let through after so many slowings and has not gone: the lane began to rest
    /// meanwhile, or became slower and it is not its turn any more. `None`, and it may go. Not for a probe. `jitter` in 0..1.
    pub fn turn_back(&mut self, asker: Asker, slowings: u32, jitter: f64, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let until = match self.breaker {
            Breaker::Closed if !self.is_closer(slowings) => return None,
            Breaker::Closed if self.speed.take(self.leaves(asker, now), now).is_ok() => return None,
            Breaker::Closed | Breaker::HalfOpen { .. } => self.queue(asker, jitter, now),
            Breaker::Open { until, .. } => until.max(now),
        };
        self.window.came_back(false, now);
        Some(until)
    }

    /// A message was refused: what that means for the others. `jitter` in 0..1.
    pub fn refused(
        &mut self,
        receiver: &Receiver,
        verdict: &Verdict,
        policy: &Policy,
        jitter: f64,
        now: DateTime<Utc>,
    ) -> Option<Change> {
        let found = PaceRules::built_in().find(receiver, verdict).filter(|(_, rule)| rule.action != Action::LeaveAlone);
        let Some((place, rule)) = found else { return self.answered(now) };
        let is_late = self.window.came_back(false, now);
        self.heard = Some(now);
        self.in_a_row = self.in_a_row.saturating_add(1);
        let many = self.count(place, now) >= rule.per_hour && self.in_a_row >= rule.in_a_row;
        let probing = matches!(self.breaker, Breaker::HalfOpen { .. });
        let told = verdict.retry_after.map(|seconds| TimeDelta::seconds(seconds.clamp(1, 86_400).into()));
        let by_policy = || policy_wait(policy, verdict, self.breaker.rests(), jitter);
        match rule.action {
            _ if !probing && !many => None,
            _ if let Some(told) = told => self.rest(told, rule, verdict, now),
            Action::Rest if rule.minutes > 0 => {
                let doubled = i64::from(rule.minutes) << self.breaker.rests().min(4);
                let longest = i64::from(rule.minutes).max(240);
                self.rest(TimeDelta::minutes(doubled.min(longest)), rule, verdict, now)
            }
            Action::Rest => self.rest(by_policy(), rule, verdict, now),
            _ if probing => self.rest(self.short_rest(policy, verdict, jitter), rule, verdict, now),
            Action::Halve | Action::FewerConnections if is_late => None,
            Action::FewerConnections => {
                let (most, until) = self.window.cut(now);
                self.note(Slowed::Connections(most.saturating_mul(self.part.of)), until, rule, verdict)
            }
            Action::Halve => {
                self.in_vain += 1;
                if self.in_vain >= IN_VAIN {
                    return self.rest(self.short_rest(policy, verdict, jitter), rule, verdict, now);
                }
                let (rate, until) = self.speed.cut(&self.flow, now);
                self.slowings = self.slowings.wrapping_add(1);
                self.window.cut_if_wanted();
                self.note(Slowed::per_second(rate * f64::from(self.part.of)), until, rule, verdict)
            }
            Action::PerMinute(most) => {
                let until = now + TimeDelta::minutes(rule.minutes.into());
                let before = self.speed.limit(now);
                self.speed.hold(f64::from(most) / 60.0, until);
                if self.speed.limit(now) != before {
                    self.slowings = self.slowings.wrapping_add(1);
                }
                self.note(Slowed::per_second(f64::from(most) / 60.0), until, rule, verdict)
            }
            Action::Connections(most) => {
                let until = now + TimeDelta::minutes(rule.minutes.into());
                self.window.hold(most, until);
                self.note(Slowed::Connections(most), until, rule, verdict)
            }
            Action::ShorterConnections => {
                self.per_connection = (self.per_connection / 2).max(1);
                None
            }
            Action::LeaveAlone => None,
        }
    }

    /// Somebody wants the receiver to be asked again sooner.
    pub fn shorten(&mut self, until: DateTime<Utc>) {
        self.breaker.shorten(until);
    }

    /// Messages by one connection at most.
    #[must_use]
    pub fn per_connection(&self) -> u32 {
        self.per_connection
    }

    /// Whether nothing goes but a probe.
    #[must_use]
    pub fn rests(&self) -> bool {
        !self.breaker.is_closed()
    }

    /// Why it is not simply open at `now`, for a page.
    #[must_use]
    pub fn notice(&self, now: DateTime<Utc>) -> Option<&Notice> {
        self.notice.as_ref().filter(|notice| notice.until > now || !self.breaker.is_closed())
    }

    /// Whether there is nothing to remember: it is as good as new.
    #[must_use]
    pub fn is_plain(&self, now: DateTime<Utc>) -> bool {
        self.breaker.is_closed()
            && self.window.is_idle()
            && self.speed.is_free(now)
            && self.notice.is_none()
            && self.counted.iter().all(|(_, at)| now - *at >= TimeDelta::hours(1))
    }

    /// Replies of that rule within the last hour, with this one.
    fn count(&mut self, rule: usize, now: DateTime<Utc>) -> u32 {
        /// More are not told apart from so many.
        const KEPT: usize = 64;
        self.counted.retain(|(_, at)| now - *at < TimeDelta::hours(1));
        if self.counted.len() >= KEPT {
            self.counted.remove(0);
        }
        self.counted.push((rule, now));
        let count = self.counted.iter().filter(|(counted, _)| *counted == rule).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    fn rest(&mut self, wait: TimeDelta, rule: &PaceRule, verdict: &Verdict, now: DateTime<Utc>) -> Option<Change> {
        let before = self.breaker;
        self.breaker.open(now + wait, now);
        let Breaker::Open { until, rests, .. } = self.breaker else { return None };
        if before == self.breaker {
            return None;
        }
        self.note(Slowed::Rests { rests }, until, rule, verdict)
    }

    fn note(&mut self, slowed: Slowed, until: DateTime<Utc>, rule: &PaceRule, verdict: &Verdict) -> Option<Change> {
        let (cause, words) = (verdict.cause, verdict.diagnostic.clone());
        let notice = Notice { slowed, until, why: rule.why.clone(), cause, words };
        self.notice = Some(notice.clone());
        Some(Change::Held(notice))
    }

    /// After a rest mail starts at half of what went before, and for as long as the rest was it does not go much faster
    /// than that, so that what has gathered does not fall upon the receiver.
    fn reopen(&mut self, since: DateTime<Utc>, now: DateTime<Utc>) {
        self.breaker = Breaker::Closed;
        self.speed.restart(&self.flow, now - since, now);
        self.notice = None;
        self.shares.spread_anew();
        (self.in_a_row, self.in_vain) = (0, 0);
        self.slowings = self.slowings.wrapping_add(1);
        self.flow.count(now);
    }

    fn short_rest(&self, policy: &Policy, verdict: &Verdict, jitter: f64) -> TimeDelta {
        let row = policy.row(verdict.cause, Permanence::Soft);
        let longest = row.after_4yz.map_or(60, |backoff| backoff.cap_minutes);
        let doubled = (FIRST_REST << self.breaker.rests().min(16)).min(i64::from(longest) * 60);
        jittered(TimeDelta::seconds(doubled), jitter)
    }
}

/// The policy's wait for that cause, doubled with every rest in a row.
fn policy_wait(policy: &Policy, verdict: &Verdict, rests: u32, jitter: f64) -> TimeDelta {
    let row = policy.row(verdict.cause, Permanence::Soft);
    let minutes = row
        .after_4yz
        .map_or(10, |backoff| backoff.base_minutes.saturating_mul(1 << rests.min(16)).min(backoff.cap_minutes));
    jittered(TimeDelta::minutes(minutes.into()), jitter)
}

/// Between half of it and all, so that lanes do not all open in the same second.
fn jittered(wait: TimeDelta, jitter: f64) -> TimeDelta {
    span(seconds(wait) * (0.5 + jitter.clamp(0.0, 1.0) / 2.0))
}

// Waits are some days at most: far inside what either side holds.
#[allow(clippy::cast_precision_loss)]
fn seconds(span: TimeDelta) -> f64 {
    span.num_milliseconds() as f64 / 1000.0
}

#[allow(clippy::cast_possible_truncation)]
fn span(seconds: f64) -> TimeDelta {
    TimeDelta::milliseconds((seconds * 1000.0).ceil() as i64)
}
