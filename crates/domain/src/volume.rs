//! How much a server may be given: limits of its own, and a plan for one that its receivers do not know yet.

use chrono::{DateTime, TimeDelta, Utc};

/// The most that a server may be given. `None` is no limit.
///
/// A second's is kept by spacing messages evenly. The others hold in **any** such span of time, not only from one full
/// hour to the next: whoever counts on the other side may begin at another moment than we.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Messages a second.
    pub per_second: Option<u32>,
    /// Messages in any minute.
    pub per_minute: Option<u32>,
    /// Messages in any hour.
    pub per_hour: Option<u32>,
    /// Messages in any 24 hours.
    pub per_day: Option<u32>,
}

/// A span of time that volume is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Span {
    /// 60 seconds.
    Minute,
    /// 60 minutes.
    Hour,
    /// 24 hours.
    Day,
}

/// So many messages in any such span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The span.
    pub span: Span,
    /// Messages.
    pub most: u32,
}

/// How the daily volume of a new server grows, so that receivers come to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarmUp {
    /// When its first day began.
    pub from: DateTime<Utc>,
    /// Messages on the first day, at least 1.
    pub first: u32,
    /// By how many per cent more each day, at least 1.
    pub growth: u16,
    /// When a day would have more than so many, the plan is done.
    pub until: u32,
}

impl Limits {
    /// What may be given at `now` in each span, a warm-up's day included.
    pub fn volumes(&self, warm_up: Option<&WarmUp>, now: DateTime<Utc>) -> impl Iterator<Item = Volume> + use<> {
        let day = [self.per_day, warm_up.and_then(|plan| plan.most(now))].into_iter().flatten().min();
        let spans = [(Span::Minute, self.per_minute), (Span::Hour, self.per_hour), (Span::Day, day)];
        spans.into_iter().filter_map(|(span, most)| Some(Volume { span, most: most? }))
    }
}

impl Span {
    /// All of them, the shortest first.
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// Its length.
    #[must_use]
    pub const fn length(self) -> TimeDelta {
        match self {
            Self::Minute => TimeDelta::minutes(1),
            Self::Hour => TimeDelta::hours(1),
            Self::Day => TimeDelta::days(1),
        }
    }

    /// How finely it is counted. What was given stays counted until the whole of its part is a span old.
    #[must_use]
    pub const fn part(self) -> TimeDelta {
        match self {
            Self::Minute => TimeDelta::seconds(5),
            Self::Hour => TimeDelta::minutes(2),
            Self::Day => TimeDelta::minutes(30),
        }
    }

    /// When the part began that `at` is in. All clocks agree on it.
    #[must_use]
    pub fn part_of(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let into = at.timestamp_millis().rem_euclid(self.part().num_milliseconds());
        DateTime::from_timestamp_millis(at.timestamp_millis() - into).unwrap_or(at)
    }

    /// Its name: `minute`, `hour`, `day`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

impl WarmUp {
    /// Which day of the plan it is, counted from 1.
    #[must_use]
    pub fn day(&self, now: DateTime<Utc>) -> i64 {
        (now - self.from).num_days().max(0) + 1
    }

    /// The most of today; `None` when the plan is done.
    #[must_use]
    pub fn most(&self, now: DateTime<Utc>) -> Option<u32> {
        let growth = 1.0 + f64::from(self.growth.max(1)) / 100.0;
        let days = i32::try_from(self.day(now) - 1).unwrap_or(i32::MAX);
        let most = f64::from(self.first.max(1)) * growth.powi(days);
        // Within the bounds of both, as it is below `until`.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        (most <= f64::from(self.until)).then_some(most as u32)
    }

    /// How many days the plan has.
    #[must_use]
    pub fn days(&self) -> i64 {
        let day = |day| self.from + TimeDelta::days(day);
        (0..3_650).find(|number| self.most(day(*number)).is_none()).unwrap_or(3_650)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> WarmUp {
        WarmUp { from: DateTime::UNIX_EPOCH, first: 50, growth: 100, until: 1_000 }
    }

    #[test]
    fn a_plan_doubles_each_day_until_it_is_done() {
        let most: Vec<_> = (0..6).map(|day| plan().most(DateTime::UNIX_EPOCH + TimeDelta::days(day))).collect();
        assert_eq!(most, [Some(50), Some(100), Some(200), Some(400), Some(800), None]);
        assert_eq!(plan().days(), 5);
        let late_on_the_second = DateTime::UNIX_EPOCH + TimeDelta::hours(47);
        assert_eq!((plan().day(late_on_the_second), plan().most(late_on_the_second)), (2, Some(100)));
        let before = DateTime::UNIX_EPOCH - TimeDelta::days(3);
        assert_eq!(plan().most(before), Some(50), "where the clock was put back");
    }

    #[test]
    fn the_narrower_of_a_plan_and_a_limit_holds() {
        let limits = Limits { per_day: Some(150), per_hour: Some(20), ..Limits::default() };
        let on = |day| {
            let now = DateTime::UNIX_EPOCH + TimeDelta::days(day);
            limits.volumes(Some(&plan()), now).map(|volume| (volume.span, volume.most)).collect::<Vec<_>>()
        };
        assert_eq!(on(0), [(Span::Hour, 20), (Span::Day, 50)]);
        assert_eq!(on(2), [(Span::Hour, 20), (Span::Day, 150)]);
        assert_eq!(Limits::default().volumes(None, DateTime::UNIX_EPOCH).count(), 0);
    }
}
