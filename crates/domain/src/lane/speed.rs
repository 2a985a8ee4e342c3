//! How fast mail may go: as fast as it can, until a receiver says otherwise.

use super::Part;
use super::curve::Curve;
use super::flow::{Bucket, Flow};
use chrono::{DateTime, TimeDelta, Utc};

/// Seconds in which a halved rate is back; longer where there are too few messages to learn from in that time.
const CLIMB: f64 = 15.0;
const MESSAGES: f64 = 120.0;
const LONGEST_CLIMB: f64 = 300.0;

/// The rate after a rest, where nothing was measured before: what a large receiver takes from anybody.
const UNKNOWN: f64 = 100.0;

/// A flow that was measured over less says nothing about what is normal.
const MEASURED: f64 = 60.0;

/// After an outage mail goes no faster than so many times what was normal.
const CATCH_UP: f64 = 1.15;

/// The rate of one lane, from no limit at all to one that is found out and one that was set.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Speed {
    found: Option<Curve>,
    /// Messages per second at most, of all workers together, until when.
    held: Option<(f64, DateTime<Utc>)>,
    bucket: Option<Bucket>,
    /// Workers beside this one that share what is held.
    others: u32,
}

impl Speed {
    /// Its worker is one of so many.
    pub(super) fn share(&mut self, part: Part) {
        self.others = part.of.saturating_sub(1);
    }

    fn workers(&self) -> f64 {
        f64::from(self.others) + 1.0
    }

    /// Takes a place, for somebody who `leaves` such a part of what is saved to others; or tells when there will be one.
    pub(super) fn take(&mut self, leaves: f64, now: DateTime<Utc>) -> Result<(), DateTime<Utc>> {
        let Some(limit) = self.limit(now) else {
            self.bucket = None;
            return Ok(());
        };
        self.bucket.get_or_insert_with(|| Bucket::new(now)).take(limit, leaves, now)
    }

    /// Messages per second at `now`; `None` for as many as there are.
    pub(super) fn limit(&self, now: DateTime<Utc>) -> Option<f64> {
        let found = self.found.filter(|curve| !curve.is_forgotten(now)).map(|curve| curve.at(now));
        let held = self.held.filter(|(_, until)| now < *until).map(|(rate, _)| rate / self.workers());
        match (found, held) {
            (Some(found), Some(held)) => Some(found.min(held)),
            (found, held) => found.or(held),
        }
    }

    pub(super) fn is_free(&self, now: DateTime<Utc>) -> bool {
        self.limit(now).is_none()
    }

    /// Halves the rate: to how much, and when it is back.
    pub(super) fn cut(&mut self, flow: &Flow, now: DateTime<Utc>) -> (f64, DateTime<Utc>) {
        // A refusal at the envelope may be heard before the first message is taken: that says nothing of the rate.
        let measured = if flow.is_unknown() { UNKNOWN } else { flow.per_second().max(1.0 / 60.0) };
        let limit = self.limit(now).map_or(measured, |limit| limit.min(measured));
        let curve = Curve::cut(limit, climb(limit), now);
        self.found = Some(curve);
        self.bucket = Some(Bucket::after_pause(now));
        (curve.at(now), curve.back())
    }

    /// No more than so many per second, of all workers, until then; a slower hold that lasts stays.
    pub(super) fn hold(&mut self, rate: f64, until: DateTime<Utc>) {
        self.held = Some(match self.held {
            Some((slower, later)) if slower < rate && later > until => (slower, later),
            _ => (rate, until),
        });
    }

    /// Mail may go again after a rest of that length.
    pub(super) fn restart(&mut self, flow: &Flow, rested: TimeDelta, now: DateTime<Utc>) {
        let is_measured = flow.age() >= MEASURED;
        let known = self.found.map(|curve| curve.ceiling());
        let normal = if is_measured { flow.per_second() } else { UNKNOWN };
        let normal = known.map_or(normal, |known| known.min(normal)).max(1.0 / 60.0);
        self.found = Some(Curve::cut(normal, climb(normal), now));
        self.bucket = Some(Bucket::new(now));
        if is_measured {
            let rested = rested.clamp(TimeDelta::minutes(1), TimeDelta::days(1));
            // It was measured here, and the others have their own.
            self.hold(normal * CATCH_UP * self.workers(), now + rested);
        }
    }
}

fn climb(rate: f64) -> f64 {
    (MESSAGES / rate).clamp(CLIMB, LONGEST_CLIMB)
}

#[cfg(test)]
mod tests {
    use super::super::{seconds, span};
    use super::*;

    #[test]
    fn a_refusal_before_anything_was_taken_does_not_stop_the_lane() {
        let (now, mut speed, mut flow) = (DateTime::UNIX_EPOCH, Speed::default(), Flow::default());
        assert_eq!(speed.cut(&flow, now).0, UNKNOWN * 0.97 / 2.0);
        (0..100).for_each(|message| flow.count(now + span(f64::from(message) * 0.5)));
        assert!((0.9..1.1).contains(&speed.cut(&flow, now + span(50.0)).0), "half of two a second");
    }

    #[test]
    fn a_slower_hold_that_lasts_stays() {
        let now = DateTime::UNIX_EPOCH;
        let mut speed = Speed::default();
        assert!(speed.is_free(now));
        speed.hold(1.0, now + span(60.0));
        speed.hold(2.0, now + span(30.0));
        assert_eq!(speed.limit(now), Some(1.0));
        speed.hold(2.0, now + span(90.0));
        assert_eq!(speed.limit(now), Some(2.0));
        assert!(speed.is_free(now + span(90.0)) && seconds(span(1.5)) == 1.5);
    }
}
