//! One try at a delivery: what its connections share, and what becomes of it.

use crate::compose::Composer;
use crate::journal::{Heard, Journal, Sending};
use crate::pace::Lanes;
use crate::prepare::Prepared;
use crate::rate::Rate;
use crate::transport::Reply;
use crate::{Relay, RelayDown};
use chrono::{DateTime, Utc};
use rebound_contacts::rules::InForce;
use rebound_db::contacts::Unfit;
use rebound_db::leases::{Lease, Try};
use rebound_db::{Pool, lanes};
use rebound_domain::{
    AddressKey, Bounce, BounceCause, Change, Clock, Contact, DeliveryId, Grade, Permanence, Policy, Receiver, Refusal,
    Verdict,
};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::CancellationToken;

/// A delivery to try, with all that is needed for it.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) lease: Lease,
    pub(crate) contact: Contact,
    pub(crate) composer: Arc<Composer>,
    /// Whether it is to find out if its receiver takes mail again.
    pub(crate) is_probe: bool,
}

/// What all connections of a worker share.
pub(crate) struct Shared {
    pub(crate) db: Pool,
    pub(crate) relay: Relay,
    /// The policy in force; the worker looks whether there is a newer one.
    pub(crate) policy: watch::Sender<Arc<Policy>>,
    /// The rules that replies are read by, likewise.
    pub(crate) rules: watch::Sender<Arc<InForce>>,
    pub(crate) clock: Clock,
    pub(crate) journal: Journal,
    pub(crate) lanes: Lanes,
    pub(crate) rate: Rate,
    /// Which campaigns may go.
    pub(crate) sending: Arc<Sending>,
    /// What is ready to be handed over.
    pub(crate) ready: Mutex<mpsc::Receiver<Prepared>>,
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

    /// The product's time.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.at(Utc::now())
    }
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
    let (receiver, now) = (receiver(job), shared.now());
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
pub(crate) fn unfit(shared: &Shared, job: &Job, of: Try, cause: BounceCause, why: &str) -> Heard {
    let now = shared.now();
    shared.lanes.probe_again(&receiver(job), now);
    let bounce = Box::new(bounce(job, &of, plain_verdict(cause, why), Refusal::Permanent, now));
    Heard::Refused { of, reply: why.to_owned(), bounce }
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
