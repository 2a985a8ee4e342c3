//! What the steps of one group commit write.

use crate::journal::{Heard, Step};
use chrono::{DateTime, Utc};
use rebound_contacts::feedback;
use rebound_db::Transaction;
use rebound_db::leases::{self, Answered, Beside, Try};
use rebound_domain::{AddressKey, Bounce, DeliveryId, Policy, WorkerId};
use std::collections::HashSet;

/// The steps of a commit, sorted by what they write.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    answered: Vec<Answered>,
    taken: Vec<Try>,
    keys: Vec<(DeliveryId, AddressKey)>,
    bounces: Vec<Bounce>,
    back: Vec<(DeliveryId, Option<DateTime<Utc>>)>,
    doubts: Vec<DeliveryId>,
    marks: Vec<Try>,
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
            Heard::Accepted { of, key, reply } => {
                self.answered.push(Answered { of: of.clone(), accepted: true, reply });
                self.keys.push((of.id, key));
                self.taken.push(of);
            }
            Heard::Refused { of, reply, bounce } => {
                self.answered.push(Answered { of, accepted: false, reply });
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

    /// Writes it, and answers which tries may go. `None`: it must be written beside nobody, and nothing be committed.
    pub(crate) async fn write(
        &self,
        tx: &Transaction,
        worker: WorkerId,
        beside: Beside,
        policy: &Policy,
        now: DateTime<Utc>,
    ) -> Result<Option<HashSet<DeliveryId>>, rebound_contacts::Error> {
        if !self.answered.is_empty() {
            leases::note_answers(tx, worker, &self.answered, now).await?;
        }
        let accepted: HashSet<DeliveryId> = leases::accept(tx, worker, &self.taken).await?.into_iter().collect();
        if accepted.len() < self.taken.len() {
            // Others took this worker for dead, and may have sent them again.
            let others = self.taken.iter().filter(|of| !accepted.contains(&of.id));
            leases::keep_in_doubt(tx, &others.cloned().collect::<Vec<_>>()).await?;
        }
        self.record_bounces(tx, worker, policy, now).await?;
        leases::release(tx, worker, &self.back).await?;
        leases::doubt(tx, worker, &self.doubts, now).await?;
        let marked = if self.marks.is_empty() { vec![] } else { leases::mark(tx, worker, &self.marks, now).await? };
        // The last of all: others wait for the rows of the day's counts.
        let keys: Vec<_> = self.keys.iter().filter(|(id, _)| accepted.contains(id)).cloned().collect();
        let is_recorded = keys.is_empty()
            || match beside {
                Beside::Others => feedback::record_plain_acceptances(tx, &keys, now).await?,
                Beside::Nobody => feedback::record_acceptances(tx, &keys, policy, now).await.map(|()| true)?,
            };
        Ok(is_recorded.then(|| marked.into_iter().collect()))
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
        let ids: Vec<DeliveryId> = self.bounces.iter().filter_map(|bounce| bounce.delivery).collect();
        let owned = leases::owned(tx, worker, &ids).await?;
        let ours = |bounce: &&Bounce| bounce.delivery.is_some_and(|id| owned.contains(&id));
        let bounces: Vec<Bounce> = self.bounces.iter().filter(ours).cloned().collect();
        feedback::record_bounces(tx, &bounces, policy, rand::random::<f64>, now).await?;
        Ok(())
    }
}
