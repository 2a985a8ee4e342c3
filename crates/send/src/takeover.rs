//! Takes over what dead workers had.
//!
//! A process that was killed lets go of its lock, and is dead at once. One that hangs, or that the network keeps from the
//! database, holds its lock and is not heard of: its work is taken over when its lease ends.

use crate::dispatch::give_up;
use crate::worker::{HEARTBEAT, LOOK};
use chrono::{DateTime, Utc};
use rebound_db::workers::Seen;
use rebound_db::{Pool, workers};
use rebound_domain::{Clock, WorkerId};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Whoever holds its lock is not taken for dead before so long a silence, counted on our own clock, which nobody moves:
/// where only the database's clock was moved, a heartbeat comes before.
const SILENCE: Duration = Duration::from_secs(HEARTBEAT.as_secs() * 2);

/// One worker's watch over the others.
pub(crate) struct Watch {
    pub(crate) db: Pool,
    pub(crate) clock: Clock,
    me: WorkerId,
    others: Others,
}

impl Watch {
    /// The watch of the worker `me`.
    pub(crate) fn new(db: Pool, me: WorkerId, clock: Clock) -> Self {
        Self { db, clock, me, others: Others::default() }
    }

    /// Until `stop`; `wake` is told when something was taken back.
    pub(crate) async fn run(mut self, wake: &Notify, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            match self.look().await {
                Ok(true) => wake.notify_one(),
                Ok(false) => {}
                Err(error) => tracing::error!(%error, "whether others live is not known without the database"),
            }
            stop.run_until_cancelled(tokio::time::sleep(LOOK)).await;
        }
    }

    /// Whether something was taken back.
    async fn look(&mut self) -> Result<bool, rebound_db::Error> {
        let seen = workers::seen(&self.db).await?;
        let dead = self.others.dead(&seen, Instant::now());
        let mut has_taken = false;
        for id in dead.into_iter().filter(|id| *id != self.me) {
            let doubts = give_up(&self.db, id, self.clock.at(Utc::now())).await?;
            tracing::warn!(worker.id = %id, doubts, "a worker died; its deliveries were taken back");
            has_taken = true;
        }
        Ok(has_taken)
    }
}

/// What was heard of whom.
#[derive(Debug, Default)]
struct Others {
    /// Until when each one's lease lasted when it was renewed last, and when we saw that.
    heard: HashMap<WorkerId, (DateTime<Utc>, Instant)>,
    looked: Option<Instant>,
}

impl Others {
    /// Who of those that are `seen` is dead.
    fn dead(&mut self, seen: &[Seen], now: Instant) -> Vec<WorkerId> {
        // Who could not look for a while, the database being away, has missed the others' heartbeats.
        if self.looked.is_some_and(|looked| now - looked > HEARTBEAT) {
            self.heard.clear();
        }
        self.looked = Some(now);
        self.heard.retain(|id, _| seen.iter().any(|worker| worker.id == *id));
        let mut is_dead = |worker: &Seen| {
            let heard = self.heard.entry(worker.id).or_insert((worker.until, now));
            if heard.0 != worker.until {
                *heard = (worker.until, now);
            }
            !worker.is_locked || (worker.is_overdue && now - heard.1 >= SILENCE)
        };
        seen.iter().filter(|worker| is_dead(worker)).map(|worker| worker.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    /// Seconds after which a worker is taken for dead that renewed its lease at second 0 and not again until `renews`;
    /// the database's clock is put ahead at second 20. `blind` is when nobody could look.
    fn died(lock_until: u64, renews: u64, blind: std::ops::Range<u64>) -> Option<u64> {
        let (mut others, begun, epoch) = (Others::default(), Instant::now(), DateTime::UNIX_EPOCH);
        (0..120).filter(|second| !blind.contains(second)).find(|second| {
            let jump = if *second >= 20 { 3600 } else { 0 };
            let renewed = if *second >= renews { second - second % 5 } else { 0 };
            let jumped = if renewed >= 20 { 3600 } else { 0 };
            let until = epoch + TimeDelta::seconds(i64::try_from(renewed + jumped + 15).unwrap());
            let is_overdue = until < epoch + TimeDelta::seconds(i64::try_from(second + jump).unwrap());
            let worker = Seen { id: WorkerId(7), until, is_overdue, is_locked: *second < lock_until };
            !others.dead(&[worker], begun + Duration::from_secs(*second)).is_empty()
        })
    }

    #[test]
    fn who_is_not_heard_of_for_a_lease_is_dead_and_nobody_sooner_but_who_let_go() {
        assert_eq!(died(7, 200, 0..0), Some(7), "its lock is free");
        assert_eq!(died(200, 200, 0..0), Some(16), "it hangs: its lease of 15 s is over");
        assert_eq!(died(200, 0, 0..0), None, "it lives, though the clock was put ahead");
        assert_eq!(died(200, 24, 2..22), None, "the database was away for all, and its next heartbeat is on its way");
        assert_eq!(died(200, 200, 2..22), Some(32), "the database was away, and it does not come back");
    }
}
