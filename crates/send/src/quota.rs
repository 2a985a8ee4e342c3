//! How many messages an outlet may still be given in this minute, hour and day, by all workers together.

use chrono::{DateTime, Utc};
use rebound_db::volumes::{self, Taken};
use rebound_db::{Error, Pool};
use rebound_domain::{Limits, ServerId, Span, Volume, WarmUp};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Taken at once, of a limit that is large enough: what a worker has and does not use, others lack.
const AT_ONCE: u32 = 64;

/// What an outlet may still be given.
#[derive(Debug)]
pub(crate) struct Quota {
    server: ServerId,
    limits: Limits,
    warm_up: Option<WarmUp>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// Messages that were taken and not yet given.
    left: u32,
    /// Until when they count as given at the time at which they were taken.
    fresh: DateTime<Utc>,
    /// There are no more before then.
    until: Option<DateTime<Utc>>,
}

/// The right to give one message. Dropped unused, another message has it.
#[derive(Debug)]
pub(crate) struct Ticket(Option<Arc<Quota>>);

impl Quota {
    pub(crate) fn new(server: ServerId, limits: Limits, warm_up: Option<WarmUp>) -> Self {
        Self { server, limits, warm_up, held: Mutex::default() }
    }

    /// Until when nothing may be given, as far as is known.
    pub(crate) fn until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let held = self.held();
        // Further off than any span lasts, it was found before the clock was put back.
        let farthest = now + Span::Day.length() + Span::Day.part();
        held.until.filter(|until| held.left == 0 && *until > now && *until <= farthest)
    }

    /// One more message, or when there will be one.
    pub(crate) async fn ticket(
        self: &Arc<Self>,
        db: &Pool,
        now: DateTime<Utc>,
    ) -> Result<Result<Ticket, DateTime<Utc>>, Error> {
        let volumes: Vec<Volume> = self.limits.volumes(self.warm_up.as_ref(), now).collect();
        let Some(most) = volumes.iter().map(|volume| volume.most).min() else { return Ok(Ok(Ticket(None))) };
        loop {
            self.give_back_old(db, now).await?;
            if let Some(until) = self.until(now) {
                return Ok(Err(until));
            }
            if self.take_one() {
                return Ok(Ok(Ticket(Some(Arc::clone(self)))));
            }
            let want = (most / 50).clamp(1, AT_ONCE);
            match volumes::take(db, self.server, want, &volumes, now).await? {
                Taken::Granted(count) => {
                    let part = volumes.iter().map(|volume| volume.span.part()).min().unwrap_or_default();
                    let mut held = self.held();
                    held.left += count;
                    held.fresh = now + part;
                }
                Taken::Until(until) => self.held().until = Some(until),
            }
        }
    }

    /// Others may have what this worker did not use.
    pub(crate) async fn give_back(&self, db: &Pool) -> Result<(), Error> {
        let left = std::mem::take(&mut self.held().left);
        if left > 0 {
            volumes::put_back(db, self.server, left).await?;
        }
        Ok(())
    }

    /// What was taken a while ago and lay unused is taken anew: else it would be counted too early.
    async fn give_back_old(&self, db: &Pool, now: DateTime<Utc>) -> Result<(), Error> {
        if now > self.held().fresh {
            self.give_back(db).await?;
        }
        Ok(())
    }

    fn take_one(&self) -> bool {
        let mut held = self.held();
        let left = held.left.checked_sub(1);
        held.left = left.unwrap_or(0);
        left.is_some()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // A panic elsewhere leaves it whole: each change is a single step.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// The message goes.
    pub(crate) fn use_up(&mut self) {
        self.0 = None;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(quota) = self.0.take() {
            quota.held().left += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use rebound_domain::Span;

    #[tokio::test]
    async fn two_workers_share_a_limit_and_what_did_not_go_goes_later() {
        let folder = tempfile::tempdir().unwrap();
        let db = rebound_db::connect(&format!("sqlite:{}", folder.path().join("q.db").display())).await.unwrap();
        rebound_db::migrate(&db).await.unwrap();
        let limits = Limits { per_hour: Some(100), ..Limits::default() };
        let quota = || Arc::new(Quota::new(ServerId(1), limits, None));
        let (one, other) = (quota(), quota());
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let mut tickets = Vec::new();
        while let Ok(ticket) = one.ticket(&db, now).await.unwrap() {
            tickets.push(ticket);
            if let Ok(ticket) = other.ticket(&db, now).await.unwrap() {
                tickets.push(ticket);
            }
        }
        assert_eq!(tickets.len(), 100);
        tickets.drain(..60).for_each(|mut ticket| ticket.use_up());
        drop(tickets);
        let later = now + TimeDelta::minutes(3);
        drop(one.ticket(&db, later).await.unwrap());
        let given = volumes::given(&db, ServerId(1), Span::Hour, later).await.unwrap();
        assert!(given < 100, "{given}: what lay unused for minutes is taken anew");
        for quota in [one, other] {
            quota.give_back(&db).await.unwrap();
        }
        assert_eq!(volumes::given(&db, ServerId(1), Span::Hour, later).await.unwrap(), 60);
    }
}
