//! How many messages a second a relay is given, by all workers together.

use rebound_db::{Pool, rates};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How far ahead a worker takes places: what it takes and does not use is lost to the others.
const AHEAD: Duration = Duration::from_millis(500);

/// A place that is so long past is not made up for: else a pause of ours, or of the database, would end in a burst. It
/// is a hundredth of the ten seconds over which a relay may count.
const LATE: Duration = Duration::from_millis(100);

/// Spaces messages evenly, so that no second sees more than the rate.
#[derive(Debug)]
pub(crate) struct Rate {
    kept: Option<Kept>,
}

#[derive(Debug)]
struct Kept {
    db: Pool,
    name: String,
    gap: Duration,
    places: Mutex<VecDeque<Instant>>,
}

impl Rate {
    /// `per_second` messages to the relay called `name`; without a number, as many as can be.
    pub(crate) fn new(db: &Pool, name: String, per_second: Option<u32>) -> Self {
        let gap = per_second.filter(|rate| *rate > 0).map(|rate| Duration::from_secs(1) / rate);
        Self { kept: gap.map(|gap| Kept { db: db.clone(), name, gap, places: Mutex::default() }) }
    }

    /// Whether there is a rate to keep.
    pub(crate) fn is_set(&self) -> bool {
        self.kept.is_some()
    }

    /// Waits for the next place.
    pub(crate) async fn turn(&self) {
        if let Some(kept) = &self.kept {
            loop {
                let place = kept.place().await;
                tokio::time::sleep_until(place).await;
                if !is_late(place, Instant::now()) {
                    return;
                }
            }
        }
    }
}

impl Kept {
    async fn place(&self) -> Instant {
        let mut places = self.places.lock().await;
        forget_late(&mut places, Instant::now());
        loop {
            if let Some(place) = places.pop_front() {
                return place;
            }
            let count = u32::try_from(AHEAD.as_micros() / self.gap.as_micros().max(1)).unwrap_or(u32::MAX).max(1);
            let asked = Instant::now();
            match rates::take(&self.db, &self.name, count, self.gap).await {
                // They may have begun as soon as we asked: what the answer took is not made up for either.
                Ok(wait) => {
                    let first = asked + wait;
                    places.extend((0..count).map(|place| first + self.gap * place));
                    let now = Instant::now();
                    forget_late(&mut places, now);
                    if places.is_empty() {
                        // A database that always takes so long must not keep everything from going.
                        places.push_back(now);
                    }
                }
                Err(error) => {
                    // Without it nothing could be marked either.
                    tracing::warn!(%error, "the rate waits for the database");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

fn forget_late(places: &mut VecDeque<Instant>, now: Instant) {
    places.retain(|place| !is_late(*place, now));
}

fn is_late(place: Instant, now: Instant) -> bool {
    place + LATE < now
}
