//! Numbers and times as people read them.

use chrono::{DateTime, Datelike, Utc};
use rebound_domain::{CauseGroup, Grouped};
use std::borrow::Borrow;
use std::fmt;

/// A count with its thousands set apart: `9,412`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Count(pub(crate) i64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Grouped(self.0).fmt(f)
    }
}

impl Count {
    /// `1 person`, `42 people`.
    pub(crate) fn of(self, one: &str, many: &str) -> String {
        format!("{self} {}", if self.0 == 1 { one } else { many })
    }

    /// The number of things there are.
    pub(crate) fn from_len(length: usize) -> Self {
        Self(i64::try_from(length).unwrap_or(i64::MAX))
    }

    /// `42 people`.
    pub(crate) fn people(self) -> String {
        self.of("person", "people")
    }
}

/// A number of a template, which hands references over.
pub(crate) fn count(number: impl Borrow<i64>) -> Count {
    Count(*number.borrow())
}

/// A size: `840 bytes`, `96 KB`, `11.8 MB`.
pub(crate) fn bytes(size: impl Borrow<usize>) -> String {
    let size = *size.borrow();
    match size {
        0..1_000 => format!("{size} bytes"),
        1_000..1_000_000 => format!("{} KB", size.div_ceil(1_000)),
        _ => format!("{}.{} MB", size / 1_000_000, size % 1_000_000 / 100_000),
    }
}

/// The share of `part` in `whole`, in percent with one decimal; `None` under a hundred, which is too few to say.
pub(crate) fn percent(part: i64, whole: i64) -> Option<String> {
    // Counts of mail are far below the whole numbers of an f64.
    #[allow(clippy::cast_precision_loss)]
    (whole >= 100).then(|| format!("{:.1}", part as f64 * 100.0 / whole as f64))
}

/// A time as seen from now: `today, 16:40`, `Tue 24 Nov, 10:31`, `24 Nov 2025`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct When {
    at: DateTime<Utc>,
    now: DateTime<Utc>,
}

impl When {
    /// `at`, seen from `now`.
    pub(crate) fn new(at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        Self { at, now }
    }

    /// Another time, seen from the same now.
    pub(crate) fn to(self, at: DateTime<Utc>) -> Self {
        Self { at, ..self }
    }

    /// For `<time datetime>`.
    pub(crate) fn datetime(&self) -> String {
        self.at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// Whether it is still to come.
    pub(crate) fn is_ahead(&self) -> bool {
        self.at > self.now
    }

    /// The day alone: `Tue 24 Nov`.
    pub(crate) fn day(&self) -> String {
        let format = if self.at.year() == self.now.year() { "%a %-d %b" } else { "%-d %b %Y" };
        self.at.format(format).to_string()
    }

    /// The time of day to the second: `10:42:07`.
    pub(crate) fn clock(&self) -> String {
        self.at.format("%H:%M:%S").to_string()
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.at.date_naive().signed_duration_since(self.now.date_naive()).num_days();
        match days {
            0 => write!(f, "today, {}", self.at.format("%H:%M")),
            -1 => write!(f, "yesterday, {}", self.at.format("%H:%M")),
            1 => write!(f, "tomorrow, {}", self.at.format("%H:%M")),
            _ if self.at.year() == self.now.year() => self.at.format("%a %-d %b, %H:%M").fmt(f),
            _ => self.at.format("%-d %b %Y").fmt(f),
        }
    }
}

/// The class that gives a group of causes its colour.
pub(crate) fn colour(group: impl Borrow<CauseGroup>) -> &'static str {
    match group.borrow() {
        CauseGroup::A => "g-a",
        CauseGroup::B => "g-b",
        CauseGroup::C => "g-c",
        CauseGroup::D => "g-d",
        CauseGroup::E => "g-e",
        CauseGroup::O => "g-o",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_their_thousands_set_apart() {
        for (count, expected) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567"), (-1_000, "−1,000")]
        {
            assert_eq!(Count(count).to_string(), expected);
        }
        assert_eq!(Count(1).people(), "1 person");
        assert_eq!(percent(5, 99), None);
        assert_eq!(percent(941, 1_000).as_deref(), Some("94.1"));
    }

    #[test]
    fn times_are_told_as_seen_from_now() {
        let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let now = time("2026-11-24T10:42:00Z");
        for (at, expected) in [
            ("2026-11-24T16:40:00Z", "today, 16:40"),
            ("2026-11-23T09:00:00Z", "yesterday, 09:00"),
            ("2026-11-25T00:00:00Z", "tomorrow, 00:00"),
            ("2026-11-27T09:30:00Z", "Fri 27 Nov, 09:30"),
            ("2025-11-27T09:30:00Z", "27 Nov 2025"),
        ] {
            assert_eq!(When::new(time(at), now).to_string(), expected);
        }
    }
}
