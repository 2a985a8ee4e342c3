//! Writing again to those whom a campaign did not reach.

use crate::{BounceCause, CampaignId, CauseGroup};

/// What makes a campaign a resend: it goes to nobody but those whom another one did not reach for one cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resend {
    /// The campaign that did not reach them: always the first one, never a resend itself.
    pub of: CampaignId,
    /// Why it did not.
    pub cause: BounceCause,
}

/// What a person does before a message goes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Makes the message smaller: the same bytes would be refused again.
    Lighten,
    /// Changes what filters or hosts dislike in it.
    Rewrite,
    /// Mends what was wrong on the way, or only waits: the message itself was not at fault.
    AsItIs,
}

impl Remedy {
    /// What helps against `cause`; `None` where nothing does and nobody may be written to again for it: the address
    /// is gone, or its owner does not want the mail.
    #[must_use]
    pub fn of(cause: BounceCause) -> Option<Self> {
        match cause {
            BounceCause::MessageTooLarge => Some(Self::Lighten),
            BounceCause::SpamSuspected | BounceCause::ContentRejected | BounceCause::Virus => Some(Self::Rewrite),
            BounceCause::RecipientRefused => None,
            cause if cause.group() == CauseGroup::A => None,
            _ => Some(Self::AsItIs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_written_to_again_who_is_gone_or_does_not_want_it() {
        for (cause, expected) in [
            (BounceCause::MessageTooLarge, Some(Remedy::Lighten)),
            (BounceCause::SpamSuspected, Some(Remedy::Rewrite)),
            (BounceCause::ReputationBlock, Some(Remedy::AsItIs)),
            (BounceCause::MailboxFull, Some(Remedy::AsItIs)),
            (BounceCause::MailboxUnknown, None),
            (BounceCause::DomainUnknown, None),
            (BounceCause::RecipientRefused, None),
        ] {
            assert_eq!(Remedy::of(cause), expected, "{cause}");
        }
    }
}
