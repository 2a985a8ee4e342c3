//! Why a delivery failed, and whether the address is to blame.

use std::fmt;
use std::str::FromStr;

use crate::{AddressKey, DeliveryId, Grade, InboxId, Receiver, Refusal, Verdict};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What a failure says about the address: `Hard` lasts, `Soft` passes.
///
/// A `5xx` reply alone is not hard: most of them are about the sender or the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permanence {
    /// The address will not take mail again.
    Hard,
    /// The same address may take the next message.
    Soft,
}

impl Permanence {
    /// The name used in the database, in JSON and on the pages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
        }
    }
}

impl fmt::Display for Permanence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Permanence {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        match name {
            "hard" => Ok(Self::Hard),
            "soft" => Ok(Self::Soft),
            _ => Err(UnknownName(name.to_owned())),
        }
    }
}

/// A name that no cause, group, permanence or kind has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("“{0}” is not a name known here")]
pub struct UnknownName(pub String);

/// The six drawers that causes are sorted into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CauseGroup {
    /// The address is invalid.
    A,
    /// The mailbox is full.
    B,
    /// The receiving server is in trouble.
    C,
    /// The message is too large.
    D,
    /// Blocked by a filter or a policy.
    E,
    /// None of the others.
    O,
}

impl CauseGroup {
    /// Every group, in the order of the alphabet.
    pub const ALL: [Self; 6] = [Self::A, Self::B, Self::C, Self::D, Self::E, Self::O];

    /// The letter of the group.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
            Self::E => "E",
            Self::O => "O",
        }
    }

    /// The group in plain words.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::A => "Address invalid",
            Self::B => "Mailbox full",
            Self::C => "Receiving server in trouble",
            Self::D => "Message too large",
            Self::E => "Blocked by a filter",
            Self::O => "Other",
        }
    }
}

impl fmt::Display for CauseGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One row per cause: variant, name, group, whether the address itself is gone, and its title.
macro_rules! causes {
    ($($variant:ident, $name:literal, $group:ident, $hard:literal, $title:literal;)*) => {
        /// Why a message did not arrive: 25 causes, each in one [`CauseGroup`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum BounceCause {
            $(#[doc = $title] #[doc = "."] $variant,)*
        }

        impl BounceCause {
            /// Every cause, group by group.
            pub const ALL: [Self; 25] = [$(Self::$variant,)*];

            /// The name used in the database, in JSON and in rules.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The drawer this cause is sorted into.
            #[must_use]
            pub const fn group(self) -> CauseGroup {
                match self { $(Self::$variant => CauseGroup::$group,)* }
            }

            /// Whether this cause can end an address on the first event.
            #[must_use]
            pub const fn may_be_hard(self) -> bool {
                match self { $(Self::$variant => $hard,)* }
            }

            /// The cause in plain words.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

causes! {
    MailboxUnknown, "mailbox_unknown", A, true, "No such mailbox at this domain";
    MailboxInactive, "mailbox_inactive", A, true, "The mailbox is closed, suspended or unused";
    AddressMoved, "address_moved", A, true, "The person has a new address";
    DomainUnknown, "domain_unknown", A, true, "The domain does not exist or takes no mail";
    MailboxFull, "mailbox_full", B, false, "The mailbox is over its quota";
    HostUnreachable, "host_unreachable", C, false, "The receiving server cannot be reached";
    TimeoutExpired, "timeout_expired", C, false, "Given up after trying for days";
    RecipientSystem, "recipient_system", C, false, "The receiving server has a fault";
    RoutingError, "routing_error", C, false, "Mail goes in a circle or cannot be routed";
    RelayDenied, "relay_denied", C, false, "The server says that it does not serve this domain";
    MessageTooLarge, "message_too_large", D, false, "The message is over a size limit";
    SpamSuspected, "spam_suspected", E, false, "A filter thinks that the content is spam";
    ReputationBlock, "reputation_block", E, false, "The sending server or a link has a bad reputation";
    AuthFailure, "auth_failure", E, false, "SPF, DKIM or DMARC failed";
    SenderDns, "sender_dns", E, false, "The sending server's reverse DNS or HELO name is wrong";
    SenderRejected, "sender_rejected", E, false, "This sender address or domain is refused";
    RateLimited, "rate_limited", E, false, "Too many messages, connections or recipients";
    Greylisted, "greylisted", E, false, "First contact: told to come back later";
    PolicyOther, "policy_other", E, false, "Refused by local rules, no other words given";
    ContentRejected, "content_rejected", E, false, "The message is malformed or carries something not allowed";
    Virus, "virus", E, false, "A virus was found";
    SecurityRequired, "security_required", O, false, "Encryption or a login is demanded";
    RecipientRefused, "recipient_refused", O, false, "This person, or their rules, do not want this sender";
    ProtocolError, "protocol_error", O, false, "The two servers did not understand each other";
    Undetermined, "undetermined", O, true, "The report gives no usable reason";
}

impl fmt::Display for BounceCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for BounceCause {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == name).ok_or_else(|| UnknownName(name.to_owned()))
    }
}

/// A failed try at a delivery, as it was heard: what [`Policy`](crate::Policy) judges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounce {
    /// Which message to whom; `None` where a report names an address only in its text.
    pub delivery: Option<DeliveryId>,
    /// Which try, counted from 1; 0 where that is not known.
    pub attempt: u8,
    /// The recipient.
    pub address: AddressKey,
    /// How well it is known to be about our message.
    pub grade: Grade,
    /// Not now, or not like this.
    pub refusal: Refusal,
    /// Whether the other side still holds the message and tries on (a delay notice): noted, and nothing more.
    pub held: bool,
    /// By whose lane the message went, where that is known: else its domain stands for the receiver. Not kept.
    pub receiver: Option<Receiver>,
    /// In how many seconds its receiver was found to take such a message: how long its greylist lasts. Not kept.
    pub learned: Option<u32>,
    /// What was said, and what it means.
    pub verdict: Verdict,
    /// The host that wrote the report.
    pub reporting_mta: Option<String>,
    /// The raw report, if it came by mail.
    pub inbox: Option<InboxId>,
    /// When it was heard.
    pub at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_found_by_its_name_and_by_no_other() {
        for cause in BounceCause::ALL {
            assert_eq!(cause.as_str().parse(), Ok(cause));
        }
        assert!("mailbox-unknown".parse::<BounceCause>().is_err());
        assert!("".parse::<BounceCause>().is_err());
    }

    #[test]
    fn only_causes_about_the_address_may_end_it() {
        for cause in BounceCause::ALL {
            let about_address = cause.group() == CauseGroup::A || cause == BounceCause::Undetermined;
            assert_eq!(cause.may_be_hard(), about_address, "{cause}");
        }
    }
}
