//! The common case of a group commit, in one call: hosts took messages, and the next ones may go.
//!
//! Statement by statement it is a way to the database and back for each, and over few connections those ways are most of
//! what a commit takes. Here all of them travel together, as if nothing could be in their way, and commit themselves.
//! Where something is, the call finds it, nothing is changed, and the statements of [`leases`](super) say what it was.

mod postgres;
mod sqlite;

use super::Try;
use crate::{Error, Pool};
use chrono::{DateTime, Utc};
use rebound_domain::{AddressKey, CampaignId, WorkerId};
use sea_orm::{ConnectionTrait, DatabaseBackend};
use std::sync::Once;

/// A message that a host took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Which try.
    pub of: Try,
    /// To whom.
    pub key: AddressKey,
    /// What the host said.
    pub reply: String,
}

/// A message that is about to be handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which try.
    pub of: Try,
    /// To whom. Only PostgreSQL is asked by it; SQLite looks the contact up.
    pub key: AddressKey,
}

/// One who makes the call again and again.
#[derive(Debug)]
pub struct Settler {
    db: Pool,
    kept: postgres::Kept,
}

impl Settler {
    /// Who writes to `db`.
    #[must_use]
    pub fn new(db: Pool) -> Self {
        Self { db, kept: postgres::Kept::default() }
    }

    /// Settles `taken` as accepted, counts them, marks `marks`, and commits; answers which campaigns send. `None`: nothing
    /// is changed, as one of them is not this worker's to settle any more, is suppressed, was noted already, has a standing
    /// that the acceptance may change, or its campaign stopped.
    ///
    /// It must be waited for to its end: given up in its midst, it may leave a transaction open, which the pool does not see.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where there is an [`outage`](Error::outage): whether it was committed is not known.
    pub async fn settle_and_mark(
        &self,
        worker: WorkerId,
        taken: &[Taken],
        marks: &[Mark],
        now: DateTime<Utc>,
    ) -> Result<Option<Vec<CampaignId>>, Error> {
        let sends = match self.db.get_database_backend() {
            DatabaseBackend::Postgres => {
                postgres::settle_and_mark(&self.db, &self.kept, worker, taken, marks, now).await
            }
            _ => sqlite::settle_and_mark(&self.db, worker, taken, marks, now).await,
        };
        let sends = sends.or_else(refused)?;
        Ok(sends.map(|sends| sends.into_iter().map(CampaignId).collect()))
    }
}

/// What keeps the database from answering is told. Whatever else it has against the call, which may be only ours, as
/// where no temporary functions are allowed, the statements of [`leases`](super) go without.
fn refused<T>(error: Error) -> Result<Option<T>, Error> {
    static TOLD: Once = Once::new();
    if error.outage().is_some() {
        return Err(error);
    }
    TOLD.call_once(|| {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, "commits take several calls each, and sending is slower than it could be");
    });
    Ok(None)
}
