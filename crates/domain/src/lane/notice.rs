//! Why a lane is not simply open, and until when.

use crate::BounceCause;
use chrono::{DateTime, Utc};
use std::fmt;

/// Why a lane is not simply open: what a page shows and a restart remembers.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// What holds it.
    pub slowed: Slowed,
    /// Until when: a rest ends with a probe; a rate that was halved is back by then.
    pub until: DateTime<Utc>,
    /// “it …”, by the rule that was applied.
    pub why: String,
    /// What the receiver's reply was taken to mean.
    pub cause: BounceCause,
    /// The receiver's own words.
    pub words: String,
}

/// What holds a lane, of all workers together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slowed {
    /// Nothing goes.
    Rests {
        /// How often in a row it has rested.
        rests: u32,
    },
    /// No more than so many messages an hour.
    PerHour(u32),
    /// No more than so many at a time.
    Connections(u32),
}

impl Notice {
    /// Whether it still holds: a rest lasts until a probe was taken.
    #[must_use]
    pub fn holds(&self, now: DateTime<Utc>) -> bool {
        self.until > now || matches!(self.slowed, Slowed::Rests { .. })
    }
}

impl Slowed {
    /// A rate by the second.
    #[must_use]
    pub fn per_second(rate: f64) -> Self {
        // Saturates, and a rate is never negative.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let per_hour = (rate * 3600.0).round() as u32;
        Self::PerHour(per_hour.max(1))
    }
}

/// `slowed to 10/min`, `rests`.
impl fmt::Display for Slowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Rests { .. } => f.write_str("rests"),
            Self::PerHour(rate) if rate >= 36_000 => write!(f, "slowed to {}/s", rate / 3600),
            Self::PerHour(rate) if rate >= 60 => write!(f, "slowed to {}/min", rate / 60),
            Self::PerHour(rate) => write!(f, "slowed to {rate}/h"),
            Self::Connections(1) => f.write_str("slowed to one at a time"),
            Self::Connections(most) => write!(f, "slowed to {most} at a time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_in_words() {
        for (slowed, expected) in [
            (Slowed::per_second(10.0 / 60.0), "slowed to 10/min"),
            (Slowed::per_second(0.001), "slowed to 4/h"),
            (Slowed::per_second(25.0), "slowed to 25/s"),
            (Slowed::Connections(1), "slowed to one at a time"),
            (Slowed::Rests { rests: 2 }, "rests"),
        ] {
            assert_eq!(slowed.to_string(), expected);
        }
    }
}
