//! The mailbox provider behind a domain, and the lane that leads to it.

mod provider;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The receiving side of a lane: whoever takes the mail of a domain.
///
/// Named by a domain in lower case: the recipient's own, or, where it is known which hosts take its mail, the one that
/// these hosts belong to. Thousands of domains are one receiver when the same provider serves them, and what one of
/// them says about our speed or our reputation then holds for all.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Receiver(String);

impl Receiver {
    /// The receiver behind `domain`.
    #[must_use]
    pub fn of_domain(domain: &str) -> Self {
        Self(domain.to_ascii_lowercase())
    }

    /// The receiver behind `domain`, whose mail goes to `mx_hosts`: those of the best preference, in any order.
    ///
    /// Hosts of a large provider are known by the ends of their names; other hosts belong to whoever registered the
    /// domain above them, by the list of public suffixes. Where the hosts belong to several, as with some who are
    /// moving, the recipient's domain stands for itself.
    #[must_use]
    pub fn of_exchange(domain: &str, mx_hosts: &[impl AsRef<str>]) -> Self {
        let mut owners = mx_hosts.iter().map(|host| provider::owner(host.as_ref()));
        let Some(first) = owners.next() else { return Self::of_domain(domain) };
        if owners.all(|owner| owner == first) { Self(first) } else { Self::of_domain(domain) }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether mail may go to a receiver now.
///
/// A receiver that does not answer, or asks us to slow down, rests; then one probe goes out, and what
/// it hears opens the lane or lets it rest again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lane {
    /// Mail goes.
    #[default]
    Open,
    /// Nothing goes before `until`.
    Resting {
        /// When a probe may go.
        until: DateTime<Utc>,
        /// How often in a row it has rested: the rests grow.
        rests: u32,
    },
    /// One message is under way to see whether it can open.
    Probing {
        /// How often in a row it has rested.
        rests: u32,
    },
}

/// What a lane says to a message that wants to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Go.
    Go,
    /// Wait at least until then.
    Wait(DateTime<Utc>),
    /// A probe is under way; ask again shortly.
    AskAgain,
}

impl Lane {
    /// Asks to pass at `now`; a rested lane lets one probe through.
    pub fn pass(&mut self, now: DateTime<Utc>) -> Pass {
        match *self {
            Self::Open => Pass::Go,
            Self::Resting { until, .. } if now < until => Pass::Wait(until),
            Self::Resting { rests, .. } => {
                *self = Self::Probing { rests };
                Pass::Go
            }
            Self::Probing { .. } => Pass::AskAgain,
        }
    }

    /// How often in a row it has rested.
    #[must_use]
    pub fn rests(&self) -> u32 {
        match *self {
            Self::Open => 0,
            Self::Resting { rests, .. } | Self::Probing { rests } => rests,
        }
    }

    /// The receiver answered like one that is up.
    pub fn opened(&mut self) {
        *self = Self::Open;
    }

    /// The receiver does not answer, or asks for patience until `until`. Answers that were already under
    /// way when it went to rest do not make the rest longer.
    pub fn rest(&mut self, until: DateTime<Utc>) {
        match *self {
            Self::Resting { .. } => {}
            Self::Open => *self = Self::Resting { until, rests: 1 },
            Self::Probing { rests } => *self = Self::Resting { until, rests: rests + 1 },
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
        let mut lane = Lane::Open;
        assert_eq!(lane.pass(now), Pass::Go);
        lane.rest(later);
        lane.rest(later + TimeDelta::hours(9));
        assert_eq!(lane.pass(now), Pass::Wait(later));
        assert_eq!(lane.pass(later), Pass::Go);
        assert_eq!(lane.pass(later), Pass::AskAgain);
        lane.rest(later + TimeDelta::hours(1));
        assert_eq!(lane.rests(), 2);
        lane.opened();
        assert_eq!((lane.pass(later), lane.rests()), (Pass::Go, 0));
    }
}
