//! Bounces that people and programs hand in to be read: by the rules in force, a few at once, and not for long.
//! Nothing of them is kept.

use crate::error::PageError;
use rebound_classify::{Report, Rules};
use rebound_contacts::RuleBook;
use rebound_contacts::rules::InForce;
use rebound_db::Pool;
use rebound_domain::Verdict;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How many are read at once, and so how many are in memory.
const AT_ONCE: usize = 4;
/// How long one waits for its turn.
const TURN: Duration = Duration::from_secs(5);
/// How long one may take. It takes microseconds: this is for the one that finds a way around the classifier's limits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads what is handed in.
#[derive(Clone, Debug)]
pub struct Readings {
    book: RuleBook,
    places: Arc<Semaphore>,
}

/// Why it was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotRead {
    /// Others are being read.
    #[error("too many bounces are being read at this moment")]
    Busy,
    /// It found a way around our limits.
    #[error("reading it took too long")]
    TooLong,
}

/// A turn to read one.
#[derive(Debug)]
pub(crate) struct Turn {
    place: OwnedSemaphorePermit,
    rules: Arc<InForce>,
}

impl Default for Readings {
    fn default() -> Self {
        Self::with(RuleBook::default())
    }
}

impl Readings {
    /// By the rules that `book` keeps.
    #[must_use]
    pub fn with(book: RuleBook) -> Self {
        Self { book, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// The rules in force.
    pub(crate) async fn in_force(&self, db: &Pool) -> Result<Arc<InForce>, PageError> {
        Ok(self.book.in_force(db).await?)
    }

    /// Waits for a turn, before what is to be read is in memory.
    pub(crate) async fn turn(&self, db: &Pool) -> Result<Result<Turn, NotRead>, PageError> {
        let rules = self.in_force(db).await?;
        let place = timeout(TURN, Arc::clone(&self.places).acquire_owned()).await;
        Ok(match place {
            Ok(Ok(place)) => Ok(Turn { place, rules }),
            Ok(Err(_)) | Err(_) => Err(NotRead::Busy),
        })
    }
}

impl Turn {
    /// Reads a message.
    pub(crate) async fn message(self, raw: impl AsRef<[u8]> + Send + 'static) -> Result<Report, NotRead> {
        self.apart(move |rules| rules.report(raw.as_ref())).await
    }

    /// Reads a reply; `None` where it refuses nothing.
    pub(crate) async fn reply(self, reply: String) -> Result<Option<Verdict>, NotRead> {
        self.apart(move |rules| rules.reply(reply.as_bytes())).await
    }

    /// On a thread of its own, which gives up the place only when it is done.
    async fn apart<T: Send + 'static>(self, work: impl FnOnce(&Rules) -> T + Send + 'static) -> Result<T, NotRead> {
        let Self { place, rules } = self;
        let reading = spawn_blocking(move || {
            let done = work(rules.rules());
            drop(place);
            done
        });
        match timeout(PATIENCE, reading).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) | Err(_) => Err(NotRead::TooLong),
        }
    }
}
