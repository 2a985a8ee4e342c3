//! Which way a message goes: by weight, among those that are open.

use crate::attempt::{Claimed, Job, Pass, Shared, alone, asker, held_back};
use crate::journal::Heard;
use crate::outlet::{Closed, Outlet, Takes};
use crate::pace::Held;
use crate::share::Owed;
use chrono::{DateTime, Utc};
use futures_util::future::select_all;
use rebound_domain::Receiver;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;

/// All ways out of a worker.
pub(crate) struct Outlets {
    all: Vec<Way>,
    jobs: mpsc::Sender<Job>,
}

pub(crate) struct Way {
    pub(crate) outlet: Arc<Outlet>,
    pub(crate) takes: Takes,
    /// What it is owed beside the others: whoever has the most goes.
    owed: Owed,
    /// When it was last waited for in vain.
    stood: Option<Instant>,
}

/// For so long a way that is busy is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// For so long one that was waited for in vain is not waited for again.
const STANDS: Duration = Duration::from_secs(10);

impl Way {
    pub(crate) fn new(outlet: Arc<Outlet>, takes: Takes) -> Self {
        Self { outlet, takes, owed: Owed::default(), stood: None }
    }
}

impl Outlets {
    pub(crate) fn new(all: Vec<Way>, jobs: mpsc::Sender<Job>) -> Self {
        Self { all, jobs }
    }

    /// Why no way is open; `None` when one is.
    pub(crate) fn closed(&self, now: DateTime<Utc>) -> Option<Closed> {
        let mut closed: Vec<Closed> = self.all.iter().map_while(|way| way.outlet.closed(now)).collect();
        if closed.len() < self.all.len() {
            return None;
        }
        // What goes on soonest by itself is told; without such, the first.
        let soonest = |closed: &Closed| match closed {
            Closed::Full(_, until) => *until,
            Closed::Down(_) => DateTime::<Utc>::MAX_UTC,
        };
        let place = closed.iter().enumerate().min_by_key(|(_, closed)| soonest(closed))?.0;
        Some(closed.swap_remove(place))
    }

    /// Lets `claimed` go by one of them; what has to be noted where it cannot. Waits while all that it could go by have
    /// no room.
    pub(crate) async fn send(&mut self, shared: &Shared, claimed: Claimed) -> Result<Option<Heard>, rebound_db::Error> {
        let now = shared.now();
        let receiver = Receiver::of_domain(claimed.contact.address.domain());
        let (mut left, weights) = self.in_turn(now);
        let mut held: Option<(Held, usize)> = None;
        while !left.is_empty() {
            let Some((way, place)) = self.room(&mut left, shared).await else { return Ok(None) };
            let outlet = Arc::clone(&self.all[way].outlet);
            let ticket = match outlet.quota.ticket(&shared.db, shared.now()).await? {
                Ok(ticket) => ticket,
                // Now it counts as closed, and nothing is taken while all are.
                Err(_) => continue,
            };
            let pass = Pass { place: Some(place), ticket };
            match &self.all[way].takes {
                Takes::Nothing => continue,
                Takes::Direct(direct) => direct.take(claimed, pass).await,
                Takes::Relay(to) => {
                    let passes = outlet.lanes.pass(&receiver, asker(&claimed.lease), shared.now());
                    let passes = if passes.is_ok() { alone(shared, &outlet, &receiver).await } else { passes };
                    if let Err(why) = passes {
                        held = sooner(held, (why, way));
                        continue;
                    }
                    to.expect();
                    let (is_probe, slowings) = (outlet.lanes.rests(&receiver), outlet.lanes.slowings(&receiver));
                    let (to, Claimed { lease, contact, composer }) = (Arc::downgrade(to), claimed);
                    let job = Job { lease, contact, composer, is_probe, to, outlet, receiver, slowings, pass };
                    let _ = self.jobs.send(job).await;
                }
            }
            self.all[way].owed.pay(weights);
            return Ok(None);
        }
        let Some((held, way)) = held else { return Ok(Some(Heard::Back(claimed.lease.id, None))) };
        Ok(Some(held_back(&claimed, (&self.all[way].outlet, &receiver), held, &shared.policy(), shared.now())))
    }

    /// Those that are open, whoever is owed most first, and their weights together.
    fn in_turn(&mut self, now: DateTime<Utc>) -> (Vec<usize>, i64) {
        let mut open: Vec<usize> =
            (0..self.all.len()).filter(|way| self.all[*way].outlet.closed(now).is_none()).collect();
        let mut weights = 0;
        for way in &open {
            let way = &mut self.all[*way];
            weights += i64::from(way.outlet.weight);
            way.owed.earn(way.outlet.weight);
        }
        open.sort_by_key(|way| std::cmp::Reverse(self.all[*way].owed));
        (open, weights)
    }

    /// Takes the first of `left` that has room out of it, or whichever has some first; `None` when the worker ends. One
    /// that is only busy is waited for, so that it has its share; not so one that keeps to a rate, or stands still.
    async fn room(&mut self, left: &mut Vec<usize>, shared: &Shared) -> Option<(usize, OwnedSemaphorePermit)> {
        let alone = left.len() == 1;
        for nth in 0..left.len() {
            let way = &mut self.all[left[nth]];
            let room = Arc::clone(&way.outlet.room);
            if let Ok(place) = Arc::clone(&room).try_acquire_owned() {
                return Some((left.remove(nth), place));
            }
            if alone || way.outlet.rate.is_set() || way.stood.is_some_and(|stood| stood.elapsed() < STANDS) {
                continue;
            }
            let place = timeout(PATIENCE, room.acquire_owned());
            match shared.ending.run_until_cancelled(place).await? {
                Ok(place) => return Some((left.remove(nth), place.ok()?)),
                Err(_) => way.stood = Some(Instant::now()),
            }
        }
        let rooms = left.iter().map(|way| Arc::clone(&self.all[*way].outlet.room));
        let first = select_all(rooms.map(|room| Box::pin(room.acquire_owned())));
        let (place, nth, _) = shared.ending.run_until_cancelled(first).await?;
        Some((left.remove(nth), place.ok()?))
    }

    /// Each outlet.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Outlet>> {
        self.all.iter().map(|way| &way.outlet)
    }
}

fn sooner(one: Option<(Held, usize)>, other: (Held, usize)) -> Option<(Held, usize)> {
    match one {
        Some(one) if one.0.until() <= other.0.until() => Some(one),
        _ => Some(other),
    }
}
