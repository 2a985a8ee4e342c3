//! The policy: a row per case.

use super::Case;
use crate::{BounceCause, Permanence};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a final bounce of a cause leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "rule")]
pub enum Consequence {
    /// Hard: suppressed on the first event.
    AtOnce,
    /// Hard when it comes again at least [`Policy::second_time_days`] later, noted before.
    SecondTime,
    /// Soft: at the limit, and over at least so many days, the address rests.
    Counted {
        /// Soft bounces in a row until the address rests.
        limit: u32,
        /// Days between the first and the last of the run at least.
        over_days: u32,
        /// Days of the first rest; it doubles once, and the third is for good.
        rest_days: u32,
    },
    /// Slows that route to that receiver; no incident, no count.
    LaneOnly,
    /// The sender's fault: an incident, and no count.
    Incident {
        /// Of what.
        scope: IncidentScope,
    },
    /// Kept and shown; an incident of the route from the `repeats`-th on within a day, if any.
    Nothing {
        /// How many make an incident; 0 for never.
        repeats: u32,
    },
}

/// Whose incident it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentScope {
    /// What the campaign says or carries.
    Campaign,
    /// The route at that receiver.
    Route,
    /// The domain we send from.
    SendingDomain,
}

/// The waits between tries of the same message: `base` doubles up to `cap`, until it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// Minutes before the second try.
    pub base_minutes: u32,
    /// Minutes between tries at most; beyond 200 tries it may be more.
    pub cap_minutes: u32,
    /// Hours after the first try at which the message is given up.
    pub give_up_hours: u32,
}

/// What the policy says of one verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// What a final bounce leads to.
    #[serde(flatten)]
    pub consequence: Consequence,
    /// Waits after a temporary refusal (4yz); `None`: the first refusal is final.
    pub after_4yz: Option<Backoff>,
    /// Waits after a lasting refusal (5yz): only a full mailbox has them.
    pub after_5yz: Option<Backoff>,
}

/// The rules of soft bounces in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Counts up with every change; each verdict is noted with the version that judged it.
    pub version: u32,
    /// Hours between two bounces that both count.
    pub count_gap_hours: u32,
    /// Days after which an acceptance that no bounce followed clears the count.
    pub proven_days: u32,
    /// Days until a second event of a doubtful cause makes it hard.
    pub second_time_days: u32,
    /// Hours after which a message whose line breaks is given up, and one whose receiver rests unless the cause is tried
    /// for longer.
    pub give_up_hours: u32,
    /// Tries again after a 5yz at most, where the row allows any.
    pub tries_after_5yz: u32,
    /// What each case leads to. A case that an older version did not know has the row that the program came with.
    pub rows: BTreeMap<Case, Row>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            version: 1,
            count_gap_hours: 24,
            proven_days: 5,
            second_time_days: 3,
            give_up_hours: 72,
            tries_after_5yz: 3,
            rows: Case::all().map(|case| (case, first_row(case))).collect(),
        }
    }
}

impl Policy {
    /// The row for a cause. Two causes have two rows each: an unknown mailbox or domain is hard only where
    /// the host or the DNS said so for good.
    #[must_use]
    pub fn row(&self, cause: BounceCause, permanence: Permanence) -> Row {
        self.row_of(Case::of(cause, permanence))
    }

    /// The row of a case.
    #[must_use]
    pub fn row_of(&self, case: Case) -> Row {
        self.rows.get(&case).copied().unwrap_or_else(|| first_row(case))
    }

    /// The fewest soft bounces in a row at which an address may rest.
    #[must_use]
    pub fn least_limit(&self) -> u32 {
        let limit = |row: &Row| match row.consequence {
            Consequence::Counted { limit, .. } => Some(limit),
            _ => None,
        };
        self.rows.values().filter_map(limit).min().unwrap_or(u32::MAX)
    }

    /// How long the same message is kept while its receiver rests.
    #[must_use]
    pub fn give_up_after(&self) -> TimeDelta {
        TimeDelta::hours(self.give_up_hours.into())
    }

    /// The same where the receiver rests for `cause`: as long as that is tried, if it is longer.
    #[must_use]
    pub fn give_up_after_rest(&self, cause: BounceCause, permanence: Permanence) -> TimeDelta {
        let hours = self.row(cause, permanence).after_4yz.map_or(0, |backoff| backoff.give_up_hours);
        self.give_up_after().max(TimeDelta::hours(hours.into()))
    }
}

const WEEK: Consequence = Consequence::Counted { limit: 5, over_days: 7, rest_days: 30 };
const MONTH: Consequence = Consequence::Counted { limit: 5, over_days: 30, rest_days: 30 };

/// The row that the program came with.
fn first_row(case: Case) -> Row {
    use BounceCause as C;
    use Consequence::{AtOnce, Incident, LaneOnly, Nothing, SecondTime};
    let of = |scope| Incident { scope };
    match case.cause() {
        C::AddressMoved => never(AtOnce),
        C::MailboxUnknown | C::DomainUnknown if case.is_for_good() => never(AtOnce),
        C::MailboxUnknown => soft(WEEK, 60, 12 * 60),
        C::DomainUnknown => soft(WEEK, 15, 6 * 60),
        C::MailboxInactive | C::RelayDenied | C::RecipientRefused => never(SecondTime),
        C::MailboxFull => Row { after_5yz: backoff(6 * 60, 24 * 60), ..soft(WEEK, 6 * 60, 24 * 60) },
        C::HostUnreachable => soft(MONTH, 10, 4 * 60),
        C::TimeoutExpired => never(MONTH),
        C::RecipientSystem => soft(MONTH, 30, 6 * 60),
        C::RoutingError => soft(MONTH, 60, 12 * 60),
        C::MessageTooLarge | C::SpamSuspected | C::ContentRejected | C::Virus => never(of(IncidentScope::Campaign)),
        C::ReputationBlock | C::PolicyOther => soft(of(IncidentScope::Route), 60, 12 * 60),
        C::AuthFailure | C::SenderDns | C::SenderRejected => soft(of(IncidentScope::SendingDomain), 60, 12 * 60),
        C::RateLimited => soft(LaneOnly, 10, 60),
        C::Greylisted => soft(LaneOnly, 5, 20),
        C::SecurityRequired | C::ProtocolError => soft(Nothing { repeats: 3 }, 60, 12 * 60),
        C::Undetermined => soft(Nothing { repeats: 0 }, 30, 6 * 60),
    }
}

fn never(consequence: Consequence) -> Row {
    Row { consequence, after_4yz: None, after_5yz: None }
}

fn soft(consequence: Consequence, base_minutes: u32, cap_minutes: u32) -> Row {
    Row { consequence, after_4yz: backoff(base_minutes, cap_minutes), after_5yz: None }
}

fn backoff(base_minutes: u32, cap_minutes: u32) -> Option<Backoff> {
    Some(Backoff { base_minutes, cap_minutes, give_up_hours: 72 })
}
