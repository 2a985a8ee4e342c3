//! How much of a lane second tries may have while new messages wait.

use chrono::{DateTime, TimeDelta, Utc};

/// Whether a message goes for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Its first try.
    First,
    /// It was put off before.
    Again,
}

/// Of five messages one may be a second try, while new ones wait.
const PER_FIRST: f64 = 0.25;

/// Second tries that may be saved up.
const SAVED: f64 = 5.0;

/// First tries that have not had to wait for so long have all the places they want.
const WAITS: TimeDelta = TimeDelta::seconds(10);

/// Keeps second tries to a fifth of the mail while first ones wait for places. Where there are places for all they have
/// what they want: nobody is served by a lane that stands empty.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Budget {
    saved: f64,
    first: Option<DateTime<Utc>>,
}

impl Budget {
    /// Whether a message of that turn may go, of somebody who `leaves` such a part of what is saved to others.
    #[must_use]
    pub fn allows(&self, turn: Turn, leaves: f64, now: DateTime<Utc>) -> bool {
        let needed = 1.0 + (SAVED - 1.0) * leaves;
        turn == Turn::First || self.saved >= needed || self.first.is_none_or(|first| now - first > WAITS)
    }

    /// A message of that turn has to wait for a place.
    pub fn waits(&mut self, turn: Turn, now: DateTime<Utc>) {
        if turn == Turn::First {
            self.first = Some(now);
        }
    }

    /// A message of that turn went.
    pub fn went(&mut self, turn: Turn) {
        self.saved = match turn {
            Turn::First => (self.saved + PER_FIRST).min(SAVED),
            Turn::Again => (self.saved - 1.0).max(0.0),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    /// How many second tries are among `places` messages, where one waits at any time.
    fn second_tries(budget: &mut Budget, places: usize, first_wait: bool, now: DateTime<Utc>) -> usize {
        let deal = |budget: &mut Budget| {
            if first_wait {
                budget.waits(Turn::First, now);
            }
            let turn = if budget.allows(Turn::Again, 0.0, now) { Turn::Again } else { Turn::First };
            budget.went(turn);
            turn
        };
        (0..places).filter(|_| deal(budget) == Turn::Again).count()
    }

    #[test]
    fn second_tries_have_a_fifth_while_first_ones_wait() {
        let again = second_tries(&mut Budget::default(), 1_000, true, at(30));
        assert!((190..=200).contains(&again), "{again}");
    }

    #[test]
    fn second_tries_alone_have_the_whole_lane() {
        let mut budget = Budget::default();
        assert_eq!(second_tries(&mut budget, 100, false, at(30)), 100);
        budget.waits(Turn::First, at(30));
        assert!(!budget.allows(Turn::Again, 0.0, at(31)));
        assert!(budget.allows(Turn::Again, 0.0, at(30) + WAITS + TimeDelta::seconds(1)), "nobody waits any more");
    }
}
