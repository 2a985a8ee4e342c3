//! A set that people join, and how they stand in it.

use crate::{ContactId, ListId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A set that people join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Its identity.
    pub id: ListId,
    /// Its name; no two lists share one.
    pub name: String,
}

/// How a contact stands in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionState {
    /// Asked to join, and has not confirmed.
    Pending,
    /// May be written to.
    Confirmed,
    /// Left; only the person can come back.
    Left,
}

impl SubscriptionState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Confirmed, Self::Left];

    /// The number that the database keeps: its place in [`SubscriptionState::ALL`].
    #[must_use]
    pub fn code(self) -> i16 {
        self as i16
    }

    /// The state with `code`.
    #[must_use]
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.get(usize::try_from(code).ok()?).copied()
    }
}

/// A contact's place in a list, with the consent for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The list.
    pub list: ListId,
    /// The person.
    pub contact: ContactId,
    /// How they stand.
    pub state: SubscriptionState,
    /// Where the consent came from, in words: `import people.csv`, `sign-up form`.
    pub source: String,
    /// When the consent was given.
    pub since: DateTime<Utc>,
}
