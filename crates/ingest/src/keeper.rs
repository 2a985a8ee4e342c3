//! Keeps what sessions take, in one transaction for all that are waiting: a commit that reaches the disk costs the
//! same for one message as for a hundred.

use chrono::{DateTime, Utc};
use rebound_db::inbox::{self, Arrived};
use rebound_db::{Error, Outage, Pool};
use std::sync::Arc;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

/// How many messages share a transaction at most.
const TOGETHER: usize = 256;

/// A message and everybody it is for.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) received: DateTime<Utc>,
    pub(crate) mail_from: String,
    pub(crate) recipients: Vec<String>,
    pub(crate) raw: Vec<u8>,
}

/// Hands mail to whoever writes it down.
#[derive(Clone, Debug)]
pub(crate) struct Keeper(mpsc::Sender<Job>);

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is on the disk.
    Stored,
    /// There is no room for it now.
    NoRoom,
    /// It is not stored.
    Failed,
}

#[derive(Debug)]
struct Job {
    mail: Mail,
    kept: oneshot::Sender<Kept>,
}

impl Keeper {
    /// Starts to write; ends when the last [`Keeper`] is gone. `wake` is told of everything that was kept.
    pub(crate) fn start(db: Pool, wake: Arc<Notify>) -> (Self, JoinHandle<()>) {
        let (sender, jobs) = mpsc::channel(TOGETHER);
        (Self(sender), tokio::spawn(write(db, jobs, wake)))
    }

    /// Whether `mail` is on the disk now.
    pub(crate) async fn keep(&self, mail: Mail) -> Kept {
        let (kept, answer) = oneshot::channel();
        match self.0.send(Job { mail, kept }).await {
            Ok(()) => answer.await.unwrap_or(Kept::Failed),
            Err(_) => Kept::Failed,
        }
    }
}

async fn write(db: Pool, mut jobs: mpsc::Receiver<Job>, wake: Arc<Notify>) {
    let mut waiting = Vec::new();
    while jobs.recv_many(&mut waiting, TOGETHER).await > 0 {
        let (mails, answers): (Vec<_>, Vec<_>) = waiting.drain(..).map(|job| (job.mail, job.kept)).unzip();
        let stored = store(&db, mails).await;
        if let Err(error) = &stored {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "mail could not be stored; it was asked to come back"
            );
        }
        let kept = match &stored {
            Ok(()) => Kept::Stored,
            Err(error) if error.outage() == Some(Outage::Full) => Kept::NoRoom,
            Err(_) => Kept::Failed,
        };
        for answer in answers {
            // A session that hung up meanwhile needs no answer.
            let _ = answer.send(kept);
        }
        wake.notify_one();
    }
}

async fn store(db: &Pool, mails: Vec<Mail>) -> Result<(), Error> {
    let transaction = db.begin().await?;
    for Mail { received, mail_from, recipients, raw } in mails {
        let mut arrived = Arrived { received, source: "smtp".to_owned(), mail_from, recipient: String::new(), raw };
        for recipient in recipients {
            arrived.recipient = recipient;
            inbox::keep(&transaction, &arrived).await?;
        }
    }
    transaction.commit().await
}
