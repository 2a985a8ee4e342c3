//! Makes messages ready to be handed over, on threads of their own, a little ahead of the connections.

use crate::Sender;
use crate::attempt::Job;
use crate::compose::ComposeError;
use crate::transport::Wire;
use chrono::Utc;
use rebound_db::leases::Try;
use rebound_domain::Clock;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// A delivery whose message is made, or why it could not be.
pub(crate) type Prepared = (Ready, Result<Message, ComposeError>);

/// A try, and what its envelope needs.
pub(crate) struct Ready {
    pub(crate) job: Job,
    /// The try that it is for.
    pub(crate) of: Try,
    /// The return path of that try. One that follows a refusal in our own session has the same: a greylist lets pass whoever
    /// comes again as the same sender (RFC 6647 §2.3), and of what was refused no report comes.
    pub(crate) from: String,
}

/// A message as it goes over the line.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) wire: Wire,
    /// In octets, as SIZE counts them (RFC 1870).
    pub(crate) size: usize,
}

/// How our messages are made.
#[derive(Clone, Debug)]
pub(crate) struct Preparer {
    pub(crate) sender: Sender,
    pub(crate) clock: Clock,
}

impl Preparer {
    /// Works on all cores until there are no more jobs.
    pub(crate) fn start(self, jobs: mpsc::Receiver<Job>) -> JoinSet<()> {
        let jobs = Arc::new(Mutex::new(jobs));
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let mut working = JoinSet::new();
        for _ in 0..threads {
            let (preparer, jobs) = (self.clone(), Arc::clone(&jobs));
            working.spawn_blocking(move || {
                while let Some(job) = next(&jobs) {
                    // What is gone does not wait any more: the worker ends.
                    let Some(to) = job.to.upgrade() else { continue };
                    to.put(preparer.prepare(job));
                }
            });
        }
        working
    }

    fn prepare(&self, job: Job) -> Prepared {
        let now = self.clock.at(Utc::now());
        let of = Try { id: job.lease.id, number: job.lease.attempts.saturating_add(1) };
        let from = self.sender.return_path(of.id, job.lease.departed.saturating_add(1), now);
        let message = job.composer.compose(of.id, &job.contact, now);
        let message = message.map(|text| Message { size: text.len(), wire: Wire::new(&text) });
        (Ready { job, of, from }, message)
    }
}

fn next(jobs: &Mutex<mpsc::Receiver<Job>>) -> Option<Job> {
    jobs.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv()
}
