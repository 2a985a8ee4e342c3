//! One connection: delivery after delivery, one try each, one outcome each.

use crate::compose::Composer;
use crate::journal::{Heard, Journal};
use crate::pace::{Lanes, Rate};
use crate::transport::{Answer, Envelope, Line, Reply};
use crate::{Relay, RelayDown, Sender};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_contacts::rules::InForce;
use rebound_db::contacts::Unfit;
use rebound_db::leases::{Lease, Try};
use rebound_db::{Pool, campaigns, lanes};
use rebound_domain::{
    AddressKey, Bounce, BounceCause, Change, Clock, Contact, DeliveryId, Grade, Permanence, Policy, Receiver, Refusal,
    Verdict,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A delivery to try, with all that is needed for it.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) lease: Lease,
    pub(crate) contact: Contact,
    pub(crate) composer: Arc<Composer>,
}

/// What all connections of a worker share.
pub(crate) struct Shared {
    pub(crate) db: Pool,
    pub(crate) relay: Relay,
    pub(crate) sender: Sender,
    /// The policy in force; the worker looks whether there is a newer one.
    pub(crate) policy: watch::Sender<Arc<Policy>>,
    /// The rules that replies are read by, likewise.
    pub(crate) rules: watch::Sender<Arc<InForce>>,
    pub(crate) clock: Clock,
    pub(crate) journal: Journal,
    pub(crate) lanes: Lanes,
    pub(crate) rate: Rate,
    pub(crate) jobs: Mutex<mpsc::Receiver<Job>>,
    /// Why there is no line to the relay, while there is none.
    pub(crate) down: watch::Sender<Option<RelayDown>>,
    pub(crate) stop: CancellationToken,
    /// Lines that are open.
    pub(crate) open: AtomicUsize,
}

impl Shared {
    /// The policy in force.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.borrow())
    }
}

/// A line that nobody uses for so long is closed, before the relay does.
const IDLE: Duration = Duration::from_secs(30);

/// An answer that takes longer does not keep the last one from being stored.
const SHORTLY: Duration = Duration::from_millis(50);

/// Tries jobs until there are no more.
pub(crate) async fn connection(shared: Arc<Shared>) {
    let mut line = None;
    // What the last message heard; it becomes durable together with the mark of the next.
    let mut heard = None;
    while let Some(job) = next_job(&shared, &mut heard, &mut line).await {
        if shared.rate.is_set() && heard.is_some() {
            shared.journal.step(heard.take(), None).await;
        }
        if !may_go(&shared, &job).await {
            heard = hand_back(&shared, &job, heard.take()).await;
            continue;
        }
        if line.is_none() {
            line = open_line(&shared).await;
        }
        heard = match &mut line {
            Some(open) => attempt(&shared, open, job, heard.take()).await,
            None => hand_back(&shared, &job, heard.take()).await,
        };
        if line.as_ref().is_some_and(Line::is_broken) {
            drop(take(&shared, &mut line));
        }
    }
    if heard.is_some() {
        shared.journal.step(heard, None).await;
    }
    close(&shared, &mut line).await;
}

fn take(shared: &Shared, line: &mut Option<Line>) -> Option<Line> {
    let line = line.take();
    if line.is_some() {
        shared.open.fetch_sub(1, Ordering::Relaxed);
    }
    line
}

async fn close(shared: &Shared, line: &mut Option<Line>) {
    if let Some(line) = take(shared, line) {
        line.close().await;
    }
}

/// The next job, until we stop; with none at hand, what was heard is stored before waiting for one.
async fn next_job(shared: &Shared, heard: &mut Option<Heard>, line: &mut Option<Line>) -> Option<Job> {
    if shared.stop.is_cancelled() {
        return None;
    }
    // Whoever holds the lock waits for a job: then there is none at hand.
    let at_hand = shared.jobs.try_lock().ok().and_then(|mut jobs| jobs.try_recv().ok());
    if at_hand.is_some() {
        return at_hand;
    }
    if heard.is_some() {
        shared.journal.step(heard.take(), None).await;
    }
    let next = async { shared.jobs.lock().await.recv().await };
    tokio::pin!(next);
    match timeout(IDLE, &mut next).await {
        Ok(job) => job,
        Err(_) => {
            close(shared, line).await;
            next.await
        }
    }
}

/// Waits for its turn, unless we stop or the campaign does. The mark asks again; but a recipient who is refused never
/// comes to be marked, and a campaign that waits must not go on collecting refusals.
async fn may_go(shared: &Shared, job: &Job) -> bool {
    if !campaigns::is_sending(&shared.db, job.composer.campaign().id).await.unwrap_or(true) {
        return false;
    }
    tokio::select! {
        () = shared.rate.turn() => true,
        () = shared.stop.cancelled() => false,
    }
}

async fn open_line(shared: &Shared) -> Option<Line> {
    match Line::open(&shared.relay).await {
        Ok(line) => {
            shared.open.fetch_add(1, Ordering::Relaxed);
            shared.down.send_if_modified(|down| down.take().is_some());
            Some(line)
        }
        // A relay that takes no more lines than it has is not down.
        Err(_) if shared.open.load(Ordering::Relaxed) > 0 => {
            tokio::time::sleep(Duration::from_secs(1)).await;
            None
        }
        Err(why) => {
            shared.down.send_if_modified(|down| down.replace(why.clone()).as_ref() != Some(&why));
            None
        }
    }
}

/// A job that cannot be tried goes back as it was.
async fn hand_back(shared: &Shared, job: &Job, heard: Option<Heard>) -> Option<Heard> {
    shared.journal.step(heard, None).await;
    shared.lanes.probe_again(&receiver(job), shared.clock.at(Utc::now()));
    Some(Heard::Back(job.lease.id, None))
}

/// One try. Answers what it heard, to be stored with the next step.
async fn attempt(shared: &Shared, line: &mut Line, job: Job, mut heard: Option<Heard>) -> Option<Heard> {
    let now = shared.clock.at(Utc::now());
    let of = Try { id: job.lease.id, number: job.lease.attempts.saturating_add(1) };
    let message = match job.composer.compose(job.lease.id, &job.contact, now) {
        Ok(message) => message,
        Err(error) => return unfit(shared, &job, of, BounceCause::ContentRejected, &error.to_string(), heard).await,
    };
    let address = job.contact.address.as_str();
    if !address.is_ascii() && !line.takes_utf8() {
        let why = "the relay does not take addresses beyond ASCII (no SMTPUTF8)";
        return unfit(shared, &job, of, BounceCause::ProtocolError, why, heard).await;
    }
    let from = shared.sender.return_path(job.lease.id, of.number, now);
    let said = {
        let envelope = line.envelope(&from, address);
        tokio::pin!(envelope);
        match timeout(SHORTLY, &mut envelope).await {
            Ok(said) => said,
            Err(_) => {
                shared.journal.step(heard.take(), None).await;
                envelope.await
            }
        }
    };
    match said {
        Envelope::Ready => {}
        Envelope::Refused(reply) => {
            shared.journal.step(heard, None).await;
            return Some(refused(shared, &job, of, &reply).await);
        }
        Envelope::Lost => return lost(shared, &job, heard, now).await,
    }
    if !shared.journal.step(heard, Some(of.clone())).await {
        // Suppressed, cancelled or paused while it waited: the DATA that was opened is never finished.
        line.abandon();
        shared.lanes.probe_again(&receiver(&job), now);
        return None;
    }
    match line.message(&message).await {
        Answer::Accepted(reply) => {
            learn(shared, &job, None).await;
            Some(Heard::Accepted { of, key: job.contact.address.key(), reply: reply.line() })
        }
        Answer::Refused(reply) => Some(refused(shared, &job, of, &reply).await),
        Answer::Doubt => {
            shared.lanes.probe_again(&receiver(&job), now);
            Some(Heard::Doubt(job.lease.id))
        }
    }
}

/// The line broke before anything was handed over.
async fn lost(shared: &Shared, job: &Job, heard: Option<Heard>, now: DateTime<Utc>) -> Option<Heard> {
    shared.journal.step(heard, None).await;
    shared.lanes.probe_again(&receiver(job), now);
    if now - job.lease.since >= shared.policy().give_up_after() {
        return Some(given_up(job, None, now));
    }
    // A host behind the relay may drop the line for this one recipient; a short wait lets others go first.
    Some(Heard::Back(job.lease.id, Some(now + TimeDelta::minutes(1))))
}

async fn refused(shared: &Shared, job: &Job, of: Try, reply: &Reply) -> Heard {
    let now = shared.clock.at(Utc::now());
    let line = reply.line();
    let rules = Arc::clone(&shared.rules.borrow());
    let verdict = rules.rules().reply_to(reply.to, line.as_bytes());
    let verdict = verdict.unwrap_or_else(|| plain_verdict(BounceCause::Undetermined, &line));
    let learned = learn(shared, job, Some(&verdict)).await;
    let refusal = if reply.code >= 500 { Refusal::Permanent } else { Refusal::Transient };
    let bounce = Box::new(Bounce { learned, ..bounce(job, &of, verdict, refusal, now) });
    Heard::Refused { of, reply: line, bounce }
}

/// Answers in how many seconds the message shall be tried again, where that is known.
async fn learn(shared: &Shared, job: &Job, verdict: Option<&Verdict>) -> Option<u32> {
    let (receiver, now) = (receiver(job), shared.clock.at(Utc::now()));
    let learned = shared.lanes.learn(&receiver, job.lease.id, verdict, &shared.policy(), now);
    let stored = match learned.change {
        None => return learned.wait,
        Some(Change::Opened) => lanes::open(&shared.db, &receiver).await,
        Some(Change::Held(notice)) => lanes::hold(&shared.db, &lanes::HeldLane { receiver, notice }).await,
    };
    if let Err(error) = stored {
        // The lane is held all the same; only a restart would not know of it.
        tracing::warn!(%error, "what holds a lane could not be kept");
    }
    learned.wait
}

pub(crate) fn receiver(job: &Job) -> Receiver {
    Receiver::of_domain(job.contact.address.domain())
}

/// A message that cannot go to this contact by our own fault or the relay's, shown as a refusal and blamed on nobody.
async fn unfit(
    shared: &Shared,
    job: &Job,
    of: Try,
    cause: BounceCause,
    why: &str,
    heard: Option<Heard>,
) -> Option<Heard> {
    let now = shared.clock.at(Utc::now());
    shared.journal.step(heard, None).await;
    shared.lanes.probe_again(&receiver(job), now);
    let bounce = Box::new(bounce(job, &of, plain_verdict(cause, why), Refusal::Permanent, now));
    Some(Heard::Refused { of, reply: why.to_owned(), bounce })
}

pub(crate) fn plain_verdict(cause: BounceCause, words: &str) -> Verdict {
    Verdict { confidence: 50, ..Verdict::known(cause, Permanence::Soft, words) }
}

fn bounce(job: &Job, of: &Try, verdict: Verdict, refusal: Refusal, now: DateTime<Utc>) -> Bounce {
    about(job.contact.address.key(), of, verdict, refusal, now)
}

fn about(address: AddressKey, of: &Try, verdict: Verdict, refusal: Refusal, now: DateTime<Utc>) -> Bounce {
    Bounce {
        delivery: Some(of.id),
        attempt: of.number,
        address,
        grade: Grade::Ours,
        refusal,
        held: false,
        learned: None,
        verdict,
        reporting_mta: None,
        inbox: None,
        at: now,
    }
}

/// A delivery whose time is over while its receiver rested: given up with the receiver's last words.
pub(crate) fn given_up(job: &Job, words: Option<Verdict>, now: DateTime<Utc>) -> Heard {
    let verdict =
        words.unwrap_or_else(|| plain_verdict(BounceCause::TimeoutExpired, "its server did not answer in time"));
    // No try was made: number 0 keeps it apart from what the last one heard.
    let of = Try { id: job.lease.id, number: 0 };
    Heard::GivenUp(Box::new(bounce(job, &of, verdict, Refusal::Transient, now)))
}

/// A delivery to a contact whose row cannot be read: given up, without a try and without blame. Trying again would not
/// help; a person who has repaired the row sends again.
pub(crate) fn unwritable(id: DeliveryId, unfit: Unfit, now: DateTime<Utc>) -> Heard {
    let words = format!("not sent: what Rebound keeps of this contact cannot be read ({})", unfit.column);
    let verdict = plain_verdict(BounceCause::Undetermined, &words);
    Heard::GivenUp(Box::new(about(unfit.key, &Try { id, number: 0 }, verdict, Refusal::Permanent, now)))
}
