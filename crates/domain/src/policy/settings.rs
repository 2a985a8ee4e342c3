//! The numbers of a policy that a person may set, each by its name.

use super::{Backoff, Case, Consequence, Policy};
use std::fmt;
use std::ops::RangeInclusive;

/// A number of the policy that a person may set. What a cause leads to is not theirs to set: the sender's fault never
/// counts against a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Setting {
    /// [`Policy::count_gap_hours`]
    CountGapHours,
    /// [`Policy::proven_days`]
    ProvenDays,
    /// [`Policy::second_time_days`]
    SecondTimeDays,
    /// [`Policy::give_up_hours`]
    GiveUpHours,
    /// [`Policy::tries_after_5yz`]
    TriesAfter5yz,
    /// A number of one row.
    Of(Case, Number),
}

/// A number of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Number {
    /// Hours after the first try at which the message is given up.
    GiveUpHours,
    /// Minutes before the second try.
    BaseMinutes,
    /// Minutes between tries at most.
    CapMinutes,
    /// Soft bounces in a row until the address rests.
    Limit,
    /// Days between the first and the last of them at least.
    OverDays,
    /// Days of the first rest.
    RestDays,
    /// How many within a day make an incident; 0 for never.
    Repeats,
}

/// A number that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSetting {
    /// It is too small or too large.
    #[error("write a whole number from {from} to {to}")]
    OutOfRange {
        /// The least.
        from: u32,
        /// The most.
        to: u32,
    },
    /// The row has no such number.
    #[error("this cause has no such number")]
    NotThere,
    /// The first wait would be longer than the longest.
    #[error("the first wait may not be longer than the longest")]
    BaseOverCap,
}

impl Number {
    /// All of them, in the order of the page.
    pub const ALL: [Self; 7] = [
        Self::GiveUpHours,
        Self::BaseMinutes,
        Self::CapMinutes,
        Self::Limit,
        Self::OverDays,
        Self::RestDays,
        Self::Repeats,
    ];

    /// In words.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::GiveUpHours => "retry for, hours",
            Self::BaseMinutes => "first wait, minutes",
            Self::CapMinutes => "longest wait, minutes",
            Self::Limit => "bounces in a row",
            Self::OverDays => "over at least, days",
            Self::RestDays => "then rest, days",
            Self::Repeats => "incident after so many in a day, 0 for never",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::GiveUpHours => "give_up_hours",
            Self::BaseMinutes => "base_minutes",
            Self::CapMinutes => "cap_minutes",
            Self::Limit => "limit",
            Self::OverDays => "over_days",
            Self::RestDays => "rest_days",
            Self::Repeats => "repeats",
        }
    }
}

impl Setting {
    /// What makes sense.
    #[must_use]
    pub const fn range(self) -> RangeInclusive<u32> {
        match self {
            Self::CountGapHours => 0..=168,
            Self::ProvenDays => 1..=60,
            Self::SecondTimeDays => 1..=90,
            Self::GiveUpHours | Self::Of(_, Number::GiveUpHours) => 1..=336,
            Self::TriesAfter5yz => 0..=20,
            Self::Of(_, Number::BaseMinutes | Number::CapMinutes) => 1..=10_080,
            Self::Of(_, Number::Limit) => 1..=50,
            Self::Of(_, Number::OverDays) => 0..=365,
            Self::Of(_, Number::RestDays) => 1..=365,
            Self::Of(_, Number::Repeats) => 0..=1_000,
        }
    }

    /// In words.
    #[must_use]
    pub fn title(self) -> String {
        match self {
            Self::CountGapHours => "Hours between two bounces that both count".to_owned(),
            Self::ProvenDays => "Days until mail that stayed unbounced clears the count".to_owned(),
            Self::SecondTimeDays => "Days until a doubtful cause is hard when it comes again".to_owned(),
            Self::GiveUpHours => "Hours that a message waits for a receiver that rests".to_owned(),
            Self::TriesAfter5yz => "Tries again after a lasting refusal of a full mailbox".to_owned(),
            Self::Of(case, number) => {
                let said = case.said().map(|said| format!(" ({said})")).unwrap_or_default();
                format!("{}{said}: {}", case.cause().title(), number.title())
            }
        }
    }
}

/// The name of the field in a form.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CountGapHours => f.write_str("count_gap_hours"),
            Self::ProvenDays => f.write_str("proven_days"),
            Self::SecondTimeDays => f.write_str("second_time_days"),
            Self::GiveUpHours => f.write_str("give_up_hours"),
            Self::TriesAfter5yz => f.write_str("tries_after_5yz"),
            Self::Of(case, number) => write!(f, "{case}.{}", number.name()),
        }
    }
}

impl Policy {
    /// All numbers that may be set, with their values: those of the whole first, then row by row.
    #[must_use]
    pub fn settings(&self) -> Vec<(Setting, u32)> {
        use Setting::{CountGapHours, GiveUpHours, Of, ProvenDays, SecondTimeDays, TriesAfter5yz};
        let whole = [CountGapHours, ProvenDays, SecondTimeDays, GiveUpHours, TriesAfter5yz];
        let of_rows = Case::all().flat_map(|case| Number::ALL.map(|number| Of(case, number)));
        whole.into_iter().chain(of_rows).filter_map(|one| Some((one, self.get(one)?))).collect()
    }

    /// The value of `setting`; `None` where the row has no such number.
    #[must_use]
    pub fn get(&self, setting: Setting) -> Option<u32> {
        let (case, number) = match setting {
            Setting::CountGapHours => return Some(self.count_gap_hours),
            Setting::ProvenDays => return Some(self.proven_days),
            Setting::SecondTimeDays => return Some(self.second_time_days),
            Setting::GiveUpHours => return Some(self.give_up_hours),
            Setting::TriesAfter5yz => return Some(self.tries_after_5yz),
            Setting::Of(case, number) => (case, number),
        };
        let row = self.row_of(case);
        match (number, row.consequence, row.after_4yz) {
            (Number::GiveUpHours, _, Some(backoff)) => Some(backoff.give_up_hours),
            (Number::BaseMinutes, _, Some(backoff)) => Some(backoff.base_minutes),
            (Number::CapMinutes, _, Some(backoff)) => Some(backoff.cap_minutes),
            (Number::Limit, Consequence::Counted { limit, .. }, _) => Some(limit),
            (Number::OverDays, Consequence::Counted { over_days, .. }, _) => Some(over_days),
            (Number::RestDays, Consequence::Counted { rest_days, .. }, _) => Some(rest_days),
            (Number::Repeats, Consequence::Nothing { repeats }, _) => Some(repeats),
            _ => None,
        }
    }

    /// Sets one number.
    ///
    /// # Errors
    /// [`BadSetting`]: nothing was changed.
    pub fn set(&mut self, setting: Setting, value: u32) -> Result<(), BadSetting> {
        let range = setting.range();
        if !range.contains(&value) {
            return Err(BadSetting::OutOfRange { from: *range.start(), to: *range.end() });
        }
        match setting {
            Setting::CountGapHours => self.count_gap_hours = value,
            Setting::ProvenDays => self.proven_days = value,
            Setting::SecondTimeDays => self.second_time_days = value,
            Setting::GiveUpHours => self.give_up_hours = value,
            Setting::TriesAfter5yz => self.tries_after_5yz = value,
            Setting::Of(case, number) => self.set_in_row(case, number, value)?,
        }
        Ok(())
    }

    fn set_in_row(&mut self, case: Case, number: Number, value: u32) -> Result<(), BadSetting> {
        let mut row = self.row_of(case);
        match (number, &mut row.consequence) {
            (Number::Limit, Consequence::Counted { limit, .. }) => *limit = value,
            (Number::OverDays, Consequence::Counted { over_days, .. }) => *over_days = value,
            (Number::RestDays, Consequence::Counted { rest_days, .. }) => *rest_days = value,
            (Number::Repeats, Consequence::Nothing { repeats }) => *repeats = value,
            (Number::GiveUpHours | Number::BaseMinutes | Number::CapMinutes, _) if row.after_4yz.is_some() => {
                let waits = [&mut row.after_4yz, &mut row.after_5yz];
                waits.into_iter().flatten().for_each(|backoff| set_wait(backoff, number, value));
            }
            _ => return Err(BadSetting::NotThere),
        }
        self.rows.insert(case, row);
        Ok(())
    }

    /// What is wrong between the numbers, each of which may make sense alone.
    #[must_use]
    pub fn contradictions(&self) -> Vec<(Setting, BadSetting)> {
        let is_wrong = |case: &Case| self.row_of(*case).after_4yz.is_some_and(|one| one.base_minutes > one.cap_minutes);
        Case::all()
            .filter(is_wrong)
            .map(|case| (Setting::Of(case, Number::BaseMinutes), BadSetting::BaseOverCap))
            .collect()
    }

    /// The numbers in which `self` and `newer` differ: which, the old and the new value.
    #[must_use]
    pub fn changes(&self, newer: &Self) -> Vec<(Setting, Option<u32>, Option<u32>)> {
        let mut all: Vec<Setting> = self.settings().into_iter().chain(newer.settings()).map(|(one, _)| one).collect();
        all.sort_unstable();
        all.dedup();
        all.into_iter().map(|one| (one, self.get(one), newer.get(one))).filter(|(_, old, new)| old != new).collect()
    }
}

fn set_wait(backoff: &mut Backoff, number: Number, value: u32) {
    match number {
        Number::GiveUpHours => backoff.give_up_hours = value,
        Number::BaseMinutes => backoff.base_minutes = value,
        Number::CapMinutes => backoff.cap_minutes = value,
        Number::Limit | Number::OverDays | Number::RestDays | Number::Repeats => {}
    }
}
