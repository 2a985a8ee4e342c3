//! One try at a delivery: what its connections share, and what becomes of it.

use crate::compose::Composer;
use crate::destination::Destination;
use crate::journal::{Heard, Journal, Sending};
use crate::mx::{NoExchange, NoLine};
use crate::outlet::Outlet;
use crate::pace::Held;
use crate::quota::Ticket;
use crate::tenure::Tenure;
use crate::transport::Reply;
use chrono::{DateTime, TimeDelta, Utc};
use rebound_contacts::rules::InForce;
use rebound_db::contacts::Unfit;
use rebound_db::leases::{Lease, Try};
use rebound_db::{Pool, lanes};
use rebound_domain::{
    AddressKey, Asker, Bounce, BounceCause, Change, Clock, Contact, DeliveryId, Grade, Permanence, Policy, Receiver,
    Refusal, Turn, Verdict,
};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How long hosts are waited for when a worker ends. A worker is given half a minute for all.
const DRAIN: Duration = Duration::from_secs(24);

/// The same where nobody waits for it but the worker that goes other ways: a host that has not answered by then may never.
const CHANGE: Duration = Duration::from_secs(120);

/// A delivery that was taken, with all that is needed for it, before it is chosen which way it goes.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) lease: Lease,
    pub(crate) contact: Contact,
    pub(crate) composer: Arc<Composer>,
}

/// A delivery to try, and where.
pub(crate) struct Job {
    pub(crate) lease: Lease,
    pub(crate) contact: Contact,
    pub(crate) composer: Arc<Composer>,
    /// Whether it is to find out if its receiver takes mail again.
    pub(crate) is_probe: bool,
    /// Weak, as it is kept there until its turn.
    pub(crate) to: Weak<Destination>,
    pub(crate) outlet: Arc<Outlet>,
    /// Whose lane it goes by.
    pub(crate) receiver: Receiver,
    /// How often that had been slowed when it let it through.
    pub(crate) slowings: u32,
    pub(crate) pass: Pass,
}

/// What a delivery holds of its outlet.
#[derive(Debug)]
pub(crate) struct Pass {
    /// Until a line takes it.
    pub(crate) place: Option<OwnedSemaphorePermit>,
    pub(crate) ticket: Ticket,
}

/// How long a worker that ends waits for hosts that it has given a message to.
pub(crate) struct Patience {
    /// Whether it is told to end as its ways change, while the program goes on.
    pub(crate) is_long: bool,
    /// The program ends.
    pub(crate) leaving: CancellationToken,
}

impl Patience {
    async fn ends(&self) {
        let hurry = async {
            self.leaving.cancelled().await;
            sleep(DRAIN).await;
        };
        tokio::select! {
            () = hurry => {}
            () = sleep(if self.is_long { CHANGE } else { DRAIN }) => {}
        }
    }
}

/// What all connections of a worker share.
pub(crate) struct Shared {
    pub(crate) db: Pool,
    /// The policy in force; the worker looks whether there is a newer one.
    pub(crate) policy: watch::Sender<Arc<Policy>>,
    /// The rules that replies are read by, likewise.
    pub(crate) rules: watch::Sender<Arc<InForce>>,
    pub(crate) clock: Clock,
    pub(crate) journal: Journal,
    /// Which campaigns may go.
    pub(crate) sending: Arc<Sending>,
    /// Whether it is still this worker that sends.
    pub(crate) tenure: Arc<Tenure>,
    /// No more messages are begun: the worker is told to stop, or gives up its name.
    pub(crate) ending: CancellationToken,
    /// What serves the outlets: their lines, and who watches them.
    pub(crate) serving: Mutex<JoinSet<()>>,
}

impl Shared {
    /// The policy in force.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.borrow())
    }

    /// The product's time.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.at(Utc::now())
    }

    /// Starts what serves an outlet until the worker ends.
    pub(crate) fn spawn(&self, serves: impl Future<Output = ()> + Send + 'static) {
        self.serving().spawn(serves);
    }

    /// Whether all that serves is well: what ended did not end by a fault.
    pub(crate) fn is_whole(&self) -> bool {
        let mut serving = self.serving();
        std::iter::from_fn(|| serving.try_join_next()).all(|ended| ended.is_ok())
    }

    fn serving(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until all that serves has ended. What a host has not answered by then is left: it was marked, and is in
    /// doubt by name.
    pub(crate) async fn served(&self, patience: Patience) {
        let mut serving = std::mem::take(&mut *self.serving());
        let ended = async { while serving.join_next().await.is_some() {} };
        let is_over = tokio::select! {
            biased;
            () = ended => false,
            () = patience.ends() => true,
        };
        if is_over {
            tracing::warn!(lines = serving.len(), "hosts did not answer in time; what they were given is in doubt");
            serving.shutdown().await;
        }
    }
}

/// Who asks for a place for it.
pub(crate) fn asker(lease: &Lease) -> Asker {
    Asker { campaign: lease.id.campaign(), turn: if lease.attempts > 0 { Turn::Again } else { Turn::First } }
}

impl Claimed {
    fn next_try(&self) -> Try {
        Try { id: self.lease.id, number: self.lease.attempts.saturating_add(1) }
    }
}

/// Lets a message through that its lane let through, unless it is a probe and another worker sends one.
pub(crate) async fn alone(shared: &Shared, outlet: &Outlet, receiver: &Receiver) -> Result<(), Held> {
    if !outlet.lanes.are_shared() || !outlet.lanes.rests(receiver) {
        return Ok(());
    }
    let now = shared.now();
    let until = lanes::probe(&shared.db, outlet.id, receiver, now).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "whether another worker sends a probe is not known");
        None
    });
    until.map_or(Ok(()), |until| {
        outlet.lanes.put_off(receiver, until, now);
        Err(Held::Rests(until))
    })
}

/// What becomes of a delivery whose lane is `held`.
pub(crate) fn held_back(
    claimed: &Claimed,
    (outlet, receiver): (&Outlet, &Receiver),
    held: Held,
    policy: &Policy,
    now: DateTime<Utc>,
) -> Heard {
    let until = match held {
        Held::Queues(until) => return Heard::Back(claimed.lease.id, Some(until)),
        Held::Rests(until) => until,
    };
    let words = outlet.lanes.words(receiver);
    let kept = words.as_ref().map(|words| policy.give_up_after_rest(words.cause, words.permanence));
    let end = claimed.lease.since + kept.unwrap_or_else(|| policy.give_up_after());
    if now >= end {
        return given_up(claimed.lease.id, claimed.contact.address.key(), receiver, words, now);
    }
    // Spread over a twentieth of the wait, so that not all come in the moment the lane opens.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    let spread = ((until - now).num_milliseconds() as f64 * 0.05 * rand::random::<f64>()) as i64;
    Heard::Back(claimed.lease.id, Some((until + TimeDelta::milliseconds(spread)).min(end)))
}

/// A domain has no mail host: an answer as any other.
pub(crate) async fn no_exchange(
    shared: &Shared,
    lane: (&Outlet, &Receiver),
    claimed: &Claimed,
    none: &NoExchange,
) -> Heard {
    let (now, of) = (shared.now(), claimed.next_try());
    let permanence = if none.permanent { Permanence::Hard } else { Permanence::Soft };
    let refusal = if none.permanent { Refusal::Permanent } else { Refusal::Transient };
    let verdict = Verdict { permanence, confidence: 95, ..plain_verdict(none.cause, &none.words) };
    let learned = learn_of(shared, lane, &claimed.lease, Some(&verdict)).await;
    let bounce = about(claimed.contact.address.key(), &of, verdict, refusal, now);
    Heard::Refused { of, reply: none.words.clone(), bounce: Box::new(Bounce { learned, ..bounce }) }
}

/// No mail host of a receiver gave a line: the last one's words where it spoke, else ours.
pub(crate) async fn no_line(shared: &Shared, job: &Job, of: Try, none: &NoLine) -> Heard {
    if let Some(reply) = &none.reply {
        return refused(shared, job, of, reply).await;
    }
    let verdict = plain_verdict(none.cause, &none.words);
    let learned = learn(shared, job, Some(&verdict)).await;
    let refusal = if none.permanent { Refusal::Permanent } else { Refusal::Transient };
    let bounce = Box::new(Bounce { learned, ..bounce(job, &of, verdict, refusal, shared.now()) });
    Heard::Refused { of, reply: none.words.clone(), bounce }
}

/// A mail host ended a new line before it had said anything of the message: that is its answer, and a later try may go
/// through.
pub(crate) async fn hung_up(shared: &Shared, job: &Job, of: Try) -> Heard {
    let (verdict, learned) = learn_of_break(shared, job).await;
    let bounce = Box::new(Bounce { learned, ..bounce(job, &of, verdict, Refusal::Transient, shared.now()) });
    Heard::Refused { of, reply: BROKE_OFF.to_owned(), bounce }
}

const BROKE_OFF: &str = "The mail host broke off before it took the message.";

/// What is learned of a receiver whose host ended the line without an answer, whatever becomes of the message.
pub(crate) async fn learn_of_break(shared: &Shared, job: &Job) -> (Verdict, Option<u32>) {
    let verdict = plain_verdict(BounceCause::HostUnreachable, BROKE_OFF);
    let learned = learn(shared, job, Some(&verdict)).await;
    (verdict, learned)
}

pub(crate) async fn refused(shared: &Shared, job: &Job, of: Try, reply: &Reply) -> Heard {
    let now = shared.now();
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
pub(crate) async fn learn(shared: &Shared, job: &Job, verdict: Option<&Verdict>) -> Option<u32> {
    learn_of(shared, (&job.outlet, &job.receiver), &job.lease, verdict).await
}

async fn learn_of(
    shared: &Shared,
    (outlet, receiver): (&Outlet, &Receiver),
    lease: &Lease,
    verdict: Option<&Verdict>,
) -> Option<u32> {
    let now = shared.now();
    let learned = outlet.lanes.learn(receiver, lease, verdict, &shared.policy(), now);
    let (server, held) =
        (outlet.id, |notice| lanes::HeldLane { server: outlet.id, receiver: receiver.clone(), notice });
    let stored = match learned.change {
        None => return learned.wait,
        Some(Change::Opened) => lanes::open(&shared.db, server, receiver, now).await,
        Some(Change::Held(notice)) => lanes::hold(&shared.db, &held(notice), now).await,
    };
    if let Err(error) = stored {
        // The lane is held all the same; only a restart would not know of it.
        tracing::warn!(%error, "what holds a lane could not be kept");
    }
    learned.wait
}

/// A message that cannot go to this contact by our own fault or the relay's, shown as a refusal and blamed on nobody.
pub(crate) fn unfit(shared: &Shared, job: &Job, of: Try, cause: BounceCause, why: &str) -> Heard {
    let now = shared.now();
    job.outlet.lanes.unanswered(&job.receiver, job.is_probe, now);
    let bounce = Box::new(bounce(job, &of, plain_verdict(cause, why), Refusal::Permanent, now));
    Heard::Refused { of, reply: why.to_owned(), bounce }
}

pub(crate) fn plain_verdict(cause: BounceCause, words: &str) -> Verdict {
    Verdict { confidence: 50, ..Verdict::known(cause, Permanence::Soft, words) }
}

fn bounce(job: &Job, of: &Try, verdict: Verdict, refusal: Refusal, now: DateTime<Utc>) -> Bounce {
    let receiver = Some(job.receiver.clone());
    Bounce { receiver, ..about(job.contact.address.key(), of, verdict, refusal, now) }
}

fn about(address: AddressKey, of: &Try, verdict: Verdict, refusal: Refusal, now: DateTime<Utc>) -> Bounce {
    Bounce {
        delivery: Some(of.id),
        attempt: of.number,
        address,
        grade: Grade::Ours,
        refusal,
        held: false,
        receiver: None,
        learned: None,
        verdict,
        reporting_mta: None,
        inbox: None,
        at: now,
    }
}

/// A delivery whose time is over while its receiver rested: given up with the receiver's last words.
pub(crate) fn given_up(
    id: DeliveryId,
    key: AddressKey,
    receiver: &Receiver,
    words: Option<Verdict>,
    now: DateTime<Utc>,
) -> Heard {
    let verdict =
        words.unwrap_or_else(|| plain_verdict(BounceCause::TimeoutExpired, "its server did not answer in time"));
    // No try was made: number 0 keeps it apart from what the last one heard.
    let about = about(key, &Try { id, number: 0 }, verdict, Refusal::Transient, now);
    Heard::GivenUp(Box::new(Bounce { receiver: Some(receiver.clone()), ..about }))
}

/// A delivery to a contact whose row cannot be read: given up, without a try and without blame. Trying again would not
/// help; a person who has repaired the row sends again.
pub(crate) fn unwritable(id: DeliveryId, unfit: Unfit, now: DateTime<Utc>) -> Heard {
    let words = format!("not sent: what Rebound keeps of this contact cannot be read ({})", unfit.column);
    let verdict = plain_verdict(BounceCause::Undetermined, &words);
    Heard::GivenUp(Box::new(about(unfit.key, &Try { id, number: 0 }, verdict, Refusal::Permanent, now)))
}
