//! What a cause means for the reader: whose doing it is, and whose turn.

use rebound_domain::{BounceCause, CauseGroup, Permanence, StateName};
use std::borrow::Borrow;

/// Who has to do something about failures of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Turn {
    /// The reader: nothing more happens until they decide.
    Yours,
    /// Us: it is tried again.
    Ours,
    /// Nobody: it is over.
    Nobodys,
}

/// Whose turn it is with a message that failed for `cause` and stands in `state`; `None` when it arrived after all.
pub(crate) fn turn(cause: BounceCause, state: StateName) -> Option<Turn> {
    match state {
        StateName::Accepted | StateName::Suppressed | StateName::Cancelled => None,
        StateName::InDoubt => Some(Turn::Yours),
        StateName::Planned | StateName::Deferred | StateName::Leased | StateName::HandingOver => Some(Turn::Ours),
        StateName::Bounced if is_senders(cause) => Some(Turn::Yours),
        StateName::Bounced => Some(Turn::Nobodys),
    }
}

/// Whether the sender's side caused it, or nobody knows: then no contact is blamed, and a person decides.
pub(crate) fn is_senders(cause: BounceCause) -> bool {
    match cause.group() {
        CauseGroup::D | CauseGroup::E => true,
        CauseGroup::O => cause != BounceCause::RecipientRefused,
        CauseGroup::A | CauseGroup::B | CauseGroup::C => false,
    }
}

/// Whose doing it is, and a second line.
pub(crate) fn doing(cause: BounceCause) -> (&'static str, &'static str) {
    match cause.group() {
        CauseGroup::A => ("The address’s", "not your message’s, not your server’s"),
        CauseGroup::B => ("The recipient’s", "not yours, not your server’s"),
        CauseGroup::C => ("The receiving server’s", "not yours, not the recipient’s"),
        CauseGroup::D => ("Your message’s", "the contact is not blamed"),
        CauseGroup::E => ("Ours as senders", "the contact is not blamed"),
        CauseGroup::O if cause == BounceCause::RecipientRefused => ("The recipient’s", "a wish, not a fault"),
        CauseGroup::O => ("Not known", "the contact is not blamed"),
    }
}

/// Whether it lasts, as the class and words of a state.
pub(crate) fn lasting(permanence: Permanence) -> (&'static str, &'static str) {
    match permanence {
        Permanence::Hard => ("s-hard", "Hard: it lasts"),
        Permanence::Soft => ("s-soft", "Soft: it passes"),
    }
}

/// The class and the word for where a message stands.
pub(crate) fn state(state: impl Borrow<StateName>) -> (&'static str, &'static str) {
    match state.borrow() {
        StateName::Planned => ("s-draft", "Waits for its first try"),
        StateName::Deferred => ("s-deferred", "Deferred"),
        StateName::Leased | StateName::HandingOver => ("s-live", "Being sent"),
        StateName::InDoubt => ("s-soft", "In doubt"),
        StateName::Accepted => ("s-delivered", "Delivered"),
        StateName::Bounced => ("s-hard", "Not reached"),
        StateName::Suppressed => ("s-suppressed", "Not written to"),
        StateName::Cancelled => ("s-suppressed", "Cancelled"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_senders_faults_wait_for_a_person_and_the_rest_is_done() {
        use StateName::{Accepted, Bounced, Deferred, InDoubt};
        for (cause, state, expected) in [
            (BounceCause::SpamSuspected, Bounced, Some(Turn::Yours)),
            (BounceCause::MessageTooLarge, Bounced, Some(Turn::Yours)),
            (BounceCause::MailboxUnknown, Bounced, Some(Turn::Nobodys)),
            (BounceCause::MailboxFull, Deferred, Some(Turn::Ours)),
            (BounceCause::MailboxFull, InDoubt, Some(Turn::Yours)),
            (BounceCause::RecipientRefused, Bounced, Some(Turn::Nobodys)),
            (BounceCause::Greylisted, Accepted, None),
        ] {
            assert_eq!(turn(cause, state), expected, "{cause} {state:?}");
        }
    }
}
