//! How fast mail goes, and a bucket that keeps it from going faster.

use super::{seconds, span};
use chrono::{DateTime, TimeDelta, Utc};

/// Seconds over which the flow is measured.
const OVER: f64 = 10.0;

/// Messages per second that were taken of late, as of the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Flow {
    /// When the first one was taken, and the last.
    seen: Option<(DateTime<Utc>, DateTime<Utc>)>,
    faded: f64,
}

impl Flow {
    /// One more was taken.
    pub(super) fn count(&mut self, now: DateTime<Utc>) {
        let (first, last) = self.seen.unwrap_or((now, now));
        let fades = (-seconds(now - last).max(0.0) / OVER).exp();
        self.faded = self.faded * fades + 1.0 / OVER;
        self.seen = Some((first, now.max(last)));
    }

    /// Messages per second; 0 before the first.
    pub(super) fn per_second(&self) -> f64 {
        // What has not been seen for long has not faded as it will.
        let age = self.age().max(0.1);
        self.faded / (1.0 - (-age / OVER).exp())
    }

    /// Whether nothing was taken yet.
    pub(super) fn is_unknown(&self) -> bool {
        self.seen.is_none()
    }

    /// Seconds between the first and the last.
    pub(super) fn age(&self) -> f64 {
        self.seen.map_or(0.0, |(first, last)| seconds(last - first))
    }
}

/// A token bucket: so many at once, and then one at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bucket {
    tokens: f64,
    filled: DateTime<Utc>,
}

impl Bucket {
    /// One message's worth, so that what comes first comes slowly.
    pub(super) fn new(now: DateTime<Utc>) -> Self {
        Self { tokens: 1.0, filled: now }
    }

    /// A second's pause first: whoever just refused has to recover, too.
    pub(super) fn after_pause(now: DateTime<Utc>) -> Self {
        Self { tokens: 1.0, filled: now + TimeDelta::seconds(1) }
    }

    /// Takes one at `rate` per second, of which at most a second's worth are saved, unless less than such a part of that
    /// would be left; or tells when there will be one.
    pub(super) fn take(&mut self, rate: f64, leaves: f64, now: DateTime<Utc>) -> Result<(), DateTime<Utc>> {
        if now < self.filled {
            return Err(self.filled);
        }
        // Whoever asks twice a second comes a little late each time, and shall lose nothing by it.
        // Where places are left to somebody, they are there until he comes: he asks twice a second, and more than comes in
        // between is left.
        let (burst, between) = (rate.max(1.5) + 2.0 * leaves, if leaves > 0.0 { 0.5 * rate + 0.1 } else { 0.0 });
        let left = ((burst - 1.0) * leaves).max(between);
        let burst = burst.max(1.0 + left);
        self.tokens = (self.tokens + seconds(now - self.filled) * rate).min(burst);
        self.filled = now;
        let needed = 1.0 + left;
        if self.tokens < needed - 1e-6 {
            return Err(now + span(((needed - self.tokens) / rate).max(0.001)));
        }
        self.tokens -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_keeps_the_rate_and_saves_a_second() {
        let start = DateTime::UNIX_EPOCH;
        let mut bucket = Bucket::new(start);
        let went = |bucket: &mut Bucket, from, to| {
            (from..to).filter(|milli| bucket.take(20.0, 0.0, start + TimeDelta::milliseconds(*milli)).is_ok()).count()
        };
        assert_eq!(went(&mut bucket, 0, 1000), 20);
        assert_eq!(went(&mut bucket, 60_000, 61_000), 39, "a second's worth was saved, not a minute's");
        let end = start + TimeDelta::seconds(61);
        let waits = (0..2).find_map(|_| bucket.take(20.0, 0.0, end).err());
        assert!(waits.is_some_and(|until| until > end && until <= end + span(0.051)), "{waits:?}");
    }

    #[test]
    fn the_flow_is_right_early_and_later() {
        let start = DateTime::UNIX_EPOCH;
        let mut flow = Flow::default();
        for message in 0..6_000 {
            flow.count(start + TimeDelta::milliseconds(message * 50));
            let measured = flow.per_second();
            assert!(message < 20 || (measured - 20.0).abs() < 2.0, "{measured} after {message}");
        }
    }
}
