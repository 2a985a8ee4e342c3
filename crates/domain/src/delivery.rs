//! One message to one recipient, and the tries at it.

use serde::{Deserialize, Serialize};

/// Where one message to one recipient stands; the name is the same in code, in what programs are told, and on pages.
///
/// ```text
/// planned ──▶ leased ──▶ handing_over ──▶ accepted ──▶ bounced (a later report)
/// deferred ─▶   │             ├─────────▶ deferred
///               ▼             ├─────────▶ bounced
///    suppressed, cancelled    └─────────▶ in_doubt ──▶ planned | accepted
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateName {
    /// Waits for its first try.
    Planned,
    /// Was tried, or its receiver rests, and will be tried again.
    Deferred,
    /// A worker has taken it, and nothing has left yet.
    Leased,
    /// Marked before the final dot is written; from here until the answer is stored it may have arrived.
    HandingOver,
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

    /// The number that the database keeps, or answers with: its place in [`StateName::ALL`].
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
