//! How many messages may be under way to one receiver at a time.

use super::Part;
use super::curve::Curve;
use chrono::{DateTime, TimeDelta, Utc};

/// Where a receiver that is known for nothing starts.
const START: f64 = 20.0;

/// A receiver that takes longer for a window has as many places as it can use: more would be kept from the others.
const SLOW: TimeDelta = TimeDelta::seconds(5);

/// Seconds in which a halved window is back; then it asks for one more.
const CLIMB: f64 = 60.0;

/// A window as TCP has it: one more for every window that was taken, half after a throttle reply (RFC 5681).
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    most: f64,
    /// What the receiver is known to bear, of all workers together.
    bears: u32,
    /// What this worker has of that, and of what is set.
    part: Part,
    size: f64,
    /// Whether it holds anybody back. Behind a relay whose connections are its own affair it does not, until a receiver
    /// has complained of too many.
    is_bound: bool,
    /// Where it was refused.
    found: Option<Curve>,
    /// A number that was set, for all workers together, until when.
    held: Option<(u32, DateTime<Utc>)>,
    under_way: u32,
    /// Those under way when somebody had to wait: a window that is not used up need not grow.
    wanted: u32,
    /// Since when a window's worth is counted, and how many were taken of it.
    turn: Option<(DateTime<Utc>, f64)>,
    /// Those that were under way when it was halved: what they hear is about the time before.
    late: u32,
}

impl Window {
    /// At most `most` at a time, of `places` that all receivers share.
    pub(super) fn new(most: u32, places: u32) -> Self {
        let (places, bears) = (f64::from(places.max(1)), most.max(1));
        let most = f64::from(bears).min(places);
        Self {
            most,
            bears,
            part: Part::WHOLE,
            size: most.min(START).min((places / 4.0).ceil()),
            is_bound: true,
            turn: None,
            found: None,
            held: None,
            under_way: 0,
            wanted: 0,
            late: 0,
        }
    }

    /// The same for a receiver behind a relay.
    pub(super) fn behind_relay(places: u32) -> Self {
        let most = f64::from(places.max(1));
        Self { size: most, bears: u32::MAX, is_bound: false, ..Self::new(places, places) }
    }

    /// Its worker is one of so many.
    pub(super) fn share(&mut self, part: Part) {
        self.part = part;
    }

    /// Whether another one has to wait.
    pub(super) fn is_full(&mut self, now: DateTime<Utc>) -> bool {
        if !self.is_bound {
            return false;
        }
        let is_full = f64::from(self.under_way) >= self.places(now);
        if is_full {
            self.wanted = self.under_way;
        }
        is_full
    }

    /// Whether somebody who `leaves` such a part of the places to others has to wait.
    pub(super) fn is_left(&self, leaves: f64, now: DateTime<Utc>) -> bool {
        self.is_bound && f64::from(self.under_way) >= (self.places(now) * (1.0 - leaves)).floor()
    }

    /// Messages that may be under way, where that holds anybody back.
    pub(super) fn bound(&self, now: DateTime<Utc>) -> Option<f64> {
        self.is_bound.then(|| self.places(now))
    }

    pub(super) fn is_idle(&self) -> bool {
        self.under_way == 0
    }

    /// One more is under way.
    pub(super) fn went(&mut self) {
        self.under_way = self.under_way.saturating_add(1);
    }

    /// One goes as a probe, whatever is under way.
    pub(super) fn probe(&mut self) {
        self.went();
        self.late = 0;
    }

    /// One came back, taken or not; whether it went before the window was halved.
    pub(super) fn came_back(&mut self, was_taken: bool, now: DateTime<Utc>) -> bool {
        self.under_way = self.under_way.saturating_sub(1);
        let is_late = self.late > 0;
        self.late = self.late.saturating_sub(1);
        if was_taken && self.wanted > 0 {
            self.grow(now);
        }
        self.wanted = self.wanted.saturating_sub(1);
        is_late
    }

    /// One more place for every window's worth that was taken.
    fn grow(&mut self, now: DateTime<Utc>) {
        let (since, taken) = self.turn.unwrap_or((now, 0.0));
        self.turn = Some((since, taken + 1.0));
        if taken + 1.0 < self.size {
            return;
        }
        self.turn = Some((now, 0.0));
        if now - since <= SLOW {
            self.size = (self.size + 1.0).min(self.most).min(self.found(now)).max(self.size);
        }
    }

    /// Those under way will not be heard of.
    pub(super) fn forget(&mut self) {
        (self.under_way, self.wanted, self.late) = (0, 0, 0);
    }

    /// A rate was refused: where all places were in use, they may be too many, too.
    pub(super) fn cut_if_wanted(&mut self) {
        if self.is_bound && self.wanted > 0 {
            self.size = (self.size / 2.0).max(1.0);
            self.turn = None;
        }
        self.late = self.under_way;
    }

    /// Half as many from now on: how many, and when they are back.
    pub(super) fn cut(&mut self, now: DateTime<Utc>) -> (u32, DateTime<Utc>) {
        let refused = f64::from(self.under_way.saturating_add(1)).min(self.size).max(1.0);
        self.is_bound = true;
        let curve = Curve::cut(refused, CLIMB, now);
        self.found = Some(curve);
        self.size = (self.size.min(refused) / 2.0).max(1.0);
        self.turn = None;
        self.late = self.under_way;
        // A window is a small number.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let size = self.size as u32;
        (size, curve.back())
    }

    /// No more than so many, of all workers, until then.
    pub(super) fn hold(&mut self, most: u32, until: DateTime<Utc>) {
        self.is_bound = true;
        self.held = Some((most.max(1), until));
    }

    fn places(&self, now: DateTime<Utc>) -> f64 {
        let held = self.held.filter(|(_, until)| now < *until).map_or(u32::MAX, |(most, _)| most);
        let part = self.part.of_number(held.min(self.bears));
        // Half a place is none.
        self.size.floor().max(1.0).min(f64::from(part))
    }

    fn found(&self, now: DateTime<Utc>) -> f64 {
        self.found.map_or(f64::INFINITY, |curve| curve.at(now).max(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most that are under way at a time over so many seconds, a window per second.
    fn grown(window: &mut Window, from: DateTime<Utc>, seconds: i64) -> u32 {
        let mut most = 0;
        for second in 0..seconds {
            let now = from + TimeDelta::seconds(second);
            while !window.is_full(now) {
                window.went();
            }
            most = most.max(window.under_way);
            while window.under_way > 0 {
                window.came_back(true, now);
            }
        }
        most
    }

    #[test]
    fn it_grows_by_one_per_window_and_is_halved() {
        let now = DateTime::UNIX_EPOCH;
        let mut window = Window::new(40, 100);
        assert!(grown(&mut window, now, 5) <= 25);
        assert_eq!(grown(&mut window, now, 60), 40);
        (0..40).for_each(|_| window.went());
        window.cut(now);
        assert!((0..40).all(|_| window.came_back(false, now)), "they went before");
        assert!(!window.came_back(false, now) && window.size == 20.0);
        assert!(grown(&mut window, now, 100) < 40, "it stays below where it was refused");
        window.hold(1, now + TimeDelta::hours(1));
        assert_eq!(grown(&mut window, now, 10), 1);
    }

    #[test]
    fn who_is_slow_gets_no_more_places() {
        let mut window = Window::new(1_000, 64);
        let mut now = DateTime::UNIX_EPOCH;
        for _ in 0..100 {
            while !window.is_full(now) {
                window.went();
            }
            now += TimeDelta::seconds(20);
            while window.under_way > 0 {
                window.came_back(true, now);
            }
        }
        assert!(window.places(now) <= 21.0, "{}", window.places(now));
    }
}
