//! What a row of the policy is about.

use crate::{BounceCause, Permanence, UnknownName};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a row of the policy is about: a cause, and for an unknown mailbox or domain whether that was said for good.
///
/// Written `mailbox_full`, `mailbox_unknown`, `mailbox_unknown-for-good`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Case {
    cause: BounceCause,
    for_good: bool,
}

const FOR_GOOD: &str = "-for-good";

impl Case {
    /// The case of a verdict.
    #[must_use]
    pub fn of(cause: BounceCause, permanence: Permanence) -> Self {
        Self { cause, for_good: permanence == Permanence::Hard && has_two(cause) }
    }

    /// All of them, in the order of the causes.
    pub fn all() -> impl Iterator<Item = Self> {
        BounceCause::ALL.into_iter().flat_map(|cause| {
            let for_good = has_two(cause).then_some(Self { cause, for_good: true });
            for_good.into_iter().chain([Self { cause, for_good: false }])
        })
    }

    /// Why the message failed.
    #[must_use]
    pub const fn cause(self) -> BounceCause {
        self.cause
    }

    /// Whether the host or the DNS said so for good, where that makes a difference.
    #[must_use]
    pub const fn is_for_good(self) -> bool {
        self.for_good
    }

    /// Whether a verdict of this case blames the address for good.
    #[must_use]
    pub fn permanence(self) -> Permanence {
        if self.for_good || self.cause == BounceCause::AddressMoved { Permanence::Hard } else { Permanence::Soft }
    }

    /// How it was said, where that makes a difference.
    #[must_use]
    pub fn said(self) -> Option<&'static str> {
        match (has_two(self.cause), self.for_good) {
            (false, _) => None,
            (true, true) => Some("said for good"),
            (true, false) => Some("said for now"),
        }
    }
}

fn has_two(cause: BounceCause) -> bool {
    matches!(cause, BounceCause::MailboxUnknown | BounceCause::DomainUnknown)
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cause.as_str())?;
        f.write_str(if self.for_good { FOR_GOOD } else { "" })
    }
}

impl FromStr for Case {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Self::all().find(|case| case.to_string() == name).ok_or_else(|| UnknownName(name.to_owned()))
    }
}

impl From<Case> for String {
    fn from(case: Case) -> Self {
        case.to_string()
    }
}

impl TryFrom<String> for Case {
    type Error = UnknownName;

    fn try_from(name: String) -> Result<Self, UnknownName> {
        name.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_is_found_by_its_name() {
        assert_eq!(Case::all().count(), 27);
        for case in Case::all() {
            assert_eq!(case.to_string().parse(), Ok(case));
            assert_eq!(Case::of(case.cause(), case.permanence()), case);
        }
        assert!("mailbox_full-for-good".parse::<Case>().is_err());
    }
}
