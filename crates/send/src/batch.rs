//! What the steps of one group commit write.

use crate::journal::{Heard, Step};
use chrono::{DateTime, Utc};
use rebound_contacts::feedback;
use rebound_db::leases::plain::{self, Taken};
use rebound_db::leases::{self, Answered, Try};
use rebound_db::{Transaction, campaigns};
use rebound_domain::{Bounce, CampaignId, DeliveryId, Policy, WorkerId};
use std::collections::HashSet;

/// The steps of a commit, sorted by what they write.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    taken: Vec<Taken>,
    refused: Vec<Answered>,
    bounces: Vec<Bounce>,
    back: Vec<(DeliveryId, Option<DateTime<Utc>>)>,
    doubts: Vec<DeliveryId>,
    marks: Vec<Try>,
}

/// How the messages that were taken, and the marks, are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Care {
    /// At once, as if nothing were in their way.
    Little,
    /// Statement by statement, finding out what is. It must be beside nobody.
    Much,
}

/// What is known once it is written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Which tries may go.
    pub(crate) marked: HashSet<DeliveryId>,
    /// Which campaigns send.
    pub(crate) sending: Vec<CampaignId>,
}

impl Batch {
    pub(crate) fn of(steps: &[Step]) -> Self {
        let mut batch = Self::default();
        for step in steps {
            batch.marks.extend(step.mark.clone());
            if let Some(heard) = step.heard.clone() {
                batch.add(heard);
            }
        }
        batch
    }

    fn add(&mut self, heard: Heard) {
        match heard {
            Heard::Accepted(taken) => self.taken.push(taken),
            Heard::Refused { of, reply, bounce } => {
                self.refused.push(Answered { of, accepted: false, reply });
                self.bounces.push(*bounce);
            }
            Heard::GivenUp(bounce) => self.bounces.push(*bounce),
            Heard::Doubt(id) => self.doubts.push(id),
            Heard::Back(id, due) => self.back.push((id, due)),
        }
    }

    /// Whether it records no bounce.
    pub(crate) fn is_plain(&self) -> bool {
        self.bounces.is_empty()
    }

    /// Writes it. `None`: it must be written with more care, and nothing be committed.
    pub(crate) async fn write(
        &self,
        tx: &Transaction,
        worker: WorkerId,
        care: Care,
        policy: &Policy,
        now: DateTime<Utc>,
    ) -> Result<Option<Written>, rebound_contacts::Error> {
        if care == Care::Much {
            self.settle(tx, worker, policy, now).await?;
        }
        self.record_bounces(tx, worker, policy, now).await?;
        leases::release(tx, worker, &self.back).await?;
        leases::doubt(tx, worker, &self.doubts, now).await?;
        if care == Care::Much {
            let marked = leases::mark(tx, worker, &self.marks, now).await?.into_iter().collect();
            return Ok(Some(Written { marked, sending: campaigns::sending(tx).await? }));
        }
        // The last of all: others wait for the rows of the day's counts.
        let sending = plain::settle_and_mark(tx, worker, &self.taken, &self.marks, now).await?;
        let marked = self.marks.iter().map(|of| of.id);
        Ok(sending.map(|sending| Written { marked: marked.collect(), sending }))
    }

    /// Settles what was taken, as far as it is this worker's to settle.
    async fn settle(
        &self,
        tx: &Transaction,
        worker: WorkerId,
        policy: &Policy,
        now: DateTime<Utc>,
    ) -> Result<(), rebound_contacts::Error> {
        let answered = |taken: &Taken| Answered { of: taken.of.clone(), accepted: true, reply: taken.reply.clone() };
        let tries: Vec<Try> = self.taken.iter().map(|taken| taken.of.clone()).collect();
        leases::note_answers(tx, worker, &self.taken.iter().map(answered).collect::<Vec<_>>(), now).await?;
        let accepted: HashSet<DeliveryId> = leases::accept(tx, worker, &tries).await?.into_iter().collect();
        // Others took this worker for dead, and may have sent them again.
        let others: Vec<Try> = tries.into_iter().filter(|of| !accepted.contains(&of.id)).collect();
        leases::keep_in_doubt(tx, &others).await?;
        let ours = self.taken.iter().filter(|taken| accepted.contains(&taken.of.id));
        let keys: Vec<_> = ours.map(|taken| (taken.of.id, taken.key.clone())).collect();
        Ok(feedback::record_acceptances(tx, &keys, policy, now).await?)
    }

    async fn record_bounces(
        &self,
        tx: &Transaction,
        worker: WorkerId,
        policy: &Policy,
        now: DateTime<Utc>,
    ) -> Result<(), rebound_contacts::Error> {
        if self.bounces.is_empty() {
            return Ok(());
        }
        leases::note_answers(tx, worker, &self.refused, now).await?;
        let ids: Vec<DeliveryId> = self.bounces.iter().filter_map(|bounce| bounce.delivery).collect();
        let owned = leases::owned(tx, worker, &ids).await?;
        let ours = |bounce: &&Bounce| bounce.delivery.is_some_and(|id| owned.contains(&id));
        let bounces: Vec<Bounce> = self.bounces.iter().filter(ours).cloned().collect();
        feedback::record_bounces(tx, &bounces, policy, rand::random::<f64>, now).await?;
        Ok(())
    }
}
