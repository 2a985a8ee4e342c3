//! The product's time: the wall clock, or one that runs faster (in the demo).

use chrono::{DateTime, TimeDelta, Utc};

/// Turns the wall clock's time into the product's.
///
/// It reads no clock itself: loops, handlers and commands read theirs and ask what that means.
///
/// ```
/// use chrono::{TimeDelta, Utc};
/// let start = Utc::now();
/// let clock = rebound_domain::Clock::faster(start, 3600.0);
/// assert_eq!(clock.at(start + TimeDelta::seconds(2)), start + TimeDelta::hours(2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clock {
    origin: DateTime<Utc>,
    factor: f64,
}

impl Clock {
    /// The wall clock itself.
    #[must_use]
    pub fn wall() -> Self {
        Self { origin: DateTime::UNIX_EPOCH, factor: 1.0 }
    }

    /// A clock that equals the wall clock at `origin` and runs `factor` times as fast from there.
    #[must_use]
    pub fn faster(origin: DateTime<Utc>, factor: f64) -> Self {
        Self { origin, factor: if factor.is_finite() { factor.max(1.0) } else { 1.0 } }
    }

    /// How many times faster than the wall clock it runs.
    #[must_use]
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// The product's time when the wall clock shows `wall`.
    #[must_use]
    pub fn at(&self, wall: DateTime<Utc>) -> DateTime<Utc> {
        if self.factor <= 1.0 {
            return wall;
        }
        let real = (wall - self.origin).num_milliseconds();
        // A demo that ran for years would pass f64's whole numbers; until then this is exact enough.
        #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
        let passed = TimeDelta::milliseconds((real as f64 * self.factor) as i64);
        self.origin + passed
    }

    /// How long to wait on the wall clock until `span` has passed on this one.
    #[must_use]
    pub fn wait(&self, span: TimeDelta) -> std::time::Duration {
        span.to_std().unwrap_or_default().div_f64(self.factor)
    }
}
