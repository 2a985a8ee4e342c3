//! The reports that are owed, by the time at which each is due.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use crate::report::Report;

/// Ordered by due time, then by arrival. A report is pending until [`Queue::settle`] is called
/// for it, also while somebody tries to deliver it.
pub(crate) struct Queue {
    waiting: Mutex<BTreeMap<Due, Owed>>,
    arrivals: AtomicU64,
    changed: Notify,
    pending: watch::Sender<usize>,
}

type Due = (Instant, u64);

/// A report with the number of times that it was tried in vain.
pub(crate) struct Owed {
    pub(crate) report: Report,
    tries: u32,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self {
            waiting: Mutex::default(),
            arrivals: AtomicU64::new(0),
            changed: Notify::new(),
            pending: watch::Sender::new(0),
        }
    }

    /// Owes `report`, due after `delay`.
    pub(crate) fn owe(&self, report: Report, delay: Duration) {
        self.pending.send_modify(|count| *count += 1);
        self.put(Owed { report, tries: 0 }, delay);
    }

    /// Owes a report again that could not be delivered: after 50 ms, then twice as long each
    /// time, up to 2 s.
    pub(crate) fn owe_again(&self, mut owed: Owed) {
        let delay = Duration::from_millis(50 << owed.tries.min(5)).min(Duration::from_secs(2));
        owed.tries += 1;
        self.put(owed, delay);
    }

    /// A report has been delivered, or refused for good.
    pub(crate) fn settle(&self) {
        self.pending.send_modify(|count| *count = count.saturating_sub(1));
    }

    /// How many reports are owed.
    pub(crate) fn pending(&self) -> usize {
        *self.pending.borrow()
    }

    /// Waits until nothing is owed.
    pub(crate) async fn settled(&self) {
        // The sender lives as long as `self`, so this fails never.
        let _ = self.pending.subscribe().wait_for(|count| *count == 0).await;
    }

    /// The next report that is due.
    pub(crate) async fn next(&self) -> Owed {
        loop {
            let changed = self.changed.notified();
            match self.take_due() {
                Ok(owed) => return owed,
                Err(Some(due)) => drop(timeout_at(due, changed).await),
                Err(None) => changed.await,
            }
        }
    }

    /// What is due now, or else when something will be.
    fn take_due(&self) -> Result<Owed, Option<Instant>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let first = waiting.first_entry().ok_or(None)?;
        let due = first.key().0;
        if due > Instant::now() {
            return Err(Some(due));
        }
        let owed = first.remove();
        if !waiting.is_empty() {
            self.changed.notify_one(); // another courier may take the next
        }
        Ok(owed)
    }

    fn put(&self, owed: Owed, delay: Duration) {
        let due = (Instant::now() + delay, self.arrivals.fetch_add(1, Ordering::Relaxed));
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert(due, owed);
        drop(waiting);
        self.changed.notify_one();
    }
}
