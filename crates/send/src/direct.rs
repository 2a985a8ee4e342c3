//! From a recipient to the mail hosts of its receiver, and as many lines to them as it likes.
//!
//! ```text
//! chosen ─▶ mail hosts of its domain ─▶ lane of the receiver ─▶ Destination ─▶ lines, so many to a receiver
//!              none: an answer             rests: later           one per set of hosts
//! ```

use crate::attempt::{Claimed, Job, Pass, Shared, alone, asker, held_back, no_exchange};
use crate::connection::connection;
use crate::destination::{Destination, Wants};
use crate::journal::Heard;
use crate::mx::{Exchange, Exchanges};
use crate::outlet::{Outlet, ahead};
use chrono::TimeDelta;
use futures_util::StreamExt;
use rebound_domain::Receiver;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Domains that are asked for at a time.
const ASKING: usize = 256;

/// Messages that wait for the name servers of one domain are at most this part of those that there is room for: else
/// one domain whose name servers are slow would keep all others waiting.
const PART: usize = 4;

/// When what found no place there comes again.
const LATER: TimeDelta = TimeDelta::seconds(5);

/// Receivers whose connections are counted, before those without any are forgotten.
const MANY: usize = 4_096;

/// All receivers that are written to.
pub(crate) struct Direct {
    outlet: Arc<Outlet>,
    exchanges: Exchanges,
    chosen: mpsc::Sender<(Claimed, Pass)>,
    jobs: mpsc::Sender<Job>,
    /// How many messages wait for the name servers of each domain.
    asking: Mutex<HashMap<String, usize>>,
    /// By the hosts they lead to.
    destinations: Mutex<HashMap<String, Arc<Destination>>>,
    /// Connections that a receiver may still be given.
    receivers: Mutex<HashMap<Receiver, Places>>,
    /// Connections over all.
    connections: Arc<Semaphore>,
    /// Somebody waits for a connection: one that only lingers shall be closed.
    wants: Arc<Wants>,
}

impl Direct {
    /// Starts to look for the hosts of what is chosen, until `shared` ends.
    pub(crate) fn start(
        outlet: Arc<Outlet>,
        exchanges: Exchanges,
        jobs: mpsc::Sender<Job>,
    ) -> (Arc<Self>, mpsc::Receiver<(Claimed, Pass)>) {
        let (chosen, incoming) = mpsc::channel(ASKING);
        let connections = Arc::new(Semaphore::new(outlet.connections));
        let (destinations, receivers, wants) = (Mutex::default(), Mutex::default(), Arc::default());
        let asking = Mutex::default();
        (
            Arc::new(Self { outlet, exchanges, chosen, jobs, asking, destinations, receivers, connections, wants }),
            incoming,
        )
    }

    /// Takes what was chosen to go straight.
    pub(crate) async fn take(&self, claimed: Claimed, pass: Pass) {
        // Who no longer takes it is ending, and gives everything back.
        let _ = self.chosen.send((claimed, pass)).await;
    }

    /// Finds the hosts of each.
    pub(crate) async fn run(self: Arc<Self>, shared: Arc<Shared>, incoming: mpsc::Receiver<(Claimed, Pass)>) {
        let incoming = futures_util::stream::unfold(incoming, async |mut incoming| {
            let next = incoming.recv().await?;
            Some((next, incoming))
        });
        let finding = incoming.for_each_concurrent(ASKING, |(claimed, pass)| {
            let (direct, shared) = (Arc::clone(&self), Arc::clone(&shared));
            async move { direct.find(&shared, claimed, pass).await }
        });
        shared.ending.run_until_cancelled(finding).await;
    }

    async fn find(self: &Arc<Self>, shared: &Arc<Shared>, claimed: Claimed, pass: Pass) {
        let (now, outlet) = (shared.now(), &self.outlet);
        let found = match self.ask(claimed.contact.address.domain()) {
            Some(asking) => self.exchanges.of(&asking.domain).await,
            None => {
                shared.journal.step(Some(Heard::Back(claimed.lease.id, Some(now + LATER))), None).await;
                return;
            }
        };
        let exchange = match found {
            Ok(exchange) => exchange,
            Err(none) => {
                let receiver = Receiver::of_domain(claimed.contact.address.domain());
                let heard = no_exchange(shared, (outlet, &receiver), &claimed, &none).await;
                shared.journal.step(Some(heard), None).await;
                return;
            }
        };
        let receiver = exchange.receiver();
        let now = shared.now();
        let passes = outlet.lanes.pass(&receiver, asker(&claimed.lease), now);
        let passes = if passes.is_ok() { alone(shared, outlet, &receiver).await } else { passes };
        if let Err(held) = passes {
            let heard = held_back(&claimed, (outlet, &receiver), held, &shared.policy(), now);
            shared.journal.step(Some(heard), None).await;
            return;
        }
        let (is_probe, slowings) = (outlet.lanes.rests(&receiver), outlet.lanes.slowings(&receiver));
        let to = self.destination(&exchange);
        let wanted = to.expect();
        self.serve(shared, &to, &receiver, wanted);
        let Claimed { lease, contact, composer } = claimed;
        let (to, outlet) = (Arc::downgrade(&to), Arc::clone(outlet));
        let job = Job { lease, contact, composer, is_probe, to, outlet, receiver, slowings, pass };
        let _ = self.jobs.send(job).await;
    }

    /// A place among those who wait for the name servers of `domain`.
    fn ask(&self, domain: &str) -> Option<Asking<'_>> {
        let mut asking = lock(&self.asking);
        let waiting = asking.entry(domain.to_owned()).or_default();
        if *waiting >= (ahead(self.outlet.connections) / PART).max(1) {
            return None;
        }
        *waiting += 1;
        Some(Asking { all: &self.asking, domain: domain.to_owned() })
    }

    /// One destination for all domains that have the same hosts, with the same protection.
    fn destination(&self, exchange: &Arc<Exchange>) -> Arc<Destination> {
        let mut destinations = lock(&self.destinations);
        let to = destinations.entry(exchange.place()).or_insert_with(|| {
            Arc::new(Destination::receiver(Arc::clone(&self.outlet), Arc::clone(exchange), Arc::clone(&self.wants)))
        });
        to.found_again(exchange);
        Arc::clone(to)
    }

    /// Sees to it that a line comes, unless there are as many as there are messages.
    fn serve(self: &Arc<Self>, shared: &Arc<Shared>, to: &Arc<Destination>, receiver: &Receiver, wanted: usize) {
        let enough = wanted.min(self.outlet.lanes.connections(receiver));
        let more =
            to.lines.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |lines| (lines < enough).then_some(lines + 1));
        if more.is_ok() {
            let line = Arc::clone(self).line(Arc::clone(shared), Arc::clone(to), receiver.clone());
            shared.spawn(line);
        }
    }

    /// One line after its connection is free.
    async fn line(self: Arc<Self>, shared: Arc<Shared>, to: Arc<Destination>, receiver: Receiver) {
        let place = async {
            let one = self.place(self.of_receiver(&receiver)).await?;
            Some((one, self.place(Arc::clone(&self.connections)).await?))
        };
        if let Some(Some((one, of_all))) = shared.ending.run_until_cancelled(place).await {
            Box::pin(connection(Arc::clone(&shared), Arc::clone(&to))).await;
            drop(of_all);
            self.leave(&receiver, one);
        }
        to.lines.fetch_sub(1, Ordering::SeqCst);
        // A message that came while this line was leaving.
        let expected = to.expected();
        if expected > 0 && !shared.ending.is_cancelled() {
            self.serve(&shared, &to, &receiver, expected);
        } else if to.lines.load(Ordering::SeqCst) == 0 {
            lock(&self.destinations).retain(|_, known| !Arc::ptr_eq(known, &to) || Arc::strong_count(known) > 2);
        }
    }

    fn of_receiver(&self, receiver: &Receiver) -> Arc<Semaphore> {
        let mut receivers = lock(&self.receivers);
        if receivers.len() >= MANY && receivers.len().is_power_of_two() {
            receivers.retain(|_, places| Arc::strong_count(&places.free) > 1);
        }
        let places = receivers.entry(receiver.clone()).or_default();
        places.keep_to(self.outlet.lanes.connections(receiver));
        Arc::clone(&places.free)
    }

    /// A line has left its place to another, unless there are fewer by now, as more workers share them.
    fn leave(&self, receiver: &Receiver, place: OwnedSemaphorePermit) {
        if let Some(places) = lock(&self.receivers).get_mut(receiver)
            && places.all > self.outlet.lanes.connections(receiver)
        {
            place.forget();
            places.all -= 1;
        }
    }

    /// A place of these; where none is free, lines that only linger are asked for theirs.
    async fn place(&self, places: Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => Some(place),
            Err(_) => {
                let _waiting = self.wants.one();
                places.acquire_owned().await.ok()
            }
        }
    }
}

/// Connections that a receiver may be given.
struct Places {
    free: Arc<Semaphore>,
    /// Those that are in use included.
    all: usize,
}

impl Default for Places {
    fn default() -> Self {
        Self { free: Arc::new(Semaphore::new(0)), all: 0 }
    }
}

impl Places {
    /// Has so many from now on; those that are in use leave later.
    fn keep_to(&mut self, most: usize) {
        if most > self.all {
            self.free.add_permits(most - self.all);
            self.all = most;
        } else {
            self.all -= self.free.forget_permits(self.all - most);
        }
    }
}

/// A place among those who wait for the name servers of a domain.
struct Asking<'a> {
    all: &'a Mutex<HashMap<String, usize>>,
    domain: String,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut all = lock(self.all);
        if let Some(waiting) = all.get_mut(&self.domain) {
            *waiting -= 1;
            if *waiting == 0 {
                all.remove(&self.domain);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves it whole: each change is a single step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
