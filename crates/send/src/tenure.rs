//! Whether others have waited long enough to take this worker for dead.

use rebound_db::Pool;
use rebound_db::workers::LEASE;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is written in the last moment of a lease has to arrive in it.
const MARGIN: Duration = Duration::from_secs(1);

/// When the lease was renewed last, on our own clock: it goes on while the process sleeps.
#[derive(Debug)]
pub(crate) struct Tenure {
    renewed: Mutex<Instant>,
    /// Whether others send from the same database, and may take over.
    is_shared: bool,
}

impl Tenure {
    /// A lease that was asked for at `asked`.
    pub(crate) fn new(db: &Pool, asked: Instant) -> Self {
        Self { renewed: Mutex::new(asked), is_shared: db.file().is_none() }
    }

    /// It was renewed when that was `asked`.
    pub(crate) fn renew(&self, asked: Instant) {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = asked;
    }

    /// Whether it has not ended yet: nobody who goes by the lease has taken what this worker marked.
    pub(crate) fn holds(&self) -> bool {
        let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        !self.is_shared || renewed.elapsed() + MARGIN < LEASE.to_std().unwrap_or_default()
    }
}
