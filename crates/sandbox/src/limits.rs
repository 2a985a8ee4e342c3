//! How much a host takes in how much time: five kinds of limits, each a rule over what it took before.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::mailboxes::Behaviour;
use crate::settings::Rate;

/// How fast the hosts live, and what the limited ones take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Seconds of a host in one of the wall.
    pub(crate) faster: f64,
    pub(crate) rate: Rate,
}

impl Pace {
    /// A wall time on the host's clock.
    pub(crate) fn hosts(self, wall: TimeDelta) -> Duration {
        let wall = wall.to_std().unwrap_or_default();
        Duration::try_from_secs_f64(wall.as_secs_f64() * self.faster).unwrap_or(Duration::MAX)
    }

    /// How long, on the host's clock, is left of `span` since a moment; nothing has passed before the first try.
    pub(crate) fn left(self, since: Option<DateTime<Utc>>, span: Duration, now: DateTime<Utc>) -> Option<Duration> {
        let gone = since.map_or(Duration::ZERO, |since| self.hosts(now - since));
        span.checked_sub(gone).filter(|left| !left.is_zero())
    }
}

/// A kind of limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// So many in any window.
    Sliding,
    /// So many in each hour of the host, whenever within it.
    Hourly,
    /// So many at once, then one after the other as fast as the rate allows.
    Burst,
    /// The sliding limit for twelve hours, none for the next twelve.
    ByDay,
}

impl Limit {
    pub(crate) fn of(behaviour: Behaviour) -> Option<Self> {
        match behaviour {
            Behaviour::RateLimited | Behaviour::HiddenLimit => Some(Self::Sliding),
            Behaviour::HourlyQuota => Some(Self::Hourly),
            Behaviour::Burst => Some(Self::Burst),
            Behaviour::Diurnal => Some(Self::ByDay),
            _ => None,
        }
    }
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What a host has taken.
#[derive(Default)]
pub(crate) struct Intake {
    pub(crate) first_try: Option<DateTime<Utc>>,
    /// The last ones, as many as the rate allows in a window.
    last: VecDeque<DateTime<Utc>>,
    /// When a host that takes bursts is ready for a whole one again.
    rested: Option<DateTime<Utc>>,
}

impl Intake {
    /// Notes that a message was taken.
    pub(crate) fn took(&mut self, at: DateTime<Utc>, pace: Pace) {
        self.last.push_back(at);
        while self.last.len() > pace.rate.messages {
            self.last.pop_front();
        }
        self.rested = Some(self.rested.map_or(at, |rested| rested.max(at)) + each(pace));
    }

    /// How much longer it takes nothing, on its own clock.
    pub(crate) fn refuses_for(&self, limit: Limit, now: DateTime<Utc>, pace: Pace) -> Option<Duration> {
        match limit {
            Limit::Sliding => self.window(now, pace),
            Limit::Hourly => self.hour(now, pace),
            Limit::Burst => self.burst(now, pace),
            Limit::ByDay => self.day(now, pace),
        }
    }

    fn window(&self, now: DateTime<Utc>, pace: Pace) -> Option<Duration> {
        let oldest = self.last.front().filter(|_| self.last.len() >= pace.rate.messages)?;
        pace.left(Some(*oldest), pace.rate.window, now)
    }

    fn hour(&self, now: DateTime<Utc>, pace: Pace) -> Option<Duration> {
        let first = self.first_try?;
        let hour_of = |at: DateTime<Utc>| pace.hosts(at - first).as_secs() / HOUR.as_secs();
        let this = self.last.iter().filter(|at| hour_of(**at) == hour_of(now)).count();
        let end = HOUR * u32::try_from(hour_of(now) + 1).unwrap_or(u32::MAX);
        (this >= pace.rate.messages).then(|| end.saturating_sub(pace.hosts(now - first)))
    }

    fn burst(&self, now: DateTime<Utc>, pace: Pace) -> Option<Duration> {
        let patience = each(pace) * i32::try_from(pace.rate.messages.saturating_sub(1)).unwrap_or(i32::MAX);
        let ready = self.rested? - patience;
        (ready > now).then(|| pace.hosts(ready - now))
    }

    fn day(&self, now: DateTime<Utc>, pace: Pace) -> Option<Duration> {
        let lived = pace.hosts(now - self.first_try?).as_secs() % DAY.as_secs();
        if lived >= DAY.as_secs() / 2 { None } else { self.window(now, pace) }
    }
}

/// The wall time after which a host that takes bursts is ready for one more.
fn each(pace: Pace) -> TimeDelta {
    let share = pace.rate.window.as_secs_f64() / pace.rate.messages.max(1) as f64 / pace.faster;
    TimeDelta::from_std(Duration::try_from_secs_f64(share).unwrap_or(Duration::MAX)).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds at which a host takes a message, of those at which one is offered.
    fn taken(limit: Limit, faster: f64, offered: impl IntoIterator<Item = i64>) -> Vec<i64> {
        let pace = Pace { faster, rate: Rate { messages: 2, window: Duration::from_secs(60) } };
        let mut intake = Intake { first_try: Some(DateTime::UNIX_EPOCH), ..Intake::default() };
        let mut taken = Vec::new();
        for second in offered {
            let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(second);
            match intake.refuses_for(limit, now, pace) {
                None => {
                    intake.took(now, pace);
                    taken.push(second);
                }
                Some(wait) => {
                    let wait = wait.mul_f64(1.0 / faster) + Duration::from_millis(1);
                    let then = now + TimeDelta::from_std(wait).unwrap();
                    assert_eq!(intake.refuses_for(limit, then, pace), None, "who waits as told is let in: {second}");
                }
            }
        }
        taken
    }

    #[test]
    fn each_limit_takes_what_it_should() {
        let every_ten = || (0..130).step_by(10);
        assert_eq!(taken(Limit::Sliding, 1.0, every_ten()), [0, 10, 60, 70, 120]);
        assert_eq!(taken(Limit::Burst, 1.0, every_ten()), [0, 10, 30, 60, 90, 120]);
        // An hour of the host is a minute of the wall.
        assert_eq!(taken(Limit::Hourly, 60.0, (50..130).step_by(5)), [50, 55, 60, 65, 120, 125]);
        assert_eq!(taken(Limit::Hourly, 60.0, [0, 10, 20, 59, 60, 61, 62]), [0, 10, 60, 61]);
    }

    #[test]
    fn a_host_that_is_busy_by_day_takes_everything_by_night() {
        let (day, night) = (11 * 3600, 13 * 3600);
        assert_eq!(taken(Limit::ByDay, 1.0, day..day + 5), [day, day + 1]);
        assert_eq!(taken(Limit::ByDay, 1.0, night..night + 5).len(), 5);
    }
}
