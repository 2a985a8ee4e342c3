//! Whether anything may go at all: closed, open, half-open with one probe.

use super::Pass;
use chrono::{DateTime, Utc};

/// A circuit breaker. What a probe hears closes it, or opens it again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Breaker {
    /// Mail goes.
    #[default]
    Closed,
    /// Nothing goes before `until`.
    Open {
        /// Since when mail has not gone, over all rests in a row.
        since: DateTime<Utc>,
        /// When a probe may go.
        until: DateTime<Utc>,
        /// How often in a row it has rested: the rests grow.
        rests: u32,
    },
    /// One message is under way to see whether it can close.
    HalfOpen {
        /// Since when mail has not gone.
        since: DateTime<Utc>,
        /// How often in a row it has rested.
        rests: u32,
    },
}

impl Breaker {
    /// Asks to pass at `now`; a rested lane lets one probe through.
    pub(super) fn pass(&mut self, now: DateTime<Utc>) -> Pass {
        match *self {
            Self::Closed => Pass::Go,
            Self::Open { until, .. } if now < until => Pass::Wait(until),
            Self::Open { since, rests, .. } => {
                *self = Self::HalfOpen { since, rests };
                Pass::Go
            }
            Self::HalfOpen { .. } => Pass::AskAgain,
        }
    }

    pub(super) fn is_closed(self) -> bool {
        self == Self::Closed
    }

    /// How often in a row it has rested.
    pub(super) fn rests(self) -> u32 {
        match self {
            Self::Closed => 0,
            Self::Open { rests, .. } | Self::HalfOpen { rests, .. } => rests,
        }
    }

    /// No mail until `until`. Answers that were already under way when it opened do not make the rest longer.
    pub(super) fn open(&mut self, until: DateTime<Utc>, now: DateTime<Utc>) {
        *self = match *self {
            Self::Open { .. } => return,
            Self::Closed => Self::Open { since: now, until, rests: 1 },
            Self::HalfOpen { since, rests } => Self::Open { since, until, rests: rests.saturating_add(1) },
        };
    }

    /// The probe came back without an answer of the receiver's: another may go at once.
    pub(super) fn probe_again(&mut self, now: DateTime<Utc>) {
        if let Self::HalfOpen { since, rests } = *self {
            *self = Self::Open { since, until: now, rests };
        }
    }

    /// The probe does not go: another one is under way, or the rest is longer.
    pub(super) fn put_off(&mut self, until: DateTime<Utc>) {
        if let Self::HalfOpen { since, rests } = *self {
            *self = Self::Open { since, until, rests };
        }
    }

    /// Somebody wants the receiver to be asked sooner.
    pub(super) fn shorten(&mut self, sooner: DateTime<Utc>) {
        if let Self::Open { until, .. } = self
            && sooner < *until
        {
            *until = sooner;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    #[test]
    fn a_rested_lane_lets_one_probe_through() {
        let now = DateTime::UNIX_EPOCH;
        let later = now + TimeDelta::minutes(10);
        let mut breaker = Breaker::default();
        assert_eq!(breaker.pass(now), Pass::Go);
        breaker.open(later, now);
        breaker.open(later + TimeDelta::hours(9), now);
        assert_eq!(breaker.pass(now), Pass::Wait(later));
        assert_eq!(breaker.pass(later), Pass::Go);
        assert_eq!(breaker.pass(later), Pass::AskAgain);
        breaker.probe_again(later);
        assert_eq!(breaker.pass(later), Pass::Go);
        breaker.open(later + TimeDelta::hours(1), later);
        assert_eq!(breaker.rests(), 2);
        breaker.shorten(later);
        assert_eq!(breaker.pass(later), Pass::Go);
    }
}
