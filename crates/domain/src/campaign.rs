//! One message for one audience.

use crate::{CampaignId, EmailAddress, Fields, ListId, Resend};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// One message for one audience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Campaign {
    /// Its identity.
    pub id: CampaignId,
    /// What its author wrote.
    pub draft: Draft,
    /// Where it stands.
    pub state: CampaignState,
    /// Why it waits or is paused, in words for its author.
    pub reason: Option<String>,
    /// When it was written.
    pub created: DateTime<Utc>,
    /// When it was launched: who joins the list later is not written to.
    pub launched: Option<DateTime<Utc>>,
    /// When the last of its mail was settled.
    pub finished: Option<DateTime<Utc>>,
    /// Deliveries planned so far.
    pub planned: i64,
    /// About how many there will be, as counted at the launch.
    pub expected: i64,
    /// When it is to be launched, while it is scheduled.
    pub scheduled: Option<DateTime<Utc>>,
    /// Set when it goes only to those whom an earlier campaign did not reach.
    pub resend: Option<Resend>,
}

impl Campaign {
    /// Whether `other` says the same, to the same list or resend.
    #[must_use]
    pub fn says_as(&self, other: &Self) -> bool {
        (&self.draft, self.resend) == (&other.draft, other.resend)
    }
}

/// What an author writes: everything that a message of the campaign is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// What people here call it; no two campaigns share a name.
    pub name: String,
    /// The list it goes to.
    pub list: ListId,
    /// The name in the `From` header.
    pub from_name: String,
    /// The address in the `From` header.
    pub from: EmailAddress,
    /// Where answers go, if not to `from`.
    pub reply_to: Option<EmailAddress>,
    /// The subject, with merge fields.
    pub subject: String,
    /// The HTML part, with merge fields.
    pub html: String,
    /// The text part, with merge fields; made from `html` when empty.
    pub text: String,
    /// Where the sender can be found, as the law asks.
    pub postal_address: String,
    /// What stands in for a merge field that a contact lacks.
    pub defaults: Fields,
    /// What to do with a message that may or may not have left when a worker died.
    pub doubt: DoubtPolicy,
    /// Whether the links of its HTML part lead by us, so that we know who follows them.
    pub counts_clicks: bool,
}

/// What to do with a message that may or may not have left when a worker died.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DoubtPolicy {
    /// Send again, with the same Message-ID: everybody gets it, somebody may get it twice.
    #[default]
    Resend,
    /// Wait for evidence, and leave it to a person.
    Hold,
    /// Never send again.
    Never,
}

impl DoubtPolicy {
    /// How long evidence is waited for before a person is asked what to do; `None`: nobody is asked.
    #[must_use]
    pub fn asks_after(self) -> Option<TimeDelta> {
        match self {
            // It was sent again as often as it may be.
            Self::Resend => Some(TimeDelta::zero()),
            Self::Hold => Some(TimeDelta::minutes(30)),
            Self::Never => None,
        }
    }
}

/// Where a campaign stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CampaignState {
    /// Being written.
    Draft,
    /// Will be launched at a time.
    Scheduled,
    /// Launched; its deliveries are being written.
    Planning,
    /// Its deliveries are being handed over.
    Sending,
    /// An incident, or a relay that does not answer, keeps it from sending.
    Waiting,
    /// A person stopped it for now.
    Paused,
    /// A person stopped it for good.
    Cancelled,
    /// Every delivery is settled.
    Sent,
}

impl CampaignState {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Draft,
        Self::Scheduled,
        Self::Planning,
        Self::Sending,
        Self::Waiting,
        Self::Paused,
        Self::Cancelled,
        Self::Sent,
    ];

    /// The name in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Scheduled => "scheduled",
            Self::Planning => "planning",
            Self::Sending => "sending",
            Self::Waiting => "waiting",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::Sent => "sent",
        }
    }

    /// The number that the database keeps: its place in [`CampaignState::ALL`].
    #[must_use]
    pub fn code(self) -> i16 {
        self as i16
    }

    /// The state with `code`.
    #[must_use]
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.get(usize::try_from(code).ok()?).copied()
    }

    /// The state after a person (or an incident) asks for `act`.
    ///
    /// # Errors
    /// [`NotNow`] when the act makes no sense in this state.
    pub fn after(self, act: CampaignAct) -> Result<Self, NotNow> {
        use CampaignAct as Act;
        match (act, self) {
            (Act::Launch, Self::Draft | Self::Scheduled) => Ok(Self::Planning),
            (Act::Schedule, Self::Draft | Self::Scheduled) => Ok(Self::Scheduled),
            (Act::Unschedule, Self::Scheduled) => Ok(Self::Draft),
            (Act::Pause, Self::Planning | Self::Sending | Self::Waiting) => Ok(Self::Paused),
            (Act::Wait, Self::Planning | Self::Sending) => Ok(Self::Waiting),
            // Planning goes on from its stored cursor, and becomes sending when it is through.
            (Act::Resume, Self::Paused | Self::Waiting) => Ok(Self::Planning),
            (Act::Cancel, Self::Scheduled | Self::Planning | Self::Sending | Self::Waiting | Self::Paused) => {
                Ok(Self::Cancelled)
            }
            (act, state) => Err(NotNow { act, state }),
        }
    }
}

/// What can be asked of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CampaignAct {
    /// Plan it and send it.
    Launch,
    /// Launch it at a time.
    Schedule,
    /// Take it back to be written on.
    Unschedule,
    /// Stop for now.
    Pause,
    /// Stop until an incident is over.
    Wait,
    /// Go on.
    Resume,
    /// Stop for good.
    Cancel,
}

/// An act that makes no sense in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a campaign that is {} cannot be {}", state.as_str(), match act {
    CampaignAct::Launch => "launched",
    CampaignAct::Schedule => "scheduled",
    CampaignAct::Unschedule => "taken back to a draft",
    CampaignAct::Pause => "paused",
    CampaignAct::Wait => "held back",
    CampaignAct::Resume => "resumed",
    CampaignAct::Cancel => "cancelled",
})]
pub struct NotNow {
    /// What was asked.
    pub act: CampaignAct,
    /// Where the campaign stood.
    pub state: CampaignState,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acts_are_possible_only_where_they_make_sense() {
        use CampaignAct::{Cancel, Launch, Pause, Resume, Schedule, Unschedule, Wait};
        use CampaignState::{Cancelled, Draft, Paused, Planning, Scheduled, Sending, Sent, Waiting};
        for (state, act, expected) in [
            (Draft, Launch, Some(Planning)),
            (Planning, Launch, None),
            (Draft, Schedule, Some(Scheduled)),
            (Scheduled, Schedule, Some(Scheduled)),
            (Scheduled, Unschedule, Some(Draft)),
            (Scheduled, Launch, Some(Planning)),
            (Sent, Schedule, None),
            (Draft, Unschedule, None),
            (Sending, Pause, Some(Paused)),
            (Sending, Wait, Some(Waiting)),
            (Paused, Wait, None),
            (Paused, Resume, Some(Planning)),
            (Waiting, Resume, Some(Planning)),
            (Sent, Cancel, None),
            (Cancelled, Resume, None),
            (Draft, Cancel, None),
            (Waiting, Cancel, Some(Cancelled)),
        ] {
            assert_eq!(state.after(act).ok(), expected, "{state:?} {act:?}");
        }
    }
}
