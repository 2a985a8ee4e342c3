//! A recipient pressed "report spam".

use crate::DeliveryId;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A recipient pressed "report spam" (RFC 5965).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complaint {
    /// About which message.
    pub delivery: DeliveryId,
    /// The feedback type, in lower case: `abuse`, `fraud`, `not-spam` …
    pub kind: String,
    /// When we heard of it.
    pub at: DateTime<Utc>,
}

impl Complaint {
    /// Whether it is a wish to hear no more: `not-spam` is the opposite, and `virus` and `auth-failure`
    /// say nothing about the person.
    #[must_use]
    pub fn is_wish_to_leave(&self) -> bool {
        !matches!(self.kind.as_str(), "not-spam" | "virus" | "auth-failure" | "dkim")
    }

    /// Whether a person sent it who has the message; a host also tells of what it refused.
    #[must_use]
    pub fn is_from_reader(&self) -> bool {
        self.is_wish_to_leave() || self.kind == "not-spam"
    }
}
