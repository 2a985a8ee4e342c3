//! Lines that a relay breaks: where it breaks off behind more than one of five messages, or breaks many lines in a row, it is
//! left alone for a while, and then tried by one line at a time.
//!
//! ```text
//! well ──── too many ────▶ left alone ── half a minute, doubled up to a quarter of an hour ──▶ on trial, one line
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

/// So many answers make up for one break behind a message: a relay may break off behind one of five.
const ANSWERS: u32 = 4;

const FIRST_REST: Duration = Duration::from_secs(30);
const LONGEST_REST: Duration = Duration::from_secs(15 * 60);

/// What a relay did with the last lines.
#[derive(Debug)]
pub(crate) struct Breaks {
    state: Mutex<State>,
    many: u32,
}

/// Where a line broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behind {
    /// Behind a message, which is in doubt by it.
    Message,
    /// A new one, before anything was handed over.
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It answers. So many lines broke since the last answer; so many answers are missing to make up for all breaks behind
    /// messages, and until then it is known how often it was left alone before.
    Well { in_a_row: u32, missing: u32, rests: u32 },
    /// Left alone, for the so-many-eth time in a row; whether somebody waits already, or has waited, for the rest to end.
    Alone { rests: u32, is_waited_for: bool },
    /// One line at a time; whether there is one.
    Trial { rests: u32, has_line: bool },
}

impl State {
    const WELL: Self = Self::Well { in_a_row: 0, missing: 0, rests: 0 };

    /// Left alone once more.
    fn after(rests: u32) -> Self {
        Self::Alone { rests: rests.saturating_add(1), is_waited_for: false }
    }
}

impl Breaks {
    /// Of a relay with so many lines at most.
    pub(crate) fn new(lines: usize) -> Self {
        let lines = u32::try_from(lines).unwrap_or(u32::MAX);
        Self { state: Mutex::new(State::WELL), many: MANY.max(lines.saturating_add(1)) }
    }

    /// It answered to a message. One that was on trial must do so for a while until all is forgotten; one that is left alone
    /// answers still on older lines, and stays alone.
    pub(crate) fn answered(&self) {
        let mut state = self.state();
        *state = match *state {
            State::Well { missing: 0 | 1, .. } => State::WELL,
            State::Well { missing, rests, .. } => State::Well { in_a_row: 0, missing: missing - 1, rests },
            State::Trial { rests, .. } => State::Well { in_a_row: 0, missing: self.many / 2 * ANSWERS, rests },
            State::Alone { .. } => *state,
        };
    }

    /// A line broke, behind a message or before the first. Whether it is to be left alone from now on.
    pub(crate) fn broke(&self, behind: Behind) -> bool {
        let mut state = self.state();
        let before = *state;
        let answers = match behind {
            Behind::Message => ANSWERS,
            Behind::Nothing => 0,
        };
        *state = match before {
            State::Well { in_a_row, missing, rests }
                if in_a_row + 1 >= self.many || missing + answers >= self.many * ANSWERS =>
            {
                State::after(rests)
            }
            State::Well { in_a_row, missing, rests } => {
                State::Well { in_a_row: in_a_row + 1, missing: missing + answers, rests }
            }
            State::Alone { .. } => before,
            State::Trial { rests, .. } => State::after(rests),
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
            assert_eq!((1..MANY).map(|_| breaks.broke(Behind::Nothing)).filter(|is_left| *is_left).count(), 0);
            breaks.answered();
        }
        assert_eq!((0..MANY + 3).map(|_| breaks.broke(Behind::Message)).filter(|is_left| *is_left).count(), 1);
        assert!(!breaks.may_open());
        let mut rests = vec![breaks.rest()];
        assert_eq!(breaks.rest(), Duration::ZERO, "whoever finds it away asks again as always");
        for _ in 0..7 {
            breaks.try_again();
            assert!(breaks.may_open() && !breaks.may_open(), "one line at a time");
            assert!(breaks.broke(Behind::Message));
            rests.push(breaks.rest());
        }
        assert_eq!(rests.iter().map(Duration::as_secs).collect::<Vec<_>>(), [30, 60, 120, 240, 480, 900, 900, 900]);
    }

    #[test]
    fn more_than_one_broken_message_of_five_is_too_many() {
        let left_alone_after = |answers: u32| {
            let breaks = Breaks::new(2);
            (1..=1_000).find(|_| {
                (0..answers).for_each(|_| breaks.answered());
                breaks.broke(Behind::Message)
            })
        };
        assert_eq!([0, 1, 2, 3, 4].map(left_alone_after), [Some(10), Some(13), Some(19), Some(37), None]);
    }

    #[test]
    fn an_answer_on_an_older_line_does_not_end_a_rest() {
        let breaks = Breaks::new(2);
        (0..MANY).for_each(|_| _ = breaks.broke(Behind::Message));
        breaks.answered();
        assert!(breaks.is_alone());
        assert_eq!(breaks.rest(), FIRST_REST);
    }

    #[test]
    fn one_that_answers_is_well_and_a_line_that_finds_out_nothing_makes_place_for_another() {
        let breaks = Breaks::new(2);
        (0..MANY).for_each(|_| _ = breaks.broke(Behind::Message));
        breaks.try_again();
        assert!(breaks.may_open() && !breaks.may_open());
        breaks.closed();
        assert!(breaks.may_open());
        breaks.answered();
        assert!(breaks.may_open() && breaks.may_open());
        assert_eq!(breaks.rest(), Duration::ZERO);
    }

    #[test]
    fn one_that_breaks_again_soon_after_a_trial_rests_for_longer_and_one_that_goes_on_does_not() {
        let breaks = Breaks::new(2);
        let left_alone_again =
            || (1..=MANY).find(|_| breaks.broke(Behind::Message)).map(|lines| (lines, breaks.rest().as_secs()));
        let on_trial = |answers: u32| {
            breaks.try_again();
            (0..answers).for_each(|_| breaks.answered());
        };
        assert_eq!(left_alone_again(), Some((10, 30)));
        on_trial(1);
        assert_eq!(left_alone_again(), Some((5, 60)));
        on_trial(21);
        assert_eq!(left_alone_again(), Some((10, 30)), "all is forgotten");
    }
}
