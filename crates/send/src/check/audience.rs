//! Who gets it and how many: what the figures and the past say.

use super::{Check, Finding, Level, Preflight};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::forecast::{self, AtDomain, Fate};
use rebound_db::statistics::{self, Kind};
use rebound_db::{Error, Pool, campaigns};
use rebound_domain::{CampaignState, DeliveryId, Grouped};
use std::collections::{BTreeMap, HashMap};

/// How far back complaints and volumes are looked at.
const MONTH: TimeDelta = TimeDelta::days(30);

/// Delivered messages from which a share of complaints says something.
const TELLING: i64 = 1_000;

/// Complaints among a thousand delivered messages: what Gmail asks to stay below, and never to reach.
const COMPLAINTS_HIGH: i64 = 1;
const COMPLAINTS_NEVER: i64 = 3;

/// Messages a day that no receiver minds of anybody.
const SMALL: i64 = 1_000;

/// So many times the busiest day of a month is a jump.
const JUMP: i64 = 5;

/// Settled deliveries of the past that are looked at.
const PAST: i64 = 200_000;

/// Settled deliveries from which a forecast is made.
const FORECAST: i64 = 100;

/// Percent of expected bounces that alarm receivers.
const ALARM: i64 = 5;

/// What the figures of an audience say.
pub(super) fn figures(preflight: &mut Preflight) {
    let (figures, roles) = (preflight.figures, preflight.roles);
    if roles > 0 {
        let what = format!("{} addresses belong to a role, such as info@ or postmaster@.", Grouped(roles));
        let finding = Finding::new(Check::RoleAddresses, what, "Write to people instead.");
        preflight.findings.push(Finding { count: roles.unsigned_abs(), ..finding });
    } else {
        preflight.passed.push("no addresses of a role");
    }
    if preflight.people >= 100 && figures.new * 2 > preflight.people {
        let (new, people) = (Grouped(figures.new), Grouped(preflight.people));
        let what = format!("{new} of {people} were never written to by this installation.");
        let remedy = "Expect more bounces than usual, and send to a small list first.";
        preflight.findings.push(Finding::new(Check::NeverWritten, what, remedy));
    }
}

/// What the last 30 days say of sending more.
pub(super) async fn history(db: &Pool, preflight: &mut Preflight, now: DateTime<Utc>) -> Result<(), Error> {
    let today = now.date_naive();
    let counts = statistics::by_day(db, (now - MONTH).date_naive(), today, None).await?;
    let (mut delivered, mut complaints) = (0, 0);
    let mut days = BTreeMap::new();
    for count in counts {
        let sent: &mut i64 = days.entry(count.day).or_default();
        match count.kind {
            Kind::Accepted => (delivered, *sent) = (delivered + count.count, *sent + count.count),
            Kind::Returned => delivered -= count.count,
            Kind::Hard | Kind::Soft => *sent += count.count,
            Kind::Complaint => complaints += count.count,
            Kind::Deferred => {}
        }
    }
    let sent_today = days.remove(&today).unwrap_or_default();
    let busiest = days.into_values().max().unwrap_or_default().max(sent_today);
    preflight.sent_today = sent_today;
    match complained(complaints, delivered) {
        Some(finding) => preflight.findings.push(finding),
        None => preflight.passed.push("complaints"),
    }
    match jump(preflight.people, sent_today, busiest) {
        Some(finding) => preflight.findings.push(finding),
        None => preflight.passed.push("volume"),
    }
    Ok(())
}

fn complained(complaints: i64, delivered: i64) -> Option<Finding> {
    let reaches = |share: i64| delivered >= TELLING && complaints * 1_000 >= delivered * share;
    if !reaches(COMPLAINTS_HIGH) {
        return None;
    }
    let what = format!(
        "{} of {} people who got mail in the last 30 days complained: {:.2} %.",
        Grouped(complaints),
        Grouped(delivered),
        complaints as f64 * 100.0 / delivered as f64
    );
    let remedy = "Write only to people who lately asked for it or opened your mail, until the share is below 0.10 %.";
    let level = if reaches(COMPLAINTS_NEVER) { Level::Stops } else { Level::Warns };
    Some(Finding::new(Check::Complaints, what, remedy).at(level))
}

fn jump(people: i64, sent_today: i64, busiest: i64) -> Option<Finding> {
    let whole = people + sent_today;
    if whole <= SMALL.max(busiest * JUMP) {
        return None;
    }
    let what = match busiest {
        0 => format!("{} messages go today, and none went in the 30 days before.", Grouped(whole)),
        _ => {
            let (whole, busiest) = (Grouped(whole), Grouped(busiest));
            format!("{whole} messages go today; the most on one day of the last 30 was {busiest}.")
        }
    };
    let remedy = "Begin with a small part, to those who know you best, and double it from day to day.";
    Some(Finding::new(Check::VolumeJump, what, remedy))
}

/// How many are expected not to be reached, from what became of the last mail to their domains; `None` where too
/// little is known.
pub(super) async fn expected(db: &Pool, domains: &[AtDomain]) -> Result<Option<Expected>, Error> {
    let over = campaigns::in_states(db, &[CampaignState::Sending, CampaignState::Sent]).await?;
    let mut left = PAST;
    let mut fates = Vec::new();
    for campaign in over.into_iter().rev().filter(|one| one.planned > 0) {
        let (first, last) = DeliveryId::range(campaign.id);
        let last = last.min(first + left);
        fates.extend(forecast::fates(db, DeliveryId(first), DeliveryId(last)).await?);
        left -= campaign.planned;
        if left <= 0 {
            break;
        }
    }
    Ok(Expected::of(domains, &fates))
}

/// A forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    people: i64,
    bounces: i64,
}

impl Expected {
    /// By domain and by whether somebody was written to before. Where a domain is hardly known, it is taken for an
    /// average one.
    fn of(domains: &[AtDomain], fates: &[Fate]) -> Option<Self> {
        let mut known: HashMap<(&str, bool), (i64, i64)> = HashMap::new();
        let mut average: HashMap<bool, (i64, i64)> = HashMap::new();
        let (mut settled, mut bounced) = (0, 0);
        for fate in fates {
            for sum in [known.entry((&fate.domain, fate.first)).or_default(), average.entry(fate.first).or_default()] {
                *sum = (sum.0 + fate.settled, sum.1 + fate.bounced);
            }
            (settled, bounced) = (settled + fate.settled, bounced + fate.bounced);
        }
        if settled < FORECAST {
            return None;
        }
        let share = |(settled, bounced): (i64, i64)| bounced as f64 / settled.max(1) as f64;
        let usual = |first: bool| match average.get(&first) {
            Some(sum) if sum.0 >= FORECAST => share(*sum),
            _ => share((settled, bounced)),
        };
        let rate = |domain: &str, first: bool| {
            let (settled, bounced) = known.get(&(domain, first)).copied().unwrap_or_default();
            // Ten messages of an average domain, so that one bounce does not condemn a domain.
            (bounced as f64 + 10.0 * usual(first)) / (settled as f64 + 10.0)
        };
        let expect = |at: &AtDomain| {
            (at.people - at.new) as f64 * rate(&at.domain, false) + at.new as f64 * rate(&at.domain, true)
        };
        let bounces = domains.iter().map(expect).sum::<f64>().round() as i64;
        Some(Self { people: domains.iter().map(|at| at.people).sum(), bounces })
    }

    pub(super) fn finding(self) -> Option<Finding> {
        if self.bounces * 100 < self.people * ALARM || self.bounces == 0 {
            return None;
        }
        let what = format!(
            "About {} of {} will not be reached, by what became of the last mail to their domains.",
            Grouped(self.bounces),
            Grouped(self.people)
        );
        let remedy = "Leave out those who were never reached, or send to a small part first.";
        Some(Finding { count: self.bounces.unsigned_abs(), ..Finding::new(Check::ExpectedBounces, what, remedy) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_warn_at_one_and_stop_at_three_in_a_thousand() {
        for (complaints, delivered, expected) in [
            (9, 10_000, None),
            (10, 10_000, Some(Level::Warns)),
            (29, 10_000, Some(Level::Warns)),
            (30, 10_000, Some(Level::Stops)),
            (5, 999, None), // too few to say
        ] {
            assert_eq!(complained(complaints, delivered).map(|one| one.level), expected, "{complaints}/{delivered}");
        }
    }

    #[test]
    fn a_jump_is_five_times_the_busiest_day() {
        for (people, today, busiest, expected) in
            [(1_000, 0, 0, false), (1_001, 0, 0, true), (5_000, 0, 1_000, false), (4_000, 1_001, 1_000, true)]
        {
            assert_eq!(jump(people, today, busiest).is_some(), expected, "{people} {today} {busiest}");
        }
    }

    #[test]
    fn the_past_of_a_domain_tells_of_its_future() {
        let at = |domain: &str, people, new| AtDomain { domain: domain.into(), people, new };
        let fate = |domain: &str, first, settled, bounced| Fate { domain: domain.into(), first, settled, bounced };
        assert_eq!(Expected::of(&[at("a.test", 100, 0)], &[fate("a.test", false, 99, 50)]), None, "too few");
        let past = [fate("a.test", false, 990, 0), fate("b.test", false, 990, 99), fate("a.test", true, 990, 198)];
        for (people, expected) in [
            (at("a.test", 1_000, 0), 1),       // hardly any bounced
            (at("b.test", 1_000, 0), 100),     // one in ten
            (at("a.test", 1_000, 1_000), 200), // one in five, the first time
            (at("new.test", 1_000, 0), 50),    // as all others
        ] {
            let forecast = Expected::of(std::slice::from_ref(&people), &past).unwrap();
            assert!((forecast.bounces - expected).abs() <= 1, "{people:?}: {forecast:?}");
            assert_eq!(forecast.finding().is_some(), expected >= 50, "{people:?}");
        }
    }
}
