//! Long work, done by whoever is free: imports, what incidents took away given back, the history judged again.
//!
//! ```text
//! a page writes a row ─▶ claim ─▶ part, cursor, part, cursor … ─▶ done, or failed and why
//!                          ▲                       │
//!                          └── killed: the lease ends, the next worker goes on at the cursor
//! ```

use crate::feedback::{Restored, restore_next};
use crate::import::Imported;
use crate::{Error, import, rules};
use chrono::{DateTime, Utc};
use rebound_db::events::{self, Event};
use rebound_db::imports::{self, Counts};
use rebound_db::jobs::{self, Job, JobKind, JobState, NewJob, TRIES};
use rebound_db::workers::{self, Presence};
use rebound_db::{Connection, Pool, bounces, policies};
use rebound_domain::{AddressKey, Clock, ImportId, IncidentId, JobId, WorkerId};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How many jobs one process does at a time.
const AT_ONCE: usize = 2;
/// How long to wait for another process to say that there is work, before looking.
const PAUSE: Duration = Duration::from_secs(1);
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long an upload may be silent before it is thrown away.
const SILENCE: chrono::TimeDelta = chrono::TimeDelta::minutes(15);
/// Addresses that a restore judges in one transaction.
const PART: u32 = 500;

/// Does the work that pages ask for.
#[derive(Clone, Debug)]
pub struct Jobs {
    /// Where the work and everybody in it are.
    pub db: Pool,
    /// Its address: on PostgreSQL the worker holds a lock on a connection of its own.
    pub url: String,
    /// The product's time.
    pub clock: Clock,
}

impl Jobs {
    /// Does what there is to do, and then whatever comes, until `stop`; then gives back what it has. `wake` says that
    /// something came.
    ///
    /// # Errors
    /// [`Error::Database`] when the database is not there at the start. Later it is waited for.
    pub async fn run(self, wake: Arc<Notify>, stop: CancellationToken) -> Result<(), Error> {
        let name = format!("jobs:{}", std::process::id());
        let mut has_served = false;
        while !stop.is_cancelled() {
            let presence = match workers::sign_on(&self.db, &self.url, &name).await {
                Ok(presence) => presence,
                Err(error) if has_served => {
                    tracing::error!(error = &error as &dyn std::error::Error, "work waits for the database");
                    stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            has_served = true;
            let mut at_work = JoinSet::new();
            let serving = self.serve(&presence, &wake, &mut at_work, &stop);
            tokio::select! {
                () = serving => {}
                () = lives(&self.db, &presence) => {}
            }
            while at_work.join_next().await.is_some() {}
            if let Err(error) = workers::sign_off(&self.db, &presence).await {
                // Others take what it had as soon as its lock is gone.
                tracing::error!(error = &error as &dyn std::error::Error, "could not sign off");
            }
        }
        Ok(())
    }

    async fn serve(&self, presence: &Presence, wake: &Notify, at_work: &mut JoinSet<()>, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.take(presence, at_work, stop).await {
                tracing::error!(error = &error as &dyn std::error::Error, "work cannot be taken; it waits");
            }
            tokio::select! {
                () = wake.notified() => {}
                () = tokio::time::sleep(PAUSE) => {}
                Some(_) = at_work.join_next() => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Takes what it has hands for.
    async fn take(&self, me: &Presence, at_work: &mut JoinSet<()>, stop: &CancellationToken) -> Result<(), Error> {
        self.tidy().await?;
        // What a silent one has is taken when the lease of the job ends.
        let dead = workers::dead(&self.db).await?.into_iter().filter(|dead| !dead.is_silent && dead.id != me.id);
        let dead: Vec<WorkerId> = dead.map(|dead| dead.id).collect();
        while at_work.len() < AT_ONCE {
            let Some(job) = jobs::claim(&self.db, me.id, &dead).await? else { break };
            let (this, stop) = (self.clone(), stop.clone());
            at_work.spawn(async move { this.attend(job, &stop).await });
        }
        Ok(())
    }

    /// Throws away uploads whose sender is gone.
    async fn tidy(&self) -> Result<(), Error> {
        for job in jobs::abandoned(&self.db, SILENCE).await? {
            cancel(&self.db, job.id, "rebound", "the upload broke off", self.now()).await?;
        }
        Ok(())
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.at(Utc::now())
    }

    /// Does one job, and notes what came of it.
    async fn attend(&self, job: Job, stop: &CancellationToken) {
        let done = tokio::select! {
            done = self.perform(job.clone()) => done,
            () = kept(&self.db, &job) => Err(Error::Stopped),
            () = stop.cancelled() => {
                note(&job, jobs::give_back(&self.db, &job).await);
                return;
            }
        };
        match done {
            Ok(()) | Err(Error::Stopped) => {}
            // The lease ends, and whoever is there then goes on.
            Err(error @ Error::Database(_)) if job.tries < TRIES => {
                tracing::warn!(
                    job.id = job.id.0,
                    error = &error as &dyn std::error::Error,
                    "work waits for the database"
                );
            }
            Err(error) => note(&job, failed(&self.db, &job, &error, self.now()).await),
        }
    }

    async fn perform(&self, job: Job) -> Result<(), Error> {
        if job.tries > TRIES {
            return Err(Error::Repeatedly);
        }
        match job.kind {
            JobKind::Import => import::run(&self.db, job, || self.now(), |_| ()).await.map(|_| ()),
            JobKind::Restore => self.restore(job).await,
            // Nobody gives it to a worker.
            JobKind::Migration => Err(Error::Stopped),
            JobKind::Rejudge => self.rejudge(job).await,
        }
    }

    async fn rejudge(&self, mut job: Job) -> Result<(), Error> {
        let part = rules::Part::of(&self.db, &mut job).await?;
        while !rules::rejudge_part(&self.db, &part, &mut job, self.now()).await? {}
        Ok(())
    }

    async fn restore(&self, mut job: Job) -> Result<(), Error> {
        let incident = IncidentId(job.subject);
        job.total = bounces::touched(&self.db, incident).await?;
        loop {
            let after = (!job.cursor.is_empty()).then(|| AddressKey::stored(job.cursor.clone()));
            let now = self.now();
            let tx = self.db.begin().await?;
            let policy = policies::in_force(&tx).await?;
            let part = restore_next(&tx, incident, after.as_ref(), PART, &policy, &job.actor, now).await?;
            let Restored { count, last } = part;
            job.done += i64::try_from(count).unwrap_or(0);
            job.total = job.total.max(job.done);
            let is_done = last.is_none();
            let is_ours = match last {
                Some(last) => {
                    job.cursor = last.as_str().to_owned();
                    jobs::advance(&tx, &job, now).await?
                }
                None => jobs::finish(&tx, &job, now).await?,
            };
            if !is_ours {
                return Err(Error::Stopped);
            }
            tx.commit().await?;
            if is_done {
                return Ok(());
            }
        }
    }
}

/// Does an import in this process, as a command does it.
pub(crate) async fn here(
    db: &Pool,
    id: JobId,
    now: impl Fn() -> DateTime<Utc> + Send + Sync,
    progress: impl FnMut(&Counts) + Send,
) -> Result<Imported, Error> {
    let job = jobs::claim_this(db, id).await?.ok_or(Error::Stopped)?;
    let done = tokio::select! {
        done = import::run(db, job.clone(), &now, progress) => done,
        () = kept(db, &job) => Err(Error::Stopped),
    };
    if let Err(error) = &done {
        // What stopped it is the answer, also where the database does not take the note.
        note(&job, failed(db, &job, error, now()).await);
    }
    done
}

async fn failed(db: &Pool, job: &Job, error: &Error, now: DateTime<Utc>) -> Result<(), rebound_db::Error> {
    tracing::warn!(job.id = job.id.0, error = error as &dyn std::error::Error, "work failed");
    jobs::fail(db, job, &error.to_string(), now).await.map(|_| ())
}

fn note(job: &Job, noted: Result<(), rebound_db::Error>) {
    if let Err(error) = noted {
        tracing::warn!(job.id = job.id.0, error = &error as &dyn std::error::Error, "a job could not be noted");
    }
}

/// Renews the lease, for as long as it is ours to renew.
async fn kept(db: &Pool, job: &Job) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        // Where the database does not answer, the next time may do; if not, the lease ends, and with it our claim.
        if matches!(jobs::heartbeat(db, job).await, Ok(false)) {
            return;
        }
    }
}

/// Renews the lease until others took this worker for dead.
async fn lives(db: &Pool, presence: &Presence) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        match workers::heartbeat(db, presence).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "the heartbeat was not taken"),
        }
    }
}

/// Asks for everybody whom `incident` touched to be judged anew; the job, also where it was asked for before.
///
/// # Errors
/// [`Error::Database`]
pub async fn restore_later(
    db: &impl Connection,
    incident: IncidentId,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<Option<JobId>, Error> {
    let total = bounces::touched(db, incident).await?;
    let (kind, state) = (JobKind::Restore, JobState::Waiting);
    Ok(jobs::add(db, &NewJob { kind, subject: incident.0, state, total, settings: "{}", actor }, now).await?)
}

/// Stops a job, whoever has it; what it did stays done. `false` where it was over.
///
/// # Errors
/// [`Error::Database`]
pub async fn cancel(db: &Pool, id: JobId, actor: &str, why: &str, now: DateTime<Utc>) -> Result<bool, Error> {
    let tx = db.begin().await?;
    let Some(job) = jobs::get(&tx, id).await?.filter(is_ours) else { return Ok(false) };
    if !jobs::cancel(&tx, id, why, now).await? {
        return Ok(false);
    }
    if job.kind == JobKind::Import {
        imports::forget_file(&tx, ImportId(job.subject)).await?;
    }
    events::add(&tx, &event(&job, Act::Cancelled, actor, why, now)).await?;
    tx.commit().await?;
    Ok(true)
}

/// Has a job that failed go on where it stopped; `false` where it did not fail, or was asked for anew.
///
/// # Errors
/// [`Error::Database`]
pub async fn retry(db: &Pool, id: JobId, actor: &str, now: DateTime<Utc>) -> Result<bool, Error> {
    let tx = db.begin().await?;
    let Some(job) = jobs::get(&tx, id).await?.filter(is_ours) else { return Ok(false) };
    if !jobs::retry(&tx, id, now).await? {
        return Ok(false);
    }
    events::add(&tx, &event(&job, Act::Retried, actor, "", now)).await?;
    tx.commit().await?;
    Ok(true)
}

/// Whether a worker does it. A move is stopped, and goes on, where its command runs.
fn is_ours(job: &Job) -> bool {
    job.kind != JobKind::Migration
}

enum Act {
    Cancelled,
    Retried,
}

fn event<'a>(job: &Job, act: Act, actor: &'a str, why: &str, at: DateTime<Utc>) -> Event<'a> {
    let (kind, subject) = match (job.kind, act) {
        (JobKind::Import, Act::Cancelled) => ("import.cancelled", "import"),
        (JobKind::Import, Act::Retried) => ("import.retried", "import"),
        (JobKind::Restore, Act::Cancelled) => ("restore.cancelled", "incident"),
        (JobKind::Restore, Act::Retried) => ("restore.retried", "incident"),
        (JobKind::Migration, Act::Cancelled) => ("migration.cancelled", "migration"),
        (JobKind::Migration, Act::Retried) => ("migration.retried", "migration"),
        (JobKind::Rejudge, Act::Cancelled) => ("history.cancelled", "rules"),
        (JobKind::Rejudge, Act::Retried) => ("history.retried", "rules"),
    };
    Event { at, kind, actor, subject, subject_id: Some(job.subject), key: None, detail: why.to_owned() }
}
