//! A limit that nobody tells: found from below, remembered, and asked anew.

use super::seconds;
use chrono::{DateTime, Utc};

/// What is left right after a throttle reply.
const CUT: f64 = 0.5;

/// A little below where it was refused.
const BELOW: f64 = 0.97;

/// How a limit comes back after a throttle reply: from half of what was refused up to nearly that, fast at first and
/// ever slower; there for a while; then beyond it, slowly at first and ever faster, since limits are lifted, too. The
/// shape is CUBIC's (RFC 9438 §4.2) with a level stretch in the middle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Curve {
    /// Where it was refused last.
    ceiling: f64,
    /// When.
    since: DateTime<Utc>,
    /// Seconds to climb back.
    climb: f64,
}

impl Curve {
    /// Half of `refused` from `now` on, and back in `climb` seconds.
    pub(super) fn cut(refused: f64, climb: f64, now: DateTime<Utc>) -> Self {
        Self { ceiling: refused * BELOW, since: now, climb }
    }

    /// The limit at `now`.
    pub(super) fn at(&self, now: DateTime<Utc>) -> f64 {
        let climbs = seconds(now - self.since).max(0.0) / self.climb;
        let bend = match climbs {
            low if low < 1.0 => -(1.0 - low).powi(3),
            level if level < 2.0 => 0.0,
            high => (high - 2.0).powi(3),
        };
        self.ceiling * (1.0 + (1.0 - CUT) * bend)
    }

    pub(super) fn ceiling(&self) -> f64 {
        self.ceiling
    }

    /// When it is back where it was.
    pub(super) fn back(&self) -> DateTime<Utc> {
        self.since + super::span(self.climb)
    }

    /// Whether it has grown so far beyond where it was refused that it says nothing any more.
    pub(super) fn is_forgotten(&self, now: DateTime<Utc>) -> bool {
        self.at(now) > 50.0 * self.ceiling
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    #[test]
    fn it_halves_comes_back_stays_and_asks_for_more() {
        let now = DateTime::UNIX_EPOCH;
        let curve = Curve::cut(100.0, 20.0, now);
        let at = |seconds| curve.at(now + TimeDelta::seconds(seconds)).round();
        assert_eq!([0, 10, 20, 40].map(at), [49.0, 91.0, 97.0, 97.0]);
        assert!(at(60) > 140.0 && at(90) > 800.0, "{} {}", at(60), at(90));
        assert!(!curve.is_forgotten(now) && curve.is_forgotten(now + TimeDelta::minutes(5)));
    }
}
