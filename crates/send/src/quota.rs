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
    /// One takes for all that wait.
    taking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Held {
    /// Messages that were taken and not yet given.
    left: Lot,
    /// Those that were not given in time, to be given back.
    old: Vec<Lot>,
    /// There are no more before then.
    until: Option<DateTime<Utc>>,
}

/// Messages that were taken together.
#[derive(Clone, Copy, Debug, Default)]
struct Lot {
    count: u32,
    /// When they count as given.
    taken: DateTime<Utc>,
    /// Before when they have to be given: from then on they would be forgotten too early.
    until: DateTime<Utc>,
}

/// The right to give one message, for a while. Dropped unused, another message has it.
#[derive(Debug)]
pub(crate) struct Ticket(Option<(Arc<Quota>, Lot)>);

impl Quota {
    pub(crate) fn new(server: ServerId, limits: Limits, warm_up: Option<WarmUp>) -> Self {
        Self { server, limits, warm_up, held: Mutex::default(), taking: tokio::sync::Mutex::default() }
    }

    /// Until when nothing may be given, as far as is known.
    pub(crate) fn until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let held = self.held();
        // Further off than any span lasts, it was found before the clock was put back.
        let farthest = now + Span::Day.length() + Span::Day.part();
        let has_none = held.left.count == 0 && held.old.is_empty();
        held.until.filter(|until| has_none && *until > now && *until <= farthest)
    }

    /// One more message, or when there will be one.
    pub(crate) async fn ticket(
        self: &Arc<Self>,
        db: &Pool,
        now: DateTime<Utc>,
    ) -> Result<Result<Ticket, DateTime<Utc>>, Error> {
        let volumes: Vec<Volume> = self.limits.volumes(self.warm_up.as_ref(), now).collect();
        let Some(most) = volumes.iter().map(|volume| volume.most).min() else { return Ok(Ok(Ticket(None))) };
        let _alone = self.taking.lock().await;
        loop {
            if let Some(lot) = self.take_one(now) {
                return Ok(Ok(Ticket(Some((Arc::clone(self), lot)))));
            }
            if let Some(until) = self.until(now) {
                return Ok(Err(until));
            }
            self.give_back(db).await?;
            let want = (most / 50).clamp(1, AT_ONCE);
            match volumes::take(db, self.server, want, &volumes, now).await? {
                Taken::Granted(count) => {
                    let ends = volumes.iter().map(|volume| volume.span.part_of(now) + volume.span.part());
                    self.held().left = Lot { count, taken: now, until: ends.min().unwrap_or(now) };
                }
                Taken::Until(until) => {
                    self.held().until = Some(until);
                    return Ok(Err(until));
                }
            }
        }
    }

    /// Changes a ticket that is not good any more for another; whether there is one.
    pub(crate) async fn renew(
        self: &Arc<Self>,
        db: &Pool,
        ticket: &mut Ticket,
        now: DateTime<Utc>,
    ) -> Result<bool, Error> {
        drop(std::mem::take(ticket));
        let another = self.ticket(db, now).await?;
        Ok(another.map(|another| *ticket = another).is_ok())
    }

    /// Others may have what this worker did not use.
    pub(crate) async fn give_back(&self, db: &Pool) -> Result<(), Error> {
        let lots: Vec<Lot> = {
            let mut held = self.held();
            let left = std::mem::take(&mut held.left);
            held.old.drain(..).chain([left]).filter(|lot| lot.count > 0).collect()
        };
        let mut lots = lots.into_iter();
        while let Some(lot) = lots.next() {
            if let Err(error) = volumes::put_back(db, self.server, lot.count, lot.taken).await {
                let mut held = self.held();
                std::iter::once(lot).chain(lots).for_each(|lot| held.set_aside(lot));
                return Err(error);
            }
        }
        Ok(())
    }

    /// What is left and was not given in time is set aside.
    fn take_one(&self, now: DateTime<Utc>) -> Option<Lot> {
        let mut held = self.held();
        if held.left.count > 0 && !held.left.is_good(now) {
            let left = std::mem::take(&mut held.left);
            held.set_aside(left);
        }
        held.left.count = held.left.count.checked_sub(1)?;
        Some(Lot { count: 1, ..held.left })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // A panic elsewhere leaves it whole: each change is a single step.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn set_aside(&mut self, lot: Lot) {
        // With it there may be some, whatever was said before.
        self.until = None;
        match self.old.iter_mut().find(|old| old.taken == lot.taken) {
            Some(old) => old.count += lot.count,
            None => self.old.push(lot),
        }
    }
}

impl Lot {
    fn is_good(&self, now: DateTime<Utc>) -> bool {
        self.taken <= now && now < self.until
    }
}

impl Ticket {
    /// Whether the message may go at `now`: its place is counted when it goes.
    pub(crate) fn is_good(&self, now: DateTime<Utc>) -> bool {
        self.0.as_ref().is_none_or(|(_, lot)| lot.is_good(now))
    }

    /// The message goes.
    pub(crate) fn use_up(&mut self) {
        self.0 = None;
    }
}

/// For a message that no limit keeps.
impl Default for Ticket {
    fn default() -> Self {
        Self(None)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some((quota, lot)) = self.0.take() {
            let mut held = quota.held();
            if held.left.taken == lot.taken {
                held.left.count += 1;
            } else {
                held.set_aside(lot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use rebound_domain::Span;
    use tempfile::TempDir;

    async fn database() -> (Pool, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (rebound_db::temporary(folder.path()).await.unwrap(), folder)
    }

    #[tokio::test]
    async fn what_was_not_given_in_time_is_counted_when_it_goes() {
        let (db, _folder) = database().await;
        let quota = Arc::new(Quota::new(ServerId(1), Limits { per_minute: Some(2), ..Limits::default() }, None));
        let start = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let late = start + TimeDelta::seconds(65);
        let ticket = async |now| quota.ticket(&db, now).await.unwrap();
        let mut old = [ticket(start).await.unwrap(), ticket(start).await.unwrap()];
        assert!(old[0].is_good(start + TimeDelta::seconds(4)) && !old[0].is_good(start + TimeDelta::seconds(5)));
        assert!(ticket(start).await.is_err(), "the minute is full");

        for old in &mut old {
            assert!(quota.renew(&db, old, late).await.unwrap(), "nothing went in this minute");
            old.use_up();
        }
        let until = ticket(late).await.unwrap_err();
        assert!(until >= late + TimeDelta::minutes(1), "{until}: they went at {late}");
        let given = volumes::given(&db, ServerId(1), Span::Minute, late).await.unwrap();
        assert_eq!(given, 2, "and are counted once");
    }

    #[tokio::test]
    async fn what_waited_for_too_long_finds_the_minute_full() {
        let (db, _folder) = database().await;
        let quota = || Arc::new(Quota::new(ServerId(1), Limits { per_minute: Some(2), ..Limits::default() }, None));
        let (one, other) = (quota(), quota());
        let start = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let mut waits = one.ticket(&db, start).await.unwrap().unwrap();
        let late = start + TimeDelta::seconds(66);
        for _ in 0..2 {
            other.ticket(&db, late).await.unwrap().unwrap().use_up();
        }
        assert!(!one.renew(&db, &mut waits, late).await.unwrap());
        assert!(one.until(late).is_some(), "and nothing more is claimed for it");
    }

    #[tokio::test]
    async fn two_workers_share_a_limit_and_what_did_not_go_goes_later() {
        let (db, _folder) = database().await;
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
