//! What the steps of one group commit write: what is plain, messages that were taken and marks, and everything else.

use crate::journal::{Heard, Step};
use chrono::{DateTime, Utc};
use rebound_contacts::feedback;
use rebound_db::leases::plain::{Mark, Settler, Taken};
use rebound_db::leases::{self, Answered, Beside, Try};
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
    unsent: Vec<Try>,
    doubts: Vec<DeliveryId>,
    marks: Vec<Mark>,
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
            Heard::Unsent(of) => {
                self.back.push((of.id, None));
                self.unsent.push(of);
            }
        }
    }

    /// Beside whom what is not plain is written; `None` where there is no such thing.
    pub(crate) fn beside(&self) -> Option<Beside> {
        if !self.bounces.is_empty() {
            return Some(Beside::Nobody);
        }
        let is_all = self.back.is_empty() && self.doubts.is_empty();
        (!is_all).then_some(Beside::Others)
    }

    /// Writes what is not plain.
    pub(crate) async fn write_others(
        &self,
        tx: &Transaction,
        worker: WorkerId,
        policy: &Policy,
        now: DateTime<Utc>,
    ) -> Result<(), rebound_contacts::Error> {
        self.record_bounces(tx, worker, policy, now).await?;
        leases::release(tx, worker, &self.back).await?;
        leases::never_left(tx, worker, &self.unsent, now).await?;
        leases::doubt(tx, worker, &self.doubts, now).await?;
        Ok(())
    }

    /// Writes what was taken and the marks in one call, and commits it. `None`: something is in the way.
    pub(crate) async fn commit_plain(
        &self,
        settler: &Settler,
        worker: WorkerId,
        now: DateTime<Utc>,
    ) -> Result<Option<Written>, rebound_db::Error> {
        let sending = settler.settle_and_mark(worker, &self.taken, &self.marks, now).await?;
        Ok(sending.map(|sending| Written { marked: self.marks.iter().map(|mark| mark.of.id).collect(), sending }))
    }

    /// Writes the same with care, finding out what is in the way.
    pub(crate) async fn write_plain(
        &self,
        tx: &Transaction,
        worker: WorkerId,
        policy: &Policy,
        now: DateTime<Utc>,
    ) -> Result<Written, rebound_contacts::Error> {
        self.settle(tx, worker, policy, now).await?;
        let marks: Vec<Try> = self.marks.iter().map(|mark| mark.of.clone()).collect();
        let marked = leases::mark(tx, worker, &marks, now).await?.into_iter().collect();
        Ok(Written { marked, sending: campaigns::sending(tx).await? })
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
