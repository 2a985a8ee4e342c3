//! Claims due deliveries and has them tried, until told to stop.

use crate::attempt::{Job, Shared, given_up, receiver, unwritable};
use crate::compose::Composer;
use crate::connection::connection;
use crate::journal::{Heard, Journal, Sending, Writer};
use crate::launch;
use crate::pace::{Held, Lanes};
use crate::prepare::{Prepared, Preparer};
use crate::rate::Rate;
use crate::sending_domains::{self, DomainError};
use crate::timer;
use crate::transport::probe;
use crate::{Relay, Sender};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_contacts::RuleBook;
use rebound_contacts::rules::InForce;
use rebound_db::leases::{self, Lease};
use rebound_db::sending_domains::Edition;
use rebound_db::workers::{self, Presence};
use rebound_db::{Pool, campaigns, contacts, deliveries, events, fail_point, lanes, lists, policies};
use rebound_domain::{Campaign, CampaignState, Clock, ContactId, Policy, Turn, Unsealed, Verdict, WorkerId};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, Notify, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// Deliveries taken by one statement: for a few messages over each connection. What is taken, others have to wait for.
fn batch(connections: usize) -> usize {
    (connections * 4).clamp(64, 512)
}

/// Deliveries that are taken before a connection asks for them: while the next ones are being taken, none waits.
fn ahead(connections: usize) -> usize {
    (connections * 2).clamp(16, 256)
}

/// Messages that may be under way at a time: taken ahead, made ready, and on the lines.
fn places(connections: usize) -> u32 {
    u32::try_from(batch(connections) + ahead(connections) + 2 * connections).unwrap_or(u32::MAX)
}

/// How often an idle worker looks for itself, whatever it is told.
const LOOK: Duration = Duration::from_millis(500);

const HEARTBEAT: Duration = Duration::from_secs(5);

/// What a worker needs.
#[derive(Clone, Debug)]
pub struct Worker {
    /// The database.
    pub db: Pool,
    /// Its address: on PostgreSQL the worker holds a lock on a connection of its own.
    pub url: String,
    /// Where mail goes.
    pub relay: Relay,
    /// How it names us.
    pub sender: Sender,
    /// The product's time.
    pub clock: Clock,
    /// Told when there is something to do.
    pub wake: Arc<Notify>,
    /// The rules that replies are read by.
    pub rules: RuleBook,
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

/// A campaign that is ready to be sent, or the reason why it cannot be.
type Ready = HashMap<i64, Arc<Composer>>;

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
        let policy = watch::Sender::new(Arc::new(policies::in_force(&self.db).await?));
        let rules = watch::Sender::new(self.rules.in_force(&self.db).await?);
        let held = lanes::held(&self.db).await?;
        let name = format!("{}:{}", self.relay.hello, std::process::id());
        let presence = Arc::new(workers::sign_on_to_send(&self.db, &self.url, &name).await?);
        let heart = tokio::spawn(heartbeat(self.db.clone(), Arc::clone(&presence)));
        let (db, sender, wake) = (self.db.clone(), self.sender.clone(), Arc::clone(&self.wake));
        let time = tokio::spawn(timer::run(db, sender, self.clock, wake, stop.clone()));
        let sending = Arc::new(Sending::default());
        let (journal, writer) = Journal::start(Writer {
            db: self.db.clone(),
            url: self.url.clone(),
            worker: presence.id,
            policy: policy.subscribe(),
            clock: self.clock,
            sending: Arc::clone(&sending),
        });
        let (jobs, waiting) = mpsc::channel(ahead(self.relay.connections));
        let (made, ready) = mpsc::channel(self.relay.connections.max(1));
        let preparer = Preparer { sender: self.sender.clone(), clock: self.clock };
        let mut preparing = preparer.start(waiting, &made);
        drop(made);
        let shared = Arc::new(self.shared((journal, sending), (policy, rules), ready, stop.clone()));
        remember_lanes(&shared, held, self.clock.at(Utc::now()));
        let mut lines: JoinSet<()> =
            (0..self.relay.connections.max(1)).map(|_| connection(Arc::clone(&shared))).collect();
        tracing::info!(worker.id = %presence.id, "sending");

        let mut dispatch = Dispatch {
            worker: self,
            shared: &shared,
            jobs: &jobs,
            id: presence.id,
            batch: u32::try_from(batch(self.relay.connections)).unwrap_or(u32::MAX),
            ready: Ready::new(),
            signing: Edition::default(),
            unopened: None,
            silent: HashMap::new(),
            looked: None,
            minded: None,
            is_unsure: false,
        };
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
                    () = self.wake.notified() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
            is_whole = lines.try_join_next().is_none() && preparing.try_join_next().is_none() && !writer.is_finished();
            if heart.is_finished() || dispatch.is_unsure {
                break;
            }
        }
        let is_unsure = dispatch.is_unsure;
        drop(dispatch);
        drop(jobs);
        while lines.join_next().await.is_some() {}
        // With it goes what was made ready and not handed over: it was leased, and is given back below.
        drop(shared);
        while preparing.join_next().await.is_some() {}
        // It ends with `stop`; where a connection failed us, nobody has said so yet.
        time.abort();
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

    fn shared(
        &self,
        (journal, sending): (Journal, Arc<Sending>),
        (policy, rules): (watch::Sender<Arc<Policy>>, watch::Sender<Arc<InForce>>),
        ready: mpsc::Receiver<Prepared>,
        stop: CancellationToken,
    ) -> Shared {
        Shared {
            db: self.db.clone(),
            relay: self.relay.clone(),
            policy,
            rules,
            clock: self.clock,
            journal,
            lanes: Lanes::new(places(self.relay.connections)),
            rate: Rate::new(&self.db, format!("{}:{}", self.relay.host, self.relay.port), self.relay.per_second),
            sending,
            ready: Mutex::new(ready),
            down: watch::Sender::new(None),
            open: AtomicUsize::new(0),
            stop,
        }
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

/// One look at what is to do.
struct Dispatch<'a> {
    worker: &'a Worker,
    shared: &'a Arc<Shared>,
    jobs: &'a mpsc::Sender<Job>,
    id: WorkerId,
    /// Deliveries taken at once.
    batch: u32,
    ready: Ready,
    /// The keys that what is ready is signed with.
    signing: Edition,
    /// Since when they do not open. On our own clock.
    unopened: Option<Instant>,
    /// Workers that hold their lock and are not heard of, since when. On our own clock, which nobody moves.
    silent: HashMap<WorkerId, Instant>,
    /// When it last looked around, on our own clock.
    minded: Option<Instant>,
    /// How late it was when last looked; nothing before the first look.
    looked: Option<DateTime<Utc>>,
    /// Whether it may have taken what it does not know of: an answer that was lost leaves open whether it was done.
    /// Then it finishes what it has in hand, and gives everything else back under its name.
    is_unsure: bool,
}

impl Dispatch<'_> {
    /// Recovers, plans, claims and hands out; `true` when there was something to do.
    async fn round(&mut self, stop: &CancellationToken) -> Result<bool, rebound_contacts::Error> {
        let (db, now) = (&self.worker.db, self.worker.clock.at(Utc::now()));
        let is_down = self.shared.down.borrow().is_some();
        if is_down || self.minded.is_none_or(|minded| minded.elapsed() >= LOOK) {
            self.mind_the_clock(now).await?;
            self.mind_the_dead(now).await?;
            self.mind_the_relay().await?;
            self.mind_what_people_changed().await?;
            self.mind_the_keys().await?;
            campaigns::reopen(db).await?;
            self.minded = Some(Instant::now());
        }
        let mut busy = false;
        for campaign in campaigns::in_states(db, &[CampaignState::Planning, CampaignState::Sending]).await? {
            if stop.is_cancelled() {
                return Ok(false);
            }
            busy |= self.serve(campaign).await?;
        }
        Ok(busy)
    }

    /// Takes what is due, unless others took this worker for dead: then the next heartbeat ends it.
    async fn claim(&self, campaign: &Campaign, now: DateTime<Utc>) -> Result<Vec<Lease>, rebound_contacts::Error> {
        let tx = self.worker.db.begin().await?;
        if !workers::is_known(&tx, self.id).await? {
            return Ok(Vec::new());
        }
        let leases = leases::claim(&tx, self.id, campaign.id, self.batch, now).await?;
        tx.commit().await?;
        Ok(leases)
    }

    /// Where the clock was put back, before this start or since the last look, what was due by then is due now.
    async fn mind_the_clock(&mut self, now: DateTime<Utc>) -> Result<(), rebound_contacts::Error> {
        let db = &self.worker.db;
        if self.looked.is_none_or(|looked| now < looked)
            && let Some(by) = events::put_back(db, now).await?
        {
            let due = leases::due_again(db, now, by).await?;
            tracing::warn!(minutes = by.num_minutes(), due, "the clock was put back; what waited for it goes now");
        }
        self.looked = Some(now);
        Ok(())
    }

    /// Takes back what dead workers had.
    async fn mind_the_dead(&mut self, now: DateTime<Utc>) -> Result<(), rebound_contacts::Error> {
        let db = &self.worker.db;
        let seen = workers::dead(db).await?;
        self.silent.retain(|id, _| seen.iter().any(|dead| dead.id == *id && dead.is_silent));
        for dead in seen.into_iter().filter(|dead| dead.id != self.id) {
            // Where only the database's clock was moved, the next heartbeat shows that it lives.
            if dead.is_silent && self.silent.entry(dead.id).or_insert_with(Instant::now).elapsed() < 2 * HEARTBEAT {
                continue;
            }
            let doubts = give_up(db, dead.id, now).await?;
            tracing::warn!(worker.id = %dead.id, doubts, "a worker died; its deliveries were taken back");
        }
        Ok(())
    }

    /// While the relay is down its campaigns wait and say so; when it is back they go on. Campaigns that wait for a
    /// person are left alone.
    async fn mind_the_relay(&mut self) -> Result<(), rebound_contacts::Error> {
        let db = &self.worker.db;
        let down = self.shared.down.borrow().clone();
        if let Some(why) = down {
            campaigns::wait_for_relay(db, &format!("{why} {}", why.what_next())).await?;
        }
        if campaigns::any_waits_for_relay(db).await? && probe(&self.worker.relay).await.is_ok() {
            self.shared.down.send_replace(None);
            campaigns::relay_is_back(db).await?;
        }
        Ok(())
    }

    /// A policy and rules that were saved, and lanes that somebody wants to be asked again, hold from now on.
    async fn mind_what_people_changed(&self) -> Result<(), rebound_contacts::Error> {
        let db = &self.worker.db;
        if let Some(newer) = policies::newer(db, self.shared.policy().version).await? {
            tracing::info!(policy.version = newer.version, "a new policy is in force");
            self.shared.policy.send_replace(Arc::new(newer));
        }
        let rules = self.worker.rules.in_force(db).await?;
        if !Arc::ptr_eq(&rules, &self.shared.rules.borrow()) {
            tracing::info!(rules.version = rules.version, "new rules are in force");
            self.shared.rules.send_replace(rules);
        }
        for lane in lanes::resting(db).await? {
            self.shared.lanes.shorten(&lane.receiver, lane.notice.until);
        }
        Ok(())
    }

    /// Where other keys sign than before, campaigns go on with those.
    async fn mind_the_keys(&mut self) -> Result<(), rebound_contacts::Error> {
        let edition = rebound_db::sending_domains::edition(&self.worker.db).await?;
        if edition != self.signing {
            self.ready.clear();
            self.signing = edition;
        }
        Ok(())
    }

    async fn serve(&mut self, campaign: Campaign) -> Result<bool, rebound_contacts::Error> {
        let (db, now) = (&self.worker.db, self.worker.clock.at(Utc::now()));
        let mut busy = false;
        if campaign.state == CampaignState::Planning {
            busy = launch::plan(db, &campaign, now).await?;
        }
        let Some(composer) = self.composer(&campaign).await? else { return Ok(busy) };
        let leases = self.claim(&campaign, now).await.inspect_err(|_| self.is_unsure = true)?;
        if leases.is_empty() {
            if campaign.state == CampaignState::Sending && !deliveries::any_open(db, campaign.id).await? {
                campaigns::set_state(db, campaign.id, CampaignState::Sending, CampaignState::Sent, None, now).await?;
                self.ready.remove(&campaign.id.0);
            }
            return Ok(busy);
        }
        self.shared.sending.add(campaign.id);
        self.hand_out(leases, &composer, now).await.inspect_err(|_| self.is_unsure = true)?;
        Ok(true)
    }

    async fn composer(&mut self, campaign: &Campaign) -> Result<Option<Arc<Composer>>, rebound_contacts::Error> {
        if let Some(ready) = self.ready.get(&campaign.id.0) {
            return Ok(Some(Arc::clone(ready)));
        }
        let db = &self.worker.db;
        let list = lists::get(db, campaign.draft.list).await?.map_or_else(String::new, |list| list.name);
        let signer = match sending_domains::signer(db, &self.worker.sender.keys, &campaign.draft.from).await {
            Err(DomainError::Database(error)) => return Err(error.into()),
            // The keys of the installation may have been changed just now, and are not followed here yet.
            Err(DomainError::Sealed(Unsealed::UnknownKey(_)))
                if self.unopened.get_or_insert_with(Instant::now).elapsed() < HEARTBEAT =>
            {
                return Ok(None);
            }
            signer => signer,
        };
        self.unopened = None;
        let composer = Composer::new(campaign.clone(), &list, self.worker.sender.clone());
        let composer = composer.map_err(|error| error.to_string()).and_then(|composer| {
            Ok(composer.signed_by(signer.map_err(|error| format!("Its mail cannot be signed: {error}."))?))
        });
        match composer {
            Ok(composer) => {
                let composer = Arc::new(composer);
                self.ready.insert(campaign.id.0, Arc::clone(&composer));
                Ok(Some(composer))
            }
            Err(reason) => {
                let now = self.worker.clock.at(Utc::now());
                campaigns::set_state(db, campaign.id, campaign.state, CampaignState::Paused, Some(&reason), now)
                    .await?;
                Ok(None)
            }
        }
    }

    /// Gives each delivery to a connection, unless its receiver rests.
    async fn hand_out(
        &self,
        leases: Vec<Lease>,
        composer: &Arc<Composer>,
        now: DateTime<Utc>,
    ) -> Result<(), rebound_contacts::Error> {
        let ids: Vec<ContactId> = leases.iter().map(|lease| lease.contact).collect();
        let mut people = contacts::recipients(&self.worker.db, &ids).await?;
        let mut held = Vec::new();
        for lease in leases {
            let contact = match people.remove(&lease.contact) {
                Some(Ok(contact)) => contact,
                Some(Err(unfit)) => {
                    tracing::error!(contact.id = %lease.contact, column = unfit.column, "a contact cannot be read");
                    held.push(unwritable(lease.id, unfit, now));
                    continue;
                }
                None => {
                    held.push(Heard::Back(lease.id, Some(now + TimeDelta::hours(1))));
                    continue;
                }
            };
            let job = Job { lease, contact, composer: Arc::clone(composer) };
            if let Some(heard) = self.held_back(&job, now) {
                held.push(heard);
                continue;
            }
            // Waits while all connections are busy, so that no more is taken than can be tried.
            tokio::select! {
                _ = self.jobs.send(job) => {}
                () = self.shared.stop.cancelled() => break,
            }
        }
        let steps = held.into_iter().map(|heard| self.shared.journal.step(Some(heard), None));
        futures_util::future::join_all(steps).await;
        Ok(())
    }

    fn held_back(&self, job: &Job, now: DateTime<Utc>) -> Option<Heard> {
        let receiver = receiver(job);
        let end = job.lease.since + self.shared.policy().give_up_after();
        let turn = if job.lease.attempts > 0 { Turn::Again } else { Turn::First };
        let until = match self.shared.lanes.pass(&receiver, turn, now) {
            Ok(()) => return None,
            Err(Held::Queues(until)) => return Some(Heard::Back(job.lease.id, Some(until))),
            Err(Held::Rests(until)) => until,
        };
        if now >= end {
            return Some(given_up(job, self.shared.lanes.words(&receiver), now));
        }
        // Spread over a twentieth of the wait, so that not all come in the moment the lane opens.
        #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
        let spread = ((until - now).num_milliseconds() as f64 * 0.05 * rand::random::<f64>()) as i64;
        Some(Heard::Back(job.lease.id, Some((until + TimeDelta::milliseconds(spread)).min(end))))
    }
}

/// Gives back what a worker has and strikes out its name, both or neither; how many are in doubt by it. The name goes
/// first: that waits for a claim which is on its way, so that nothing is claimed under a name that nobody has.
async fn give_up(db: &Pool, id: WorkerId, now: DateTime<Utc>) -> Result<u64, rebound_db::Error> {
    let tx = db.begin().await?;
    workers::forget(&tx, id).await?;
    let doubts = leases::recover(&tx, id, now).await?;
    fail_point("recovering").await;
    tx.commit().await?;
    Ok(doubts)
}

fn remember_lanes(shared: &Shared, held: Vec<lanes::HeldLane>, now: DateTime<Utc>) {
    for lanes::HeldLane { receiver, notice } in held.into_iter().filter(|lane| lane.notice.holds(now)) {
        let words = Verdict { cause: notice.cause, ..crate::attempt::plain_verdict(notice.cause, &notice.words) };
        shared.lanes.remember(receiver, notice, words, now);
    }
}

/// Renews the lease until others took this worker for dead.
async fn heartbeat(db: Pool, presence: Arc<Presence>) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        match workers::heartbeat(&db, &presence).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => tracing::warn!(%error, "the lease could not be renewed"),
        }
    }
}
