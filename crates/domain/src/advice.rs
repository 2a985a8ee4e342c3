//! What people can do about a cause: a sentence for who writes the campaign, and one for who runs the installation.

use serde::Serialize;

use crate::BounceCause;

/// What to do about a [`BounceCause`], in a sentence for each of two readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// For who writes and sends the campaign.
    pub marketer: &'static str,
    /// For who looks after servers and DNS.
    pub admin: &'static str,
}

impl BounceCause {
    /// What to do about it.
    ///
    /// ```
    /// let advice = rebound_domain::BounceCause::MessageTooLarge.advice();
    /// assert_eq!(advice.marketer, "Send a smaller message: link what you attached.");
    /// ```
    #[must_use]
    pub const fn advice(self) -> Advice {
        let (marketer, admin) = match self {
            Self::MailboxUnknown => (
                "Nothing helps: look for a typing error in the address, and for the source it came from.",
                "Nothing to do, unless one domain says so of many at once: then look at how it is reached.",
            ),
            Self::MailboxInactive => (
                "Ask for a new address on another way.",
                "Nothing to do: the mailbox is its owner’s or its host’s to open again.",
            ),
            Self::AddressMoved => (
                "Write to the new address only with the person’s consent.",
                "Nothing to do: the host names the new address to the person who reads this, not to us.",
            ),
            Self::DomainUnknown => (
                "Nothing helps: look for a typing error after the @.",
                "If many domains are unknown at once, check the name server that the sending server asks.",
            ),
            Self::MailboxFull => (
                "Wait: the mailbox needs room, and we try again by ourselves.",
                "Nothing to do: the waits between tries grow by themselves.",
            ),
            Self::HostUnreachable => (
                "Wait: the receiving server must answer again, and we try by ourselves.",
                "If many hosts cannot be reached at once, check the sending server’s network, firewall and name server.",
            ),
            Self::TimeoutExpired => (
                "Write again another day: this message was tried for days and is not tried any more.",
                "Look at the earlier answers of the same domain: they say what kept it for so long.",
            ),
            Self::RecipientSystem => (
                "Wait: the receiving server has a fault of its own, and we try again by ourselves.",
                "Nothing to do, unless it lasts: then tell the postmaster of that domain.",
            ),
            Self::RoutingError => (
                "Nothing to do here: the domain’s own mail setup must be mended.",
                "Tell the domain’s postmaster that its mail goes in a circle; check relays of your own on the way.",
            ),
            Self::RelayDenied => (
                "Look for a typing error after the @: that server does not take mail for this domain.",
                "If every domain is refused so, your relay wants a login or does not know this host.",
            ),
            Self::MessageTooLarge => (
                "Send a smaller message: link what you attached.",
                "Compare the message’s size with the limit of the relay, which may be lower than the receiver’s.",
            ),
            Self::SpamSuspected => (
                "Change the words and links that filters dislike, then resend.",
                "Check that SPF, DKIM and DMARC pass, and that links lead to a domain with a good name.",
            ),
            Self::ReputationBlock => (
                "Send nothing more to this receiver until your admin has found the reason; no contact is blamed.",
                "Find the blocklist that is named, mend what led to it, and ask to be taken off.",
            ),
            Self::AuthFailure => (
                "Send nothing more until your admin has repaired how your mail is signed.",
                "Repair SPF, DKIM or DMARC of the sending domain before more is sent.",
            ),
            Self::SenderDns => (
                "Tell your admin: receivers do not believe the sending server’s name.",
                "Repair the reverse DNS or the HELO name of the sending server.",
            ),
            Self::SenderRejected => (
                "Check that the From address exists and takes mail.",
                "Check that From and return path have an MX record, and whether the receiver has a list to be put on.",
            ),
            Self::RateLimited => (
                "Wait: we send more slowly to this receiver.",
                "If it comes with each campaign, lower the rate, and warm a new sending address up slowly.",
            ),
            Self::Greylisted => (
                "Nothing to do: we come back as asked.",
                "Nothing to do, as long as the sending address stays the same from try to try.",
            ),
            Self::PolicyOther => (
                "Read the words and follow their link; your admin can ask the receiver what it dislikes.",
                "Read the words and their link, and write to the postmaster with them.",
            ),
            Self::ContentRejected => (
                "Repair or leave out what was refused: an attachment, a header or a link.",
                "Look at the raw message for what the words name: line lengths, headers, attachment types.",
            ),
            Self::Virus => (
                "Stop sending: check attachments and links for a virus.",
                "Scan where the campaign’s files came from, and look for links that were broken into.",
            ),
            Self::SecurityRequired => (
                "Tell your admin: the receiver asks for encryption or for a login.",
                "Turn on TLS, or check the account that the sending server signs in with.",
            ),
            Self::RecipientRefused => (
                "Take it as a wish to leave if it comes again.",
                "Nothing to do: it is this person’s, or their rules’, decision.",
            ),
            Self::ProtocolError => (
                "Tell your admin: the servers did not understand each other, and your message is not to blame.",
                "Look at the session in the sending server’s log; a firewall that reads along may break it.",
            ),
            Self::Undetermined => (
                "Read the host’s words: no usable reason was given, and nobody is judged by it.",
                "Read the host’s words; if they do say why, make a rule of them.",
            ),
        };
        Advice { marketer, admin }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_cause_has_a_sentence_of_its_own_for_both_readers() {
        let mut known = HashSet::new();
        for cause in BounceCause::ALL {
            let Advice { marketer, admin } = cause.advice();
            for sentence in [marketer, admin] {
                assert!(sentence.ends_with('.') && sentence.matches(". ").count() == 0, "{cause}: {sentence}");
                assert!(sentence.len() < 120, "{cause}: {sentence}");
            }
            assert!(known.insert(marketer), "{cause}: {marketer}");
            assert_ne!(marketer, admin, "{cause}");
        }
    }
}
