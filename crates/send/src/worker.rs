//! Claims due deliveries and has them tried, until told to stop.

use crate::attempt::{Job, Patience, Shared, plain_verdict};
use crate::beside;
use crate::connection::connection;
use crate::destination::Destination;
use crate::direct::Direct;
use crate::dispatch::{Dispatch, give_up};
use crate::journal::{Journal, Sending, Writer};
use crate::mx::Exchanges;
use crate::outlet::{Outlet, Takes, ahead, watch};
use crate::outlets::{Outlets, Way};
use crate::prepare::Preparer;
use crate::quota::Quota;
use crate::tenure::Tenure;
use crate::{Egress, RelayDown, Sender, Via};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_contacts::RuleBook;
use rebound_db::leases::plain::Settler;
use rebound_db::workers::{self, Presence};
use rebound_db::{Pool, campaigns, lanes, policies};
use rebound_domain::Clock;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, watch as channel};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Deliveries taken by one statement: for some messages over each connection. To take them is seven ways to the database,
/// and what is taken, others have to wait for.
fn batch(connections: usize) -> usize {
    (connections * 16).clamp(64, 512)
}

/// How often an idle worker looks for itself, whatever it is told.
pub(crate) const LOOK: Duration = Duration::from_millis(500);

pub(crate) const HEARTBEAT: Duration = Duration::from_secs(5);

/// What a worker needs.
#[derive(Clone, Debug)]
pub struct Worker {
    /// The database.
    pub db: Pool,
    /// Its address: on PostgreSQL the worker holds a lock on a connection of its own.
    pub url: String,
    /// Where mail goes, at least one way.
    pub ways: Vec<Egress>,
    /// How it names us.
    pub sender: Sender,
    /// The product's time.
    pub clock: Clock,
    /// Told when there is something to do.
    pub wake: Arc<Notify>,
    /// The rules that replies are read by.
    pub rules: RuleBook,
    /// Whom to ask for DNS records; `None` for whom this machine asks.
    pub nameserver: Option<SocketAddr>,
    /// Told when the whole program ends, which is given half a minute. A worker that only makes place for another waits
    /// two minutes for hosts that have a message and did not answer yet: what it leaves is in doubt.
    pub leaving: CancellationToken,
}

/// Why a worker ended.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The database refused.
    #[error(transparent)]
    Database(#[from] rebound_contacts::Error),
    /// A part of it ended; what it had is given back.
    #[error("a part of the worker broke, so that it stopped: start it again, and report what the log says above")]
    Broken,
}

impl From<rebound_db::Error> for WorkerError {
    fn from(error: rebound_db::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Why a worker gave up its name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    /// It was told to stop.
    Told,
    /// Others took it for dead.
    Forgotten,
    /// It may have taken more than it knows of: the database's answer was lost.
    Unsure,
}

impl Left {
    fn why(self) -> &'static str {
        match self {
            Self::Told => "it was told to stop",
            Self::Forgotten => "others took it for dead",
            Self::Unsure => "the database's answer to a claim was lost, and what it took is given back",
        }
    }
}

impl Worker {
    /// Sends until `stop`; then finishes the messages that are being handed over and gives everything else back.
    ///
    /// # Errors
    /// [`WorkerError::Database`] when the database is not there at the start, or another worker sends from the SQLite
    /// file. Later it is waited for. [`WorkerError::Broken`] when a part ended by a fault of ours.
    pub async fn run(self, stop: CancellationToken) -> Result<(), WorkerError> {
        let mut has_served = false;
        loop {
            match self.serve_once(&stop).await {
                Ok(Left::Told) => return Ok(()),
                Ok(left) => {
                    tracing::warn!(why = left.why(), "the worker signs on anew");
                    // What keeps it from knowing may last.
                    stop.run_until_cancelled(tokio::time::sleep(LOOK)).await;
                }
                // What it still had is taken back as a dead worker's once it is on again.
                Err(WorkerError::Database(error)) if has_served && !stop.is_cancelled() => {
                    tracing::error!(%error, "the worker waits for the database to sign on anew");
                    stop.run_until_cancelled(tokio::time::sleep(LOOK)).await;
                }
                Err(error) => return Err(error),
            }
            has_served = true;
        }
    }

    /// Sends under one name.
    async fn serve_once(&self, stop: &CancellationToken) -> Result<Left, WorkerError> {
        let policy = channel::Sender::new(Arc::new(policies::in_force(&self.db).await?));
        let rules = channel::Sender::new(self.rules.in_force(&self.db).await?);
        let held = lanes::held(&self.db).await?;
        let has_waited = campaigns::any_waits_for_relay(&self.db).await?;
        let name = format!("{}:{}", self.hello(), std::process::id());
        let tenure = Arc::new(Tenure::new(&self.db, Instant::now()));
        let presence = Arc::new(workers::sign_on_to_send(&self.db, &self.url, &name).await?);
        let heart = tokio::spawn(heartbeat(self.db.clone(), Arc::clone(&presence), Arc::clone(&tenure)));
        let bell = Arc::new(Notify::new());
        let beside = tokio::spawn(beside::run(self.clone(), presence.id, Arc::clone(&bell), stop.clone()));
        let sending = Arc::new(Sending::default());
        let (journal, writer) = Journal::start(Writer {
            db: self.db.clone(),
            settler: Settler::new(self.db.clone()),
            url: self.url.clone(),
            worker: presence.id,
            policy: policy.subscribe(),
            clock: self.clock,
            sending: Arc::clone(&sending),
        });
        let shared = Arc::new(Shared {
            db: self.db.clone(),
            policy,
            rules,
            clock: self.clock,
            journal,
            sending,
            tenure,
            ending: stop.child_token(),
            serving: std::sync::Mutex::default(),
        });
        let (jobs, waiting) = mpsc::channel(ahead(self.connections()));
        let mut preparing = Preparer { sender: self.sender.clone(), clock: self.clock }.start(waiting);
        let outlets = self.outlets(&shared, jobs, has_waited);
        remember_lanes(&outlets, held, self.clock.at(Utc::now()));
        tracing::info!(worker.id = %presence.id, "sending");

        let batch = u32::try_from(batch(self.connections())).unwrap_or(u32::MAX);
        let mut dispatch = Dispatch::new(self, &shared, outlets, presence.id, batch);
        // A part ends before it is told to only by a fault of ours: better to stop and be started anew.
        let mut is_whole = true;
        while !stop.is_cancelled() && is_whole {
            let busy = match dispatch.round(stop).await {
                Ok(busy) => busy,
                Err(error) => {
                    // Not as `Debug`: with it, drivers print the row that they could not write.
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, "the worker waits for the database");
                    false
                }
            };
            if !busy {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = bell.notified() => {}
                    () = tokio::time::sleep(self.look()) => {}
                }
            }
            let is_alone = beside.is_finished() && !stop.is_cancelled();
            is_whole = shared.is_whole() && preparing.try_join_next().is_none() && !writer.is_finished() && !is_alone;
            if heart.is_finished() || dispatch.is_unsure() {
                break;
            }
        }
        let is_unsure = dispatch.is_unsure();
        shared.ending.cancel();
        let is_long = is_whole && stop.is_cancelled() && !self.leaving.is_cancelled();
        shared.served(Patience { is_long, leaving: self.leaving.clone() }).await;
        let quotas = dispatch.quotas();
        drop(dispatch);
        while preparing.join_next().await.is_some() {}
        give_back(&self.db, quotas).await;
        // With it goes what was made ready and not handed over: it was leased, and is given back below.
        drop(shared);
        // It ends with `stop`; where a connection failed us, nobody has said so yet.
        beside.abort();
        let was_forgotten = heart.is_finished();
        match self.leave(&presence, heart, writer).await {
            Err(error) if stop.is_cancelled() => return Err(error.into()),
            Err(error) => tracing::error!(%error, "what it had is taken back when the database is there again"),
            Ok(()) => {}
        }
        Ok(match (is_whole, stop.is_cancelled()) {
            (false, _) => return Err(WorkerError::Broken),
            (true, true) => Left::Told,
            (true, false) if was_forgotten => Left::Forgotten,
            (true, false) if is_unsure => Left::Unsure,
            (true, false) => Left::Told,
        })
    }

    /// Connections over all ways.
    fn connections(&self) -> usize {
        self.ways.iter().map(|way| way.connections.max(1)).sum()
    }

    /// How we name ourselves, for the list of workers.
    fn hello(&self) -> &str {
        self.ways.first().map_or("", |way| match &way.via {
            Via::Relay(relay) => &relay.hello,
            Via::Direct(direct) => &direct.hello,
        })
    }

    /// Opens all ways, and starts what serves them. Where campaigns have waited, relays are asked first.
    fn outlets(&self, shared: &Arc<Shared>, jobs: mpsc::Sender<Job>, has_waited: bool) -> Outlets {
        let open = |egress: &Egress| {
            let (outlet, takes) = match &egress.via {
                Via::Relay(relay) => {
                    let outlet =
                        Arc::new(Outlet::new(&self.db, egress, has_waited.then(|| RelayDown::not_asked(relay))));
                    let (wake, ending) = (Arc::clone(&self.wake), shared.ending.clone());
                    shared.spawn(watch(Arc::clone(&outlet), relay.clone(), wake, ending));
                    let to = Arc::new(Destination::relay(Arc::clone(&outlet), relay.clone()));
                    for _ in 0..outlet.connections {
                        shared.spawn(connection(Arc::clone(shared), Arc::clone(&to)));
                    }
                    (outlet, Takes::Relay(to))
                }
                Via::Direct(settings) => {
                    let exchanges = Exchanges::new(settings.clone());
                    let down = exchanges.as_ref().err().map(|why| RelayDown::not_ready(&egress.name, why));
                    let outlet = Arc::new(Outlet::new(&self.db, egress, down));
                    let takes = match exchanges {
                        Ok(exchanges) => {
                            let (direct, chosen) = Direct::start(Arc::clone(&outlet), exchanges, jobs.clone());
                            shared.spawn(Arc::clone(&direct).run(Arc::clone(shared), chosen));
                            Takes::Direct(direct)
                        }
                        Err(_) => Takes::Nothing,
                    };
                    (outlet, takes)
                }
            };
            Way::new(outlet, takes)
        };
        let all = self.ways.iter().map(open).collect();
        Outlets::new(all, jobs)
    }

    /// How often it looks when it is idle: more often where time runs faster, as what is due does not wait for us.
    fn look(&self) -> Duration {
        /// More often is no use: a commit takes as long.
        const LEAST: Duration = Duration::from_millis(20);
        self.clock.wait(TimeDelta::from_std(LOOK).unwrap_or_default()).max(LEAST)
    }

    async fn leave(
        &self,
        presence: &Presence,
        heart: JoinHandle<()>,
        writer: JoinHandle<()>,
    ) -> Result<(), rebound_contacts::Error> {
        // The journal ends when nobody holds it any more; what it holds is stored first.
        let _ = writer.await;
        // It holds the presence too: the lock is free only when it is gone.
        heart.abort();
        let _ = heart.await;
        give_up(&self.db, presence.id, self.clock.at(Utc::now())).await?;
        workers::sign_off(&self.db, presence).await?;
        Ok(())
    }
}

/// Others may have what is left of the limits.
async fn give_back(db: &Pool, quotas: Vec<Arc<Quota>>) {
    for quota in quotas {
        if let Err(error) = quota.give_back(db).await {
            tracing::warn!(%error, "what was taken of a limit and not used is lost to it");
        }
    }
}

fn remember_lanes(outlets: &Outlets, held: Vec<lanes::HeldLane>, now: DateTime<Utc>) {
    for lanes::HeldLane { server, receiver, notice } in held.into_iter().filter(|lane| lane.notice.holds(now)) {
        let Some(outlet) = outlets.iter().find(|outlet| outlet.id == server) else { continue };
        let words = plain_verdict(notice.cause, &notice.words);
        outlet.lanes.remember(receiver, notice, words, now);
    }
}

/// Renews the lease until others took this worker for dead.
async fn heartbeat(db: Pool, presence: Arc<Presence>, tenure: Arc<Tenure>) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let asked = Instant::now();
        match workers::heartbeat(&db, &presence).await {
            Ok(true) => tenure.renew(asked),
            Ok(false) => return,
            Err(error) => tracing::warn!(%error, "the lease could not be renewed"),
        }
    }
}
