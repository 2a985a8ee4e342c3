//! Hosts of somebody else's making: a test says what they answer, and the sandbox says it over a socket.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::mailboxes::domain_of;

/// What a host says to a message, and when.
pub trait Model: Send {
    /// Judges a message at its `RCPT`.
    fn judge(&mut self, knock: &Knock<'_>) -> Said;
}

/// A message that is offered to a host.
#[derive(Clone, Copy, Debug)]
pub struct Knock<'a> {
    /// For whom, in lower case.
    pub recipient: &'a str,
    /// By which session.
    pub session: u64,
    /// Messages that the host is looking at in this moment, this one included: each comes by a session of its own.
    pub under_way: u32,
    /// When, on the wall clock.
    pub at: DateTime<Utc>,
}

/// What a host says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its refusal; `None` lets the message in. After one that begins with `421` the line is closed.
    pub refusal: Option<String>,
    /// How long it takes to say so (wall time).
    pub after: Duration,
}

/// The hosts that have such a model, by domain.
#[derive(Default)]
pub(crate) struct Models(RwLock<HashMap<String, Arc<Mutex<Host>>>>);

/// One of them.
pub(crate) struct Host {
    model: Box<dyn Model>,
    under_way: u32,
}

impl Models {
    pub(crate) fn set(&self, domain: &str, model: Box<dyn Model>) {
        let host = Arc::new(Mutex::new(Host { model, under_way: 0 }));
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(domain.to_ascii_lowercase(), host);
    }

    pub(crate) fn has(&self, recipient: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains_key(domain_of(recipient))
    }

    /// What the host of `recipient` says, after it has taken its time; `None` where it has no model.
    pub(crate) async fn judge(&self, session: u64, recipient: &str) -> Option<Said> {
        let host = self.0.read().unwrap_or_else(PoisonError::into_inner).get(domain_of(recipient)).cloned()?;
        let visit = Visit::begin(&host);
        let said = visit.judge(session, recipient);
        tokio::time::sleep(said.after).await;
        Some(said)
    }
}

/// While a host looks at a message, however that ends.
struct Visit<'a>(&'a Mutex<Host>);

impl<'a> Visit<'a> {
    fn begin(host: &'a Mutex<Host>) -> Self {
        lock(host).under_way += 1;
        Self(host)
    }

    fn judge(&self, session: u64, recipient: &str) -> Said {
        let mut host = lock(self.0);
        let under_way = host.under_way;
        host.model.judge(&Knock { recipient, session, under_way, at: Utc::now() })
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        lock(self.0).under_way -= 1;
    }
}

fn lock(host: &Mutex<Host>) -> MutexGuard<'_, Host> {
    host.lock().unwrap_or_else(PoisonError::into_inner)
}
