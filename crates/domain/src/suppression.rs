//! An address that we do not write to, and why.

use crate::{AddressKey, ListId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// An address that we do not write to. Several may stand for one address; the strongest rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    /// Whose.
    pub address: AddressKey,
    /// For all mail, or for one list.
    pub scope: Scope,
    /// Why.
    pub reason: SuppressionReason,
    /// From when.
    pub since: DateTime<Utc>,
    /// The day it ends by itself: `None` for good.
    pub until: Option<DateTime<Utc>>,
    /// What shows it, in words: the host's own, or who said so.
    pub evidence: String,
}

impl Suppression {
    /// Whether it keeps mail from going out at `now`.
    #[must_use]
    pub fn stands(&self, now: DateTime<Utc>) -> bool {
        self.since <= now && self.until.is_none_or(|until| now < until)
    }
}

/// What mail a suppression is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All of it.
    Everywhere,
    /// Mail to one list.
    List(ListId),
}

/// Why an address is not written to, weakest first: of several, the greatest rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuppressionReason {
    /// It rests after soft bounces and comes back by itself.
    Soft,
    /// The mailbox is gone.
    Hard,
    /// Somebody here said so.
    Manual,
    /// The person left.
    Unsubscribe,
    /// The person reported spam.
    Complaint,
    /// The person asked to be forgotten.
    Erased,
}

impl SuppressionReason {
    /// All of them, weakest first.
    pub const ALL: [Self; 6] = [Self::Soft, Self::Hard, Self::Manual, Self::Unsubscribe, Self::Complaint, Self::Erased];

    /// The name in lower case, as the database and the API use it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Soft => "soft",
            Self::Hard => "hard",
            Self::Manual => "manual",
            Self::Unsubscribe => "unsubscribe",
            Self::Complaint => "complaint",
            Self::Erased => "erased",
        }
    }

    /// The number that the database keeps: its place in [`SuppressionReason::ALL`].
    #[must_use]
    pub fn code(self) -> i16 {
        self as i16
    }

    /// The reason with `code`.
    #[must_use]
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.get(usize::try_from(code).ok()?).copied()
    }
}

/// The one that rules at `now`, of those that may stand for one address.
#[must_use]
pub fn strongest(suppressions: &[Suppression], now: DateTime<Utc>) -> Option<&Suppression> {
    suppressions.iter().filter(|s| s.stands(now)).max_by_key(|s| s.reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    #[test]
    fn the_strongest_that_still_stands_rules() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(100);
        let one = |reason, until| Suppression {
            address: AddressKey::stored("ada@orchard.example".into()),
            scope: Scope::Everywhere,
            reason,
            since: now - TimeDelta::days(1),
            until,
            evidence: String::new(),
        };
        use SuppressionReason::{Complaint, Erased, Hard, Soft};
        let rest = one(Soft, Some(now + TimeDelta::days(29)));
        let over = one(Hard, Some(now));
        assert_eq!(strongest(&[rest.clone(), over], now), Some(&rest));
        assert_eq!(strongest(&[one(Complaint, None), rest.clone()], now).unwrap().reason, Complaint);
        assert_eq!(strongest(&[one(Complaint, None), one(Erased, None), rest], now).unwrap().reason, Erased);
        assert_eq!(strongest(&[], now), None);
    }
}
