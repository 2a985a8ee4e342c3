//! The figures of the last days, and those of as many days before to compare them with.

use super::DAYS;
use crate::words::{Count, percent};
use chrono::{NaiveDate, TimeDelta};
use rebound_db::statistics::{self, Kind};
use rebound_domain::CauseGroup;

/// A figure that answers "how is it going".
pub(crate) struct Tile {
    pub(crate) href: &'static str,
    pub(crate) label: &'static str,
    pub(crate) figure: String,
    pub(crate) unit: &'static str,
    /// `better`, `worse` or nothing, and the words of the change.
    pub(crate) change: Option<(&'static str, String)>,
    pub(crate) note: &'static str,
}

/// One day of the charts.
pub(crate) struct Day {
    pub(crate) date: String,
    pub(crate) label: String,
    pub(crate) sent: Count,
    pub(crate) groups: Vec<Count>,
}

/// Sums over some days.
#[derive(Clone, Copy, Default)]
struct Sums {
    accepted: i64,
    returned: i64,
    hard: i64,
    soft: i64,
    complaints: i64,
}

impl Sums {
    fn of<'a>(counts: impl Iterator<Item = &'a statistics::Count>) -> Self {
        counts.fold(Self::default(), |mut sums, count| {
            match count.kind {
                Kind::Accepted => sums.accepted += count.count,
                Kind::Returned => sums.returned += count.count,
                Kind::Hard => sums.hard += count.count,
                Kind::Soft => sums.soft += count.count,
                Kind::Complaint => sums.complaints += count.count,
                Kind::Deferred => {}
            }
            sums
        })
    }

    fn delivered(&self) -> i64 {
        (self.accepted - self.returned).max(0)
    }

    /// Messages whose fate is known: what came back after it was taken is counted once.
    fn sent(&self) -> i64 {
        (self.accepted - self.returned + self.hard + self.soft).max(0)
    }
}

pub(crate) fn tiles(counts: &[statistics::Count], today: NaiveDate, recovered: Count) -> Vec<Tile> {
    let start = today - TimeDelta::days(DAYS - 1);
    let now = Sums::of(counts.iter().filter(|count| count.day >= start));
    let before = Sums::of(counts.iter().filter(|count| count.day < start));
    let rate = |href, label, part: fn(&Sums) -> i64, whole: fn(&Sums) -> i64, more_is_better, note| {
        let change = change(share(part(&now), whole(&now)), share(part(&before), whole(&before)), more_is_better);
        match percent(part(&now), whole(&now)) {
            Some(figure) => Tile { href, label, figure, unit: "%", change, note },
            None => Tile {
                href,
                label,
                figure: Count(part(&now)).to_string(),
                unit: "",
                change: None,
                note: "too few to say",
            },
        }
    };
    vec![
        rate("/campaigns", "Delivered", Sums::delivered, Sums::sent, true, ""),
        rate("/bounces?kind=hard&days=30", "Hard bounces", |sums| sums.hard, Sums::sent, false, "good: under 2 %"),
        Tile {
            href: "/bounces?kind=recovered&days=30",
            label: "Recovered",
            figure: recovered.to_string(),
            unit: "",
            change: None,
            note: "reached after a failure",
        },
        rate(
            "/suppressions?reason=complaint",
            "Complaints",
            |sums| sums.complaints,
            Sums::delivered,
            false,
            "limit 0.3 %",
        ),
    ]
}

#[allow(clippy::cast_precision_loss)] // counts of mail are far below the whole numbers of an f64
fn share(part: i64, whole: i64) -> Option<f64> {
    (whole >= 100).then(|| part as f64 * 100.0 / whole as f64)
}

/// The change in points, and whether it is good news; nothing where either side is too few to say.
fn change(now: Option<f64>, before: Option<f64>, more_is_better: bool) -> Option<(&'static str, String)> {
    let points = now? - before?;
    if points.abs() < 0.05 {
        return Some(("muted", "unchanged".to_owned()));
    }
    let arrow = if points > 0.0 { "▲" } else { "▼" };
    let class = if (points > 0.0) == more_is_better { "better" } else { "worse" };
    Some((class, format!("{arrow} {:.1} points", points.abs())))
}

pub(crate) fn days(counts: &[statistics::Count], today: NaiveDate) -> Vec<Day> {
    (0..DAYS)
        .rev()
        .map(|back| {
            let day = today - TimeDelta::days(back);
            let of_day = || counts.iter().filter(move |count| count.day == day);
            let group = |group: CauseGroup| {
                let bounced = of_day().filter(|count| matches!(count.kind, Kind::Hard | Kind::Soft));
                Count(bounced.filter(|c| c.cause.is_some_and(|c| c.group() == group)).map(|c| c.count).sum())
            };
            Day {
                date: day.to_string(),
                label: day.format("%-d %b").to_string(),
                sent: Count(Sums::of(of_day()).sent()),
                groups: CauseGroup::ALL.into_iter().map(group).collect(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rebound_domain::BounceCause;

    #[test]
    fn what_came_back_after_it_was_taken_is_counted_once() {
        let day = NaiveDate::from_ymd_opt(2026, 11, 24).unwrap();
        let count = |kind, cause, count| statistics::Count { day, campaign: None, kind, cause, count };
        let counts = [
            count(Kind::Accepted, None, 990),
            count(Kind::Returned, Some(BounceCause::MailboxUnknown), 10),
            count(Kind::Hard, Some(BounceCause::MailboxUnknown), 15),
            count(Kind::Soft, Some(BounceCause::MailboxFull), 5),
            count(Kind::Deferred, Some(BounceCause::Greylisted), 70),
        ];
        let tiles = tiles(&counts, day, Count(60));
        assert_eq!((tiles[0].figure.as_str(), tiles[1].figure.as_str()), ("98.0", "1.5"));
        let days = days(&counts, day);
        let last = days.last().unwrap();
        assert_eq!(
            (last.sent, last.groups[0], last.groups[1], last.groups[4]),
            (Count(1_000), Count(15), Count(5), Count(0))
        );
        assert_eq!(days.len(), 30);
    }

    #[test]
    fn a_change_is_good_or_bad_by_its_meaning() {
        assert_eq!(change(Some(98.6), Some(98.0), true).unwrap().0, "better");
        assert_eq!(change(Some(0.6), Some(0.4), false).unwrap().0, "worse");
        assert_eq!(change(Some(0.04), Some(0.04), false).unwrap().1, "unchanged");
        assert_eq!(change(Some(1.0), None, false), None);
    }
}
