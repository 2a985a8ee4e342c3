//! Group commits: what many connections learn becomes durable together.
//!
//! ```text
//! connection ─ step(answer of the last message, mark for the next) ─┐
//! connection ─ step(…) ─────────────────────────────────────────────┼─▶ bounces, what goes back ─▶ acceptances, marks
//! connection ─ step(…) ─────────────────────────────────────────────┘                              ─▶ "go" to each
//! ```
//!
//! Bounces and what goes back are a transaction of their own, before the other: should we end in between, each line has
//! one message in doubt, and not two.
//!
//! Commits run back to back, without a timer: while one is on its way to the disk, the next gathers, and before one to
//! a file begins others may run. A final dot is written only after the commit that holds its mark.

use crate::batch::{Batch, Written};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::leases::plain::{Mark, Settler, Taken};
use rebound_db::leases::{Beside, Try};
use rebound_db::{Pool, fail_point, leases};
use rebound_domain::{Bounce, CampaignId, Clock, DeliveryId, Policy, WorkerId};
use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// Steps that may wait for a commit: more than connections, so that nobody waits to ask.
const WAITING: usize = 1024;

/// When a delivery is tried again whose step could not be written.
const AGAIN: TimeDelta = TimeDelta::hours(1);

/// What became of one try.
#[derive(Clone, Debug)]
pub(crate) enum Heard {
    /// The relay took it.
    Accepted(Taken),
    /// It was refused.
    Refused { of: Try, reply: String, bounce: Box<Bounce> },
    /// It was given up without another try: its receiver rested until the time was over.
    GivenUp(Box<Bounce>),
    /// The line broke after the final dot.
    Doubt(DeliveryId),
    /// The line broke before the final dot, or its receiver rests: untried, due then.
    Back(DeliveryId, Option<DateTime<Utc>>),
    /// It was marked, and its final dot was not written, as others may have taken the worker for dead meanwhile.
    Unsent(Try),
}

impl Heard {
    fn delivery(&self) -> Option<DeliveryId> {
        match self {
            Self::Accepted(Taken { of, .. }) | Self::Refused { of, .. } | Self::Unsent(of) => Some(of.id),
            Self::GivenUp(bounce) => bounce.delivery,
            Self::Doubt(id) | Self::Back(id, _) => Some(*id),
        }
    }
}

/// Which campaigns send, as of the last commit: asked before every message, so not of the database.
#[derive(Debug, Default)]
pub(crate) struct Sending(RwLock<HashSet<CampaignId>>);

impl Sending {
    /// Whether `campaign` sends.
    pub(crate) fn holds(&self, campaign: CampaignId) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(&campaign)
    }

    /// A campaign was seen to send.
    pub(crate) fn add(&self, campaign: CampaignId) {
        if !self.holds(campaign) {
            self.0.write().unwrap_or_else(PoisonError::into_inner).insert(campaign);
        }
    }

    fn replace(&self, campaigns: Vec<CampaignId>) {
        let campaigns = campaigns.into_iter().collect();
        if *self.0.read().unwrap_or_else(PoisonError::into_inner) != campaigns {
            *self.0.write().unwrap_or_else(PoisonError::into_inner) = campaigns;
        }
    }
}

pub(crate) struct Step {
    pub(crate) heard: Option<Heard>,
    pub(crate) mark: Option<Mark>,
    answer: oneshot::Sender<bool>,
}

impl Step {
    /// All but an acceptance is written. Once is enough: what went back may be on its way again.
    fn forget_written(&mut self) {
        self.heard.take_if(|heard| !matches!(heard, Heard::Accepted(_)));
    }
}

/// Where connections hand in what they learn.
#[derive(Clone)]
pub(crate) struct Journal(mpsc::Sender<Step>);

impl Journal {
    /// Starts the one that writes, on a thread of its own: between two statements it must not wait behind the
    /// connections, which wait for it. It ends when every clone of the journal is gone.
    pub(crate) fn start(writer: Writer) -> (Self, JoinHandle<()>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let writing = tokio::task::spawn_blocking(move || {
            match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime.block_on(writer.run(receiver)),
                Err(error) => tracing::error!(%error, "the journal cannot start"),
            }
        });
        (Self(sender), writing)
    }

    /// Makes `heard` durable, and asks whether `mark` may be handed over: `true` means it is marked.
    pub(crate) async fn step(&self, heard: Option<Heard>, mark: Option<Mark>) -> bool {
        let (answer, answered) = oneshot::channel();
        if self.0.send(Step { heard, mark, answer }).await.is_err() {
            return false;
        }
        answered.await.unwrap_or(false)
    }
}

/// Who writes, and into what.
pub(crate) struct Writer {
    pub(crate) db: Pool,
    pub(crate) settler: Settler,
    /// Its address: a connection to PostgreSQL belongs to the thread that waits for it.
    pub(crate) url: String,
    pub(crate) worker: WorkerId,
    pub(crate) policy: watch::Receiver<Arc<Policy>>,
    pub(crate) clock: Clock,
    pub(crate) sending: Arc<Sending>,
}

impl Writer {
    async fn run(mut self, mut steps: mpsc::Receiver<Step>) {
        let own = self.connect().await;
        if let Some(own) = &own {
            self.db = own.clone();
            self.settler = Settler::new(own.clone());
        }
        let mut batch = Vec::new();
        while steps.recv_many(&mut batch, WAITING).await > 0 {
            self.let_others_first(&mut steps, &mut batch);
            let marked = self.commit_until_done(&mut batch).await;
            for step in batch.drain(..) {
                let go = step.mark.as_ref().is_some_and(|mark| marked.contains(&mark.of.id));
                // A connection that is gone does not wait for its answer.
                let _ = step.answer.send(go);
            }
        }
        // It waits for the connection that the settler keeps.
        drop(self);
        if let Some(own) = own {
            own.close().await;
        }
    }

    /// Each commit to a file costs this machine's cores. Others may run first, and what they hand in goes along: where the
    /// cores are busy with signing, commits are fewer and larger; where they are not, nothing waits.
    fn let_others_first(&self, steps: &mut mpsc::Receiver<Step>, batch: &mut Vec<Step>) {
        if self.db.file().is_some() {
            std::thread::yield_now();
            batch.extend(std::iter::from_fn(|| steps.try_recv().ok()));
        }
    }

    /// A pool of its own; without one, the journal makes do with what everybody has.
    async fn connect(&self) -> Option<Pool> {
        if self.db.file().is_some() {
            return None;
        }
        let own = rebound_db::connect(&self.url).await;
        own.inspect_err(|error| tracing::warn!(%error, "the journal shares its connections with others")).ok()
    }

    /// One step that cannot be written must not hold up the others: then each is written by itself.
    async fn commit_until_done(&self, batch: &mut [Step]) -> HashSet<DeliveryId> {
        match self.commit(batch).await {
            Ok(marked) => marked,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "not written together; one by one");
                let mut marked = HashSet::new();
                for step in batch {
                    marked.extend(self.commit_alone(step).await);
                }
                marked
            }
        }
    }

    /// Where a step cannot be written, an acceptance still counts, another answer is in doubt, and its mark goes back.
    async fn commit_alone(&self, step: &mut Step) -> HashSet<DeliveryId> {
        let error = match self.commit(std::slice::from_mut(step)).await {
            Ok(marked) => return marked,
            Err(error) => error,
        };
        // What a host said may quote the address: only numbers go into the log.
        let heard = step.heard.as_ref().and_then(Heard::delivery);
        let mark = step.mark.as_ref().map(|mark| mark.of.id);
        tracing::error!(error = &error as &dyn std::error::Error, ?heard, ?mark, "set aside");
        if let Err(error) = self.set_aside(step).await {
            // They are this worker's until it ends; whoever recovers them puts them in doubt.
            tracing::error!(error = &error as &dyn std::error::Error, "its deliveries stay as they are");
        }
        HashSet::new()
    }

    async fn set_aside(&self, step: &Step) -> Result<(), rebound_db::Error> {
        let now = self.clock.at(Utc::now());
        let ids: Vec<DeliveryId> = step
            .heard
            .as_ref()
            .and_then(Heard::delivery)
            .into_iter()
            .chain(step.mark.as_ref().map(|mark| mark.of.id))
            .collect();
        let later = Some(now + AGAIN);
        let back: Vec<_> = ids.iter().map(|id| (*id, later)).collect();
        if let Some(Heard::Accepted(Taken { of, .. })) = &step.heard {
            leases::accept(&self.db, self.worker, std::slice::from_ref(of)).await?;
        }
        // What was handed over otherwise is in doubt; what was not yet goes back.
        leases::doubt(&self.db, self.worker, &ids, now).await?;
        leases::release(&self.db, self.worker, &back).await?;
        Ok(())
    }

    /// Of `steps`, what was written is forgotten even where the rest cannot be.
    async fn commit(&self, steps: &mut [Step]) -> Result<HashSet<DeliveryId>, rebound_contacts::Error> {
        let batch = Batch::of(steps);
        if let Some(beside) = batch.beside() {
            patiently(|| self.commit_others(&batch, beside)).await?;
            steps.iter_mut().for_each(Step::forget_written);
        }
        fail_point("in-commit").await;
        let written = patiently(|| self.commit_plain(&batch)).await?;
        self.sending.replace(written.sending);
        Ok(written.marked)
    }

    async fn commit_others(&self, batch: &Batch, beside: Beside) -> Result<(), rebound_contacts::Error> {
        let (now, policy) = self.now();
        let tx = leases::begin(&self.db, beside).await?;
        batch.write_others(&tx, self.worker, &policy, now).await?;
        Ok(tx.commit().await?)
    }

    /// In one call, beside other workers; where something is in the way, statement by statement beside nobody.
    async fn commit_plain(&self, batch: &Batch) -> Result<Written, rebound_contacts::Error> {
        let (now, policy) = self.now();
        if let Some(written) = batch.commit_plain(&self.settler, self.worker, now).await? {
            return Ok(written);
        }
        let tx = leases::begin(&self.db, Beside::Nobody).await?;
        let written = batch.write_plain(&tx, self.worker, &policy, now).await?;
        tx.commit().await?;
        Ok(written)
    }

    fn now(&self) -> (DateTime<Utc>, Arc<Policy>) {
        (self.clock.at(Utc::now()), Arc::clone(&self.policy.borrow()))
    }
}

/// The database may be away for a while: what was heard is kept and written when it is back.
async fn patiently<T>(
    commit: impl AsyncFn() -> Result<T, rebound_contacts::Error>,
) -> Result<T, rebound_contacts::Error> {
    let mut pause = Duration::from_millis(100);
    loop {
        match commit().await {
            Err(rebound_contacts::Error::Database(error)) if error.outage().is_some() => {
                tracing::error!(error = &error as &dyn std::error::Error, "the journal waits for the database");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rebound_domain::AddressKey;

    fn step(heard: Heard) -> Step {
        Step { heard: Some(heard), mark: None, answer: oneshot::channel().0 }
    }

    #[test]
    fn of_a_step_whose_first_half_is_written_only_an_acceptance_is_left() {
        let of = Try { id: DeliveryId(1), number: 1 };
        let taken = Taken { of, key: AddressKey::stored("p1@orchard.example".to_owned()), reply: "250 ok".to_owned() };
        for (heard, is_left) in [
            (Heard::Accepted(taken), true),
            (Heard::Back(DeliveryId(1), None), false),
            (Heard::Doubt(DeliveryId(1)), false),
        ] {
            let mut step = step(heard);
            step.forget_written();
            assert_eq!(step.heard.is_some(), is_left, "{:?}", step.heard);
        }
    }
}
