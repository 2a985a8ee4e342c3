//! Lines that a relay breaks before it has answered to a message: after many in a row it is left alone for a while, and
//! then tried by one line at a time.
//!
//! ```text
//! well ── ten in a row ──▶ left alone ── half a minute, doubled up to a quarter of an hour ──▶ on trial, one line
//!  ▲                           ▲                                                                  │
//!  └── an answer               └── it breaks                  an answer ──▶ well ◀────────────────┘
//! ```
//!
//! Each message that was being handed over is in doubt by such a break: a relay that breaks them all must not be given a
//! whole campaign.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// So many in a row are more than what a relay does that drops a line now and then. One that is started anew may break as
/// many as there are.
const MANY: u32 = 10;

const FIRST_REST: Duration = Duration::from_secs(30);
const LONGEST_REST: Duration = Duration::from_secs(15 * 60);

/// What a relay did with the last lines.
#[derive(Debug)]
pub(crate) struct Breaks {
    state: Mutex<State>,
    many: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It answers; or so many lines broke in a row.
    Well { in_a_row: u32 },
    /// Left alone, for the so-many-eth time in a row; whether somebody waits already, or has waited, for the rest to end.
    Alone { rests: u32, is_waited_for: bool },
    /// One line at a time; whether there is one.
    Trial { rests: u32, has_line: bool },
}

impl Breaks {
    /// Of a relay with so many lines at most.
    pub(crate) fn new(lines: usize) -> Self {
        let lines = u32::try_from(lines).unwrap_or(u32::MAX);
        Self { state: Mutex::new(State::Well { in_a_row: 0 }), many: MANY.max(lines.saturating_add(1)) }
    }

    /// It answered to a message.
    pub(crate) fn answered(&self) {
        *self.state() = State::Well { in_a_row: 0 };
    }

    /// A new line broke. Whether it is to be left alone from now on.
    pub(crate) fn broke(&self) -> bool {
        let mut state = self.state();
        let before = *state;
        *state = match before {
            State::Well { in_a_row } if in_a_row + 1 >= self.many => State::Alone { rests: 1, is_waited_for: false },
            State::Well { in_a_row } => State::Well { in_a_row: in_a_row + 1 },
            State::Alone { .. } => before,
            State::Trial { rests, .. } => State::Alone { rests: rests.saturating_add(1), is_waited_for: false },
        };
        before != *state && matches!(*state, State::Alone { .. })
    }

    /// For how long whoever asks it now has to wait before: the rest, and nothing after that.
    pub(crate) fn rest(&self) -> Duration {
        let State::Alone { rests, is_waited_for } = &mut *self.state() else { return Duration::ZERO };
        if std::mem::replace(is_waited_for, true) {
            return Duration::ZERO;
        }
        FIRST_REST.saturating_mul(1 << rests.saturating_sub(1).min(16)).min(LONGEST_REST)
    }

    /// Its rest is over.
    pub(crate) fn try_again(&self) {
        let mut state = self.state();
        if let State::Alone { rests, .. } = *state {
            *state = State::Trial { rests, has_line: false };
        }
    }

    /// Whether it is left alone.
    pub(crate) fn is_alone(&self) -> bool {
        matches!(*self.state(), State::Alone { .. })
    }

    /// Whether one tries it, and nobody knows yet.
    pub(crate) fn is_on_trial(&self) -> bool {
        matches!(*self.state(), State::Trial { .. })
    }

    /// Whether a line may be opened; where it is on trial, it is the only one until [`Self::closed`].
    pub(crate) fn may_open(&self) -> bool {
        match &mut *self.state() {
            State::Well { .. } => true,
            State::Alone { .. } => false,
            State::Trial { has_line, .. } => !std::mem::replace(has_line, true),
        }
    }

    /// A line is closed, or could not be opened.
    pub(crate) fn closed(&self) {
        if let State::Trial { has_line, .. } = &mut *self.state() {
            *has_line = false;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves it whole: each change is a single step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_that_breaks_all_lines_is_left_alone_for_longer_and_longer() {
        let breaks = Breaks::new(2);
        for _ in 0..3 {
            assert_eq!((1..MANY).map(|_| breaks.broke()).filter(|is_left| *is_left).count(), 0);
            breaks.answered();
        }
        assert_eq!((0..MANY + 3).map(|_| breaks.broke()).filter(|is_left| *is_left).count(), 1);
        assert!(!breaks.may_open());
        let mut rests = vec![breaks.rest()];
        assert_eq!(breaks.rest(), Duration::ZERO, "whoever finds it away asks again as always");
        for _ in 0..7 {
            breaks.try_again();
            assert!(breaks.may_open() && !breaks.may_open(), "one line at a time");
            assert!(breaks.broke());
            rests.push(breaks.rest());
        }
        assert_eq!(rests.iter().map(Duration::as_secs).collect::<Vec<_>>(), [30, 60, 120, 240, 480, 900, 900, 900]);
    }

    #[test]
    fn one_that_answers_is_well_and_a_line_that_finds_out_nothing_makes_place_for_another() {
        let breaks = Breaks::new(2);
        (0..MANY).for_each(|_| _ = breaks.broke());
        breaks.try_again();
        assert!(breaks.may_open() && !breaks.may_open());
        breaks.closed();
        assert!(breaks.may_open());
        breaks.answered();
        assert!(breaks.may_open() && breaks.may_open());
        assert_eq!(breaks.rest(), Duration::ZERO);
    }
}
