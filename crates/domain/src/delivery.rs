//! One message to one recipient, and the tries at it.

use crate::{BounceCause, WorkerId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Where one message to one recipient stands.
///
/// ```text
/// planned ──▶ leased ──▶ handing_over ──▶ accepted ──▶ bounced (a later report)
/// deferred ─▶   │             ├─────────▶ deferred
///               ▼             ├─────────▶ bounced
///    suppressed, cancelled    └─────────▶ in_doubt ──▶ planned | accepted
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DeliveryState {
    /// Waits for its first try.
    Planned {
        /// When a worker may take it.
        due: DateTime<Utc>,
    },
    /// Was tried, or its receiver rests, and will be tried again.
    Deferred {
        /// When a worker may take it.
        due: DateTime<Utc>,
    },
    /// A worker has taken it, and nothing has left yet.
    Leased {
        /// Who.
        worker: WorkerId,
    },
    /// Marked before the final dot is written; from here until the answer is stored it may have arrived.
    HandingOver {
        /// Who.
        worker: WorkerId,
    },
    /// The worker died between the mark and the stored answer.
    InDoubt,
    /// The receiving host took responsibility for it.
    Accepted,
    /// It failed, and is not tried again by itself.
    Bounced,
    /// A suppression or an unsubscribe stood when it was to be handed over.
    Suppressed,
    /// The campaign was cancelled first.
    Cancelled,
}

/// The name of a [`DeliveryState`], the same in code, database and pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateName {
    /// [`DeliveryState::Planned`]
    Planned,
    /// [`DeliveryState::Deferred`]
    Deferred,
    /// [`DeliveryState::Leased`]
    Leased,
    /// [`DeliveryState::HandingOver`]
    HandingOver,
    /// [`DeliveryState::InDoubt`]
    InDoubt,
    /// [`DeliveryState::Accepted`]
    Accepted,
    /// [`DeliveryState::Bounced`]
    Bounced,
    /// [`DeliveryState::Suppressed`]
    Suppressed,
    /// [`DeliveryState::Cancelled`]
    Cancelled,
}

impl StateName {
    /// All of them, in the order mail meets them.
    pub const ALL: [Self; 9] = [
        Self::Planned,
        Self::Deferred,
        Self::Leased,
        Self::HandingOver,
        Self::InDoubt,
        Self::Accepted,
        Self::Bounced,
        Self::Suppressed,
        Self::Cancelled,
    ];

    /// The name in lower snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Deferred => "deferred",
            Self::Leased => "leased",
            Self::HandingOver => "handing_over",
            Self::InDoubt => "in_doubt",
            Self::Accepted => "accepted",
            Self::Bounced => "bounced",
            Self::Suppressed => "suppressed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The number that the database keeps: its place in [`StateName::ALL`].
    #[must_use]
    pub fn code(self) -> i16 {
        self as i16
    }

    /// The state with `code`.
    #[must_use]
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.get(usize::try_from(code).ok()?).copied()
    }

    /// Whether nothing more happens to it by itself. A later report can still turn `accepted` into `bounced`.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Accepted | Self::Bounced | Self::Suppressed | Self::Cancelled)
    }
}

/// What became of one try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The host took responsibility; `relay_id` is what it called the message.
    Accepted {
        /// The host's last line.
        reply: String,
    },
    /// Not now: tried again when due.
    Deferred {
        /// Why, as the host said it.
        cause: BounceCause,
    },
    /// Refused, or given up.
    Bounced {
        /// Why.
        cause: BounceCause,
    },
}
